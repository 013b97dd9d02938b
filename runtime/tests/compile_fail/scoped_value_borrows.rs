//! A value for a key is looked up by tasks of any scope below, and so is `'static`.

use treescope::ScopedKey;

static KEY: ScopedKey<&str> = ScopedKey::inherited();

fn main() {
    let text = String::from("borrowed");
    treescope::block_on(async |scope| scope.open().with(&KEY, &text[..]).scope(async |_| ()).await);
}
