//! Scoped values: inherited or local, shadowed by inner scopes.

mod common;

use std::sync::Mutex;
use std::time::Duration;

use common::{OnDrop, each_virtual_runtime, three_deep};
use treescope::time::sleep;
use treescope::{Scope, ScopedKey};

static TENANT: ScopedKey<&str> = ScopedKey::inherited();
static ATTEMPT: ScopedKey<u32> = ScopedKey::local();
static OTHER: ScopedKey<&str> = ScopedKey::inherited();

#[test]
fn inherited_value_is_seen_by_all_below() {
    each_virtual_runtime(|runtime, _| {
        three_deep!(runtime, async |scope| {
            assert_eq!(TENANT.get(), None);
            scope
                .open()
                .with(&TENANT, "ash")
                .scope(async |scope| {
                    assert_eq!(TENANT.get(), Some("ash"));
                    assert_eq!(OTHER.get(), None);
                    assert_eq!(scope.spawn(async { TENANT.get() }).await, Some("ash"));
                    let deep = scope.scope(async |scope| {
                        let deep = scope.scope(async |scope| scope.spawn(async { TENANT.get() }).await);
                        (TENANT.get(), deep.await)
                    });
                    assert_eq!(deep.await, (Some("ash"), Some("ash")));
                })
                .await;
            assert_eq!(TENANT.get(), None);
        });
        assert_eq!(TENANT.get(), None);
    });
}

#[test]
fn local_value_is_seen_in_its_scope_and_not_below() {
    each_virtual_runtime(|runtime, _| {
        three_deep!(runtime, async |scope| {
            scope
                .open()
                .with(&ATTEMPT, 1)
                .scope(async |scope| {
                    assert_eq!(ATTEMPT.get(), Some(1));
                    assert_eq!(scope.spawn(async { ATTEMPT.get() }).await, Some(1));
                    assert_eq!(scope.scope(async |_| ATTEMPT.get()).await, None);
                    let again = scope.open().with(&ATTEMPT, 2).scope(async |_| ATTEMPT.get());
                    assert_eq!(again.await, Some(2));
                    assert_eq!(ATTEMPT.get(), Some(1));
                })
                .await;
        });
    });
}

#[test]
fn inner_scope_shadows_and_siblings_do_not_see_it() {
    each_virtual_runtime(|runtime, _| {
        three_deep!(runtime, async |scope| {
            scope
                .open()
                .with(&TENANT, "outer")
                .with(&OTHER, "other")
                .scope(async |scope| {
                    let inner = scope.open().with(&TENANT, "inner").scope(async |scope| {
                        sleep(Duration::from_secs(1)).await;
                        let deep = scope.scope(async |_| (TENANT.get(), OTHER.get()));
                        deep.await
                    });
                    let sibling = scope.scope(async |_| {
                        sleep(Duration::from_secs(2)).await;
                        TENANT.get()
                    });
                    assert_eq!(inner.await, (Some("inner"), Some("other")));
                    assert_eq!(sibling.await, Some("outer"));
                })
                .await;
        });
    });
}

#[test]
fn last_of_two_values_for_one_key_counts() {
    each_virtual_runtime(|runtime, _| {
        let seen = three_deep!(runtime, async |scope| {
            let seen =
                scope.open().with(&TENANT, "first").with(&TENANT, "second").scope(async |_| TENANT.get());
            seen.await
        });
        assert_eq!(seen, Some("second"));
    });
}

#[test]
fn child_sees_the_values_of_the_scope_it_was_spawned_in_and_not_of_who_spawned_it() {
    each_virtual_runtime(|runtime, _| {
        three_deep!(runtime, async |scope| {
            scope
                .open()
                .with(&TENANT, "outer")
                .scope(async |outer| {
                    let handle = outer
                        .open()
                        .with(&TENANT, "inner")
                        .scope(async move |_| outer.spawn(async { TENANT.get() }).await);
                    assert_eq!(handle.await, Some("outer"));
                })
                .await;
        });
    });
}

#[test]
fn all_kinds_of_scope_carry_values() {
    each_virtual_runtime(|runtime, _| {
        three_deep!(runtime, async |scope| {
            let open = || scope.open().with(&TENANT, "ash");
            let fallible =
                open().try_scope(async |scope| Ok::<_, &str>(scope.spawn(async { Ok(TENANT.get()) }).await));
            assert_eq!(fallible.await, Ok(Some("ash")));
            let supervised = open().supervise(async |scope| {
                let child = scope.spawn(async { TENANT.get() }).await.unwrap();
                (child, scope.scope(async |_| TENANT.get()).await.unwrap())
            });
            assert_eq!(supervised.await, (Some("ash"), Some("ash")));
            let bounded = open().bounded(1, async |scope| scope.spawn(async { TENANT.get() }).await.await);
            assert_eq!(bounded.await, Some("ash"));
            let later = treescope::time::now() + Duration::from_secs(1);
            assert_eq!(open().deadline(later, async |_| TENANT.get()).await, Ok(Some("ash")));
            let raced = open().scope(async |scope| scope.race([async { TENANT.get() }]).await);
            assert_eq!(raced.await, Some("ash"));
        });
    });
}

#[test]
fn call_on_the_blocking_pool_sees_the_values_of_its_scope() {
    each_virtual_runtime(|runtime, _| {
        let seen = three_deep!(runtime, async |scope| {
            let seen = scope
                .open()
                .with(&TENANT, "ash")
                .with(&ATTEMPT, 3)
                .scope(async |scope| scope.spawn_blocking(|| (TENANT.get(), ATTEMPT.get())).await);
            seen.await
        });
        assert_eq!(seen, (Some("ash"), Some(3)));
    });
}

#[test]
fn destructors_of_a_body_and_its_children_see_the_values_of_their_scope() {
    each_virtual_runtime(|runtime, _| {
        for aborted in [false, true] {
            let seen = &Mutex::new(Vec::new());
            three_deep!(runtime, async |scope| {
                scope.open().with(&TENANT, "ash").with(&ATTEMPT, 3).scope(async move |scope| {
                    let note =
                        move || OnDrop::new(move || seen.lock().unwrap().push((TENANT.get(), ATTEMPT.get())));
                    let noted = note();
                    scope.spawn(async move {
                        let _noted = noted;
                        treescope::yield_now().await;
                        if aborted {
                            std::future::pending::<()>().await;
                        }
                    });
                    let _note = note();
                    if aborted {
                        scope.abort();
                        std::future::pending::<()>().await;
                    }
                });
            });
            assert_eq!(*seen.lock().unwrap(), [(Some("ash"), Some(3)); 2], "aborted: {aborted}");
        }
    });
}

#[test]
fn value_is_dropped_with_its_scope() {
    /// Counts its drop.
    struct Counts;
    static DROPS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    static COUNTS: ScopedKey<Counts> = ScopedKey::inherited();
    impl Drop for Counts {
        fn drop(&mut self) {
            DROPS.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let drops = || DROPS.load(std::sync::atomic::Ordering::SeqCst);
    each_virtual_runtime(|runtime, _| {
        let before = drops();
        three_deep!(runtime, async |scope| {
            scope
                .open()
                .with(&COUNTS, Counts)
                .scope(async move |_| {
                    assert!(COUNTS.with(|value| value.is_some()));
                    assert_eq!(drops(), before);
                })
                .await;
        });
        assert_eq!(drops(), before + 1);
    });
}

#[test]
fn value_whose_drop_panics_fails_the_scope_above() {
    struct Bomb;
    static BOMB: ScopedKey<Bomb> = ScopedKey::inherited();
    impl Drop for Bomb {
        fn drop(&mut self) {
            common::throw("scoped value");
        }
    }
    each_virtual_runtime(|runtime, _| {
        let name = common::thrown(|| {
            three_deep!(runtime, async |scope| {
                drop(scope.open().with(&BOMB, Bomb).scope(async |_| ()));
            });
        });
        assert_eq!(name, "scoped value");
    });
}

fn look_up_below<'s>(
    scope: &'s Scope<'s, '_>,
    levels: u32,
) -> std::pin::Pin<Box<dyn Future<Output = Option<&'static str>> + Send + 's>> {
    Box::pin(async move {
        match levels {
            0 => TENANT.get(),
            _ => scope.scope(async move |inner| look_up_below(inner, levels - 1).await).await,
        }
    })
}

#[test]
fn look_up_from_a_hundred_thousand_levels_below() {
    let found = common::runtime(2).block_on(async |root| {
        let found = root.open().with(&TENANT, "top").scope(async |scope| look_up_below(scope, 100_000).await);
        found.await
    });
    assert_eq!(found, Some("top"));
}
