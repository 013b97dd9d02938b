//! What is wrong with each design that is an exhibit, and what is not with the others. `designs.rs` has what all of
//! them do.

mod common;

use std::thread;
use std::time::Duration;

use common::designs::{each, with_full_receiver};
use common::{Client, MUCH, PATIENCE, Server, connect, eventually, flood, frame};
use server::designs::Design;
use server::limits::Limits;

fn only(design: Design) -> impl Fn(Design) -> bool {
    move |other| other == design
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
fn mutex_deadlock_greets_no_second_client_before_the_first_one_speaks() {
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
fn mutex_stalls_everyone_for_one_full_receiver() {
    each(only(Design::Mutex), Limits::default(), a_full_receiver_stalls_everyone);
}

#[test]
fn dispatcher_is_blocked_by_the_head_of_the_line() {
    each(only(Design::Dispatcher), Limits::default(), a_full_receiver_stalls_everyone);
}

#[test]
fn writer_queues_and_actor_are_blocked_by_one_full_queue() {
    let queues = |design| matches!(design, Design::WriterQueues | Design::Actor);
    each(queues, Limits::default(), a_full_receiver_stalls_everyone);
}

#[test]
fn tokens_of_a_sender_are_used_up_by_one_full_receiver() {
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
