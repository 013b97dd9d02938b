//! Polls that block their worker on a child which only other workers can run: discouraged, and it must work where there
//! is another worker. (With a single one, such a poll waits for itself.)

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_lite::future::block_on;
use treescope::{JoinHandle, Runtime};

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().worker_threads(workers).build().expect("threads")
}

/// Keeps the other of two workers busy until `go`.
async fn busy_until(began: &Barrier, go: &AtomicBool) {
    began.wait();
    while !go.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
}

#[test]
fn destructor_on_the_cancel_path_may_wait_for_a_cancelled_child() {
    struct WaitsInDrop<'scope>(Option<JoinHandle<'scope, ()>>);
    impl Drop for WaitsInDrop<'_> {
        fn drop(&mut self) {
            let handle = self.0.take().expect("dropped once");
            let ended = catch_unwind(AssertUnwindSafe(|| block_on(handle)));
            assert!(ended.is_err(), "a child that never ends has no value");
        }
    }
    let runtime = runtime(2);
    for _ in 0..100 {
        runtime.block_on(async |root| {
            drop(root.scope(async |scope| {
                let _waits = WaitsInDrop(Some(scope.spawn(pending::<()>())));
                treescope::yield_now().await;
                scope.abort();
                pending::<()>().await
            }));
        });
    }
}

#[test]
fn body_may_block_on_any_of_its_children_through_another_thread() {
    let runtime = runtime(2);
    for _ in 0..100 {
        let (began, go) = (Barrier::new(2), AtomicBool::new(false));
        let sum = runtime.block_on(async |root| {
            root.spawn(busy_until(&began, &go));
            let (began, go) = (&began, &go);
            root.scope(async move |scope| {
                began.wait();
                let first = scope.spawn(async { 1 });
                let second = scope.spawn(async { 2 });
                go.store(true, Ordering::Release);
                std::thread::scope(|threads| {
                    threads.spawn(move || block_on(second) + block_on(first)).join().expect("no panic")
                })
            })
            .await
        });
        assert_eq!(sum, 3);
    }
}

#[test]
fn body_may_block_on_a_child_in_a_root_of_another_runtime() {
    let (runtime, other) = (runtime(2), runtime(1));
    for _ in 0..100 {
        let (began, go) = (Barrier::new(2), AtomicBool::new(false));
        let sum = runtime.block_on(async |root| {
            root.spawn(busy_until(&began, &go));
            let (began, go, other) = (&began, &go, &other);
            root.scope(async move |scope| {
                began.wait();
                let first = scope.spawn(async { 1 });
                let second = scope.spawn(async { 2 });
                go.store(true, Ordering::Release);
                other.block_on(async |_| second.await + first.await)
            })
            .await
        });
        assert_eq!(sum, 3);
    }
}

#[test]
fn aborted_root_has_no_value_even_if_its_body_gives_one() {
    let runtime = runtime(1);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async |scope| {
            scope.abort();
            7
        })
    }));
    let message = ended.expect_err("no value");
    assert!(message.downcast_ref::<&str>().is_some_and(|text| text.contains("aborted")));
}
