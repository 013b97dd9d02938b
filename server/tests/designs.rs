//! What every design does, on every runtime that it runs on, and what is wrong with each.
#![cfg(target_os = "linux")]

mod common;

use std::collections::HashSet;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use common::program::{Program, cpu_ticks};
use common::{Client, MUCH, PATIENCE, Server, connect, eventually, flood, frame, with_design};
use server::designs::Design;
use server::limits::Limits;
use server::protocol::encode;

/// Runs `test` with every design for which `which` holds, on every runtime.
#[track_caller]
fn each(which: impl Fn(Design) -> bool, limits: Limits, test: impl Fn(&Server<'_>)) {
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

fn all(_: Design) -> bool {
    true
}

/// Those that serve a second client while the first is silent.
fn many_clients(design: Design) -> bool {
    design != Design::MutexDeadlock
}

fn only(design: Design) -> impl Fn(Design) -> bool {
    move |other| other == design
}

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
        for _ in 0..5 {
            client.round_trip();
        }
        assert!(started.elapsed() >= 5 * work);
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

/// Beside `test`, a client sends to one that takes nothing, more than the kernel takes; a third one is there.
fn with_full_receiver(server: &Server<'_>, test: impl FnOnce(Client, &Client)) {
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

/// Whether a message between two clients that nobody else sends to gets stuck, and goes on when the full
/// receiver has gone.
fn a_full_receiver_stalls_everyone(server: &Server<'_>) {
    let (alice, mut bob) = (server.client(), server.client());
    with_full_receiver(server, |receiver, _| {
        // On a slow machine the first ones may pass before the receiver is full.
        eventually("a message between others is stuck", || {
            alice.send(bob.id, b"ping");
            let heard = bob.hears_something();
            if heard {
                assert_eq!(bob.recv(), b"ping");
            }
            !heard
        });
        drop(receiver);
        assert_eq!(bob.recv(), b"ping");
    });
}

#[test]
fn scoped_connections_and_tokens_let_unrelated_clients_go_on() {
    let go_on = |design| matches!(design, Design::Scoped | Design::ScopedLocal | Design::Tokens);
    each(go_on, Limits::default(), |server| {
        let (mut alice, mut bob) = (server.client(), server.client());
        with_full_receiver(server, |_, _| {
            for _ in 0..100 {
                alice.send(bob.id, b"ping");
                assert_eq!(bob.recv(), b"ping");
                bob.send(alice.id, b"pong");
                assert_eq!(alice.recv(), b"pong");
            }
            server.client().round_trip();
        });
    });
}

#[test]
fn exhibit_mutex_deadlock_greets_no_second_client_before_the_first_one_speaks() {
    each(only(Design::MutexDeadlock), Limits::default(), |server| {
        let mut first = server.client();
        first.round_trip();
        let second = connect(server.addr);
        second.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert!(second.peek(&mut [0]).is_err(), "the first one's reader holds the lock");
        // Waiting for each other they would wait for ever; leaving is a way of speaking.
        drop(first);
        second.set_read_timeout(Some(PATIENCE)).unwrap();
        Client::greeted(second).round_trip();
    });
}

#[test]
fn exhibit_mutex_stalls_everyone_for_one_full_receiver() {
    each(only(Design::Mutex), Limits::default(), a_full_receiver_stalls_everyone);
}

#[test]
fn exhibit_dispatcher_is_blocked_by_the_head_of_the_line() {
    each(only(Design::Dispatcher), Limits::default(), a_full_receiver_stalls_everyone);
}

#[test]
fn exhibit_writer_queues_and_actor_are_blocked_by_one_full_queue() {
    let queues = |design| matches!(design, Design::WriterQueues | Design::Actor);
    each(queues, Limits::default(), a_full_receiver_stalls_everyone);
}

#[test]
fn exhibit_tokens_of_a_sender_are_used_up_by_one_full_receiver() {
    each(only(Design::Tokens), Limits::default(), |server| {
        let (alice, mut bob) = (server.client(), server.client());
        let full = server.client();
        let socket = alice.socket().try_clone().unwrap();
        thread::scope(|threads| {
            let (socket, frame) = (&socket, frame(full.id, 1000));
            let flood = threads.spawn(move || flood(socket, &frame, MUCH / frame.len()));
            // What alice sends to bob after that is behind it, and stays there.
            eventually("the flood stands still", || {
                let written = server.router.stats().written.get();
                thread::sleep(Duration::from_millis(100));
                written > 1000 && written == server.router.stats().written.get()
            });
            assert!(!flood.is_finished());
            bob.round_trip();
            drop(full);
            assert_eq!(flood.join().unwrap(), MUCH / 1005);
            alice.send(bob.id, b"at last");
            assert_eq!(bob.recv(), b"at last");
        });
    });
}

#[test]
fn the_log_of_the_actor_has_heard_of_every_reply_when_the_server_has_ended() {
    each(only(Design::Actor), Limits::default(), |server| {
        let mut client = server.client();
        for _ in 0..100 {
            client.round_trip();
        }
        server.stop();
        server.ended();
        // The greeting is a reply as well.
        assert_eq!(server.router.stats().logged.get(), 101);
    });
}
