//! A handle cannot be taken for one of a longer-lived scope.

use treescope::JoinHandle;

fn grow<'long: 'short, 'short>(handle: JoinHandle<'short, u32>) -> JoinHandle<'long, u32> {
    handle
}

fn main() {}
