//! A random tree, grown from a seed.
//!
//! What each node does follows from its seed alone; what varies between two runs is the order in which threads come to
//! it. Each choice below keeps to one rule, so that the outcome of the whole is known beforehand: whatever is awaited
//! for its value gets one, unless the awaiter's own scope is being cancelled.

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use treescope::{JoinHandle, Scope, yield_now};

use super::oracle::{Boom, Ledger, OnDrop, Token};

/// Splitmix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What may go wrong in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing but aborts of scopes below the root: the root returns a value.
    Calm,
    /// Now and then a panic, in bodies, children, blocking calls and destructors.
    Panics,
    /// The root scope is aborted.
    RootAborts,
}

/// How a scope that cannot end by itself is ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doom {
    Abort,
    Panic,
}

/// What a scope has to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) mode: Mode,
    pub(crate) seed: u64,
    /// Nodes to spawn below, not counting those that leaves and destructors spawn.
    pub(crate) quota: u64,
    pub(crate) doom: Option<Doom>,
    /// Whether this scope or one above may be cancelled.
    pub(crate) unsafe_ground: bool,
}

/// What a node leaves for its awaiter.
pub(crate) struct Output<'a> {
    pub(crate) seed: u64,
    /// What has to be dropped by the time the value is there.
    pub(crate) gone: Vec<usize>,
    pub(crate) _token: Option<Token<'a>>,
}

type Grown<'s, 'e> = Pin<Box<dyn Future<Output = Output<'e>> + Send + 's>>;
type Handle<'s> = JoinHandle<'s, Output<'s>>;

/// A child's handle, and what there is to know before it may be awaited.
struct Child<'s> {
    handle: Handle<'s>,
    seed: u64,
    /// It ends only after the scope's ledger has been opened.
    behind_gate: bool,
    /// It has no value.
    doomed: bool,
}

/// Keeps `value` for ever, reachable from a static: a leak to the program, and none to LeakSanitizer.
fn leak<T>(value: T) {
    static LEAKED: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let address = Box::into_raw(Box::new(value)).expose_provenance();
    LEAKED.lock().expect("nothing panics under it").push(address);
}

/// The body of every scope, the root's included.
pub(crate) fn grow<'s, 'e>(
    scope: &'s Scope<'s, 'e>,
    above: &'e Ledger<'e>,
    mut token: Token<'e>,
    plan: Plan,
) -> Grown<'s, 'e> {
    Box::pin(async move {
        let ledger: &'s Ledger<'s> = scope.alloc(Ledger::new(above.world, Some(above)));
        let mut gone = vec![token.slot, ledger.slot];
        let mut body = Body { scope, ledger, plan, rng: Rng(plan.seed), kept: Vec::new() };
        if let Some(doom) = plan.doom {
            body.spawn_killer(doom);
        }
        let mut left = plan.quota;
        while left > 0 {
            if body.rng.one_in(8) {
                let value = scope.alloc(Token::new(above, OnDrop::Value(ledger.slot)));
                gone.push(value.slot);
            }
            left -= body.one_child(left).await;
        }
        ledger.open();
        body.settle().await;
        if plan.doom.is_some() {
            pending::<()>().await;
        }
        token.end();
        let keepsake = body.rng.one_in(2).then(|| Token::plain(above));
        Output { seed: plan.seed, gone, _token: keepsake }
    })
}

/// A scope's body at work.
struct Body<'s, 'e> {
    scope: &'s Scope<'s, 'e>,
    ledger: &'s Ledger<'s>,
    plan: Plan,
    rng: Rng,
    kept: Vec<Child<'s>>,
}

impl<'s> Body<'s, '_> {
    /// Spawns a child, with up to `left` nodes in all, and does something to its handle. Returns the nodes used up.
    async fn one_child(&mut self, left: u64) -> u64 {
        let (child, used) = match self.rng.below(64) {
            0 => (self.spawn_blocking(), 1),
            1..=24 if left > 1 => self.spawn_scope(left),
            _ => (self.spawn_leaf(), 1),
        };
        self.decide(child).await;
        if self.rng.one_in(16) {
            yield_now().await;
        }
        if self.plan.mode == Mode::Panics && self.rng.one_in(4000) {
            self.ledger.world.boom();
        }
        used
    }

    fn node_token(&self) -> Token<'s> {
        Token::of_node(self.ledger, !self.plan.unsafe_ground)
    }

    fn spawn_leaf(&mut self) -> Child<'s> {
        let leaf = Leaf::new(self.scope, self.ledger, &mut self.rng, self.plan, 2);
        let (seed, behind_gate) = (leaf.seed, leaf.end != End::Now);
        Child { handle: self.scope.spawn(leaf.run(None)), seed, behind_gate, doomed: false }
    }

    /// A child scope with a random share of `left`. Returns the nodes used up, itself among them.
    fn spawn_scope(&mut self, left: u64) -> (Child<'s>, u64) {
        let most = 1 << self.rng.below(16);
        let quota = self.rng.below(left.min(most));
        let doom = match self.rng.below(16) {
            0 if self.plan.mode == Mode::Panics && self.rng.one_in(200) => Some(Doom::Panic),
            0 => Some(Doom::Abort),
            _ => None,
        };
        let unsafe_ground = self.plan.unsafe_ground || doom.is_some();
        let plan = Plan { seed: self.rng.next(), quota, doom, unsafe_ground, ..self.plan };
        let (ledger, mut token) = (self.ledger, self.node_token());
        if doom.is_some() {
            token.end();
        }
        let handle = self.scope.scope(async move |inner| grow(inner, ledger, token, plan).await);
        (Child { handle, seed: plan.seed, behind_gate: false, doomed: doom.is_some() }, quota + 1)
    }

    /// A call on the blocking pool, which may spawn from there.
    fn spawn_blocking(&mut self) -> Child<'s> {
        let (scope, mut token, seed) = (self.scope, self.node_token(), self.rng.next());
        let leaf = Leaf::new(scope, self.ledger, &mut self.rng, Plan { doom: None, ..self.plan }, 0);
        let handle = scope.spawn_blocking(move || {
            drop(scope.spawn(leaf.run(None)));
            token.end();
            Output { seed, gone: vec![token.slot], _token: None }
        });
        Child { handle, seed, behind_gate: false, doomed: false }
    }

    /// Ends a scope that would not end by itself.
    fn spawn_killer(&mut self, doom: Doom) {
        let (scope, token, polls) = (self.scope, Token::of_node(self.ledger, false), self.rng.below(200));
        drop(self.scope.spawn(async move {
            for _ in 0..polls {
                yield_now().await;
            }
            match doom {
                Doom::Abort => scope.abort(),
                Doom::Panic => token.world().boom(),
            }
            pending::<()>().await;
        }));
    }

    /// Awaits, drops, polls once, forgets, gives away or keeps a child's handle.
    async fn decide(&mut self, child: Child<'s>) {
        let awaitable = !child.doomed;
        match self.rng.below(16) {
            0..=5 => drop(child.handle),
            6 => self.poll_once(child),
            // An output behind a forgotten handle would be leaked with it, so only who has none is forgotten.
            7 if child.doomed => leak(child.handle),
            8..=9 if awaitable && !child.behind_gate => self.check(child).await,
            10 if awaitable => {
                let leaf = Leaf::new(self.scope, self.ledger, &mut self.rng, self.plan, 0);
                let (seed, behind_gate) = (leaf.seed, child.behind_gate || leaf.end != End::Now);
                let handle = self.scope.spawn(leaf.run(Some(child)));
                self.kept.push(Child { handle, seed, behind_gate, doomed: false });
            }
            _ => self.kept.push(child),
        }
        // A window: handles that nobody awaits hold their outputs.
        if self.kept.len() > 64 {
            let oldest = self.kept.remove(0);
            if !oldest.doomed && !oldest.behind_gate {
                self.check(oldest).await;
            }
        }
    }

    /// Polls a handle once and drops it, awaited half-way.
    fn poll_once(&self, child: Child<'s>) {
        let Child { mut handle, seed, doomed, .. } = child;
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut handle).poll(&mut cx))) {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(output)) => verify(self.ledger, seed, &output),
            Err(payload) => {
                let ours = payload.is::<Boom>();
                if ours || !(doomed || self.plan.unsafe_ground) {
                    self.ledger.world.violation(format!("a poll of a handle unwound, with a Boom: {ours}"));
                }
            }
        }
    }

    async fn check(&mut self, child: Child<'s>) {
        let output = child.handle.await;
        verify(self.ledger, child.seed, &output);
    }

    /// Awaits what is left, newest or oldest first, or drops it.
    async fn settle(&mut self) {
        let newest_first = self.rng.one_in(2);
        let mut kept = std::mem::take(&mut self.kept);
        if newest_first {
            kept.reverse();
        }
        for child in kept {
            if !child.doomed && !self.rng.one_in(8) {
                self.check(child).await;
            }
        }
    }
}

fn verify(ledger: &Ledger<'_>, seed: u64, output: &Output<'_>) {
    ledger.world.expect_dropped(&output.gone);
    if output.seed != seed {
        ledger.world.violation(format!("awaited {seed:x}, got the value of {:x}", output.seed));
    }
}

/// When a leaf ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// When its steps are done.
    Now,
    /// Not before its scope's body has spawned everything.
    BehindGate,
    /// Only by being cancelled.
    Never,
}

/// A child without a scope of its own.
struct Leaf<'s, 'e> {
    scope: &'s Scope<'s, 'e>,
    ledger: &'s Ledger<'s>,
    plan: Plan,
    seed: u64,
    end: End,
    /// How many generations of siblings it may spawn.
    generations: u32,
    token: Token<'s>,
    /// Dropped with the future, whether or not it was ever polled.
    baggage: Option<Token<'s>>,
}

impl<'s, 'e> Leaf<'s, 'e> {
    fn new(
        scope: &'s Scope<'s, 'e>,
        ledger: &'s Ledger<'s>,
        rng: &mut Rng,
        plan: Plan,
        generations: u32,
    ) -> Self {
        let end = match rng.below(8) {
            0 if plan.doom.is_some() => End::Never,
            1 => End::BehindGate,
            _ => End::Now,
        };
        let token = Token::of_node(ledger, !plan.unsafe_ground);
        let baggage = match rng.below(32) {
            0..=3 => Some(Token::plain(ledger)),
            4 => Some(Token::new(ledger, OnDrop::Spawns(scope))),
            5 if plan.mode == Mode::Panics && rng.one_in(200) => Some(Token::new(ledger, OnDrop::Booms)),
            _ => None,
        };
        Self { scope, ledger, plan, seed: rng.next(), end, generations, token, baggage }
    }

    async fn run(mut self, awaited: Option<Child<'s>>) -> Output<'s> {
        let mut rng = Rng(self.seed);
        for _ in 0..rng.below(4) {
            self.step(&mut rng).await;
        }
        if let Some(child) = awaited {
            let output = child.handle.await;
            verify(self.ledger, child.seed, &output);
        }
        match self.end {
            End::Now => {}
            End::BehindGate => self.ledger.opened().await,
            End::Never => pending().await,
        }
        self.token.end();
        // Before there is a return value: a panic among the locals' drops would leak that (rust-lang/rust#47949).
        drop(self.baggage.take());
        let keepsake = match rng.below(64) {
            0..=15 => Some(Token::plain(self.ledger)),
            16 => Some(Token::new(self.ledger, OnDrop::Spawns(self.scope))),
            17 if self.plan.mode == Mode::Panics && rng.one_in(100) => {
                Some(Token::new(self.ledger, OnDrop::Booms))
            }
            _ => None,
        };
        Output { seed: self.seed, gone: vec![self.token.slot], _token: keepsake }
    }

    /// [`run`](Self::run) with a name for its type: leaves spawn leaves.
    fn boxed(self) -> Pin<Box<dyn Future<Output = Output<'s>> + Send + 's>> {
        Box::pin(self.run(None))
    }

    async fn step(&self, rng: &mut Rng) {
        match rng.below(1024) {
            0..=399 => yield_now().await,
            400..=599 if self.generations > 0 => {
                let leaf = Leaf::new(self.scope, self.ledger, rng, self.plan, self.generations - 1);
                drop(self.scope.spawn(leaf.boxed()));
            }
            600..=699 => drop_half_way(self.ledger).await,
            700 => treescope::time::sleep(Duration::from_micros(rng.below(500))).await,
            701 if self.plan.mode == Mode::Panics && rng.one_in(8) => self.ledger.world.boom(),
            _ => {}
        }
    }
}

/// Polls a future that holds a token and a sleep once, and drops it.
async fn drop_half_way(ledger: &Ledger<'_>) {
    let nested = async {
        let _token = Token::plain(ledger);
        treescope::time::sleep(Duration::from_secs(3600)).await;
    };
    let mut nested = pin!(nested);
    poll_fn(|cx| {
        let polled = nested.as_mut().poll(cx);
        assert!(polled.is_pending(), "an hour has not passed");
        Poll::Ready(())
    })
    .await;
}
