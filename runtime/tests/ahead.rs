//! Who goes ahead of the tasks that were woken earlier, and that nobody waits for ever because of it.

// A checker has no sockets.
#![cfg(not(any(loom, shuttle)))]

mod common;

use common::{FOREIGN_EVERY, Gate, SPAWNED_RUN, order_of_passing, runtime, watched};
use futures_lite::AsyncReadExt;
use futures_lite::future::poll_once;
use std::cell::Cell;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use treescope::net::TcpListener;
use treescope::{hand_over, yield_now};

/// `AHEAD_MAX` of `sched/worker.rs`.
const AHEAD_MAX: usize = 16;

#[test]
fn the_first_task_woken_in_a_hand_over_is_the_next_one() {
    watched(|| {
        let order = order_of_passing(5, |gates| {
            gates[0].open();
            gates[1].open();
            hand_over(|| {
                gates[2].open();
                gates[3].open();
            });
            gates[4].open();
        });
        assert_eq!(order, [2, 0, 1, 3, 4]);
    });
}

#[test]
fn a_hand_over_that_wakes_nobody_or_panics_leaves_no_trace() {
    watched(|| {
        let order = order_of_passing(2, |gates| {
            gates[0].open();
            assert_eq!(hand_over(|| 7), 7);
            let panicked = std::panic::catch_unwind(|| hand_over(|| std::panic::resume_unwind(Box::new(()))));
            assert!(panicked.is_err());
            gates[1].open();
        });
        assert_eq!(order, [0, 1]);
    });
}

#[test]
fn on_a_thread_that_is_no_worker_a_hand_over_is_a_call() {
    let cell = Cell::new(0);
    hand_over(|| cell.set(1));
    assert_eq!(runtime(1).block_on(async |_| hand_over(|| cell.get() + 1)), 2);
}

#[test]
fn two_tasks_that_hand_over_to_each_other_do_not_starve_woken_tasks() {
    watched(|| {
        let (picks, stop) = (&AtomicU64::new(0), &AtomicBool::new(false));
        runtime(1).block_on(async |root| {
            root.scope(async move |scope| {
                let gates: &[Gate] = &*scope.alloc(Vec::from_iter((0..20_000).map(|_| Gate::new())));
                // Each passes the gates of its own parity, and opens the next one, which the other waits at.
                for parity in [0, 1] {
                    scope.spawn(async move {
                        for n in (parity..gates.len() - 1).step_by(2) {
                            gates[n].pass().await;
                            picks.fetch_add(1, Ordering::SeqCst);
                            if stop.load(Ordering::SeqCst) {
                                gates[n + 1].open();
                                return;
                            }
                            hand_over(|| gates[n + 1].open());
                        }
                    });
                }
                scope.spawn(async move {
                    yield_now().await;
                    gates[0].open();
                    let mut last = picks.load(Ordering::SeqCst);
                    for _ in 0..500 {
                        yield_now().await;
                        let now = picks.load(Ordering::SeqCst);
                        assert!(now - last <= SPAWNED_RUN + 1, "{} hand-overs in between", now - last);
                        last = now;
                    }
                    assert!(last >= 500, "they do hand over: {last}");
                    stop.store(true, Ordering::SeqCst);
                });
            });
        });
    });
}

/// How many picks of `busy` tasks, which are always ready, pass until each of `sockets` tasks, told at once, has read.
fn picks_until_all_have_read(busy: u64, sockets: usize) -> u64 {
    let (picks, stop, read) = (&AtomicU64::new(0), &AtomicBool::new(false), &AtomicUsize::new(0));
    runtime(1).block_on(async |root| {
        root.scope(async move |scope| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let addr = listener.local_addr().expect("bound");
            let mut near = Vec::new();
            for _ in 0..sockets {
                near.push(std::net::TcpStream::connect(addr).expect("connects"));
                let (mut far, _) = listener.accept().await.expect("accepts");
                scope.spawn(async move {
                    let mut byte = [0];
                    // Found empty, so it is the reactor that has to tell.
                    let mut receive = std::pin::pin!(far.read_exact(&mut byte));
                    assert!(poll_once(&mut receive).await.is_none());
                    receive.await.expect("receives");
                    read.fetch_add(1, Ordering::SeqCst);
                });
            }
            for _ in 0..busy {
                scope.spawn(async move {
                    while !stop.load(Ordering::SeqCst) {
                        picks.fetch_add(1, Ordering::SeqCst);
                        yield_now().await;
                    }
                });
            }
            // All of them are woken tasks by then.
            while picks.load(Ordering::SeqCst) < 3 * busy {
                yield_now().await;
            }
            scope
                .spawn(async move {
                    let sent = picks.load(Ordering::SeqCst);
                    near.iter_mut().for_each(|near| near.write_all(b"x").expect("sends"));
                    while read.load(Ordering::SeqCst) < sockets {
                        yield_now().await;
                    }
                    stop.store(true, Ordering::SeqCst);
                    picks.load(Ordering::SeqCst) - sent
                })
                .await
        })
        .await
    })
}

#[test]
fn what_a_few_sockets_tell_goes_ahead_of_woken_tasks() {
    watched(|| {
        // The one that counts notices after one more round of all.
        let picks = picks_until_all_have_read(1_000, AHEAD_MAX / 2);
        assert!(picks <= 1_000 + 2 * FOREIGN_EVERY + SPAWNED_RUN, "{picks} woken tasks ran first");
    });
}

#[test]
fn of_many_sockets_that_tell_at_once_none_is_forgotten() {
    watched(|| {
        let picks = picks_until_all_have_read(100, 20 * AHEAD_MAX);
        assert!(picks <= 100 * 100, "{picks} woken tasks ran first");
    });
}
