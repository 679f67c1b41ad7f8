//! In: the text of a `machine.toml`. Out: the facts by which two machines may differ, as text by name, so
//! that figures of two sessions are not taken for those of one machine. Knows no results.

use std::collections::BTreeMap;
use toml::{Table, Value};

/// So many of [`FACTS`], from the first on, stand in the file as they are shown.
const PLAIN: usize = 7;

/// All names that [`facts`] may give.
pub const FACTS: [&str; 10] = [
    "cpu_model",
    "total_cores",
    "os",
    "kernel",
    "architecture",
    "hypervisor",
    "compiler",
    "usable_cores",
    "gpus",
    "driver",
];

/// The facts that a record holds, by name.
///
/// # Errors
/// The text is no TOML; the message is of one line.
pub fn facts(text: &str) -> Result<BTreeMap<String, String>, String> {
    let table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| error.message().to_owned())?;
    let plain = FACTS[..PLAIN]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), shown(table.get(*name)?))));
    let mut facts: BTreeMap<String, String> = plain.collect();
    if let Some(cores) = table.get("cores").and_then(Value::as_array) {
        facts.insert("usable_cores".to_owned(), cores.len().to_string());
    }
    if let Some(gpus) = table.get("gpus").and_then(Value::as_array) {
        facts.insert("gpus".to_owned(), of_gpus(gpus, "name"));
        facts.insert("driver".to_owned(), of_gpus(gpus, "driver"));
    }
    Ok(facts)
}

/// Text without its quotes.
fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// One fact of all GPUs, or `none`.
fn of_gpus(gpus: &[Value], fact: &str) -> String {
    let values = gpus.iter().filter_map(|gpu| gpu.get(fact)).map(shown);
    match values.collect::<Vec<_>>() {
        values if values.is_empty() => "none".to_owned(),
        values => values.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Gpu, Machine};

    #[test]
    fn what_a_machine_writes_is_read_back_as_facts() {
        let gpu = Gpu {
            uuid: "GPU-1".into(),
            name: "NVIDIA H200".into(),
            driver: "550.1".into(),
            ..Gpu::default()
        };
        let machine = Machine {
            kernel: "6.1".into(),
            cores: vec![vec![0], vec![1]],
            gpus: vec![gpu],
            ..Machine::default()
        };
        let read = facts(&machine.to_toml()).unwrap();
        assert!(read.keys().all(|name| FACTS.contains(&name.as_str())));
        assert_eq!(read.len(), FACTS.len());
        let shown = ["kernel", "usable_cores", "gpus", "driver", "hypervisor"];
        assert_eq!(
            shown.map(|name| read[name].as_str()),
            ["6.1", "2", "NVIDIA H200", "550.1", "false"]
        );
        assert_eq!(facts("gpus = []").unwrap()["gpus"], "none");
        assert!(facts("kernel = ").is_err());
    }
}
