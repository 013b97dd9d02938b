//! Values, captures and outputs of every shape, whose drops do everything that a drop can.

mod common;

use common::{Gate, Ledger, each_runtime, three_deep};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::thread;
use treescope::{JoinHandle, Scope, yield_now};

#[repr(align(4096))]
struct Page<T>(T);

#[derive(Clone, Copy)]
struct Nothing;

impl Drop for ZeroSized<'_> {
    fn drop(&mut self) {
        ZERO_SIZED.mark("zero-sized");
    }
}

/// Zero-sized, with a drop.
struct ZeroSized<'a>(std::marker::PhantomData<&'a ()>);

static ZERO_SIZED: Ledger = Ledger::new();

fn address<T>(at: &T) -> usize {
    std::ptr::from_ref(at).addr()
}

#[test]
fn values_of_any_alignment_lie_aligned_and_stay_where_they_are() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            let mut pages = Vec::new();
            for n in 0..50_usize {
                let page = scope.alloc(Page((n, ledger.item("page"))));
                assert_eq!(address(page) % 4096, 0);
                let before = address(page);
                pages.push(scope.spawn(async move {
                    yield_now().await;
                    page.0.0 += 1;
                    assert_eq!((page.0.0, address(page)), (n + 1, before));
                    page
                }));
                scope.alloc([0_u8; 3]);
            }
            for page in pages {
                assert_eq!(address(page.await) % 4096, 0);
            }
        });
        ledger.assert_settled();
    });
}

#[test]
fn captures_and_outputs_of_any_alignment_lie_aligned() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            for n in 0..20_usize {
                let page = Page((n, ledger.item("page")));
                let child = scope.spawn(async move {
                    assert_eq!(address(&page) % 4096, 0);
                    yield_now().await;
                    page
                });
                let page = child.await;
                assert_eq!((address(&page) % 4096, page.0.0), (0, n));
                let inner = scope.scope(async move |inner| inner.spawn(async move { page }).await);
                if n % 2 == 0 {
                    assert_eq!(inner.await.0.0, n);
                }
            }
        });
        ledger.assert_settled();
    });
}

#[test]
fn zero_sized_values_captures_and_outputs_are_dropped_once_each() {
    const EACH: usize = 100;
    each_runtime(|rt, _| {
        let before = ZERO_SIZED.count("zero-sized");
        three_deep!(rt, async |scope| {
            let nothing: &mut Nothing = scope.alloc(Nothing);
            let _copy = *nothing;
            scope.alloc(());
            for _ in 0..EACH {
                scope.alloc(ZeroSized(std::marker::PhantomData));
                let captured = ZeroSized(std::marker::PhantomData);
                scope.spawn(async move { captured });
                scope.spawn(async {});
                scope.scope(async |_| {});
            }
        });
        assert_eq!(ZERO_SIZED.count("zero-sized"), before + 2 * EACH);
    });
}

#[test]
fn values_are_dropped_newest_first_after_every_descendant() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            for name in ["oldest", "middle", "newest"] {
                let value = &*scope.alloc(ledger.item(name));
                for _ in 0..3 {
                    scope.scope(async move |inner| {
                        inner.alloc(ledger.item("inner value"));
                        inner.spawn(async move {
                            yield_now().await;
                            drop((value, ledger.item("grandchild")));
                        });
                    });
                }
            }
        });
        ledger.assert_settled();
        for (earlier, later) in
            [("grandchild", "newest"), ("inner value", "newest"), ("newest", "middle"), ("middle", "oldest")]
        {
            ledger.assert_order(earlier, later);
        }
    });
}

#[test]
fn futures_outputs_and_values_larger_than_a_task_keeps_inline_are_whole() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            let value = scope.alloc([7_u8; 100_000]);
            let item = ledger.item("child");
            let large = scope.spawn(async move {
                let mut own = [0_u8; 20_000];
                own[19_999] = 1;
                yield_now().await;
                value[99_999] += own[19_999];
                drop(item);
                (own, value)
            });
            let item = ledger.item("scope");
            let large_scope = scope.scope(async move |inner| {
                let own = [3_u8; 10_000];
                let child = inner.spawn(async move { own });
                inner.spawn(async move {
                    let _parked_for_good = [0_u8; 5_000];
                    yield_now().await;
                    drop(item);
                });
                yield_now().await;
                child.await
            });
            let (own, value) = large.await;
            assert_eq!((own[19_999], value[99_999], value[0]), (1, 8, 7));
            assert!(large_scope.await.iter().all(|&byte| byte == 3));
        });
        ledger.assert_settled();
    });
}

#[test]
fn large_parked_children_are_dropped_by_an_abort() {
    each_runtime(|rt, ledger| {
        rt.block_on(async |root| {
            root.scope(async move |scope| {
                for _ in 0..20 {
                    let item = ledger.item("child");
                    scope.spawn(async move {
                        let large = [0_u8; 8_192];
                        ledger.mark("polled");
                        pending::<()>().await;
                        drop((item, large));
                    });
                }
                while ledger.count("polled") < 20 {
                    yield_now().await;
                }
                scope.abort();
            });
        });
        ledger.assert_settled();
    });
}

#[test]
fn a_scopes_own_handle_may_be_a_value_of_that_scope() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            for _ in 0..20 {
                type Slot<'scope> = Mutex<Option<JoinHandle<'scope, common::Item<'scope>>>>;
                let (slot, gate) = (Arc::new(Slot::default()), Arc::new(Gate::new()));
                let (slot_there, gate_there) = (slot.clone(), gate.clone());
                let handle = scope.scope(async move |inner| {
                    gate_there.pass().await;
                    let own = slot_there.lock().unwrap().take().unwrap();
                    assert!(!own.is_finished());
                    inner.alloc(own);
                    inner.alloc(ledger.item("value"));
                    ledger.item("output")
                });
                *slot.lock().unwrap() = Some(handle);
                gate.open();
            }
        });
        ledger.assert_settled();
        assert_eq!(ledger.count("output"), 20);
    });
}

#[test]
fn handles_of_outer_children_may_be_values_of_inner_scopes() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            let value = &*scope.alloc(ledger.item("outer value"));
            for _ in 0..10 {
                let (done, undone) = (scope.spawn(async move { value }), ledger.item("output"));
                let undone = scope.spawn(async move {
                    yield_now().await;
                    (undone, value)
                });
                scope.scope(async move |inner| {
                    inner.alloc((done, undone, ledger.item("inner value")));
                });
            }
        });
        ledger.assert_settled();
        ledger.assert_order("output", "outer value");
        ledger.assert_order("inner value", "outer value");
    });
}

/// When dropped, spawns on `scope`, gives it a value, and opens a scope in it, down to some depth.
struct Spawns<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    ledger: &'env Ledger,
    depth: u32,
}

impl Drop for Spawns<'_, '_> {
    fn drop(&mut self) {
        let Self { scope, ledger, depth } = *self;
        ledger.mark("spawner dropped");
        scope.alloc(ledger.item("late value"));
        let captured = ledger.item("late child");
        if depth == 0 {
            scope.spawn(async move { captured });
            scope.scope(async move |inner| {
                inner.alloc(ledger.item("value of late scope"));
            });
            return;
        }
        let next = || Spawns { scope, ledger, depth: depth - 1 };
        // One as a capture, one as an output, one that is a value of a scope below.
        let (in_capture, in_output, in_value) = (next(), next(), next());
        scope.spawn(async move { drop((captured, in_capture)) });
        scope.spawn(async move { in_output });
        scope.scope(async move |inner| {
            inner.alloc(in_value);
        });
    }
}

#[test]
fn outputs_captures_and_values_spawn_and_alloc_on_a_scope_that_is_ending() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            drop(scope.spawn(async move { Spawns { scope, ledger, depth: 3 } }));
            let captured = Spawns { scope, ledger, depth: 3 };
            scope.spawn(async move { drop(captured) });
            scope.scope(async move |inner| {
                inner.alloc(Spawns { scope, ledger, depth: 3 });
            });
            let _in_body = Spawns { scope, ledger, depth: 3 };
        });
        ledger.assert_settled();
        // 4 spawners, each with 3 below it, three times over.
        assert_eq!(ledger.count("spawner dropped"), 4 * (1 + 3 + 9 + 27));
        assert_eq!(ledger.count("late child"), 4 * (1 + 3 + 9 + 27));
        assert_eq!(ledger.count("late value"), 4 * (1 + 3 + 9 + 27));
        // `late value` is a value of `scope`: dropped after all that ran in it.
        ledger.assert_order("late child", "late value");
    });
}

#[test]
fn outputs_captures_and_values_spawn_and_alloc_on_a_scope_that_is_cancelled() {
    each_runtime(|rt, ledger| {
        rt.block_on(async |root| {
            root.scope(async move |scope| {
                let parked = Spawns { scope, ledger, depth: 3 };
                scope.spawn(async move {
                    let _parked = parked;
                    ledger.mark("polled");
                    pending::<()>().await;
                });
                scope.scope(async move |inner| {
                    inner.alloc(Spawns { scope, ledger, depth: 3 });
                    pending::<()>().await;
                });
                drop(scope.spawn(async move { Spawns { scope, ledger, depth: 3 } }));
                let _in_body = Spawns { scope, ledger, depth: 3 };
                while ledger.count("polled") == 0 {
                    yield_now().await;
                }
                scope.abort();
                // Not yet polled when the cancel comes.
                let unpolled = Spawns { scope, ledger, depth: 3 };
                scope.spawn(async move { drop(unpolled) });
                pending::<()>().await;
            });
        });
        ledger.assert_settled();
        assert!(ledger.count("late value") > 4);
        ledger.assert_order("late child", "late value");
    });
}

#[test]
fn a_roots_children_spawn_and_alloc_on_it_while_it_ends() {
    each_runtime(|rt, ledger| {
        rt.block_on(async |scope| {
            drop(scope.spawn(async move { Spawns { scope, ledger, depth: 3 } }));
            let _in_body = Spawns { scope, ledger, depth: 3 };
        });
        ledger.assert_settled();
        ledger.assert_order("late child", "late value");
    });
}

#[test]
fn many_threads_alloc_and_spawn_on_one_scope_at_once() {
    const THREADS: usize = 4;
    const EACH: usize = 200;
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            thread::scope(|threads| {
                for _ in 0..THREADS {
                    threads.spawn(move || {
                        for n in 0..EACH {
                            let value = scope.alloc((n, ledger.item("value")));
                            scope.spawn(async move {
                                yield_now().await;
                                value.0 += 1;
                                assert_eq!(value.0, n + 1);
                                drop(ledger.item("child"));
                            });
                            scope.scope(async move |inner| {
                                inner.alloc(ledger.item("inner value"));
                            });
                        }
                    });
                }
            });
        });
        ledger.assert_settled();
        assert_eq!(ledger.count("child"), THREADS * EACH);
        ledger.assert_order("child", "value");
        ledger.assert_order("inner value", "value");
    });
}

#[test]
fn children_alloc_and_spawn_on_an_outer_scope_from_several_workers() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |outer| {
            for _ in 0..50 {
                outer.scope(async move |inner| {
                    for _ in 0..10 {
                        inner.spawn(async move {
                            let value = outer.alloc(ledger.item("outer value"));
                            outer.spawn(async move {
                                drop((value, ledger.item("outer child")));
                            });
                        });
                    }
                });
            }
        });
        ledger.assert_settled();
        assert_eq!(ledger.count("outer child"), 500);
        ledger.assert_order("outer child", "outer value");
    });
}
