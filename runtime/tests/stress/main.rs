//! Seeded random trees of scopes, spawns, awaits, panics, aborts, drops and leaks, against an oracle for the rules:
//!
//! 1. every task has a parent: as many nodes are dropped as were spawned, before the root returns;
//! 2. a node completes only after all its descendants, their outputs included, and each destructor runs once;
//! 3. panics arrive at the root, and "returned" means done;
//! 4. dropping or forgetting a handle neither detaches nor cancels.
//!
//! - `TREESCOPE_NODES`: nodes per test. Default: 1,000,000 optimised, 30,000 in a debug build.
//! - `TREESCOPE_SEED`: the seed, hexadecimal or decimal. Default: from the clock. A failure prints the seed of its tree
//!   and the line that repeats it.
//! - `TREESCOPE_PATIENCE`: a tree that takes as many seconds ends the process. Default: 60.
//!
//! [`oracle`] keeps the books, [`plan`] grows the trees.

mod oracle;
mod plan;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use oracle::{Boom, Ledger, Token, World};
use plan::{Doom, Mode, Plan, Rng, grow};
use treescope::Runtime;

/// Nodes of the largest trees. Most are far smaller.
const LARGEST_TREE: u64 = 20_000;

/// How long one tree may take.
fn patience() -> Duration {
    let seconds = std::env::var("TREESCOPE_PATIENCE").map_or(60, |text| text.parse().expect("seconds"));
    Duration::from_secs(seconds)
}

fn nodes_per_test() -> u64 {
    match std::env::var("TREESCOPE_NODES") {
        Ok(text) => text.parse().expect("TREESCOPE_NODES is a number"),
        Err(_) if cfg!(debug_assertions) => 30_000,
        Err(_) => 1_000_000,
    }
}

fn first_seed() -> u64 {
    match std::env::var("TREESCOPE_SEED") {
        Ok(text) => match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).expect("TREESCOPE_SEED is a number"),
            None => text.parse().expect("TREESCOPE_SEED is a number"),
        },
        Err(_) => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.expect("a clock after 1970").as_nanos() as u64
        }
    }
}

/// Runs `f`; ends the process if that takes too long, for a hung root cannot be given up: its frame is borrowed.
fn watched<R>(what: &str, f: impl FnOnce() -> R) -> R {
    let patience = patience();
    let (done, watch) = mpsc::channel::<()>();
    std::thread::scope(|threads| {
        threads.spawn(move || {
            if watch.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                // Past the test harness's capture, which would swallow it.
                let _ = writeln!(std::io::stderr(), "stress: {what} hangs: no end after {patience:?}");
                std::process::exit(1);
            }
        });
        let result = f();
        drop(done);
        result
    })
}

/// Grows one tree and compares what came of it with what had to. Returns how many nodes it had.
fn one_tree(runtime: &Runtime, seed: u64) -> u64 {
    let mut rng = Rng(seed);
    let most = 1 + rng.below(LARGEST_TREE);
    let quota = 1 + rng.below(most);
    let mode = [Mode::Calm, Mode::Calm, Mode::Panics, Mode::RootAborts][rng.below(4) as usize];
    let doom = (mode == Mode::RootAborts).then_some(Doom::Abort);
    let plan = Plan { mode, seed: rng.next(), quota, doom, unsafe_ground: mode != Mode::Calm };

    let world = World::new(64 + quota as usize * 16);
    let sky = Ledger::new(&world, None);
    let token = Token::of_node(&sky, mode == Mode::Calm);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async |root| grow(root, &sky, token, plan).await.seed)
    }));
    let booms = world.booms.load(std::sync::atomic::Ordering::SeqCst);
    let nodes = world.nodes.load(std::sync::atomic::Ordering::SeqCst);
    match ended {
        Ok(value) if booms == 0 && doom.is_none() => assert_eq!(value, plan.seed),
        Ok(_) => panic!("the root returned a value, though {booms} panics were let loose ({mode:?})"),
        Err(payload) => match (payload.downcast_ref::<Boom>(), payload.downcast_ref::<&str>()) {
            (Some(Boom(number)), _) => assert!(*number < booms, "a panic that was never let loose"),
            (_, Some(text)) if text.contains("aborted") && booms == 0 && doom.is_some() => {}
            (_, text) => panic!("the root ended with {text:?}, {booms} panics were let loose ({mode:?})"),
        },
    }
    drop(sky);
    assert_eq!(world.audit(), Vec::<String>::new(), "{mode:?}");
    nodes
}

fn many_trees(workers: usize) {
    let runtime = Runtime::builder().worker_threads(workers).blocking_threads(4).build().expect("threads");
    let (mut seed, limit) = (first_seed(), nodes_per_test());
    let (mut nodes, mut trees) = (0, 0);
    while nodes < limit {
        let name = format!("TREESCOPE_SEED={seed:#x} TREESCOPE_NODES=1 on {workers} workers");
        match catch_unwind(AssertUnwindSafe(|| watched(&name, || one_tree(&runtime, seed)))) {
            Ok(n) => nodes += n,
            Err(payload) => {
                let text = payload.downcast_ref::<String>().map_or("see above", |text| text);
                panic!("{name}: {text}");
            }
        }
        trees += 1;
        seed = Rng(seed).next();
    }
    println!("{nodes} nodes in {trees} trees");
}

#[test]
fn random_trees_keep_the_rules_on_1_worker() {
    many_trees(1);
}

#[test]
fn random_trees_keep_the_rules_on_2_workers() {
    many_trees(2);
}

#[test]
fn random_trees_keep_the_rules_on_8_workers() {
    many_trees(8);
}
