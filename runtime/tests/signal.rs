//! Signals as futures. One signal for each test, for they run side by side in one process.

// A checker has neither sockets nor signals.
#![cfg(not(any(loom, shuttle)))]

use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::low_level::raise;
use treescope::Runtime;
use treescope::signal::{self, Signal, SignalKind};
use treescope::time::timeout;

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().worker_threads(workers).build().unwrap()
}

#[test]
fn ctrl_c_before_the_first_poll_is_not_lost() {
    runtime(1).block_on(async |_| {
        let ctrl_c = signal::ctrl_c();
        raise(SIGINT).unwrap();
        ctrl_c.await.unwrap();
    });
}

#[test]
fn terminate_wakes_a_task_of_every_runtime_that_listens() {
    std::thread::scope(|threads| {
        let (ready, listening) = std::sync::mpsc::channel();
        for workers in [1, 2] {
            let ready = ready.clone();
            threads.spawn(move || {
                runtime(workers).block_on(async |scope| {
                    let terminate = signal::terminate();
                    ready.send(()).unwrap();
                    scope.spawn(terminate).await.unwrap();
                });
            });
        }
        for _ in 0..2 {
            listening.recv().unwrap();
        }
        raise(SIGTERM).unwrap();
    });
}

#[test]
fn a_stream_of_signals_counts_each() {
    runtime(2).block_on(async |_| {
        let signal = Signal::new(SignalKind::USER_DEFINED1).unwrap();
        for _ in 0..5 {
            raise(SIGUSR1).unwrap();
        }
        for _ in 0..5 {
            signal.recv().await.unwrap();
        }
        assert!(timeout(Duration::from_millis(5), signal.recv()).await.is_err());
        raise(SIGUSR1).unwrap();
        signal.recv().await.unwrap();
    });
}

#[test]
fn a_new_listener_hears_nothing_of_the_past() {
    runtime(1).block_on(async |_| {
        let old = Signal::new(SignalKind::HANGUP).unwrap();
        raise(SIGHUP).unwrap();
        let new = Signal::new(SignalKind::HANGUP).unwrap();
        old.recv().await.unwrap();
        assert!(timeout(Duration::from_millis(5), new.recv()).await.is_err());
    });
}
