//! Pages about the whole, whose examples are compiled and run with the crate's tests.

#[doc = include_str!("../docs/grammar.md")]
pub mod grammar {}

#[doc = include_str!("../docs/cancellation-safety.md")]
pub mod cancellation_safety {}
