//! A root that hangs ends the test process, with a message, instead of the patience of whoever runs it.

use std::io::{Write, stderr};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How long a root may take, in seconds; `TREESCOPE_PATIENCE` sets another limit, for slow tools.
const PATIENCE: u64 = 60;

/// Runs `attack`, and aborts the process if that takes longer than a minute.
pub(crate) fn watched<R>(attack: impl FnOnce() -> R) -> R {
    let patience = std::env::var("TREESCOPE_PATIENCE").ok().and_then(|text| text.parse().ok());
    let patience = Duration::from_secs(patience.unwrap_or(PATIENCE));
    let test = thread::current().name().unwrap_or("a test").to_owned();
    // The sender goes away with this frame, however it ends.
    let (_alive, watch) = channel::<()>();
    thread::spawn(move || {
        if watch.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            // Not `eprintln!`, which the test harness would keep to itself.
            let _ = writeln!(stderr(), "`{test}` hung for {} s", patience.as_secs());
            std::process::abort();
        }
    });
    attack()
}
