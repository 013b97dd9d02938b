//! Roots opened where roots should not be: inside workers, inside each other, in destructors, among stray park tokens.

mod common;

use common::{Gate, Ledger, OnDrop, caught, each_runtime, runtime, three_deep, throw, thrown, watched};
use std::cell::RefCell;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use treescope::{Runtime, Scope, yield_now};

/// Tries to open a root of `rt`, which must be refused before anything runs.
fn refused(rt: &Runtime, ledger: &Ledger) {
    let captured = ledger.item("refused body");
    let payload = caught(|| {
        rt.block_on(async |_| {
            ledger.mark("ran");
            drop(captured);
        })
    });
    let message = payload.downcast_ref::<&str>().copied().unwrap_or("no message");
    assert!(message.contains("inside a worker of the same runtime"), "{message}");
    assert_eq!(ledger.count("ran"), 0);
}

#[test]
fn a_root_inside_a_worker_of_the_same_runtime_is_refused_before_anything_runs() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            scope.spawn(async move { refused(rt, ledger) }).await;
            refused(rt, ledger);
            scope.alloc(OnDrop::new(move || refused(rt, ledger)));
            scope.spawn(async move { OnDrop::new(move || refused(rt, ledger)) });
        });
        ledger.assert_settled();
        assert_eq!(ledger.count("refused body"), 4);
    });
}

#[test]
fn a_root_of_another_runtime_does_not_hide_the_worker_below_it() {
    each_runtime(|rt, ledger| {
        let (other, third) = (&runtime(1), &runtime(1));
        three_deep!(rt, async |scope| {
            scope.spawn(async move {
                other.block_on(async |_| {
                    refused(rt, ledger);
                    third.block_on(async |_| refused(rt, ledger));
                    refused(rt, ledger);
                });
                refused(rt, ledger);
            });
        });
        ledger.assert_settled();
    });
}

#[test]
fn a_root_inside_a_worker_of_another_runtime_runs() {
    each_runtime(|rt, ledger| {
        let other = &runtime(1);
        let sum = three_deep!(rt, async |scope| {
            let children: Vec<_> = (0..8)
                .map(|n| {
                    scope.spawn(async move {
                        other.block_on(async |inner| {
                            inner.alloc(ledger.item("value"));
                            inner.spawn(async move { n }).await
                        })
                    })
                })
                .collect();
            let mut sum = 0;
            for child in children {
                sum += child.await;
            }
            sum
        });
        assert_eq!(sum, 28);
        ledger.assert_settled();
    });
}

#[test]
fn a_panic_below_a_root_inside_a_worker_of_another_runtime_arrives_at_both() {
    each_runtime(|rt, ledger| {
        let other = &runtime(1);
        let name = thrown(|| {
            three_deep!(rt, async |scope| {
                scope.alloc(ledger.item("outer value"));
                scope
                    .spawn(async move {
                        other.block_on(async |inner| {
                            inner.alloc(ledger.item("inner value"));
                            inner.spawn(async { throw("below") }).await
                        })
                    })
                    .await
            })
        });
        assert_eq!(name, "below");
        ledger.assert_settled();
        ledger.assert_order("inner value", "outer value");
    });
}

#[test]
fn a_worker_that_blocks_in_another_runtimes_root_keeps_no_woken_task_to_itself() {
    watched(|| {
        let (rt, other) = (&runtime(2), &runtime(1));
        let (question, answer, asked) = (&Gate::new(), &Gate::new(), &Gate::new());
        rt.block_on(async |scope| {
            scope.spawn(async move {
                asked.open();
                question.pass().await;
                answer.open();
            });
            asked.pass().await;
            scope.spawn(async move {
                // Wakes a task of this worker's, and then waits for what it does, on this very thread.
                question.open();
                other.block_on(async |_| answer.pass().await);
            });
        });
    });
}

#[test]
fn roots_nest_on_one_thread() {
    each_runtime(|rt, ledger| {
        let sum = rt.block_on(async |one| {
            let of_one = one.spawn(async {
                yield_now().await;
                1
            });
            let of_two = rt.block_on(async |two| {
                two.alloc(ledger.item("value"));
                let of_three = rt.block_on(async |three| three.spawn(async { 4 }).await);
                // A child of the outermost root, awaited below the second.
                of_one.await + two.spawn(async { 2 }).await + of_three
            });
            of_two + one.spawn(async { 8 }).await
        });
        assert_eq!(sum, 15);
        ledger.assert_settled();
    });
}

#[test]
fn a_root_inside_a_blocking_call_of_the_same_runtime_runs() {
    each_runtime(|rt, ledger| {
        let sum = three_deep!(rt, async |scope| {
            let item = ledger.item("captured");
            scope
                .spawn_blocking(move || {
                    let sum = rt.block_on(async |inner| inner.spawn(async { 1 }).await + 1);
                    drop(item);
                    sum
                })
                .await
        });
        assert_eq!(sum, 2);
        ledger.assert_settled();
    });
}

#[test]
fn stray_park_tokens_neither_end_a_roots_wait_nor_are_eaten_by_it() {
    each_runtime(|rt, ledger| {
        let root = thread::current();
        let root = &root;
        root.unpark();
        for _ in 0..50 {
            three_deep!(rt, async |scope| {
                for _ in 0..4 {
                    let item = ledger.item("child");
                    scope.spawn(async move {
                        root.unpark();
                        yield_now().await;
                        root.unpark();
                        drop(item);
                    });
                }
            });
            ledger.mark("root returned");
        }
        // The token given before, or by a child, is still there.
        thread::park();
        ledger.assert_settled();
        assert_eq!((ledger.count("child"), ledger.count("root returned")), (200, 50));
    });
}

#[test]
fn a_root_body_that_eats_park_tokens_loses_no_wake() {
    each_runtime(|rt, ledger| {
        rt.block_on(async |scope| {
            for _ in 0..50 {
                let item = ledger.item("child");
                let child = scope.spawn(async move {
                    yield_now().await;
                    drop(item);
                });
                thread::park_timeout(Duration::from_micros(100));
                child.await;
                thread::current().unpark();
                thread::park();
            }
        });
        ledger.assert_settled();
    });
}

#[test]
fn tasks_that_park_and_unpark_their_worker_lose_no_wake() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            for _ in 0..100 {
                let item = ledger.item("child");
                scope.spawn(async move {
                    thread::current().unpark();
                    yield_now().await;
                    thread::park_timeout(Duration::from_micros(10));
                    thread::current().unpark();
                    drop(item);
                });
            }
        });
        ledger.assert_settled();
    });
}

/// What a thread-local's destructor does.
type AtExit = Box<dyn FnOnce()>;

thread_local! {
    static AT_EXIT: RefCell<Vec<OnDrop<AtExit>>> = const { RefCell::new(Vec::new()) };
}

fn at_thread_exit(then: impl FnOnce() + 'static) {
    AT_EXIT.with_borrow_mut(|all| all.push(OnDrop::new(Box::new(then))));
}

/// A whole tree in one root.
fn small_tree(rt: &Runtime) -> u32 {
    rt.block_on(async |scope| {
        let value = scope.alloc([1, 2]);
        let [one, two] = value;
        let one = scope.scope(async move |inner| inner.spawn(async move { *one }).await);
        let two = scope.spawn(async move { *two });
        yield_now().await;
        treescope::time::sleep(Duration::from_micros(1)).await;
        one.await + two.await
    })
}

#[test]
fn a_root_in_a_thread_locals_destructor_runs() {
    for used_before in [false, true] {
        watched(|| {
            let rt = Arc::new(runtime(2));
            let ran = Arc::new(Gate::new());
            let (rt_there, ran_there) = (rt.clone(), ran.clone());
            let thread = thread::spawn(move || {
                if used_before {
                    assert_eq!(small_tree(&rt_there), 3);
                }
                at_thread_exit(move || {
                    assert_eq!(small_tree(&rt_there), 3);
                    ran_there.open();
                });
            });
            thread.join().unwrap();
            assert!(ran.is_open());
        });
    }
}

#[test]
fn a_root_in_a_workers_thread_locals_destructor_runs_on_another_runtime() {
    watched(|| {
        let (rt, other) = (runtime(1), Arc::new(runtime(1)));
        let ran = Arc::new(Gate::new());
        let (other_there, ran_there) = (other.clone(), ran.clone());
        rt.block_on(async |scope| {
            scope.spawn(async move {
                at_thread_exit(move || {
                    assert_eq!(small_tree(&other_there), 3);
                    ran_there.open();
                });
            });
        });
        drop(rt);
        assert!(ran.is_open(), "dropping a runtime joins its workers");
    });
}

#[test]
fn many_roots_at_once_share_a_runtime() {
    each_runtime(|rt, _| {
        thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| (0..50).for_each(|_| assert_eq!(small_tree(rt), 3)));
            }
        });
    });
}

#[test]
fn an_aborted_root_says_so_after_all_has_ended() {
    each_runtime(|rt, ledger| {
        let payload = caught(|| {
            rt.block_on(async |scope| {
                scope.alloc(ledger.item("value"));
                let item = ledger.item("child");
                scope.spawn(async move {
                    pending::<()>().await;
                    drop(item);
                });
                scope.spawn(async { scope.abort() });
                pending::<()>().await;
            })
        });
        let message = payload.downcast_ref::<&str>().copied().unwrap_or("no message");
        assert!(message.contains("aborted"), "{message}");
        ledger.assert_settled();
    });
}

#[test]
fn an_aborted_root_has_no_value_even_if_its_body_gave_one() {
    fn body(scope: &Scope<'_, '_>) -> std::future::Ready<u32> {
        scope.abort();
        std::future::ready(1)
    }
    each_runtime(|rt, _| {
        let of_scope = catch_unwind(AssertUnwindSafe(|| rt.block_on(async |scope| scope.scope(body).await)));
        let of_root = catch_unwind(AssertUnwindSafe(|| rt.block_on(body)));
        assert_eq!(of_scope.is_ok(), of_root.is_ok(), "a root and a scope agree");
    });
}

#[test]
fn a_runtime_that_cannot_be_built_says_why() {
    for builder in [
        Runtime::builder().worker_threads(0),
        Runtime::builder().worker_threads(100_000),
        Runtime::builder().blocking_threads(0),
        Runtime::builder().worker_threads(4).stack_size(1 << 46),
    ] {
        let error = builder.build().expect_err("no such runtime can be had");
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn scope_names_never_repeat() {
    use std::collections::HashSet;
    use std::sync::Mutex;
    let names = Mutex::new(HashSet::new());
    let names = &names;
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                runtime(2).block_on(async |root| {
                    for _ in 0..3000 {
                        root.scope(async move |scope| assert!(names.lock().unwrap().insert(scope.id())));
                    }
                });
            });
        }
    });
    assert_eq!(names.lock().unwrap().len(), 12_000);
}

#[test]
fn name_for_threads_that_no_thread_can_have_is_refused() {
    let builder = Runtime::builder().thread_name("a\0b");
    assert_eq!(builder.clone().build().unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(builder.build_local().unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}
