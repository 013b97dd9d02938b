//! A scope that waits for scopes below it is on no list (`src/tree/listing.rs`): a cancel must reach it, and what is below it, all the
//! same, whatever becomes of the handle it waits with, and whether or not anybody below ever parks.

mod common;

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{
    Gate, OnDrop, block_here, caught, each_runtime, each_virtual_runtime, poll_once, runtime, throw, thrown,
    wait_here, watched,
};
use treescope::{JoinHandle, Scope, yield_now};

const NEVER: Duration = Duration::from_secs(1 << 30);

/// A binary tree of scopes that wait for nobody but each other; `leaf` is called with what is handed down at the bottom of each of its
/// 2^`depth` branches.
fn tree<'scope, T: Copy + Send + Sync + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    depth: u32,
    handed_down: T,
    leaf: fn(T),
) -> impl Future<Output = ()> + Send {
    async move {
        if depth == 0 {
            return leaf(handed_down);
        }
        let left = scope.scope(async move |inner| tree(inner, depth - 1, handed_down, leaf).await);
        let right = scope.scope(async move |inner| tree(inner, depth - 1, handed_down, leaf).await);
        left.await;
        right.await;
    }
}

/// Runs a tree of more leaves than anybody could wait for, whose thousandth leaf stops the scope above the tree. How many leaves came
/// after that one.
fn leaves_after(workers: usize, stop: fn(&Scope<'_, '_>)) -> u64 {
    let leaves = AtomicU64::new(0);
    let runtime = runtime(workers);
    watched(|| {
        runtime.block_on(async |root| {
            let leaves = &leaves;
            let above = root.scope(async move |above| {
                let leaf = |(above, leaves, stop): (&Scope<'_, '_>, &AtomicU64, fn(&Scope<'_, '_>))| {
                    if leaves.fetch_add(1, Ordering::Relaxed) + 1 == 1_000 {
                        stop(above);
                    }
                };
                above.scope(async move |inner| tree(inner, 60, (above, leaves, stop), leaf).await).await;
            });
            assert!(!poll_end(above).await, "a scope that is stopped has no value");
        });
    });
    leaves.into_inner() - 1_000
}

/// Waits for a scope that may end without a value.
async fn poll_end(mut scope: JoinHandle<'_, ()>) -> bool {
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut scope).poll(cx))) {
        Ok(polled) => polled.map(|()| true),
        Err(_) => Poll::Ready(false),
    })
    .await
}

/// Runs a body, whose scope is `$waits`, in a scope that another one awaits, and aborts both when it, or what it spawns, has opened the
/// gate `$begun`.
macro_rules! aborted_when_begun {
    ($runtime:expr, |$begun:ident, $waits:ident| $body:block) => {
        $runtime.block_on(async |root| {
            let $begun = &*root.alloc(Gate::new());
            let above = root.scope(async move |above| {
                above.scope(async move |$waits| $body).await;
            });
            $begun.pass().await;
            root.abort_children();
            assert!(!poll_end(above).await);
        })
    };
}

/// The same with a scope below that one, which it awaits after `$before`.
macro_rules! aborted_when_begun_below {
    ($runtime:expr, |$begun:ident, $waits:ident| { $($before:tt)* } $below:block) => {
        aborted_when_begun!($runtime, |$begun, $waits| {
            $($before)*
            $waits
                .scope(async move |_| {
                    $begun.open();
                    $below
                })
                .await;
        })
    };
}

/// Runs `$below` in a scope that another one awaits, `$above`, and requests a cancel of the root when it has begun. `$above` must end by
/// that, and does nothing before it awaits but what `$before` says.
macro_rules! told_of_a_cancel {
    ($workers:expr, |$above:ident| { $($before:tt)* } $below:block) => {
        // Workers enough for the scope above, too, which takes the cancel over.
        let runtime = runtime($workers);
        watched(|| {
            runtime.block_on(async |root| {
                let begun = &*root.alloc(Gate::new());
                let scope = root.scope(async move |$above| {
                    $($before)*
                    $above
                        .scope(async move |_| {
                            begun.open();
                            $below
                        })
                        .await;
                });
                begun.pass().await;
                root.cancel(NEVER);
                scope.await;
            });
        });
    };
}

#[test]
fn an_abort_reaches_a_tree_that_never_parks() {
    // Each level is woken by the one above, and has its turn among what else is to run.
    for workers in [1, 2] {
        let after = leaves_after(workers, |above| above.abort());
        assert!(after < 100_000, "{after} leaves after the abort");
    }
}

#[test]
fn a_cancel_without_grace_reaches_a_tree_that_never_parks() {
    for workers in [1, 2] {
        let after = leaves_after(workers, |above| above.cancel(Duration::ZERO));
        assert!(after < 100_000, "{after} leaves after the cancel");
    }
}

#[test]
fn a_deadline_reaches_a_tree_that_never_parks() {
    each_runtime(|runtime, ledger| {
        let outcome = runtime.block_on(async |root| {
            let deadline = treescope::time::now() + Duration::from_millis(5);
            let item = ledger.item("body");
            root.deadline(deadline, async |above| {
                let _item = item;
                above.scope(async |inner| tree(inner, 60, (), |()| ()).await).await;
            })
            .await
        });
        assert!(outcome.is_err());
        ledger.assert_settled();
    });
}

#[test]
fn a_panic_of_a_leaf_ends_a_tree_that_never_parks() {
    for workers in [1, 2] {
        let leaves = AtomicU64::new(0);
        let leaf = |leaves: &AtomicU64| {
            if leaves.fetch_add(1, Ordering::Relaxed) == 1_000 {
                throw("leaf");
            }
        };
        let runtime = runtime(workers);
        let name = watched(|| {
            thrown(|| {
                runtime.block_on(async |root| {
                    root.scope(async |inner| tree(inner, 60, &leaves, leaf).await).await;
                });
            })
        });
        assert_eq!(name, "leaf");
    }
}

#[test]
fn a_scope_that_drops_the_handle_it_has_polled_is_reached_by_an_abort() {
    each_runtime(|runtime, ledger| {
        runtime.block_on(async |root| {
            let gate = &*root.alloc(Gate::new());
            let above = root.scope(async move |above| {
                above
                    .scope(async move |waits| {
                        let _item = ledger.item("body");
                        let mut below = waits.scope(async |_| ());
                        let _ = poll_once(&mut below).await;
                        drop(below);
                        pending::<()>().await;
                    })
                    .await;
            });
            root.spawn(async move {
                // Until nothing is left that runs but this.
                for _ in 0..100 {
                    yield_now().await;
                }
                gate.open();
            });
            gate.pass().await;
            root.abort_children();
            assert!(!poll_end(above).await);
        });
        ledger.assert_settled();
    });
}

#[test]
fn a_scope_that_gives_the_handle_away_that_it_has_polled_is_reached_by_an_abort() {
    each_runtime(|runtime, ledger| {
        aborted_when_begun!(runtime, |gate, waits| {
            let _item = ledger.item("body");
            let mut below = waits.scope(async |_| ());
            let _ = poll_once(&mut below).await;
            waits.spawn(async move {
                below.await;
                gate.open();
            });
            pending::<()>().await;
        });
        ledger.assert_settled();
    });
}

#[test]
fn a_scope_that_polls_a_handle_with_a_waker_of_nobody_is_reached_by_an_abort() {
    each_runtime(|runtime, ledger| {
        aborted_when_begun!(runtime, |gate, waits| {
            let _item = ledger.item("body");
            let mut below = waits.scope(async move |_| gate.open());
            let polled = pin!(&mut below).poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending() || gate.is_open());
            pending::<()>().await;
        });
        ledger.assert_settled();
    });
}

#[test]
fn a_scope_that_polls_a_siblings_handle_with_the_waker_of_the_scope_above_is_reached_by_an_abort() {
    each_runtime(|runtime, ledger| {
        runtime.block_on(async |root| {
            let gate = &*root.alloc(Gate::new());
            let above = root.scope(async move |above| {
                let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
                let mut sibling = above.scope(async |_| pending::<()>().await);
                above.scope(async move |_| {
                    let _item = ledger.item("body");
                    let polled = Pin::new(&mut sibling).poll(&mut Context::from_waker(&waker));
                    assert!(polled.is_pending());
                    gate.open();
                    pending::<()>().await;
                });
                pending::<()>().await;
            });
            gate.pass().await;
            root.abort_children();
            assert!(!poll_end(above).await);
        });
        ledger.assert_settled();
    });
}

#[test]
fn whoever_parks_below_scopes_that_wait_is_reached_through_them() {
    each_virtual_runtime(|runtime, ledger| {
        let ended = caught(|| {
            runtime.block_on(async |root| {
                let gate = &*root.alloc(Gate::new());
                root.scope(async move |one| {
                    one.scope(async move |two| {
                        two.scope(async move |three| {
                            three.spawn(async move {
                                let _item = ledger.item("child");
                                gate.open();
                                pending::<()>().await;
                            });
                        })
                        .await;
                    })
                    .await;
                });
                gate.pass().await;
                root.abort();
                pending::<()>().await;
            });
        });
        drop(ended);
        ledger.assert_settled();
    });
}

#[test]
fn a_computation_that_asks_a_scope_above_whether_it_is_cancelled_is_told() {
    told_of_a_cancel!(2, |above| {} {
        while !above.is_cancelled() {
            std::hint::spin_loop();
        }
    });
}

#[test]
fn a_thread_that_waits_for_a_request_of_a_scope_above_is_told() {
    told_of_a_cancel!(2, |above| {} {
        block_here(above.cancelled());
    });
}

#[test]
fn a_thread_that_blocks_on_a_childs_handle_below_a_scope_that_waits_is_let_go_by_an_abort() {
    let runtime = runtime(3);
    watched(|| {
        aborted_when_begun_below!(runtime, |begun, waits| {
            let x = waits.spawn(pending::<()>());
        } {
            assert_eq!(wait_here(x), None);
        });
    });
}

#[test]
fn whoever_aborts_and_then_blocks_on_a_childs_handle_is_let_go() {
    let runtime = runtime(3);
    watched(|| {
        runtime.block_on(async |root| {
            let above = root.scope(async move |above| {
                above
                    .scope(async move |waits| {
                        let x = waits.spawn(pending::<()>());
                        waits
                            .scope(async move |_| {
                                above.abort();
                                assert_eq!(wait_here(x), None);
                            })
                            .await;
                    })
                    .await;
            });
            assert!(!poll_end(above).await);
        });
    });
}

#[test]
fn whoever_aborts_second_and_then_waits_for_a_body_above_to_be_dropped_is_let_go() {
    let runtime = runtime(3);
    watched(|| {
        runtime.block_on(async |root| {
            let begun = &*root.alloc(Gate::new());
            let aborted = &*root.alloc(Gate::new());
            let dropped = &*root.alloc(Gate::new());
            let above = root.scope(async move |above| {
                above.spawn(async move {
                    begun.pass().await;
                    above.abort();
                    aborted.open();
                });
                above
                    .scope(async move |waits| {
                        let _dropped = OnDrop::new(|| dropped.open());
                        waits
                            .scope(async move |_| {
                                begun.open();
                                aborted.pass_here();
                                above.abort();
                                dropped.pass_here();
                            })
                            .await;
                    })
                    .await;
            });
            assert!(!poll_end(above).await);
        });
    });
}

#[test]
fn a_root_of_another_runtime_that_waits_for_a_child_is_let_go_by_an_abort() {
    let (here, other) = (runtime(3), runtime(1));
    let other = &other;
    watched(|| {
        aborted_when_begun_below!(here, |begun, waits| {
            let x = waits.spawn(pending::<()>());
        } {
            let _ = catch_unwind(AssertUnwindSafe(|| other.block_on(async |_| x.await)));
        });
    });
}

#[test]
fn a_computation_that_asks_whether_a_child_is_finished_is_told_after_an_abort() {
    let runtime = runtime(3);
    watched(|| {
        aborted_when_begun_below!(runtime, |begun, waits| {
            let x = waits.spawn(pending::<()>());
        } {
            while !x.is_finished() {
                std::thread::yield_now();
            }
        });
    });
}

#[test]
fn a_computation_that_asks_a_scope_above_for_the_cause_is_told() {
    told_of_a_cancel!(3, |above| {} {
        while above.cause().is_none() {
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_computation_that_asks_whether_it_is_cancelled_is_told() {
    let told = AtomicBool::new(false);
    let told = &told;
    told_of_a_cancel!(4, |above| {
        above.spawn(async move {
            while !treescope::current::is_cancelled() {
                std::thread::yield_now();
            }
            told.store(true, Ordering::SeqCst);
        });
    } {
        while !told.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_thread_that_blocks_on_a_channel_of_a_child_is_let_go_when_an_abort_drops_that() {
    let runtime = runtime(3);
    watched(|| {
        aborted_when_begun_below!(runtime, |begun, waits| {
            let (tx, rx) = std::sync::mpsc::channel::<()>();
            waits.spawn(async move {
                let _tx = tx;
                pending::<()>().await
            });
        } {
            let _ = rx.recv();
        });
    });
}

#[test]
fn the_scopes_above_an_aborted_one_in_its_cleanup_are_reached_by_an_abort() {
    each_runtime(|runtime, _| {
        let gate = Gate::new();
        let gate = &gate;
        aborted_when_begun!(runtime, |begun, waits| {
            let _dropped = OnDrop::new(move || gate.open());
            waits
                .scope(async move |below| {
                    below.defer(NEVER, async move {
                        begun.open();
                        gate.pass().await;
                    });
                    below.abort();
                })
                .await;
        });
    });
}

#[test]
fn a_mark_of_its_own_wakes_a_scope_that_waits_for_one_below() {
    each_runtime(|runtime, ledger| {
        runtime.block_on(async |root| {
            let dropped = Arc::new(AtomicBool::new(false));
            let note = dropped.clone();
            let scope = root.scope(async move |above| {
                let _item = ledger.item("body");
                let _dropped = OnDrop::new(move || note.store(true, Ordering::SeqCst));
                above
                    .open()
                    .shield(NEVER)
                    .scope(async move |below| {
                        above.abort();
                        while !dropped.load(Ordering::SeqCst) {
                            yield_now().await;
                        }
                        ledger.mark("below goes on");
                        let _ = below;
                    })
                    .await;
            });
            assert!(!poll_end(scope).await);
        });
        ledger.assert_settled();
        ledger.assert_order("body", "below goes on");
    });
}

#[test]
fn survivors_below_scopes_that_wait_are_named_with_their_whole_path() {
    each_virtual_runtime(|runtime, _| {
        let survivors = runtime.block_on(async |root| {
            let server = root.open().name("server").scope(async move |server| {
                server.open().name("one").scope(async move |one| {
                    one.open()
                        .name("two")
                        .scope(async move |two| {
                            two.spawn_named("hangs", pending::<()>()).await;
                        })
                        .await;
                });
                let survivors = server.drain(Duration::from_secs(1)).await;
                server.abort_children();
                survivors
            });
            server.await
        });
        let survivors = survivors.expect_err("somebody hangs");
        let paths = survivors.paths();
        assert_eq!(paths, ["server/one", "server/one/two", "server/one/two/hangs"], "{survivors}");
    });
}
