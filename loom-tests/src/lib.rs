//! Models of the runtime's shipped code under [loom], the bugs they catch, and the mutants of its orderings.
//!
//! `README.md` beside this package says how to run them and how to read what they say.
//!
//! - `models`: one file per protocol (under `cfg(loom)` only)
//! - `schedules`: larger programs for random schedules (under `cfg(shuttle)` only)
//! - [`mutant`]: the orderings, each weaker than it is written
//! - [`seed`]: a bug seeded at one operation of the runtime, found by its source text
//! - [`bugs`]: the seeds that several models and programs have in common
//! - [`source`]: the runtime's sources, as text
//! - [`child`]: one model in a process of its own
//!
//! [loom]: https://docs.rs/loom

pub mod bugs;
pub mod child;
#[cfg(loom)]
pub mod models;
pub mod mutant;
#[cfg(shuttle)]
pub mod schedules;
pub mod seed;
pub mod source;
