//! No runtime: what the work itself costs on the calling thread.

use super::Started;
use crate::works::{Sample, Work};

pub(super) struct Serial;

impl Started for Serial {
    fn run(&self, work: &dyn Work) -> Sample {
        work.serial()
    }
}
