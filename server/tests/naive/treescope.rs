//! Each connection borrows the server. Compiles, and serves two clients.

use std::collections::HashMap;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;

use treescope::Scope;
use treescope::net::{TcpListener, TcpStream};

#[derive(Default)]
struct Server {
    here: Mutex<HashMap<u32, SocketAddr>>,
}

impl Server {
    async fn serve<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, listener: TcpListener) {
        for id in 0..2 {
            let Ok((socket, peer)) = listener.accept().await else { return };
            scope.spawn(self.connection(id, socket, peer));
        }
    }

    async fn connection(&self, id: u32, socket: TcpStream, peer: SocketAddr) {
        self.here.lock().unwrap().insert(id, peer);
        let _ = socket.writable().await;
        let _ = socket.try_write(&id.to_be_bytes());
        self.here.lock().unwrap().remove(&id);
    }
}

fn main() {
    let server = Server::default();
    let clients = treescope::block_on(async |scope| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let clients = [(); 2].map(|()| {
            thread::spawn(move || {
                let mut id = [0xff; 4];
                std::net::TcpStream::connect(addr).unwrap().read_exact(&mut id).unwrap();
                u32::from_be_bytes(id)
            })
        });
        server.serve(scope, listener).await;
        clients
    });
    // Every connection has ended, and the server is ours again.
    assert!(server.here.into_inner().unwrap().is_empty());
    let mut ids = clients.map(|client| client.join().unwrap());
    ids.sort_unstable();
    assert_eq!(ids, [0, 1]);
}
