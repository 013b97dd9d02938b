//! What ends the process, on purpose or because std or async-task can do no better: the honest rest of `harmless_panics.rs`.
//! Each case runs in a process of its own: this same test binary, started again.

mod common;

use common::{Gate, OnDrop, runtime, throw, watched};
use std::future::pending;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::{Command, Output};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use treescope::{local, yield_now};

/// Set in the process that runs the case itself.
const INSIDE: &str = "TREESCOPE_INSIDE_ABORT_TEST";

/// Runs the test `name` again in another process, where it runs `case`. `None` in that process, if it survives.
fn in_another_process(name: &str, case: impl FnOnce()) -> Option<Output> {
    if std::env::var_os(INSIDE).is_some() {
        watched(case);
        return None;
    }
    let me = std::env::current_exe().expect("the path of this test");
    let mut again = Command::new(me);
    again.args(["--exact", name, "--nocapture"]).env(INSIDE, "1").env("RUST_BACKTRACE", "0");
    Some(again.output().expect("the process runs"))
}

const SIGABRT: i32 = 6;

#[track_caller]
fn assert_aborted(output: Option<Output>) {
    let Some(output) = output else { panic!("the case was survived") };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.signal(), Some(SIGABRT), "{text}");
    assert!(!text.contains("hung for"), "{text}");
}

/// A waker that panics when it is called, or when it is dropped.
struct Panics {
    in_drop: bool,
}

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        if !self.in_drop {
            throw("waker");
        }
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        if self.in_drop {
            throw("waker's drop");
        }
    }
}

/// It is called between the end of the child and the word of it to the scope, which no panic may keep from being given.
#[test]
fn a_users_waker_that_panics_when_a_child_ends_aborts() {
    assert_aborted(in_another_process("a_users_waker_that_panics_when_a_child_ends_aborts", || {
        runtime(1).block_on(async |scope| {
            let gate = &*scope.alloc(Gate::new());
            let mut child = scope.spawn(gate.pass());
            let waker = Waker::from(Arc::new(Panics { in_drop: false }));
            assert!(pin!(&mut child).poll(&mut Context::from_waker(&waker)).is_pending());
            gate.open();
            pending::<()>().await;
        });
    }));
}

/// A local child's task is async-task's, which drops the awaiter under a guard that aborts. (With any other child's the panic is that of
/// whoever polls or drops the handle: `harmless_panics.rs`.)
#[test]
fn a_users_waker_that_panics_in_its_drop_on_a_local_childs_handle_aborts() {
    assert_aborted(in_another_process(
        "a_users_waker_that_panics_in_its_drop_on_a_local_childs_handle_aborts",
        || {
            local::block_on(async |scope| {
                let mut child = scope.spawn(yield_now());
                let waker = Waker::from(Arc::new(Panics { in_drop: true }));
                assert!(pin!(&mut child).poll(&mut Context::from_waker(&waker)).is_pending());
                drop(waker);
                // The task's own waker takes the place of the other, or the child has ended and called that.
                child.await;
            });
        },
    ));
}

/// That is Rust's own rule: a destructor that panics while another's panic unwinds.
#[test]
fn two_panicking_drops_in_one_future_abort() {
    assert_aborted(in_another_process("two_panicking_drops_in_one_future_abort", || {
        runtime(1).block_on(async |scope| {
            let bombs = (OnDrop::new(|| throw("first")), OnDrop::new(|| throw("second")));
            scope.spawn(async move {
                yield_now().await;
                drop(bombs);
            });
        });
    }));
}

#[test]
fn process_exit_in_a_child_ends_the_process_at_once_and_frees_nothing() {
    let name = "process_exit_in_a_child_ends_the_process_at_once_and_frees_nothing";
    let output = in_another_process(name, || {
        let frame = vec![1_u8; 1 << 20];
        runtime(2).block_on(async |scope| {
            scope.alloc(OnDrop::new(|| eprintln!("a value was dropped")));
            for _ in 0..4 {
                scope.spawn(async {
                    loop {
                        assert!(frame.iter().all(|&byte| byte == 1));
                        yield_now().await;
                    }
                });
            }
            scope.scope(async |inner| {
                inner.spawn(async {
                    (0..100).for_each(|_| std::thread::yield_now());
                    std::process::exit(7)
                });
            });
        });
    });
    let output = output.expect("the process ended");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7), "{text}");
    assert!(!text.contains("dropped") && !text.contains("panicked"), "{text}");
}
