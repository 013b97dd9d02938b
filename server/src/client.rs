//! The interactive client.
//!
//! Two plain threads, one for each direction: reading a terminal blocks, and a read that blocks for ever
//! is the one thing that a scope could never end.

mod line;

use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::protocol::{END, ID_BYTES, encode};

/// Talks to the server until stdin or the connection ends.
///
/// At the end of stdin the sending side is closed; what the server still has queued for this client is
/// shown. If the server goes away before, ends the process with exit code 1 and a line on stderr.
///
/// # Errors
///
/// If the server cannot be reached, or breaks the connection.
pub fn run(addr: SocketAddr) -> io::Result<()> {
    let context = |error: io::Error| io::Error::new(error.kind(), format!("cannot talk to {addr}: {error}"));
    let socket = TcpStream::connect(addr).map_err(context)?;
    socket.set_nodelay(true).map_err(context)?;
    let mut from_server = BufReader::new(socket.try_clone().map_err(context)?);
    let mut id = [0; ID_BYTES];
    from_server.read_exact(&mut id).map_err(context)?;
    show(format_args!("your id is {}", u32::from_be_bytes(id)));
    if io::stdin().is_terminal() {
        show(format_args!("type: ID TEXT, and ctrl-d to leave"));
    }
    // Whether the connection may end: nobody waits for what is typed any more.
    let leaving = AtomicBool::new(false);
    thread::scope(|threads| {
        let receiver = threads.spawn(|| {
            let received = receive(from_server);
            // Acquire: pairs with the Release below; the server closes after it was told.
            if !leaving.load(Ordering::Acquire) {
                // The other thread may be reading stdin, from which nothing can call it back.
                let why = received.err().map_or_else(|| "it closed the connection".into(), |e| e.to_string());
                let _ = writeln!(io::stderr(), "error: lost {addr}: {why}");
                process::exit(1);
            }
            received
        });
        let sent = send(io::stdin().lock(), &socket);
        leaving.store(true, Ordering::Release);
        // Fails if the server has gone, and then both directions have ended.
        let _ = socket.shutdown(Shutdown::Write);
        let received = receiver.join().unwrap_or(Ok(()));
        sent.and(received).map_err(context)
    })
}

/// Shows each frame on a line of its own.
fn receive(mut from_server: impl BufRead) -> io::Result<()> {
    let mut body = Vec::new();
    while from_server.read_until(END, &mut body)? > 0 {
        if body.pop_if(|last| *last == END).is_some() {
            show(format_args!("{}", line::printable(&body)));
        }
        body.clear();
    }
    Ok(())
}

/// Sends what lines say, and complains about those that say nothing.
fn send(lines: impl BufRead, mut to_server: impl Write) -> io::Result<()> {
    let mut frame = Vec::new();
    for line in lines.split(b'\n') {
        match line::parse(&line?) {
            Ok(None) => {}
            Ok(Some((to, payload))) => {
                frame.clear();
                encode(to, payload, &mut frame);
                to_server.write_all(&frame)?;
            }
            Err(wrong) => {
                let _ = writeln!(io::stderr(), "{wrong}");
            }
        }
    }
    Ok(())
}

/// To stdout, at once. Whoever closed stdout does not want to see it.
fn show(text: std::fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
