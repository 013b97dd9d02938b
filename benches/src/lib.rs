//! The same work on treescope and on its peers, in one interleaved run.
//!
//! - [`works`]: what is done, one file each, written once per runtime in that runtime's own idiom.
//! - [`runtimes`]: how each runtime is started, one file each.
//! - [`harness`]: who runs when, and what becomes of the times.
//!
//! `benches/README.md` says how to run it and how to read what it prints.
#![forbid(unsafe_code)]

pub mod callgrind;
pub mod client;
pub mod harness;
pub mod machine;
pub mod probes;
pub mod process;
pub mod runtimes;
pub mod works;
