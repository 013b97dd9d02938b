//! One workload on one server, once.

use std::time::Duration;

use serde::Serialize;

use super::machine::Placement;
use super::process::Server;
use super::subject::Subject;
use super::usage::Usage;
use super::workload::Workload;
use crate::load::{self, LoadError, Plan, Watch};

/// How long a server may deliver nothing before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(2);

/// A server that is busy for more than this share of its processors is the limit itself: with a faster generator it could pass
/// hardly more.
const BUSY: f64 = 0.95;

/// How long it runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) warm_up: Duration,
    pub(super) measured: Duration,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Figures {
    pub(super) messages_per_second: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    /// See [`Outcome::evenness`](load::Outcome::evenness).
    pub(super) evenness: f64,
    /// Of the server.
    pub(super) cpu_us_per_message: f64,
    /// Of the server.
    pub(super) switches_per_message: f64,
    /// Of the server: what it has grown by since before the first connection.
    pub(super) rss_kib_per_connection: f64,
    /// Of the processors that the server can use.
    pub(super) server_share: f64,
    pub(super) generator_share: f64,
    pub(super) generator_waiting: f64,
    /// How much later than intended the generator sent: its own share of the latency, at p99.
    pub(super) generator_late_p99_us: f64,
    /// The generator had hardly a pause, and the server had some.
    pub(super) saturated: bool,
}

/// Why there are no figures.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// It does not even greet its clients, whatever the workload.
    Useless(String),
    /// Nothing arrived while it was measured, though everything did in the end: the machine was busy, or it is very
    /// slow. Worth another try.
    Nothing,
    /// Anything else.
    Failed(String),
}

impl Failure {
    pub(super) fn text(&self) -> &str {
        match self {
            Failure::Useless(text) | Failure::Failed(text) => text,
            Failure::Nothing => "nothing arrived in time",
        }
    }
}

/// Asks the system about the server when measuring begins and ends.
struct Meter {
    pid: u32,
    usage: [Option<Usage>; 2],
}

impl Watch for Meter {
    fn begins(&mut self) {
        self.usage[0] = Usage::of(self.pid);
    }

    fn ends(&mut self) {
        self.usage[1] = Usage::of(self.pid);
    }
}

pub(super) fn run(
    subject: Subject,
    workload: &Workload,
    placement: &Placement,
    times: Times,
) -> Result<Figures, Failure> {
    let mut options = vec!["--workers".to_owned(), placement.workers().to_string()];
    if workload.work_us > 0 {
        options.extend(["--work".to_owned(), format!("{}us", workload.work_us)]);
    }
    let server = Server::start(subject, &placement.server, &options).map_err(Failure::Failed)?;
    let before = Usage::of(server.pid()).unwrap_or_default();
    let plan = Plan {
        addr: server.addr,
        connections: workload.connections,
        pattern: workload.pattern,
        pace: workload.pace(),
        payload: workload.payload,
        warm_up: times.warm_up,
        duration: times.measured,
        messages: None,
        patience: PATIENCE,
        processors: placement.load.clone(),
    };
    let mut meter = Meter { pid: server.pid(), usage: [None; 2] };
    let outcome = load::run(&plan, &mut meter).map_err(|error| match error {
        // No workload has fewer than two clients. A later one may be one too many for this workload alone.
        LoadError::NotGreeted(0 | 1, _) => Failure::Useless(error.to_string()),
        error => Failure::Failed(error.to_string()),
    })?;
    if let Some(failure) = outcome.failure() {
        return Err(Failure::Failed(failure));
    }
    if outcome.measured == 0 {
        return Err(Failure::Nothing);
    }
    let [Some(begin), Some(end)] = meter.usage else {
        return Err(Failure::Failed("the system does not say what the server used".to_owned()));
    };
    let (used, messages) = (end.since(begin), outcome.measured as f64);
    let cpu_us_per_message = used.cpu.as_secs_f64() * 1e6 / messages;
    let processors = if subject.design.is_on_one_thread() { 1 } else { placement.workers() };
    let server_share = cpu_us_per_message * outcome.throughput() / 1e6 / processors as f64;
    Ok(Figures {
        messages_per_second: outcome.throughput(),
        p50_us: outcome.latency_us(0.5),
        p99_us: outcome.latency_us(0.99),
        p999_us: outcome.latency_us(0.999),
        evenness: outcome.evenness(),
        cpu_us_per_message,
        switches_per_message: used.switches as f64 / messages,
        rss_kib_per_connection: end.since(before).resident as f64 / 1024.0 / workload.connections as f64,
        server_share,
        generator_share: outcome.share(),
        generator_waiting: outcome.waiting(),
        generator_late_p99_us: outcome.lateness_us(0.99),
        saturated: outcome.is_saturated() && server_share < BUSY,
    })
}
