//! What every design does, on every runtime that it runs on. `exhibits.rs` has what is wrong with some.
#![cfg(target_os = "linux")]

mod common;

use std::collections::HashSet;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use common::designs::{all, each, many_clients, with_full_receiver};
use common::program::{Program, cpu_ticks};
use common::{Client, PATIENCE, connect, eventually, frame};
use server::designs::Design;
use server::limits::Limits;
use server::protocol::encode;

#[test]
fn a_client_is_greeted_and_gets_what_it_sends_to_itself() {
    each(all, Limits::default(), |server| {
        let mut client = server.client();
        for n in 0..100 {
            client.send(client.id, format!("message {n}").as_bytes());
            assert_eq!(client.recv(), format!("message {n}").as_bytes());
        }
        client.send(client.id, b"");
        assert_eq!(client.recv(), b"");
    });
}

#[test]
fn ids_are_unique_among_live_clients() {
    each(many_clients, Limits::default(), |server| {
        let clients: Vec<_> = (0..50).map(|_| server.client()).collect();
        let ids: HashSet<_> = clients.iter().map(|client| client.id).collect();
        assert_eq!(ids.len(), clients.len());
        assert_eq!(server.router.count().live, clients.len());
    });
}

#[test]
fn frames_arrive_in_order_from_each_sender_to_each_receiver() {
    const CLIENTS: usize = 3;
    const FRAMES: usize = 200;
    each(many_clients, Limits::default(), |server| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| server.client()).collect();
        let ids: Vec<_> = clients.iter().map(|client| client.id).collect();
        thread::scope(|threads| {
            for (sender, mut client) in clients.into_iter().enumerate() {
                let (ids, socket) = (&ids, client.socket().try_clone().unwrap());
                threads.spawn(move || {
                    let mut bytes = Vec::new();
                    for n in 0..FRAMES {
                        for &id in ids {
                            encode(id, format!("{sender} {n}").as_bytes(), &mut bytes);
                        }
                        if n % 7 == 0 {
                            (&socket).write_all(&std::mem::take(&mut bytes)).unwrap();
                        }
                    }
                    (&socket).write_all(&bytes).unwrap();
                });
                threads.spawn(move || {
                    let mut next = [0; CLIENTS];
                    for _ in 0..CLIENTS * FRAMES {
                        let text = String::from_utf8(client.recv()).unwrap();
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

#[test]
fn frames_arrive_split_and_joined_in_any_way() {
    each(all, Limits::default(), |server| {
        let mut client = server.client();
        let mut random = fastrand::Rng::with_seed(1);
        for most in [1, 7, 100, usize::MAX] {
            let payloads: Vec<Vec<u8>> = (0..if most < 100 { 10 } else { 100 })
                .map(|_| (0..random.usize(..60)).map(|_| random.u8(1..)).collect())
                .collect();
            let mut bytes = Vec::new();
            for payload in &payloads {
                encode(client.id, payload, &mut bytes);
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(random.usize(1..=rest.len().min(most)));
                client.send_bytes(piece);
                rest = after;
            }
            for payload in &payloads {
                assert_eq!(client.recv(), *payload, "in pieces of up to {most}");
            }
        }
    });
}

#[test]
fn a_frame_to_an_unknown_id_is_dropped_and_its_sender_stays() {
    each(all, Limits::default(), |server| {
        let mut client = server.client();
        client.send(client.id.wrapping_add(1), b"nobody");
        client.send(client.id.wrapping_add(1), b"nobody");
        client.round_trip();
        eventually("they are counted", || server.router.stats().dropped.get() == 2);
        eventually("so is the other one", || server.router.stats().frames.get() == 1);
    });
}

#[test]
fn a_client_that_leaves_frees_its_id_and_its_place() {
    each(all, Limits { max_connections: 1, ..Limits::default() }, |server| {
        for n in 0..10 {
            let mut client = server.client();
            client.round_trip();
            if n % 2 == 0 {
                // What it sent before it left arrives.
                client.send(client.id, b"last");
                client.close_sending();
                let rest = client.recv_rest();
                assert!(rest == b"last\0" || rest.is_empty(), "{rest:?}");
            }
            drop(client);
            eventually("it departs", || server.router.count().live == 0);
        }
        assert_eq!(server.router.count().departed, 10);
    });
}

#[test]
fn a_frame_to_a_client_that_has_left_is_dropped_and_its_sender_stays() {
    each(many_clients, Limits::default(), |server| {
        let (departed, mut client) = (server.client().id, server.client());
        eventually("it departs", || server.router.count().live == 1);
        client.send(departed, b"too late");
        client.round_trip();
        eventually("it is counted", || server.router.stats().dropped.get() == 1);
    });
}

#[test]
fn a_reset_ends_only_that_connection() {
    each(many_clients, Limits::default(), |server| {
        let mut bystander = server.client();
        for _ in 0..5 {
            let socket = connect(server.addr);
            // Closing with input unread resets the connection.
            assert_eq!(socket.peek(&mut [0; 4]).expect("the server greets"), 4);
            drop(socket);
            eventually("it ends", || server.router.count().live == 1);
        }
        bystander.round_trip();
    });
}

#[test]
fn a_frame_that_is_too_long_ends_only_the_connection_that_sends_it() {
    each(many_clients, Limits { max_frame: 1000, ..Limits::default() }, |server| {
        let (mut receiver, mut sender) = (server.client(), server.client());
        let mut bytes = frame(receiver.id, 1000);
        bytes.extend(frame(receiver.id, 1001));
        sender.send_bytes(&bytes);
        assert_eq!(receiver.recv().len(), 1000);
        assert_eq!(sender.recv_rest(), b"");
        eventually("the connection ends", || server.router.count().live == 1);
        assert_eq!(server.router.stats().too_long.get(), 1);
        receiver.round_trip();
    });
}

#[test]
fn at_the_limit_of_connections_the_next_one_waits_for_a_place() {
    each(many_clients, Limits { max_connections: 2, ..Limits::default() }, |server| {
        let (first, mut second) = (server.client(), server.client());
        let third = connect(server.addr);
        second.round_trip();
        assert_eq!(server.router.count().live, 2);
        drop(first);
        Client::greeted(third).round_trip();
    });
}

#[test]
fn handlers_take_as_long_as_they_are_told_to() {
    let work = Duration::from_millis(5);
    each(all, Limits { work, ..Limits::default() }, |server| {
        let (mut client, started) = (server.client(), Instant::now());
        for n in 1..=5 {
            client.round_trip();
            assert!(started.elapsed() >= n * work);
        }
        // Joined, they take as long.
        client.send_bytes(&frame(client.id, 10).repeat(5));
        for n in 6..=10 {
            assert_eq!(client.recv().len(), 10);
            assert!(started.elapsed() >= n * work);
        }
    });
}

/// `with_design` checks that no task is left.
#[test]
fn a_server_that_is_told_to_stop_ends_with_all_its_tasks() {
    each(all, Limits { grace: PATIENCE / 2, ..Limits::default() }, |server| {
        let mut first = server.client();
        first.round_trip();
        let _others: Vec<_> = (0..3).map(|_| connect(server.addr)).collect();
        server.stop();
        server.ended();
        assert_eq!(first.recv_rest(), b"");
    });
}

#[test]
fn a_server_that_is_told_twice_ends_at_once_whoever_takes_nothing() {
    let limits = Limits { grace: PATIENCE * 100, stall_timeout: PATIENCE * 100, ..Limits::default() };
    each(many_clients, limits, |server| {
        with_full_receiver(server, |_, _| {
            server.stop();
            server.stop();
            server.ended();
        });
    });
}

#[test]
fn a_server_that_is_told_to_stop_waits_for_a_full_receiver_no_longer_than_the_grace() {
    let limits =
        Limits { grace: Duration::from_millis(50), stall_timeout: PATIENCE * 100, ..Limits::default() };
    each(many_clients, limits, |server| {
        with_full_receiver(server, |receiver, _| {
            server.stop();
            server.ended();
            drop(receiver);
        });
    });
}

/// In processes of their own, for their processors' time is measured; all at once, for it takes a second.
#[test]
fn clients_that_have_left_cost_nothing_and_sigterm_ends_every_design_with_0() {
    let (mut programs, mut half_open) = (Vec::new(), Vec::new());
    for design in Design::value_variants() {
        for runtime in design.runtimes() {
            let (design, runtime) = (design.to_string(), runtime.to_string());
            let program = Program::serve(&["--design", &design, "--runtime", &runtime, "--workers", "2"]);
            for _ in 0..3 {
                program.client().round_trip();
                let mut half_closed = program.client();
                half_closed.round_trip();
                half_closed.close_sending();
                half_open.push(half_closed);
            }
            programs.push((format!("{design} on {runtime}"), cpu_ticks(&program.process), program));
        }
    }
    let since = Instant::now();
    thread::sleep(Duration::from_secs(1));
    for (case, before, program) in programs {
        let (used, elapsed) = (cpu_ticks(&program.process) - before, since.elapsed());
        // A tick is 10 ms.
        assert!(used as u128 * 10 < elapsed.as_millis() / 5, "{case}: {used} ticks of CPU in {elapsed:?}");
        program.process.signal("TERM");
        assert_eq!(program.process.end(), (0, String::new()), "{case}");
    }
}
