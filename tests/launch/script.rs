//! Workers as small shell scripts, and a session that runs them.

use std::fs;
use std::num::NonZero;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;
use xrun::flavour::{Program, given_binary};
use xrun::launch::interrupt::{Interrupt, channel};
use xrun::launch::process::running_members;
use xrun::launch::slots::assign;
use xrun::launch::{Interrupted, RepeatRequest, RepeatResult, Session, Update};
use xrun::machine::Machine;
use xrun::spec::settings::Settings;
use xrun::terms::*;

/// Functions of which a worker's life is made; `note` writes the number of its process group.
const LIFE: &str = r#"
note() { echo $$ >> "$FOLDER/groups"; }
job() { note; read -r job; }
ready() { echo '{"event":"ready","protocol":1,"program":"sh","address":null}'; }
start() { read -r command; }
progress() { echo '{"event":"progress","steps":1}'; }
step() { echo '{"event":"step","replica":0,"first_step":'"$1"',"steps":1,"seconds":0.00001,"phases":[0,0,0,0.000005,0,0,0]}'; }
core() { echo "$job" | sed 's/.*"cores":\[\([0-9]*\)\].*/\1/'; }
replica() { echo '{"event":"replica","replica":0,"examples":'"$1"',"cores":"'"$(core)"'","first_loss":null,"last_loss":null,"input_checksum":0,"parameter_digest":null}'; }
finished() { echo '{"event":"finished","steps":2,"measured_from_seconds":0,"elapsed_seconds":'"$1"',"startup_seconds":0,"prefill_seconds":0,"first_step_seconds":0.00001,"exchanged_bytes":0,"peak_memory_bytes":1,"cpu_seconds":0,"convolutions":[]}'; }
begin() { job; ready; start; }
work() { progress; step 0; step 1; replica 8; }
"#;

/// A folder with one script as the program of all workers.
pub struct Stage {
    folder: tempfile::TempDir,
    pub settings: Settings,
    pub interrupt: Interrupt,
}

impl Stage {
    /// A null model of two steps of four examples on one core, bounded by five seconds.
    pub fn new(life: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker");
        let shown = folder.path().display();
        fs::write(
            &path,
            format!("#!/bin/sh\nFOLDER={shown}\n{LIFE}\n{life}\n"),
        )
        .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            folder,
            settings: null_model(),
            interrupt: channel().1,
        }
    }

    pub fn timeout(mut self, seconds: u64) -> Self {
        self.settings.timeout = Duration::from_secs(seconds);
        self
    }

    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.topology = Topology::Independent;
        self.settings.workers = workers;
        self.settings.oversubscribe = true;
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn log(&self) -> PathBuf {
        self.folder().join("logs/repeat")
    }

    /// Runs one repeat and makes sure that no process of it is left.
    pub fn run(&self) -> RepeatResult {
        self.run_and_show(&mut |_| ()).unwrap()
    }

    pub fn run_and_show(&self, show: &mut dyn FnMut(Update)) -> Result<RepeatResult, Interrupted> {
        let program = given_binary(&self.folder().join("worker")).unwrap();
        let slots = assign(&self.settings, &Machine::detect()).unwrap();
        let request = RepeatRequest {
            settings: &self.settings,
            slots: &slots,
            program: &program,
            cache: self.folder(),
            log: &self.log(),
        };
        let mut session = Session::start(xrun(), self.interrupt.clone()).unwrap();
        let result = session.run_repeat(&request, show);
        assert_eq!(self.running(), 0, "processes are left");
        result
    }

    /// How many processes are in the groups that workers have noted.
    pub fn running(&self) -> usize {
        let groups = fs::read_to_string(self.folder().join("groups")).unwrap_or_default();
        groups.lines().map(running_in).sum()
    }
}

fn running_in(line: &str) -> usize {
    let number: NonZero<i32> = line.parse().unwrap();
    running_members(rustix::process::Pid::from_raw(number.get()).unwrap())
}

/// The program that guards sessions.
fn xrun() -> &'static Program {
    static XRUN: LazyLock<Program> =
        LazyLock::new(|| given_binary(Path::new(env!("CARGO_BIN_EXE_xrun"))).unwrap());
    &XRUN
}

fn null_model() -> Settings {
    Settings {
        local_batch: 4,
        input_source: InputSource::Resident,
        device_kind: DeviceKind::Cpu,
        warmup_steps: 0,
        steps: 2,
        timeout: Duration::from_secs(60),
        ..Settings::defaults(ModelName::None)
    }
}
