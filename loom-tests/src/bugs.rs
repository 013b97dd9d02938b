//! Bugs that more than one model or program catches.

use crate::seed::{Fault, Seed};

/// Where the states of nodes are.
pub const STATE: &str = "tree/state.rs";

/// A mark is not set.
pub const NO_MARK: Seed = Seed::Operation {
    file: STATE,
    anchor: "pub(crate) fn mark(&self",
    operation: "fetch_or",
    fault: Fault::Remove,
};

/// An instant is put down where nobody looks.
pub const NOT_TIMED: Seed = Seed::Operation {
    file: STATE,
    anchor: "pub(crate) fn set_timed(&self",
    operation: "fetch_or",
    fault: Fault::Remove,
};

/// A child counts itself out without publishing what it did.
pub const SILENT_END: Seed = Seed::Operation {
    file: STATE,
    anchor: "pub(crate) fn children_ended",
    operation: "fetch_sub",
    fault: Fault::Weaken(0, "Acquire"),
};

/// Two children that count themselves out at once may count out one.
pub const SPLIT_END: Seed = Seed::Operation {
    file: STATE,
    anchor: "pub(crate) fn children_ended",
    operation: "fetch_sub",
    fault: Fault::Split,
};

/// Counting in is a read and a write.
pub const SPLIT_START: Seed = Seed::Operation {
    file: STATE,
    anchor: "pub(crate) fn child_added_if_open",
    operation: "fetch_update",
    fault: Fault::Split,
};

/// The sleeping root is not notified.
pub const ROOT_SLEEPS_ON: Seed = Seed::Operation {
    file: "tree/root.rs",
    anchor: "pub(crate) fn wake_by_ref",
    operation: "notify_one",
    fault: Fault::Remove,
};

/// A wake does not reach the parker's state.
pub const WORKER_SLEEPS_ON: Seed = Seed::Operation {
    file: "sched/parker.rs",
    anchor: "pub(crate) fn unpark(",
    operation: "swap",
    fault: Fault::Remove,
};

/// A foreign waker signs out without publishing what it did.
pub const SILENT_VISIT: Seed = Seed::Operation {
    file: "sched/mod.rs",
    anchor: "Release: pairs with Acquire in `wait_until_none`",
    operation: "fetch_sub",
    fault: Fault::Weaken(0, "Relaxed"),
};

/// A ring does not reach the driver's bell.
pub const SILENT_BELL: Seed = Seed::Operation {
    file: "driver/bell.rs",
    anchor: "pub(super) fn ring(",
    operation: "swap",
    fault: Fault::Remove,
};

/// Which scopes are on a list.
pub const LISTING: &str = "tree/listing.rs";

/// Where the words of a task's cell are.
pub const CELL: &str = "task/cell/state.rs";

/// A wake does not publish what it is for.
pub const SILENT_WAKE: Seed = Seed::Operation {
    file: CELL,
    anchor: "pub(super) fn wake(",
    operation: "fetch_add",
    fault: Fault::Weaken(0, "Relaxed"),
};

/// A scope's end does not publish its output.
pub const SILENT_OUTPUT: Seed = Seed::Operation {
    file: CELL,
    anchor: "pub(super) fn end(",
    operation: "fetch_add",
    fault: Fault::Weaken(0, "Acquire"),
};

/// A handle leaves its waker with a read and a write.
pub const SPLIT_LEAVE_WAKER: Seed = Seed::Operation {
    file: CELL,
    anchor: "pub(super) fn leave_waker(",
    operation: "fetch_update",
    fault: Fault::Split,
};

/// A handle takes its waker back with a read and a write.
pub const SPLIT_TAKE_BACK: Seed = Seed::Operation {
    file: CELL,
    anchor: "pub(super) fn take_waker_back(",
    operation: "fetch_update",
    fault: Fault::Split,
};

/// That the scope above awaits is a read and a write.
pub const SPLIT_LEAVE_TO_ABOVE: Seed = Seed::Operation {
    file: CELL,
    anchor: "pub(super) fn leave_to_above(",
    operation: "fetch_add",
    fault: Fault::Split,
};

/// Nobody remembers that the scope above awaits.
pub const ABOVE_FORGOTTEN: Seed = Seed::Operation {
    file: CELL,
    anchor: "pub(super) fn leave_to_above(",
    operation: "fetch_add",
    fault: Fault::Remove,
};
