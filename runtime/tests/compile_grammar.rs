//! What the compiler must refuse of the kinds of scope, cleanup and scoped values, with its messages pinned.
//!
//! `TRYBUILD=overwrite cargo test -p treescope --test compile_grammar` rewrites the messages; the change is then to be read.

use std::process::Command;

/// The compiler whose messages are pinned; on others nothing here is checked.
const PINNED: &str = "rustc 1.95.";

#[test]
fn compiler_refuses_what_would_outlive_its_scope() {
    let version =
        Command::new("rustc").arg("--version").output().expect("rustc runs, having built this test");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if version.starts_with(PINNED) {
        trybuild::TestCases::new().compile_fail("tests/compile_fail_grammar/*.rs");
    } else {
        eprintln!("not checked: the messages are pinned for `{PINNED}`, this is `{}`", version.trim());
    }
}
