//! treescope. The root's body runs on the calling thread, so works open a scope, whose body runs on a worker.

use std::io;

use treescope::Runtime;

use super::Started;
use crate::works::{Sample, Work};

pub(super) fn start(workers: usize) -> io::Result<impl Started> {
    Runtime::builder().worker_threads(workers).build()
}

impl Started for Runtime {
    fn run(&self, work: &dyn Work) -> Sample {
        work.treescope(self)
    }
}
