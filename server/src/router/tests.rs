//! The router without sockets: what the conformance tests cannot force to happen.

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};

use super::*;
use crate::protocol::{ID_BYTES, Inbox, encode};

fn limits(queue_bytes: usize) -> Limits {
    Limits { queue_bytes, max_connections: 300, ..Limits::default() }
}

/// An inbox with frames from one sender.
fn inbox(frames: &[(u32, &[u8])]) -> Inbox {
    let mut bytes = Vec::new();
    for (to, payload) in frames {
        encode(*to, payload, &mut bytes);
    }
    let mut inbox = Inbox::new(1 << 20);
    let mut at = 0;
    while at < bytes.len() {
        let read = |space: &mut [u8]| {
            let n = space.len().min(bytes.len() - at);
            space[..n].copy_from_slice(&bytes[at..at + n]);
            Ok::<usize, ()>(n)
        };
        at += inbox.receive(&mut vec![0; 64 << 10], read, |_| ()).unwrap().0;
    }
    inbox
}

fn route(router: &Router, inbox: &mut Inbox) -> Routed {
    inbox.route(|frames| router.route(frames)).unwrap()
}

/// Routes everything, waiting where it has to: what a reader does.
async fn route_all(router: &Router, inbox: &mut Inbox) {
    while route(router, inbox) == Routed::Blocked {
        let bytes = {
            let run = inbox.frames().run().unwrap().unwrap();
            run.received_bytes(router.send(&run).await)
        };
        inbox.consume(bytes);
    }
}

impl Seat<&Router> {
    async fn take(&self, written: &mut Vec<u8>) -> bool {
        poll_fn(|cx| self.poll_take(written, cx)).await
    }
}

/// What the writer gets now; `None` if it would wait.
fn take(seat: &Seat<&Router>) -> Option<Vec<u8>> {
    let mut buffer = Vec::new();
    block_on(poll_once(seat.take(&mut buffer)))?.then_some(buffer)
}

#[test]
fn the_greeting_is_the_first_output() {
    let router = Router::new(limits(100));
    let seat = router.seat().unwrap();
    route(&router, &mut inbox(&[(seat.id(), b"to myself")]));
    assert_eq!(take(&seat).unwrap(), [&seat.id().to_be_bytes()[..], b"to myself\0"].concat());
}

#[test]
fn whatever_is_queued_is_taken_at_once() {
    let router = Router::new(limits(1000));
    let seat = router.seat().unwrap();
    for _ in 0..100 {
        route(&router, &mut inbox(&[(seat.id(), b"x")]));
    }
    assert_eq!(take(&seat).unwrap().len(), ID_BYTES + 200);
    assert_eq!(take(&seat), None);
}

#[test]
fn frames_to_nobody_are_dropped_and_counted() {
    let router = Router::new(limits(100));
    let gone = router.seat().unwrap().id();
    let seat = router.seat().unwrap();
    assert_eq!(route(&router, &mut inbox(&[(gone, b"a"), (seat.id(), b"b"), (gone, b"c")])), Routed::All);
    assert_eq!(router.stats().dropped.get(), 2);
    assert_eq!(router.stats().frames.get(), 1);
    assert_eq!(router.queued_bytes(), ID_BYTES + 2);
}

#[test]
fn a_queue_is_bounded_and_a_longer_frame_passes_when_nothing_else_is_queued() {
    let router = Router::new(limits(10));
    let seat = router.seat().unwrap();
    let (id, long) = (seat.id(), [b'x'; 50]);
    let mut sender = inbox(&[(id, b"12345"), (id, b"6"), (id, &long), (id, b"7")]);
    // 4 bytes of greeting and 6 of the first frame are the limit.
    assert_eq!(route(&router, &mut sender), Routed::Blocked);
    assert_eq!(router.queued_bytes(), 10);
    // Still counted while the writer has not written it.
    let mut buffer = Vec::new();
    assert!(block_on(seat.take(&mut buffer)));
    assert_eq!(route(&router, &mut sender), Routed::Blocked);
    seat.wrote(8);
    assert_eq!(route(&router, &mut sender), Routed::Blocked);
    assert_eq!(router.queued_bytes(), 4);
    assert!(block_on(seat.take(&mut buffer)));
    assert_eq!(buffer, b"6\0");
    assert_eq!(poll_now(seat.take(&mut buffer)), Poll::Pending);
    assert_eq!(route(&router, &mut sender), Routed::Blocked);
    assert_eq!(router.queued_bytes(), 51);
    assert!(block_on(seat.take(&mut buffer)));
    assert_eq!(poll_now(seat.take(&mut buffer)), Poll::Pending);
    assert_eq!(route(&router, &mut sender), Routed::All);
}

fn poll_now<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A waker that counts how often it is fired.
struct Wakes(AtomicUsize);

impl std::task::Wake for Wakes {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counting() -> (std::sync::Arc<Wakes>, Waker) {
    let wakes = std::sync::Arc::new(Wakes(AtomicUsize::new(0)));
    (wakes.clone(), wakes.into())
}

#[test]
fn senders_are_served_in_the_order_in_which_they_waited() {
    let router = Router::new(limits(10));
    let seat = router.seat().unwrap();
    let id = seat.id();
    let mut filler = inbox(&[(id, b"12345")]);
    route(&router, &mut filler);
    let payloads = [*b"aaaa", *b"bbbb", *b"cccc"];
    let senders: Vec<_> = payloads.iter().map(|payload| inbox(&[(id, payload)])).collect();
    let runs: Vec<_> = senders.iter().map(|sender| sender.frames().run().unwrap().unwrap()).collect();
    let mut sends: Vec<_> = runs.iter().map(|run| Box::pin(router.send(run))).collect();
    let (wakes, waker): (Vec<_>, Vec<_>) = (0..3).map(|_| counting()).unzip();
    for (send, waker) in sends.iter_mut().zip(&waker) {
        assert_eq!(send.as_mut().poll(&mut Context::from_waker(waker)), Poll::Pending);
    }
    let mut buffer = Vec::new();
    assert!(block_on(seat.take(&mut buffer)));
    // A newcomer does not overtake, whether there is room or not.
    assert_eq!(poll_now(seat.take(&mut buffer)), Poll::Pending);
    assert_eq!(route(&router, &mut inbox(&[(id, b"n")])), Routed::Blocked);
    assert_eq!(wakes.iter().map(|w| w.0.load(Ordering::Relaxed)).collect::<Vec<_>>(), [1, 0, 0]);
    // Out of turn.
    assert_eq!(sends[1].as_mut().poll(&mut Context::from_waker(&waker[1])), Poll::Pending);
    assert_eq!(sends[0].as_mut().poll(&mut Context::from_waker(&waker[0])), Poll::Ready(1));
    // Half of the queue is free, and the second is woken by the first having been served.
    assert_eq!(wakes.iter().map(|w| w.0.load(Ordering::Relaxed)).collect::<Vec<_>>(), [1, 1, 0]);
    // The second is dropped although it is its turn; the turn passes on.
    drop(sends.remove(1));
    assert_eq!(wakes.iter().map(|w| w.0.load(Ordering::Relaxed)).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(sends[1].as_mut().poll(&mut Context::from_waker(&waker[2])), Poll::Ready(1));
    assert!(block_on(seat.take(&mut buffer)));
    assert_eq!(buffer, b"aaaa\0cccc\0");
}

#[test]
fn a_sender_goes_on_when_half_of_the_queue_is_free_and_not_for_less() {
    let router = Router::new(limits(100));
    let seat = router.seat().unwrap();
    route(&router, &mut inbox(&[(seat.id(), &[b'x'; 95])]));
    let sender = inbox(&[(seat.id(), b"1")]);
    let run = sender.frames().run().unwrap().unwrap();
    let (wakes, waker) = counting();
    let mut send = pin!(router.send(&run));
    assert_eq!(send.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
    let mut buffer = Vec::new();
    assert!(block_on(seat.take(&mut buffer)));
    seat.wrote(49);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
    seat.wrote(1);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert_eq!(send.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(1));
}

#[test]
fn senders_that_wait_go_on_when_the_receiver_departs() {
    let ways: [fn(&mut Option<Seat<&Router>>); 2] =
        [|seat| seat.as_ref().unwrap().finish(), |seat| *seat = None];
    for depart in ways {
        let router = Router::new(limits(10));
        let mut guest = router.seat();
        let seat = guest.as_ref().unwrap();
        route(&router, &mut inbox(&[(seat.id(), b"12345")]));
        let sender = inbox(&[(seat.id(), b"6"), (seat.id(), b"7")]);
        let run = sender.frames().run().unwrap().unwrap();
        let (wakes, waker) = counting();
        let mut send = pin!(router.send(&run));
        assert_eq!(send.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
        depart(&mut guest);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        drop(guest);
        let successor = router.seat().unwrap();
        assert_eq!(send.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(2));
        assert_eq!(router.stats().dropped.get(), 2);
        assert_eq!(take(&successor).unwrap(), successor.id().to_be_bytes());
    }
}

#[test]
fn a_sender_that_waited_for_the_last_occupant_takes_nobodys_place_in_the_next_ones_line() {
    let router = Router::new(Limits { max_connections: 1, ..limits(10) });
    let full = || {
        let seat = router.seat().unwrap();
        route(&router, &mut inbox(&[(seat.id(), b"12345")]));
        seat
    };
    let (last, frame) = (full(), |id| inbox(&[(id, b"6")]));
    let late = frame(last.id());
    let late = late.frames().run().unwrap().unwrap();
    let mut waits_for_last = Box::pin(router.send(&late));
    assert_eq!(waits_for_last.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
    drop(last);
    let next = full();
    let sender = frame(next.id());
    let run = sender.frames().run().unwrap().unwrap();
    let (wakes, waker) = counting();
    let mut send = pin!(router.send(&run));
    assert_eq!(send.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
    drop(waits_for_last);
    let mut buffer = Vec::new();
    assert!(block_on(next.take(&mut buffer)));
    assert_eq!(poll_now(next.take(&mut buffer)), Poll::Pending);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert_eq!(send.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(1));
}

#[test]
fn a_seat_that_is_finished_delivers_what_is_queued_and_nothing_more() {
    let router = Router::new(limits(100));
    let seat = router.seat().unwrap();
    seat.finish();
    assert_eq!(route(&router, &mut inbox(&[(seat.id(), b"late")])), Routed::All);
    assert_eq!(router.stats().dropped.get(), 1);
    let mut buffer = Vec::new();
    assert!(block_on(seat.take(&mut buffer)));
    assert_eq!(buffer, seat.id().to_be_bytes());
    assert!(!block_on(seat.take(&mut buffer)));
}

#[test]
fn seats_are_limited_and_ids_do_not_come_back_soon() {
    let router = Router::new(limits(100));
    let seats: Vec<_> = std::iter::from_fn(|| router.seat()).collect();
    assert_eq!(seats.len(), 300);
    assert!(router.seat().is_none());
    drop(seats);
    assert_eq!(router.count(), Count { live: 0, reading: 0, departed: 300 });
    let mut seen = HashSet::new();
    assert!((0..100_000).all(|_| seen.insert(router.seat().unwrap().id())));
}

/// Every wake matters here: if one is lost, a thread sleeps for ever.
#[test]
fn no_wake_is_lost_between_threads() {
    const SENDERS: u32 = 4;
    const FRAMES: u32 = if cfg!(debug_assertions) { 3_000 } else { 50_000 };
    let router = Router::new(limits(64));
    let seats: Vec<_> = (0..2).map(|_| router.seat().unwrap()).collect();
    let ids: Vec<_> = seats.iter().map(Seat::id).collect();
    let expired = std::thread::scope(|threads| {
        let writers: Vec<_> = seats
            .iter()
            .map(|seat| {
                threads.spawn(move || {
                    let (mut got, mut buffer) = (Vec::new(), Vec::new());
                    while block_on(seat.take(&mut buffer)) {
                        got.extend_from_slice(&buffer);
                        let part = fastrand::usize(..buffer.len());
                        seat.wrote(part);
                    }
                    got
                })
            })
            .collect();
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (router, ids) = (&router, &ids);
                threads.spawn(move || {
                    for n in 0..FRAMES {
                        let payload = format!("{sender} {n}{}", "x".repeat(fastrand::usize(..90)));
                        let to = ids[n as usize % ids.len()];
                        block_on(route_all(router, &mut inbox(&[(to, payload.as_bytes())])));
                        // Somebody else gives up waiting half-way.
                        let other = inbox(&[(to, b"-")]);
                        let run = other.frames().run().unwrap().unwrap();
                        let _ = block_on(poll_once(router.send(&run)));
                    }
                })
            })
            .collect();
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while !senders.iter().all(|sender| sender.is_finished()) && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        let expired = !senders.iter().all(|sender| sender.is_finished());
        router.finish();
        for writer in writers {
            let got = writer.join().unwrap();
            let mut next = [None; SENDERS as usize];
            for body in got[ID_BYTES..].split(|&byte| byte == 0).filter(|body| !body.starts_with(b"-")) {
                let text = std::str::from_utf8(body).unwrap().trim_end_matches('x');
                let Some((sender, n)) = text.split_once(' ') else { continue };
                let (sender, n): (usize, u32) = (sender.parse().unwrap(), n.parse().unwrap());
                assert!(next[sender].is_none_or(|last| last + 2 == n), "order per sender and receiver");
                next[sender] = Some(n);
            }
            assert!(expired || next.iter().all(|last| last.is_some_and(|last| last + 2 >= FRAMES)));
        }
        expired
    });
    assert!(!expired, "a sender sleeps although there is room");
}
