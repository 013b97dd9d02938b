//! A fallible scope that leaves its body by its value.

fn main() {
    treescope::block_on(async |root| {
        let escaped = root.try_scope(async |scope| Ok::<_, String>(scope)).await;
        escaped.unwrap().spawn(async { Ok(()) });
    });
}
