//! No runtime either, but sockets: one thread, one epoll instance, a loop. What the sockets cost by themselves.

use super::Started;
use crate::works::{Sample, Work};

pub(super) struct Epoll;

impl Started for Epoll {
    fn run(&self, work: &dyn Work) -> Sample {
        work.epoll()
    }
}
