//! xrun runs the training experiment that one TOML file declares, and says why it scales or not.
//!
//! # The way of an experiment
//!
//! ```text
//! file ─► spec ─► plan ─► flavour ─► launch ═► worker processes ═► launch ─► table ─► analysis ─► chart, report
//! (TOML)  Experiment Cells  Program    Job          events         Repeat     CSV      Summary     SVG, PNG, text
//! ```
//!
//! The harness (left and right of the double arrows) and the workers (between them) are one program.
//! `xrun FILE` starts itself as `xrun worker` for each role of a repeat, hands it a
//! [`Job`](protocol::Job), and listens to its [`Event`](protocol::Event)s.
//!
//! # Map, in reading order
//!
//! | module | what it is |
//! |---|---|
//! | [`commands`] | the recipes; **start reading here** |
//! | [`units`], [`terms`], [`stats`] | the vocabulary: quantities, closed sets of words, medians and intervals |
//! | [`machine`] | what hardware is here, and what else goes on in it |
//! | [`spec`] | a TOML file with its layers becomes a checked `Experiment`, or all its problems at once |
//! | [`plan`] | an `Experiment` becomes frozen, ordered cells; pure |
//! | [`flavour`] | the programs that train: built, kept, and asked what they are |
//! | [`protocol`] | what harness and worker say to each other |
//! | [`launch`] | one repeat as a set of processes: the only asynchronous code |
//! | [`worker`] | a side branch: models, layers, inputs, topologies, and the one step loop |
//! | [`table`] | rows: append, read back, resume |
//! | [`analysis`] | rows become summaries, speedups and the sentence that says why; pure |
//! | [`chart`] | summaries become figures, figures become pictures |
//! | [`cli`] | the command line as types |
//!
//! A module imports only from above it in this list, [`commands`] from all. A test holds the tree
//! against it.
//!
//! # Invariants
//!
//! 1. The harness never computes, the worker never schedules: it knows a `Job`, no TOML, no sweep.
//! 2. Everything right of the CSV is a pure function of one result folder, and a comparison of the folders
//!    of one experiment: `xrun plot` runs nothing and reads nothing else.
//! 3. Same file, same cells, same ids on every machine; same seed, same order.
//! 4. A failing cell is a row. Only a broken file, a full disk or a bug ends a run.
//! 5. One repeat at a time on a machine; a fresh set of processes for each; a core set for each replica.
//! 6. Every wait has a bound. A timeout, Ctrl-C or the death of the harness ends the whole process
//!    group of every worker. What starts a session of its own escapes, and only that.
//! 7. Clocks for measurement are read in one place, [`worker::clock`], after the device is synchronised. On a
//!    GPU that is once for a window of steps, whose phases are told by events on its queue.
//! 8. Parameters and gradients travel in name order; gradients that leave while the backward pass goes
//!    on, in the order in which it makes them.
//! 9. Topology does not change the mathematics: replicas that share a global batch end with the
//!    parameters of one replica that has all of it, within rounding.
//! 10. One step loop. A topology between processes is one implementation of
//!     [`worker::exchange::Exchange`]; replicas of one process are members of a
//!     [`group`](worker::exchange::group).
//! 11. The worker proves what it did: the cores or the GPU of each replica, the examples it counted, bytes
//!     exchanged, first and last loss, a digest of the parameters. A timing whose work was not done is
//!     `wrong-result`.
//! 12. No thread pool is shared between replicas. Each has a rayon pool of pinned threads in which all
//!     of its work on the host runs. Candle's own pool, one for the whole process, is never used.
//! 13. One place, [`worker::gpu`], knows whether the program was built for GPUs. The harness never needs it: it
//!     asks NVML what GPUs there are, and the program what it was built for.

pub mod stats;
pub mod terms;
pub mod units;

pub mod flavour;
pub mod launch;
pub mod machine;
pub mod plan;
pub mod protocol;
pub mod spec;

pub mod worker;

pub mod table;

pub mod analysis;
pub mod chart;

pub mod cli;
pub mod commands;
