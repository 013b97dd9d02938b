//! Frames and ids: what clients can rely on.

mod common;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use common::{Client, MUCH, connect, deep_queues, eventually, with_server, with_workers};
use server::limits::Limits;
use server::protocol::encode;

#[test]
fn a_client_is_greeted_with_its_id_and_reached_by_it() {
    with_server(Limits::default(), |server| {
        let (mut alice, bob) = (server.client(), server.client());
        bob.send(alice.id, b"hello");
        assert_eq!(alice.recv(), b"hello");
    });
}

#[test]
fn ids_are_unique_among_live_connections() {
    with_server(Limits::default(), |server| {
        let mut clients: Vec<_> = (0..200).map(|_| server.client()).collect();
        for _ in 0..5 {
            let ids: HashSet<_> = clients.iter().map(|client| client.id).collect();
            assert_eq!(ids.len(), clients.len());
            clients.truncate(100);
            clients.reverse();
            clients.extend((0..100).map(|_| server.client()));
        }
    });
}

#[test]
fn frames_arrive_split_and_joined_in_any_way() {
    with_server(Limits::default(), |server| {
        let (mut receiver, sender) = (server.client(), server.client());
        let mut random = fastrand::Rng::with_seed(1);
        for most in [1, 2, 7, 100, 5_000, usize::MAX] {
            let payloads: Vec<Vec<u8>> = (0..if most < 7 { 30 } else { 500 })
                .map(|_| (0..random.usize(..60)).map(|_| random.u8(1..)).collect())
                .collect();
            let mut bytes = Vec::new();
            for payload in &payloads {
                encode(receiver.id, payload, &mut bytes);
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(random.usize(1..=rest.len().min(most)));
                sender.send_bytes(piece);
                rest = after;
            }
            for payload in &payloads {
                assert_eq!(receiver.recv(), *payload, "in pieces of up to {most}");
            }
        }
    });
}

#[test]
fn a_frame_is_forwarded_without_its_header_as_soon_as_it_is_complete() {
    with_server(Limits::default(), |server| {
        let (mut receiver, sender) = (server.client(), server.client());
        let mut bytes = Vec::new();
        encode(receiver.id, b"first", &mut bytes);
        encode(receiver.id, b"second", &mut bytes);
        let (now, later) = bytes.split_at(bytes.len() - 1);
        sender.send_bytes(now);
        assert_eq!(receiver.recv(), b"first");
        sender.send_bytes(later);
        assert_eq!(receiver.recv(), b"second");
    });
}

#[test]
fn order_is_kept_per_sender_and_receiver() {
    const FRAMES: usize = 2_000;
    for workers in [1, 2, 4] {
        // Small queues, so that senders wait for full receivers as well.
        let limits = Limits { queue_bytes: 2_000, ..Limits::default() };
        with_workers(workers, limits, |server| {
            let receivers: Vec<_> = (0..3).map(|_| server.client()).collect();
            let ids: Vec<_> = receivers.iter().map(|receiver| receiver.id).collect();
            thread::scope(|threads| {
                for sender in 0..4 {
                    let (client, ids) = (server.client(), &ids);
                    threads.spawn(move || {
                        let mut random = fastrand::Rng::with_seed(sender);
                        let mut bytes = Vec::new();
                        for n in 0..FRAMES {
                            for &id in ids {
                                encode(id, format!("{sender} {n}").as_bytes(), &mut bytes);
                            }
                            if random.u8(..) < 50 {
                                client.send_bytes(&std::mem::take(&mut bytes));
                            }
                        }
                        client.send_bytes(&bytes);
                        client
                    });
                }
                for mut receiver in receivers {
                    threads.spawn(move || {
                        let mut next = [0; 4];
                        for _ in 0..4 * FRAMES {
                            let text = String::from_utf8(receiver.recv()).unwrap();
                            let (sender, n) = text.split_once(' ').unwrap();
                            let sender: usize = sender.parse().unwrap();
                            assert_eq!(n.parse(), Ok(next[sender]), "from sender {sender}");
                            next[sender] += 1;
                        }
                    });
                }
            });
        });
    }
}

#[test]
fn a_frame_to_an_unknown_id_is_dropped_and_counted_and_its_sender_stays() {
    with_server(Limits::default(), |server| {
        let mut client = server.client();
        let unknown = client.id.wrapping_add(1);
        client.send(unknown, b"nobody");
        client.send(unknown, b"nobody");
        client.round_trip();
        assert_eq!(server.router.stats().dropped.get(), 2);
        assert_eq!(server.router.stats().frames.get(), 1);
    });
}

#[test]
fn a_frame_to_a_departed_id_is_dropped_and_counted_and_its_sender_stays() {
    with_server(Limits::default(), |server| {
        let (departed, mut client) = (server.client().id, server.client());
        eventually("the first client departs", || server.router.count().live == 1);
        client.send(departed, b"too late");
        client.round_trip();
        assert_eq!(server.router.stats().dropped.get(), 1);
        // Whoever comes next does not inherit the id.
        let mut next = server.client();
        client.send(departed, b"too late");
        client.send(next.id, b"in time");
        assert_eq!(next.recv(), b"in time");
    });
}

#[test]
fn a_client_may_send_to_itself() {
    with_server(Limits::default(), |server| {
        let mut client = server.client();
        for n in 0..100u32 {
            client.send(client.id, n.to_string().as_bytes());
            assert_eq!(client.recv(), n.to_string().as_bytes());
        }
    });
}

#[test]
fn a_header_may_contain_the_byte_that_ends_a_payload() {
    with_server(Limits::default(), |server| {
        let mut client = server.client();
        for id in [0, 0xff, 0xff00_0000, 0x00ff_ff00].into_iter().filter(|&id| id != client.id) {
            client.send(id, b"nobody");
        }
        client.round_trip();
        assert_eq!(server.router.stats().frames.get(), 1);
    });
}

#[test]
fn a_payload_may_be_empty_and_contain_any_other_byte() {
    with_server(Limits::default(), |server| {
        let mut client = server.client();
        let bytes: Vec<u8> = (1..=255).collect();
        client.send(client.id, b"");
        client.send(client.id, &bytes);
        client.send(client.id, b"");
        assert_eq!([client.recv(), client.recv(), client.recv()], [vec![], bytes, vec![]]);
    });
}

#[test]
fn a_frame_of_the_greatest_length_passes_and_a_longer_one_ends_that_connection_only() {
    with_server(Limits::default(), |server| {
        let (mut receiver, mut bystander) = (server.client(), server.client());
        let (legal, illegal) = (server.client(), server.client());
        let (to, longest) = (receiver.id, vec![b'x'; 1 << 20]);
        thread::scope(|threads| {
            threads.spawn(|| legal.send(to, &longest));
            assert!(receiver.recv() == longest);
        });
        // The frame that is too long is never delivered, nor what follows; what precedes it is.
        let mut bytes = Vec::new();
        encode(receiver.id, b"before", &mut bytes);
        encode(receiver.id, &[&longest[..], b"x"].concat(), &mut bytes);
        encode(receiver.id, b"after", &mut bytes);
        thread::scope(|threads| {
            threads.spawn(|| {
                // The server may close before it has read everything.
                let _ = illegal.socket().write_all(&bytes);
            });
            assert_eq!(receiver.recv(), b"before");
        });
        let mut illegal = illegal;
        assert_eq!(illegal.recv_rest(), b"");
        eventually("the connection ends", || server.router.count().live == 3);
        assert_eq!(server.router.stats().too_long.get(), 1);
        legal.send(receiver.id, b"still here");
        assert_eq!(receiver.recv(), b"still here");
        bystander.round_trip();
    });
}

#[test]
fn a_frame_that_is_too_long_ends_the_connection_before_its_end_arrives() {
    with_server(Limits { max_frame: 1000, ..Limits::default() }, |server| {
        let mut client = server.client();
        client.send_bytes(&[b'x'; 4 + 1001]);
        assert_eq!(client.recv_rest(), b"");
    });
}

#[test]
fn a_frame_longer_than_the_queue_is_delivered() {
    with_server(Limits { queue_bytes: 100, ..Limits::default() }, |server| {
        let (mut receiver, sender) = (server.client(), server.client());
        let (to, long) = (receiver.id, vec![b'x'; 300_000]);
        thread::scope(|threads| {
            threads.spawn(|| {
                for _ in 0..3 {
                    sender.send(to, b"short");
                    sender.send(to, &long);
                }
            });
            for _ in 0..3 {
                assert_eq!(receiver.recv(), b"short");
                assert!(receiver.recv() == long);
            }
        });
    });
}

#[test]
fn an_incomplete_frame_at_the_end_is_discarded() {
    with_server(Limits::default(), |server| {
        let (mut receiver, sender) = (server.client(), server.client());
        let mut bytes = Vec::new();
        encode(receiver.id, b"whole", &mut bytes);
        encode(receiver.id, b"half", &mut bytes);
        sender.send_bytes(&bytes[..bytes.len() - 1]);
        drop(sender);
        assert_eq!(receiver.recv(), b"whole");
        eventually("the sender departs", || server.router.count().live == 1);
        receiver.round_trip();
        assert_eq!(server.router.stats().frames.get(), 2);
    });
}

#[test]
fn a_client_that_closes_its_sending_side_has_departed_and_gets_what_was_queued() {
    with_server(Limits::default(), |server| {
        let (mut leaving, mut other) = (server.client(), server.client());
        let payload = vec![b'x'; 1000];
        let mut bytes = Vec::new();
        for _ in 0..200 {
            encode(leaving.id, &payload, &mut bytes);
        }
        leaving.send_bytes(&bytes);
        leaving.close_sending();
        // Nothing of it has been read yet, and the kernel may hold all of it: then it is already gone.
        let rest = leaving.recv_rest();
        assert_eq!(rest.len(), 200 * 1001);
        eventually("it departs", || server.router.count().live == 1);
        other.send(leaving.id, b"too late");
        other.round_trip();
        assert_eq!(server.router.stats().dropped.get(), 1);
    });
}

#[test]
fn a_client_that_has_closed_its_sending_side_has_limited_time_to_take_what_is_queued() {
    const STALL: Duration = Duration::from_secs(2);
    // On a machine so loaded that filling the queue takes long, another attempt decides.
    for _ in 0..10 {
        let filled = with_server(Limits { stall_timeout: STALL, ..deep_queues() }, |server| {
            let (leaving, mut other) = (server.client(), server.client());
            let started = Instant::now();
            other.send_much(leaving.id, MUCH);
            leaving.close_sending();
            let filled = started.elapsed();
            // It takes a little all the time, so that it does not stall, but would need much longer for all.
            let (mut got, mut space) = (0, vec![0; 64 << 10]);
            loop {
                match leaving.socket().read(&mut space) {
                    Ok(0) => break,
                    Ok(n) => got += n,
                    Err(error) if common::closed(&error) => break,
                    Err(error) => panic!("{error}"),
                }
                // Until the server has ended the connection; then what the kernel still has.
                if server.router.count().live == 2 {
                    thread::sleep(Duration::from_millis(50));
                }
            }
            eventually("it departs", || server.router.count().live == 1);
            if filled < STALL / 4 {
                assert!(got < MUCH / 1005 * 1001);
                assert_eq!(server.router.stats().stalls.get(), 0);
            }
            filled
        });
        if filled.iter().all(|filled| *filled < STALL / 4) {
            return;
        }
    }
}

#[test]
fn a_reset_connection_ends_and_frees_its_place() {
    with_server(Limits { max_connections: 1, ..Limits::default() }, |server| {
        for _ in 0..20 {
            let socket = connect(server.addr);
            // Closing with input unread resets the connection.
            assert_eq!(socket.peek(&mut [0; 4]).expect("the server greets"), 4);
            drop(socket);
            eventually("it ends", || server.router.count().live == 0);
        }
    });
}

#[test]
fn at_the_limit_of_connections_the_next_one_waits_for_a_place() {
    with_server(Limits { max_connections: 2, ..Limits::default() }, |server| {
        let (first, mut second) = (server.client(), server.client());
        let mut third = connect(server.addr);
        second.round_trip();
        third.set_nonblocking(true).unwrap();
        let early = third.read(&mut [0; 4]).unwrap_err();
        assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
        assert_eq!(server.router.count().live, 2);
        third.set_nonblocking(false).unwrap();
        drop(first);
        let mut third = Client::greeted(third);
        third.round_trip();
    });
}

#[test]
fn clients_that_come_and_go_leave_nothing_behind() {
    with_server(Limits { max_connections: 8, ..Limits::default() }, |server| {
        thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for n in 0..100 {
                        let mut client = server.client();
                        client.round_trip();
                        if n % 2 == 0 {
                            client.close_sending();
                            assert_eq!(client.recv_rest(), b"");
                        }
                    }
                });
            }
        });
        eventually("all have departed", || server.router.count().live == 0);
        assert_eq!(server.router.stats().connections.get(), 400);
        assert_eq!(server.router.count().departed, 400);
        assert_eq!(server.router.queued_bytes(), 0);
    });
}
