//! Naming what is still alive below a node.
//!
//! The only children that a node can enumerate are those on its list of parked ones; the rest are queued or running, or wait
//! for scopes of which some is ([`super::listing`]), and are counted. To descend into a child scope, its node must stay alive
//! meanwhile: it does while the lock of the list that its link is on is held, for its task takes the link off before it ends.
//! So the walk holds the locks of a path from the top down, always in that direction; nothing else holds two at once, so
//! nothing can wait in a circle.

use std::fmt;

use super::node::{Held, Node};
use super::parked::Who;
use crate::sync::MutexGuard;

/// What was still alive when a drain's time ran out. Its `Display` names the subtree, a line per scope or child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivors {
    lines: Vec<String>,
    children: u64,
}

impl Survivors {
    /// How many children of the drained scope are alive.
    pub fn children(&self) -> u64 {
        self.children
    }

    /// The paths of what is alive below the scope; children that go on, themselves or below, cannot be told apart
    /// and are given as a number.
    pub fn paths(&self) -> &[String] {
        &self.lines
    }
}

impl fmt::Display for Survivors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} children did not end in time", self.children)?;
        self.lines.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for Survivors {}

/// How many lines are given at most: a flood of tasks should not become a flood of text.
const LINES_MAX: usize = 256;

/// A node on the walk's path: its lock, and its child scopes still to be visited.
struct Step<'a> {
    _held: MutexGuard<'a, Held>,
    scopes: Vec<(&'a Node, String)>,
}

impl Node {
    /// Names what is alive below this node, which the caller keeps alive.
    pub(crate) fn survivors(&self) -> Survivors {
        let mut lines = Vec::new();
        let children = self.live_children();
        let mut path = vec![self.visit(&self.path(), &mut lines)];
        while let Some(step) = path.last_mut() {
            match step.scopes.pop() {
                None => drop(path.pop()),
                Some(_) if lines.len() >= LINES_MAX => {}
                Some((node, name)) => {
                    lines.push(name.clone());
                    path.push(node.visit(&name, &mut lines));
                }
            }
        }
        lines.truncate(LINES_MAX);
        Survivors { lines, children }
    }

    /// Takes the node's lock and lists its parked children; `prefix` is the node's own path.
    fn visit<'a>(&'a self, prefix: &str, lines: &mut Vec<String>) -> Step<'a> {
        let mut held = self.held.lock();
        let mut scopes = Vec::new();
        let mut listed = 0;
        held.parked.for_each(|who| {
            listed += 1;
            match who {
                Who::Child(label) if lines.len() < LINES_MAX => lines.push(format!("{prefix}/{label}")),
                Who::Child(_) => {}
                Who::Scope(node) => {
                    // SAFETY: on the list, and so alive while the list's lock is held. The step below holds it until all that
                    // is below has been named; nothing in between unwinds but for want of memory, which aborts.
                    let node: &'a Node = unsafe { node.as_ref() };
                    scopes.push((node, format!("{prefix}/{}", node.name())));
                }
            }
        });
        let unlisted = self.live_children().saturating_sub(listed);
        if unlisted > 0 && lines.len() < LINES_MAX {
            lines.push(format!("{prefix}/({unlisted} going on)"));
        }
        Step { _held: held, scopes }
    }
}
