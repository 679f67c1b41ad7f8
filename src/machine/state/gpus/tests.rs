use super::*;

/// The GPUs `a` and `b` of a repeat, after these looks and listings.
fn watched(looks: &[Look], listings: Vec<Vec<Listing>>) -> (GpuState, Vec<Listing>) {
    let sensors = Sensors::default();
    let mut watch = GpuWatch::new(&sensors, vec!["a".into(), "b".into()]);
    watch.looks.extend(looks);
    listings.into_iter().for_each(|one| watch.note(one));
    watch.end(&[100, 101])
}

fn listing(uuid: &str, processes: &[(u32, Option<i32>)]) -> Listing {
    let process = |(number, group): &(u32, Option<i32>)| Process {
        number: *number,
        group: *group,
    };
    Listing {
        uuid: uuid.into(),
        processes: processes.iter().map(process).collect(),
    }
}

#[test]
fn looks_become_means_and_the_highest_temperature() {
    let look = |clock: f64, celsius: f64, watts: f64, throttled| Look {
        clock_megahertz: Some(clock),
        temperature_celsius: Some(celsius),
        power_watts: Some(watts),
        throttled: Some(throttled),
    };
    let idle = ThrottleReasons::GPU_IDLE | ThrottleReasons::APPLICATIONS_CLOCKS_SETTING;
    let hot = ThrottleReasons::SW_POWER_CAP | ThrottleReasons::HW_THERMAL_SLOWDOWN;
    let looks = [
        look(1980.0, 50.0, 300.0, idle),
        look(1000.0, 85.0, 100.0, hot),
        Look::default(),
    ];
    let (state, _) = watched(&looks, Vec::new());
    let expected = GpuState {
        clock_megahertz: Some(1490.0),
        temperature_celsius: Some(85.0),
        power_watts: Some(200.0),
        throttle_reasons: "sw-power-cap hw-thermal-slowdown".into(),
        other_processes: None,
    };
    assert_eq!(state, expected);
}

#[test]
fn processes_of_others_are_counted_once_and_only_on_the_gpus_of_the_repeat() {
    let own = |number| (number, Some(100));
    let first = vec![
        listing("a", &[own(100), own(105), (7, Some(7))]),
        listing("b", &[]),
        listing("c", &[(9, Some(9))]),
    ];
    let second = vec![listing("a", &[own(100)]), listing("b", &[(7, Some(7))])];
    // The first is the repeat's own, which has just ended.
    let third = vec![
        listing("a", &[(105, None)]),
        listing("b", &[(4_000_000, None)]),
    ];
    let (state, listings) = watched(&[], vec![first, second, third]);
    assert_eq!(state.other_processes, Some(2));
    let kept = listing("a", &[(7, Some(7)), own(100), own(105)]);
    assert_eq!((listings.len(), &listings[0]), (3, &kept));
}

#[test]
fn lists_without_the_own_processes_tell_nothing_of_others() {
    let hidden = vec![listing("a", &[]), listing("b", &[])];
    assert_eq!(watched(&[], vec![hidden]).0, GpuState::default());
    let of_the_host = vec![listing("a", &[(70_001, None), (70_002, Some(5))])];
    assert_eq!(watched(&[], vec![of_the_host]).0.other_processes, None);
}

#[test]
fn a_machine_without_nvml_shows_nothing() {
    let sensors = Sensors::default();
    let mut watch = GpuWatch::new(&sensors, vec!["a".into()]);
    watch.look();
    assert!(watch.is_blind());
    assert_eq!(watch.end(&[1]), (GpuState::default(), Vec::new()));
}
