//! async-task's own sources with loom's or shuttle's atomics in place of `core`'s, for the checkers only.
//!
//! Nothing of async-task is kept here: `build.rs` reads the sources that cargo resolved for the pinned version, swaps
//! what the checker must see, and this file includes the result. Without `cfg(loom)` or `cfg(shuttle)` the crate is empty.
#![no_std]
#![allow(missing_docs, unexpected_cfgs, unused, unreachable_pub, rust_2018_idioms, clippy::all)]
#[cfg(any(loom, shuttle))]
include!(concat!(env!("OUT_DIR"), "/async_task.rs"));
