//! Why there is no measurement, or none that is whole.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::Outcome;

/// Why there is no measurement, or none that is whole. Connections are counted from 0 here and from 1 in what is shown.
#[derive(Debug)]
pub enum LoadError {
    /// What was asked for makes no sense.
    Asked(String),
    /// A connection could not be made.
    Connect(SocketAddr, usize, io::Error),
    /// A connection was made and got no id for so long.
    NotGreeted(usize, Duration),
    /// The server ended a connection, after this had been seen.
    Lost(usize, io::Error, Box<Outcome>),
    /// What was seen cannot be printed.
    Print(io::Error),
    /// The system refuses something else.
    System(io::Error),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Asked(what) => f.write_str(what),
            LoadError::Connect(addr, n, error) => {
                write!(f, "cannot make connection {} to {addr}: {error}", n + 1)
            }
            LoadError::NotGreeted(n, patience) => {
                write!(f, "the server did not greet connection {} within {patience:?}", n + 1)
            }
            LoadError::Lost(n, error, seen) => {
                write!(f, "the server ended connection {} after {} messages: ", n + 1, seen.arrived)?;
                match error.kind() {
                    io::ErrorKind::UnexpectedEof => f.write_str("it closed the connection"),
                    _ => error.fmt(f),
                }
            }
            LoadError::Print(error) => write!(f, "cannot write to standard output: {error}"),
            LoadError::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LoadError::Connect(_, _, error) | LoadError::Lost(_, error, _) => Some(error),
            LoadError::Print(error) | LoadError::System(error) => Some(error),
            LoadError::Asked(_) | LoadError::NotGreeted(..) => None,
        }
    }
}

impl From<io::Error> for LoadError {
    fn from(error: io::Error) -> Self {
        LoadError::System(error)
    }
}

/// Why the generator cannot go on.
#[derive(Debug)]
pub(super) enum Broken {
    /// A connection ended.
    Connection(usize, io::Error),
    /// The system refuses something.
    System(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::System(error)
    }
}
