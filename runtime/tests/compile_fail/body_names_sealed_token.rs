//! The token's module is not public.

fn main() {
    let _ = treescope::tree::body::sealed::Token;
}
