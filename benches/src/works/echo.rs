//! A TCP echo server with 1, 64 and 1,000 connections, each with one message of 64 bytes on its way.
//!
//! Server and client have processors of their own. The server's processor time per message is what to look at: the
//! time per message is that of whoever is slower, and that may be the client.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;

use mio::{Events, Interest, Poll, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use treescope::net::{TcpListener as ScopeListener, TcpStream as ScopeStream};

use super::served::Served;
use super::{Entry, Manner, Sample, Work};
use crate::client;
use crate::runtimes::{Kind, tokio as on_tokio};

pub(super) const ENTRIES: &[Entry] = &[
    entry("echo", "TCP echo of 64 bytes over 64 connections", |size| {
        Box::new(Echo(Served {
            kind: client::Kind::Echo,
            connections: size.pick(64, 64, 8),
            in_flight: 1,
            size,
        }))
    }),
    entry("echo/1", "over one connection: the round trip", |size| {
        Box::new(Echo(Served { kind: client::Kind::Echo, connections: 1, in_flight: 1, size }))
    }),
    entry("echo/1000", "over 1,000 connections", |size| {
        Box::new(Echo(Served {
            kind: client::Kind::Echo,
            connections: size.pick(1_000, 1_000, 8),
            in_flight: 1,
            size,
        }))
    }),
];

const fn entry(name: &'static str, about: &'static str, make: fn(super::Size) -> Box<dyn Work>) -> Entry {
    Entry {
        name,
        op: "message",
        about,
        runs_on: &[Kind::Treescope, Kind::Tokio, Kind::TokioCurrentThread, Kind::Epoll],
        workers: None,
        manner: Manner::Network,
        make,
    }
}

struct Echo(Served);

/// Of each connection's buffer.
const BUFFER: usize = 1024;

impl Work for Echo {
    fn treescope(&self, runtime: &treescope::Runtime) -> Sample {
        async fn echo(stream: ScopeStream) -> std::io::Result<()> {
            let mut buf = [0; BUFFER];
            loop {
                let n = stream.read(&mut buf).await?;
                if n == 0 {
                    return Ok(());
                }
                futures_lite::AsyncWriteExt::write_all(&mut &stream, &buf[..n]).await?;
            }
        }
        let connections = self.0.connections;
        self.0.run(|listener| {
            runtime.block_on(async |root| {
                let ended = root.scope(async move |scope| {
                    let listener = ScopeListener::from_std(listener)?;
                    let mut handles = Vec::new();
                    for _ in 0..connections {
                        let (stream, _) = listener.accept().await?;
                        stream.set_nodelay(true)?;
                        handles.push(scope.spawn(echo(stream)));
                    }
                    for handle in handles {
                        handle.await?;
                    }
                    std::io::Result::Ok(())
                });
                ended.await.expect("no connection fails");
            });
        })
    }

    fn tokio(&self, runtime: &tokio::runtime::Runtime) -> Sample {
        async fn echo(mut stream: tokio::net::TcpStream) -> std::io::Result<()> {
            let mut buf = [0; BUFFER];
            loop {
                let n = stream.read(&mut buf).await?;
                if n == 0 {
                    return Ok(());
                }
                stream.write_all(&buf[..n]).await?;
            }
        }
        let connections = self.0.connections;
        self.0.run(|listener| {
            let ended = on_tokio::on_worker(runtime, async move {
                listener.set_nonblocking(true)?;
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let mut handles = Vec::new();
                for _ in 0..connections {
                    let (stream, _) = listener.accept().await?;
                    stream.set_nodelay(true)?;
                    handles.push(tokio::spawn(echo(stream)));
                }
                for handle in handles {
                    handle.await??;
                }
                std::io::Result::Ok(())
            });
            ended.expect("no connection fails");
        })
    }

    fn epoll(&self) -> Sample {
        self.0.run(|listener| serve(listener, self.0.connections).expect("no connection fails"))
    }
}

/// The loop without a runtime.
fn serve(listener: TcpListener, connections: usize) -> std::io::Result<()> {
    let mut poll = Poll::new()?;
    let mut streams = Vec::new();
    for n in 0..connections {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(n), Interest::READABLE | Interest::WRITABLE)?;
        streams.push(Some((stream, [0; BUFFER])));
    }
    let (mut events, mut open) = (Events::with_capacity(1024), connections);
    while open > 0 {
        poll.poll(&mut events, None)?;
        for event in &events {
            let Some(connection) = streams.get_mut(event.token().0) else { continue };
            let Some((stream, buf)) = connection else { continue };
            loop {
                match stream.read(buf) {
                    Ok(0) => {
                        open -= 1;
                        *connection = None;
                        break;
                    }
                    Ok(n) => {
                        // With one message on its way there is always room.
                        stream.write_all(&buf[..n])?;
                        // Less than there was room for: that was all, and more will be told of.
                        if n < BUFFER {
                            break;
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(())
}
