//! A checker's atomics, each operation of which can fail on request.

pub(crate) use std::sync::atomic::Ordering;

use super::super::fault::{Plan, came_to, plan};
use super::{Tracked, checker, tracked};

#[track_caller]
pub(crate) fn fence(order: Ordering) {
    match plan("fence", [order]) {
        Plan::Do([Ordering::Relaxed]) | Plan::Remove | Plan::Split(_) => {}
        Plan::Do([order]) => checker::sync::atomic::fence(order),
    }
}

/// loom's atomic `$name` over `$value`, with the read-modify-writes listed.
macro_rules! atomic {
    ($name:ident $(<$param:ident>)?, $value:ty, $zero:expr, { $($rmw:ident: $step:expr),* $(,)? }) => {
        #[derive(Debug)]
        pub(crate) struct $name $(<$param>)? {
            word: checker::sync::atomic::$name $(<$param>)?,
            _leaks: Tracked,
        }

        #[allow(dead_code)]
        impl $(<$param>)? $name $(<$param>)? {
            #[track_caller]
            pub(crate) fn new(value: $value) -> Self {
                Self { word: checker::sync::atomic::$name::new(value), _leaks: tracked() }
            }

            #[track_caller]
            pub(crate) fn load(&self, order: Ordering) -> $value {
                let result = match plan("load", [order]) {
                    Plan::Do([order]) | Plan::Split([order]) => self.word.load(order),
                    Plan::Remove => $zero,
                };
                came_to(&result);
                result
            }

            #[track_caller]
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                match plan("store", [order]) {
                    Plan::Do([order]) | Plan::Split([order]) => self.word.store(value, order),
                    Plan::Remove => {}
                }
            }

            #[track_caller]
            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                let result = match plan("swap", [order]) {
                    Plan::Do([order]) => self.word.swap(value, order),
                    Plan::Remove => self.word.load(Ordering::Acquire),
                    Plan::Split(_) => self.split(|_| value),
                };
                came_to(&result);
                result
            }

            #[track_caller]
            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let result = match plan("compare_exchange", [success, failure]) {
                    Plan::Do([success, failure]) => {
                        self.word.compare_exchange(current, new, success, failure)
                    }
                    // Says that it succeeded, and changes nothing.
                    Plan::Remove => Ok(current),
                    Plan::Split(_) => {
                        let before = self.word.load(Ordering::Acquire);
                        if before != current {
                            return Err(before);
                        }
                        self.word.store(new, Ordering::Release);
                        Ok(before)
                    }
                };
                came_to(&result);
                result
            }

            #[track_caller]
            pub(crate) fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(current, new, success, failure)
            }

            #[track_caller]
            pub(crate) fn fetch_update(
                &self,
                set: Ordering,
                fetch: Ordering,
                f: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let result = match plan("fetch_update", [set, fetch]) {
                    Plan::Do([set, fetch]) => self.word.fetch_update(set, fetch, f),
                    Plan::Remove => Ok(self.word.load(Ordering::Acquire)),
                    Plan::Split(_) => {
                        let mut f = f;
                        let before = self.word.load(Ordering::Acquire);
                        let after = f(before).ok_or(before)?;
                        self.word.store(after, Ordering::Release);
                        Ok(before)
                    }
                };
                came_to(&result);
                result
            }

            fn split(&self, step: impl FnOnce($value) -> $value) -> $value {
                let before = self.word.load(Ordering::Acquire);
                self.word.store(step(before), Ordering::Release);
                before
            }

            $(
                #[track_caller]
                pub(crate) fn $rmw(&self, value: $value, order: Ordering) -> $value {
                    let result = match plan(stringify!($rmw), [order]) {
                        Plan::Do([order]) => self.word.$rmw(value, order),
                        Plan::Remove => self.word.load(Ordering::Acquire),
                        Plan::Split(_) => {
                            let step: fn($value, $value) -> $value = $step;
                            self.split(|before| step(before, value))
                        }
                    };
                    came_to(&result);
                    result
                }
            )*
        }
    };
}

macro_rules! atomic_int {
    ($name:ident, $value:ty) => {
        atomic!($name, $value, 0, {
            fetch_add: |a, b| a.wrapping_add(b),
            fetch_sub: |a, b| a.wrapping_sub(b),
            fetch_and: |a, b| a & b,
            fetch_or: |a, b| a | b,
            fetch_xor: |a, b| a ^ b,
            fetch_max: |a, b| a.max(b),
            fetch_min: |a, b| a.min(b),
        });

        #[cfg(loom)]
        impl Drop for $name {
            fn drop(&mut self) {
                self.word.with_mut(|_| ());
            }
        }
    };
}

atomic_int!(AtomicU32, u32);
atomic_int!(AtomicU64, u64);
atomic_int!(AtomicUsize, usize);
// Their ends are no accesses: loom's `AtomicBool` cannot say so, and there is a pointer per slot of a ring.
atomic!(AtomicBool, bool, false, {
    fetch_and: |a, b| a & b,
    fetch_or: |a, b| a | b,
    fetch_xor: |a, b| a ^ b,
});
atomic!(AtomicPtr<T>, *mut T, std::ptr::null_mut(), {});

#[cfg(loom)]
impl<T> AtomicPtr<T> {
    /// The end of one that is not a ring's.
    pub(crate) fn ends(&mut self) {
        self.word.with_mut(|_| ());
    }
}
