//! What `loom-tests/` drives: this crate's parts, one verb of theirs per function here. Under `cfg(loom)` only.
//!
//! Nothing here decides anything. Parts that live in the tree or in the scheduler are made here and given out as
//! handles, so that the models know no representation; whole runtimes need none of it and are driven by the public
//! API.

use std::future::Future;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::ptr::NonNull;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::driver::ClockKind;
use crate::kinds::bounded;
use crate::sched::worker::{self, Worker};
use crate::sched::{self, Config, RootRest, Scheduler};
use crate::sync::{Arc, UnsafeCell, thread};
use crate::task::cell;
use crate::tree::cancel::Park;
use crate::tree::node;
use crate::tree::parked::Link;
use crate::tree::root::RootSignal;
use crate::tree::setup::Label;
use crate::tree::state::Orders;

/// Every atomic operation reached so far, if `TREESCOPE_RECORD_SITES` is set:
/// `<file>:<line>:<column> <operation> [<orderings>]`.
pub fn reached() -> Vec<String> {
    crate::sync::fault::reached()
}

/// Begins an execution: forgets the steps of the last one.
pub fn begin_execution() {
    crate::sync::fault::begin_execution();
}

/// The steps of the execution under way, if `TREESCOPE_TRACE` is set.
pub fn steps() -> Vec<String> {
    crate::sync::fault::steps()
}

fn config(workers: usize) -> Config {
    Config {
        workers,
        thread_name: String::new(),
        stack_size: None,
        blocking_threads: 1,
        clock: ClockKind::System,
        spin: std::time::Duration::ZERO,
    }
}

// ---- sched/deque.rs --------------------------------------------------------------------------------------------

/// An item for lanes: tracked, so that loom sees it leak, with contents that whoever has it may change.
pub struct Token(Box<Contents>);

struct Contents {
    number: UnsafeCell<usize>,
    _leaks: loom::alloc::Track<()>,
}

impl Token {
    pub fn new(number: usize) -> Self {
        Self(Box::new(Contents { number: UnsafeCell::new(number), _leaks: loom::alloc::Track::new(()) }))
    }

    /// Gives the number. loom takes it for a write: two who have the same token race.
    pub fn touch(&mut self) -> usize {
        self.0.number.with_mut(|number| {
            // SAFETY: `&mut self`.
            unsafe { *number }
        })
    }
}

// SAFETY: a box is told by its pointer.
unsafe impl sched::deque::Item for Token {
    fn into_raw(self) -> NonNull<()> {
        NonNull::from(Box::leak(self.0)).cast()
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: by contract it came from `into_raw`.
        Self(unsafe { Box::from_raw(raw.cast().as_ptr()) })
    }
}

pub struct Owner(sched::deque::Owner<Token>);

pub struct Stealer(sched::deque::Stealer<Token>);

pub enum Steal {
    Taken(Token),
    Empty,
    Retry,
}

/// A lane whose first ring has `len` slots.
pub fn lane(len: usize) -> (Owner, Stealer) {
    let (owner, stealer) = sched::deque::deque(len, true);
    (Owner(owner), Stealer(stealer))
}

impl Owner {
    pub fn push(&self, token: Token) {
        self.0.push(token);
    }

    pub fn pop_newest(&self) -> Option<Token> {
        self.0.pop_newest()
    }

    pub fn take_oldest(&self) -> Option<Token> {
        self.0.take_oldest()
    }
}

impl Stealer {
    pub fn steal(&self) -> Steal {
        match self.0.steal() {
            sched::deque::Steal::Taken(token) => Steal::Taken(token),
            sched::deque::Steal::Empty => Steal::Empty,
            sched::deque::Steal::Retry => Steal::Retry,
        }
    }
}

// ---- sched/idle.rs, sched/parker.rs, driver --------------------------------------------------------------------

pub struct Idle(sched::idle::Idle);

impl Idle {
    pub fn new(workers: usize) -> Self {
        Self(sched::idle::Idle::new(workers))
    }

    pub fn after_push(&self) -> bool {
        self.0.after_push()
    }

    pub fn claim(&self, in_driver: usize) -> Option<usize> {
        self.0.claim(in_driver)
    }

    pub fn start_search(&self) -> bool {
        self.0.start_search()
    }

    /// Whether the caller was the last searcher.
    pub fn stop_search(&self) -> bool {
        self.0.stop_search() == sched::idle::AfterSearch::WasLast
    }

    /// Whether the caller was the last searcher.
    pub fn park(&self, worker: usize, searching: bool) -> bool {
        self.0.park(worker, searching) == sched::idle::AfterSearch::WasLast
    }

    pub fn leave(&self, worker: usize) {
        self.0.leave(worker);
    }
}

pub struct Driver(Arc<crate::driver::Driver>);

/// What an armed timer is known by.
#[derive(Clone, Copy)]
pub struct Timer(sched::TimerKey);

impl Driver {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(crate::driver::Driver::new(ClockKind::System).expect("no system resource is needed under loom"))
    }
}

impl Driver {
    /// With a virtual clock, which stands still unless it is moved.
    pub fn with_virtual_clock() -> Self {
        Self(crate::driver::Driver::new(ClockKind::Virtual).expect("no system resource is needed under loom"))
    }

    /// Lets `waker` be woken once the clock is `after` further.
    pub fn arm(&self, after: Duration, waker: &Waker) -> Timer {
        let deadline = self.0.clock().now() + after;
        Timer(self.0.arm(deadline, waker).expect("not never"))
    }

    /// Disarms a timer; one that has fired is left as it is.
    pub fn cancel(&self, timer: Timer) {
        self.0.cancel(timer.0);
    }

    /// Moves the clock.
    pub fn advance(&self, duration: Duration) {
        assert!(self.0.advance(duration), "the clock is virtual");
    }

    pub fn interrupt(&self) {
        self.0.interrupt();
    }

    /// Takes a turn that blocks, unless somebody else has it; `quiescent`: the clock may jump.
    pub fn turn(&self, quiescent: bool) -> bool {
        let Some(mut turn) = self.0.try_turn() else { return false };
        turn.run(if quiescent { crate::driver::Wait::Quiescent } else { crate::driver::Wait::Blocking });
        true
    }
}

pub struct Parker(sched::parker::Parker);

impl Parker {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(sched::parker::Parker::new())
    }

    pub fn bind_current_thread(&self) {
        self.0.bind_current_thread();
    }

    pub fn park_thread(&self) {
        self.0.park_thread();
    }

    /// Sleeps in the driver, and says `false` at once if somebody else has it.
    pub fn park_driver(&self, driver: &Driver) -> bool {
        let Some(turn) = driver.0.try_turn() else { return false };
        self.0.park_driver(turn, crate::driver::Wait::Blocking);
        true
    }

    pub fn unpark(&self, driver: &Driver) {
        self.0.unpark(&driver.0);
    }
}

/// What a caller of a socket found, for [`Readiness::clear`].
pub struct Tick(crate::driver::readiness::Tick);

/// One direction of one socket.
pub struct Readiness(crate::driver::readiness::Readiness);

impl Readiness {
    pub fn new(ready: bool) -> Self {
        Self(crate::driver::readiness::Readiness::new(ready))
    }

    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Tick> {
        self.0.poll_ready(cx).map(Tick)
    }

    pub fn clear(&self, tick: Tick) {
        self.0.clear(tick.0);
    }

    /// An edge. Wakes who waits.
    pub fn set(&self) {
        let mut due = Vec::new();
        self.0.set(false, &mut due);
        due.into_iter().for_each(Waker::wake);
    }
}

// ---- sched/mod.rs: foreign threads -----------------------------------------------------------------------------

pub struct Visitors(sched::Visitors);

impl Visitors {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(sched::Visitors::new())
    }

    pub fn enter(&self) {
        self.0.enter();
    }

    pub fn leave(&self) {
        self.0.leave();
    }

    pub fn wait_until_none(&self) {
        self.0.wait_until_none();
    }
}

// ---- sched/mod.rs: roots that sleep ----------------------------------------------------------------------------

pub struct AwakeRoots(sched::AwakeRoots);

impl AwakeRoots {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(sched::AwakeRoots::new())
    }

    pub fn enter(&self) {
        self.0.enter();
    }

    pub fn leave(&self) {
        self.0.leave();
    }

    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

// ---- sched/worker.rs: workers without a tree -------------------------------------------------------------------

/// A scheduler and its workers' threads.
pub struct Crew {
    scheduler: Arc<Scheduler>,
    /// Stands for the parent of tasks that have none.
    node: Box<node::Node>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Crew {
    pub fn start(workers: usize) -> Self {
        let (scheduler, workers) = worker::scheduler(&config(workers)).expect("no system resource is needed");
        let threads = workers.into_iter().map(|worker| thread::spawn(move || Worker::run(worker))).collect();
        // SAFETY: models stop the crew last.
        let sched = unsafe { scheduler.to_ref() };
        let node = Box::new(node::Node::root(sched, RootSignal::new(None), Location::caller()));
        Self { scheduler, node, threads }
    }

    /// A way in for tasks.
    pub fn entrance(&self) -> Entrance {
        // SAFETY: models stop the crew last.
        Entrance(unsafe { self.node.to_ref() })
    }

    /// Tells the workers to return and waits for them and for foreign threads.
    pub fn stop(self) {
        self.scheduler.shut_down();
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

#[derive(Clone, Copy)]
pub struct Entrance(node::NodeRef);

impl Entrance {
    /// Makes a task that belongs to no tree and queues it, as a spawn from the calling thread does.
    pub fn push(self, future: impl Future<Output = ()> + 'static) {
        // SAFETY: the future borrows nothing, and models stop the crew last.
        let (runnable, slot) = unsafe { cell::new(self.0, || future) };
        slot.detach();
        self.0.sched().schedule_child(runnable);
    }
}

// ---- tree/node.rs, tree/state.rs, tree/parked.rs, tree/root.rs --------------------------------------------------

/// A root node without a body: its waiting thread and its children are the model's threads.
pub struct Root {
    /// From `Box::into_raw`, so that its end is a free that nobody may come after.
    node: NonNull<node::Node>,
    signal: StdArc<RootSignal>,
    scheduler: Arc<Scheduler>,
}

impl Root {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        // Its workers never start.
        let (scheduler, _) = worker::scheduler(&config(1)).expect("no system resource is needed");
        let signal = RootSignal::new(None);
        // SAFETY: the root holds the scheduler.
        let sched = unsafe { scheduler.to_ref() };
        let node = Box::leak(Box::new(node::Node::root(sched, signal.clone(), Location::caller())));
        Self { node: NonNull::from(node), signal, scheduler }
    }

    fn node(&self) -> &node::Node {
        // SAFETY: freed in `end` only.
        unsafe { self.node.as_ref() }
    }

    /// Counts a child in.
    pub fn child(&self) -> Child {
        // SAFETY: counted.
        let parent = unsafe { self.node().to_ref() };
        assert!(node::Node::child_added(parent), "nobody has closed it");
        Child { parent, link: Box::pin(Link::of_child(Label::here())) }
    }

    /// For a foreign thread that the root's body waits for.
    pub fn door(&self) -> Door {
        // SAFETY: models join the thread before they end the root.
        Door(unsafe { self.node().to_ref() })
    }

    pub fn close(&self) {
        self.node().close();
    }

    /// A poll of the body's own wait for the children; `true` if none lives.
    pub fn poll_drain(&self, waker: &Waker) -> bool {
        self.node().poll_drain(waker).is_ready()
    }

    /// How many are named as alive.
    pub fn survivors(&self) -> u64 {
        self.node().survivors().children()
    }

    /// What wakes the waiting thread.
    pub fn waker(&self) -> Waker {
        Waker::from(self.signal.clone())
    }

    pub fn is_drained(&self, waker: &Waker) -> bool {
        self.node().poll_drained(waker).is_ready()
    }

    /// Sleeps until woken.
    pub fn sleep(&self) {
        // SAFETY: the root holds the scheduler.
        self.signal.sleep(&RootRest::new(unsafe { self.scheduler.to_ref() }));
    }

    pub fn drain(&self, waker: &Waker) {
        while !self.is_drained(waker) {
            self.sleep();
        }
    }

    pub fn cancel(&self) {
        self.node().abort(|node| node.cause_at(Location::caller(), String::new()));
    }

    pub fn is_cancelled(&self) -> bool {
        self.node().is_aborted()
    }

    /// The number that the first failure carried.
    pub fn take_failure(&self) -> Option<usize> {
        self.node().take_failure().map(|payload| *payload.downcast().expect("models fail with numbers"))
    }

    /// Frees the node.
    pub fn end(self) {
        // SAFETY: from `Box::into_raw` in `new`; `self` goes away. Whether nobody uses it is what is checked.
        drop(unsafe { Box::from_raw(self.node.as_ptr()) });
    }
}

/// A way into a scope from outside.
pub struct Door(node::NodeRef);

impl Door {
    /// Counts a child in, unless the scope is closed.
    pub fn child(&self) -> Option<Child> {
        node::Node::child_added(self.0)
            .then(|| Child { parent: self.0, link: Box::pin(Link::of_child(Label::here())) })
    }
}

/// A child that the root counts.
pub struct Child {
    parent: node::NodeRef,
    link: Pin<Box<Link>>,
}

impl Child {
    fn link(&self) -> NonNull<Link> {
        NonNull::from(&*self.link)
    }

    /// Counts a sibling in.
    pub fn sibling(&self) -> Self {
        assert!(node::Node::child_added(self.parent), "nobody has closed it");
        Self { parent: self.parent, link: Box::pin(Link::of_child(Label::here())) }
    }

    /// Whether the child is parked; if not, the scope is cancelled.
    pub fn park(&self, waker: &Waker) -> bool {
        // SAFETY: pinned, of this child, and unparked by the model before it ends.
        let park = unsafe { self.parent.park(self.link(), waker) };
        park == Park::Parked
    }

    pub fn unpark(&self) {
        // SAFETY: of this child.
        unsafe { self.parent.unpark(self.link()) };
    }

    pub fn cancel_scope(&self) {
        self.parent.abort(|node| node.cause_at(Location::caller(), String::new()));
    }

    pub fn is_scope_cancelled(&self) -> bool {
        self.parent.is_aborted()
    }

    /// What a child asks before a poll.
    pub fn is_to_end(&self) -> bool {
        self.parent.orders() == Orders::Abort
    }

    /// Fails the scope with a number.
    pub fn fail_scope(&self, number: usize) {
        self.parent.fail(Box::new(number), None);
    }

    /// Counts the child out.
    pub fn end(self) {
        let Self { parent, link } = self;
        drop(link);
        node::Node::children_ended(parent, 1);
    }
}

// ---- kinds/bounded.rs ------------------------------------------------------------------------------------------

/// The places of a bounded scope.
pub struct Places(bounded::Places);

impl Places {
    pub fn new(free: usize) -> Self {
        Self(bounded::Places::new(free))
    }

    /// Waits for a place.
    pub fn place(&self) -> impl Future<Output = bounded::Place<'_>> {
        self.0.take()
    }
}

/// Something for children to borrow. loom reports a use that is not before its end, and its leak.
pub struct Borrowed {
    used: UnsafeCell<()>,
    _leaks: loom::alloc::Track<()>,
}

// SAFETY: the cell is accessed by no pointer that it gives out; loom only takes note.
unsafe impl Sync for Borrowed {}

impl Borrowed {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self { used: UnsafeCell::new(()), _leaks: loom::alloc::Track::new(()) }
    }

    /// Counts as a write, as its drop does: nobody uses it any more.
    pub fn ended(&self) {
        self.used.with_mut(|_| ());
    }

    /// Counts as a read.
    pub fn used(&self) {
        self.used.with(|_| ());
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // Counts as a write.
        self.used.with_mut(|_| ());
    }
}

/// Runs `f` on a thread of its own while the calling one waits: what `std::thread::scope` is for one thread, which loom
/// has not.
pub fn on_another_thread(f: impl FnOnce() + Send) {
    let f: Box<dyn FnOnce() + Send + '_> = Box::new(f);
    // SAFETY: only the lifetime changes. The thread is joined before this function returns, and a panic, in this thread
    // or that one, ends the process (see `loom_tests::models::explore`).
    let f: Box<dyn FnOnce() + Send + 'static> = unsafe { std::mem::transmute(f) };
    let _ = thread::spawn(f).join();
}

/// A waiting thread's flag alone.
pub struct Signal(StdArc<RootSignal>, Arc<Scheduler>);

impl Signal {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let (scheduler, _) = worker::scheduler(&config(1)).expect("no system resource is needed");
        Self(RootSignal::new(None), scheduler)
    }

    pub fn waker(&self) -> Waker {
        Waker::from(self.0.clone())
    }

    /// Sleeps until woken since the last call.
    pub fn sleep(&self) {
        // SAFETY: `self` holds the scheduler.
        self.0.sleep(&RootRest::new(unsafe { self.1.to_ref() }));
    }

    /// Polls `future` on this thread until it is ready.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let waker = self.waker();
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return value;
            }
            self.sleep();
        }
    }
}
