//! What was seen.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::ledger::Faults;

/// Above this share of its time the generator may be what limits the throughput.
const SATURATED: f64 = 0.9;

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
    /// In ns: how much later than intended messages were encoded, unless the server kept the sender waiting.
    /// The generator's own share of the latency.
    pub lateness: Histogram<u64>,
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
        self.measured as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// How many messages arrived from the sender from whom the fewest did, as a share of the mean over all senders:
    /// 1 if all are served alike, and near 0 if somebody waits while others are served again and again.
    pub fn evenness(&self) -> f64 {
        self.least_served as f64 * self.senders as f64 / (self.measured as f64).max(1.0)
    }

    /// The generator's processor time as a share of the time that was measured.
    pub fn share(&self) -> f64 {
        self.cpu.as_secs_f64() / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// How long the generator waited for a processor, as a share of the time that was measured.
    pub fn waiting(&self) -> f64 {
        self.waited.as_secs_f64() / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Whether the generator had hardly a pause: what was measured may be its own speed.
    pub fn is_saturated(&self) -> bool {
        self.share() + self.waiting() > SATURATED
    }

    /// A latency in µs: that of the share `quantile` of messages is at most this.
    pub fn latency_us(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
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
        let per_message = |ns: f64| ns / (self.measured as f64).max(1.0);
        Summary {
            sent: self.sent,
            arrived: self.arrived,
            unsent: self.unsent,
            missing: self.missing,
            faults: self.faults,
            stalled: self.stalled,
            seconds: self.elapsed.as_secs_f64(),
            messages_per_second: self.throughput(),
            p50_us: self.latency_us(0.5),
            p90_us: self.latency_us(0.9),
            p99_us: self.latency_us(0.99),
            p999_us: self.latency_us(0.999),
            max_us: self.latency_us(1.0),
            evenness: self.evenness(),
            generator_cpu_ns_per_message: per_message(self.cpu.as_nanos() as f64),
            generator_cpu_share: self.share(),
            generator_waiting_share: self.waiting(),
            generator_late_p99_us: self.lateness.value_at_quantile(0.99) as f64 / 1e3,
            saturated: self.is_saturated(),
            failure: self.failure(),
        }
    }
}

/// An [`Outcome`] in figures, as `--json` gives it.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "as in the outcome; units are in the names")]
pub struct Summary {
    pub sent: u64,
    pub arrived: u64,
    pub unsent: u64,
    pub missing: u64,
    pub faults: Faults,
    pub stalled: bool,
    pub seconds: f64,
    pub messages_per_second: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
    pub evenness: f64,
    pub generator_cpu_ns_per_message: f64,
    pub generator_cpu_share: f64,
    pub generator_waiting_share: f64,
    pub generator_late_p99_us: f64,
    pub saturated: bool,
    pub failure: Option<String>,
}

/// For people.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "messages    {} sent, {} arrived; {}", self.sent, self.arrived, self.faults)?;
        writeln!(f, "throughput  {:.0} messages/s for {:.2} s", self.messages_per_second, self.seconds)?;
        writeln!(
            f,
            "latency     {:.1} µs median, {:.1} p90, {:.1} p99, {:.1} p99.9, {:.1} at most",
            self.p50_us, self.p90_us, self.p99_us, self.p999_us, self.max_us
        )?;
        writeln!(f, "evenness    {:.2}: the client served least, of the mean", self.evenness)?;
        write!(
            f,
            "generator   {:.2} µs of processor time per message, busy {:.0} % of the time, \
             waiting for a processor {:.0} %, {:.1} µs late at p99",
            self.generator_cpu_ns_per_message / 1e3,
            self.generator_cpu_share * 100.0,
            self.generator_waiting_share * 100.0,
            self.generator_late_p99_us
        )?;
        if self.unsent > 0 {
            write!(f, "\nwarning: {} messages were due and could not be sent in time", self.unsent)?;
        }
        if self.saturated {
            write!(f, "\nwarning: the generator had hardly a pause; the server may be faster")?;
        }
        Ok(())
    }
}
