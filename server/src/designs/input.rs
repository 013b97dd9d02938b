//! What the designs that handle one message at a time have in common: reading, and writing one message.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use async_channel::Sender;

use crate::link::{Gone, SCRATCH};
use crate::protocol::{Inbox, Run, TooLong};
use crate::router::Router;
use crate::runtimes::Stream;

/// What a client has sent.
///
/// ```text
/// while input.more(&socket, stop.as_mut()).await? {
///     while let Some(run) = input.run()? {
///         for body in run.bodies() { .. }
///         input.consume(run.received_bytes(run.len()));
///     }
/// }
/// ```
#[derive(Debug)]
pub(super) struct Input<'r> {
    inbox: Inbox,
    router: &'r Router,
}

impl<'r> Input<'r> {
    pub(super) fn new(router: &'r Router) -> Self {
        Input { inbox: Inbox::new(router.limits().max_frame), router }
    }

    /// Reads until there is a whole frame. `false`: the client has closed its sending side, or `stop` is ready.
    ///
    /// # Errors
    ///
    /// [`Gone::Broken`] and [`Gone::TooLong`].
    pub(super) async fn more(
        &mut self,
        socket: &impl Stream,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Result<bool, Gone> {
        poll_fn(|cx| {
            loop {
                if stop.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Ok(false));
                }
                let read = |space: &mut [u8]| match socket.poll_read(cx, space) {
                    Poll::Ready(result) => result.map_err(Some),
                    Poll::Pending => Err(None),
                };
                let received = SCRATCH.with_borrow_mut(|scratch| {
                    self.inbox.receive(scratch, read, |frames| frames.run().map(|run| run.is_some()))
                });
                match received {
                    Ok((0, _)) => return Poll::Ready(Ok(false)),
                    Ok((_, whole)) => {
                        self.router.stats().reads.add(1);
                        if whole? {
                            return Poll::Ready(Ok(true));
                        }
                    }
                    Err(Some(error)) => return Poll::Ready(Err(error.into())),
                    Err(None) => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// The next frames to one receiver.
    ///
    /// # Errors
    ///
    /// [`TooLong`] if the next frame is.
    pub(super) fn run(&self) -> Result<Option<Run<'_>>, TooLong> {
        self.inbox.frames().run()
    }

    /// These are handled.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.inbox.consume(bytes);
    }
}

/// Sends an event with its receiver for each message, in order, until the client has closed its sending side or `stop`
/// is ready.
///
/// # Errors
///
/// [`Gone::Broken`] and [`Gone::TooLong`].
pub(super) async fn send_on<E>(
    events: &Sender<E>,
    event: impl Fn(u32, Vec<u8>) -> E,
    router: &Router,
    socket: &impl Stream,
    mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Result<(), Gone> {
    let mut input = Input::new(router);
    while input.more(socket, stop.as_mut()).await? {
        while let Some(run) = input.run()? {
            for body in run.bodies() {
                // Whoever receives them lives as long as there are senders.
                let _ = events.send(event(run.to(), body.to_vec())).await;
            }
            let bytes = run.received_bytes(run.len());
            input.consume(bytes);
        }
    }
    Ok(())
}

/// Writes one message, or the greeting, by itself.
///
/// # Errors
///
/// The system's.
pub(super) async fn write(socket: &impl Stream, message: &[u8], router: &Router) -> io::Result<()> {
    socket.write_all(message).await?;
    router.stats().writes.add(1);
    router.stats().written.add(message.len());
    Ok(())
}

/// A message of so many bytes is on its way to its receiver.
pub(super) fn routed(bytes: usize, router: &Router) {
    router.stats().frames.add(1);
    router.stats().bytes.add(bytes);
}

/// Says why the connection with this id ended, if not because the client left.
pub(super) fn ended(id: u32, result: Result<(), Gone>, router: &Router) {
    if let Err(gone) = result {
        gone.count(router.stats());
        tracing::info!("connection {id}: {gone}");
    }
}
