//! A child that has ended leaves nothing behind, whether or not its handle was kept for a while.
//!
//! A process of its own with a single test: what is measured is the process's memory, and other tests take some.
#![cfg(target_os = "linux")]

mod common;

use std::collections::VecDeque;

use common::runtime;
use treescope::{JoinHandle, yield_now};

/// What the runtime may hold for its queues, in bytes.
const ALLOWANCE: usize = 4 << 20;

#[test]
fn children_pass_through_a_scope_in_constant_memory() {
    ten_million_children_pass_through_a_scope_in_constant_memory();
    children_of_a_plain_scope_leave_nothing_behind();
    large_futures_are_freed_though_their_handles_are_kept();
}

/// 2,000 handles of children that had 64 KiB of state each: 128 MB if that stayed with the handle. What stays is the cell,
/// of less than 2 KiB: larger futures lie in a box of their own, which goes with them.
fn large_futures_are_freed_though_their_handles_are_kept() {
    let grown = runtime(2).block_on(async |root| {
        let grown = root.scope(async move |scope| {
            let before = resident();
            let mut kept = Vec::new();
            for n in 0..2_000_usize {
                let child = scope.spawn(async move {
                    let mut state = [n; 8 << 10];
                    yield_now().await;
                    state[n] += 1;
                    yield_now().await;
                    state[n] + state[0]
                });
                while !child.is_finished() {
                    yield_now().await;
                }
                kept.push(child);
            }
            let grown = resident().saturating_sub(before);
            for (n, child) in kept.into_iter().enumerate() {
                assert_eq!(child.await, 2 * n + if n == 0 { 2 } else { 1 });
            }
            grown
        });
        grown.await
    });
    assert!(grown < ALLOWANCE, "{grown} bytes more with 2,000 handles kept");
}

/// The process's resident memory, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).expect("a line for it");
    line.split_whitespace().nth(1).expect("a number").parse::<usize>().expect("a number") * 1024
}

/// Were 64 bytes of each child kept, the debug run would hold 6 MB more and the release run 640 MB.
fn ten_million_children_pass_through_a_scope_in_constant_memory() {
    let children: usize = if cfg!(debug_assertions) { 100_000 } else { 10_000_000 };
    for window in [0, 64] {
        let runtime = runtime(2);
        let grown = runtime.block_on(async |root| {
            let grown = root.bounded(64, async move |scope| {
                let mut kept: VecDeque<JoinHandle<'_, usize>> = VecDeque::new();
                let mut before = 0;
                for n in 0..children {
                    if n == children / 10 {
                        before = resident();
                    }
                    kept.push_back(scope.spawn(async move { n }).await);
                    if kept.len() > window
                        && let Some(oldest) = kept.pop_front()
                        && window > 0
                    {
                        assert_eq!(oldest.await, n - window);
                    }
                }
                resident().saturating_sub(before)
            });
            grown.await
        });
        assert!(grown < ALLOWANCE, "{grown} bytes more after {children} children, {window} handles kept");
    }
}

/// As above, without places: the scope itself keeps nothing of a child that has ended.
fn children_of_a_plain_scope_leave_nothing_behind() {
    let children: usize = if cfg!(debug_assertions) { 100_000 } else { 10_000_000 };
    let runtime = runtime(2);
    let grown = runtime.block_on(async |root| {
        let grown = root.scope(async move |scope| {
            let mut before = 0;
            for n in 0..children / 100 {
                if n == children / 1000 {
                    before = resident();
                }
                for _ in 0..99 {
                    drop(scope.spawn(treescope::yield_now()));
                }
                scope.spawn(async {}).await;
                while scope.live_children() > 1000 {
                    treescope::yield_now().await;
                }
            }
            resident().saturating_sub(before)
        });
        grown.await
    });
    assert!(grown < ALLOWANCE, "{grown} bytes more after {children} children");
}
