//! A task's cell (`runtime/src/task/cell/`): who runs the task next, who takes its output, who frees its memory.
//!
//! The tasks are real scopes below a root without a body ([`Yard`]); the model's threads run them, as workers would, and take
//! what is woken from a queue that nobody else looks at.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicUsize as StdAtomicUsize, Ordering as StdOrdering};
use std::task::{Context, Poll, Waker};

use loom::cell::UnsafeCell;
use loom::thread;
use treescope::JoinHandle;
use treescope::model::{Borrowed, Signal, Way, Yard, on_another_thread};

use super::scope_handle::poll_once;
use super::{ALL, Model};
use crate::bugs::{
    ABOVE_FORGOTTEN, CELL, SILENT_OUTPUT, SILENT_WAKE, SPLIT_LEAVE_TO_ABOVE, SPLIT_LEAVE_WAKER,
    SPLIT_TAKE_BACK,
};
use crate::seed::{Fault, Seed};

const fn bug_at(anchor: &'static str, operation: &'static str, fault: Fault) -> Seed {
    Seed::Operation { file: CELL, anchor, operation, fault }
}

const SILENT_HOLDER: Seed =
    bug_at("// Release: pairs with Acquire here and above", "fetch_sub", Fault::Weaken(0, "Acquire"));

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "cell::wake_against_pause",
        checks: "a task is woken while its poll ends: it is polled again, and sees what it was woken for",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: wake_against_pause,
        bug: "a wake does not publish what it is for",
        seed: SILENT_WAKE,
    },
    Model {
        name: "cell::two_wakes",
        checks: "two threads wake a task while its poll ends: it is queued once at a time, sees both, and is polled for nothing else",
        threads: 3,
        quick: Some(ALL),
        full: ALL,
        body: two_wakes,
        bug: "a wake is a read and a write",
        seed: bug_at("pub(super) fn wake(", "fetch_add", Fault::Split),
    },
    Model {
        name: "cell::next_poll_elsewhere",
        checks: "whoever wakes a task runs it: the next poll goes on from the last one, on another thread",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: next_poll_elsewhere,
        bug: "the last poll is not published",
        seed: bug_at("pub(super) fn pause(", "fetch_sub", Fault::Weaken(0, "Relaxed")),
    },
    Model {
        name: "cell::last_waker_against_end",
        checks: "a waker is used and dropped while the task, whose handle has gone, ends: the last one frees the memory",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: last_waker_against_end,
        bug: "who is alone does not see what the others did before",
        seed: bug_at("if self.0.load(Ordering::Acquire) == 1", "load", Fault::Weaken(0, "Relaxed")),
    },
    Model {
        name: "cell::last_waker_against_taking",
        checks: "a waker is dropped while the handle takes the output: the last one frees the memory",
        threads: 3,
        quick: Some(ALL),
        full: ALL,
        body: last_waker_against_taking,
        bug: "a holder lets go without a word",
        seed: SILENT_HOLDER,
    },
    Model {
        name: "cell::awaited",
        checks: "the handle is awaited while the task ends: it is woken or ready, and the output is whole",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: awaited,
        bug: "the end does not publish the output",
        seed: SILENT_OUTPUT,
    },
    Model {
        name: "cell::awaited_by_another",
        checks: "the handle is polled again, by another waker, while the task ends: that one is woken, or it is ready",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: awaited_by_another,
        bug: "the waker's place is taken back without a look whether the task has it",
        seed: SPLIT_TAKE_BACK,
    },
    Model {
        name: "cell::let_go",
        checks: "the handle is let go while the task ends: the output is dropped once, the memory freed once",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: let_go,
        bug: "letting go is a read and a write",
        seed: bug_at(
            "pub(super) fn let_go(&self) -> bool {\n        // Acquire: as in `taken`",
            "fetch_add",
            Fault::Split,
        ),
    },
    Model {
        name: "cell::polled_and_let_go",
        checks: "the same with a waker left before",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: polled_and_let_go,
        bug: "the task does not look whether the handle has gone meanwhile",
        seed: bug_at("pub(super) fn told(", "fetch_sub", Fault::Split),
    },
    Model {
        name: "cell::awaited_above",
        checks: "the scope above awaits the handle while the task ends: it is woken, or the output is there",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: awaited_above,
        bug: "that the scope above waits is a read and a write",
        seed: SPLIT_LEAVE_TO_ABOVE,
    },
    Model {
        name: "cell::awaited_above_and_elsewhere",
        checks: "a handle that the scope above has polled is awaited by another thread while the task ends",
        threads: 3,
        quick: Some(ALL),
        full: ALL,
        body: awaited_above_and_elsewhere,
        bug: "the other's waker is left without a look whether the task has ended",
        seed: SPLIT_LEAVE_WAKER,
    },
    Model {
        name: "cell::given_away_above",
        checks: "a scope polls the handle of one below, gives it away and waits: the end below wakes it",
        threads: 3,
        quick: Some(ALL),
        full: ALL,
        body: given_away_above,
        bug: "the scope below does not remember that the one above has asked",
        seed: ABOVE_FORGOTTEN,
    },
    Model {
        name: "cell::lent_waker_against_end",
        checks: "an abort wakes a parked scope, by the waker lent to the list, while the scope ends",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: lent_waker_against_end,
        bug: "a holder lets go without a word",
        seed: SILENT_HOLDER,
    },
];

type Thread = thread::JoinHandle<()>;

/// Threads that a task starts, for the model to wait for.
#[derive(Clone, Default)]
pub(super) struct Started(StdArc<StdMutex<Vec<Thread>>>);

impl Started {
    pub(super) fn start(&self, f: impl FnOnce() + Send + 'static) {
        self.0.lock().expect("nobody panics").push(thread::spawn(f));
    }

    pub(super) fn wait(&self) {
        let threads = std::mem::take(&mut *self.0.lock().expect("nobody panics"));
        threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
    }
}

/// What a task is woken for. loom reports a read that is not after the write.
#[derive(Clone)]
pub(super) struct Message(StdArc<UnsafeCell<()>>);

// SAFETY: the cell's pointer is not used; loom only takes note.
unsafe impl Send for Message {}
// SAFETY: as above.
unsafe impl Sync for Message {}

impl Message {
    pub(super) fn new() -> Self {
        Self(StdArc::new(UnsafeCell::new(())))
    }

    pub(super) fn write(&self) {
        self.0.with_mut(|_| ());
    }

    pub(super) fn read(&self) {
        self.0.with(|_| ());
    }
}

/// Runs what is queued until nothing is.
fn run_all(way: Way) {
    while let Some(run) = way.next() {
        assert!(way.next().is_none(), "one task is in the queue once");
        run.run();
    }
}

pub(super) fn first(way: Way) {
    way.next().expect("the scope was spawned").run();
}

/// Runs the scope that was spawned on a thread of its own.
fn first_elsewhere(way: Way) -> Thread {
    let run = way.next().expect("the scope was spawned");
    thread::spawn(move || run.run())
}

/// Runs what was spawned, and what is woken by it and by the threads that it starts.
fn run_through(way: Way, started: &Started) {
    first(way);
    run_all(way);
    started.wait();
    run_all(way);
}

/// `Pending` once, after `f` was called with the waker.
pub(super) async fn once_pending(f: impl FnOnce(&Waker)) {
    let mut f = Some(f);
    poll_fn(|cx: &mut Context<'_>| match f.take() {
        Some(f) => {
            f(cx.waker());
            Poll::Pending
        }
        None => Poll::Ready(()),
    })
    .await;
}

fn wake_against_pause() {
    let yard = Yard::new();
    let (way, started, message) = (yard.way(), Started::default(), Message::new());
    let (start, word) = (started.clone(), message);
    let handle = way.scope().scope(async move |_| {
        once_pending(|waker| {
            let (waker, word) = (waker.clone(), word.clone());
            start.start(move || {
                word.write();
                waker.wake();
            });
        })
        .await;
        word.read();
    });
    run_through(way, &started);
    assert!(handle.is_finished());
}

fn two_wakes() {
    let yard = Yard::new();
    let (way, started) = (yard.way(), Started::default());
    let start = started.clone();
    let handle = way.scope().scope(async move |_| {
        let woken = StdArc::new(StdAtomicUsize::new(0));
        let mut polls = 0;
        poll_fn(|cx| {
            polls += 1;
            assert!(polls <= 3, "polled without having been woken");
            if polls == 1 {
                for _ in 0..2 {
                    let (waker, woken) = (cx.waker().clone(), woken.clone());
                    start.start(move || {
                        woken.fetch_add(1, StdOrdering::SeqCst);
                        waker.wake();
                    });
                }
            }
            if woken.load(StdOrdering::SeqCst) == 2 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    });
    run_through(way, &started);
    assert!(handle.is_finished());
}

fn next_poll_elsewhere() {
    let yard = Yard::new();
    let (way, started, local) = (yard.way(), Started::default(), Message::new());
    let start = started.clone();
    let handle = way.scope().scope(async move |_| {
        once_pending(|waker| {
            let waker = waker.clone();
            start.start(move || {
                waker.wake();
                run_all(way);
            });
            local.write();
        })
        .await;
        local.write();
    });
    first(way);
    // No look at the queue here: its fences would order what `pause` has to.
    started.wait();
    run_all(way);
    assert!(handle.is_finished());
}

fn last_waker_against_end() {
    let yard = Yard::new();
    let (way, started) = (yard.way(), Started::default());
    let start = started.clone();
    drop(way.scope().scope(async move |_| {
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            start.start(move || {
                waker.wake_by_ref();
                drop(waker);
            });
            Poll::Ready(())
        })
        .await;
    }));
    first(way);
    started.wait();
    assert!(way.next().is_none(), "a task that has ended is not queued");
}

fn last_waker_against_taking() {
    let yard = Yard::new();
    let (way, started) = (yard.way(), Started::default());
    let start = started.clone();
    let handle = way.scope().scope(async move |_| {
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            start.start(move || drop(waker));
            Poll::Ready(())
        })
        .await;
    });
    let runner = first_elsewhere(way);
    Signal::new().block_on(handle);
    runner.join().expect("no thread panics");
    started.wait();
}

fn awaited() {
    let yard = Yard::new();
    let way = yard.way();
    let handle = way.scope().scope(async move |_| Borrowed::new());
    let runner = first_elsewhere(way);
    drop(Signal::new().block_on(handle));
    runner.join().expect("no thread panics");
}

fn awaited_by_another() {
    let yard = Yard::new();
    let way = yard.way();
    let mut handle = way.scope().scope(async move |_| Borrowed::new());
    let runner = first_elsewhere(way);
    let other = Signal::new().waker();
    match Pin::new(&mut handle).poll(&mut Context::from_waker(&other)) {
        Poll::Ready(output) => drop(output),
        Poll::Pending => drop(Signal::new().block_on(handle)),
    }
    runner.join().expect("no thread panics");
}

/// Counts its drops.
pub(super) struct Counted(StdArc<StdAtomicUsize>, #[expect(dead_code)] Borrowed);

impl Counted {
    /// And where its drops are counted.
    pub(super) fn new() -> (Self, StdArc<StdAtomicUsize>) {
        let drops = StdArc::new(StdAtomicUsize::new(0));
        (Self(drops.clone(), Borrowed::new()), drops)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, StdOrdering::SeqCst);
    }
}

/// Lets the handle go, after `before`, while the task ends.
fn let_go_after(before: impl FnOnce(&mut JoinHandle<'_, Counted>)) {
    let (counted, drops) = Counted::new();
    let yard = Yard::new();
    let way = yard.way();
    let mut handle = way.scope().scope(async move |_| counted);
    let runner = first_elsewhere(way);
    before(&mut handle);
    drop(handle);
    runner.join().expect("no thread panics");
    assert_eq!(drops.load(StdOrdering::SeqCst), 1);
}

fn let_go() {
    let_go_after(|_| ());
}

fn polled_and_let_go() {
    let_go_after(|handle| {
        let waker = Signal::new().waker();
        let _ = Pin::new(handle).poll(&mut Context::from_waker(&waker));
    });
}

fn awaited_above() {
    let yard = Yard::new();
    let (way, started) = (yard.way(), Started::default());
    let start = started.clone();
    let handle = way.scope().scope(async move |scope| {
        let below = scope.scope(async move |_| Borrowed::new());
        let run = way.next().expect("the scope was spawned");
        start.start(move || run.run());
        drop(below.await);
    });
    run_through(way, &started);
    assert!(handle.is_finished());
}

fn awaited_above_and_elsewhere() {
    given_away(false);
}

fn given_away_above() {
    given_away(true);
}

/// A scope polls the handle of one below once, gives it to another thread if that has not ended, and may then wait for no more than
/// to be woken.
fn given_away(waits: bool) {
    let yard = Yard::new();
    let (way, started) = (yard.way(), Started::default());
    let start = started.clone();
    let handle = way.scope().scope(async move |scope| {
        let mut below = scope.scope(async move |_| Borrowed::new());
        let run = way.next().expect("the scope was spawned");
        start.start(move || run.run());
        if !poll_once(&mut below).await {
            on_another_thread(move || drop(Signal::new().block_on(below)));
            if waits {
                once_pending(|_| ()).await;
            }
        }
    });
    first(way);
    started.wait();
    run_all(way);
    assert!(handle.is_finished());
}

fn lent_waker_against_end() {
    let yard = Yard::new();
    let way = yard.way();
    let kept = StdArc::new(StdMutex::new(None));
    let keep = kept.clone();
    let handle = way.scope().scope(async move |_| {
        once_pending(|waker| *keep.lock().expect("nobody panics") = Some(waker.clone())).await;
    });
    drop(handle);
    first(way);
    kept.lock().expect("nobody panics").take().map_or_else(|| unreachable!("it was polled"), Waker::wake);
    let run = way.next().expect("it was parked, and woken");
    let runner = thread::spawn(move || run.run());
    way.scope().abort();
    runner.join().expect("no thread panics");
    run_all(way);
}
