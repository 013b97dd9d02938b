//! Handlers that cost something, for measurements.

use std::hint;
use std::time::{Duration, Instant};

/// Keeps the thread busy for `time` with each of so many frames.
pub fn spin(time: Duration, frames: usize) {
    if time.is_zero() || frames == 0 {
        return;
    }
    let time = time.saturating_mul(u32::try_from(frames).unwrap_or(u32::MAX));
    let start = Instant::now();
    while start.elapsed() < time {
        hint::spin_loop();
    }
}
