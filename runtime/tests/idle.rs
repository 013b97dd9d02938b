//! A runtime with nothing to do costs nothing. In a process of its own, for that process's clock is what is measured.

// `/proc` is Linux's.
#![cfg(target_os = "linux")]

mod common;

use common::{Gate, runtime, watched};
use std::thread;
use std::time::Duration;

/// The time that all threads of this process have spent on a processor.
fn processor_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("a list of threads");
    let nanoseconds = tasks.filter_map(|task| {
        // A thread may end while this reads.
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// How much processor time passes in a second.
fn spent_in_a_second() -> Duration {
    let before = processor_time();
    thread::sleep(Duration::from_secs(1));
    processor_time().saturating_sub(before)
}

/// Far more than a thousandth, far less than one spinning thread.
const LIMIT: Duration = Duration::from_millis(20);

#[test]
fn an_idle_runtime_costs_no_processor_time() {
    watched(|| {
        let rt = runtime(4);
        // It has worked before: workers have searched, stolen and parked, and the blocking pool has threads.
        rt.block_on(async |root| {
            (0..1_000).for_each(|n| drop(root.spawn(async move { n })));
            root.spawn_blocking(|| ()).await;
        });
        let without_root = spent_in_a_second();
        assert!(without_root < LIMIT, "{without_root:?} without a root");
        let gate = &Gate::new();
        thread::scope(|threads| {
            threads.spawn(|| {
                while gate.waiting() < 1_001 {
                    thread::yield_now();
                }
                let with_root = spent_in_a_second();
                gate.open();
                assert!(with_root < LIMIT, "{with_root:?} with a thousand parked tasks");
            });
            rt.block_on(async |root| {
                root.spawn(treescope::time::sleep(Duration::from_millis(1_500)));
                (0..1_000).for_each(|_| drop(root.spawn(gate.pass())));
                root.scope(async move |scope| {
                    scope.spawn(gate.pass());
                });
            });
        });
    });
}

#[test]
fn workers_that_spin_sleep_when_their_time_is_over() {
    watched(|| {
        let rt = treescope::Runtime::builder()
            .worker_threads(4)
            .spin(Duration::from_millis(2))
            .build()
            .expect("a runtime");
        let gate = &Gate::new();
        rt.block_on(async |root| {
            let child = root.spawn(gate.pass());
            thread::scope(|threads| {
                threads.spawn(|| {
                    while gate.waiting() < 1 {
                        thread::yield_now();
                    }
                    let spent = spent_in_a_second();
                    gate.open();
                    assert!(spent < LIMIT, "{spent:?} with a worker that spins for 2 ms");
                });
            });
            child.await;
        });
    });
}
