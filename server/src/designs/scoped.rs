//! Every connection is a scope, and borrows.
//!
//! ```text
//!   root      the stack frame below it owns the router
//!     server              bounded: accepts; its children are connections; told to stop, it cancels them
//!       conn-17           fallible: reads; owns the link, its place among the connections, its goodbye
//!         writer          writes
//! ```
//!
//! The router lies on the stack frame below the root: connections borrow it, for the root does not return
//! before they have ended. A connection's [`Link`] lies in the connection's own node: its reader and its
//! writer borrow it, for a node drops what it owns after its children. If one of the two fails the other is
//! dropped, and the cause is told once, with its place in the tree. There is no `Arc`, nothing is `'static`,
//! no task outlives the one that started it, and nothing has to be told to stop that the tree can stop.

use futures_lite::future;
use treescope::net::{TcpListener, TcpStream};
use treescope::{BoundedScope, CauseKind, Place, Scope, TryScope};

use crate::accept::Acceptor;
use crate::link::{self, Gone, Link};
use crate::router::Router;
use crate::shutdown::{self, Stop};

/// Serves until `stop` tells so, then delivers what is queued; at once if `stop` tells so again.
pub async fn serve<'scope>(
    root: &'scope Scope<'scope, '_>,
    router: &'scope Router,
    listener: TcpListener,
    mut stop: impl Stop + 'scope,
) {
    let limits = router.limits();
    let connections = root.open().name("server").bounded(limits.max_connections, async move |places| {
        let server = places.scope();
        future::or(accept(places, router, listener), stop.told()).await;
        server.defer(link::GOODBYE, shutdown::goodbye(router, router.stats().discarded.get()));
        shutdown::deliver(server, router, stop).await;
    });
    // Ends by itself, or by the abort after the grace period, without a value that anybody could await.
    drop(connections);
}

async fn accept<'scope>(places: BoundedScope<'scope, '_>, router: &'scope Router, listener: TcpListener) {
    let mut acceptor = Acceptor::new(listener, router);
    loop {
        let place = places.place().await;
        let socket = acceptor.next().await;
        connect(places.scope(), router, place, socket);
    }
}

/// Opens a connection's scope.
fn connect<'scope>(
    server: &'scope Scope<'scope, '_>,
    router: &'scope Router,
    place: Place<'scope>,
    socket: TcpStream,
) {
    let Some(seat) = router.seat() else { return };
    let name = format!("conn-{}", seat.id());
    server.open().name(name).try_scope(async move |connection| {
        connection.alloc(place);
        let link = &*connection.alloc(Link::new(seat, socket));
        connection.defer(link::GOODBYE, end(connection, link));
        connection.spawn_named("writer", link.write());
        link.read(connection.cancelled()).await?;
        if !connection.is_cancelled() {
            link.finish();
            connection.cancel_because(router.limits().stall_timeout, "the client closed its sending side");
        }
        Ok(())
    });
}

/// The end of a connection, whatever the way out.
async fn end(connection: TryScope<'_, '_, Gone>, link: &Link<&Router, TcpStream>) {
    match connection.cause() {
        Some(cause) if cause.kind() == CauseKind::Error => tracing::info!("{cause}"),
        Some(cause) => tracing::debug!("{}: {cause}", connection.path()),
        None => {}
    }
    link.goodbye().await;
}
