//! A turn of the driver against those who end it (`driver/mod.rs`, `driver/bell.rs`, `driver/timers.rs`).
//!
//! The kernel's place is taken by a flag and a condition variable (`driver/poller_checked.rs`).

use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;
use treescope::model::{Driver, Readiness, Signal};

use super::{ALL, Model, bug};
use crate::bugs::SILENT_BELL;
use crate::seed::{Fault, Seed};

const BELL: &str = "driver/bell.rs";

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "driver::advance_against_turn",
        checks: "the clock is moved while a turn begins to block",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: advance_against_turn,
        bug: "a ring publishes nothing",
        seed: Seed::Operation {
            file: BELL,
            anchor: "pub(super) fn ring(",
            operation: "swap",
            fault: Fault::Weaken(0, "Relaxed"),
        },
    },
    Model {
        name: "driver::arm_against_turn",
        checks: "a timer is armed, and its time comes, while a turn begins to block",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: arm_against_turn,
        bug: "a block announces itself by a read and a write",
        seed: Seed::Operation {
            file: BELL,
            anchor: "pub(super) fn doze(",
            operation: "compare_exchange",
            fault: Fault::Split,
        },
    },
    Model {
        name: "driver::arm_against_jump",
        checks: "a timer is armed while a clock that may jump finds none",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: arm_against_jump,
        bug: "the turn is not told",
        seed: SILENT_BELL,
    },
    Model {
        name: "driver::interrupts_hand_over",
        checks: "what was done before an interruption is seen by the thread whose turn it ended",
        threads: 3,
        quick: Some(3),
        full: 5,
        body: interrupts_hand_over,
        bug: "the turn that a ring ends does not see what came before it",
        seed: Seed::Operation {
            file: BELL,
            anchor: "pub(super) fn rouse(",
            operation: "swap",
            fault: Fault::Weaken(0, "Relaxed"),
        },
    },
    Model {
        name: "driver::edge_against_wait",
        checks: "an edge reaches a task that has found nothing and is about to say so",
        threads: 2,
        quick: Some(4),
        full: ALL,
        body: edge_against_wait,
        bug: "the note that nothing was found overwrites the edge",
        seed: Seed::Operation {
            file: "driver/readiness.rs",
            anchor: "pub(crate) fn clear(",
            operation: "compare_exchange",
            fault: Fault::Split,
        },
    },
    Model {
        name: "driver::two_interrupts",
        checks: "two interruptions at once, and one blocking turn",
        threads: 3,
        quick: Some(ALL),
        full: ALL,
        body: two_interrupts,
        bug: "the kernel is not told",
        seed: Seed::Operation {
            file: "driver/poller_checked.rs",
            anchor: "pub(super) fn kick(",
            operation: "notify_one",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "driver::fired_against_dropped",
        checks: "a timer is disarmed while it fires; its key, come too late, does no harm to the next one",
        threads: 2,
        quick: Some(4),
        full: 6,
        body: fired_against_dropped,
        bug: "the next timer is disarmed by the late key",
        seed: Seed::Caller("the late key is the next one's"),
    },
];

const TICK: Duration = Duration::from_millis(1);

/// Notes that it was woken.
struct Flag(AtomicBool);

/// `Waker` wants `std`'s `Arc`.
struct Shared(Arc<Flag>);

impl Wake for Shared {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

fn flag() -> (Arc<Flag>, Waker) {
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(std::sync::Arc::new(Shared(flag.clone())));
    (flag, waker)
}

/// Turns until `flag` is set. Slept through, it turns for ever.
fn turn_until(driver: &Driver, flag: &Flag) {
    while !flag.0.load(Ordering::Relaxed) {
        assert!(driver.turn(false), "nobody else takes turns");
    }
}

fn advance_against_turn() {
    let driver = Arc::new(Driver::with_virtual_clock());
    let (flag, waker) = flag();
    let _ = driver.arm(TICK, &waker);
    drop(waker);
    let poller = thread::spawn({
        let driver = driver.clone();
        move || turn_until(&driver, &flag)
    });
    driver.advance(TICK);
    poller.join().unwrap();
}

fn arm_against_turn() {
    let driver = Arc::new(Driver::with_virtual_clock());
    let (flag, waker) = flag();
    let poller = thread::spawn({
        let driver = driver.clone();
        move || turn_until(&driver, &flag)
    });
    let _ = driver.arm(TICK, &waker);
    drop(waker);
    driver.advance(TICK);
    poller.join().unwrap();
}

fn arm_against_jump() {
    let driver = Arc::new(Driver::with_virtual_clock());
    let (flag, waker) = flag();
    let armer = thread::spawn({
        let driver = driver.clone();
        move || {
            let _ = driver.arm(TICK, &waker);
        }
    });
    while !flag.0.load(Ordering::Relaxed) {
        assert!(driver.turn(true), "nobody else takes turns");
    }
    armer.join().unwrap();
}

fn fired_against_dropped() {
    let driver = Arc::new(Driver::with_virtual_clock());
    let (_first, first_waker) = flag();
    let (next, next_waker) = flag();
    let timer = driver.arm(TICK, &first_waker);
    drop(first_waker);
    let poller = thread::spawn({
        let driver = driver.clone();
        move || turn_until(&driver, &next)
    });
    driver.advance(TICK);
    driver.cancel(timer);
    // It may lie where the first one lay.
    let second = driver.arm(TICK, &next_waker);
    drop(next_waker);
    driver.cancel(if bug("the late key is the next one's") { second } else { timer });
    driver.advance(TICK);
    poller.join().unwrap();
}

fn interrupts_hand_over() {
    let driver = Arc::new(Driver::with_virtual_clock());
    let work = Arc::new(AtomicUsize::new(0));
    let ringers = [(); 2].map(|()| {
        let (driver, work) = (driver.clone(), work.clone());
        thread::spawn(move || {
            work.fetch_add(1, Ordering::Relaxed);
            driver.interrupt();
        })
    });
    // Were a ring to hand nothing over, this could read an old count after the last ring, and sleep for ever.
    while work.load(Ordering::Relaxed) < 2 {
        assert!(driver.turn(false), "nobody else takes turns");
    }
    for ringer in ringers {
        ringer.join().unwrap();
    }
}

fn edge_against_wait() {
    let readiness = Arc::new(Readiness::new(false));
    // Bytes that lie in the kernel. Its own locks order them, so does SeqCst here.
    let kernel = Arc::new(AtomicUsize::new(0));
    let turn = thread::spawn({
        let (readiness, kernel) = (readiness.clone(), kernel.clone());
        move || {
            for _ in 0..2 {
                kernel.fetch_add(1, Ordering::SeqCst);
                readiness.set();
            }
        }
    });
    let signal = Signal::new();
    let waker = signal.waker();
    let mut got = 0;
    while got < 2 {
        match readiness.poll_ready(&mut Context::from_waker(&waker)) {
            Poll::Pending => signal.sleep(),
            Poll::Ready(tick) => match kernel.swap(0, Ordering::SeqCst) {
                0 => readiness.clear(tick),
                bytes => got += bytes,
            },
        }
    }
    turn.join().unwrap();
}

fn two_interrupts() {
    let driver = Arc::new(Driver::new());
    let ringers = [(); 2].map(|()| {
        let driver = driver.clone();
        thread::spawn(move || driver.interrupt())
    });
    assert!(driver.turn(false), "nobody else takes turns");
    for ringer in ringers {
        ringer.join().unwrap();
    }
}
