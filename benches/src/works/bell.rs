//! What a foreign thread rings and a task waits for, with the time from the one to the other.

use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Bell {
    start: Instant,
    /// How often it was rung.
    rung: AtomicU64,
    /// When it was rung last, in ns since `start`.
    at: AtomicU64,
    waker: AtomicWaker,
    /// A thread that waits without a future.
    thread: Mutex<Option<thread::Thread>>,
}

impl Bell {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            rung: AtomicU64::new(0),
            at: AtomicU64::new(0),
            waker: AtomicWaker::new(),
            thread: Mutex::new(None),
        }
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn latency(&self) -> Duration {
        Duration::from_nanos(self.now().saturating_sub(self.at.load(Ordering::Relaxed)))
    }

    /// Each time it is told that somebody is about to wait, lets `idle` pass and rings; until nobody is left to tell.
    pub(super) fn ring(&self, idle: Duration, waiting: mpsc::Receiver<()>) {
        while waiting.recv().is_ok() {
            thread::sleep(idle);
            let thread = self.thread.lock().expect("no holder panics").clone();
            self.at.store(self.now(), Ordering::Relaxed);
            // Release: pairs with Acquire in `has_rung`: the time comes with the ring.
            self.rung.fetch_add(1, Ordering::Release);
            match thread {
                Some(thread) => thread.unpark(),
                None => self.waker.wake(),
            }
        }
    }

    fn has_rung(&self, times: u64) -> bool {
        // Acquire: pairs with Release in `ring`.
        self.rung.load(Ordering::Acquire) >= times
    }

    /// Waits for so many rings, one by one; how long each took to arrive.
    pub(super) async fn wait(&self, rings: u64, waiting: mpsc::Sender<()>) -> Vec<Duration> {
        let mut latencies = Vec::with_capacity(rings as usize);
        for ring in 1..=rings {
            waiting.send(()).expect("somebody rings");
            poll_fn(|cx| {
                self.waker.register(cx.waker());
                if self.has_rung(ring) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            latencies.push(self.latency());
        }
        latencies
    }

    /// The same by parking the thread.
    pub(super) fn wait_in_thread(&self, rings: u64, waiting: mpsc::Sender<()>) -> Vec<Duration> {
        *self.thread.lock().expect("no holder panics") = Some(thread::current());
        let mut latencies = Vec::with_capacity(rings as usize);
        for ring in 1..=rings {
            waiting.send(()).expect("somebody rings");
            while !self.has_rung(ring) {
                thread::park();
            }
            latencies.push(self.latency());
        }
        latencies
    }
}
