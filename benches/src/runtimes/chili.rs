//! chili: fork and join with heartbeat scheduling; no futures. Stands for its kind: forte needs a newer compiler than
//! this workspace promises.

use std::num::NonZero;

use chili::{Config, ThreadPool};

use super::Started;
use crate::works::{Sample, Work};

pub(super) fn start(workers: usize) -> impl Started {
    // The calling thread works as well; chili counts it.
    ThreadPool::with_config(Config { thread_count: NonZero::new(workers), ..Config::default() })
}

impl Started for ThreadPool {
    fn run(&self, work: &dyn Work) -> Sample {
        work.chili(self)
    }
}
