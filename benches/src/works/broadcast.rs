//! A server that sends what one connection says to all others: 100 and 1,000 of them, with 1, 8 and 64 messages of 64
//! bytes on their way.
//!
//! On every runtime a task per connection writes what has gathered in its `Outbox`; where they differ is that one
//! borrows it and the other holds an `Arc` of it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use mio::{Events, Interest, Poll, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use treescope::net::{TcpListener as ScopeListener, TcpStream as ScopeStream};

use super::outbox::Outbox;
use super::served::Served;
use super::{Entry, Manner, Sample, Size, Work};
use crate::client;
use crate::runtimes::{Kind, tokio as on_tokio};

pub(super) const ENTRIES: &[Entry] = &[
    entry("broadcast", "to 1,000 connections, 64 messages on their way", |size| make(1_000, 64, size)),
    entry("broadcast/1000x8", "to 1,000 connections, 8 on their way", |size| make(1_000, 8, size)),
    entry("broadcast/1000x1", "to 1,000 connections, one at a time", |size| make(1_000, 1, size)),
    entry("broadcast/100x64", "to 100 connections, 64 on their way", |size| make(100, 64, size)),
    entry("broadcast/100x8", "to 100 connections, 8 on their way", |size| make(100, 8, size)),
    entry("broadcast/100x1", "to 100 connections, one at a time", |size| make(100, 1, size)),
];

const fn entry(name: &'static str, about: &'static str, make: fn(Size) -> Box<dyn Work>) -> Entry {
    Entry {
        name,
        op: "delivery",
        about,
        runs_on: &[Kind::Treescope, Kind::Tokio, Kind::TokioCurrentThread, Kind::Epoll],
        workers: None,
        manner: Manner::Network,
        make,
    }
}

fn make(connections: usize, in_flight: u64, size: Size) -> Box<dyn Work> {
    let connections = size.pick(connections, connections, 8);
    Box::new(Broadcast(Served { kind: client::Kind::Broadcast, connections, in_flight, size }))
}

struct Broadcast(Served);

/// Of the one who speaks.
const BUFFER: usize = 16 * 1024;

impl Work for Broadcast {
    fn treescope(&self, runtime: &treescope::Runtime) -> Sample {
        async fn write(stream: ScopeStream, outbox: &Outbox) -> io::Result<()> {
            let mut bytes = Vec::new();
            while outbox.take(&mut bytes).await {
                futures_lite::AsyncWriteExt::write_all(&mut &stream, &bytes).await?;
            }
            Ok(())
        }
        async fn publish(stream: ScopeStream, outboxes: &[Outbox]) -> io::Result<()> {
            let mut buf = vec![0; BUFFER];
            loop {
                let n = stream.read(&mut buf).await?;
                outboxes
                    .iter()
                    .for_each(|outbox| if n == 0 { outbox.close() } else { outbox.push(&buf[..n]) });
                if n == 0 {
                    return Ok(());
                }
            }
        }
        let outboxes: Vec<_> = (0..self.0.connections).map(|_| Outbox::default()).collect();
        self.0.run(|listener| {
            runtime.block_on(async |root| {
                let ended = root.scope(async |scope| {
                    let listener = ScopeListener::from_std(listener)?;
                    let mut handles = Vec::new();
                    for outbox in &outboxes {
                        let (stream, _) = listener.accept().await?;
                        stream.set_nodelay(true)?;
                        handles.push(scope.spawn(write(stream, outbox)));
                    }
                    publish(listener.accept().await?.0, &outboxes).await?;
                    for handle in handles {
                        handle.await?;
                    }
                    io::Result::Ok(())
                });
                ended.await.expect("no connection fails");
            });
        })
    }

    fn tokio(&self, runtime: &tokio::runtime::Runtime) -> Sample {
        async fn write(mut stream: tokio::net::TcpStream, outbox: Arc<Outbox>) -> io::Result<()> {
            let mut bytes = Vec::new();
            while outbox.take(&mut bytes).await {
                stream.write_all(&bytes).await?;
            }
            Ok(())
        }
        async fn publish(mut stream: tokio::net::TcpStream, outboxes: &[Arc<Outbox>]) -> io::Result<()> {
            let mut buf = vec![0; BUFFER];
            loop {
                let n = stream.read(&mut buf).await?;
                outboxes
                    .iter()
                    .for_each(|outbox| if n == 0 { outbox.close() } else { outbox.push(&buf[..n]) });
                if n == 0 {
                    return Ok(());
                }
            }
        }
        let connections = self.0.connections;
        self.0.run(|listener| {
            let ended = on_tokio::on_worker(runtime, async move {
                listener.set_nonblocking(true)?;
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let outboxes: Vec<_> = (0..connections).map(|_| Arc::<Outbox>::default()).collect();
                let mut handles = Vec::new();
                for outbox in &outboxes {
                    let (stream, _) = listener.accept().await?;
                    stream.set_nodelay(true)?;
                    handles.push(tokio::spawn(write(stream, outbox.clone())));
                }
                publish(listener.accept().await?.0, &outboxes).await?;
                for handle in handles {
                    handle.await??;
                }
                io::Result::Ok(())
            });
            ended.expect("no connection fails");
        })
    }

    fn epoll(&self) -> Sample {
        self.0.run(|listener| serve(listener, self.0.connections).expect("no connection fails"))
    }
}

/// A connection of the loop without a runtime.
struct Connection {
    stream: mio::net::TcpStream,
    /// What its socket had no room for.
    rest: Vec<u8>,
}

/// The loop without a runtime.
fn serve(listener: TcpListener, connections: usize) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut accept = |n: usize| {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(n), Interest::READABLE | Interest::WRITABLE)?;
        io::Result::Ok(Connection { stream, rest: Vec::new() })
    };
    let mut listeners = (0..connections).map(&mut accept).collect::<io::Result<Vec<_>>>()?;
    let mut publisher = accept(connections)?.stream;
    let mut buf = vec![0; BUFFER];
    let mut events = Events::with_capacity(1024);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if let Some(listener) = listeners.get_mut(event.token().0) {
                if event.is_writable() && !listener.rest.is_empty() {
                    listener.write(&[])?;
                }
                continue;
            }
            loop {
                let n = match publisher.read(&mut buf) {
                    Ok(0) => return Ok(()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    other => other?,
                };
                listeners.iter_mut().try_for_each(|listener| listener.write(&buf[..n]))?;
                // Less than there was room for: that was all, and more will be told of.
                if n < BUFFER {
                    break;
                }
            }
        }
    }
}

impl Connection {
    /// Writes what was left over and then `bytes`; keeps what there is no room for.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.rest.is_empty() {
            let written = self.write_once(bytes)?;
            self.rest.extend_from_slice(&bytes[written..]);
            return Ok(());
        }
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let written = self.write_once(&rest)?;
        self.rest.extend_from_slice(&rest[written..]);
        Ok(())
    }

    fn write_once(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.stream.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }
}
