//! A scope's task holds its node inline. Were the node `Unpin`, a task with an `Unpin` body would be too, and its poll's
//! `&mut self` would claim to be the only pointer to a node that children are using.

fn unpin<T: Unpin>() {}

fn main() {
    unpin::<treescope::Scope<'static, 'static>>();
}
