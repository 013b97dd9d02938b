//! The driver's protocols under loom, on the stand-in poller.
//!
//! `RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 cargo test -p treescope --lib --profile loom driver::`
//!
//! Each names a change that makes it fail. A wake-up that is lost shows as loom's deadlock report, which may abort
//! the test binary.

use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Wake};

use super::readiness::Readiness;
use super::*;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Condvar, thread, wait};

/// Says that it was called.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: StdArc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// What a task sleeps on in these models.
struct Bed {
    woken: Mutex<bool>,
    condvar: Condvar,
}

impl Bed {
    fn new() -> StdArc<Self> {
        StdArc::new(Self { woken: Mutex::new(false), condvar: Condvar::new() })
    }

    fn sleep(&self) {
        let mut woken = self.woken.lock();
        while !*woken {
            woken = wait(&self.condvar, woken);
        }
        *woken = false;
    }
}

impl Wake for Bed {
    fn wake(self: StdArc<Self>) {
        *self.woken.lock() = true;
        self.condvar.notify_one();
    }
}

fn driver() -> Arc<Driver> {
    Driver::new(ClockKind::Virtual).expect("the stand-in poller opens")
}

/// Fails if `Bell::ring` or `Bell::rouse` is relaxed, and hangs if `interrupt` never kicks.
#[test]
fn an_interruption_ends_a_blocking_turn_and_hands_over_what_came_before_it() {
    loom::model(|| {
        let driver = driver();
        let work = Arc::new(AtomicUsize::new(0));
        let ringers: [_; 2] = std::array::from_fn(|_| {
            let (driver, work) = (driver.clone(), work.clone());
            thread::spawn(move || {
                work.fetch_add(1, Ordering::Relaxed);
                driver.interrupt();
            })
        });
        // Were a ring to hand nothing over, this could read an old count after the last ring, and sleep for ever.
        while work.load(Ordering::Relaxed) < 2 {
            driver.try_turn().expect("one thread polls").run(Wait::Blocking);
        }
        ringers.map(|ringer| ringer.join().expect("rings"));
    });
}

/// Hangs if arming does not interrupt, or if `jump` reads the next deadline before it publishes it.
#[test]
fn a_timer_armed_by_another_thread_is_not_slept_through() {
    loom::model(|| {
        let driver = driver();
        let fired = StdArc::new(Flag(AtomicBool::new(false)));
        let armer = {
            let (driver, fired) = (driver.clone(), fired.clone());
            thread::spawn(move || {
                let deadline = driver.clock().now() + Duration::from_secs(1);
                driver.arm(deadline, &Waker::from(fired)).expect("a deadline that comes");
            })
        };
        while !fired.0.load(Ordering::Acquire) {
            driver.try_turn().expect("one thread polls").run(Wait::Quiescent);
        }
        armer.join().expect("arms");
    });
}

/// Hangs if `Readiness::clear` stores instead of comparing ticks, or if `wait` does not look again under the lock.
#[test]
fn an_edge_reaches_a_task_that_finds_nothing_clears_and_waits() {
    loom::model(|| {
        let readiness = Arc::new(Readiness::new(false));
        let kernel = Arc::new(AtomicUsize::new(0));
        let turn = {
            let (readiness, kernel) = (readiness.clone(), kernel.clone());
            thread::spawn(move || {
                let mut due = Vec::new();
                for _ in 0..2 {
                    kernel.fetch_add(1, Ordering::SeqCst);
                    readiness.set(false, &mut due);
                    wakers::wake_all(&mut due);
                }
            })
        };
        let bed = Bed::new();
        let waker = Waker::from(bed.clone());
        let mut got = 0;
        while got < 2 {
            match readiness.poll_ready(&mut Context::from_waker(&waker)) {
                Poll::Pending => bed.sleep(),
                Poll::Ready(tick) => match kernel.swap(0, Ordering::SeqCst) {
                    0 => readiness.clear(tick),
                    bytes => got += bytes,
                },
            }
        }
        turn.join().expect("reports");
    });
}
