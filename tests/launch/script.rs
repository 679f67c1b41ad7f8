//! Processes of a repeat as small shell scripts, and a session that runs them.

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
use xrun::launch::{Interrupted, ProbeError, RepeatRequest, RepeatResult, Session, Update};
use xrun::machine::Machine;
use xrun::protocol::Ceiling;
use xrun::spec::settings::Settings;
use xrun::terms::*;

/// Functions of which a process's life is made; `note` writes the number of its process group.
const LIFE: &str = r#"
note() { echo $$ >> "$FOLDER/groups"; }
job() { note; read -r job; }
is() { case $job in *'"role":"'"$1"'","rank":'"$2"','*) return 0;; esac; return 1; }
ready() { echo '{"event":"ready","protocol":3,"program":"sh","address":'"${1:-null}"'}'; }
start() { read -r command; }
progress() { echo '{"event":"progress","steps":1}'; }
step() { echo '{"event":"step","replica":0,"first_step":'"$1"',"steps":1,"seconds":0.00001,"phases":[0,0,0,0.000005,0,0,0,0,0,0,0]}'; }
core() { echo "$job" | sed 's/.*"cores":\[\([0-9]*\)\].*/\1/'; }
replica() { echo '{"event":"replica","replica":0,"examples":'"$1"',"cores":"'"$(core)"'","first_loss":null,"last_loss":null,"input_checksum":0,"parameter_digest":null,"gpu":null}'; }
finished() { echo '{"event":"finished","steps":2,"total_steps":2,"global_steps":2,"checkpoints":0,"measured_from_seconds":0,"elapsed_seconds":'"$1"',"startup_seconds":0,"prefill_seconds":0,"first_step_seconds":0.00001,"exchanged_bytes":0,"peak_memory_bytes":1,"cpu_seconds":0,"convolutions":[],"timing":"each step"}'; }
trained() { echo '{"event":"replica","replica":0,"examples":8,"cores":"'"$(core)"'","first_loss":2,"last_loss":1,"input_checksum":0,"parameter_digest":"d"}'; }
link() { echo '{"event":"link","peer":"'"$1"'","pulled_bytes":80,"pushed_bytes":80,"pull_seconds":0.00001,"push_seconds":0.00001}'; }
served() { echo '{"event":"served","cores":"'"$(core)"'","held_bytes":40,"updates":'"$1"',"gradients":4,"dropped":0,"staleness":[2,2],"alone_updates":1,"received_bytes":160,"sent_bytes":160,"receive_seconds":0,"apply_seconds":0,"send_seconds":0,"peak_memory_bytes":1,"cpu_seconds":0}'; }
lost() { echo '{"event":"failed","reason":"lost","waiting":{"peer":"'"$1"'","phase":"'"$2"'","step":41,"silent_seconds":'"${3:-null}"'}}'; exit 1; }
begin() { job; ready; start; }
meet() { job; ready '"unix '"$$"'"'; start; }
work() { progress; step 0; step 1; replica 8; }
"#;

/// A folder with one script as the program of all processes.
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

    /// So many workers of an asynchronous server, with a model of 40 bytes.
    pub fn cluster(mut self, workers: usize) -> Self {
        self = self.workers(workers);
        self.settings = Settings {
            model: ModelName::Mlp,
            layers: vec![4, 2],
            topology: Topology::ParameterServer,
            servers: 1,
            ..self.settings
        };
        self
    }

    /// So many workers of a ring.
    pub fn ring(mut self, workers: usize) -> Self {
        self = self.cluster(workers);
        self.settings.topology = Topology::AllReduce;
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
        self.with_session(|session, request| session.run_repeat(request, show))
    }

    /// Runs a probe, and makes sure that no process of it is left.
    pub fn probe(&self) -> Result<Vec<Ceiling>, ProbeError> {
        self.with_session(|session, request| session.probe(request))
    }

    fn with_session<T>(&self, run: impl FnOnce(&mut Session, &RepeatRequest<'_>) -> T) -> T {
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
        let result = run(&mut session, &request);
        assert_eq!(self.running(), 0, "processes are left");
        result
    }

    /// How many processes are in the groups that processes have noted.
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
