//! Repeats with real processes: honest workers, every kind of bad one, and a harness that is killed.

mod launch {
    mod ending;
    mod guard;
    mod honest;
    mod lie;
    mod script;
}
