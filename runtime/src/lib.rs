//! placeholder
mod context;
mod driver;
#[cfg(not(loom))]
pub mod net;
mod sched;
#[cfg(not(loom))]
pub mod signal;
mod sync;
pub mod time;
