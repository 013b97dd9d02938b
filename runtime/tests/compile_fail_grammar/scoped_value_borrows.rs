//! A scoped value that borrows: tasks that see it may be anywhere below.

use treescope::ScopedKey;

static KEY: ScopedKey<&'static str> = ScopedKey::inherited();

fn main() {
    let text = String::from("text");
    treescope::block_on(async |root| {
        root.open().with(&KEY, &*text).scope(async |_| ()).await;
    });
}
