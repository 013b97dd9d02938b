//! The poller's place under loom and shuttle: a flag and a condition variable in place of the kernel.
//!
//! It keeps what the protocols above it rely on: a kick ends the present wait or else the next one. It has no
//! sockets and no time: a wait with a deadline ends by a kick only, so models use a virtual clock.

use std::io;
use std::task::Waker;
use std::time::Duration;

use self::sockets::Sockets;
use crate::sync::{self, Arc, Condvar, Mutex};

#[derive(Debug)]
struct Kernel {
    kicked: Mutex<bool>,
    changed: Condvar,
}

#[derive(Debug)]
pub(super) struct Poller(Arc<Kernel>);

#[derive(Debug)]
pub(super) struct Remote(Arc<Kernel>);

pub(super) fn open() -> io::Result<(Poller, Remote)> {
    let kernel = Arc::new(Kernel { kicked: Mutex::new(false), changed: Condvar::new() });
    Ok((Poller(kernel.clone()), Remote(kernel)))
}

impl Poller {
    pub(super) fn wait(&mut self, timeout: Option<Duration>) {
        let mut kicked = self.0.kicked.lock();
        while !*kicked && timeout != Some(Duration::ZERO) {
            kicked = sync::wait(&self.0.changed, kicked);
        }
        *kicked = false;
    }

    pub(super) fn deliver(&self, _: &Sockets, _: &mut Vec<Waker>) {}
}

impl Remote {
    pub(super) fn kick(&self) {
        *self.0.kicked.lock() = true;
        self.0.changed.notify_one();
    }
}

/// In place of the table of sockets.
pub(super) mod sockets {
    #[derive(Debug)]
    pub(in super::super) struct Sockets;

    impl Sockets {
        pub(in super::super) fn new() -> Self {
            Self
        }

        pub(in super::super) fn count(&self) -> usize {
            0
        }
    }
}
