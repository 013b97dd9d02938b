//! Random trees of scopes, spawns, awaits, forgets, panics, aborts, drops, yields and blocking calls, with an oracle.
//!
//! What a tree does follows from its seed, whatever the schedule. `TREESCOPE_SEED` sets the first seed (a failure prints the
//! one to use), `TREESCOPE_NODES` the number of nodes in all, by default a million.

#[path = "../common/mod.rs"]
mod common;
mod oracle;
mod tree;

use common::{Thrown, runtime};
use oracle::{Root, violated};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::task::Waker;
use std::thread;
use treescope::Runtime;

/// How many nodes the tree of this seed has: mostly some hundreds, at times one or many thousands.
fn size(seed: u64) -> u64 {
    match seed % 16 {
        0 => 1,
        1 => 10,
        2 => 5_000,
        _ => 500,
    }
}

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")),
        Err(_) => default,
    }
}

/// Steele, Lea and Flood's SplitMix64 (2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Runs one tree, and compares how it ended with what the oracle saw. Gives the number of nodes that it came to have.
fn run_tree(rt: &Runtime, seed: u64) -> i64 {
    let root = Root::new(seed);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        rt.block_on(async |scope| tree::body(scope, tree::Plan::of_root(&root, size(seed))).await)
    }));
    let threw = root.threw.load(Ordering::SeqCst);
    match ended {
        Ok(_) if threw => violated(seed, "a panic did not arrive at the root"),
        Ok(_) => {}
        Err(payload) if payload.is::<Thrown>() && threw => {}
        Err(_) => violated(seed, "the root panicked, and nobody had thrown that"),
    }
    root.assert_over();
    root.nodes.load(Ordering::SeqCst)
}

/// Fires whatever wakers the trees leave behind, from a foreign thread, at once, twice, and long after.
fn fire_wakers(stop: &AtomicBool) {
    let mut late: Vec<Waker> = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let wakers = oracle::take_wakers();
        if wakers.is_empty() {
            thread::yield_now();
        }
        for waker in wakers {
            waker.wake_by_ref();
            late.push(waker);
        }
        if late.len() > 500 {
            late.drain(..).for_each(Waker::wake);
        }
    }
    late.into_iter().chain(oracle::take_wakers()).for_each(Waker::wake);
}

#[test]
fn random_trees_keep_the_rules() {
    let nodes = setting("TREESCOPE_NODES", 1_000_000);
    let first = setting("TREESCOPE_SEED", 1);
    let stop = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| fire_wakers(&stop));
        for workers in [1, 2, 8] {
            let rt = &runtime(workers);
            let (next, left) = (&AtomicU64::new(first), &AtomicI64::new((nodes / 3).cast_signed()));
            // Two roots at a time share the runtime.
            thread::scope(|roots| {
                for _ in 0..2 {
                    roots.spawn(|| {
                        while left.load(Ordering::Relaxed) > 0 {
                            let seed = next.fetch_add(1, Ordering::Relaxed);
                            let nodes = oracle::watched(seed, || run_tree(rt, seed));
                            left.fetch_sub(nodes, Ordering::Relaxed);
                        }
                    });
                }
            });
        }
        stop.store(true, Ordering::SeqCst);
    });
    oracle::assert_all_sorts_happened(nodes);
}
