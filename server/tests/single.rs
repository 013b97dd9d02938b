//! The designs on one thread: who pays for a client that takes nothing.

mod common;

use std::thread;

use common::{MUCH, flood, frame, with_design};
use server::designs::Design;
use server::limits::Limits;

#[test]
fn the_designs_over_the_machine_let_a_full_receiver_stop_only_its_senders() {
    for design in [Design::SansIo, Design::ScopedLocal, Design::Floor] {
        for &runtime in design.runtimes() {
            println!("{design} on {runtime}");
            with_design(design, runtime, 1, Limits::default(), |server| {
                let (mut receiver, sender) = (server.client(), server.client());
                let (mut alice, frame) = (server.client(), frame(receiver.id, 1000));
                let copies = MUCH / frame.len();
                thread::scope(|threads| {
                    threads.spawn(|| assert_eq!(flood(sender.socket(), &frame, copies), copies));
                    server.stands_still();
                    for _ in 0..100 {
                        alice.round_trip();
                    }
                    // The sender was only held up.
                    for _ in 0..copies {
                        assert_eq!(receiver.recv().len(), 1000);
                    }
                });
                assert_eq!(server.router.stats().dropped.get(), 0);
            });
        }
    }
}

#[test]
fn exhibit_race_and_poll_queue_without_bound_for_a_client_that_takes_nothing() {
    for design in [Design::Race, Design::Poll] {
        for &runtime in design.runtimes() {
            println!("{design} on {runtime}");
            let limits = Limits { queue_bytes: 1000, ..Limits::default() };
            with_design(design, runtime, 1, limits, |server| {
                let (receiver, mut sender) = (server.client(), server.client());
                let mut alice = server.client();
                // Nobody has to wait: all of it is taken, though nothing of it is.
                sender.send_much(receiver.id, MUCH);
                alice.round_trip();
                let stats = server.router.stats();
                let queued = stats.bytes.get() - stats.written.get();
                assert!(queued > MUCH as u64 / 2, "{queued} bytes are queued, the limit is 1000");
            });
        }
    }
}
