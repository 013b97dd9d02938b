//! Timers driven by hand on a virtual clock: poll, turn, poll.

use std::future::{Future, pending, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::*;
use crate::driver::{ClockKind, Driver, Wait};
use crate::sync::Arc;

const MS: Duration = Duration::from_millis(1);

fn virtual_driver() -> Arc<Driver> {
    Driver::new(ClockKind::Virtual).unwrap()
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn turn(driver: &Driver, wait: Wait) -> usize {
    driver.try_turn().unwrap().run(wait)
}

fn sleep_on(driver: &Arc<Driver>, duration: Duration) -> Sleep {
    Sleep::on(driver, driver.clock().now().checked_add(duration))
}

#[test]
fn a_sleep_ends_at_its_deadline_and_not_before() {
    let driver = virtual_driver();
    let mut sleep = pin!(sleep_on(&driver, 5 * MS));
    assert!(poll(sleep.as_mut()).is_pending());
    driver.advance(5 * MS - Duration::from_nanos(1));
    assert_eq!(turn(&driver, Wait::No), 0);
    assert!(poll(sleep.as_mut()).is_pending());
    driver.advance(Duration::from_nanos(1));
    assert_eq!(turn(&driver, Wait::No), 1);
    assert!(poll(sleep.as_mut()).is_ready());
    assert!(poll(sleep.as_mut()).is_ready());
    assert!(!driver.has_work());
}

#[test]
fn a_sleep_whose_deadline_has_passed_is_never_armed() {
    let driver = virtual_driver();
    let mut sleep = pin!(sleep_on(&driver, Duration::ZERO));
    assert!(poll(sleep.as_mut()).is_ready());
    assert!(!driver.has_work());
}

#[test]
fn a_dropped_sleep_is_disarmed_at_once() {
    let driver = virtual_driver();
    let mut sleep = Box::pin(sleep_on(&driver, MS));
    assert!(poll(sleep.as_mut()).is_pending());
    assert!(driver.has_work());
    drop(sleep);
    assert!(!driver.has_work());
}

#[test]
fn deadlines_beyond_all_clocks_never_come_and_never_panic() {
    let driver = virtual_driver();
    for duration in
        [Duration::MAX, Duration::from_secs(u64::MAX / 4), Duration::from_secs(600 * 366 * 86_400)]
    {
        let mut sleep = pin!(sleep_on(&driver, duration));
        assert!(poll(sleep.as_mut()).is_pending());
        driver.advance(Duration::MAX);
        turn(&driver, Wait::No);
        assert!(poll(sleep.as_mut()).is_pending());
    }
    drop(sleep(Duration::MAX));
    drop(timeout(Duration::MAX, ready(())));
    drop(interval(Duration::MAX));
}

#[test]
fn a_reset_moves_the_deadline_both_ways_and_revives_an_elapsed_sleep() {
    let driver = virtual_driver();
    let start = driver.clock().now();
    let mut sleep = pin!(sleep_on(&driver, 10 * MS));
    assert!(poll(sleep.as_mut()).is_pending());
    sleep.as_mut().reset(start + 20 * MS);
    driver.advance(10 * MS);
    assert_eq!(turn(&driver, Wait::No), 0);
    sleep.as_mut().reset(start + 15 * MS);
    driver.advance(5 * MS);
    assert_eq!(turn(&driver, Wait::No), 1);
    // It fired, but before the poll it is moved once more.
    sleep.as_mut().reset(start + 30 * MS);
    assert!(poll(sleep.as_mut()).is_pending());
    driver.advance(15 * MS);
    assert_eq!(turn(&driver, Wait::No), 1);
    assert!(poll(sleep.as_mut()).is_ready());
    sleep.as_mut().reset(start + 40 * MS);
    assert!(!sleep.is_elapsed());
    assert!(poll(sleep.as_mut()).is_pending());
}

#[test]
fn a_sleep_outlives_its_runtime_without_harm() {
    let driver = virtual_driver();
    let mut sleep = Box::pin(sleep_on(&driver, MS));
    assert!(poll(sleep.as_mut()).is_pending());
    drop(driver);
    assert!(poll(sleep.as_mut()).is_pending());
    sleep.as_mut().reset(now());
    drop(sleep);
}

#[test]
#[should_panic = "outside a runtime"]
fn a_sleep_polled_outside_a_runtime_says_so() {
    let _ = poll(pin!(sleep(MS)));
}

fn timeout_on<F: Future>(driver: &Arc<Driver>, duration: Duration, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep_on(driver, duration) }
}

#[test]
fn a_timeout_prefers_a_ready_future_to_a_passed_deadline() {
    let driver = virtual_driver();
    assert_eq!(poll(pin!(timeout_on(&driver, Duration::ZERO, ready(7)))), Poll::Ready(Ok(7)));
}

#[test]
fn a_timeout_elapses_as_an_io_error_of_kind_timed_out() {
    let driver = virtual_driver();
    let mut future = pin!(timeout_on(&driver, MS, pending::<()>()));
    assert!(poll(future.as_mut()).is_pending());
    driver.advance(MS);
    assert_eq!(turn(&driver, Wait::No), 1);
    let Poll::Ready(Err(elapsed)) = poll(future.as_mut()) else { panic!("not elapsed") };
    assert_eq!(std::io::Error::from(elapsed).kind(), std::io::ErrorKind::TimedOut);
}

/// The ticks, in milliseconds from the start, of an interval of 10 ms: asked for on time once, then after 35 ms.
fn ticks(behavior: MissedTickBehavior) -> Vec<u128> {
    let driver = virtual_driver();
    let start = driver.clock().now();
    let mut interval = Interval::with(Sleep::on(&driver, Some(start)), 10 * MS);
    interval.set_missed_tick_behavior(behavior);
    let mut seen = Vec::new();
    let mut ask = |seen: &mut Vec<u128>| {
        let tick = poll(pin!(interval.tick()));
        seen.extend(match tick {
            Poll::Ready(at) => Some(at.duration_since(start).as_millis()),
            Poll::Pending => None,
        });
        tick.is_ready()
    };
    assert!(ask(&mut seen));
    assert!(!ask(&mut seen));
    driver.advance(35 * MS);
    turn(&driver, Wait::No);
    for _ in 0..6 {
        while ask(&mut seen) {}
        driver.advance(5 * MS);
        turn(&driver, Wait::No);
    }
    seen
}

#[test]
fn missed_ticks_come_in_a_burst() {
    assert_eq!(ticks(MissedTickBehavior::Burst), [0, 10, 20, 30, 40, 50, 60]);
}

#[test]
fn missed_ticks_delay_the_rest() {
    assert_eq!(ticks(MissedTickBehavior::Delay), [0, 10, 45, 55]);
}

#[test]
fn missed_ticks_are_skipped() {
    assert_eq!(ticks(MissedTickBehavior::Skip), [0, 10, 40, 50, 60]);
}

#[test]
#[should_panic = "must not be zero"]
fn an_interval_of_zero_is_refused() {
    interval(Duration::ZERO);
}

#[test]
fn ten_thousand_sleeps_fire_in_order_and_each_once() {
    let driver = virtual_driver();
    let mut sleeps: Vec<_> =
        (0..10_000_u32).map(|i| Box::pin(sleep_on(&driver, MS * (i * 7919 % 10_007)))).collect();
    let mut pending = sleeps.iter_mut().filter_map(|s| poll(s.as_mut()).is_pending().then_some(())).count();
    while pending > 0 {
        let woken = turn(&driver, Wait::Quiescent);
        assert_eq!(woken, 1, "deadlines differ, so each jump fires one");
        pending -= woken;
    }
    assert!(sleeps.iter_mut().all(|sleep| poll(sleep.as_mut()).is_ready()));
}
