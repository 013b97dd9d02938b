//! Clients send something and leave at once, in order and not. Does all of it arrive? What does the server do about it
//! in the time after? It should be nothing.

use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use socket2::SockRef;

use super::client::{Client, PATIENCE};
use super::{Bench, Seen};
use crate::compare::process::Server;
use crate::compare::usage::Usage;

/// How many leave at a time.
const LEAVING: usize = 5;

/// What each of them sends: so little that its system has handed over all of it when it resets the connection.
const FRAMES: usize = 100;
const PAYLOAD: usize = 64;

/// What has not arrived when nothing has for so long does not.
const SILENCE: Duration = Duration::from_millis(500);

/// What was seen.
#[derive(Debug, Serialize)]
pub(in super::super) struct Leaving {
    /// Frames that clients had sent before they closed, and as many before others reset.
    pub(in super::super) sent: usize,
    /// Those of them that did not arrive when clients closed.
    pub(in super::super) lost_by_close: usize,
    /// And when they reset their connections.
    pub(in super::super) lost_by_reset: usize,
    /// Processor time, in % of one processor, in the second after clients had closed and what they had sent had arrived.
    pub(in super::super) busy_after_close: f64,
    /// The same after clients had reset their connections.
    pub(in super::super) busy_after_reset: f64,
    /// Whether those who stayed can still talk to each other.
    pub(in super::super) others_talk: bool,
}

pub(super) fn run(bench: &Bench<'_>) -> Seen<Leaving> {
    let server = bench.server(&[])?;
    let (mut one, mut other) = (Client::connect(server.addr, 0)?, Client::connect(server.addr, 1)?);
    let crowd = |from: usize| -> Seen<Vec<Client>> {
        (from..from + LEAVING).map(|n| Client::connect(server.addr, n)).collect()
    };
    let (closing, resetting) = (crowd(2)?, crowd(2 + LEAVING)?);
    let mut receiver = Client::connect(server.addr, 2 + 2 * LEAVING)?;
    for mut client in closing {
        client.send(receiver.id, FRAMES, PAYLOAD)?;
    }
    let sent = LEAVING * FRAMES;
    let lost_by_close = sent - receiver.count(sent, SILENCE, PATIENCE).min(sent);
    let busy_after_close = busy(bench, &server)?;
    for mut client in resetting {
        // Closed with this, a socket sends a reset instead of an end.
        let lingering = SockRef::from(&client.socket).set_linger(Some(Duration::ZERO));
        lingering.map_err(|error| error.to_string())?;
        client.send(receiver.id, FRAMES, PAYLOAD)?;
    }
    let lost_by_reset = sent - receiver.count(sent, SILENCE, PATIENCE).min(sent);
    let busy_after_reset = busy(bench, &server)?;
    let others_talk = one.ping(&mut other, b"still here?").is_some();
    Ok(Leaving { sent, lost_by_close, lost_by_reset, busy_after_close, busy_after_reset, others_talk })
}

/// What the server uses from now on, for a second, or a part of one in a quick run.
fn busy(bench: &Bench<'_>, server: &Server) -> Seen<f64> {
    let time = Duration::from_millis(if bench.extent.quick { 250 } else { 1000 });
    let used = || Usage::of(server.pid()).ok_or("the server died");
    let (before, began) = (used()?, Instant::now());
    thread::sleep(time);
    let spent = used()?.since(before).cpu;
    Ok(100.0 * spent.as_secs_f64() / began.elapsed().as_secs_f64())
}
