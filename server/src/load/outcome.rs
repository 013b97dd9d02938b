//! What was seen.

use std::time::Duration;

use super::ledger::Faults;
use super::summary::Summary;
use hdrhistogram::Histogram;

/// Above this share of its time the generator may be what limits the throughput.
const SATURATED: f64 = 0.9;

/// A rate that is missed by no more than this share of it is reached.
const NEARLY: f64 = 0.05;

/// Above this share of a latency, lateness is most of it.
const MOST: f64 = 0.5;

/// What came of a [`Plan`](super::Plan).
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Messages sent, in all.
    pub sent: u64,
    /// Messages that arrived, each counted once, in all.
    pub arrived: u64,
    /// Messages that were due and could not be sent, for the server took none.
    pub unsent: u64,
    /// Messages that were asked for by their number, and had not been sent or become due when the time was over.
    pub missing: u64,
    /// What went wrong.
    pub faults: Faults,
    /// Messages that arrived while it was measured.
    pub measured: u64,
    /// How many of these were from the sender from whom the fewest were.
    pub least_served: u64,
    /// How many clients sent.
    pub senders: usize,
    /// How long it was measured.
    pub elapsed: Duration,
    /// In ns, of messages that were to be sent while it was measured.
    pub latency: Histogram<u64>,
    /// In ns, of the same messages: how much later than intended they were encoded, unless the server kept the
    /// sender waiting. The generator's own share of the latency. Empty in a closed loop.
    pub lateness: Histogram<u64>,
    /// Messages per second that were to be sent; `None` in a closed loop.
    pub asked: Option<f64>,
    /// Messages that were sent while it was measured, or handed to the kernel at least.
    pub offered: u64,
    /// How long these were sent: as long as it was measured, or until the last of a number that was asked for.
    pub sending: Duration,
    /// Processor time that the generator used while it was measured.
    pub cpu: Duration,
    /// How long the generator had something to do meanwhile and no processor to do it on.
    pub waited: Duration,
    /// The server stopped delivering, and was given up.
    pub stalled: bool,
}

impl Outcome {
    /// Messages per second.
    pub fn throughput(&self) -> f64 {
        per(self.measured as f64, self.elapsed)
    }

    /// How many messages arrived from the sender from whom the fewest did, as a share of the mean over all senders:
    /// 1 if all are served alike, and near 0 if somebody waits while others are served again and again.
    pub fn evenness(&self) -> f64 {
        self.least_served as f64 * self.senders as f64 / (self.measured as f64).max(1.0)
    }

    /// The generator's processor time as a share of the time that was measured.
    pub fn share(&self) -> f64 {
        per(self.cpu.as_secs_f64(), self.elapsed)
    }

    /// How long the generator waited for a processor, as a share of the time that was measured.
    pub fn waiting(&self) -> f64 {
        per(self.waited.as_secs_f64(), self.elapsed)
    }

    /// Messages per second that were sent while it was measured.
    pub fn offered_rate(&self) -> f64 {
        per(self.offered as f64, self.sending)
    }

    /// Whether fewer messages per second were sent than were asked for, by more than a few per cent. The generator is
    /// too slow, or the server took no more.
    pub fn misses_rate(&self) -> bool {
        self.asked.is_some_and(|asked| {
            let due = asked * self.sending.as_secs_f64();
            // Beside one that falls on the edge.
            due - self.offered as f64 > (due * NEARLY).max(1.0)
        })
    }

    /// Whether the latencies are the generator's rather than the server's: most of the median or of the p99 is that it
    /// was late itself, or it did not reach its rate and had hardly a pause. (Then it looks seldom whether there is
    /// room for more, and cannot tell whom a message waited for.)
    pub fn is_late(&self) -> bool {
        let late = |quantile| self.lateness_us(quantile) > self.latency_us(quantile) * MOST;
        let measured = !self.latency.is_empty() && !self.lateness.is_empty();
        measured && (late(0.5) || late(0.99)) || self.misses_rate() && self.is_saturated()
    }

    /// Whether the generator had hardly a pause: what was measured may be its own speed.
    pub fn is_saturated(&self) -> bool {
        self.share() + self.waiting() > SATURATED
    }

    /// A latency in µs: that of the share `quantile` of messages is at most this.
    pub fn latency_us(&self, quantile: f64) -> f64 {
        micros(&self.latency, quantile)
    }

    /// The same of the [lateness](Outcome::lateness).
    pub fn lateness_us(&self, quantile: f64) -> f64 {
        micros(&self.lateness, quantile)
    }

    /// Why the run failed, if it did.
    pub fn failure(&self) -> Option<String> {
        if self.stalled {
            return Some(format!("the server stopped delivering: {}", self.faults));
        }
        let missing = format!("{} of the messages asked for were not sent in the time given", self.missing);
        match (self.missing > 0, self.faults.is_none()) {
            (true, true) => Some(missing),
            (true, false) => Some(format!("{missing}; {}", self.faults)),
            (false, false) => Some(self.faults.to_string()),
            (false, true) => None,
        }
    }

    /// The figures alone.
    pub fn summary(&self) -> Summary {
        Summary::of(self)
    }
}

/// Of times in ns.
pub(super) fn micros(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1e3
}

/// So much per second; nothing in no time.
fn per(much: f64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { much / time.as_secs_f64() }
}
