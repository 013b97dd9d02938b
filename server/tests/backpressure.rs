//! Receivers that are slow, and who notices.

mod common;

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use common::{Client, MUCH, Server, connect, eventually, flood, frame, with_server};
use server::limits::Limits;

/// Beside `test`, a client sends so much to one that takes nothing that the server makes it wait.
fn with_full_receiver<R>(limits: Limits, test: impl Fn(&Server<'_>, Client) -> R) -> Vec<R> {
    with_server(limits, |server| {
        let (receiver, sender) = (server.client(), server.client());
        let frame = frame(receiver.id, 1000);
        thread::scope(|threads| {
            threads.spawn(|| flood(sender.socket(), &frame, MUCH / frame.len()));
            server.stands_still();
            test(server, receiver)
        })
    })
}

#[test]
fn small_frames_leave_together() {
    const FRAMES: usize = 20_000;
    with_server(Limits::default(), |server| {
        let (mut receiver, sender) = (server.client(), server.client());
        let (to, stats) = (receiver.id, server.router.stats());
        thread::scope(|threads| {
            threads.spawn(|| flood(sender.socket(), &frame(to, 10), FRAMES));
            for _ in 0..FRAMES {
                assert_eq!(receiver.recv(), b"xxxxxxxxxx");
            }
        });
        let writes = stats.writes.get();
        assert_eq!(stats.frames.get(), FRAMES as u64);
        assert!(writes < FRAMES as u64 / 20, "{writes} writes for {FRAMES} frames");
    });
}

#[test]
fn only_those_who_send_to_a_full_receiver_wait() {
    with_full_receiver(Limits::default(), |server, mut receiver| {
        let (mut alice, mut bob) = (server.client(), server.client());
        for _ in 0..1000 {
            alice.send(bob.id, b"ping");
            assert_eq!(bob.recv(), b"ping");
            bob.send(alice.id, b"pong");
            assert_eq!(alice.recv(), b"pong");
        }
        // One that has joined in sending to the full receiver waits with its next frames as well, and
        // another one that has not is still served.
        alice.send(receiver.id, b"last");
        bob.round_trip();
        // When the receiver takes what is there everything arrives.
        let frames = MUCH / (1000 + 5);
        let mut last = 0;
        for _ in 0..frames + 1 {
            let len = receiver.recv().len();
            assert!(len == 1000 || len == 4);
            last += usize::from(len == 4);
        }
        assert_eq!(last, 1);
        alice.round_trip();
    });
}

#[test]
fn a_receiver_that_takes_nothing_is_disconnected_and_those_who_wait_for_it_go_on() {
    let limits = Limits { stall_timeout: Duration::from_millis(300), ..Limits::default() };
    with_server(limits, |server| {
        let (mut receiver, mut bystander) = (server.client(), server.client());
        let mut sender = server.client();
        let frame = frame(receiver.id, 1000);
        let copies = MUCH / frame.len();
        // Returns only because the server goes on reading from this sender.
        assert_eq!(flood(sender.socket(), &frame, copies), copies);
        sender.round_trip();
        bystander.round_trip();
        let stats = server.router.stats();
        assert_eq!(stats.stalls.get(), 1);
        assert!(stats.dropped.get() > 0);
        assert_eq!(stats.dropped.get() + stats.frames.get(), copies as u64 + 2);
        // Its frames are dropped from the moment it is sent away; its connection takes a moment more to end.
        eventually("the receiver's connection ends", || server.router.count().live == 2);
        // What the kernel had taken arrives, then the end.
        let rest = receiver.recv_rest();
        assert!(!rest.is_empty() && rest.len() < MUCH);
    });
}

#[test]
fn a_receiver_that_takes_a_little_now_and_then_stays() {
    const STALL: Duration = Duration::from_secs(1);
    let limits = Limits { stall_timeout: STALL, ..Limits::default() };
    // On a machine so loaded that this receiver itself pauses for too long, another attempt decides.
    for _ in 0..10 {
        let seen = with_full_receiver(limits, |server, receiver| {
            let (started, mut before) = (Instant::now(), Instant::now());
            let mut longest = Duration::ZERO;
            // So little that the kernel does not report room within the time: that takes a third of its buffer.
            let mut space = vec![0; 32 << 10];
            while started.elapsed() < 3 * STALL {
                thread::sleep(Duration::from_millis(50));
                receiver.socket().read_exact(&mut space).unwrap();
                longest = longest.max(before.elapsed());
                before = Instant::now();
            }
            let stalls = server.router.stats().stalls.get();
            // Ends the flood.
            server.stop();
            server.stop();
            (longest, stalls)
        });
        if seen.iter().all(|(longest, _)| *longest < STALL / 4) {
            assert!(seen.iter().all(|(_, stalls)| *stalls == 0));
            return;
        }
    }
}

#[test]
fn a_client_that_sends_to_itself_and_reads_later_waits_for_itself_only() {
    with_server(Limits::default(), |server| {
        let (mut narcissus, mut other) = (server.client(), server.client());
        let frame = frame(narcissus.id, 1000);
        let copies = MUCH / frame.len();
        let socket = narcissus.socket().try_clone().unwrap();
        thread::scope(|threads| {
            threads.spawn(|| assert_eq!(flood(&socket, &frame, copies), copies));
            server.stands_still();
            other.round_trip();
            for _ in 0..copies {
                assert_eq!(narcissus.recv().len(), 1000);
            }
        });
    });
}

#[test]
fn a_sender_that_waits_and_disconnects_has_its_complete_frames_delivered() {
    with_server(Limits::default(), |server| {
        let mut receiver = server.client();
        let frame = frame(receiver.id, 1000);
        let copies = MUCH / 2 / frame.len();
        let sender = server.client();
        thread::scope(|threads| {
            threads.spawn(|| {
                assert_eq!(flood(sender.socket(), &frame, copies), copies);
                sender.close_sending();
            });
            server.stands_still();
            for _ in 0..copies {
                assert_eq!(receiver.recv().len(), 1000);
            }
        });
    });
}

#[test]
fn a_full_receiver_that_resets_releases_those_who_wait() {
    with_full_receiver(Limits::default(), |server, receiver| {
        // Its input is unread: closing resets. The server finds out by writing or by reading.
        drop(receiver);
        eventually("only the sender is left", || server.router.count().live == 1);
        eventually("the flood is taken", || server.router.stats().dropped.get() > 0);
    });
}

#[test]
fn many_senders_to_a_full_receiver_are_all_served() {
    const SENDERS: usize = 20;
    const FRAMES: usize = 500;
    with_server(Limits { queue_bytes: 4 << 10, ..Limits::default() }, |server| {
        let mut receiver = server.client();
        let frame = frame(receiver.id, 1000);
        thread::scope(|threads| {
            for _ in 0..SENDERS {
                let (client, frame) = (server.client(), &frame);
                threads.spawn(move || {
                    assert_eq!(flood(client.socket(), frame, FRAMES), FRAMES);
                    client
                });
            }
            for _ in 0..SENDERS * FRAMES {
                assert_eq!(receiver.recv().len(), 1000);
            }
        });
        assert_eq!(server.router.stats().dropped.get(), 0);
    });
}

#[test]
fn connections_that_say_nothing_and_take_nothing_cost_nobody_anything() {
    with_server(Limits::default(), |server| {
        let silent: Vec<_> = (0..100).map(|_| connect(server.addr)).collect();
        let mut client = server.client();
        for _ in 0..100 {
            client.round_trip();
        }
        assert_eq!(server.router.count().live, 101);
        for mut socket in silent {
            socket.read_exact(&mut [0; 4]).unwrap();
        }
    });
}
