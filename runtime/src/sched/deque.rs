//! A growable work-stealing deque: Chase and Lev, "Dynamic circular work-stealing deque", SPAA 2005.
//!
//! # Actors
//!
//! - the **owner** ([`Owner`], one, not `Sync`): pushes and pops at the bottom, may also take from the top
//! - **thieves** ([`Stealer`], any number): take from the top
//!
//! ```text
//!            top ─────────────────────────────▶ bottom
//!   Stealer::steal, Owner::take_oldest      Owner::push, Owner::pop_newest
//! ```
//!
//! Both indices only grow (they wrap with the integer, never with the ring), so a top index is never seen twice and
//! the compare-and-swap on it has no ABA. Only the last item is contended between the two ends: the owner announces
//! its pop by lowering `bottom`, a fence on both sides makes sure that owner and thief cannot both miss the other's
//! move, and the swap on `top` decides.
//!
//! A full ring is replaced by one twice as large; there is no limit and no overflow queue. Thieves may still be
//! reading the old ring, so it is kept until the deque goes away: all old rings together are smaller than the
//! newest. A thief that reads an old ring reads a slot that was copied, not changed: slots of indices that a thief
//! can still win are written once per ring.
//!
//! # The orderings
//!
//! They follow Lê, Pop, Cohen and Zappa Nardelli, "Correct and efficient work-stealing for weak memory models", PPoPP
//! 2013, but for two. The paper's swaps on `top` are SeqCst. Here a thief's is Release and the owner's are Relaxed, which
//! is right because nothing rests on the swaps' place in the order of SeqCst operations:
//!
//! - *An index is won once.* `top` is changed by read-modify-writes only, one step at a time, whatever their ordering. (A lane
//!   without thieves has its owner alone to change it.)
//! - *The owner's pop without a swap takes what no thief wins.* It has lowered `bottom` to `newest`, passed its fence, and
//!   read a `top` below `newest`. A thief after `newest` has read `top == newest`, passed its fence, and read `bottom`. Be
//!   the owner's fence the later one: then the owner reads what the thief read, or a newer `top`, and is not here. Be it the
//!   earlier one: then the thief reads the lowered `bottom`, or what the owner wrote after it, and finds nothing, or an
//!   item pushed since. No swap takes part in this.
//! - *What a thief reads is what was pushed.* It has read a `bottom` above its index with Acquire, and every store to
//!   `bottom` is a Release one or comes after the owner's fence. By the last point it is no older store than the last pop
//!   from this index.
//! - *What a thief has read is not overwritten too early.* That is the thief's Release and the push's Acquire. The owner's
//!   swaps need not add theirs: its own reads come before its own writes, and a read-modify-write of any ordering passes
//!   on the Release of the thief before it.
//!
//! A linearisability proof of the same deque by Kang ("Prove the correctness of a work-stealing deque", Crossbeam RFC 26,
//! 2018) has a thief's swap as Release too; its pop's swap is Release for the linearisation order of pops that find
//! nothing, which nobody here relies on: a scheduler that must not miss an item has fences of its own ([`super::idle`]).

use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, fence};
use crate::sync::{Arc, Mutex, Read, Slot};

/// Something that can be told by a pointer.
///
/// # Safety
/// `from_raw(into_raw(x))` gives `x` back, on any thread.
pub(crate) unsafe trait Item: Send {
    fn into_raw(self) -> NonNull<()>;

    /// # Safety
    /// `raw` came from `into_raw` and is turned back once.
    unsafe fn from_raw(raw: NonNull<()>) -> Self;
}

/// A power-of-two ring of slots, indexed by deque index modulo its length.
struct Ring {
    slots: Box<[Slot]>,
}

impl Ring {
    fn new(len: usize) -> Box<Self> {
        debug_assert!(len.is_power_of_two());
        Box::new(Self { slots: Slot::many(len) })
    }

    fn len(&self) -> usize {
        self.slots.len()
    }

    fn slot(&self, index: usize) -> &Slot {
        &self.slots[index & (self.slots.len() - 1)]
    }

    fn get(&self, index: usize) -> Read {
        // Relaxed: published by `bottom` (Release in `push`, Acquire in `steal`), and valid only if the swap on
        // `top` then succeeds.
        self.slot(index).read(Ordering::Relaxed)
    }

    fn set(&self, index: usize, item: *mut ()) {
        // Relaxed: as in `get`.
        self.slot(index).write(item, Ordering::Relaxed);
    }
}

/// Shared by the owner and the thieves.
struct Shared<T: Item> {
    /// Index of the oldest item. Padded: thieves write it, the owner writes `bottom`.
    top: Padded<AtomicUsize>,
    /// One past the newest item. Written by the owner only.
    bottom: Padded<AtomicUsize>,
    /// The present ring, from `Box::into_raw`. Written by the owner only.
    ring: AtomicPtr<Ring>,
    /// Rings that thieves may still read.
    #[allow(clippy::vec_box)] // Their addresses are what thieves hold.
    retired: Mutex<Vec<Box<Ring>>>,
    _items: PhantomData<T>,
}

/// Keeps what it wraps on cache lines of its own; 128 bytes, for adjacent-line prefetchers.
#[repr(align(128))]
struct Padded<T>(T);

/// What a thief came away with.
#[must_use]
#[derive(Debug)]
pub(crate) enum Steal<T> {
    Taken(T),
    Empty,
    /// Lost a race; there may be more.
    Retry,
}

/// The owner's end. Not `Sync`: one thread at a time.
pub(crate) struct Owner<T: Item> {
    shared: Arc<Shared<T>>,
    /// Whether there are thieves at all. Without any nobody competes for `top`, and neither fence nor swap, which are most of what
    /// taking an item costs, is needed.
    thieves: bool,
    _not_sync: PhantomData<std::cell::Cell<()>>,
}

/// A thief's end.
pub(crate) struct Stealer<T: Item> {
    shared: Arc<Shared<T>>,
    /// As the owner knows it.
    thieves: bool,
}

/// Makes an empty deque whose first ring has `len` slots (a power of two). If `thieves` is false, the stealer's `steal`
/// is never called: the owner would not notice what it takes.
pub(crate) fn deque<T: Item>(len: usize, thieves: bool) -> (Owner<T>, Stealer<T>) {
    let shared = Arc::new(Shared {
        top: Padded(AtomicUsize::new(0)),
        bottom: Padded(AtomicUsize::new(0)),
        ring: AtomicPtr::new(Box::into_raw(Ring::new(len))),
        retired: Mutex::new(Vec::new()),
        _items: PhantomData,
    });
    (Owner { shared: shared.clone(), thieves, _not_sync: PhantomData }, Stealer { shared, thieves })
}

impl<T: Item> Shared<T> {
    /// # Safety
    /// The index that was read was won by the caller: by a swap on `top`, as the owner below `bottom` and above `top`, or as the
    /// owner of a lane without thieves, by its store to `top`.
    unsafe fn item(read: Read) -> T {
        // SAFETY: slots between top and bottom hold what `push` stored, which is never null.
        let raw = unsafe { NonNull::new_unchecked(read.won()) };
        // SAFETY: `push` stored it from `into_raw`; the caller won it, so nobody else turns it back.
        unsafe { T::from_raw(raw) }
    }

    fn steal(&self) -> Steal<T> {
        // Relaxed: the fence makes it an Acquire one.
        let top = self.top.0.load(Ordering::Relaxed);
        // SeqCst: pairs with the fence in `Owner::pop_newest`: either this thief sees the lowered `bottom`, or the
        // owner sees the raised `top`.
        fence(Ordering::SeqCst);
        // Acquire: pairs with Release in `Owner::push`: the slot is written.
        let bottom = self.bottom.0.load(Ordering::Acquire);
        if (bottom.wrapping_sub(top) as isize) <= 0 {
            return Steal::Empty;
        }
        // Acquire: pairs with Release in `Owner::grow`: the copied slots are written.
        let ring = self.ring.load(Ordering::Acquire);
        // SAFETY: rings are freed with the deque only.
        let read = unsafe { &*ring }.get(top);
        // Release: pairs with Acquire in `Owner::push`: the slot has been read before it is written again. Not Acquire:
        // what the item points to came with `bottom`. Relaxed on failure: nothing is read through a lost race.
        match self.top.0.compare_exchange(top, top.wrapping_add(1), Ordering::Release, Ordering::Relaxed) {
            // SAFETY: the swap won index `top`.
            Ok(_) => Steal::Taken(unsafe { Self::item(read) }),
            Err(_) => Steal::Retry,
        }
    }

    fn len(&self) -> usize {
        // Relaxed: a hint. Whoever must not miss an item puts a fence before it.
        let top = self.top.0.load(Ordering::Relaxed);
        let bottom = self.bottom.0.load(Ordering::Relaxed);
        usize::try_from(bottom.wrapping_sub(top) as isize).unwrap_or(0)
    }
}

impl<T: Item> Owner<T> {
    /// Puts `item` at the bottom.
    #[inline]
    pub(crate) fn push(&self, item: T) {
        let shared = &*self.shared;
        // Relaxed: only the owner writes it.
        let bottom = shared.bottom.0.load(Ordering::Relaxed);
        // Acquire: pairs with Release in `Shared::steal`: a slot is overwritten only after the thief that won it has read it.
        let top = shared.top.0.load(Ordering::Acquire);
        // Relaxed: only the owner writes it.
        let mut ring = shared.ring.load(Ordering::Relaxed);
        // SAFETY: the present ring; freed with the deque only.
        if bottom.wrapping_sub(top) >= unsafe { &*ring }.len() {
            ring = self.grow(top, bottom, ring);
        }
        // SAFETY: as above.
        unsafe { &*ring }.set(bottom, item.into_raw().as_ptr());
        // Release: pairs with Acquire in `Shared::steal`: the slot, and what the item points to.
        shared.bottom.0.store(bottom.wrapping_add(1), Ordering::Release);
    }

    /// Moves everything to a ring of four times the length. What is left behind, which thieves may still read and is freed with the deque, is
    /// then a third of the present ring at most; to double it would leave as much again. Pages that are not used are not touched.
    #[cold]
    fn grow(&self, top: usize, bottom: usize, old: *mut Ring) -> *mut Ring {
        // SAFETY: the present ring; freed with the deque only.
        let from = unsafe { &*old };
        let ring = Ring::new(from.len() * 4);
        let mut index = top;
        while index != bottom {
            ring.set(index, from.get(index).copied());
            index = index.wrapping_add(1);
        }
        let ring = Box::into_raw(ring);
        // Release: pairs with Acquire in `Shared::steal`: the copies.
        self.shared.ring.store(ring, Ordering::Release);
        // SAFETY: it came from `Box::into_raw` and is no longer the present ring, so it is put away once.
        let old = unsafe { Box::from_raw(old) };
        self.shared.retired.lock().push(old);
        ring
    }

    /// Takes the newest item, from the bottom.
    #[inline]
    pub(crate) fn pop_newest(&self) -> Option<T> {
        let shared = &*self.shared;
        // Relaxed: only the owner writes it.
        let bottom = shared.bottom.0.load(Ordering::Relaxed);
        // Relaxed: empty is empty; thieves only take more away.
        if shared.top.0.load(Ordering::Relaxed) == bottom {
            return None;
        }
        let newest = bottom.wrapping_sub(1);
        // Release: pairs with Acquire in `Shared::steal`, as in `push`: a thief that reads this value must see
        // the slots below it, and the fence comes too late for that.
        shared.bottom.0.store(newest, Ordering::Release);
        if self.thieves {
            // SeqCst: pairs with the fence in `Shared::steal`: announce first, then look.
            fence(Ordering::SeqCst);
        }
        // Relaxed: ordered by the fence.
        let top = shared.top.0.load(Ordering::Relaxed);
        let left = newest.wrapping_sub(top) as isize;
        if left < 0 {
            // Relaxed: the fence, a release fence too, stands between the slots and this store.
            shared.bottom.0.store(bottom, Ordering::Relaxed);
            return None;
        }
        // Relaxed: only the owner writes it.
        let ring = shared.ring.load(Ordering::Relaxed);
        // SAFETY: the present ring; freed with the deque only.
        let read = unsafe { &*ring }.get(newest);
        if left == 0 {
            // The last item: thieves may be after it.
            let won = self.win(top);
            // Relaxed: as in the case before.
            shared.bottom.0.store(bottom, Ordering::Relaxed);
            if won.is_err() {
                return None;
            }
        }
        // SAFETY: above `top` and announced, or won.
        Some(unsafe { Shared::item(read) })
    }

    /// Takes the oldest item, from the top, in competition with thieves. Needs no fence: the owner knows `bottom`.
    #[inline]
    pub(crate) fn take_oldest(&self) -> Option<T> {
        let shared = &*self.shared;
        // Relaxed: only the owner writes these two.
        let bottom = shared.bottom.0.load(Ordering::Relaxed);
        // Relaxed: as above.
        let ring = shared.ring.load(Ordering::Relaxed);
        // Relaxed: `win` checks it, and the slots are the owner's own writes.
        let mut top = shared.top.0.load(Ordering::Relaxed);
        while top != bottom {
            // SAFETY: the present ring; freed with the deque only.
            let read = unsafe { &*ring }.get(top);
            match self.win(top) {
                // SAFETY: index `top` is won.
                Ok(()) => return Some(unsafe { Shared::item(read) }),
                // A thief took one: the competition makes progress.
                Err(now) => top = now,
            }
        }
        None
    }

    /// Wins the oldest index, which was read as `top`; gives the present one if a thief was faster.
    #[inline]
    fn win(&self, top: usize) -> Result<(), usize> {
        let (place, next) = (&self.shared.top.0, top.wrapping_add(1));
        if self.thieves {
            // Relaxed: who gets it is all that is decided; see "The orderings".
            return place.compare_exchange(top, next, Ordering::Relaxed, Ordering::Relaxed).map(drop);
        }
        // Relaxed: nobody else writes it, and nobody who reads it takes anything.
        place.store(next, Ordering::Relaxed);
        Ok(())
    }

    /// How many items there are; exact but for thieves.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.shared.len()
    }

    /// The oldest item's index: changes whenever the oldest item does.
    #[inline]
    pub(crate) fn oldest_index(&self) -> usize {
        // Relaxed: compared with an earlier reading, nothing else.
        self.shared.top.0.load(Ordering::Relaxed)
    }
}

impl<T: Item> Stealer<T> {
    /// The index of the only item, if there is just one.
    pub(crate) fn lone(&self) -> Option<usize> {
        // Relaxed: a hint, as `Shared::len`.
        let top = self.shared.top.0.load(Ordering::Relaxed);
        // Relaxed: as above.
        let bottom = self.shared.bottom.0.load(Ordering::Relaxed);
        (bottom.wrapping_sub(top) == 1).then_some(top)
    }

    /// Takes the oldest item.
    pub(crate) fn steal(&self) -> Steal<T> {
        debug_assert!(self.thieves, "the lane's owner was told that there are no thieves");
        self.shared.steal()
    }

    /// How many items there seem to be.
    pub(crate) fn len(&self) -> usize {
        self.shared.len()
    }
}

impl<T: Item> Drop for Shared<T> {
    fn drop(&mut self) {
        while let Steal::Taken(item) = self.steal() {
            drop(item);
        }
        // Relaxed: the last owner of the `Arc`.
        let ring = self.ring.load(Ordering::Relaxed);
        // SAFETY: it came from `Box::into_raw`, and nobody else is left.
        drop(unsafe { Box::from_raw(ring) });
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    // SAFETY: a box is told by its pointer.
    unsafe impl Item for Box<usize> {
        fn into_raw(self) -> NonNull<()> {
            NonNull::from(Box::leak(self)).cast()
        }

        unsafe fn from_raw(raw: NonNull<()>) -> Self {
            // SAFETY: by contract.
            unsafe { Box::from_raw(raw.cast().as_ptr()) }
        }
    }

    #[test]
    fn owner_pops_newest_thief_takes_oldest_across_growth() {
        let (owner, stealer) = deque::<Box<usize>>(2, true);
        (0..100).for_each(|n| owner.push(Box::new(n)));
        assert_eq!(owner.len(), 100);
        assert_eq!(owner.pop_newest().as_deref(), Some(&99));
        assert!(matches!(stealer.steal(), Steal::Taken(n) if *n == 0));
        assert_eq!(owner.take_oldest().as_deref(), Some(&1));
        assert_eq!(std::iter::from_fn(|| owner.pop_newest()).count(), 97);
        assert!(matches!(stealer.steal(), Steal::Empty));
        assert_eq!(owner.pop_newest(), None);
    }

    #[test]
    fn indices_run_round_the_ring_many_times() {
        let (owner, stealer) = deque::<Box<usize>>(4, true);
        for n in 0..1000 {
            owner.push(Box::new(n));
            owner.push(Box::new(n));
            assert!(matches!(stealer.steal(), Steal::Taken(got) if *got == n));
            assert_eq!(owner.pop_newest().as_deref(), Some(&n));
        }
        assert_eq!(owner.len(), 0);
    }

    #[test]
    fn an_owner_without_thieves_takes_from_both_ends() {
        let (owner, _stealer) = deque::<Box<usize>>(2, false);
        for round in 0..100 {
            (0..5).for_each(|n| owner.push(Box::new(n)));
            let oldest = owner.oldest_index();
            assert_eq!(owner.take_oldest().as_deref(), Some(&0));
            assert_ne!(owner.oldest_index(), oldest);
            assert_eq!(owner.pop_newest().as_deref(), Some(&4));
            assert_eq!(owner.take_oldest().as_deref(), Some(&1));
            assert_eq!(owner.pop_newest().as_deref(), Some(&3));
            let last = owner.oldest_index();
            let pop = if round % 2 == 0 { owner.pop_newest() } else { owner.take_oldest() };
            assert_eq!(pop.as_deref(), Some(&2));
            assert_ne!(owner.oldest_index(), last, "the next oldest is another item");
            assert_eq!((owner.pop_newest(), owner.take_oldest(), owner.len()), (None, None, 0));
        }
    }

    #[test]
    fn every_item_is_taken_exactly_once_under_contention() {
        const ITEMS: usize = 20_000;
        let (owner, stealer) = deque::<Box<usize>>(2, true);
        let seen: Vec<AtomicUsize> = (0..ITEMS).map(|_| AtomicUsize::new(0)).collect();
        let done = crate::sync::atomic::AtomicBool::new(false);
        let take = |item: Box<usize>| {
            seen[*item].fetch_add(1, Ordering::Relaxed);
        };
        std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    loop {
                        match stealer.steal() {
                            Steal::Taken(item) => take(item),
                            Steal::Empty if done.load(Ordering::Acquire) => break,
                            _ => std::hint::spin_loop(),
                        }
                    }
                });
            }
            for n in 0..ITEMS {
                owner.push(Box::new(n));
                if n % 3 == 0 {
                    owner.pop_newest().into_iter().for_each(take);
                }
            }
            std::iter::from_fn(|| owner.pop_newest()).for_each(take);
            done.store(true, Ordering::Release);
        });
        assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    }
}
