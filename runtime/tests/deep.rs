//! A hundred thousand levels: whatever happens to a tree that deep, no stack grows with it.
//!
//! Workers and roots have stacks of 256 KiB, so that a recursion of even three bytes a level would overflow.
//! `TREESCOPE_LEVELS`: how many levels, for slow tools. Default: 100,000.

mod common;

use common::{Ledger, throw, thrown, watched};
use std::future::{Future, pending};
use std::pin::Pin;
use std::thread;
use treescope::{JoinHandle, Runtime, Scope, yield_now};

const STACK: usize = 256 << 10;
/// What a level of a recursion takes at least: a call pushes its return address, and the ABIs of 64-bit processors keep
/// the stack aligned to 16 bytes at every call.
const LEAST_FRAME: usize = 16;

fn levels() -> u32 {
    let levels = match std::env::var("TREESCOPE_LEVELS") {
        Ok(text) => text.parse().expect("TREESCOPE_LEVELS is a number"),
        Err(_) => 100_000,
    };
    assert!(
        levels as usize > STACK / LEAST_FRAME,
        "a recursion over {levels} levels might fit into the stack"
    );
    levels
}

/// Runs `attack` in a thread with a small stack, on runtimes of one and two workers with small stacks.
fn each_small_runtime(attack: impl Fn(&Runtime, &Ledger) + Sync) {
    for workers in [1, 2] {
        thread::scope(|threads| {
            let run = || {
                let rt =
                    Runtime::builder().worker_threads(workers).stack_size(STACK).build().expect("a runtime");
                watched(|| attack(&rt, &Ledger::new()));
            };
            let name = thread::current().name().unwrap_or("deep").to_owned();
            let thread = thread::Builder::new().stack_size(STACK).name(name).spawn_scoped(threads, run);
            if let Err(payload) = thread.expect("a thread").join() {
                std::panic::resume_unwind(payload);
            }
        });
    }
}

type Boxed<'scope, T> = Pin<Box<dyn Future<Output = T> + Send + 'scope>>;

/// What is done at the bottom.
#[derive(Clone, Copy)]
enum Bottom {
    Returns,
    Panics,
    NeverEnds,
}

impl Bottom {
    async fn reached(self, ledger: &Ledger) -> u32 {
        let _local = ledger.item("at the bottom");
        ledger.mark("bottom");
        yield_now().await;
        match self {
            Self::Returns => 0,
            Self::Panics => throw("bottom"),
            Self::NeverEnds => pending().await,
        }
    }
}

/// Opens scopes inside each other down to `levels`, each with a value, and a local that is alive while the levels below
/// are. (The ledger hears of some only.)
fn dig<'scope, 'outer, 'ledger: 'outer>(
    scope: &'scope Scope<'scope, 'outer>,
    ledger: &'ledger Ledger,
    levels: u32,
    bottom: Bottom,
) -> Boxed<'scope, u32> {
    Box::pin(async move {
        if levels == 0 {
            return bottom.reached(ledger).await;
        }
        let noted = |name| (levels % 1000 == 1).then(|| ledger.item(name));
        let _local = noted("local");
        scope.alloc(noted("value"));
        let below = scope.scope(async move |inner| dig(inner, ledger, levels - 1, bottom).await);
        below.await + 1
    })
}

#[test]
fn a_deep_tree_runs_to_its_end() {
    each_small_runtime(|rt, ledger| {
        assert_eq!(rt.block_on(async |scope| dig(scope, ledger, levels(), Bottom::Returns).await), levels());
        ledger.assert_settled();
    });
}

#[test]
fn a_panic_at_the_bottom_of_a_deep_tree_arrives_at_the_root() {
    each_small_runtime(|rt, ledger| {
        assert_eq!(
            thrown(|| rt.block_on(async |scope| dig(scope, ledger, levels(), Bottom::Panics).await)),
            "bottom"
        );
        ledger.assert_settled();
    });
}

#[test]
fn a_deep_tree_is_aborted_from_its_top() {
    each_small_runtime(|rt, ledger| {
        rt.block_on(async |root| {
            root.scope(async move |top| {
                top.scope(async move |inner| dig(inner, ledger, levels(), Bottom::NeverEnds).await);
                while ledger.count("bottom") == 0 {
                    yield_now().await;
                }
                top.abort();
            });
        });
        ledger.assert_settled();
        ledger.assert_order("local", "value");
    });
}

#[test]
fn a_deep_tree_is_cancelled_by_a_panic_at_its_top() {
    each_small_runtime(|rt, ledger| {
        let name = thrown(|| {
            rt.block_on(async |scope| {
                scope.scope(async move |inner| dig(inner, ledger, levels(), Bottom::NeverEnds).await);
                while ledger.count("bottom") == 0 {
                    yield_now().await;
                }
                throw("top")
            })
        });
        assert_eq!(name, "top");
        ledger.assert_settled();
    });
}

#[test]
fn a_deep_tree_is_aborted_while_it_is_being_dug() {
    each_small_runtime(|rt, ledger| {
        for wait in [0, 1, 10, 1_000, 100_000] {
            rt.block_on(async |root| {
                root.scope(async move |top| {
                    let item = ledger.item("captured");
                    top.scope(async move |inner| {
                        let _item = item;
                        dig(inner, ledger, levels(), Bottom::NeverEnds).await
                    });
                    (0..wait).for_each(|_| std::hint::spin_loop());
                    top.abort();
                });
            });
        }
        ledger.assert_settled();
    });
}

/// A chain of scopes whose bodies are gone: each level waits for the next in its drain alone, its handle dropped.
fn dig_and_leave<'scope, 'ledger: 'scope>(
    scope: &'scope Scope<'scope, '_>,
    ledger: &'ledger Ledger,
    levels: u32,
    bottom: Bottom,
) -> Boxed<'scope, ()> {
    Box::pin(async move {
        if levels == 0 {
            bottom.reached(ledger).await;
            return;
        }
        scope.scope(async move |inner| dig_and_leave(inner, ledger, levels - 1, bottom).await);
    })
}

#[test]
fn a_deep_tree_of_scopes_that_only_wait_runs_to_its_end() {
    each_small_runtime(|rt, ledger| {
        rt.block_on(async |scope| dig_and_leave(scope, ledger, levels(), Bottom::Returns).await);
        ledger.assert_settled();
    });
}

#[test]
fn a_deep_tree_of_scopes_that_only_wait_is_aborted() {
    each_small_runtime(|rt, ledger| {
        rt.block_on(async |root| {
            root.scope(async move |top| {
                dig_and_leave(top, ledger, levels(), Bottom::NeverEnds).await;
                while ledger.count("bottom") == 0 {
                    yield_now().await;
                }
                top.abort();
            });
        });
        ledger.assert_settled();
    });
}

#[test]
fn a_long_chain_of_children_that_await_each_other_ends_and_is_aborted() {
    fn chain<'scope>(
        scope: &'scope Scope<'scope, '_>,
        ledger: &'scope Ledger,
        first: Bottom,
    ) -> JoinHandle<'scope, u32> {
        let mut last = scope.spawn(first.reached(ledger));
        for _ in 0..levels() {
            last = scope.spawn(async move { last.await + 1 });
        }
        last
    }
    each_small_runtime(|rt, ledger| {
        assert_eq!(rt.block_on(async |root| chain(root, ledger, Bottom::Returns).await), levels());
        rt.block_on(async |root| {
            root.scope(async move |scope| {
                drop(chain(scope, ledger, Bottom::NeverEnds));
                yield_now().await;
                scope.abort();
            });
        });
        ledger.assert_settled();
    });
}

#[test]
fn a_scope_with_as_many_children_as_a_deep_tree_has_levels_is_aborted() {
    each_small_runtime(|rt, ledger| {
        rt.block_on(async |root| {
            root.scope(async move |scope| {
                scope.alloc(ledger.item("value"));
                for _ in 0..levels() {
                    scope.spawn(pending::<()>());
                }
                yield_now().await;
                scope.abort();
            });
        });
        ledger.assert_settled();
    });
}
