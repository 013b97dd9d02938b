//! What must compile, and what it then does: children that borrow, in every shape that a user would try.
//!
//! What must *not* compile is in `compile.rs`.

mod common;

use common::{block_here, each_runtime, runtime, three_deep};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use treescope::{JoinHandle, Scope, ScopeBody};

fn fib<'scope>(scope: &'scope Scope<'scope, '_>, n: u32) -> impl Future<Output = u64> + Send {
    async move {
        if n < 2 {
            return n.into();
        }
        let left = scope.scope(async move |inner| fib(inner, n - 1).await);
        let right = scope.scope(async move |inner| fib(inner, n - 2).await);
        left.await + right.await
    }
}

#[test]
fn recursive_scopes_need_no_box() {
    each_runtime(|rt, _| assert_eq!(rt.block_on(async |scope| fib(scope, 15).await), 610));
}

type Boxed<'scope, T> = Pin<Box<dyn Future<Output = T> + Send + 'scope>>;

fn boxed_fib<'scope>(scope: &'scope Scope<'scope, '_>, n: u64) -> Boxed<'scope, u64> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let left = scope.scope(async move |inner| boxed_fib(inner, n - 1).await);
        let right = scope.spawn(boxed_fib(scope, n - 2));
        left.await + right.await
    })
}

/// A body whose future is `Unpin`.
fn unpin_body<'scope>(scope: &'scope Scope<'scope, '_>) -> Boxed<'scope, u64> {
    boxed_fib(scope, 10)
}

#[test]
fn recursive_scopes_and_children_may_be_boxed() {
    each_runtime(|rt, _| assert_eq!(rt.block_on(async |scope| boxed_fib(scope, 12).await), 144));
}

#[test]
fn bodies_may_be_unpin() {
    each_runtime(|rt, _| {
        assert_eq!(rt.block_on(async |scope| scope.scope(unpin_body).await), 55);
        assert_eq!(rt.block_on(unpin_body), 55);
    });
}

#[test]
fn halves_of_a_value_are_changed_by_two_children() {
    each_runtime(|rt, _| {
        let sum: u32 = three_deep!(rt, async |scope| {
            let cells = scope.alloc(vec![0; 8]);
            let (left, right) = cells.split_at_mut(4);
            let left = scope.spawn(async move {
                left.fill(1);
                left.iter().sum::<u32>()
            });
            let right = scope.spawn(async move {
                right.fill(2);
                right.iter().sum::<u32>()
            });
            left.await + right.await
        });
        assert_eq!(sum, 12);
    });
}

#[test]
fn a_local_below_the_root_is_split_among_children() {
    each_runtime(|rt, _| {
        let mut cells = [0; 64];
        rt.block_on(async |scope| {
            for (n, cell) in cells.iter_mut().enumerate() {
                scope.spawn(async move { *cell = n * n });
            }
        });
        assert!(cells.iter().enumerate().all(|(n, &cell)| cell == n * n));
    });
}

#[test]
fn the_innermost_of_three_levels_borrows_from_all_three() {
    each_runtime(|rt, _| {
        let below_root = String::from("frame");
        let text = rt.block_on(async |one| {
            let of_one = &*one.alloc(String::from("one"));
            let below_root = &below_root;
            one.scope(async move |two| {
                let of_two = &*two.alloc(String::from("two"));
                let of_two_but_borrowing = &*two.alloc([of_one, below_root]);
                two.scope(async move |three| {
                    let of_three = &*three.alloc(vec![of_one, of_two, of_two_but_borrowing[1]]);
                    let join =
                        three.spawn(async move { of_three.iter().map(|s| s.as_str()).collect::<String>() });
                    join.await
                })
                .await
            })
            .await
        });
        assert_eq!(text, "onetwoframe");
    });
}

#[test]
fn a_root_body_need_not_be_send() {
    each_runtime(|rt, _| {
        let shared = Rc::new(Cell::new(0));
        let sum = rt.block_on(async |scope| {
            let mine = RefCell::new(Vec::new());
            for n in 0..4 {
                let got = scope.spawn(async move { n }).await;
                mine.borrow_mut().push(got);
                shared.set(shared.get() + got);
                treescope::yield_now().await;
            }
            Rc::new(mine.into_inner().iter().sum::<i32>())
        });
        assert_eq!((*sum, shared.get()), (6, 6));
    });
}

async fn named_body(scope: &Scope<'_, '_>) -> u64 {
    scope.id().get()
}

async fn named_body_that_spawns<'scope, 'env>(scope: &'scope Scope<'scope, 'env>) -> u32 {
    scope.spawn(async { 1 }).await + scope.scope(async |_| 2).await
}

#[test]
fn named_async_functions_are_bodies() {
    each_runtime(|rt, _| {
        let (inner, outer, sum) = rt.block_on(async |scope| {
            (scope.scope(named_body).await, scope.id().get(), scope.scope(named_body_that_spawns).await)
        });
        assert_ne!(inner, outer, "a scope's name is its own");
        assert_eq!(sum, 3);
        assert_eq!(rt.block_on(named_body_that_spawns), 3);
    });
}

/// A generic helper that opens a scope around a body of its caller's.
fn twice<'scope, B, C, T>(
    scope: &'scope Scope<'scope, '_>,
    first: B,
    second: C,
) -> (JoinHandle<'scope, T>, JoinHandle<'scope, T>)
where
    B: for<'inner> AsyncFnOnce(&'inner Scope<'inner, 'scope>) -> T
        + for<'inner> ScopeBody<&'inner Scope<'inner, 'scope>, T>
        + 'scope,
    C: for<'inner> AsyncFnOnce(&'inner Scope<'inner, 'scope>) -> T
        + for<'inner> ScopeBody<&'inner Scope<'inner, 'scope>, T>
        + 'scope,
    T: Send + 'scope,
{
    (scope.scope(first), scope.scope(second))
}

async fn map_all<'scope, 'item, I, F, T>(scope: &'scope Scope<'scope, '_>, items: &'item [I], f: F) -> Vec<T>
where
    'item: 'scope,
    I: Sync,
    F: Fn(&I) -> T + Send + Copy + 'scope,
    T: Send + 'scope,
{
    let handles: Vec<_> = items.iter().map(|item| scope.spawn(async move { f(item) })).collect();
    let mut results = Vec::new();
    for handle in handles {
        results.push(handle.await);
    }
    results
}

#[test]
fn generic_helpers_over_a_scope_compile() {
    each_runtime(|rt, _| {
        let words = ["a", "bb", "ccc"];
        let (lengths, sum) = rt.block_on(async |scope| {
            let lengths = map_all(scope, &words, |word| word.len()).await;
            let (first, second) = twice(scope, async |_| 1, async |inner| inner.spawn(async { 2 }).await);
            (lengths, first.await + second.await)
        });
        assert_eq!((lengths, sum), (vec![1, 2, 3], 3));
    });
}

/// A helper into which the scope goes down, with children that outlive the helper's own frame.
fn fan_out<'scope>(
    scope: &'scope Scope<'scope, '_>,
    counter: &'scope AtomicU64,
    levels: u32,
) -> Boxed<'scope, ()> {
    Box::pin(async move {
        for _ in 0..2 {
            scope.spawn(async move {
                counter.fetch_add(1, Ordering::Relaxed);
                if levels > 0 {
                    fan_out(scope, counter, levels - 1).await;
                }
            });
        }
    })
}

async fn fan_out_from_a_helper<'scope>(scope: &'scope Scope<'scope, '_>, counter: &'scope AtomicU64) {
    fan_out(scope, counter, 7).await;
}

#[test]
fn a_scope_is_passed_down_into_helpers_and_children() {
    each_runtime(|rt, _| {
        let counter = AtomicU64::new(0);
        rt.block_on(async |scope| fan_out_from_a_helper(scope, &counter).await);
        assert_eq!(counter.into_inner(), (1 << 9) - 2);
    });
}

#[test]
fn a_child_may_give_back_its_scope_and_a_handle_of_it() {
    each_runtime(|rt, _| {
        let sum = rt.block_on(async |scope| {
            let (same, handle) = scope.spawn(async move { (scope, scope.spawn(async { 20 })) }).await;
            same.spawn(async { 1 }).await + handle.await
        });
        assert_eq!(sum, 21);
    });
}

#[test]
fn a_value_may_be_kept_and_read_by_the_body_while_children_read_it() {
    each_runtime(|rt, _| {
        let total = three_deep!(rt, async |scope| {
            let lock = &*scope.alloc(Mutex::new(0));
            let children: Vec<_> =
                (0..50).map(|n| scope.spawn(async move { *lock.lock().unwrap() += n })).collect();
            for child in children {
                child.await;
            }
            *lock.lock().unwrap()
        });
        assert_eq!(total, 1225);
    });
}

#[test]
fn a_nested_root_lends_locals_of_an_outer_body() {
    let inner = runtime(1);
    each_runtime(|rt, _| {
        let sum = rt.block_on(async |outer| {
            let mut locals = [1, 2, 3];
            inner.block_on(async |scope| {
                for local in &mut locals {
                    scope.spawn(async move { *local *= 2 });
                }
            });
            outer.spawn(async move { locals.iter().sum::<i32>() }).await
        });
        assert_eq!(sum, 12);
    });
}

#[test]
fn threads_within_a_body_borrow_its_locals_and_spawn_on_its_scope() {
    each_runtime(|rt, ledger| {
        let sum = rt.block_on(async |scope| {
            let local = [1, 2, 3];
            std::thread::scope(|threads| {
                let waits = local.map(|n| {
                    threads.spawn(move || {
                        let item = ledger.item("child");
                        block_here(scope.spawn(async move {
                            drop(item);
                            n
                        }))
                    })
                });
                waits.into_iter().map(|thread| thread.join().unwrap()).sum::<i32>()
            })
        });
        assert_eq!(sum, 6);
        ledger.assert_settled();
    });
}

#[test]
fn the_value_of_a_scope_may_borrow_from_any_scope_above() {
    each_runtime(|rt, _| {
        let length = rt.block_on(async |one| {
            let text = &*one.alloc(String::from("borrowed"));
            let part: &str = one.scope(async move |two| two.scope(async move |_| &text[..6]).await).await;
            part.len()
        });
        assert_eq!(length, 6);
    });
}
