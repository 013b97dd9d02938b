//! Who was dropped, when, and how often.

use std::io::{Write, stderr};
use std::sync::Mutex;

/// Notes every drop of its items.
///
/// It lies below the root, and its items point at it, so that an item that is dropped after the root has returned is a
/// use after free that a sanitizer sees as well.
#[derive(Debug)]
pub(crate) struct Ledger {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Every item ever made, and how often it has been dropped.
    items: Vec<(&'static str, u32)>,
    /// Names of the items dropped and the marks set, oldest first.
    log: Vec<&'static str>,
    /// The scope has returned: nothing may be dropped any more.
    settled: bool,
}

/// Notes its drop.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    ledger: &'a Ledger,
    number: usize,
}

impl Ledger {
    pub(crate) const fn new() -> Self {
        Self { state: Mutex::new(State { items: Vec::new(), log: Vec::new(), settled: false }) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A new item.
    pub(crate) fn item(&self, name: &'static str) -> Item<'_> {
        let mut state = self.state();
        state.items.push((name, 0));
        Item { ledger: self, number: state.items.len() - 1 }
    }

    /// Sets a mark in the order of drops.
    pub(crate) fn mark(&self, name: &'static str) {
        self.state().log.push(name);
    }

    /// How many items or marks of this name are in the log.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.state().log.iter().filter(|&&other| other == name).count()
    }

    /// The scope has returned: every item has been dropped, once, and none will be from now on.
    #[track_caller]
    pub(crate) fn assert_settled(&self) {
        self.assert_settled_but(&[]);
    }

    /// As [`assert_settled`](Self::assert_settled), except that items of these names have been leaked, all of them.
    #[track_caller]
    pub(crate) fn assert_settled_but(&self, leaked: &[&str]) {
        let mut state = self.state();
        state.settled = true;
        assert!(!state.items.is_empty(), "no item was made, so this attack tested nothing");
        for (name, drops) in &state.items {
            let expected = u32::from(!leaked.contains(name));
            assert_eq!(*drops, expected, "drops of `{name}`; log: {:?}", state.log);
        }
    }

    /// Every `earlier` is in the log before any `later`, and both are in it.
    #[track_caller]
    pub(crate) fn assert_order(&self, earlier: &str, later: &str) {
        let state = self.state();
        let last_earlier = state.log.iter().rposition(|&name| name == earlier);
        let first_later = state.log.iter().position(|&name| name == later);
        let in_order = matches!((last_earlier, first_later), (Some(a), Some(b)) if a < b);
        assert!(in_order, "`{earlier}` before `{later}` in {:?}", state.log);
    }
}

impl Drop for Item<'_> {
    fn drop(&mut self) {
        let mut state = self.ledger.state();
        let (name, drops) = &mut state.items[self.number];
        *drops += 1;
        let (name, drops) = (*name, *drops);
        state.log.push(name);
        let settled = state.settled;
        drop(state);
        // Not a panic: this may run where one would be caught, or hidden behind another.
        if drops > 1 || settled {
            let wrong = if drops > 1 { "twice" } else { "after its scope had returned" };
            // Not `eprintln!`, which the test harness would keep to itself.
            let _ = writeln!(stderr(), "`{name}` was dropped {wrong}");
            std::process::abort();
        }
    }
}

/// Runs a closure when dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub(crate) fn new(then: F) -> Self {
        Self(Some(then))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then();
        }
    }
}
