//! So many messages on their way in all; each that has reached every listener sends the next.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use mio::Events;

use super::{Clock, Load, MESSAGE, Say, Sockets, number, wrong};

/// A listener's stream of messages.
#[derive(Default)]
struct Listener {
    /// The number of the next message.
    next: u64,
    /// The beginning of it, if it came in parts.
    part: Vec<u8>,
}

/// Messages on their way, the oldest first.
struct Flight {
    /// The oldest one's number.
    first: u64,
    /// When each was sent, and how many have yet to get it.
    messages: VecDeque<(Instant, usize)>,
}

pub(super) fn run(
    load: &Load,
    sockets: &mut Sockets,
    clock: &mut Clock,
    say: &mut Say<'_>,
) -> io::Result<()> {
    let publisher = load.connections;
    let mut listeners: Vec<_> = (0..load.connections).map(|_| Listener::default()).collect();
    let mut flight = Flight { first: 0, messages: VecDeque::new() };
    let mut buf = vec![0; 64 * 1024];
    let mut events = Events::with_capacity(1024);
    loop {
        let goes_on = clock.goes_on(say)?;
        while goes_on && (flight.messages.len() as u64) < load.in_flight {
            sockets.send(publisher, flight.first + flight.messages.len() as u64)?;
            flight.messages.push_back((Instant::now(), load.connections));
        }
        if flight.messages.is_empty() {
            return Ok(());
        }
        sockets.wait(&mut events)?;
        for event in &events {
            let n = event.token().0;
            loop {
                let got = sockets.read(n, &mut buf)?;
                let came = listeners.get_mut(n).map_or(Ok(0..0), |listener| listener.take(&buf[..got]))?;
                for message in came {
                    flight.messages[(message - flight.first) as usize].1 -= 1;
                }
                // Less than there was room for: that was all, and more will be told of.
                if got < buf.len() {
                    break;
                }
            }
        }
        let now = Instant::now();
        while let Some(&(sent, 0)) = flight.messages.front() {
            clock.arrived(sent, now);
            flight.messages.pop_front();
            flight.first += 1;
        }
    }
}

impl Listener {
    /// Takes what came and says which messages are complete with it.
    fn take(&mut self, mut bytes: &[u8]) -> io::Result<std::ops::Range<u64>> {
        let first = self.next;
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_at((MESSAGE - self.part.len()).min(bytes.len()));
            bytes = rest;
            let came = if head.len() == MESSAGE {
                number(head)
            } else {
                self.part.extend_from_slice(head);
                if self.part.len() < MESSAGE {
                    break;
                }
                let came = number(&self.part);
                self.part.clear();
                came
            };
            if came != self.next {
                return Err(wrong(self.next, came));
            }
            self.next += 1;
        }
        Ok(first..self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: u64) -> Vec<u8> {
        let mut message = vec![0; MESSAGE];
        message[..8].copy_from_slice(&n.to_be_bytes());
        message
    }

    #[test]
    fn messages_in_parts_are_counted_when_complete() {
        let stream = [message(0), message(1), message(2)].concat();
        for split in 0..stream.len() {
            let mut listener = Listener::default();
            let (head, tail) = stream.split_at(split);
            assert_eq!(listener.take(head).expect("in order"), 0..split as u64 / MESSAGE as u64);
            assert_eq!(listener.take(tail).expect("in order").end, 3);
        }
    }

    #[test]
    fn a_lost_message_is_noticed() {
        let mut listener = Listener::default();
        assert!(listener.take(&[message(0), message(2)].concat()).is_err());
    }
}
