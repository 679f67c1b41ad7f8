//! Whole-program tests: the real binary, real processes, real files.

mod compare;
mod comparison;
mod declared;
mod files;
mod flavours;
mod gpus;
mod interrupts;
mod kills;
mod misbehaviour;
mod noise;
mod probe;
mod program;
mod readme;
mod resume;
mod sequences;
mod shipped;
mod tree;
