//! rayon: fork and join on a pool of threads; no futures.

use std::io;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::Started;
use crate::works::{Sample, Work};

pub(super) fn start(workers: usize) -> io::Result<impl Started> {
    ThreadPoolBuilder::new().num_threads(workers).build().map_err(io::Error::other)
}

impl Started for ThreadPool {
    fn run(&self, work: &dyn Work) -> Sample {
        work.rayon(self)
    }
}
