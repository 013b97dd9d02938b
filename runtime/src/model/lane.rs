//! A lane, and what is put on it: `sched/deque.rs`.

use std::ptr::NonNull;

use crate::sched;
use crate::sync::UnsafeCell;

/// An item for lanes: tracked, so that loom sees it leak, with contents that whoever has it may change.
pub struct Token(Box<Contents>);

struct Contents {
    number: UnsafeCell<usize>,
    _leaks: loom::alloc::Track<()>,
}

impl Token {
    pub fn new(number: usize) -> Self {
        Self(Box::new(Contents { number: UnsafeCell::new(number), _leaks: loom::alloc::Track::new(()) }))
    }

    /// Gives the number. loom takes it for a write: two who have the same token race.
    pub fn touch(&mut self) -> usize {
        self.0.number.with_mut(|number| {
            // SAFETY: `&mut self`.
            unsafe { *number }
        })
    }
}

// SAFETY: a box is told by its pointer.
unsafe impl sched::deque::Item for Token {
    fn into_raw(self) -> NonNull<()> {
        NonNull::from(Box::leak(self.0)).cast()
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: by contract it came from `into_raw`.
        Self(unsafe { Box::from_raw(raw.cast().as_ptr()) })
    }
}

pub struct Owner(sched::deque::Owner<Token>);

pub struct Stealer(sched::deque::Stealer<Token>);

pub enum Steal {
    Taken(Token),
    Empty,
    Retry,
}

/// A lane whose first ring has `len` slots.
pub fn lane(len: usize) -> (Owner, Stealer) {
    let (owner, stealer) = sched::deque::deque(len, true);
    (Owner(owner), Stealer(stealer))
}

impl Owner {
    pub fn push(&self, token: Token) {
        self.0.push(token);
    }

    pub fn pop_newest(&self) -> Option<Token> {
        self.0.pop_newest()
    }

    pub fn take_oldest(&self) -> Option<Token> {
        self.0.take_oldest()
    }
}

impl Stealer {
    pub fn steal(&self) -> Steal {
        match self.0.steal() {
            sched::deque::Steal::Taken(token) => Steal::Taken(token),
            sched::deque::Steal::Empty => Steal::Empty,
            sched::deque::Steal::Retry => Steal::Retry,
        }
    }
}
