//! A reference to a scoped value that outlives the look-up.

use treescope::ScopedKey;

static KEY: ScopedKey<String> = ScopedKey::inherited();

fn main() {
    treescope::block_on(async |root| {
        let mut escaped: Option<&String> = None;
        KEY.with(|value| escaped = value);
        root.open().with(&KEY, String::from("value")).scope(async |_| ()).await;
        println!("{escaped:?}");
    });
}
