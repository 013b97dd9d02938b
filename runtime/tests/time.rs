//! Time as tasks see it. Most run on a virtual clock, so that they take no time and depend on none.

use std::future::pending;
use std::pin::pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use treescope::time::{self, MissedTickBehavior, Sleep};
use treescope::{Runtime, block_on};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn each_virtual_runtime(test: impl Fn(&Runtime)) {
    for workers in [1, 2, 4] {
        test(&Runtime::builder().worker_threads(workers).virtual_clock().build().unwrap());
    }
}

#[test]
fn a_day_of_virtual_sleep_takes_no_time() {
    each_virtual_runtime(|runtime| {
        let started = Instant::now();
        runtime.block_on(async |_| {
            let start = time::now();
            for _ in 0..24 {
                time::sleep(HOUR).await;
            }
            assert_eq!(time::now() - start, 24 * HOUR);
        });
        assert!(started.elapsed() < HOUR);
    });
}

#[test]
fn children_wake_in_the_order_of_their_deadlines() {
    each_virtual_runtime(|runtime| {
        let order = Mutex::new(Vec::new());
        let order = &order;
        runtime.block_on(async |scope| {
            for n in (0..100_u32).rev() {
                scope.spawn(async move {
                    time::sleep(MS * n).await;
                    order.lock().unwrap().push(n);
                });
            }
        });
        assert_eq!(*order.lock().unwrap(), Vec::from_iter(0..100));
    });
}

#[test]
fn virtual_time_stands_still_while_a_task_works() {
    each_virtual_runtime(|runtime| {
        runtime.block_on(async |scope| {
            let start = time::now();
            let sleeper = scope.spawn(async {
                time::sleep(HOUR).await;
                time::now()
            });
            for _ in 0..1000 {
                treescope::yield_now().await;
                assert_eq!(time::now(), start);
            }
            assert_eq!(sleeper.await - start, HOUR);
        });
    });
}

#[test]
fn virtual_time_waits_for_blocking_calls_and_goes_on_after_them() {
    each_virtual_runtime(|runtime| {
        let (unblock, blocked) = std::sync::mpsc::channel::<()>();
        runtime.block_on(async |scope| {
            let start = time::now();
            let call = scope.spawn_blocking(move || blocked.recv().is_ok());
            let sleeper = scope.spawn(time::sleep(HOUR));
            for _ in 0..100 {
                treescope::yield_now().await;
                std::thread::yield_now();
            }
            assert_eq!(time::now(), start);
            unblock.send(()).unwrap();
            assert!(call.await);
            sleeper.await;
            assert_eq!(time::now() - start, HOUR);
        });
    });
}

#[test]
fn a_timeout_ends_a_future_that_never_does_and_spares_one_that_does() {
    each_virtual_runtime(|runtime| {
        runtime.block_on(async |scope| {
            let start = time::now();
            assert!(time::timeout(5 * MS, pending::<()>()).await.is_err());
            assert_eq!(time::now() - start, 5 * MS);
            let child = scope.spawn(async {
                time::sleep(3 * MS).await;
                7
            });
            assert_eq!(time::timeout(4 * MS, child).await, Ok(7));
            assert_eq!(time::now() - start, 8 * MS);
            assert!(time::timeout_at(start, pending::<()>()).await.is_err());
        });
    });
}

#[test]
fn a_timeout_of_for_ever_is_no_timeout() {
    each_virtual_runtime(|runtime| {
        runtime.block_on(async |_| {
            assert!(time::timeout(Duration::MAX, time::sleep(HOUR)).await.is_ok());
        });
    });
}

#[test]
fn a_sleep_may_be_reset_while_a_task_waits_for_it() {
    each_virtual_runtime(|runtime| {
        runtime.block_on(async |_| {
            let start = time::now();
            let mut sleep = pin!(time::sleep(HOUR));
            assert!(time::timeout(MS, sleep.as_mut()).await.is_err());
            sleep.as_mut().reset(start + 2 * MS);
            sleep.await;
            assert_eq!(time::now() - start, 2 * MS);
        });
    });
}

#[test]
fn an_interval_keeps_its_beat() {
    each_virtual_runtime(|runtime| {
        runtime.block_on(async |_| {
            let start = time::now();
            let mut interval = time::interval(10 * MS);
            interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
            assert_eq!(interval.tick().await, start);
            assert_eq!(interval.tick().await, start + 10 * MS);
            time::sleep(25 * MS).await;
            assert_eq!(interval.tick().await, start + 20 * MS);
            assert_eq!(interval.tick().await, start + 40 * MS);
            assert_eq!(time::now(), start + 40 * MS);
        });
    });
}

#[test]
fn ten_thousand_tasks_sleep_at_once_and_half_are_cancelled() {
    each_virtual_runtime(|runtime| {
        runtime.block_on(async |scope| {
            for n in 0..10_000_u32 {
                scope.spawn(async move {
                    let start = time::now();
                    if n % 2 == 0 {
                        time::sleep(MS * (n % 97)).await;
                        assert_eq!(time::now() - start, MS * (n % 97));
                    } else {
                        assert!(time::timeout(MS, time::sleep(HOUR)).await.is_err());
                    }
                });
            }
        });
    });
}

#[test]
fn a_real_sleep_is_never_short() {
    block_on(async |scope| {
        for n in 0..20_u32 {
            scope.spawn(async move {
                let nap = Duration::from_micros(700) * n;
                let start = Instant::now();
                time::sleep(nap).await;
                assert!(start.elapsed() >= nap);
            });
        }
    });
}

#[test]
fn a_short_sleep_set_while_the_runtime_sleeps_for_long_is_on_time() {
    let runtime = Runtime::builder().worker_threads(2).build().unwrap();
    let started = Instant::now();
    runtime.block_on(async |scope| {
        let long = time::timeout(HOUR, pending::<()>());
        let mut long = pin!(long);
        for _ in 0..50 {
            assert!(time::timeout(MS, long.as_mut()).await.is_err());
            scope.spawn(time::sleep(MS)).await;
        }
    });
    assert!(started.elapsed() < Duration::from_secs(60));
}

fn virtual_runtime() -> Runtime {
    Runtime::builder().worker_threads(1).virtual_clock().build().unwrap()
}

/// A sleep of an hour that `runtime` serves from now on.
fn armed_in(runtime: &Runtime) -> Sleep {
    let mut sleep = None;
    runtime.block_on(async |_| {
        let sleep = sleep.insert(time::sleep(HOUR));
        assert!(time::timeout(Duration::ZERO, sleep).await.is_err());
    });
    sleep.unwrap()
}

#[test]
fn a_sleep_taken_to_another_runtime_is_served_by_the_first() {
    let (one, two) = (virtual_runtime(), Runtime::builder().worker_threads(1).build().unwrap());
    let sleep = armed_in(&one);
    two.block_on(async |_| sleep.await);
}

#[test]
fn a_sleep_whose_runtime_is_gone_never_fires_and_holds_up_nobody() {
    let mut sleep = armed_in(&Runtime::builder().worker_threads(1).build().unwrap());
    virtual_runtime().block_on(async |_| assert!(time::timeout(2 * HOUR, &mut sleep).await.is_err()));
}
