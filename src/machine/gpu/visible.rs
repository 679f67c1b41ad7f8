//! Which GPUs `CUDA_VISIBLE_DEVICES` leaves to this process. In: all of them and the variable. Out:
//! those that are left. A share of a machine is often handed out by this variable alone, and whoever
//! reads NVML sees the others too. Pure.

use super::Gpu;

/// The GPUs that are left, in the order of `gpus`, and why not all; the reason is empty where all.
///
/// As CUDA reads it: numbers, which count by PCI bus here, or beginnings of UUIDs; the list ends at the
/// first entry that is neither.
pub(super) fn leave(gpus: Vec<Gpu>, told: Option<&str>) -> (Vec<Gpu>, String) {
    let Some(told) = told else {
        return (gpus, String::new());
    };
    let total = gpus.len();
    let named = told
        .split(',')
        .map_while(|entry| place(&gpus, entry.trim()));
    let places: Vec<usize> = named.collect();
    let left = gpus.into_iter().enumerate();
    let left = left.filter(|(place, _)| places.contains(place));
    let left: Vec<Gpu> = left.map(|(_, gpu)| gpu).collect();
    let limit = match left.len() {
        all if all == total => String::new(),
        0 => format!("CUDA_VISIBLE_DEVICES leaves none of {total}"),
        some => format!("CUDA_VISIBLE_DEVICES leaves {some} of {total}"),
    };
    (left, limit)
}

/// The GPU that one entry names.
fn place(gpus: &[Gpu], entry: &str) -> Option<usize> {
    if let Ok(number) = entry.parse::<usize>() {
        return (number < gpus.len()).then_some(number);
    }
    let is_named = |gpu: &Gpu| entry.starts_with("GPU-") && gpu.uuid.starts_with(entry);
    gpus.iter().position(is_named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_variable_names_is_left() {
        let left = |told: Option<&str>| {
            let gpu = |uuid: &str| Gpu {
                uuid: uuid.into(),
                ..Gpu::default()
            };
            let (left, limit) = leave(["GPU-aa", "GPU-ab", "GPU-b"].map(gpu).into(), told);
            let uuids: Vec<_> = left.into_iter().map(|gpu| gpu.uuid).collect();
            (uuids.join(" "), limit)
        };
        let all = ("GPU-aa GPU-ab GPU-b".to_owned(), String::new());
        assert_eq!(left(None), all);
        assert_eq!(left(Some("2, 1,0")), all);
        let limit = |text: &str| format!("CUDA_VISIBLE_DEVICES leaves {text} of 3");
        assert_eq!(left(Some("GPU-b,0")), ("GPU-aa GPU-b".into(), limit("2")));
        assert_eq!(left(Some("1,7,0")), ("GPU-ab".into(), limit("1")));
        for none in ["", "-1", "GPU-c", "MIG-GPU-aa/1/0"] {
            assert_eq!(left(Some(none)), (String::new(), limit("none")), "{none}");
        }
    }
}
