//! Sockets as tasks see them: both ends in one runtime, on one worker and on several.

// A checker has neither sockets nor signals.
#![cfg(not(any(loom, shuttle)))]

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use treescope::net::{TcpListener, TcpStream};
use treescope::time::timeout;
use treescope::{Runtime, Scope};

fn each_runtime(test: impl Fn(&Runtime)) {
    for workers in [1, 2, 4] {
        test(&Runtime::builder().worker_threads(workers).build().unwrap());
    }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let client = TcpStream::connect(addr).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, server)
}

async fn echo(stream: &TcpStream) -> io::Result<u64> {
    let (reader, mut writer) = stream.split();
    let copied = futures_lite::io::copy(reader, &mut writer).await?;
    writer.close().await?;
    Ok(copied)
}

#[test]
fn a_hundred_connections_are_served_by_children_that_borrow_the_listener_and_their_streams() {
    each_runtime(|runtime| {
        let served = AtomicUsize::new(0);
        let served = &served;
        runtime.block_on(async |scope| {
            let listener = &*scope.alloc(TcpListener::bind("127.0.0.1:0").unwrap());
            let addr = listener.local_addr().unwrap();
            scope.spawn(async move {
                for _ in 0..100 {
                    let (stream, _) = listener.accept().await.unwrap();
                    scope.spawn(async move {
                        assert_eq!(echo(&stream).await.unwrap(), 50_000);
                        served.fetch_add(1, Ordering::Relaxed);
                    });
                }
            });
            for _ in 0..100 {
                scope.scope(async move |inner| client(inner, TcpStream::connect(addr).await.unwrap()).await);
            }
        });
        assert_eq!(served.load(Ordering::Relaxed), 100);
    });
}

/// Writes and reads at once, in two children that borrow one stream.
async fn client<'scope>(scope: &'scope Scope<'scope, '_>, stream: TcpStream) {
    let stream = &*scope.alloc(stream);
    let (mut reader, mut writer) = stream.split();
    scope.spawn(async move {
        writer.write_all(&[42; 50_000]).await.unwrap();
        writer.close().await.unwrap();
    });
    let mut back = Vec::new();
    reader.read_to_end(&mut back).await.unwrap();
    assert_eq!(back.len(), 50_000);
}

#[test]
fn several_children_accept_on_one_listener() {
    each_runtime(|runtime| {
        let accepted = AtomicUsize::new(0);
        let accepted = &accepted;
        runtime.block_on(async |scope| {
            let listener = &*scope.alloc(TcpListener::bind("127.0.0.1:0").unwrap());
            let addr = listener.local_addr().unwrap();
            for _ in 0..8 {
                scope.spawn(async move {
                    for _ in 0..10 {
                        listener.accept().await.unwrap();
                        accepted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            for _ in 0..80 {
                scope.spawn(async move { TcpStream::connect(addr).await.unwrap() });
            }
        });
        assert_eq!(accepted.load(Ordering::Relaxed), 80);
    });
}

#[test]
fn a_ping_pong_of_single_bytes_never_stalls() {
    each_runtime(|runtime| {
        runtime.block_on(async |scope| {
            let (client, server) = pair().await;
            scope.spawn(async move { while echo_one(&server).await {} });
            let mut buf = [0; 64];
            for n in 0..10_000_u32 {
                client.write(&[n as u8]).await.unwrap();
                assert_eq!((client.read(&mut buf).await.unwrap(), buf[0]), (1, n as u8));
            }
        });
    });
}

async fn echo_one(stream: &TcpStream) -> bool {
    let mut buf = [0; 64];
    match stream.read(&mut buf).await.unwrap() {
        0 => false,
        n => stream.write(&buf[..n]).await.unwrap() == n,
    }
}

#[test]
fn a_timeout_on_a_read_loses_no_bytes() {
    each_runtime(|runtime| {
        runtime.block_on(async |_| {
            let (client, server) = pair().await;
            let mut buf = [0; 8];
            assert!(timeout(Duration::from_millis(2), server.read(&mut buf)).await.is_err());
            client.write(b"late").await.unwrap();
            assert_eq!(server.read(&mut buf).await.unwrap(), 4);
        });
    });
}

#[test]
fn a_socket_moved_to_another_runtime_is_served_by_its_own() {
    each_runtime(|other| {
        let home = Runtime::builder().worker_threads(1).build().unwrap();
        let (client, server) = home.block_on(async |_| pair().await);
        other.block_on(async |scope| {
            scope.spawn(async move { while echo_one(&server).await {} });
            let mut buf = [0; 8];
            for _ in 0..100 {
                client.write(b"away").await.unwrap();
                assert_eq!(client.read(&mut buf).await.unwrap(), 4);
            }
            // It lies outside the root and would otherwise stay open for as long as the child waits for its end.
            client.shutdown(Shutdown::Write).unwrap();
        });
    });
}

#[test]
fn a_socket_whose_runtime_is_gone_still_does_what_needs_no_waiting() {
    let (client, server) =
        Runtime::builder().worker_threads(1).build().unwrap().block_on(async |_| pair().await);
    assert_eq!(client.try_write(b"x").unwrap(), 1);
    server.shutdown(Shutdown::Both).unwrap();
    let mut std = client.into_std().unwrap();
    std.set_nonblocking(false).unwrap();
    // The unread byte makes it a reset; either way the end is seen, and nothing hangs.
    let _ = io::Read::read(&mut std, &mut [0]);
}

#[test]
fn a_vectored_write_goes_out_whole() {
    each_runtime(|runtime| {
        runtime.block_on(async |_| {
            let (client, server) = pair().await;
            let parts = [IoSlice::new(b"one "), IoSlice::new(b"two "), IoSlice::new(b"three")];
            assert_eq!(client.write_vectored(&parts).await.unwrap(), 13);
            client.shutdown(Shutdown::Write).unwrap();
            let mut text = String::new();
            (&server).read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "one two three");
        });
    });
}

#[test]
fn a_shutdown_wakes_the_reader_of_the_same_stream() {
    each_runtime(|runtime| {
        runtime.block_on(async |scope| {
            let (client, _server) = pair().await;
            let client = &*scope.alloc(client);
            let reader = scope.spawn(async move { client.read(&mut [0; 8]).await });
            treescope::yield_now().await;
            client.shutdown(Shutdown::Both).unwrap();
            assert_eq!(reader.await.unwrap(), 0);
        });
    });
}

#[test]
fn sockets_and_their_halves_may_go_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<TcpListener>();
    check::<TcpStream>();
    check::<treescope::net::ReadHalf<'_>>();
    check::<treescope::net::WriteHalf<'_>>();
    check::<treescope::time::Sleep>();
    check::<treescope::time::Interval>();
    check::<treescope::signal::Signal>();
}
