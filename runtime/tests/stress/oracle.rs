//! What is true of every tree, and the books that show it.
//!
//! Every destructor that matters is a [`Token`]'s, every scope owns a [`Ledger`] by `alloc`, and all of them write into
//! one [`World`], which lies in the frame below the root:
//!
//! ```text
//!   Ledger (a value of its scope) ◀── borrowed ── Token in a child's captures, output, nested future
//!      └── parent ──▶ Ledger of the scope above ◀── borrowed ── Token alloc'd in the scope
//! ```
//!
//! A ledger is counted as live in its parent's, so "no direct dependant is live" at each level means "no descendant" at
//! all of them. What is found wrong is written down and not asserted on the spot: a panic would become one of the
//! tree's own.

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::task::{Poll, Waker};

use treescope::Scope;

/// The payload of every panic that is part of a plan.
#[derive(Debug)]
pub(crate) struct Boom(pub(crate) u64);

const UNUSED: u8 = 0;
const LIVE: u8 = 1;
const DROPPED: u8 = 2;

/// One destructor that has to run once.
struct Slot {
    state: AtomicU8,
    /// If this is a ledger's: how many tokens and ledgers depend on it.
    dependants: AtomicU32,
}

/// The books of one tree.
pub(crate) struct World {
    slots: Vec<Slot>,
    used: AtomicUsize,
    dropped: AtomicU64,
    /// Nodes: calls of `spawn`, `scope` and `spawn_blocking`.
    pub(crate) nodes: AtomicU64,
    /// Panics that were let loose.
    pub(crate) booms: AtomicU64,
    violations: Mutex<Vec<String>>,
}

// SeqCst throughout: the books must not be the thing in doubt.
const ORDER: Ordering = Ordering::SeqCst;

impl World {
    pub(crate) fn new(slots: usize) -> Self {
        let slot = || Slot { state: AtomicU8::new(UNUSED), dependants: AtomicU32::new(0) };
        Self {
            slots: std::iter::repeat_with(slot).take(slots).collect(),
            used: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            nodes: AtomicU64::new(0),
            booms: AtomicU64::new(0),
            violations: Mutex::new(Vec::new()),
        }
    }

    fn open(&self) -> usize {
        let slot = self.used.fetch_add(1, ORDER);
        assert!(slot < self.slots.len(), "the plan was larger than expected: enlarge the world");
        self.slots[slot].state.store(LIVE, ORDER);
        slot
    }

    fn close(&self, slot: usize, what: &str) {
        if self.slots[slot].state.swap(DROPPED, ORDER) != LIVE {
            self.violation(format!("{what} {slot} was dropped twice"));
        }
        self.dropped.fetch_add(1, ORDER);
    }

    fn is_dropped(&self, slot: usize) -> bool {
        self.slots[slot].state.load(ORDER) == DROPPED
    }

    pub(crate) fn violation(&self, text: String) {
        let mut violations = self.violations.lock().expect("nothing panics under it");
        // The first few tell; a broken runtime could fill the memory.
        if violations.len() < 20 {
            violations.push(text);
        }
    }

    /// To be called by whoever was told that a node has completed.
    pub(crate) fn expect_dropped(&self, slots: &[usize]) {
        for &slot in slots {
            if !self.is_dropped(slot) {
                self.violation(format!("slot {slot} was alive after its node had completed"));
            }
        }
    }

    /// Lets a planned panic loose, without a message on stderr.
    pub(crate) fn boom(&self) -> ! {
        let number = self.booms.fetch_add(1, ORDER);
        resume_unwind(Box::new(Boom(number)))
    }

    /// What is wrong after the root has returned.
    pub(crate) fn audit(&self) -> Vec<String> {
        let mut violations = std::mem::take(&mut *self.violations.lock().expect("nothing panics under it"));
        let (opened, dropped) = (self.used.load(ORDER) as u64, self.dropped.load(ORDER));
        if opened != dropped {
            violations.push(format!("{opened} destructors were due before the root returned, {dropped} ran"));
        }
        violations
    }
}

const MAGIC: u64 = 0x7472_6565_7363_6f70;

/// What a scope's descendants borrow from the scope.
pub(crate) struct Ledger<'a> {
    pub(crate) world: &'a World,
    parent: Option<&'a Ledger<'a>>,
    pub(crate) slot: usize,
    magic: AtomicU64,
    open: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(world: &'a World, parent: Option<&'a Ledger<'a>>) -> Self {
        if let Some(parent) = parent {
            parent.depend();
        }
        let slot = world.open();
        Self {
            world,
            parent,
            slot,
            magic: AtomicU64::new(MAGIC),
            open: AtomicBool::new(false),
            waiting: Mutex::new(Vec::new()),
        }
    }

    fn depend(&self) {
        self.expect_alive();
        self.world.slots[self.slot].dependants.fetch_add(1, ORDER);
    }

    fn release(&self) {
        self.expect_alive();
        self.world.slots[self.slot].dependants.fetch_sub(1, ORDER);
    }

    /// Reads through the borrow: a dangling one is seen here, or by AddressSanitizer.
    fn expect_alive(&self) {
        if self.magic.load(ORDER) != MAGIC {
            self.world.violation(format!("ledger {} was used after its drop", self.slot));
        }
    }

    /// Lets everyone through who waits in [`opened`](Self::opened).
    pub(crate) fn open(&self) {
        self.open.store(true, ORDER);
        let waiting = std::mem::take(&mut *self.waiting.lock().expect("nothing panics under it"));
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(crate) async fn opened(&self) {
        std::future::poll_fn(|cx| {
            if self.open.load(ORDER) {
                return Poll::Ready(());
            }
            self.waiting.lock().expect("nothing panics under it").push(cx.waker().clone());
            // `open` may have come before the push.
            if self.open.load(ORDER) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl Drop for Ledger<'_> {
    fn drop(&mut self) {
        self.expect_alive();
        let dependants = self.world.slots[self.slot].dependants.load(ORDER);
        if dependants != 0 {
            self.world.violation(format!("ledger {} went with {dependants} dependants alive", self.slot));
        }
        self.magic.store(0, ORDER);
        self.world.close(self.slot, "ledger");
        if let Some(parent) = self.parent {
            parent.release();
        }
    }
}

/// What a token's destructor does besides keeping the books.
pub(crate) enum OnDrop<'a> {
    Nothing,
    /// Panics, if that is possible without a second panic.
    Booms,
    /// Spawns a child, whose token borrows the same ledger.
    Spawns(&'a (dyn SpawnSmall<'a> + Sync)),
    /// Belongs to the values of the scope with this ledger: no dependant of it may be alive, and the ledger, which is
    /// older, must be.
    Value(usize),
}

/// A scope, without its second lifetime.
pub(crate) trait SpawnSmall<'a> {
    /// Spawns a child that holds `token` across a yield.
    fn spawn_small(&'a self, token: Token<'a>);
}

impl<'a> SpawnSmall<'a> for Scope<'a, '_> {
    fn spawn_small(&'a self, mut token: Token<'a>) {
        drop(self.spawn(async move {
            treescope::yield_now().await;
            token.end();
        }));
    }
}

/// A destructor that has to run once, while the ledger that it borrows is alive.
pub(crate) struct Token<'a> {
    ledger: &'a Ledger<'a>,
    pub(crate) slot: usize,
    pub(crate) on_drop: OnDrop<'a>,
    /// Whether [`end`](Self::end) has to be called before the drop.
    must_end: bool,
}

impl<'a> Token<'a> {
    pub(crate) fn new(ledger: &'a Ledger<'a>, on_drop: OnDrop<'a>) -> Self {
        ledger.depend();
        Self { ledger, slot: ledger.world.open(), on_drop, must_end: false }
    }

    /// The token that a node's future captures. `must_end`: nothing may cancel the node.
    pub(crate) fn of_node(ledger: &'a Ledger<'a>, must_end: bool) -> Self {
        ledger.world.nodes.fetch_add(1, ORDER);
        let mut token = Self::plain(ledger);
        token.must_end = must_end;
        token
    }

    pub(crate) fn plain(ledger: &'a Ledger<'a>) -> Self {
        Self::new(ledger, OnDrop::Nothing)
    }

    pub(crate) fn world(&self) -> &'a World {
        self.ledger.world
    }

    /// The node has come to the end of its code.
    pub(crate) fn end(&mut self) {
        self.must_end = false;
    }
}

impl Drop for Token<'_> {
    fn drop(&mut self) {
        let world = self.ledger.world;
        self.ledger.expect_alive();
        if self.must_end {
            world.violation(format!(
                "node {} was dropped before its end, and nothing cancelled it",
                self.slot
            ));
        }
        let on_drop = std::mem::replace(&mut self.on_drop, OnDrop::Nothing);
        if let OnDrop::Value(ledger) = on_drop {
            let dependants = world.slots[ledger].dependants.load(ORDER);
            if dependants != 0 || world.is_dropped(ledger) {
                world.violation(format!("value {}: {dependants} dependants of its scope alive", self.slot));
            }
        }
        if let OnDrop::Spawns(scope) = on_drop {
            scope.spawn_small(Token::of_node(self.ledger, false));
        }
        world.close(self.slot, "token");
        self.ledger.release();
        if let OnDrop::Booms = on_drop
            && !std::thread::panicking()
        {
            world.boom();
        }
    }
}

// The oracle itself must be able to say no.

#[test]
fn audit_finds_a_destructor_that_never_ran() {
    let world = World::new(2);
    let ledger = Ledger::new(&world, None);
    std::mem::forget(Token::plain(&ledger));
    drop(ledger);
    assert_eq!(world.audit().len(), 2, "the ledger had a dependant, and one destructor never ran");
}

#[test]
fn audit_finds_a_destructor_that_ran_twice() {
    let world = World::new(2);
    let ledger = Ledger::new(&world, None);
    let mut token = Token::plain(&ledger);
    token.slot = ledger.slot;
    drop(token);
    drop(ledger);
    assert!(world.audit().iter().any(|text| text.contains("twice")));
}

#[test]
fn audit_finds_a_node_that_was_cut_short() {
    let world = World::new(2);
    let ledger = Ledger::new(&world, None);
    drop(Token::of_node(&ledger, true));
    drop(ledger);
    assert!(world.audit().iter().any(|text| text.contains("before its end")));
}

#[test]
fn audit_finds_a_value_that_went_before_the_descendants() {
    let world = World::new(4);
    let outer = Ledger::new(&world, None);
    let inner = Ledger::new(&world, Some(&outer));
    let descendant = Token::plain(&inner);
    drop(Token::new(&outer, OnDrop::Value(inner.slot)));
    drop(descendant);
    drop(inner);
    drop(outer);
    assert!(world.audit().iter().any(|text| text.contains("dependants of its scope alive")));
}
