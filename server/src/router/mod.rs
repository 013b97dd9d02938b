//! The state that all connections share: who is connected and what is queued for them.
//!
//! Connections borrow it where their tasks may, and [hold](Hold) it in an `Arc` where they may not. The designs
//! that keep another state have only their [guests](Guest) counted here.

mod ids;
mod outbox;
mod registry;
mod seat;
mod slot;
mod stats;

use crate::limits::Limits;
use crate::protocol::{Frames, Run, TooLong};
use crate::work;

use outbox::Offer;
use registry::Registry;

pub(crate) use ids::Ids;
pub use registry::Count;
pub use seat::{Guest, Hold, Reading, Seat};
pub use stats::{Counter, Stats};

/// What became of frames that were routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routed {
    /// Every complete frame is queued or dropped.
    All,
    /// The next frame's receiver is full: the sender has to wait, by [`Router::send`].
    Blocked,
}

/// A router's state.
#[derive(Debug)]
pub struct Router {
    limits: Limits,
    registry: Registry,
    stats: Stats,
}

impl Router {
    /// A router with nobody connected. `max_connections` is taken as at least 1 and at most
    /// [`Limits::MOST_CONNECTIONS`].
    pub fn new(limits: Limits) -> Self {
        Self::with_key(limits, fastrand::u32(..))
    }

    /// As [`new`](Router::new), with ids that follow from `key`. Whoever knows the key can foresee them.
    pub fn with_key(limits: Limits, key: u32) -> Self {
        let max_connections = limits.max_connections.clamp(1, Limits::MOST_CONNECTIONS);
        let limits = Limits { max_connections, ..limits };
        Router { limits, registry: Registry::new(&limits, key), stats: Stats::default() }
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What was done so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Who is here now.
    pub fn count(&self) -> Count {
        self.registry.count()
    }

    /// How many bytes are queued for all connections together.
    pub fn queued_bytes(&self) -> usize {
        self.registry.slots().map(slot::Slot::queued).sum()
    }

    /// Waits until [`count`](Router::count) is as wanted. One task may wait at a time: the one that accepts
    /// and then shuts down.
    pub async fn until(&self, wanted: impl Fn(Count) -> bool) {
        self.registry.until(wanted).await;
    }

    /// Gives a new connection its id, and queues the greeting. `None` if there is no room.
    pub fn seat(&self) -> Option<Seat<&Router>> {
        Seat::new(self)
    }

    /// Queues frames for their receivers, in order, until none is left or a receiver is full. A frame
    /// to nobody is dropped and counted.
    ///
    /// # Errors
    ///
    /// [`TooLong`] if a frame is; the frames before it are routed.
    pub fn route(&self, frames: &mut Frames<'_>) -> Result<Routed, TooLong> {
        let mut tally = Tally { stats: &self.stats, frames: 0, bytes: 0, dropped: 0 };
        while let Some(run) = frames.run()? {
            let run = self.handled(run);
            work::spin(self.limits.work, run.len());
            let offer = self
                .registry
                .slot(run.to())
                .map_or(Offer::Gone, |slot| slot.offer(self.limits.queue_bytes, &run));
            let done = tally.count(&run, offer);
            frames.consume(&run, done);
            if done < run.len() {
                return Ok(Routed::Blocked);
            }
        }
        Ok(Routed::All)
    }

    /// Waits in line until at least one frame of the run is queued, or its receiver is gone; gives how
    /// many frames are done with. Dropped half-way it leaves the line.
    pub async fn send(&self, run: &Run<'_>) -> usize {
        let run = self.handled(*run);
        let offer = match self.registry.slot(run.to()) {
            Some(slot) => {
                self.stats.waits.add(1);
                slot.send(self.limits.queue_bytes, &run).await
            }
            None => Offer::Gone,
        };
        Tally { stats: &self.stats, frames: 0, bytes: 0, dropped: 0 }.count(&run, offer)
    }

    /// What is handled before any of it is queued: one frame if that costs something, else all. So each frame is
    /// [handled](work::spin) once, in [`route`](Router::route); one that is blocked then has been.
    fn handled<'a>(&self, run: Run<'a>) -> Run<'a> {
        if self.limits.work.is_zero() { run } else { run.first() }
    }

    /// Lets every writer end when it has written what is queued; no further frame is queued.
    pub fn finish(&self) {
        self.registry.slots().for_each(slot::Slot::finish);
    }
}

/// Adds up what one read brought and counts it when dropped: the shared counters are touched once.
struct Tally<'a> {
    stats: &'a Stats,
    frames: usize,
    bytes: usize,
    dropped: usize,
}

impl Tally<'_> {
    /// How many frames of the run are done with.
    fn count(&mut self, run: &Run<'_>, offer: Offer) -> usize {
        match offer {
            Offer::Queued(frames) => {
                self.frames += frames;
                self.bytes += run.body_bytes(frames);
                frames
            }
            Offer::Gone => {
                self.dropped += run.len();
                run.len()
            }
        }
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        self.stats.frames.add(self.frames);
        self.stats.bytes.add(self.bytes);
        self.stats.dropped.add(self.dropped);
    }
}

#[cfg(test)]
mod tests;
