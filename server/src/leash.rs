//! A process that does not outlive whoever started it.
//!
//! Whoever started it holds the write end of the pipe that is its stdin. The system closes that end however the
//! holder dies, with SIGKILL too. (`PR_SET_PDEATHSIG` would do as much on Linux only, and follows the thread that
//! started the process and not the process it belongs to.)

use std::{io, process, thread};

/// Ends the process, with 0, when stdin is closed. What it is doing is not finished: nobody is there to see it.
///
/// # Errors
///
/// If there cannot be a thread more.
pub fn end_with_stdin() -> io::Result<()> {
    let wait = || {
        // What arrives means nothing, and an error that lasts is as good as the end.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        process::exit(0);
    };
    thread::Builder::new().name("leash".to_owned()).spawn(wait).map(drop)
}
