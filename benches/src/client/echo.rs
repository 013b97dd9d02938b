//! So many messages on their way on each connection; each that comes back sends the next.

use std::io;
use std::time::Instant;

use mio::Events;

use super::{Clock, Load, MESSAGE, Say, Sockets, number, wrong};

struct Connection {
    /// The number of the next message to come back.
    next: u64,
    /// When it was sent.
    sent: Instant,
    /// What has come of it.
    buf: [u8; MESSAGE],
    len: usize,
}

pub(super) fn run(
    load: &Load,
    sockets: &mut Sockets,
    clock: &mut Clock,
    say: &mut Say<'_>,
) -> io::Result<()> {
    let mut connections = Vec::new();
    for n in 0..load.connections {
        sockets.send(n, 0)?;
        connections.push(Connection { next: 0, sent: Instant::now(), buf: [0; MESSAGE], len: 0 });
    }
    let mut events = Events::with_capacity(1024);
    let mut on_their_way = load.connections;
    while on_their_way > 0 {
        let goes_on = clock.goes_on(say)?;
        sockets.wait(&mut events)?;
        for event in &events {
            let n = event.token().0;
            let connection = &mut connections[n];
            loop {
                let got = sockets.read(n, &mut connection.buf[connection.len..])?;
                if got == 0 {
                    break;
                }
                connection.len += got;
                if connection.len < MESSAGE {
                    continue;
                }
                let now = Instant::now();
                let came = number(&connection.buf);
                if came != connection.next {
                    return Err(wrong(connection.next, came));
                }
                clock.arrived(connection.sent, now);
                *connection = Connection { next: came + 1, sent: now, buf: connection.buf, len: 0 };
                if goes_on {
                    sockets.send(n, connection.next)?;
                } else {
                    on_their_way -= 1;
                }
                // Nothing more can have come: the next message has only just gone.
                break;
            }
        }
    }
    Ok(())
}
