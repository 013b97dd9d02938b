//! Memory under flood. A test binary of its own, for it measures its own process.
#![cfg(target_os = "linux")]

mod common;

use std::thread;

use common::{flood, frame, with_server};
use server::limits::Limits;

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

#[test]
fn memory_stays_bounded_while_clients_flood_those_who_take_nothing() {
    const PAIRS: usize = 16;
    let limits = Limits { queue_bytes: 64 << 10, max_frame: 64 << 10, ..Limits::default() };
    with_server(limits, |server| {
        let receivers: Vec<_> = (0..PAIRS).map(|_| server.client()).collect();
        let senders: Vec<_> = (0..PAIRS).map(|_| server.client()).collect();
        let before = resident();
        thread::scope(|threads| {
            for (sender, receiver) in senders.iter().zip(&receivers) {
                let frame = frame(receiver.id, 50_000);
                // 1 GiB in all, if the server took it.
                threads.spawn(move || flood(sender.socket(), &frame, (1 << 30) / PAIRS / frame.len()));
            }
            server.stands_still();
            // The receivers' queues and nothing else: greetings are out.
            assert!(server.router.queued_bytes() <= PAIRS * limits.queue_bytes);
            // What the documentation of `Limits` allows, and a mebibyte for the test itself.
            let input = limits.max_frame + 5 + (64 << 10);
            let output = 2 * limits.queue_bytes.max(limits.max_frame + 1);
            let bound = 2 * PAIRS * (input + output) + (1 << 20);
            let grown = resident().saturating_sub(before);
            assert!(grown < bound, "grown by {grown} bytes, which exceeds {bound}");
            server.stop();
            server.stop();
        });
    });
}
