//! A handle cannot be taken for one of a shorter-lived scope.

use treescope::JoinHandle;

fn shrink<'long: 'short, 'short>(handle: JoinHandle<'long, u32>) -> JoinHandle<'short, u32> {
    handle
}

fn main() {}
