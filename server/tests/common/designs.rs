//! Every design on every runtime, and what many of their tests begin with.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use server::designs::Design;
use server::limits::Limits;

use super::{Client, MUCH, Server, eventually, flood, frame, with_design};

/// Runs `test` with every design for which `which` holds, on every runtime.
#[track_caller]
pub fn each(which: impl Fn(Design) -> bool, limits: Limits, test: impl Fn(&Server<'_>)) {
    let mut cases = 0;
    for &design in Design::value_variants().iter().filter(|design| which(**design)) {
        for &runtime in design.runtimes() {
            // Shown if the test fails.
            println!("{design} on {runtime}");
            with_design(design, runtime, 2, limits, &test);
            cases += 1;
        }
    }
    assert!(cases > 0, "no such design");
}

pub fn all(_: Design) -> bool {
    true
}

/// Those that serve a second client while the first is silent.
pub fn many_clients(design: Design) -> bool {
    design != Design::MutexDeadlock
}

/// Beside `test`, a client sends to one that takes nothing, more than the kernel takes; a third one is there.
pub fn with_full_receiver(server: &Server<'_>, test: impl FnOnce(Client, &Client)) {
    let (receiver, sender) = (server.client(), server.client());
    let frame = frame(receiver.id, 1000);
    let over = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| {
            flood(sender.socket(), &frame, MUCH / frame.len());
            over.store(true, Ordering::Relaxed);
        });
        let stats = server.router.stats();
        let mut before = 0;
        eventually("the receiver is full", || {
            let written = std::mem::replace(&mut before, stats.written.get());
            thread::sleep(Duration::from_millis(100));
            over.load(Ordering::Relaxed) || (written > 0 && written == stats.written.get())
        });
        test(receiver, &sender);
        // Ends the flood if nothing has.
        let _ = sender.socket().shutdown(std::net::Shutdown::Both);
    });
}
