//! Who is connected.
//!
//! A slot per connection, found from its id alone (see [`Ids`]), so no lock is shared by senders to
//! different receivers. Slots lie in segments that are made when they are first needed and never move,
//! so a `&Slot` lives as long as the registry. One lock, the census, is taken when a connection comes
//! or goes, never for a frame.

use std::collections::{HashSet, VecDeque};
use std::future::poll_fn;
use std::iter;
use std::sync::OnceLock;
use std::task::{Poll, Waker};

use parking_lot::Mutex;

use super::ids::Ids;
use super::slot::Slot;
use crate::limits::Limits;

const SEGMENT: usize = 256;

/// How many connections there are, as the accept loop and the shutdown want to know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Connections that have a seat, or are guests.
    pub live: usize,
    /// Connections whose reader runs. Guests are counted all the time.
    pub reading: usize,
    /// Connections that have ended since the start.
    pub departed: u64,
}

#[derive(Debug, Default)]
struct Census {
    count: Count,
    /// Slots that were used, in the order in which they were vacated: the one that has been free for
    /// longest is used first, so that an id that has departed stays unknown for as long as possible.
    free: VecDeque<usize>,
    /// The ids of connections without a slot.
    guests: HashSet<u32>,
    /// Slots `0..made` exist.
    made: usize,
    /// One task waits here: the accept loop in a shortage, later the shutdown for an empty house.
    waiting: Option<Waker>,
}

#[derive(Debug)]
pub(super) struct Registry {
    segments: Box<[OnceLock<Box<[Slot]>>]>,
    census: Mutex<Census>,
    ids: Ids,
    max_connections: usize,
}

impl Registry {
    pub(super) fn new(limits: &Limits, key: u32) -> Self {
        let max_connections = limits.max_connections;
        Registry {
            segments: (0..max_connections.div_ceil(SEGMENT)).map(|_| OnceLock::new()).collect(),
            census: Mutex::default(),
            ids: Ids::new(max_connections, key),
            max_connections,
        }
    }

    /// The slot that `id` names; whether the occupant has that id is for the slot to say.
    pub(super) fn slot(&self, id: u32) -> Option<&Slot> {
        self.at(self.ids.index(id))
    }

    /// Every slot that was ever used.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        let made = self.census.lock().made;
        (0..made).filter_map(|index| self.at(index))
    }

    /// Takes a slot for a connection, if one is free; gives its index and the connection's id.
    pub(super) fn sit(&self) -> Option<(usize, u32)> {
        let index = {
            let census = &mut *self.census.lock();
            let index = match census.free.pop_front() {
                Some(index) => index,
                None if census.made < self.max_connections => {
                    self.make_slot(census.made);
                    census.made += 1;
                    census.made - 1
                }
                None => return None,
            };
            census.count.live += 1;
            index
        };
        let id = self.at(index)?.open(|last| self.ids.next(index, last));
        Some((index, id))
    }

    /// The slot is free again.
    pub(super) fn vacate(&self, index: usize) {
        if let Some(slot) = self.at(index) {
            slot.vacate();
        }
        self.change(|census| {
            census.free.push_back(index);
            census.count.live -= 1;
            census.count.departed += 1;
        });
    }

    /// Counts a connection that has no slot, if there may be another; gives its id.
    pub(super) fn enter(&self) -> Option<u32> {
        let census = &mut *self.census.lock();
        if census.count.live >= self.max_connections {
            return None;
        }
        let id = iter::repeat_with(|| fastrand::u32(..)).find(|id| !census.guests.contains(id))?;
        census.guests.insert(id);
        census.count.live += 1;
        census.count.reading += 1;
        Some(id)
    }

    /// The connection that has no slot has ended.
    pub(super) fn leave(&self, id: u32) {
        self.change(|census| {
            census.guests.remove(&id);
            census.count.reading -= 1;
            census.count.live -= 1;
            census.count.departed += 1;
        });
    }

    /// A reader starts.
    pub(super) fn reads(&self) {
        self.census.lock().count.reading += 1;
    }

    /// A reader has ended.
    pub(super) fn reads_no_more(&self) {
        self.change(|census| census.count.reading -= 1);
    }

    pub(super) fn count(&self) -> Count {
        self.census.lock().count
    }

    /// Waits until the count is as wanted. One task may wait at a time.
    pub(super) async fn until(&self, wanted: impl Fn(Count) -> bool) {
        poll_fn(|cx| {
            let census = &mut *self.census.lock();
            if wanted(census.count) {
                return Poll::Ready(());
            }
            census.waiting = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The slot at `index`.
    pub(super) fn at(&self, index: usize) -> Option<&Slot> {
        self.segments.get(index / SEGMENT)?.get()?.get(index % SEGMENT)
    }

    fn make_slot(&self, index: usize) {
        self.segments[index / SEGMENT].get_or_init(|| (0..SEGMENT).map(|_| Slot::default()).collect());
    }

    fn change(&self, change: impl FnOnce(&mut Census)) {
        let waiting = {
            let census = &mut *self.census.lock();
            change(census);
            census.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}
