//! Every cancelled task can tell why: a root cause, and where in the tree it arose.

mod common;

use std::future::pending;
use std::sync::Mutex;
use std::time::Duration;

use common::{each_virtual_runtime, throw};
use treescope::time::{now, sleep};
use treescope::{CauseKind, Scope, current};

const SECOND: Duration = Duration::from_secs(1);

/// The line it is called at.
#[track_caller]
fn line() -> u32 {
    std::panic::Location::caller().line()
}

/// Tells its story as soon as it is cancelled.
async fn told<'s>(scope: &'s Scope<'s, '_>, told: &Mutex<Vec<String>>) {
    scope.cancelled().await;
    let story = current::cancel_story().expect("it is cancelled");
    told.lock().unwrap().push(story);
}

#[test]
fn reader_tells_that_the_writer_failed_where_and_how() {
    each_virtual_runtime(|runtime, _| {
        let stories = &Mutex::new(Vec::new());
        let spawned_at = runtime.block_on(async |root| {
            let server = root.open().name("server").scope(async move |server| {
                let connection = server.open().name(format!("conn-{}", 17)).grace(SECOND);
                let connection = connection.try_scope(async move |connection| {
                    connection.spawn_named("reader", async move {
                        told(&connection, stories).await;
                        Ok(())
                    });
                    let at = line() + 1;
                    connection.spawn_named("writer", async {
                        sleep(SECOND).await;
                        Err::<(), _>("connection reset")
                    });
                    stories.lock().unwrap().push(at.to_string());
                    Ok(())
                });
                assert_eq!(connection.await.unwrap_err().into_first(), "connection reset");
            });
            server.await;
            stories.lock().unwrap().remove(0)
        });
        let file = file!();
        let expected =
            format!("server/conn-17/reader: sibling writer failed at {file}:{spawned_at}: connection reset");
        assert_eq!(*stories.lock().unwrap(), [expected]);
    });
}

#[test]
fn tasks_below_other_branches_tell_the_whole_path() {
    each_virtual_runtime(|runtime, _| {
        let stories = &Mutex::new(Vec::new());
        let at = &Mutex::new(0);
        runtime.block_on(async |root| {
            let server = root.open().name("server").grace(SECOND).try_scope(async move |server| {
                let left = server.open().name("left").scope(async move |left| {
                    left.open()
                        .name("deep")
                        .scope(async move |deep| deep.spawn_named("listener", told(deep, stories)).await)
                        .await;
                });
                server.open().name("right").scope(async move |_| {
                    *at.lock().unwrap() = line() + 1;
                    server.spawn_named("checker", async { Err::<(), _>("disk full") });
                });
                left.await;
                Ok(())
            });
            assert!(server.await.is_err());
        });
        let (file, line) = (file!(), *at.lock().unwrap());
        let expected =
            format!("server/left/deep/listener: server/checker failed at {file}:{line}: disk full");
        assert_eq!(*stories.lock().unwrap(), [expected]);
    });
}

#[test]
fn panic_that_comes_up_from_below_is_told_with_the_place_it_arose_at() {
    each_virtual_runtime(|runtime, _| {
        let (stories, at) = (&Mutex::new(Vec::new()), &Mutex::new(0));
        let payload = common::caught(|| {
            runtime.block_on(async |root| {
                let server = root.open().name("server").grace(SECOND).scope(async move |server| {
                    server.spawn_named("log", told(server, stories));
                    server.open().name("conn").scope(async move |conn| {
                        conn.open().name("inner").scope(async move |inner| {
                            *at.lock().unwrap() = line() + 1;
                            inner.spawn_named("parser", async { std::panic::panic_any("bad input") });
                        });
                    });
                });
                server.await;
            })
        });
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"bad input"));
        let (file, line) = (file!(), *at.lock().unwrap());
        let expected = format!("server/log: server/conn/inner/parser panicked at {file}:{line}: bad input");
        assert_eq!(*stories.lock().unwrap(), [expected]);
    });
}

#[test]
fn request_is_told_with_its_reason_and_the_place_of_the_call() {
    each_virtual_runtime(|runtime, _| {
        let (stories, at) = (&Mutex::new(Vec::new()), &Mutex::new(0));
        runtime.block_on(async |root| {
            let server = root.open().name("server").scope(async move |server| {
                server
                    .open()
                    .name("conn")
                    .scope(async move |conn| conn.spawn_named("reader", told(conn, stories)).await);
                treescope::yield_now().await;
                *at.lock().unwrap() = line() + 1;
                server.cancel_because(SECOND, "going down for maintenance");
            });
            server.await;
        });
        let (file, line) = (file!(), *at.lock().unwrap());
        let expected =
            format!("server/conn/reader: server was cancelled at {file}:{line}: going down for maintenance");
        assert_eq!(*stories.lock().unwrap(), [expected]);
    });
}

#[test]
fn first_cause_is_the_one_that_stays() {
    each_virtual_runtime(|runtime, _| {
        let cause = &Mutex::new(None);
        runtime.block_on(async |root| {
            let scope = root.open().name("scope").grace(SECOND).try_scope(async move |scope| {
                for message in ["first", "second", "third"] {
                    scope.spawn(async move {
                        if message != "first" {
                            scope.cancelled().await;
                        }
                        Err::<(), _>(message)
                    });
                }
                scope.cancelled().await;
                scope.cancel_because(SECOND, "fourth");
                *cause.lock().unwrap() = scope.cause();
                Ok(())
            });
            assert!(scope.await.is_err());
        });
        let cause = cause.lock().unwrap().take().unwrap();
        assert_eq!((cause.kind(), cause.message(), cause.scope_path()), (CauseKind::Error, "first", "scope"));
        assert_eq!(cause.location().file(), file!());
    });
}

#[test]
fn child_without_a_name_is_told_by_the_place_it_was_spawned_at() {
    each_virtual_runtime(|runtime, _| {
        let (stories, at) = (&Mutex::new(Vec::new()), &Mutex::new((0, 0)));
        runtime.block_on(async |root| {
            let scope = root.open().name("scope").grace(SECOND).try_scope(async move |scope| {
                let listens = line() + 1;
                scope.spawn(async move {
                    told(&scope, stories).await;
                    Ok(())
                });
                *at.lock().unwrap() = (listens, line() + 1);
                scope.spawn(async { Err::<(), _>("no") });
                Ok(())
            });
            assert!(scope.await.is_err());
        });
        let (listens, fails) = *at.lock().unwrap();
        let name = "grammar_cause.rs";
        let expected =
            format!("scope/{name}:{listens}: sibling {name}:{fails} failed at {}:{fails}: no", file!());
        assert_eq!(*stories.lock().unwrap(), [expected]);
    });
}

/// What cancels the scope above is not what fails here.
#[test]
fn failure_inside_a_shield_is_its_own_cause_although_the_scope_above_is_cancelled() {
    each_virtual_runtime(|runtime, _| {
        let seen = &Mutex::new(None);
        runtime.block_on(async |root| {
            let outer = root.open().name("outer").scope(async move |outer| {
                let critical =
                    outer.open().shield(60 * SECOND).grace(SECOND).try_scope(async move |critical| {
                        sleep(SECOND).await;
                        critical.spawn_named("flush", async { Err::<(), _>("disk full") });
                        critical.cancelled().await;
                        *seen.lock().unwrap() = critical.cause();
                        Ok(())
                    });
                treescope::yield_now().await;
                outer.cancel_because(30 * SECOND, "shutdown");
                assert!(critical.await.is_err());
            });
            outer.await;
        });
        let cause = seen.lock().unwrap().take().unwrap();
        assert_eq!((cause.kind(), cause.message()), (CauseKind::Error, "disk full"));
    });
}

#[test]
fn deadline_is_told_as_one() {
    each_virtual_runtime(|runtime, _| {
        let seen = &Mutex::new(None);
        runtime.block_on(async |root| {
            let server = root.open().name("server").scope(async move |server| {
                let timed =
                    server.open().name("handshake").deadline(now() + SECOND, async move |handshake| {
                        handshake.defer(SECOND, async { *seen.lock().unwrap() = current::cancel_story() });
                        pending::<()>().await
                    });
                assert!(timed.await.is_err());
            });
            server.await;
        });
        let story = seen.lock().unwrap().take().unwrap();
        assert!(story.starts_with("server/handshake: the scope ran out of time at "), "{story}");
    });
}

#[test]
fn nothing_is_told_where_nothing_is_cancelled() {
    each_virtual_runtime(|runtime, _| {
        runtime.block_on(async |root| {
            let scope = root.open().name("scope").scope(async |scope| {
                assert!(scope.cause().is_none());
                let child = scope.spawn_named("child", async { (current::cancel_story(), current::path()) });
                child.await
            });
            let (story, path) = scope.await;
            assert_eq!((story, path.as_deref()), (None, Some("scope/child")));
        });
        assert_eq!((current::cause().is_none(), current::path()), (true, None));
    });
}

#[test]
fn panic_without_words_is_told_too() {
    each_virtual_runtime(|runtime, _| {
        let seen = &Mutex::new(String::new());
        let name = common::thrown(|| {
            runtime.block_on(async |root| {
                let scope = root.open().name("scope").grace(SECOND).scope(async move |scope| {
                    scope.spawn_named("child", async { throw("no words") });
                    scope.cancelled().await;
                    *seen.lock().unwrap() = scope.cause().unwrap().message().to_owned();
                });
                scope.await;
            });
        });
        assert_eq!((name, &**seen.lock().unwrap()), ("no words", "a payload that is no text"));
    });
}
