//! What is compared: a design on a runtime.

use std::fmt;

use clap::ValueEnum;
use serde::{Serialize, Serializer};

use crate::designs::Design;
use crate::runtimes::RuntimeKind;

/// A design on a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// How state is shared.
    pub design: Design,
    /// What runs it.
    pub runtime: RuntimeKind,
}

impl Subject {
    /// All that there are.
    pub fn all() -> impl Iterator<Item = Subject> {
        let designs = Design::value_variants().iter().copied();
        designs.flat_map(|design| design.runtimes().iter().map(move |&runtime| Subject { design, runtime }))
    }

    /// Those that one of `names` stands for: `mutex` for the design on all its runtimes, `mutex/tokio` for one. All
    /// if there are no names.
    ///
    /// # Errors
    ///
    /// If a name stands for nothing.
    pub fn named(names: &[String]) -> Result<Vec<Subject>, String> {
        let meant =
            |subject: &Subject, name: &str| name == subject.to_string() || name == subject.design.to_string();
        if let Some(name) = names.iter().find(|name| !Subject::all().any(|subject| meant(&subject, name))) {
            let all: Vec<_> = Subject::all().map(|subject| subject.to_string()).collect();
            return Err(format!("there is no `{name}` to compare, only {}", all.join(", ")));
        }
        let wanted = |subject: &Subject| names.is_empty() || names.iter().any(|name| meant(subject, name));
        Ok(Subject::all().filter(wanted).collect())
    }

    /// Whether it runs on tokio, which is what others are compared with.
    pub fn is_peer(self) -> bool {
        self.runtime == RuntimeKind::Tokio
    }

    /// Whether it is the bare loop, as a measure of what is possible.
    pub fn is_floor(self) -> bool {
        self.design == Design::Floor
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.runtime {
            RuntimeKind::Bare => self.design.fmt(f),
            RuntimeKind::Treescope | RuntimeKind::Tokio => write!(f, "{}/{}", self.design, self.runtime),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_a_design_or_for_one_runtime_of_it() {
        let named = |name: &str| Subject::named(&[name.to_owned()]);
        assert!(named("mutex").unwrap().len() >= 2);
        let one = named("mutex/tokio").unwrap();
        assert!(one.len() == 1 && one[0].is_peer());
        assert!(named("none").unwrap_err().contains("scoped/treescope"));
        assert_eq!(Subject::named(&[]).unwrap().len(), Subject::all().count());
    }
}
