//! The server is told to stop with work queued: a client has sent what its receiver, who begins to read only
//! then, has not taken. What arrives, how does the server end, and when?

use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::client::{Client, Flooder, PATIENCE};
use super::{Bench, Seen};

/// How many frames of how many bytes: 7.67 MiB with their headers, more than the kernel holds and less than the server may queue.
const FRAMES: usize = 8_000;
const PAYLOAD: usize = 1_000;

/// Those who send get so long to send it all.
const SETTLED: Duration = Duration::from_millis(500);

/// How long after its grace of two seconds a server may take.
const LONGEST: Duration = Duration::from_secs(5);

/// What was seen.
#[derive(Debug, Serialize)]
pub(in super::super) struct Stopped {
    /// Frames that the sender's socket had taken.
    pub(in super::super) sent: usize,
    /// Frames that arrived whole.
    pub(in super::super) arrived: usize,
    /// The exit code, or what ended it instead.
    pub(in super::super) exit: String,
    /// From being told to having ended.
    pub(in super::super) ms: f64,
}

pub(super) fn run(bench: &Bench<'_>) -> Seen<Stopped> {
    let mut server = bench.server(&["--grace", "2s", "--queue-bytes", "64MiB"])?;
    let (mut receiver, sender) = (Client::connect(server.addr, 0)?, Client::connect(server.addr, 1)?);
    let mut flooder = Flooder::new(sender, receiver.id, PAYLOAD)?;
    let all = FRAMES * (PAYLOAD + 5);
    while flooder.sent < all && flooder.blocked_for() < SETTLED {
        if flooder.push(all - flooder.sent) == 0 {
            thread::sleep(Duration::from_millis(5));
        }
    }
    // What was sent also gets the time to be read.
    thread::sleep(SETTLED / 2);
    server.terminate()?;
    let told = Instant::now();
    let reading = thread::spawn(move || receiver.count(usize::MAX, LONGEST, LONGEST + PATIENCE));
    let status = server.ended(LONGEST);
    let ms = told.elapsed().as_secs_f64() * 1e3;
    // A killed server's connections end, so the count does.
    drop(server);
    let arrived = reading.join().unwrap_or(0);
    let exit = match status {
        None => format!("killed after {LONGEST:?}"),
        Some(status) => status.code().map_or_else(|| status.to_string(), |code| code.to_string()),
    };
    Ok(Stopped { sent: flooder.whole_frames(), arrived, exit, ms })
}
