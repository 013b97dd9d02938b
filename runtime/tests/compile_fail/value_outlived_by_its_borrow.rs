//! A value must outlive the *outer* lifetime: one that borrows an outer scope's value may be given to an inner
//! scope, one that borrows an inner scope's value not to the outer one.

fn main() {
    treescope::block_on(async |outer| {
        let of_outer = &*outer.alloc(1);
        outer
            .scope(async move |inner| {
                let of_inner = &*inner.alloc(of_outer);
                outer.alloc(of_inner);
            })
            .await;
    });
}
