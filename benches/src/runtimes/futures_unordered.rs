//! `FuturesUnordered`: all futures in one task, on the calling thread. Concurrent, borrowing, not parallel.

use super::Started;
use crate::works::{Sample, Work};

pub(super) struct FuturesUnordered;

impl Started for FuturesUnordered {
    fn run(&self, work: &dyn Work) -> Sample {
        work.futures_unordered()
    }
}
