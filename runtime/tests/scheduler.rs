//! The bounds that `sched/worker.rs` states, each measured in picks and not in time; order, parallelism, and how many
//! tasks live at once.

// A checker has no sockets.
#![cfg(not(any(loom, shuttle)))]

mod common;

use common::{FOREIGN_EVERY, Gate, SPAWNED_RUN, order_of_passing, runtime, watched};
use futures_lite::AsyncReadExt;
use futures_lite::future::poll_once;
use std::future::{Future, poll_fn};
use std::io::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::task::Poll;
use std::thread;
use std::time::Duration;
use treescope::net::TcpListener;
use treescope::{Runtime, Scope, yield_now};

type Boxed<'scope> = Pin<Box<dyn Future<Output = ()> + Send + 'scope>>;

/// `Budget::FULL` of `sched/budget.rs`.
const BUDGET: u64 = 128;

/// Picks made by the tasks of a test.
#[derive(Default)]
struct Picks(AtomicU64);

impl Picks {
    fn note(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A child that spawns the next one before it ends, so that the spawn lane never runs dry until `stop`.
fn storm<'scope>(scope: &'scope Scope<'scope, '_>, picks: &'scope Picks, stop: &'scope AtomicBool) {
    let next: Boxed<'scope> = Box::pin(async move {
        picks.note();
        if !stop.load(Ordering::SeqCst) {
            storm(scope, picks, stop);
        }
    });
    scope.spawn(next);
}

#[test]
fn a_storm_of_spawns_does_not_starve_woken_tasks() {
    watched(|| {
        let (picks, stop) = (&Picks::default(), &AtomicBool::new(false));
        runtime(1).block_on(async |root| {
            root.scope(async move |scope| {
                scope.spawn(async move {
                    let mut last = picks.now();
                    for round in 0..1_000 {
                        yield_now().await;
                        let now = picks.now();
                        // One more for a pick that was due for another reason.
                        assert!(now - last <= SPAWNED_RUN + 1, "{} children ran in between", now - last);
                        assert!(now > last || round == 0, "children and woken tasks take turns");
                        last = now;
                    }
                    stop.store(true, Ordering::SeqCst);
                });
                storm(scope, picks, stop);
            });
        });
    });
}

#[test]
fn woken_tasks_do_not_starve_the_remote_queue() {
    watched(|| {
        let (picks, stop, began) = (&Picks::default(), &AtomicBool::new(false), &AtomicUsize::new(0));
        runtime(1).block_on(async |root| {
            for _ in 0..8 {
                root.spawn(async move {
                    began.fetch_add(1, Ordering::SeqCst);
                    while !stop.load(Ordering::SeqCst) {
                        picks.note();
                        yield_now().await;
                    }
                });
            }
            // They come through the remote queue themselves.
            while began.load(Ordering::SeqCst) < 8 {
                thread::yield_now();
            }
            for _ in 0..200 {
                // The root is no worker: what it spawns comes through the remote queue.
                let child = root.spawn(async move { picks.now() });
                let after_push = picks.now();
                let ran_at = child.await;
                let waited = ran_at.saturating_sub(after_push);
                assert!(waited <= FOREIGN_EVERY + 1, "{waited} other tasks ran first");
            }
            stop.store(true, Ordering::SeqCst);
        });
    });
}

#[test]
fn a_storm_of_spawns_does_not_starve_the_remote_queue() {
    watched(|| {
        let (picks, stop) = (&Picks::default(), &AtomicBool::new(false));
        runtime(1).block_on(async |root| {
            root.scope(async move |scope| storm(scope, picks, stop));
            while picks.now() < 1_000 {
                thread::yield_now();
            }
            for _ in 0..200 {
                let child = root.spawn(async move { picks.now() });
                let after_push = picks.now();
                let waited = child.await.saturating_sub(after_push);
                assert!(waited <= FOREIGN_EVERY + 1, "{waited} other tasks ran first");
            }
            stop.store(true, Ordering::SeqCst);
        });
    });
}

#[test]
fn tasks_that_are_always_busy_do_not_starve_timers() {
    watched(|| {
        let stop = &AtomicBool::new(false);
        runtime(1).block_on(async |root| {
            for _ in 0..4 {
                root.spawn(async move {
                    while !stop.load(Ordering::SeqCst) {
                        yield_now().await;
                    }
                });
            }
            root.spawn(async move {
                for _ in 0..20 {
                    treescope::time::sleep(Duration::from_micros(100)).await;
                }
                stop.store(true, Ordering::SeqCst);
            });
        });
    });
}

#[test]
fn a_storm_of_spawns_does_not_starve_sockets() {
    watched(|| {
        let (picks, stop) = (&Picks::default(), &AtomicBool::new(false));
        runtime(1).block_on(async |root| {
            root.scope(async move |scope| {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
                let mut near =
                    std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
                let (mut far, _) = listener.accept().await.expect("accepts");
                scope.spawn(async move {
                    let mut byte = [0];
                    for _ in 0..200 {
                        // Found empty, so it is the reactor that has to tell.
                        let mut echo = std::pin::pin!(far.read_exact(&mut byte));
                        assert!(poll_once(&mut echo).await.is_none());
                        let sent = picks.now();
                        near.write_all(b"x").expect("sends");
                        echo.await.expect("receives");
                        let waited = picks.now() - sent;
                        assert!(waited <= 2 * FOREIGN_EVERY, "{waited} children ran first");
                    }
                    stop.store(true, Ordering::SeqCst);
                });
                storm(scope, picks, stop);
            });
        });
    });
}

#[test]
fn the_oldest_children_are_run_although_newer_ones_keep_coming() {
    const OLD: usize = 3;
    for workers in [1, 2] {
        watched(|| {
            let (picks, stop, ran) = (&Picks::default(), &AtomicBool::new(false), &AtomicUsize::new(0));
            runtime(workers).block_on(async |root| {
                // As many storms as workers, so that none is idle and steals the old children.
                for _ in 0..workers {
                    root.scope(async move |scope| {
                        for _ in 0..OLD {
                            scope.spawn(async move {
                                // The storms go on until the last of them has run: if it never does, for ever.
                                if ran.fetch_add(1, Ordering::SeqCst) + 1 == workers * OLD {
                                    stop.store(true, Ordering::SeqCst);
                                }
                            });
                        }
                        storm(scope, picks, stop);
                    });
                }
            });
            assert!(picks.now() > 1_000, "the storms were none");
        });
    }
}

#[test]
fn a_task_that_waits_for_many_things_at_once_gets_to_the_last_of_them() {
    const MANY: usize = 5 * BUDGET as usize;
    watched(|| {
        runtime(1).block_on(async |root| {
            root.scope(async move |scope| {
                let (gate, polls) = (&*scope.alloc(Gate::new()), &*scope.alloc(AtomicUsize::new(0)));
                let mut handles: Vec<_> = (1..MANY).map(|_| scope.spawn(gate.pass())).collect();
                handles.push(scope.spawn(async {
                    yield_now().await;
                    yield_now().await;
                }));
                // Not a combinator, which would poll only those that were woken.
                poll_fn(|cx| {
                    polls.fetch_add(1, Ordering::SeqCst);
                    let ended = handles.iter_mut().any(|handle| Pin::new(handle).poll(cx).is_ready());
                    if ended { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                assert!(polls.load(Ordering::SeqCst) <= 3, "polled in vain");
                gate.open();
            });
        });
    });
}

#[test]
fn an_always_ready_task_yields_to_others() {
    watched(|| {
        let (taken, most) = (&AtomicU64::new(0), &AtomicU64::new(0));
        runtime(1).block_on(async |root| {
            root.scope(async move |scope| {
                const HANDLES: u64 = 20 * BUDGET;
                let handles: Vec<_> = (0..HANDLES).map(|_| scope.spawn(async {})).collect();
                while !handles.iter().all(treescope::JoinHandle::is_finished) {
                    yield_now().await;
                }
                let done = &*scope.alloc(AtomicBool::new(false));
                scope.spawn(async move {
                    let mut last = 0;
                    while !done.load(Ordering::SeqCst) {
                        let now = taken.load(Ordering::SeqCst);
                        most.fetch_max(now - last, Ordering::SeqCst);
                        last = now;
                        yield_now().await;
                    }
                });
                yield_now().await;
                for handle in handles {
                    handle.await; // Never pending but for the budget.
                    taken.fetch_add(1, Ordering::SeqCst);
                }
                done.store(true, Ordering::SeqCst);
                // The other task has been polled after the last share but one at least.
                assert!(most.load(Ordering::SeqCst) <= BUDGET, "{most:?} awaits without a break");
                assert!(most.load(Ordering::SeqCst) > 0);
            });
        });
    });
}

#[test]
fn woken_tasks_run_in_the_order_in_which_they_were_woken() {
    watched(|| {
        let order = order_of_passing(50, |gates| gates.iter().for_each(Gate::open));
        assert_eq!(order.len(), 50);
        assert!(order.is_sorted(), "{order:?}");
    });
}

#[test]
fn new_children_run_newest_first() {
    watched(|| {
        let order = &Mutex::new(Vec::new());
        runtime(1).block_on(async |root| {
            root.scope(async move |scope| {
                for n in 0..50 {
                    scope.spawn(async move { order.lock().unwrap().push(n) });
                }
            });
        });
        assert!(order.lock().unwrap().is_sorted_by(|a, b| a > b), "{order:?}");
    });
}

#[test]
fn children_run_at_the_same_time_on_all_workers() {
    for workers in [2, 4] {
        watched(|| {
            let rt = runtime(workers);
            for _ in 0..20 {
                let together = &Barrier::new(workers);
                rt.block_on(async |root| {
                    root.scope(async move |scope| {
                        for _ in 0..workers {
                            scope.spawn(async move { together.wait() });
                        }
                    });
                });
            }
        });
    }
}

#[test]
fn a_child_is_run_by_another_worker_while_its_spawner_computes() {
    watched(|| {
        let rt = runtime(2);
        for _ in 0..500 {
            rt.block_on(async |root| {
                root.spawn(async move {
                    let ran = &*root.alloc(AtomicBool::new(false));
                    root.spawn(async move { ran.store(true, Ordering::SeqCst) });
                    // Computes on and on, and never awaits. To the system it yields, for there may be one processor.
                    while !ran.load(Ordering::SeqCst) {
                        thread::yield_now();
                    }
                });
            });
        }
    });
}

#[test]
fn workers_that_spin_see_what_others_push_wake_and_send() {
    for workers in [1, 2, 4] {
        watched(move || {
            let rt = treescope::Runtime::builder().worker_threads(workers).spin(Duration::from_secs(60));
            // So long a spin that a push it missed would be noticed.
            rt.build().expect("a runtime").block_on(async |root| {
                for n in 0..100 {
                    assert_eq!(root.spawn(async move { n }).await, n);
                }
                root.spawn(treescope::time::sleep(Duration::from_millis(1))).await;
                let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
                let near =
                    std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
                let (mut far, _) = listener.accept().await.expect("accepts");
                let echo = root.spawn(async move {
                    let mut byte = [0];
                    far.read_exact(&mut byte).await.map(|()| byte)
                });
                (&near).write_all(b"x").expect("sends");
                assert_eq!(echo.await.expect("receives"), *b"x");
            });
        });
    }
}

#[test]
fn threads_spawn_on_a_scope_in_great_numbers() {
    const THREADS: usize = 4;
    const EACH: usize = 10_000;
    for workers in [1, 2, 4] {
        watched(|| {
            let ran = &AtomicUsize::new(0);
            runtime(workers).block_on(async |root| {
                thread::scope(|threads| {
                    for _ in 0..THREADS {
                        threads.spawn(|| {
                            for _ in 0..EACH {
                                root.spawn(async { ran.fetch_add(1, Ordering::Relaxed) });
                            }
                        });
                    }
                });
            });
            assert_eq!(ran.load(Ordering::Relaxed), THREADS * EACH);
        });
    }
}

/// How many tasks live, and the most that ever did.
#[derive(Default)]
struct Live {
    now: AtomicUsize,
    peak: AtomicUsize,
}

struct Alive<'a>(&'a Live);

impl Live {
    fn born(&self) -> Alive<'_> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
        Alive(self)
    }
}

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

const FAN_OUT: u64 = 10;

/// Adds up the numbers of all leaves below, by a tree of scopes with ten children each.
fn skynet<'scope, 'live: 'scope>(
    scope: &'scope Scope<'scope, '_>,
    live: &'live Live,
    first: u64,
    leaves: u64,
) -> Pin<Box<dyn Future<Output = u64> + Send + 'scope>> {
    Box::pin(async move {
        if leaves == 1 {
            return first;
        }
        let share = leaves / FAN_OUT;
        let mut handles = Vec::with_capacity(FAN_OUT as usize);
        for n in 0..FAN_OUT {
            let alive = live.born();
            handles.push(scope.scope(async move |inner| {
                let _alive = alive;
                skynet(inner, live, first + n * share, share).await
            }));
        }
        let mut sum = 0;
        for handle in handles {
            sum += handle.await;
        }
        sum
    })
}

/// On a virtual clock, on which no child is ever overdue: that is the one exception to the order.
#[test]
fn few_tasks_of_a_depth_first_tree_live_at_once() {
    const LEAVES: u64 = 100_000;
    const DEPTH: usize = 5;
    for workers in [1, 2, 4, 8] {
        watched(|| {
            let live = &Live::default();
            let runtime =
                Runtime::builder().worker_threads(workers).virtual_clock().build().expect("a runtime");
            // Below the root's own children, which come through the remote queue, first come first served.
            let sum = runtime
                .block_on(async |root| root.scope(async |top| skynet(top, live, 0, LEAVES).await).await);
            assert_eq!(sum, LEAVES * (LEAVES - 1) / 2);
            let (peak, bound) = (live.peak.load(Ordering::SeqCst), workers * DEPTH * FAN_OUT as usize);
            assert!(peak <= bound, "{peak} tasks lived at once on {workers} workers, and {bound} may");
        });
    }
}

#[test]
fn the_oldest_child_is_run_on_a_clock_that_stands_still_too() {
    watched(|| {
        let runtime = Runtime::builder().worker_threads(1).virtual_clock().build().expect("a runtime");
        let ran = &AtomicBool::new(false);
        runtime.block_on(async |root| {
            root.scope(async move |scope| {
                scope.spawn(async { ran.store(true, Ordering::SeqCst) });
                while !ran.load(Ordering::SeqCst) {
                    scope.spawn(async {}).await;
                }
            })
            .await;
        });
    });
}
