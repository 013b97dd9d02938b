//! What the connections have to send, and to whom.

use std::time::Duration;

use super::ledger::Ledger;

/// What a connection has to send; one that only receives has no flows.
#[derive(Debug)]
pub(super) struct Sender {
    /// Its place among those who send.
    pub(super) place: u64,
    /// Its flows have consecutive numbers: the first, and how many.
    flows: (usize, u64),
    pub(super) sent: u64,
    /// How many it may send now.
    pub(super) due: u64,
    /// When the kernel took more again, or the start: what was due before waited for the server.
    pub(super) free: Duration,
    /// Of its messages, so many arrived while it was measured.
    pub(super) served: u64,
    /// It is among those who are ready.
    pub(super) listed: bool,
}

impl Sender {
    /// It may send so many more, but not more than `most` in all.
    pub(super) fn allow(&mut self, messages: u64, most: u64) {
        self.due += messages.min(most.saturating_sub(self.sent + self.due));
    }

    /// One that was due is sent; gives its flow. Flows take turns.
    pub(super) fn next_flow(&mut self) -> usize {
        let flow = self.flows.0 + (self.sent % self.flows.1) as usize;
        self.sent += 1;
        self.due -= 1;
        flow
    }
}

/// Who sends what.
#[derive(Debug, Default)]
pub(super) struct Senders {
    /// One for each connection.
    pub(super) all: Vec<Sender>,
    /// The connections of those who send something.
    pub(super) places: Vec<usize>,
    /// The connections at the two ends of each flow.
    pub(super) flows: Vec<(usize, usize)>,
}

impl Senders {
    /// Those who send to these receivers each; their flows are opened in the books.
    pub(super) fn new(receivers: &[Vec<usize>], ledger: &mut Ledger) -> Self {
        let mut senders = Senders::default();
        for (n, receivers) in receivers.iter().enumerate() {
            senders.all.push(Sender {
                place: senders.places.len() as u64,
                flows: (senders.flows.len(), receivers.len() as u64),
                sent: 0,
                due: 0,
                free: Duration::ZERO,
                served: 0,
                listed: false,
            });
            if !receivers.is_empty() {
                senders.places.push(n);
            }
            for &receiver in receivers {
                ledger.open(receiver);
                senders.flows.push((n, receiver));
            }
        }
        senders
    }

    /// How many messages are due and not sent.
    pub(super) fn due(&self) -> u64 {
        self.all.iter().map(|sender| sender.due).sum()
    }
}
