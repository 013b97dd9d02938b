//! A key without an address of its own.

use treescope::ScopedKey;

fn main() {
    treescope::block_on(async |root| {
        let key = ScopedKey::<u32>::inherited();
        root.open().with(&key, 1).scope(async |_| ()).await;
    });
}
