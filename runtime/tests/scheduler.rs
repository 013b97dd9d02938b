//! What the scheduler promises: the fairness bounds in the table of `sched/worker.rs`, parallelism, depth-first order, and
//! that an idle or finished thing costs nothing.
//!
//! Fairness is measured in picks, not in time, wherever it is promised in picks: a *storm* counts its polls, and whoever
//! waits looks at the count before and after. How fast the machine is does not matter.
//!
//! Processor time and memory are the process's, so these tests run in a process of their own ([`alone`]).

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use treescope::net::{TcpListener, TcpStream};
use treescope::time::{sleep, sleep_until};
use treescope::{Runtime, Scope, yield_now};

/// `SPAWNED_RUN` of `sched/worker.rs`.
const SPAWNED_RUN: u64 = 16;
/// `FOREIGN_EVERY` of `sched/worker.rs`.
const FOREIGN_EVERY: u64 = 61;
/// `OLDEST_WAIT` of `sched/worker.rs`, in milliseconds.
const OLDEST_WAIT_MS: u64 = 100;
/// `Budget::FULL` of `sched/budget.rs`.
const BUDGET: u64 = 128;
/// What takes that long never comes.
const NEVER: Duration = Duration::from_secs(30);

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().worker_threads(workers).build().expect("threads")
}

/// Waits, without giving up the thread to the runtime, and says whether it came.
fn comes(condition: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while !condition() {
        if began.elapsed() > NEVER {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// Work without end: a child that spawns the next child, so that there always is a newest one.
#[derive(Default)]
struct Storm {
    polls: AtomicU64,
    over: AtomicBool,
}

impl Storm {
    fn spawn<'s>(&'s self, scope: &'s Scope<'s, '_>) {
        drop(scope.spawn(self.blow(scope)));
    }

    fn blow<'s>(&'s self, scope: &'s Scope<'s, '_>) -> Pin<Box<dyn Future<Output = ()> + Send + 's>> {
        Box::pin(async move {
            self.polls.fetch_add(1, SeqCst);
            if !self.over.load(SeqCst) {
                drop(scope.spawn(self.blow(scope)));
            }
        })
    }

    fn polls(&self) -> u64 {
        self.polls.load(SeqCst)
    }
}

/// Ends the storm when dropped: a failed assertion must not leave it blowing.
struct Calm<'a>(&'a Storm);

impl Drop for Calm<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, SeqCst);
    }
}

#[test]
fn spawn_storm_does_not_starve_a_woken_task() {
    let storm = Storm::default();
    let (mut longest, mut total) = (0, 0);
    runtime(1).block_on(async |root| {
        root.spawn(async {
            let _calm = Calm(&storm);
            storm.spawn(root);
            for _ in 0..10_000 {
                let before = storm.polls();
                yield_now().await;
                let waited = storm.polls() - before;
                longest = longest.max(waited);
                total += waited;
            }
        });
    });
    assert!(longest <= SPAWNED_RUN, "the woken task waited for {longest} children");
    assert!(total >= 10_000, "there was no storm to wait for");
}

#[test]
fn own_tasks_do_not_starve_the_remote_queue() {
    let storm = Storm::default();
    let mut longest = 0;
    runtime(1).block_on(async |root| {
        root.scope(async |scope| {
            let _calm = Calm(&storm);
            storm.spawn(root);
            for _ in 0..200 {
                // The worker is blocked here, so that the count stands still until the push is done.
                let remote = std::thread::scope(|threads| {
                    threads.spawn(|| scope.spawn(async { storm.polls() })).join().expect("no panic")
                });
                let before = storm.polls();
                longest = longest.max(remote.await - before);
            }
        })
        .await;
    });
    assert!(longest <= FOREIGN_EVERY, "the remote task waited for {longest} picks");
}

#[test]
fn own_tasks_do_not_starve_timers() {
    let storm = Storm::default();
    let mut longest = 0;
    runtime(1).block_on(async |root| {
        root.scope(async |scope| {
            let _calm = Calm(&storm);
            storm.spawn(root);
            for _ in 0..20 {
                let deadline = Instant::now() + Duration::from_millis(2);
                let armed: &AtomicBool = scope.alloc(AtomicBool::new(false));
                let storm = &storm;
                let sleeper = scope.spawn(async move {
                    let mut sleep = std::pin::pin!(sleep_until(deadline));
                    std::future::poll_fn(|cx| {
                        let polled = sleep.as_mut().poll(cx);
                        armed.store(true, SeqCst);
                        polled
                    })
                    .await;
                    storm.polls()
                });
                while !armed.load(SeqCst) {
                    yield_now().await;
                }
                // The deadline passes inside this poll; the timer may be rounded up to the next millisecond or two.
                assert!(comes(|| Instant::now() > deadline + Duration::from_millis(5)));
                let before = storm.polls();
                longest = longest.max(sleeper.await.saturating_sub(before));
            }
        })
        .await;
    });
    let bound = FOREIGN_EVERY + SPAWNED_RUN;
    assert!(longest <= bound, "the sleeper waited for {longest} picks");
}

#[test]
fn own_tasks_do_not_starve_io() {
    let storm = Storm::default();
    let mut longest = 0;
    runtime(1).block_on(async |root| {
        root.scope(async |scope| {
            let _calm = Calm(&storm);
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("bound");
            let mut writer = std::net::TcpStream::connect(address).expect("connected");
            writer.set_nodelay(true).expect("a socket");
            let (accepted, _) = listener.accept().await.expect("connected");
            // Another handle on the same socket, non-blocking as that is.
            let accepted = accepted.into_std().expect("a socket");
            let probe = accepted.try_clone().expect("a descriptor");
            let stream: &TcpStream = scope.alloc(TcpStream::from_std(accepted).expect("a socket"));
            storm.spawn(root);
            for _ in 0..200 {
                let waiting: &AtomicBool = scope.alloc(AtomicBool::new(false));
                let storm = &storm;
                let reader = scope.spawn(async move {
                    let mut byte = [0];
                    let mut read = std::pin::pin!(stream.read(&mut byte));
                    let n = std::future::poll_fn(|cx| {
                        let polled = read.as_mut().poll(cx);
                        waiting.store(true, SeqCst);
                        polled
                    });
                    assert_eq!(n.await.expect("a socket"), 1);
                    storm.polls()
                });
                while !waiting.load(SeqCst) {
                    yield_now().await;
                }
                // Readable before this poll ends.
                writer.write_all(b"x").expect("a socket");
                assert!(comes(|| probe.peek(&mut [0]).is_ok()), "loopback delivers");
                let before = storm.polls();
                longest = longest.max(reader.await.saturating_sub(before));
            }
        })
        .await;
    });
    let bound = FOREIGN_EVERY + SPAWNED_RUN;
    assert!(longest <= bound, "the reader waited for {longest} picks");
}

#[test]
fn always_ready_task_yields_through_its_budget() {
    let operations = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let mut longest = 0;
    runtime(1).block_on(async |root| {
        root.spawn(async {
            while !over.load(SeqCst) {
                sleep(Duration::ZERO).await;
                operations.fetch_add(1, SeqCst);
            }
        });
        root.spawn(async {
            for _ in 0..1000 {
                let before = operations.load(SeqCst);
                yield_now().await;
                longest = longest.max(operations.load(SeqCst) - before);
            }
            over.store(true, SeqCst);
        });
    });
    assert!(longest <= BUDGET, "{longest} operations in one poll");
    assert!(operations.load(SeqCst) > 1000, "the task was not always ready");
}

#[test]
fn old_child_runs_although_newer_ones_keep_coming() {
    let storm = Storm::default();
    let began = Instant::now();
    let mut waited = None;
    let newer = runtime(1).block_on(async |root| {
        root.scope(async |scope| {
            let old = scope.spawn(async {
                storm.over.store(true, SeqCst);
                waited = Some(began.elapsed());
                storm.polls()
            });
            // Newer than `old`, and so is all that comes of it.
            storm.spawn(root);
            scope.spawn(async {
                while !storm.over.load(SeqCst) && began.elapsed() < NEVER {
                    yield_now().await;
                }
                storm.over.store(true, SeqCst);
            });
            old.await
        })
        .await
    });
    assert!(newer > 0, "the oldest child ran first, so it shows nothing");
    assert!(waited.is_some_and(|waited| waited < NEVER), "the old child ran only when the storm was over");
}

#[test]
fn two_children_run_at_the_same_time_on_two_workers() {
    let arrived = AtomicUsize::new(0);
    let meet = async || {
        arrived.fetch_add(1, SeqCst);
        comes(|| arrived.load(SeqCst) == 2)
    };
    let met = runtime(2).block_on(async |root| {
        let (one, two) = (root.spawn(meet()), root.spawn(meet()));
        (one.await, two.await)
    });
    assert_eq!(met, (true, true), "neither child may have to wait for the other's end");
}

#[test]
fn child_of_a_task_that_computes_for_long_is_run_by_another_worker() {
    let runtime = runtime(2);
    for _ in 0..200 {
        let ran = AtomicBool::new(false);
        let seen = runtime.block_on(async |root| {
            let ran = &ran;
            root.scope(async move |scope| {
                drop(scope.spawn(async { ran.store(true, SeqCst) }));
                comes(|| ran.load(SeqCst))
            })
            .await
        });
        assert!(seen, "the child waited for its parent's next await");
    }
}

#[test]
fn many_threads_may_spawn_in_one_scope_at_once() {
    for workers in [1, 2, 8] {
        let ran = AtomicU64::new(0);
        runtime(workers).block_on(async |root| {
            std::thread::scope(|threads| {
                for _ in 0..8 {
                    threads.spawn(|| {
                        for _ in 0..2000 {
                            drop(root.spawn(async { ran.fetch_add(1, SeqCst) }));
                        }
                    });
                }
            });
        });
        assert_eq!(ran.load(SeqCst), 16_000);
    }
}

/// How many nodes are alive, and how many were at most.
#[derive(Default)]
struct Census {
    now: AtomicU64,
    peak: AtomicU64,
    leaves: AtomicU64,
}

impl Census {
    fn enter(&self) -> Counted<'_> {
        self.peak.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        Counted(self)
    }
}

struct Counted<'a>(&'a Census);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, SeqCst);
    }
}

const FAN_OUT: u64 = 10;

fn tree<'s>(
    scope: &'s Scope<'s, '_>,
    census: &'s Census,
    depth: u64,
) -> Pin<Box<dyn Future<Output = ()> + Send + 's>> {
    Box::pin(async move {
        if depth == 0 {
            census.leaves.fetch_add(1, SeqCst);
            return;
        }
        for _ in 0..FAN_OUT {
            let counted = census.enter();
            drop(scope.scope(async move |inner| {
                let _counted = counted;
                tree(inner, census, depth - 1).await;
            }));
        }
    })
}

#[test]
fn live_tasks_stay_within_workers_times_depth_times_fan_out() {
    let depth = 5;
    for workers in [1, 2, 8] {
        let census = Census::default();
        let began = Instant::now();
        runtime(workers).block_on(async |root| {
            let census = &census;
            root.scope(async move |scope| tree(scope, census, depth).await).await;
        });
        assert_eq!(census.leaves.load(SeqCst), FAN_OUT.pow(depth as u32));
        // Every `OLDEST_WAIT` a worker may begin a path anew at its oldest child, which the run, if it lasts, adds.
        let fresh_starts = began.elapsed().as_millis() as u64 / OLDEST_WAIT_MS;
        let bound = workers as u64 * (1 + fresh_starts) * depth * FAN_OUT;
        let peak = census.peak.load(SeqCst);
        println!("{workers} workers: at most {peak} of {bound} alive");
        assert!(peak <= bound, "{peak} tasks were alive at a time, more than {bound}");
    }
}

/// Runs `test`, the body of the test `name`, in a process of its own.
#[cfg(target_os = "linux")]
fn alone(name: &str, test: impl FnOnce()) {
    const ALONE: &str = "TREESCOPE_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    let program = std::env::current_exe().expect("this program");
    let run =
        std::process::Command::new(program).args([name, "--exact", "--nocapture"]).env(ALONE, "1").output();
    let run = run.expect("this program runs");
    let text = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && text.contains("1 passed"), "{name}, alone:\n{text}");
}

/// The processor time of all threads of this process.
#[cfg(target_os = "linux")]
fn processor_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").expect("procfs");
    let nanoseconds = threads.map(|thread| {
        // A thread may end meanwhile.
        let text = thread.and_then(|thread| std::fs::read_to_string(thread.path().join("schedstat")));
        text.ok().and_then(|text| text.split(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
    });
    Duration::from_nanos(nanoseconds.sum())
}

#[cfg(target_os = "linux")]
#[test]
fn idle_runtime_with_1000_parked_tasks_uses_no_processor_time() {
    alone("idle_runtime_with_1000_parked_tasks_uses_no_processor_time", || {
        let parked = AtomicUsize::new(0);
        let mut used = None;
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime(4).block_on(async |root| {
                let parked = &parked;
                for n in 0..1000 {
                    drop(root.spawn(async move {
                        parked.fetch_add(1, SeqCst);
                        if n % 2 == 0 { pending().await } else { sleep(Duration::from_secs(3600)).await }
                    }));
                }
                assert!(comes(|| parked.load(SeqCst) == 1000));
                let before = processor_time();
                std::thread::sleep(Duration::from_secs(1));
                used = Some(processor_time() - before);
                root.abort();
            });
        }));
        assert!(ended.is_err(), "an aborted root has no value");
        let used = used.expect("measured");
        println!("{used:?} of processor time in a second");
        assert!(used < Duration::from_millis(20), "an idle runtime used {used:?} in a second");
    });
}

/// The process's resident memory, in KiB: `VmRSS` now, `VmHWM` at most.
#[cfg(target_os = "linux")]
fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find(|line| line.starts_with(what)).expect("a line of procfs");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of KiB")
}

/// A million children at 100 bytes or more would take 100 MiB.
#[cfg(target_os = "linux")]
const MOST_GROWTH: u64 = 32 * 1024;

#[cfg(target_os = "linux")]
#[test]
fn million_children_with_dropped_handles_leave_no_memory_behind() {
    alone("million_children_with_dropped_handles_leave_no_memory_behind", || {
        let before = memory("VmRSS");
        runtime(2).block_on(async |root| {
            root.scope(async |scope| {
                for n in 0..1_000_000 {
                    drop(scope.spawn(async { 1_u64 }));
                    if n % 100 == 0 {
                        while scope.live_children() > 1000 {
                            yield_now().await;
                        }
                    }
                }
            })
            .await;
        });
        let growth = memory("VmHWM") - before;
        assert!(growth < MOST_GROWTH, "a million finished children left {growth} KiB");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn million_children_awaited_in_a_window_leave_no_memory_behind() {
    alone("million_children_awaited_in_a_window_leave_no_memory_behind", || {
        let before = memory("VmRSS");
        let sum = runtime(2).block_on(async |root| {
            root.scope(async |scope| {
                let (mut window, mut sum) = (VecDeque::new(), 0);
                for _ in 0..1_000_000 {
                    window.push_back(scope.spawn(async { 1_u64 }));
                    if window.len() > 1000
                        && let Some(oldest) = window.pop_front()
                    {
                        sum += oldest.await;
                    }
                }
                for rest in window {
                    sum += rest.await;
                }
                sum
            })
            .await
        });
        assert_eq!(sum, 1_000_000);
        let growth = memory("VmHWM") - before;
        assert!(growth < MOST_GROWTH, "a million finished children left {growth} KiB");
    });
}
