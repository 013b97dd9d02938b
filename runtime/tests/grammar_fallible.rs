//! Fallible scopes: the first error cancels the siblings, and is returned once all have ended.

mod common;

use std::fmt;
use std::future::pending;
use std::time::Duration;

use common::{Ledger, each_virtual_runtime, three_deep, throw, thrown};
use treescope::time::{now, sleep};
use treescope::{CauseKind, Failed, TryScope};

const SECOND: Duration = Duration::from_secs(1);

/// Holds an item that is dropped when the future is. It is made at once: on two workers a child may be aborted unpolled.
fn hold<T>(ledger: &Ledger, name: &'static str) -> impl Future<Output = T> {
    let item = ledger.item(name);
    async move {
        let _item = item;
        pending().await
    }
}

#[test]
fn first_error_is_returned_after_all_have_ended() {
    each_virtual_runtime(|runtime, ledger| {
        let failed = three_deep!(runtime, async |scope| {
            let outcome = scope.try_scope(async move |scope| {
                scope.spawn(hold::<Result<(), &str>>(ledger, "sibling"));
                scope.scope(async move |below| {
                    below.scope(async move |below| below.spawn(hold::<()>(ledger, "nephew")).await).await
                });
                scope.spawn(async {
                    sleep(SECOND).await;
                    Err::<(), _>("broken")
                });
                hold::<Result<(), &str>>(ledger, "body").await
            });
            let failed = outcome.await.unwrap_err();
            ledger.mark("returned");
            failed
        });
        assert_eq!(failed.first(), &"broken");
        assert_eq!((failed.later(), failed.later_count()), ([].as_slice(), 0));
        for held in ["sibling", "nephew", "body"] {
            ledger.assert_order(held, "returned");
        }
        ledger.assert_settled();
    });
}

#[test]
fn error_of_the_body_cancels_the_children() {
    each_virtual_runtime(|runtime, ledger| {
        let failed = three_deep!(runtime, async |scope| {
            let outcome = scope.try_scope(async move |scope| {
                scope.spawn(hold::<Result<(), String>>(ledger, "child"));
                treescope::yield_now().await;
                Err::<(), _>("the body's".to_owned())
            });
            let failed = outcome.await.unwrap_err();
            ledger.mark("returned");
            failed
        });
        assert_eq!(failed.into_first(), "the body's");
        ledger.assert_order("child", "returned");
    });
}

#[test]
fn error_of_a_child_outweighs_the_value_of_the_body() {
    each_virtual_runtime(|runtime, ledger| {
        let failed = three_deep!(runtime, async |scope| {
            let outcome = scope.try_scope(async move |scope| {
                scope.spawn(async {
                    sleep(SECOND).await;
                    Err::<(), _>("late")
                });
                Ok(ledger.item("value"))
            });
            outcome.await.unwrap_err()
        });
        assert_eq!(failed.first(), &"late");
        ledger.assert_settled();
    });
}

#[test]
fn without_an_error_the_value_is_returned_after_all_have_ended() {
    each_virtual_runtime(|runtime, ledger| {
        let sum = three_deep!(runtime, async |scope| {
            let outcome = scope.try_scope::<_, _, &str>(async move |scope| {
                scope.spawn(async {
                    sleep(SECOND).await;
                    ledger.mark("slow child");
                    Ok(())
                });
                let one = scope.spawn(async { Ok(1) });
                let two = scope.spawn(async { Ok(2) });
                Ok(one.await + two.await)
            });
            let sum = outcome.await;
            ledger.mark("returned");
            sum
        });
        assert_eq!(sum, Ok(3));
        ledger.assert_order("slow child", "returned");
    });
}

#[test]
fn later_errors_are_kept_in_their_order_and_counted() {
    each_virtual_runtime(|runtime, _| {
        let failed = three_deep!(runtime, async |scope| {
            let outcome = scope.open().grace(60 * SECOND).try_scope(async |scope| {
                for n in 1..=100_u32 {
                    scope.spawn(async move {
                        scope.cancelled().await;
                        sleep(n * SECOND / 10).await;
                        Err::<(), _>(n)
                    });
                }
                Err::<(), _>(0)
            });
            outcome.await.unwrap_err()
        });
        assert_eq!(*failed.first(), 0);
        assert_eq!(failed.later_count(), 100);
        assert_eq!(failed.later(), (1..=64).collect::<Vec<_>>());
        assert_eq!(failed.to_string(), "0 (and 100 later errors)");
    });
}

#[test]
fn without_a_grace_period_siblings_are_aborted_at_once() {
    each_virtual_runtime(|runtime, ledger| {
        let elapsed = three_deep!(runtime, async |scope| {
            let start = now();
            let outcome = scope.try_scope(async move |scope| {
                // Made here: the end may come before the child's first poll.
                let item = ledger.item("sibling");
                scope.spawn(async move {
                    let _item = item;
                    sleep(1000 * SECOND).await;
                    Ok(())
                });
                treescope::yield_now().await;
                Err::<(), _>("now")
            });
            assert!(outcome.await.is_err());
            now() - start
        });
        assert_eq!(elapsed, Duration::ZERO);
        ledger.assert_settled();
    });
}

#[test]
fn failure_of_an_inner_fallible_scope_is_a_value_for_the_outer() {
    each_virtual_runtime(|runtime, ledger| {
        let seen = three_deep!(runtime, async |scope| {
            let outcome = scope.try_scope::<_, _, String>(async move |outer| {
                let sibling = outer.spawn(async {
                    sleep(SECOND).await;
                    ledger.mark("sibling went on");
                    Ok(7)
                });
                let inner = outer.try_scope(async |inner| {
                    inner.spawn(async { Err::<(), _>(3_u8) });
                    Ok(())
                });
                let failed: Failed<u8> = inner.await.unwrap_err();
                Ok((failed.into_first(), sibling.await))
            });
            outcome.await
        });
        assert_eq!(seen, Ok((3, 7)));
        assert_eq!(ledger.count("sibling went on"), 1);
    });
}

#[test]
fn descendant_that_was_lent_the_scope_can_fail_it() {
    async fn deep<'scope>(scope: TryScope<'scope, '_, &'static str>) -> Result<(), &'static str> {
        scope.spawn(async { Err::<(), _>("from below") });
        pending().await
    }
    each_virtual_runtime(|runtime, _| {
        let failed = three_deep!(runtime, async |scope| {
            let outcome = scope.try_scope(async |scope| {
                scope.scope(async move |below| {
                    below.spawn(async move { deep(scope).await.expect("never ready") }).await;
                });
                Ok(())
            });
            outcome.await.unwrap_err()
        });
        assert_eq!(failed.first(), &"from below");
    });
}

#[test]
fn panic_outweighs_errors() {
    each_virtual_runtime(|runtime, ledger| {
        let name = thrown(|| {
            three_deep!(runtime, async |scope| {
                let outcome = scope.open().grace(60 * SECOND).try_scope(async move |scope| {
                    scope.spawn(async move {
                        scope.cancelled().await;
                        if true {
                            throw("while winding up")
                        }
                        Ok(())
                    });
                    let _item = ledger.item("body");
                    treescope::yield_now().await;
                    Err::<(), _>("an error")
                });
                outcome.await.map_err(Failed::into_first)
            })
            .expect("thrown by now")
        });
        assert_eq!(name, "while winding up");
        ledger.assert_settled();
    });
}

#[test]
fn scope_aborted_from_above_drops_its_errors() {
    /// An error that is counted.
    #[derive(Debug)]
    struct Counted<'a>(#[expect(dead_code)] common::Item<'a>);
    impl fmt::Display for Counted<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("counted")
        }
    }
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope.scope(async move |outer| {
                outer.open().grace(60 * SECOND).try_scope(async move |scope| {
                    for _ in 0..100 {
                        scope.spawn(async { Err::<(), _>(Counted(ledger.item("error"))) });
                    }
                    scope.spawn(hold::<Result<(), _>>(ledger, "sibling"));
                    Ok(())
                });
                sleep(SECOND).await;
                outer.abort();
                pending::<()>().await;
            });
        });
        assert_eq!(ledger.count("error"), 100);
        ledger.assert_settled();
    });
}

/// An error that harms whoever handles it.
#[derive(Debug)]
struct Nasty {
    shows: bool,
}

impl fmt::Display for Nasty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shows { f.write_str("nasty") } else { throw("display") }
    }
}

impl Drop for Nasty {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            throw("drop");
        }
    }
}

#[test]
fn error_whose_display_panics_fails_the_scope_by_a_panic() {
    each_virtual_runtime(|runtime, ledger| {
        for in_child in [true, false] {
            let name = thrown(|| {
                three_deep!(runtime, async |scope| {
                    drop(scope.try_scope(async move |scope| {
                        let bad = || async { Err::<(), _>(Nasty { shows: false }) };
                        if in_child {
                            scope.spawn(bad());
                            hold::<Result<(), Nasty>>(ledger, "body").await
                        } else {
                            scope.spawn(hold::<Result<(), Nasty>>(ledger, "child"));
                            bad().await
                        }
                    }));
                });
            });
            assert_eq!(name, "display");
        }
    });
}

#[test]
fn error_whose_drop_panics_and_that_nobody_takes_fails_the_scope_above() {
    each_virtual_runtime(|runtime, ledger| {
        let name = thrown(|| {
            three_deep!(runtime, async |scope| {
                drop(scope.try_scope(async move |scope| {
                    scope.spawn(async { Err::<(), _>(Nasty { shows: true }) });
                    hold::<Result<(), Nasty>>(ledger, "body").await
                }));
            });
        });
        assert_eq!(name, "drop");
    });
}

/// The error lies in the scope's task when the panic outweighs it.
#[test]
fn error_whose_drop_panics_and_that_a_panic_outweighs_does_no_harm() {
    each_virtual_runtime(|runtime, ledger| {
        let name = thrown(|| {
            three_deep!(runtime, async |scope| {
                drop(scope.open().grace(SECOND).try_scope(async move |scope| {
                    let _item = ledger.item("body");
                    scope.spawn(async { Err::<(), _>(Nasty { shows: true }) });
                    scope.cancelled().await;
                    if true {
                        throw("the panic that counts")
                    }
                    Ok(())
                }));
            });
        });
        assert_eq!(name, "the panic that counts");
        ledger.assert_settled();
    });
}

#[test]
fn cause_of_a_failed_scope_is_its_first_error() {
    each_virtual_runtime(|runtime, _| {
        let (kind, child, message) = three_deep!(runtime, async |scope| {
            let (told, hears) = (scope.alloc(std::sync::Mutex::new(None)), ());
            let told = &*told;
            let outcome = scope.open().grace(SECOND).try_scope(async move |scope| {
                scope.spawn_named("writer", async { Err::<(), _>("no space") });
                scope.cancelled().await;
                *told.lock().unwrap() = scope.cause();
                Ok(hears)
            });
            assert!(outcome.await.is_err());
            let cause = told.lock().unwrap().take().expect("cancelled");
            (cause.kind(), cause.child(), cause.message().to_owned())
        });
        assert_eq!((kind, child.as_deref(), &*message), (CauseKind::Error, Some("writer"), "no space"));
    });
}
