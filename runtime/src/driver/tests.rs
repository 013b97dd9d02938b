//! Turns, interruptions and timers together, on the real poller.

use std::sync::mpsc;
use std::task::Wake;
use std::thread;

use super::wakers::tests::{Count, Panicking};
use super::*;

fn driver(kind: ClockKind) -> Arc<Driver> {
    Driver::new(kind).unwrap()
}

fn arm(driver: &Driver, after: Duration) -> (Arc<Count>, Option<Key>) {
    let (count, waker) = Count::new();
    let key = driver.arm(driver.clock().now() + after, &waker);
    (count, key)
}

/// Runs one blocking turn on another thread, and calls `then` once that turn is in the kernel.
fn while_blocked(driver: &Arc<Driver>, wait: Wait, then: impl FnOnce()) -> usize {
    thread::scope(|scope| {
        let turn = scope.spawn(|| driver.try_turn().unwrap().run(wait));
        while !driver.bell.is_asleep() {
            thread::yield_now();
        }
        then();
        turn.join().unwrap()
    })
}

#[test]
fn an_interruption_before_the_turn_is_not_lost() {
    let driver = driver(ClockKind::System);
    driver.interrupt();
    assert_eq!(driver.try_turn().unwrap().run(Wait::Blocking), 0);
}

#[test]
fn an_interruption_ends_the_present_turn() {
    let driver = driver(ClockKind::System);
    for wait in [Wait::Blocking, Wait::Quiescent] {
        assert_eq!(while_blocked(&driver, wait, || driver.interrupt()), 0);
    }
}

#[test]
fn a_turn_that_does_not_wait_leaves_the_interruption_for_the_next_that_does() {
    let driver = driver(ClockKind::System);
    driver.interrupt();
    assert_eq!(driver.try_turn().unwrap().run(Wait::No), 0);
    assert_eq!(driver.try_turn().unwrap().run(Wait::Blocking), 0);
}

#[test]
fn only_one_thread_has_the_turn() {
    let driver = driver(ClockKind::System);
    let turn = driver.try_turn().unwrap();
    assert!(driver.try_turn().is_none());
    drop(turn);
    assert!(driver.try_turn().is_some());
}

#[test]
fn a_turn_sleeps_to_the_deadline_and_never_wakes_before_it() {
    let driver = driver(ClockKind::System);
    let deadline = Instant::now() + Duration::from_micros(20_300);
    let (count, waker) = Count::new();
    driver.arm(deadline, &waker).unwrap();
    let mut woken = 0;
    while woken == 0 {
        woken = driver.try_turn().unwrap().run(Wait::Blocking);
        assert!(woken == 0 || Instant::now() >= deadline);
    }
    assert_eq!((woken, count.get()), (1, 1));
}

#[test]
fn a_timer_armed_before_the_sleepers_deadline_ends_its_turn() {
    let driver = driver(ClockKind::System);
    arm(&driver, Duration::from_secs(3600));
    assert_eq!(while_blocked(&driver, Wait::Blocking, || drop(arm(&driver, Duration::from_secs(1800)))), 0);
}

#[test]
fn a_timer_moved_before_the_sleepers_deadline_ends_its_turn() {
    let driver = driver(ClockKind::System);
    let (_, key) = arm(&driver, Duration::from_secs(3600));
    let soon = Instant::now() + Duration::from_secs(60);
    assert_eq!(while_blocked(&driver, Wait::Blocking, || assert!(driver.rearm(key.unwrap(), soon))), 0);
}

#[test]
fn virtual_time_jumps_only_when_all_is_quiet() {
    let driver = driver(ClockKind::Virtual);
    let start = driver.clock().now();
    let hour = Duration::from_secs(3600);
    let (first, _) = arm(&driver, hour);
    let (second, _) = arm(&driver, 2 * hour);
    assert_eq!(driver.try_turn().unwrap().run(Wait::No), 0);
    assert_eq!(while_blocked(&driver, Wait::Blocking, || driver.interrupt()), 0);
    assert_eq!(driver.clock().now(), start);
    driver.interrupt();
    assert_eq!(driver.try_turn().unwrap().run(Wait::Quiescent), 0, "an interruption comes before the jump");
    assert_eq!(driver.try_turn().unwrap().run(Wait::Quiescent), 1);
    assert_eq!((driver.clock().now() - start, first.get(), second.get()), (hour, 1, 0));
    assert_eq!(driver.try_turn().unwrap().run(Wait::Quiescent), 1);
    assert_eq!((driver.clock().now() - start, second.get()), (2 * hour, 1));
}

#[test]
fn a_quiescent_turn_without_timers_waits_for_the_first() {
    let driver = driver(ClockKind::Virtual);
    let mut armed = None;
    assert_eq!(
        while_blocked(&driver, Wait::Quiescent, || armed = Some(arm(&driver, Duration::from_secs(1)))),
        0
    );
    assert_eq!(driver.try_turn().unwrap().run(Wait::Quiescent), 1);
    assert_eq!(armed.unwrap().0.get(), 1);
}

#[test]
fn advancing_a_virtual_clock_ends_a_blocked_turn() {
    let driver = driver(ClockKind::Virtual);
    let (count, _) = arm(&driver, Duration::from_secs(1));
    let woken = while_blocked(&driver, Wait::Blocking, || assert!(driver.advance(Duration::from_secs(1))));
    assert_eq!((woken, count.get()), (1, 1));
}

/// A waker that does all that user code may do to the driver that calls it.
struct Meddler {
    driver: Arc<Driver>,
    cancels: Option<Key>,
    report: mpsc::Sender<bool>,
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        let (_, key) = arm(&self.driver, Duration::from_secs(60));
        self.driver.cancel(key.unwrap());
        self.driver.cancel(self.cancels.unwrap());
        self.driver.interrupt();
        self.report.send(self.driver.try_turn().is_none()).unwrap();
    }
}

#[test]
fn a_waker_may_use_the_driver_that_calls_it() {
    let driver = driver(ClockKind::Virtual);
    let (_, other) = arm(&driver, Duration::from_secs(30));
    let (report, reports) = mpsc::channel();
    let meddler = Arc::new(Meddler { driver: driver.clone(), cancels: other, report });
    driver.arm(driver.clock().now(), &Waker::from(meddler)).unwrap();
    assert_eq!(driver.try_turn().unwrap().run(Wait::No), 1);
    assert_eq!(reports.try_recv(), Ok(true));
    assert!(!driver.has_work());
}

#[test]
fn a_waker_that_panics_takes_no_other_and_no_turn_with_it() {
    let driver = driver(ClockKind::Virtual);
    let now = driver.clock().now();
    let (before, first) = Count::new();
    let (after, last) = Count::new();
    for waker in [first, Waker::from(Arc::new(Panicking)), last] {
        driver.arm(now, &waker).unwrap();
    }
    assert_eq!(driver.try_turn().unwrap().run(Wait::No), 3);
    assert_eq!((before.get(), after.get()), (1, 1));
    assert_eq!(driver.try_turn().unwrap().run(Wait::No), 0);
}

#[test]
fn timers_set_and_cancelled_from_many_threads_fire_once_or_never() {
    let driver = driver(ClockKind::System);
    let (kept, dropped) = (AtomicCount::default(), AtomicCount::default());
    let finished = AtomicCount::default();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for round in 0..2000_u64 {
                    let (keep, waker) = Count::new();
                    let (lose, lost) = Count::new();
                    let now = driver.clock().now();
                    driver.arm(now + Duration::from_micros(round % 50), &waker).unwrap();
                    let key = driver.arm(now + Duration::from_secs(60), &lost).unwrap();
                    driver.cancel(key);
                    while keep.get() == 0 {
                        thread::yield_now();
                    }
                    kept.add(keep.get());
                    dropped.add(lose.get());
                }
                finished.add(1);
                driver.interrupt();
            });
        }
        while finished.get() < 3 {
            driver.try_turn().unwrap().run(Wait::Blocking);
        }
    });
    assert_eq!((kept.get(), dropped.get()), (6000, 0));
    assert!(!driver.has_work());
}

#[derive(Default)]
struct AtomicCount(std::sync::atomic::AtomicUsize);

impl AtomicCount {
    fn add(&self, n: usize) {
        self.0.fetch_add(n, std::sync::atomic::Ordering::SeqCst);
    }

    fn get(&self) -> usize {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}
