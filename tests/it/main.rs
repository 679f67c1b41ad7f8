//! Whole-program tests: the real binary, real processes, real files.

mod compare;
mod files;
mod interrupts;
mod kills;
mod misbehaviour;
mod probe;
mod program;
mod readme;
mod resume;
mod shipped;
mod tree;
