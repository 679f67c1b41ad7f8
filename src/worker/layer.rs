//! Custom operations with their gradients.
