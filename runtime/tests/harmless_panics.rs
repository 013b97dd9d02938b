//! Panics everywhere: the first one ends the root, with its own payload, after everything has been dropped exactly once.
//!
//! What cannot be survived because std or async-task abort is in `aborts.rs`.

mod common;

use common::{
    Gate, Item, Ledger, OnDrop, Thrown, caught, each_runtime, poll_once, three_deep, throw, thrown,
};
use std::future::{Ready, pending, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use treescope::{Scope, yield_now};

/// Siblings of all kinds that only a cancel can end, and a value.
fn surround<'scope, 'env>(scope: &'scope Scope<'scope, 'env>, ledger: &'env Ledger) {
    scope.alloc(ledger.item("value"));
    let captured = ledger.item("parked sibling");
    scope.spawn(async move {
        pending::<()>().await;
        drop(captured);
    });
    let captured = ledger.item("busy sibling");
    scope.spawn(async move {
        loop {
            yield_now().await;
            assert_eq!(ledger.count("busy sibling"), 0, "{captured:?}");
        }
    });
    scope.scope(async move |inner| {
        inner.alloc(ledger.item("inner value"));
        inner.spawn(async move {
            let _local = ledger.item("nephew");
            pending::<()>().await;
        });
        pending::<()>().await;
    });
}

#[test]
fn a_panic_in_a_childs_poll_arrives_at_the_root_after_all_has_ended() {
    each_runtime(|rt, ledger| {
        let name = thrown(|| {
            three_deep!(rt, async |scope| {
                surround(scope, ledger);
                let _in_body = ledger.item("body");
                scope.spawn(async move {
                    let _local = ledger.item("child");
                    yield_now().await;
                    throw("child");
                });
                pending::<()>().await;
            })
        });
        assert_eq!(name, "child");
        ledger.assert_settled();
        ledger.assert_order("child", "value");
        ledger.assert_order("nephew", "value");
    });
}

#[test]
fn a_panic_in_a_bodys_poll_arrives_at_the_root_after_all_has_ended() {
    each_runtime(|rt, ledger| {
        let name = thrown(|| {
            three_deep!(rt, async |scope| {
                surround(scope, ledger);
                let _in_body = ledger.item("body");
                yield_now().await;
                throw("body")
            })
        });
        assert_eq!(name, "body");
        ledger.assert_settled();
        ledger.assert_order("body", "value");
    });
}

#[test]
fn a_panic_in_the_root_bodys_poll_is_resumed_after_all_has_ended() {
    each_runtime(|rt, ledger| {
        let name = thrown(|| {
            rt.block_on(async |scope| {
                surround(scope, ledger);
                let _in_body = ledger.item("body");
                yield_now().await;
                throw("root")
            })
        });
        assert_eq!(name, "root");
        ledger.assert_settled();
        ledger.assert_order("body", "value");
    });
}

/// A body that panics when it is called, before there is a future, with a child already spawned.
fn panics_when_called<'scope>(scope: &'scope Scope<'scope, '_>) -> Ready<()> {
    scope.alloc(String::from("value"));
    scope.spawn(pending::<()>());
    throw("call")
}

#[test]
fn a_panic_in_the_call_of_a_body_arrives_at_the_root_after_all_has_ended() {
    each_runtime(|rt, ledger| {
        let name = thrown(|| {
            three_deep!(rt, async |scope| {
                surround(scope, ledger);
                scope.scope(panics_when_called).await
            })
        });
        assert_eq!(name, "call");
        ledger.assert_settled();
    });
}

#[test]
fn a_panic_in_the_call_of_the_root_body_is_resumed_after_all_has_ended() {
    each_runtime(|rt, _| assert_eq!(thrown(|| rt.block_on(panics_when_called)), "call"));
}

#[test]
fn a_panic_in_a_blocking_call_arrives_at_the_root_after_all_has_ended() {
    each_runtime(|rt, ledger| {
        let name = thrown(|| {
            three_deep!(rt, async |scope| {
                surround(scope, ledger);
                let captured = ledger.item("blocking call");
                scope.spawn_blocking(move || {
                    drop(captured);
                    throw("blocking call")
                });
                pending::<()>().await;
            })
        });
        assert_eq!(name, "blocking call");
        ledger.assert_settled();
    });
}

/// How a child comes to its end.
#[derive(Clone, Copy)]
enum End {
    Returns,
    Aborted,
    Unpolled,
}

/// A future that panics in its drop. Written by hand: an `async` block drops what it captured within its last poll.
struct Explosive<'a> {
    ledger: &'a Ledger,
    end: End,
    _before: Item<'a>,
}

impl<'a> Explosive<'a> {
    fn new(ledger: &'a Ledger, end: End) -> Self {
        Self { ledger, end, _before: ledger.item("explosive") }
    }
}

impl<'a> Future for Explosive<'a> {
    type Output = Item<'a>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Item<'a>> {
        self.ledger.mark("polled");
        if matches!(self.end, End::Returns) { Poll::Ready(self.ledger.item("output")) } else { Poll::Pending }
    }
}

impl Drop for Explosive<'_> {
    fn drop(&mut self) {
        throw("drop");
    }
}

#[test]
fn a_panic_in_the_drop_of_a_childs_future_arrives_at_the_root_after_all_has_ended() {
    for end in [End::Returns, End::Aborted, End::Unpolled] {
        each_runtime(|rt, ledger| {
            let name = thrown(|| {
                rt.block_on(async |root| {
                    root.scope(async move |scope| {
                        surround(scope, ledger);
                        if matches!(end, End::Unpolled) {
                            scope.abort();
                        }
                        scope.spawn(Explosive::new(ledger, end));
                        while !matches!(end, End::Unpolled) && ledger.count("polled") == 0 {
                            yield_now().await;
                        }
                        scope.abort();
                    });
                });
            });
            assert_eq!(name, "drop");
            ledger.assert_settled();
        });
    }
}

#[test]
fn a_panic_in_the_drop_of_a_bodys_future_arrives_at_the_root_after_all_has_ended() {
    // Statics, for a named function captures nothing, and an async closure's future would not do.
    static RETURNED: Ledger = Ledger::new();
    static ABORTED: Ledger = Ledger::new();
    fn returns<'scope>(scope: &'scope Scope<'scope, '_>) -> Explosive<'static> {
        scope.spawn(pending::<()>());
        Explosive::new(&RETURNED, End::Returns)
    }
    fn aborts<'scope>(scope: &'scope Scope<'scope, '_>) -> Explosive<'static> {
        scope.abort();
        Explosive::new(&ABORTED, End::Aborted)
    }
    each_runtime(|rt, _| {
        assert_eq!(thrown(|| three_deep!(rt, async |outer| { drop(outer.scope(returns)) })), "drop");
        assert_eq!(thrown(|| rt.block_on(returns)), "drop");
        assert_eq!(thrown(|| three_deep!(rt, async |outer| { drop(outer.scope(aborts)) })), "drop");
        assert_eq!(thrown(|| rt.block_on(aborts)), "drop");
    });
    RETURNED.assert_settled();
    ABORTED.assert_settled();
    assert_eq!(ABORTED.count("output"), 0);
}

#[test]
fn a_panic_in_the_drop_of_an_output_arrives_at_the_root_after_all_has_ended() {
    each_runtime(|rt, ledger| {
        // Dropped by the runtime, for the handle is gone; and with the handle, for the child is done.
        for early in [true, false] {
            let name = thrown(|| {
                three_deep!(rt, async |scope| {
                    surround(scope, ledger);
                    let handle = scope.spawn(async move {
                        let item = ledger.item("output");
                        OnDrop::new(move || {
                            drop(item);
                            throw("output")
                        })
                    });
                    while !early && !handle.is_finished() {
                        yield_now().await;
                    }
                    drop(handle);
                    pending::<()>().await;
                })
            });
            assert_eq!(name, "output");
        }
        ledger.assert_settled();
    });
}

#[test]
fn a_panic_in_the_drop_of_a_scopes_output_arrives_at_the_root_after_all_has_ended() {
    each_runtime(|rt, ledger| {
        let name = thrown(|| {
            three_deep!(rt, async |scope| {
                surround(scope, ledger);
                scope.scope(async move |inner| {
                    inner.alloc(ledger.item("inner value"));
                    let item = ledger.item("output");
                    OnDrop::new(move || {
                        drop(item);
                        throw("output")
                    })
                });
                pending::<()>().await;
            })
        });
        assert_eq!(name, "output");
        ledger.assert_settled();
    });
}

#[test]
fn a_panic_in_the_drop_of_a_value_skips_no_other_value() {
    each_runtime(|rt, ledger| {
        let name = thrown(|| {
            three_deep!(rt, async |scope| {
                scope.scope(async move |inner| {
                    inner.alloc(ledger.item("older value"));
                    for name in ["oldest", "middle", "newest"] {
                        let item = ledger.item("bomb");
                        inner.alloc(OnDrop::new(move || {
                            drop(item);
                            throw(name)
                        }));
                        inner.alloc(ledger.item("value"));
                    }
                    ledger.item("output")
                });
            });
        });
        assert_eq!(name, "newest", "values are dropped newest first, and the first panic wins");
        ledger.assert_settled();
        ledger.assert_order("bomb", "older value");
    });
}

#[test]
fn a_panic_in_the_drop_of_a_roots_value_skips_no_other_value() {
    each_runtime(|rt, ledger| {
        let name = thrown(|| {
            rt.block_on(async |scope| {
                scope.alloc(ledger.item("value"));
                scope.alloc(OnDrop::new(|| throw("value")));
                ledger.item("output")
            })
        });
        assert_eq!(name, "value");
        ledger.assert_settled();
    });
}

#[test]
fn a_panic_in_the_drop_of_a_body_that_was_never_called_arrives_at_the_root() {
    each_runtime(|rt, ledger| {
        let name = thrown(|| {
            rt.block_on(async |root| {
                root.scope(async move |scope| {
                    scope.abort();
                    let (item, bomb) = (ledger.item("capture"), OnDrop::new(|| throw("capture")));
                    scope.scope(async move |_| drop((item, bomb)));
                });
            });
        });
        assert_eq!(name, "capture");
        ledger.assert_settled();
    });
}

/// A payload that panics when it is dropped, with a payload that does so too.
struct Bomb<'a>(u32, &'a str);

impl Drop for Bomb<'_> {
    fn drop(&mut self) {
        if self.0 > 0 {
            std::panic::resume_unwind(Box::new(Bomb(self.0 - 1, "next")));
        }
    }
}

#[test]
fn losing_payloads_whose_drops_panic_are_survived() {
    each_runtime(|rt, ledger| {
        let payload = caught(|| {
            three_deep!(rt, async |scope| {
                surround(scope, ledger);
                let gate = &*scope.alloc(Gate::new());
                for _ in 0..10 {
                    let captured = ledger.item("child");
                    scope.spawn(async move {
                        gate.pass().await;
                        drop(captured);
                        std::panic::resume_unwind(Box::new(Bomb(1, "thrown")));
                    });
                }
                yield_now().await;
                gate.open();
                pending::<()>().await;
            })
        });
        let mut payload = payload.downcast::<Bomb<'static>>().expect("the first panic's payload");
        assert_eq!(payload.1, "thrown");
        payload.0 = 0; // Disarmed, for it is this test's to drop.
        ledger.assert_settled();
    });
}

#[test]
fn of_many_panics_one_arrives_and_the_rest_are_dropped() {
    each_runtime(|rt, ledger| {
        for _ in 0..20 {
            let name = thrown(|| {
                three_deep!(rt, async |scope| {
                    for _ in 0..20 {
                        let captured = ledger.item("child");
                        scope.scope(async move |inner| {
                            inner.alloc(OnDrop::new(|| throw("a panic")));
                            inner.spawn(async move {
                                let _captured = captured;
                                throw("a panic");
                            });
                            throw("a panic")
                        });
                    }
                    throw("a panic")
                })
            });
            assert_eq!(name, "a panic");
        }
        ledger.assert_settled();
    });
}

#[test]
fn the_first_panic_wins_over_those_that_its_cancel_causes() {
    each_runtime(|rt, ledger| {
        let name = thrown(|| {
            three_deep!(rt, async |scope| {
                surround(scope, ledger);
                scope.spawn(async move {
                    let _bomb = OnDrop::new(|| throw("second"));
                    ledger.mark("armed");
                    pending::<()>().await;
                });
                scope.alloc(OnDrop::new(|| throw("third")));
                while ledger.count("armed") == 0 {
                    yield_now().await;
                }
                throw("first")
            })
        });
        assert_eq!(name, "first");
        ledger.assert_settled();
    });
}

#[test]
fn whoever_awaits_a_panicking_child_sees_nothing_but_its_own_end() {
    each_runtime(|rt, ledger| {
        let name = thrown(|| {
            three_deep!(rt, async |scope| {
                let child = scope.spawn(async {
                    yield_now().await;
                    throw("child")
                });
                let captured = ledger.item("awaiter");
                scope.spawn(async move {
                    let _captured = captured;
                    let () = child.await;
                    ledger.mark("went on");
                });
                let mut never = scope.spawn(pending::<()>());
                let _ = poll_once(&mut never).await;
                never.await;
                ledger.mark("went on");
            })
        });
        assert_eq!(name, "child");
        assert_eq!(ledger.count("went on"), 0);
        ledger.assert_settled();
    });
}

#[test]
fn a_root_opened_and_failed_by_a_destructor_during_a_panic_is_survived() {
    each_runtime(|rt, ledger| {
        let name = thrown(|| {
            let _opens_roots = OnDrop::new(|| {
                let sum = rt.block_on(async |scope| {
                    let item = ledger.item("child");
                    scope
                        .spawn(async move {
                            drop(item);
                            1
                        })
                        .await
                });
                assert_eq!(sum, 1);
                // A panic inside the tree of a root, while this thread is panicking itself, but caught here.
                assert_eq!(
                    thrown(|| rt.block_on(async |scope| scope.spawn(async { throw("inner") }).await)),
                    "inner"
                );
            });
            throw("outer")
        });
        assert_eq!(name, "outer");
        ledger.assert_settled();
    });
}

#[test]
fn a_runtime_works_on_after_any_number_of_panics() {
    each_runtime(|rt, _| {
        for _ in 0..200 {
            // One a round: the busy sibling asks how many of its name have been dropped.
            let ledger = &Ledger::new();
            let payload = caught(|| {
                three_deep!(rt, async |scope| {
                    surround(scope, ledger);
                    scope.spawn(async { throw("one of many") }).await
                })
            });
            assert_eq!(payload.downcast_ref(), Some(&Thrown("one of many")));
            drop(payload);
            ledger.assert_settled();
        }
        assert_eq!(rt.block_on(async |scope| scope.spawn(ready(1)).await), 1);
    });
}
