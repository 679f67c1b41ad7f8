//! Repeats with real processes: honest workers and servers, every kind of bad one, and a harness that is killed.

mod launch {
    mod cluster;
    mod ending;
    mod guard;
    mod honest;
    mod lie;
    mod probe;
    mod script;
}
