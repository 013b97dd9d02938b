//! How a cancel goes down the tree, and a failure up.
//!
//! # Two phases
//!
//! ```text
//!   going on ──request──▶ winding up ──grace over, or abort──▶ aborted
//!       └─────────────────────abort─────────────────────────────▲
//! ```
//!
//! A *request* is a mark that children can look for ([`Scope::cancelled`](crate::Scope::cancelled)); everything goes on.
//! An *abort* drops the futures of the body and the children at their next await. Both go down by themselves:
//! the node that is marked wakes its children; a child scope that is woken takes the mark over and wakes its own.
//! One level per wake; nothing recurses, however deep the tree.
//!
//! A shielded scope does not take a request over, and an abort only once its shield's time is up.
//!
//! # Why a cancel misses nobody
//!
//! [`Node::request`] and [`Node::abort`] set the mark, *then* take the lock and wake whoever is on the list of parked
//! children, taking them off it. [`Node::park`] takes the lock, *then* reads the mark.
//!
//! - Park first: the cancel finds the link, and wakes.
//! - Cancel first: park sees the mark (the lock orders the two). For an abort the child ends at once; for a request it
//!   enters the list, and has seen the mark.
//!
//! A child that was parked before skips the lock if it sees no mark. If it just misses one, the cancel is about to take
//! its link off the list and to wake it, while it is still running: it is polled again, and sees the mark then.
//! A child that is queued and has not parked is not on the list; it reads the mark before its next poll. The node's own task is reached
//! through its link on *its* parent's list in the same way, if it is there: a scope that waits for scopes below need not be
//! ([`super::listing`]).
//!
//! # Time
//!
//! The end of a grace period or a shield, and a scope's own deadline, are instants that the node's own task keeps: it
//! arms one timer for the earliest of them ([`Node::keep_time`]). Children keep none.

use std::panic::Location;
use std::ptr::NonNull;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::cause::{Cause, CauseKind, panic_message};
use super::failure::{self, Cancelled, Payload};
use super::listing;
use super::node::{Node, Up};
use super::parked::Link;
use super::setup::Label;
use super::state::{Mark, Orders};
use super::watchers::Watchers;
use crate::context;

/// What [`Node::park`] found.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Park {
    /// On the list: a cancel will wake the task.
    Parked,
    /// The scope is aborted: end now, nobody will wake you.
    Aborted,
}

impl Node {
    // ---- parking ---------------------------------------------------------------------------------------------

    /// What the node asks of its children now.
    #[inline]
    pub(crate) fn orders(&self) -> Orders {
        self.state.orders()
    }

    /// Puts a child's link on the list, so that a cancel wakes it.
    ///
    /// # Safety
    /// `link` is pinned, belongs to the caller, a child of this node, and is unparked before it goes away. `waker` is that of the
    /// caller's task, if it is a task's at all.
    pub(crate) unsafe fn park(&self, link: NonNull<Link>, waker: &Waker) -> Park {
        let mut held = self.held.lock();
        if self.orders() == Orders::Abort {
            return Park::Aborted;
        }
        // SAFETY: by contract; the lock is held.
        unsafe { held.parked.insert(link, None, waker) };
        drop(held);
        self.list_path();
        Park::Parked
    }

    /// Takes a child's link off the list, if it is on it.
    ///
    /// # Safety
    /// `link` is alive and belongs to a child of this node.
    pub(crate) unsafe fn unpark(&self, link: NonNull<Link>) {
        let mut held = self.held.lock();
        // SAFETY: by contract; the lock is held.
        let waker = unsafe { held.parked.remove(link) };
        drop(held);
        drop(waker);
    }

    /// [`park`](Self::park) for the node's own task: wakes come from a cancel of the parent or of the node itself.
    pub(crate) fn park_self(&self) -> Park {
        let Some(parent) = self.parent() else { return Park::Parked };
        let mut held = parent.held.lock();
        let park = if self.is_aborted() || (parent.orders() == Orders::Abort && !self.is_shielded()) {
            Park::Aborted
        } else {
            self.enter_list(&mut held.parked);
            Park::Parked
        };
        drop(held);
        // An aborted scope may park, too, in its cleanup.
        parent.list_path();
        park
    }

    /// Whether a task that was parked is parked still: no mark has taken it off its list.
    #[inline]
    pub(crate) fn is_still_parked(&self) -> bool {
        !self.is_aborted() && self.parent().is_none_or(|parent| parent.orders() == Orders::GoOn)
    }

    /// [`unpark`](Self::unpark) for the node's own task.
    pub(crate) fn unpark_self(&self) {
        if let Up::Scope { parent, link, .. } = &self.up {
            // SAFETY: the link lies in this node, whose task is a child of `parent`.
            unsafe { parent.unpark(NonNull::from(link)) };
        }
    }

    // ---- down ------------------------------------------------------------------------------------------------

    /// Whether the node's body and children are to be dropped.
    #[inline]
    pub(crate) fn is_aborted(&self) -> bool {
        self.state.is(Mark::Aborted)
    }

    /// Whether a cancel has been requested, or more, and has come down to this node.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.state.is(Mark::Requested)
    }

    fn is_shielded(&self) -> bool {
        self.setup().is_some_and(|setup| setup.shield.is_some())
    }

    /// Whether there is nothing for the node's own task to take over: nothing asked of it from above, no mark, no instant to
    /// keep. So it is nearly always, and the look costs two loads.
    #[inline]
    pub(crate) fn is_undisturbed(&self) -> bool {
        self.parent().is_none_or(|parent| parent.orders() == Orders::GoOn) && self.state.is_undisturbed()
    }

    /// Takes over what the scope above asks for. Called by the node's own task at every poll.
    pub(crate) fn take_orders(&self) {
        let Some(parent) = self.parent() else { return };
        match parent.orders() {
            Orders::GoOn => {}
            Orders::WindUp if self.is_shielded() => {}
            Orders::WindUp => self.spread(Mark::Requested),
            Orders::Abort => match self.setup().and_then(|setup| setup.shield) {
                None => self.spread(Mark::Aborted),
                Some(limit) => self.abort_after(limit),
            },
        }
    }

    /// Requests a cancel, and an abort `grace` later.
    pub(crate) fn request(&self, grace: Duration, cause: impl FnOnce(&Self) -> Cause) {
        listing::list_current();
        self.record(cause);
        self.abort_after(grace);
        self.spread(Mark::Requested);
    }

    /// Aborts: body and children are dropped at their next await. Idempotent.
    pub(crate) fn abort(&self, cause: impl FnOnce(&Self) -> Cause) {
        listing::list_current();
        if !self.is_aborted() {
            self.record(cause);
            self.spread(Mark::Aborted);
        }
    }

    /// Aborts the children, but not the body.
    pub(crate) fn abort_children(&self) {
        listing::list_current();
        self.spread(Mark::ChildrenAborted);
    }

    /// Sets a mark, and wakes whoever should see it.
    fn spread(&self, mark: Mark) {
        if !self.state.mark(mark) {
            return;
        }
        self.tell();
        self.wake_parked();
        // An abort of the children is no request: whoever waits for one would find none, and nobody to wake it later.
        if self.is_cancelled() {
            let watchers = self.held.lock().rare_if_any().map(|rare| rare.watchers.take());
            watchers.into_iter().for_each(Watchers::wake);
        }
        self.wake_owner();
        // Whoever cancels may be about to drop its own future, and a destructor there to wait for one of those.
        self.sched().nudge();
    }

    /// Wakes the node's own task, be it on a list or not, unless it is being polled here: it looks before it parks.
    fn wake_owner(&self) {
        if context::is_own_task_of(self) {
            return;
        }
        match &self.up {
            Up::Root(signal) => signal.wake_by_ref(),
            // SAFETY: the node, which is alive during the call, lies in the task.
            Up::Scope { task, .. } => unsafe { task.wake() },
        }
    }

    /// Wakes all parked children, a batch per turn of the lock, so that others get it in between.
    fn wake_parked(&self) {
        const BATCH: usize = 32;
        loop {
            let mut batch: [Option<Waker>; BATCH] = [const { None }; BATCH];
            let mut held = self.held.lock();
            for slot in &mut batch {
                *slot = held.parked.pop();
            }
            let last = held.parked.is_empty();
            drop(held);
            batch.into_iter().flatten().for_each(Waker::wake);
            if last {
                return;
            }
        }
    }

    // ---- up --------------------------------------------------------------------------------------------------

    /// Records why the node fails, unless it fails already, and cancels it. `child` is whose panic it was, if it was a
    /// child's own.
    pub(crate) fn fail(&self, payload: Payload, child: Option<Label>) {
        if payload.is::<Cancelled>() {
            self.abort(|node| node.cause_here(CauseKind::Requested, child, String::new()));
            return;
        }
        let message = panic_message(&*payload);
        let mut held = self.held.lock();
        let failure = &mut held.rare().failure;
        let loser = if failure.is_none() { failure.replace(payload) } else { Some(payload) };
        drop(held);
        self.state.set_holds();
        self.wind_up(|node| node.cause_here(CauseKind::Panic, child, message));
        if let Some(loser) = loser {
            failure::discard(loser);
        }
    }

    /// Cancels the node because something in it failed: at once, or with the scope's grace period.
    pub(crate) fn wind_up(&self, cause: impl FnOnce(&Self) -> Cause) {
        match self.setup().map(|setup| setup.grace) {
            Some(grace) if !grace.is_zero() => self.request(grace, cause),
            _ => self.abort(cause),
        }
    }

    /// The failure to hand to the scope above.
    #[inline]
    pub(crate) fn take_failure(&self) -> Option<Payload> {
        if self.state.holds() { self.take_kept_failure() } else { None }
    }

    #[cold]
    fn take_kept_failure(&self) -> Option<Payload> {
        self.held.lock().rare_if_any().and_then(|rare| rare.failure.take())
    }

    // ---- causes ----------------------------------------------------------------------------------------------

    /// Records a cause, unless the node is being cancelled for one already, its own or one from above.
    ///
    /// The look upwards is for a node that bears a mark only. One that does not is not what a cancel above has reached (it
    /// may be shielded), and a panic that goes up through all levels would otherwise look all the way up from each.
    fn record(&self, cause: impl FnOnce(&Self) -> Cause) {
        let known = if self.is_cancelled() { self.cause() } else { self.own_cause() };
        if known.is_some() {
            return;
        }
        let cause = cause(self);
        self.held.lock().rare().cause.get_or_insert(cause);
    }

    /// A cause that arises here. A child's location is where it was spawned, the body's where the scope was opened.
    pub(crate) fn cause_here(&self, kind: CauseKind, child: Option<Label>, message: String) -> Cause {
        let location = child.map_or(self.location(), |label| label.location);
        Cause::new(kind, self.path(), child, location, message)
    }

    /// A cause that somebody's call at `location` is.
    pub(crate) fn cause_at(&self, location: &'static Location<'static>, message: String) -> Cause {
        Cause::new(CauseKind::Requested, self.path(), None, location, message)
    }

    /// Why the node is being cancelled: its own cause, or the nearest above it that is.
    pub(crate) fn cause(&self) -> Option<Cause> {
        let mut at = Some(self);
        while let Some(node) = at {
            if let Some(cause) = node.held.lock().rare_if_any().and_then(|rare| rare.cause.clone()) {
                return Some(cause);
            }
            at = node.parent();
        }
        None
    }

    /// Takes over the cause of a scope below whose failure becomes this node's.
    pub(crate) fn inherit_cause(&self, cause: Cause) {
        self.record(|_| cause);
    }

    /// Whether it was the node's own deadline that aborted it.
    pub(crate) fn is_late(&self) -> bool {
        self.held.lock().rare_if_any().is_some_and(|rare| rare.late)
    }

    /// The cause that arose on this very node.
    pub(crate) fn own_cause(&self) -> Option<Cause> {
        self.held.lock().rare_if_any().and_then(|rare| rare.cause.clone())
    }

    /// What the node is called in paths: its name, or where it was opened.
    pub(crate) fn name(&self) -> String {
        match self.setup().and_then(|setup| setup.name.as_deref()) {
            Some(name) => name.to_owned(),
            None if self.parent().is_none() => "root".to_owned(),
            None => Label { name: None, location: self.location() }.to_string(),
        }
    }

    /// Names from the root down. A root without a name is left out, unless it is all there is.
    pub(crate) fn path(&self) -> String {
        let mut names = Vec::new();
        let mut at = Some(self);
        while let Some(node) = at {
            at = node.parent();
            if at.is_some() || names.is_empty() {
                names.push(node.name());
            }
        }
        names.reverse();
        names.join("/")
    }

    // ---- time ------------------------------------------------------------------------------------------------

    /// The effective deadline: the least of the node's own and its ancestors', an ancestor's being put off by the limit of
    /// every shield below it.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let mut least: Option<Instant> = None;
        let mut put_off = Duration::ZERO;
        let mut at = Some(self);
        while let Some(node) = at {
            if let Some(setup) = node.setup() {
                let own = setup.deadline.and_then(|deadline| deadline.checked_add(put_off));
                least = [least, own].into_iter().flatten().min();
                put_off = put_off.saturating_add(setup.shield.unwrap_or_default());
            }
            at = node.parent();
        }
        least
    }

    /// Aborts the node `after` from now, unless it is to be aborted earlier.
    fn abort_after(&self, after: Duration) {
        // A grace period past what an `Instant` can say never ends.
        let Some(at) = self.sched().now().checked_add(after) else { return };
        let mut held = self.held.lock();
        let abort_at = &mut held.rare().abort_at;
        if abort_at.is_some_and(|earlier| earlier <= at) {
            return;
        }
        *abort_at = Some(at);
        drop(held);
        self.state.set_timed();
        self.wake_owner();
    }

    /// Does what is due, and arms a timer for what is not. Called by the node's own task, with its waker, at every poll.
    #[inline]
    pub(crate) fn keep_time(&self, waker: &Waker) {
        if self.state.is_timed() && !self.is_aborted() {
            self.keep_time_slow(waker);
        }
    }

    #[cold]
    fn keep_time_slow(&self, waker: &Waker) {
        let now = self.sched().now();
        let deadline = self.setup().and_then(|setup| setup.deadline);
        if deadline.is_some_and(|deadline| deadline <= now) {
            self.disarm();
            self.held.lock().rare().late = true;
            self.record(|node| node.cause_here(CauseKind::Deadline, None, String::new()));
            return self.spread(Mark::Aborted);
        }
        let mut held = self.held.lock();
        let rare = held.rare();
        if rare.abort_at.is_some_and(|at| at <= now) {
            drop(held);
            self.disarm();
            return self.spread(Mark::Aborted);
        }
        let Some(next) = [deadline, rare.abort_at].into_iter().flatten().min() else { return };
        if rare.alarm.is_some_and(|(at, _)| at == next) {
            return;
        }
        let old = rare.alarm.take();
        drop(held);
        if let Some((_, key)) = old {
            self.sched().disarm(key);
        }
        // Armed outside the lock: the driver may call back nobody, but its locks are its own affair.
        if let Some(key) = self.sched().arm(next, waker) {
            self.held.lock().rare().alarm = Some((next, key));
        }
    }

    /// Disarms the node's timer, if one is armed. Called by the node's own task.
    #[inline]
    pub(crate) fn disarm(&self) {
        if self.state.is_timed() {
            self.disarm_alarm();
        }
    }

    #[cold]
    fn disarm_alarm(&self) {
        let alarm = self.held.lock().rare_if_any().and_then(|rare| rare.alarm.take());
        if let Some((_, key)) = alarm {
            self.sched().disarm(key);
        }
    }
}
