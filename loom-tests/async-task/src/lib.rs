//! async-task's own sources with loom's atomics in place of `core`'s, for the models only.
//!
//! Nothing of async-task is kept here: `build.rs` reads the sources that cargo resolved for the pinned version, swaps
//! what loom must see, and this file includes the result. Without `cfg(loom)` the crate is empty.
#![no_std]
#![allow(missing_docs, unexpected_cfgs, unused, unreachable_pub, rust_2018_idioms, clippy::all)]
#[cfg(loom)]
include!(concat!(env!("OUT_DIR"), "/async_task.rs"));
