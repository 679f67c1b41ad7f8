//! Ctrl-C in two stages. In: SIGINT and SIGTERM. Out: a [`Stage`] that can be asked for at any time
//! and waited for. The first signal asks the running repeat to end soon, the second kills it.

use rustix::process::Signal;
use std::io;
use std::thread;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The exit status of an interrupted harness.
pub const EXIT_STATUS: i32 = 130;

/// How urgently the user wants the harness to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    #[default]
    Run,
    /// End the running repeat within a grace period, and start no other.
    Finish,
    /// Kill it.
    Kill,
}

/// The user's wish to stop, seen from the harness.
#[derive(Clone, Debug)]
pub struct Interrupt {
    stage: watch::Receiver<Stage>,
}

/// Listens to signals until the program ends. The third one ends it on the spot, in case that it
/// is stuck where no stage is looked at.
///
/// # Errors
/// Where the kernel refuses a signal handler or a thread.
pub fn listen() -> io::Result<Interrupt> {
    let (sender, interrupt) = channel();
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let (mut by_key, mut by_signal) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    let handle_file_size_limit = {
        let _inside = runtime.enter();
        signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?
    };
    // A limit on the size of files is to be an error of the write that meets it, with a message. The
    // handler stays for the life of the process once it was made.
    drop(handle_file_size_limit);
    let wait = async move {
        for stage in [Stage::Finish, Stage::Kill] {
            tokio::select! { _ = by_key.recv() => (), _ = by_signal.recv() => () }
            sender.send_replace(stage);
        }
        tokio::select! { _ = by_key.recv() => (), _ = by_signal.recv() => () }
        std::process::exit(EXIT_STATUS);
    };
    let listener = thread::Builder::new().name("signals".to_owned());
    listener.spawn(move || runtime.block_on(wait))?;
    Ok(interrupt)
}

/// An interrupt that somebody else pulls.
pub fn channel() -> (watch::Sender<Stage>, Interrupt) {
    let (sender, stage) = watch::channel(Stage::Run);
    (sender, Interrupt { stage })
}

impl Interrupt {
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Waits until the stage is another than `known`; forever where nobody can change it any more.
    pub(super) async fn after(&mut self, known: Stage) -> Stage {
        match self.stage.wait_for(|stage| *stage != known).await {
            Ok(stage) => *stage,
            Err(_) => std::future::pending().await,
        }
    }
}
