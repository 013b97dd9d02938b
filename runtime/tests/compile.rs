//! What the compiler must refuse, with its messages pinned, and what it should refuse but does not yet.
//!
//! `TRYBUILD=overwrite cargo test -p treescope --test compile` rewrites the messages after a change of compiler or API; the
//! change is then to be read. What must compile is in `borrowing.rs`, where it also runs.

use std::process::Command;

/// The compiler whose messages are pinned. Others word them differently, so on them nothing here is checked.
const PINNED: &str = "rustc 1.95.";

fn compiler_is_pinned() -> bool {
    let version =
        Command::new("rustc").arg("--version").output().expect("rustc runs, having built this test");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let pinned = version.starts_with(PINNED);
    if !pinned {
        eprintln!("not checked: the messages are pinned for `{PINNED}`, this is `{}`", version.trim());
    }
    pinned
}

/// One hostile program per way of smuggling a borrow, a scope, a handle or an output out of where it belongs.
#[test]
fn compiler_refuses_hostile_programs() {
    if compiler_is_pinned() {
        trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
    }
}

/// These compile today through soundness bugs of rustc that any API of this kind shares. Nothing in them is run. If this
/// test fails the compiler has become better: move the program to `compile_fail/` and tell so in `Scope::scope`'s docs.
#[test]
fn compiler_still_accepts_what_its_known_bugs_let_through() {
    if compiler_is_pinned() {
        trybuild::TestCases::new().pass("tests/known_bugs/*.rs");
    }
}
