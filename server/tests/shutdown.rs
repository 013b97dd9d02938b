//! Being told to stop.

mod common;

use std::io::ErrorKind;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use common::{MUCH, PATIENCE, deep_queues, eventually, flood, frame, with_server};
use server::limits::Limits;
use server::protocol::ID_BYTES;

/// So long that whoever waits for it fails.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

#[test]
fn an_idle_server_ends_when_told_to() {
    with_server(Limits { grace: FOREVER, ..Limits::default() }, |server| {
        let clients = [server.client(), server.client()];
        server.stop();
        server.ended();
        for mut client in clients {
            assert_eq!(client.recv_rest(), b"");
        }
    });
}

#[test]
fn a_server_that_stops_accepts_nobody_and_reads_nothing() {
    with_server(Limits { stall_timeout: FOREVER, ..deep_queues() }, |server| {
        let (mut receiver, mut sender) = (server.client(), server.client());
        // There is more to deliver than the kernel takes, so the server cannot end by itself.
        sender.send_much(receiver.id, MUCH);
        server.stop();
        eventually("connections are refused", || {
            TcpStream::connect(server.addr).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        });
        eventually("no reader is left", || server.router.count().reading == 0);
        let frames = server.router.stats().frames.get();
        // Refused or ignored.
        flood(sender.socket(), &frame(receiver.id, 10), 1);
        assert_eq!(receiver.recv_rest().len(), MUCH / 1005 * 1001);
        server.ended();
        assert_eq!(server.router.stats().frames.get(), frames);
    });
}

#[test]
fn what_is_queued_is_delivered_before_the_end() {
    with_server(Limits { grace: PATIENCE, ..Limits::default() }, |server| {
        let (mut receiver, sender) = (server.client(), server.client());
        let frame = frame(receiver.id, 1000);
        thread::scope(|threads| {
            threads.spawn(|| flood(sender.socket(), &frame, MUCH / frame.len()));
            server.stands_still();
            server.stop();
            let got = receiver.recv_rest().len() as u64;
            server.ended();
            let stats = server.router.stats();
            // Everything that was queued, and everything that had been read but had to wait.
            assert_eq!(got, stats.bytes.get());
            assert_eq!(got + 2 * ID_BYTES as u64, stats.written.get());
            assert_eq!(stats.dropped.get(), 0);
        });
    });
}

#[test]
fn what_is_queued_is_delivered_to_a_client_that_goes_on_sending() {
    with_server(deep_queues(), |server| {
        let mut client = server.client();
        let id = client.id;
        let mut other = server.client();
        other.send_much(id, MUCH);
        drop(other);
        server.stop();
        eventually("no reader is left", || server.router.count().reading == 0);
        // The server discards this. Would it leave it unread, it would reset the connection when it closes it.
        let socket = client.socket().try_clone().unwrap();
        flood(&socket, &frame(0, 1000), 100);
        thread::scope(|threads| {
            threads.spawn(|| flood(&socket, &frame(0, 1000), MUCH));
            assert_eq!(client.recv_rest().len(), MUCH / 1005 * 1001);
            // Refuses the rest of the flood.
            drop(client);
            socket.shutdown(std::net::Shutdown::Both).ok();
            server.ended();
        });
    });
}

#[test]
fn what_cannot_be_delivered_within_the_grace_is_dropped() {
    with_server(Limits { grace: Duration::from_millis(100), ..deep_queues() }, |server| {
        let (receiver, mut sender) = (server.client(), server.client());
        sender.send_much(receiver.id, MUCH);
        server.stop();
        server.ended();
        let stats = server.router.stats();
        assert!(stats.written.get() < stats.bytes.get());
        assert_eq!(server.router.count().live, 0);
    });
}

#[test]
fn a_server_that_is_told_twice_ends_at_once() {
    with_server(Limits { grace: FOREVER, stall_timeout: FOREVER, ..deep_queues() }, |server| {
        let (receiver, mut sender) = (server.client(), server.client());
        sender.send_much(receiver.id, MUCH);
        server.stop();
        eventually("no reader is left", || server.router.count().reading == 0);
        server.stop();
        server.ended();
    });
}
