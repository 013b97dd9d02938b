//! Why a connection failed.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::protocol::TooLong;
use crate::router::Stats;

/// What made a connection end before both of its halves were done.
#[derive(Debug)]
pub enum Gone {
    /// Reading or writing failed.
    Broken(io::Error),
    /// The client does not keep to the protocol.
    TooLong(TooLong),
    /// The client took nothing for so long, with so many bytes queued for it.
    Stalled(Duration, usize),
}

impl Gone {
    /// Counts it.
    pub(crate) fn count(&self, stats: &Stats) {
        match self {
            Gone::Broken(_) => {}
            Gone::TooLong(_) => stats.too_long.add(1),
            Gone::Stalled(..) => stats.stalls.add(1),
        }
    }
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gone::Broken(error) => error.fmt(f),
            Gone::TooLong(error) => error.fmt(f),
            Gone::Stalled(time, queued) => {
                write!(f, "the client took none of the {queued} bytes queued for it for {time:?}")
            }
        }
    }
}

impl std::error::Error for Gone {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Gone::Broken(error) => Some(error),
            Gone::TooLong(error) => Some(error),
            Gone::Stalled(..) => None,
        }
    }
}

impl From<io::Error> for Gone {
    fn from(error: io::Error) -> Self {
        Gone::Broken(error)
    }
}

impl From<TooLong> for Gone {
    fn from(error: TooLong) -> Self {
        Gone::TooLong(error)
    }
}
