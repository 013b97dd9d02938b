//! Sockets driven by hand: poll, turn, poll. The peer is a blocking socket of `std`'s.

use std::future::Future;
use std::io::{self, IoSliceMut, Read, Write};
use std::net::{self, Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_lite::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::driver::{ClockKind, Wait};

struct Flag(AtomicUsize);

impl Wake for Flag {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls, and takes turns that wait for as long as the future does. The future is polled again only if its own
/// waker was called, so a wake-up that is lost shows: nothing else ends the turn but the watchdog.
fn drive<F: Future>(driver: &Driver, future: F) -> F::Output {
    let mut future = pin!(future);
    let flag = std::sync::Arc::new(Flag(AtomicUsize::new(0)));
    let waker = Waker::from(flag.clone());
    let limit = Instant::now() + Duration::from_secs(30);
    let watchdog = driver.arm(limit, Waker::noop()).unwrap();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            driver.cancel(watchdog);
            return output;
        }
        while flag.0.swap(0, Ordering::SeqCst) == 0 {
            driver.try_turn().unwrap().run(Wait::Blocking);
            assert!(Instant::now() < limit, "a wake-up was lost");
        }
    }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// All that the kernel has to report so far is reported.
fn settle(driver: &Driver) {
    driver.interrupt();
    driver.try_turn().unwrap().run(Wait::Blocking);
    driver.try_turn().unwrap().run(Wait::No);
}

fn driver() -> Arc<Driver> {
    Driver::new(ClockKind::System).unwrap()
}

fn listener(driver: &Arc<Driver>) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind_on(driver, "127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn pair(driver: &Arc<Driver>) -> (TcpStream, net::TcpStream) {
    let (listener, addr) = listener(driver);
    let peer = net::TcpStream::connect(addr).unwrap();
    peer.set_nodelay(true).unwrap();
    let (stream, from) = drive(driver, listener.accept()).unwrap();
    assert_eq!(from, peer.local_addr().unwrap());
    (stream, peer)
}

/// Waits until the kernel has handed `len` bytes to the stream's socket, without going through the driver.
fn arrived(stream: &TcpStream, len: usize) {
    let socket = socket2::SockRef::from(stream);
    let mut buf = vec![std::mem::MaybeUninit::uninit(); len];
    while socket.peek(&mut buf).unwrap_or(0) < len {
        std::thread::yield_now();
    }
}

#[test]
fn bytes_go_both_ways() {
    let driver = driver();
    let (stream, mut peer) = pair(&driver);
    let mut buf = [0; 16];
    {
        let mut read = pin!(stream.read(&mut buf));
        assert!(poll(read.as_mut()).is_pending());
        peer.write_all(b"ping").unwrap();
        assert_eq!(drive(&driver, read).unwrap(), 4);
    }
    assert_eq!(&buf[..4], b"ping");
    assert_eq!(drive(&driver, stream.write(b"pong")).unwrap(), 4);
    peer.read_exact(&mut buf[..4]).unwrap();
    assert_eq!(&buf[..4], b"pong");
}

#[test]
fn a_connection_is_made_or_its_refusal_reported() {
    let driver = driver();
    let (listener, addr) = listener(&driver);
    let stream = drive(&driver, TcpStream::connect_on(&driver, addr)).unwrap();
    assert_eq!(stream.peer_addr().unwrap(), addr);
    let (accepted, from) = drive(&driver, listener.accept()).unwrap();
    assert_eq!((accepted.peer_addr().unwrap(), from), (from, stream.local_addr().unwrap()));
    drop(listener);
    let error = drive(&driver, TcpStream::connect_on(&driver, addr)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_taken_port_is_an_error() {
    let driver = driver();
    let (_listener, addr) = listener(&driver);
    let error = TcpListener::bind_on(&driver, addr).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn sockets_made_outside_a_runtime_are_errors() {
    assert_eq!(TcpListener::bind("127.0.0.1:0").unwrap_err().kind(), io::ErrorKind::Other);
    let addr = SocketAddr::from(([127, 0, 0, 1], 1));
    let Poll::Ready(Err(error)) = poll(pin!(TcpStream::connect(addr))) else { panic!("it connected") };
    assert_eq!(error.kind(), io::ErrorKind::Other);
}

#[test]
fn data_and_end_in_one_edge_are_both_read() {
    let driver = driver();
    let (stream, mut peer) = pair(&driver);
    let mut buf = [0; 16];
    settle(&driver);
    assert_eq!(stream.try_read(&mut buf).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    peer.write_all(b"last").unwrap();
    drop(peer);
    // The end is behind the bytes; wait until both are in the kernel, then let one turn report them together.
    arrived(&stream, 4);
    settle(&driver);
    assert_eq!(drive(&driver, stream.read(&mut buf)).unwrap(), 4);
    assert_eq!(drive(&driver, stream.read(&mut buf)).unwrap(), 0);
    assert_eq!(drive(&driver, stream.read(&mut buf)).unwrap(), 0);
}

#[test]
fn an_end_right_after_a_short_read_is_read() {
    let driver = driver();
    let (stream, mut peer) = pair(&driver);
    let mut buf = [0; 16];
    for turns_before in [false, true] {
        if turns_before {
            settle(&driver);
        }
        peer.write_all(b"more").unwrap();
        assert_eq!(drive(&driver, stream.read(&mut buf)).unwrap(), 4);
    }
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(drive(&driver, stream.read(&mut buf)).unwrap(), 0);
}

#[cfg(target_os = "linux")] // Only epoll takes the short cut that urgent data would break.
#[test]
fn data_behind_urgent_data_is_read() {
    let driver = driver();
    let (stream, mut peer) = pair(&driver);
    let mut buf = [0; 16];
    settle(&driver);
    assert!(stream.try_read(&mut buf).is_err());
    peer.write_all(b"abc").unwrap();
    assert_eq!(socket2::SockRef::from(&peer).send_out_of_band(b"!").unwrap(), 1);
    peer.write_all(b"def").unwrap();
    // Until all of it lies in the kernel, so that no later edge can make up for a lost one.
    while bytes_unread(&stream) < 7 {
        std::thread::yield_now();
    }
    settle(&driver);
    let mut seen = Vec::new();
    while seen.len() < 6 {
        let n = drive(&driver, stream.read(&mut buf)).unwrap();
        seen.extend_from_slice(&buf[..n]);
    }
    assert_eq!(seen, b"abcdef");
}

/// Bytes that the peer has sent and the kernel holds, urgent or not; peeking stops at urgent data.
#[cfg(target_os = "linux")]
fn bytes_unread(stream: &TcpStream) -> usize {
    let port = format!(":{:04X} ", stream.local_addr().unwrap().port());
    let peer = format!(":{:04X} ", stream.peer_addr().unwrap().port());
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let line = table.lines().find(|line| {
        let mut fields = line.split_inclusive(' ').filter(|field| field.len() > 1);
        fields.nth(1).is_some_and(|local| local.ends_with(&port))
            && fields.next().is_some_and(|remote| remote.ends_with(&peer))
    });
    let queues = line.unwrap().split_whitespace().nth(4).unwrap();
    usize::from_str_radix(queues.split_once(':').unwrap().1, 16).unwrap()
}

#[test]
fn a_reset_by_the_peer_is_an_error_and_no_panic() {
    let driver = driver();
    let (stream, peer) = pair(&driver);
    let mut buf = [0; 16];
    let mut read = pin!(stream.read(&mut buf));
    assert!(poll(read.as_mut()).is_pending());
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    assert_eq!(drive(&driver, read).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let error = drive(&driver, stream.write(b"x")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert!(drive(&driver, stream.split().1.close()).is_ok(), "what is gone is closed");
}

#[test]
fn a_full_socket_makes_the_writer_wait_until_the_peer_reads() {
    let driver = driver();
    let (stream, mut peer) = pair(&driver);
    let chunk = vec![7_u8; 1 << 16];
    let mut sent = 0;
    loop {
        match stream.try_write(&chunk) {
            Ok(n) => sent += n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    settle(&driver);
    let mut write = pin!(async {
        let mut left = &chunk[..];
        while !left.is_empty() {
            left = &left[stream.write(left).await.unwrap()..];
        }
    });
    // What the first fill left of the kernel's room may take a few more; then it waits.
    let total = sent + chunk.len();
    let reader = std::thread::spawn(move || {
        let mut buf = vec![0; 1 << 16];
        let mut got = 0;
        while got < total {
            got += peer.read(&mut buf).unwrap();
        }
        got
    });
    drive(&driver, write.as_mut());
    assert_eq!(reader.join().unwrap(), total);
}

#[test]
fn many_messages_of_one_byte_each_arrive() {
    let driver = driver();
    let (stream, mut peer) = pair(&driver);
    let echo = std::thread::spawn(move || {
        let mut byte = [0];
        while peer.read(&mut byte).unwrap() == 1 {
            peer.write_all(&byte).unwrap();
        }
    });
    drive(&driver, async {
        for i in 0..5000_u32 {
            let mut buf = [0; 8];
            stream.write(&[i as u8]).await.unwrap();
            assert_eq!((stream.read(&mut buf).await.unwrap(), buf[0]), (1, i as u8));
        }
    });
    drop(stream);
    echo.join().unwrap();
}

#[test]
fn a_vectored_read_with_more_buffers_than_one_call_takes_loses_nothing() {
    let driver = driver();
    let (stream, mut peer) = pair(&driver);
    settle(&driver);
    assert!(stream.try_read(&mut [0]).is_err());
    peer.write_all(&[1; 1500]).unwrap();
    arrived(&stream, 1500);
    settle(&driver);
    let mut bytes = [0; 1500];
    let mut bufs: Vec<_> = bytes.chunks_mut(1).map(IoSliceMut::new).collect();
    let first = drive(&driver, stream.read_vectored(&mut bufs)).unwrap();
    assert_eq!(first, 1024);
    let rest = drive(&driver, stream.read_vectored(&mut bufs[first..])).unwrap();
    assert_eq!(first + rest, 1500);
}

#[test]
fn two_tasks_waiting_for_one_direction_are_both_woken() {
    let driver = driver();
    let (listener, addr) = listener(&driver);
    let flags = [(); 2].map(|()| std::sync::Arc::new(Flag(AtomicUsize::new(0))));
    for _ in 0..2 {
        for flag in &flags {
            let waker = Waker::from(flag.clone());
            assert!(listener.poll_accept(&mut Context::from_waker(&waker)).is_pending());
        }
    }
    assert!(flags.iter().all(|flag| flag.0.load(Ordering::SeqCst) == 0), "waiting together wakes nobody");
    let _peer = net::TcpStream::connect(addr).unwrap();
    while driver.try_turn().unwrap().run(Wait::Blocking) == 0 {}
    assert!(flags.iter().all(|flag| flag.0.load(Ordering::SeqCst) == 1));
}

#[test]
fn peeked_bytes_are_read_again() {
    let driver = driver();
    let (stream, mut peer) = pair(&driver);
    peer.write_all(b"seen").unwrap();
    let mut buf = [0; 16];
    assert_eq!(drive(&driver, stream.peek(&mut buf)).unwrap(), 4);
    assert_eq!(drive(&driver, stream.peek(&mut buf)).unwrap(), 4);
    assert_eq!(drive(&driver, stream.read(&mut buf)).unwrap(), 4);
}

#[test]
fn the_halves_and_the_reference_are_futures_io() {
    let driver = driver();
    let (stream, mut peer) = pair(&driver);
    let (mut reader, mut writer) = stream.split();
    drive(&driver, async {
        AsyncWriteExt::write_all(&mut writer, b"half ").await.unwrap();
        AsyncWriteExt::write_all(&mut &stream, b"whole").await.unwrap();
        writer.close().await.unwrap();
    });
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "half whole");
    peer.write_all(b"back").unwrap();
    drop(peer);
    let mut back = String::new();
    drive(&driver, reader.read_to_string(&mut back)).unwrap();
    assert_eq!(back, "back");
}

#[test]
fn dropped_and_returned_sockets_leave_the_driver() {
    let driver = driver();
    let (stream, mut peer) = pair(&driver);
    assert!(driver.has_work());
    let mut std = stream.into_std().unwrap();
    assert!(!driver.has_work());
    std.set_nonblocking(false).unwrap();
    peer.write_all(b"std").unwrap();
    let mut buf = [0; 3];
    std.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"std");
}

#[test]
fn an_event_for_a_dropped_socket_does_not_wake_its_successor() {
    let driver = driver();
    let (listener, addr) = listener(&driver);
    for _ in 0..200 {
        let old_peer = net::TcpStream::connect(addr).unwrap();
        let (old, _) = drive(&driver, listener.accept()).unwrap();
        let new_peer = net::TcpStream::connect(addr).unwrap();
        drop(old_peer);
        drop(old);
        let (new, _) = drive(&driver, listener.accept()).unwrap();
        settle(&driver);
        assert_eq!(new.try_read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(new_peer);
        assert_eq!(drive(&driver, new.read(&mut [0])).unwrap(), 0);
    }
}

/// Runs one ignored test of this file in a process of its own that may open `descriptors` at most.
fn in_a_process_with(descriptors: usize, test: &str) {
    let exe = std::env::current_exe().unwrap();
    let script = format!(
        "ulimit -n {descriptors} && exec \"$0\" --exact net::tests::{test} --ignored --test-threads 1"
    );
    let output = Command::new("sh").arg("-c").arg(script).arg(exe).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn accept_goes_on_after_the_process_ran_out_of_descriptors() {
    in_a_process_with(64, "child_runs_out_of_descriptors");
}

#[test]
#[ignore = "run by accept_goes_on_after_the_process_ran_out_of_descriptors with few descriptors"]
fn child_runs_out_of_descriptors() {
    const EMFILE: i32 = 24;
    let driver = driver();
    let (listener, addr) = listener(&driver);
    let mut accept = pin!(listener.accept());
    assert!(poll(accept.as_mut()).is_pending());
    let _peer = net::TcpStream::connect(addr).unwrap();
    let mut hoard = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
    }
    assert_eq!(drive(&driver, accept).unwrap_err().raw_os_error(), Some(EMFILE));
    // No new edge will come for the connection that is queued.
    settle(&driver);
    assert_eq!(drive(&driver, listener.accept()).unwrap_err().raw_os_error(), Some(EMFILE));
    let error = Driver::new(ClockKind::System).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(EMFILE));
    drop(hoard);
    drive(&driver, listener.accept()).unwrap();
}
