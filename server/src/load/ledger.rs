//! The books: what was sent in each flow, and what became of it.
//!
//! A flow is what one sender sends to one receiver. The protocol keeps the order within a flow, so the next
//! message of a flow is known; one that comes instead says what went wrong.

use std::collections::BTreeMap;

use serde::Serialize;

use super::payload::Message;

/// What an arrival was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The next of its flow, or one after it; so many are now no longer waited for.
    Next(u64),
    /// One that others had overtaken.
    Late,
    /// It has been here before, or is not this connection's, or was never sent.
    Wrong,
}

/// What went wrong, in messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Sent, and never arrived.
    pub lost: u64,
    /// Arrived again.
    pub doubled: u64,
    /// Arrived after one that was sent later.
    pub reordered: u64,
    /// Not what was sent: the checksum is wrong, or it was never sent.
    pub corrupted: u64,
    /// Arrived at another connection.
    pub misrouted: u64,
}

impl Faults {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Faults::default()
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Faults { lost, doubled, reordered, corrupted, misrouted } = self;
        write!(
            f,
            "{lost} lost, {doubled} doubled, {reordered} reordered, {corrupted} corrupted, {misrouted} misrouted"
        )
    }
}

#[derive(Debug)]
struct Flow {
    receiver: usize,
    sent: u64,
    /// The number after the highest that has arrived.
    next: u64,
    /// Ranges below `next` that have not arrived: the first number of each, and the one after its last.
    missing: BTreeMap<u64, u64>,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Ledger {
    flows: Vec<Flow>,
    faults: Faults,
    /// How many were sent and may still arrive in order.
    pending: u64,
    arrived: u64,
}

impl Ledger {
    /// A new flow's number.
    pub(super) fn open(&mut self, receiver: usize) -> usize {
        self.flows.push(Flow { receiver, sent: 0, next: 0, missing: BTreeMap::new() });
        self.flows.len() - 1
    }

    /// Enters one more message of a flow; gives its number.
    pub(super) fn send(&mut self, flow: usize) -> u64 {
        self.pending += 1;
        let flow = &mut self.flows[flow];
        flow.sent += 1;
        flow.sent - 1
    }

    /// Enters what arrived at `receiver`; `None` is what was not readable.
    pub(super) fn arrive(&mut self, receiver: usize, message: Option<Message>) -> Arrival {
        let known = message.and_then(|message| Some((message, self.flows.get_mut(message.flow)?)));
        let Some((Message { number, .. }, flow)) = known.filter(|(message, flow)| message.number < flow.sent)
        else {
            self.faults.corrupted += 1;
            return Arrival::Wrong;
        };
        if flow.receiver != receiver {
            self.faults.misrouted += 1;
            return Arrival::Wrong;
        }
        if number >= flow.next {
            if number > flow.next {
                flow.missing.insert(flow.next, number);
            }
            let done = number + 1 - flow.next;
            flow.next = number + 1;
            self.pending -= done;
            self.arrived += 1;
            return Arrival::Next(done);
        }
        if flow.find(number) {
            self.faults.reordered += 1;
            self.arrived += 1;
            Arrival::Late
        } else {
            self.faults.doubled += 1;
            Arrival::Wrong
        }
    }

    /// How many messages are under way, as far as anyone can tell.
    pub(super) fn pending(&self) -> u64 {
        self.pending
    }

    /// How many have arrived, each counted once.
    pub(super) fn arrived(&self) -> u64 {
        self.arrived
    }

    pub(super) fn sent(&self) -> u64 {
        self.flows.iter().map(|flow| flow.sent).sum()
    }

    /// What went wrong if nothing more arrives.
    pub(super) fn faults(&self) -> Faults {
        Faults { lost: self.sent() - self.arrived, ..self.faults }
    }
}

impl Flow {
    /// Takes a number out of those that are missing; `false` if it is not.
    fn find(&mut self, number: u64) -> bool {
        let Some((&first, &end)) = self.missing.range(..=number).next_back() else { return false };
        if number >= end {
            return false;
        }
        self.missing.remove(&first);
        if first < number {
            self.missing.insert(first, number);
        }
        if number + 1 < end {
            self.missing.insert(number + 1, end);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends ten messages; gives the faults when these numbers have arrived.
    fn faults(numbers: &[u64]) -> Faults {
        let mut ledger = Ledger::default();
        let flow = ledger.open(1);
        (0..10).for_each(|n| assert_eq!(ledger.send(flow), n));
        for &number in numbers {
            ledger.arrive(1, Some(Message { flow, number, at: 0 }));
        }
        assert_eq!(ledger.arrived(), 10 - ledger.faults().lost);
        ledger.faults()
    }

    const ALL: [u64; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

    #[test]
    fn all_in_order_is_no_fault() {
        assert!(faults(&ALL).is_none());
    }

    #[test]
    fn what_is_missing_is_lost_wherever_it_was() {
        assert_eq!(faults(&ALL[1..]), Faults { lost: 1, ..Faults::default() });
        assert_eq!(faults(&ALL[..9]), Faults { lost: 1, ..Faults::default() });
        assert_eq!(faults(&[0, 4, 9]), Faults { lost: 7, ..Faults::default() });
        assert_eq!(faults(&[]), Faults { lost: 10, ..Faults::default() });
    }

    #[test]
    fn what_comes_twice_is_doubled() {
        assert_eq!(faults(&[&ALL[..], &[9, 0]].concat()), Faults { doubled: 2, ..Faults::default() });
    }

    #[test]
    fn what_others_overtake_is_reordered_and_not_lost() {
        assert_eq!(faults(&[0, 1, 3, 2, 4, 9, 6, 5, 8, 7]), Faults { reordered: 5, ..Faults::default() });
        // Once late, then again: doubled.
        let twice = Faults { reordered: 1, doubled: 1, ..Faults::default() };
        assert_eq!(faults(&[1, 0, 0, 2, 3, 4, 5, 6, 7, 8, 9]), twice);
    }

    #[test]
    fn what_was_never_sent_is_corrupted_and_what_goes_astray_misrouted() {
        let mut ledger = Ledger::default();
        let flow = ledger.open(1);
        ledger.send(flow);
        assert_eq!(ledger.arrive(1, None), Arrival::Wrong);
        assert_eq!(ledger.arrive(1, Some(Message { flow, number: 1, at: 0 })), Arrival::Wrong);
        assert_eq!(ledger.arrive(1, Some(Message { flow: 7, number: 0, at: 0 })), Arrival::Wrong);
        assert_eq!(ledger.arrive(0, Some(Message { flow, number: 0, at: 0 })), Arrival::Wrong);
        assert_eq!(ledger.faults(), Faults { lost: 1, corrupted: 3, misrouted: 1, ..Faults::default() });
        assert_eq!(ledger.pending(), 1);
    }
}
