//! A child's capture whose drop reads a local of the body.

struct Guard<'a>(&'a u32);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        assert_eq!(*self.0, 1);
    }
}

fn main() {
    treescope::block_on(async |scope| {
        let local = 1;
        let guard = Guard(&local);
        scope.spawn(async move { drop(guard) });
    });
}
