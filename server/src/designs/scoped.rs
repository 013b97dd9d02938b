//! Every connection is a scope, and borrows.
//!
//! The accept loop runs in the root's scope and spawns a scope per connection. The router lies on the
//! stack frame below the root: connections borrow it, for the root does not return before they have
//! ended. A connection's [`Link`] lies in the connection's own node: its reader and its writer borrow
//! it, for a node drops what it owns after its children. There is no `Arc`, nothing is `'static`, and
//! no task outlives the one that started it.

use futures_lite::future;
use treescope::Scope;
use treescope::net::TcpListener;
use treescope::time::timeout;

use crate::accept::Acceptor;
use crate::link::{Link, ReadEnd};
use crate::router::Router;
use crate::shutdown;

/// Serves until `stop` returns, then delivers what is queued; at once if `stop` returns again.
pub async fn serve<'scope>(
    scope: &'scope Scope<'scope, '_>,
    router: &'scope Router,
    listener: TcpListener,
    mut stop: impl AsyncFnMut(),
) {
    future::or(accept(scope, router, listener), stop()).await;
    shutdown::deliver(router, stop).await;
}

async fn accept<'scope>(scope: &'scope Scope<'scope, '_>, router: &'scope Router, listener: TcpListener) {
    let mut acceptor = Acceptor::new(listener, router);
    loop {
        let socket = acceptor.next().await;
        let Some(seat) = router.seat() else { continue };
        let link = Link::new(router, seat, socket);
        scope.scope(async move |connection| {
            let link = &*connection.alloc(link);
            let writer = connection.spawn(link.write());
            match link.read().await {
                ReadEnd::Stopped => {}
                ReadEnd::Eof => {
                    link.finish();
                    if timeout(router.limits().stall_timeout, writer).await.is_err() {
                        link.close();
                    }
                }
                ReadEnd::Broken(error) => {
                    tracing::debug!(id = link.id(), %error, "broken on read");
                    link.close();
                }
                ReadEnd::TooLong(error) => {
                    tracing::info!(id = link.id(), %error, "disconnected");
                    link.close();
                }
            }
        });
    }
}
