//! An inner scope that the outer body keeps in a local of its own.

fn main() {
    treescope::block_on(async |root| {
        root.scope(async |outer| {
            let mut slot = None;
            outer.scope(async |inner| slot = Some(inner)).await;
            drop(slot);
        })
        .await;
    });
}
