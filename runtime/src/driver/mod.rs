//! Stand-in until the driver lands.
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, wait};
use std::io;
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClockKind {
    System,
    Virtual,
}
pub(crate) enum Wait {
    No,
    Blocking,
    Quiescent,
}
#[derive(Debug)]
pub(crate) struct Driver {
    turn: Mutex<()>,
    flag: Mutex<bool>,
    cv: Condvar,
}
pub(crate) struct Turn<'a>(&'a Driver, #[allow(dead_code)] MutexGuard<'a, ()>);
impl Driver {
    pub(crate) fn new(_: ClockKind) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self { turn: Mutex::new(()), flag: Mutex::new(false), cv: Condvar::new() }))
    }
    pub(crate) fn try_turn(&self) -> Option<Turn<'_>> {
        Some(Turn(self, self.turn.try_lock()?))
    }
    pub(crate) fn interrupt(&self) {
        *self.flag.lock() = true;
        self.cv.notify_one();
    }
    pub(crate) fn has_work(&self) -> bool {
        false
    }
}
impl Turn<'_> {
    pub(crate) fn run(&mut self, w: Wait) -> usize {
        if matches!(w, Wait::No) {
            return 0;
        }
        let mut g = self.0.flag.lock();
        while !*g {
            g = wait(&self.0.cv, g);
        }
        *g = false;
        0
    }
}
