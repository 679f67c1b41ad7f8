//! GPUs as NVML tells of them, with workers that only say that they trained: no GPU is needed, and none is
//! used where there is one.

use crate::program::{Called, Project, Row, count, null_model};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs};

/// Two GPUs, the second one first on the bus.
const TWO: &str = "driver 550.1\ncuda 13000\n\
    gpu GPU-b 9 0 85899345920 1048576 00000000:5E:00.0 NVIDIA H100\n\
    gpu GPU-a 9 0 85899345920 1048576 00000000:3B:00.0 NVIDIA H100\n";

/// Reads its job, writes down what it sees, and says that it trained as it was asked to, or what ceilings it
/// found. `SCENE` comes first and may end it. Asked what it is, it says nothing.
const WORKER: &str = r#"#!/bin/sh
[ $# -gt 1 ] && exit 1
read job
field() { printf '%s' "$job" | sed "s/.*\"$1\":\"*\([^],\"}]*\).*/\1/"; }
uuid=$(field uuid) batch=$(field model.local_batch)
cores=$(printf '%s' "$job" | sed 's/.*"cores":\[\([0-9,]*\)\].*/\1/' | awk -F, '{
  for (i = 1; i <= NF; i++) {
    if (i > 1 && $i == last + 1) { last = $i; continue }
    if (i > 1) text = text (first == last ? first : first "-" last) ","
    first = last = $i
  }
  print text (first == last ? first : first "-" last) }')
case "$job" in *'"role":"probe"'*)
  echo '{"event":"ready","protocol":'$(field protocol)',"program":"fake","address":null}'
  read start
  echo '{"event":"ceiling","of":"host-to-device","median":25,"slowest":24,"fastest":26}'
  echo '{"event":"ceiling","of":"launch","median":2.5,"slowest":3,"fastest":2}'
  echo '{"event":"finished","steps":0,"total_steps":0,"global_steps":0,"checkpoints":0,"measured_from_seconds":0,"elapsed_seconds":0,"startup_seconds":0,"prefill_seconds":0,"first_step_seconds":0,"exchanged_bytes":0,"peak_memory_bytes":0,"cpu_seconds":0,"convolutions":[],"timing":""}'
  exit ;;
esac
echo "$CUDA_DEVICE_ORDER $CUDA_VISIBLE_DEVICES $uuid ${NVIDIA_TF32_OVERRIDE-}" >>seen.txt
fail() { echo '{"event":"failed","reason":"'"$1"'","waiting":null}'; exit 1; }
SCENE
echo '{"event":"ready","protocol":'$(field protocol)',"program":"fake","address":null}'
read start
echo '{"event":"progress","steps":1}'
echo '{"event":"step","replica":0,"first_step":0,"steps":4,"seconds":0.000001,"phases":[0,0,0,0,0,0,0,0,0,0,0]}'
echo '{"event":"replica","replica":0,"examples":'$((4 * batch))',"cores":"'$cores'","first_loss":null,"last_loss":null,"input_checksum":1,"parameter_digest":null,"gpu":{"uuid":"'$uuid'","name":"NVIDIA H100","launches":40,"graph_launches":0,"host_seconds":0.0000005,"memory_bytes":1048576,"tf32":false}}'
echo '{"event":"finished","steps":4,"total_steps":4,"global_steps":4,"checkpoints":0,"measured_from_seconds":0,"elapsed_seconds":0.000001,"startup_seconds":0,"prefill_seconds":0,"first_step_seconds":0,"exchanged_bytes":0,"peak_memory_bytes":0,"cpu_seconds":0,"convolutions":[],"timing":"each step"}'
"#;

/// The folder of a stand-in for NVML, whose GPUs a file tells.
fn nvml() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nvml");
        fs::create_dir_all(&folder).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/gpus/nvml.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1", "-o"]);
        compiler.arg(folder.join("libnvidia-ml.so.1")).arg(source);
        assert!(compiler.status().unwrap().success());
        folder
    })
}

/// A machine with GPUs and a project on it.
struct Site {
    project: Project,
    /// What `CUDA_VISIBLE_DEVICES` is for the harness.
    visible: Option<&'static str>,
}

impl Site {
    /// With one cell of one replica, two repeats, and what `more` says besides; workers begin with `scene`.
    fn new(gpus: &str, scene: &str, more: &str) -> Self {
        let project = Project::new();
        project.file("gpus.txt", gpus);
        project.script("worker.sh", &WORKER.replace("SCENE", scene));
        let head = null_model("x", "warmup_steps = 0\nsteps = 4\nrepeats = 2");
        let file = format!(
            "{head}[build]\nflavour = \"cuda\"\n[flavours.cuda]\nbinary = \"worker.sh\"\n{more}"
        );
        project.file("x.toml", &file);
        Self {
            project,
            visible: None,
        }
    }

    fn gpus(&self, gpus: &str) {
        self.project.file("gpus.txt", gpus);
    }

    fn run(&self, arguments: &[&str]) -> Called {
        let mut command = self.project.command(arguments);
        let found = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let folders = [nvml().to_owned()]
            .into_iter()
            .chain(env::split_paths(&found));
        command
            .env("LD_LIBRARY_PATH", env::join_paths(folders).unwrap())
            .env("NVML_GPUS", self.project.path("gpus.txt"))
            .env("NVIDIA_TF32_OVERRIDE", "1")
            .env_remove("CUDA_VISIBLE_DEVICES")
            .envs(
                self.visible
                    .map(|visible| ("CUDA_VISIBLE_DEVICES", visible)),
            )
            .stdin(Stdio::null());
        Called::from(command.output().unwrap())
    }

    fn rows(&self) -> Vec<Row> {
        self.project.repeats("x")
    }

    /// What workers have seen, each once a line.
    fn seen(&self) -> Vec<String> {
        let seen = fs::read_to_string(self.project.path("seen.txt")).unwrap_or_default();
        let mut seen: Vec<String> = seen.lines().map(|line| line.trim().to_owned()).collect();
        seen.sort();
        seen.dedup();
        seen
    }
}

const ON_GPUS: &str = "[devices]\nkind = \"cuda\"\n";

#[test]
fn without_a_gpu_every_cell_is_skipped_and_nothing_is_built() {
    let site = Site::new("driver 550.1\n", "", "");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/cifar_scaling.toml");
    fs::copy(shipped, site.project.path("shipped.toml")).unwrap();
    let called = site
        .run(&["shipped.toml", "-S", "devices.kind=cuda"])
        .expect(0);
    assert!(!called.text().contains("flavour"), "{}", called.text());
    let folder = site.project.results("cifar_scaling").join("variants");
    let variant = fs::read_dir(folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let rows = crate::program::rows(&variant.join("repeats.csv"));
    assert!(rows.len() > 10);
    for row in rows {
        assert_eq!(row["outcome"], "skipped");
        assert_eq!(row["reason"], "no GPU found by NVML: NVML sees no device");
    }
}

#[test]
fn workers_see_the_gpus_of_their_replicas_alone() {
    let cluster =
        "[devices]\nkind = \"auto\"\n[cluster]\ntopology = \"independent\"\nworkers = 2\n";
    let site = Site::new(TWO, "", cluster);
    site.run(&["x.toml"]).expect(0);
    let rows = site.rows();
    assert_eq!(
        count(&rows, "outcome", "completed"),
        2,
        "{}",
        rows[0]["reason"]
    );
    assert_eq!(count(&rows, "device_kind", "cuda"), 2);
    let of = |uuid: &str| format!("PCI_BUS_ID {uuid} {uuid}");
    assert_eq!(site.seen(), [of("GPU-a"), of("GPU-b")]);
    let machine = fs::read_to_string(site.project.results("x").join("machine.toml")).unwrap();
    let machine: toml::Table = machine.parse().unwrap();
    let first = machine["gpus"][0].as_table().unwrap();
    let facts = [
        "uuid",
        "pci_bus_id",
        "cuda_version",
        "compute_capability",
        "driver",
    ];
    let facts = facts.map(|fact| first[fact].as_str().unwrap());
    assert_eq!(facts, ["GPU-a", "00000000:3B:00.0", "13.0", "9.0", "550.1"]);
}

#[test]
fn what_gpus_do_meanwhile_is_in_the_row_and_heat_disturbs_it() {
    let scene = r#"trap 'sed -i "/ '$$' /d" gpus.txt' EXIT
echo "process $uuid $$ 1048576 /bin/sh" >>gpus.txt"#;
    let site = Site::new(TWO, scene, ON_GPUS);
    // The power cap, which is normal, and heat.
    let hot = 0x4 | 0x40;
    site.gpus(&format!("{TWO}state GPU-a 1755 84 350000 {hot}\n"));
    site.run(&["x.toml"]).expect(0);
    let row = site.rows().remove(0);
    assert_eq!(row["outcome"], "completed", "{}", row["reason"]);
    let reason = "a GPU slowed down (hw-thermal-slowdown)";
    assert!(row["reason"].contains(reason), "{}", row["reason"]);
    for (column, value) in [
        ("marks", "disturbed"),
        ("devices", "GPU-a"),
        ("gpu_name", "NVIDIA H100"),
        ("gpu_driver", "550.1"),
        ("launches_per_step", "10"),
        ("graph_launches", "0"),
        ("timing", "each step"),
        ("gpu_clock_megahertz", "1755"),
        ("gpu_temperature_celsius", "84"),
        ("gpu_power_watts", "350"),
        ("gpu_throttle_reasons", "sw-power-cap hw-thermal-slowdown"),
        ("gpu_other_processes", "0"),
        ("host_to_device_ceiling_gigabytes_per_second", "25"),
        ("device_to_host_ceiling_gigabytes_per_second", ""),
        ("launch_floor_seconds", "2.5e-6"),
    ] {
        assert_eq!(row[column], value, "{column}");
    }
}

#[test]
fn workers_that_nvml_shows_on_one_gpu_have_a_wrong_result() {
    let cluster = "[cluster]\ntopology = \"independent\"\nworkers = 2\n";
    let scene = r#"echo "process GPU-a $$ 1048576 /bin/sh" >>gpus.txt"#;
    let site = Site::new(TWO, scene, &format!("{ON_GPUS}{cluster}"));
    site.run(&["x.toml"]).expect(3);
    let row = site.rows().remove(0);
    assert_eq!(row["outcome"], "wrong-result");
    let reason = "claims GPU-b, where NVML lists no process of it";
    assert!(row["reason"].contains(reason), "{}", row["reason"]);
}

#[test]
fn a_share_of_the_machine_is_all_that_is_used() {
    let mut site = Site::new(TWO, "", ON_GPUS);
    site.visible = Some("GPU-b");
    site.run(&["x.toml"]).expect(0);
    assert_eq!(site.seen(), ["PCI_BUS_ID GPU-b GPU-b"]);
    site.visible = Some("");
    let told = site.run(&["x.toml", "--rerun", "all"]).expect(0);
    let reason = "no GPU found by NVML: CUDA_VISIBLE_DEVICES leaves none of 2";
    assert!(told.stdout.contains(reason), "{}", told.text());
}

#[test]
fn a_gpu_that_mig_divides_is_left_alone() {
    let site = Site::new(TWO, "", ON_GPUS);
    site.gpus(&format!("{TWO}mig GPU-a\n"));
    site.run(&["x.toml"]).expect(0);
    assert_eq!(site.seen(), ["PCI_BUS_ID GPU-b GPU-b"]);
    site.gpus(&format!("{TWO}mig GPU-a\nmig GPU-b\n"));
    let told = site.run(&["x.toml", "--rerun", "all"]).expect(0);
    let reason = "no GPU found by NVML: GPU-a is divided by MIG, and xrun uses whole GPUs: `nvidia-smi -i GPU-a \
                  -mig 0` makes it one; GPU-b is divided";
    assert!(told.stdout.contains(reason), "{}", told.text());
}

#[test]
fn a_gpu_that_others_use_is_left_alone_until_it_is_free() {
    let site = Site::new(TWO, "", ON_GPUS);
    site.gpus(&format!(
        "{TWO}process GPU-a 4242 3221225472 /usr/bin/python3\n"
    ));
    let called = site.run(&["x.toml"]).expect(0);
    let rows = site.rows();
    assert_eq!(count(&rows, "outcome", "skipped"), 2, "{}", called.text());
    let reason = "GPU-a is used by process 4242 (python3, 3.00 GiB): wait until that has ended, or set \
                  devices.allow_occupied = true to measure beside it, marked";
    assert_eq!(count(&rows, "reason", reason), 2, "{}", rows[0]["reason"]);
    assert!(called.text().contains(reason) && site.seen().is_empty());
    site.gpus(TWO);
    site.run(&["x.toml"]).expect(0);
    assert_eq!(count(&site.rows(), "outcome", "completed"), 2);
}

#[test]
fn rows_beside_others_are_marked_where_the_file_allows_them() {
    let site = Site::new(TWO, "", &format!("{ON_GPUS}allow_occupied = true\n"));
    site.gpus(&format!(
        "{TWO}process GPU-a 4242 3221225472 /usr/bin/python3\n"
    ));
    site.run(&["x.toml"]).expect(0);
    let rows = site.rows();
    assert_eq!((rows.len(), count(&rows, "outcome", "completed")), (2, 2));
    for row in rows {
        assert!(row["marks"].contains("disturbed"), "{}", row["marks"]);
        let reason = "GPU-a is used by process 4242 (python3, 3.00 GiB)";
        assert!(row["reason"].contains(reason), "{}", row["reason"]);
    }
}

#[test]
fn too_few_gpus_are_shared_only_where_the_file_says_so() {
    let three = |share: bool| {
        let cluster = "[cluster]\ntopology = \"independent\"\nworkers = 3\n";
        format!("{ON_GPUS}share_devices = {share}\n{cluster}")
    };
    let site = Site::new(TWO, "", &three(false));
    let called = site.run(&["x.toml"]).expect(0);
    let reason = "needs 3 GPUs for 3 replicas; this machine has 2: set devices.share_devices = true to run \
                  it anyway, marked";
    assert_eq!(site.rows()[0]["reason"], reason, "{}", called.text());
    let site = Site::new(TWO, "", &three(true));
    site.run(&["x.toml"]).expect(0);
    for row in site.rows() {
        assert_eq!(row["outcome"], "completed", "{}", row["reason"]);
        assert!(row["marks"].contains("shared-device"), "{}", row["marks"]);
    }
    let of = |uuid: &str| format!("PCI_BUS_ID {uuid} {uuid}");
    assert_eq!(site.seen(), [of("GPU-a"), of("GPU-b")]);
}

#[test]
fn a_lost_device_fails_its_repeat_and_skips_the_next() {
    let scene = r#"if [ $uuid = GPU-a ]; then echo "lost $uuid" >>gpus.txt; fail "CUDA error 719 on $uuid"; fi"#;
    let site = Site::new(TWO, scene, ON_GPUS);
    let called = site.run(&["x.toml", "--machine", "box"]).expect(3);
    let rows = site.rows();
    assert_eq!(rows.len(), 2, "{}", called.text());
    assert_eq!(rows[0]["outcome"], "failed");
    let reason = &rows[0]["reason"];
    assert!(reason.contains("CUDA error 719 on GPU-a"), "{reason}");
    assert_eq!(rows[1]["outcome"], "skipped");
    let reason = "GPU-a does not answer NVML (device fell off the bus or has otherwise become inacessible): \
                  `nvidia-smi` shows its state; a GPU that was lost comes back with a reset or a restart \
                  of the machine";
    assert_eq!(rows[1]["reason"], reason);
    // The next call knows the GPUs that are left.
    site.run(&["x.toml", "--machine", "box"]).expect(0);
    let rows = site.rows();
    assert_eq!(count(&rows, "outcome", "completed"), 2);
    assert_eq!(site.seen().len(), 2);
}

#[test]
fn a_cell_that_is_too_large_fails_and_the_others_run() {
    let scene = r#"[ $batch -gt 8 ] && fail "$uuid is out of memory: 1.5 GiB more than it has free; lower model.local_batch""#;
    let sweep = format!("{ON_GPUS}[sweep]\nmodel.local_batch = [8, 512]\n");
    let site = Site::new(TWO, scene, &sweep);
    site.run(&["x.toml"]).expect(3);
    let rows = site.rows();
    assert_eq!(rows.len(), 4);
    for row in rows {
        let large = row["model.local_batch"] == "512";
        assert_eq!(
            row["outcome"],
            if large { "failed" } else { "completed" },
            "{}",
            row["reason"]
        );
        let told = row["reason"].contains("GPU-a is out of memory: 1.5 GiB more");
        assert_eq!(told, large, "{}", row["reason"]);
    }
}

/// What the running program says of itself, as a release build that was built with CUDA would.
fn identity(features: &str) -> String {
    let said = Command::new(env!("CARGO_BIN_EXE_xrun"))
        .args(["worker", "--identify"])
        .output()
        .unwrap();
    let mut identity: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    identity["features"] = serde_json::json!([features]);
    identity["cuda"] = serde_json::json!({"version": "13.0", "compute_capability": "9.0"});
    identity["profile"] = "release".into();
    identity["opt_level"] = "3".into();
    identity["debug_assertions"] = false.into();
    identity.to_string()
}

#[test]
fn programs_that_these_gpus_cannot_run_are_skipped_with_the_reason() {
    let refused = |gpus: &str, features: &str| {
        let site = Site::new(gpus, "", ON_GPUS);
        let identify = format!(
            "#!/bin/sh\n[ \"$2\" = --identify ] && echo '{}' && exit\nexit 1\n",
            identity(features)
        );
        site.project.script("worker.sh", &identify);
        site.run(&["x.toml"]).expect(0);
        let row = site.rows().remove(0);
        assert_eq!(row["outcome"], "skipped");
        row["reason"].clone()
    };
    let reason = refused(&TWO.replace("13000", "12080"), "cuda");
    let wanted = "is of CUDA 13.0, and the driver 550.1 runs CUDA up to 12.8: update the driver";
    assert!(reason.contains(wanted), "{reason}");
    let reason = refused(&TWO.replace(" 9 0 ", " 7 5 "), "cuda");
    let wanted = "built for compute capability 9.0, and GPU-a (NVIDIA H100) has 7.5";
    assert!(reason.contains(wanted), "{reason}");
    let reason = refused(TWO, "avx512");
    assert!(
        reason.contains("is built without the feature cuda"),
        "{reason}"
    );
}

#[test]
fn on_gpus_the_default_is_a_program_that_can_use_them() {
    if cfg!(feature = "cuda") {
        println!("skipped: this program is the default on GPUs itself");
        return;
    }
    let site = Site::new(TWO, "", ON_GPUS);
    let text = fs::read_to_string(site.project.path("x.toml")).unwrap();
    let text = text.replace("[build]\nflavour = \"cuda\"\n", "");
    site.project.file("x.toml", &text);
    site.run(&["x.toml"]).expect(0);
    let rows = site.rows();
    assert_eq!(count(&rows, "build.flavour", "default"), 2);
    assert_eq!(
        count(&rows, "outcome", "completed"),
        2,
        "{}",
        rows[0]["reason"]
    );
    // Others have to ask for it.
    let plain = text.replace(
        "[devices]",
        "[build]\nflavour = \"plain\"\n[flavours.plain]\n[devices]",
    );
    site.project
        .file("x.toml", &plain.replace("name = \"x\"", "name = \"y\""));
    let called = site.run(&["x.toml"]).expect(0);
    let reason = "flavour plain is built without the feature cuda, which GPUs need: give it `extends = \
                  \"cuda\"`, or set devices.kind = \"cpu\"";
    assert_eq!(
        site.project.repeats("y")[0]["reason"],
        reason,
        "{}",
        called.text()
    );
}
