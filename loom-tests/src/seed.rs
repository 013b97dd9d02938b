//! A bug seeded at one operation of the runtime.
//!
//! The runtime's sources carry no bug and no switch: under loom and shuttle every operation of `sync.rs` can go wrong on request
//! (`runtime/src/sync/fault.rs`), and a seed says which, by the text that stands there. So a seed survives when lines
//! move; and when its text changes, `cargo loom` and `cargo shuttle` say so before they run anything.

use std::io;

use crate::source;

/// What goes wrong at an operation. See `runtime/src/sync/fault.rs`.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It does not take place.
    Remove,
    /// A read-modify-write becomes a load and a store.
    Split,
    /// An ordering (0: the only or the success one, 1: the failure one) becomes a weaker one.
    Weaken(usize, &'static str),
}

/// Where a bug is seeded.
#[derive(Clone, Copy, Debug)]
pub enum Seed {
    /// At the first `operation` at or after the only occurrence of `anchor` in `file` (below `runtime/src/`).
    Operation {
        /// The file.
        file: &'static str,
        /// Text that occurs in it once.
        anchor: &'static str,
        /// The operation's name.
        operation: &'static str,
        /// What goes wrong.
        fault: Fault,
    },
    /// In the part that the model itself plays, by this name (`models::bug`).
    Caller(&'static str),
}

impl Seed {
    /// The environment variable and its value that seed the bug.
    ///
    /// # Errors
    /// If the source text is not there, or more than once, or the file cannot be read.
    pub fn environment(&self) -> io::Result<(&'static str, String)> {
        match *self {
            Self::Caller(name) => Ok(("TREESCOPE_CALLER_BUG", name.to_owned())),
            Self::Operation { file, anchor, operation, fault } => {
                let (line, column) = find(file, anchor, operation)?;
                let fault = match fault {
                    Fault::Remove => "remove".to_owned(),
                    Fault::Split => "split".to_owned(),
                    Fault::Weaken(argument, ordering) => format!("weaken:{argument}:{ordering}"),
                };
                Ok(("TREESCOPE_FAULT", format!("{file}:{line}:{column}:{fault}")))
            }
        }
    }
}

fn find(file: &str, anchor: &str, operation: &str) -> io::Result<(usize, usize)> {
    let text = source::shipped(file)?;
    let error =
        |what: &str| io::Error::other(format!("runtime/src/{file}: `{anchor}` {what}; move the seed"));
    let mut places = text.match_indices(anchor);
    let (start, _) = places.next().ok_or_else(|| error("is not there"))?;
    if places.next().is_some() {
        return Err(error("is there more than once"));
    }
    let call = format!("{operation}(");
    let offset = text[start..].find(&call).ok_or_else(|| error(&format!("has no {operation} after it")))?;
    Ok(source::line_and_column(&text, start + offset))
}
