//! The channel for one value (`runtime/src/oneshot/`): who takes the value, whom the sender wakes, who frees the memory.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize as StdAtomicUsize, Ordering as StdOrdering};
use std::task::{Context, Poll, Wake, Waker};

use loom::thread;
use treescope::model::{Borrowed, Signal};
use treescope::oneshot::{Receiver, RecvError, Sender, TryRecvError, channel};

use super::cell::{Counted, Message};
use super::{ALL, Model};
use crate::seed::{Fault, Seed};

const fn bug_at(anchor: &'static str, operation: &'static str, fault: Fault) -> Seed {
    Seed::Operation { file: "oneshot/state.rs", anchor, operation, fault }
}

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "oneshot::sent",
        checks: "a receiver waits while the value is sent: it is woken or ready, and the value is whole",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: sent,
        bug: "sending does not publish the value",
        seed: bug_at("fn end(&self, last_word", "swap", Fault::Weaken(0, "Acquire")),
    },
    Model {
        name: "oneshot::given_up",
        checks: "a receiver waits while the sender is dropped: it is told",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: given_up,
        bug: "the sender's last word is lost",
        seed: bug_at("fn end(&self, last_word", "swap", Fault::Remove),
    },
    Model {
        name: "oneshot::awaited_by_another",
        checks: "a receiver is polled again, by another waker, while the value is sent: that one is woken, or it is ready",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: awaited_by_another,
        bug: "who comes to leave a waker and finds the value sent does not see it",
        seed: bug_at("pub(super) fn leave(", "compare_exchange", Fault::Weaken(1, "Relaxed")),
    },
    Model {
        name: "oneshot::wakers_are_whole",
        checks: "the sender wakes by a waker that was made just before: what its maker did is seen",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: wakers_are_whole,
        bug: "a waker is left without being published",
        seed: bug_at("pub(super) fn leave(", "compare_exchange", Fault::Weaken(0, "Relaxed")),
    },
    Model {
        name: "oneshot::closed",
        checks: "the receiver is dropped while the value is sent: the value is dropped once, the memory freed once",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: closed,
        bug: "closing is a read and a write",
        seed: bug_at("pub(super) fn close(", "swap", Fault::Split),
    },
    Model {
        name: "oneshot::polled_and_closed",
        checks: "the same with a waker left before: it is dropped once, by whichever side",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: polled_and_closed,
        bug: "the receiver goes without publishing what it did to the channel",
        seed: bug_at("pub(super) fn close(", "swap", Fault::Weaken(0, "Acquire")),
    },
    Model {
        name: "oneshot::closed_and_given_up",
        checks: "both sides are dropped at once: the memory is freed once",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: closed_and_given_up,
        bug: "the sender's last word is a read and a write",
        seed: bug_at("fn end(&self, last_word", "swap", Fault::Split),
    },
];

fn sent() {
    let (sender, receiver) = channel();
    let thread = thread::spawn(move || assert!(sender.send(Borrowed::new()).is_ok()));
    drop(Signal::new().block_on(receiver).expect("a value was sent"));
    thread.join().expect("no thread panics");
}

fn given_up() {
    let (sender, receiver) = channel::<Borrowed>();
    let thread = thread::spawn(move || drop(sender));
    assert!(matches!(Signal::new().block_on(receiver), Err(RecvError)));
    thread.join().expect("no thread panics");
}

fn awaited_by_another() {
    let (sender, mut receiver) = channel();
    let thread = thread::spawn(move || assert!(sender.send(Borrowed::new()).is_ok()));
    let other = Signal::new().waker();
    let value = match Pin::new(&mut receiver).poll(&mut Context::from_waker(&other)) {
        Poll::Ready(value) => value,
        Poll::Pending => Signal::new().block_on(&mut receiver),
    };
    drop(value.expect("a value was sent"));
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Closed)));
    thread.join().expect("no thread panics");
}

/// A waker that reads what its maker has written, and counts its wakes and its end.
struct Telling {
    message: Message,
    wakes: StdArc<StdAtomicUsize>,
    ends: StdArc<StdAtomicUsize>,
}

impl Wake for Telling {
    fn wake(self: StdArc<Self>) {
        self.message.read();
        self.wakes.fetch_add(1, StdOrdering::SeqCst);
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.ends.fetch_add(1, StdOrdering::SeqCst);
    }
}

fn wakers_are_whole() {
    let (sender, mut receiver) = channel();
    let thread = thread::spawn(move || assert!(sender.send(Borrowed::new()).is_ok()));
    let (wakes, ends) = (StdArc::default(), StdArc::default());
    let message = Message::new();
    message.write();
    let telling = Telling { message, wakes: StdArc::clone(&wakes), ends: StdArc::clone(&ends) };
    let waker = Waker::from(StdArc::new(telling));
    let polled = Pin::new(&mut receiver).poll(&mut Context::from_waker(&waker));
    drop(waker);
    thread.join().expect("no thread panics");
    let left = polled.is_pending();
    assert_eq!(wakes.load(StdOrdering::SeqCst), usize::from(left), "woken, if it was left");
    assert_eq!(ends.load(StdOrdering::SeqCst), 1, "the waker has been dropped");
    if left {
        drop(receiver.try_recv().expect("the value is there"));
    }
}

/// Drops the receiver, after `before`, while `sends` has the sender.
fn close_after(
    before: impl FnOnce(&mut Receiver<Counted>),
    sends: impl FnOnce(Sender<Counted>, Counted) + 'static,
) {
    let (counted, drops) = Counted::new();
    let (sender, mut receiver) = channel();
    let thread = thread::spawn(move || sends(sender, counted));
    before(&mut receiver);
    drop(receiver);
    thread.join().expect("no thread panics");
    assert_eq!(drops.load(StdOrdering::SeqCst), 1);
}

fn closed() {
    close_after(
        |_| (),
        |sender, value| {
            let was_closed = sender.is_closed();
            let back = sender.send(value);
            assert!(back.is_err() || !was_closed, "who has gone does not come back");
        },
    );
    let (sender, receiver) = channel();
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    drop(sender.send(Borrowed::new()).expect_err("the receiver has gone"));
}

fn polled_and_closed() {
    let ends = StdArc::default();
    let (message, wakes, counter) = (Message::new(), StdArc::default(), StdArc::clone(&ends));
    close_after(
        move |receiver| {
            let waker = Waker::from(StdArc::new(Telling { message, wakes, ends: counter }));
            let _ = Pin::new(receiver).poll(&mut Context::from_waker(&waker));
        },
        |sender, value| drop(sender.send(value)),
    );
    assert_eq!(ends.load(StdOrdering::SeqCst), 1, "the waker has been dropped once");
}

fn closed_and_given_up() {
    close_after(|_| (), |sender, _| drop(sender));
}
