//! The runtime's orderings and fences, each weaker than it is written.

use std::collections::BTreeMap;
use std::io;

use crate::source;

/// One weakening.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mutant {
    /// Below `runtime/src/`.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// `fence`, `load`, `compare_exchange`, ..
    pub operation: String,
    /// The ordering as written.
    pub from: String,
    /// What becomes of it, for people: `→ Relaxed`, `removed`.
    pub change: String,
    /// The same for `TREESCOPE_FAULT`, after the place.
    pub fault: String,
}

impl Mutant {
    /// The value of `TREESCOPE_FAULT` that makes it.
    pub fn environment(&self) -> String {
        format!("{}:{}:{}:{}", self.file, self.line, self.column, self.fault)
    }
}

impl std::fmt::Display for Mutant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, line, operation, from, change, .. } = self;
        write!(f, "{file}:{line} {operation} {from} {change}")
    }
}

/// An operation that a model has reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// Below `runtime/src/`.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// Its name.
    pub operation: String,
}

impl Site {
    /// Reads `<path>:<line>:<column> <operation> [..]`, as a model prints it. `None` for places outside the runtime.
    pub fn parse(text: &str) -> Option<Self> {
        let (place, rest) = text.split_once(' ')?;
        let mut parts = place.rsplitn(3, ':');
        let column = parts.next()?.parse().ok()?;
        let line = parts.next()?.parse().ok()?;
        let (_, file) = parts.next()?.split_once("runtime/src/")?;
        let operation = rest.split(' ').next()?.to_owned();
        Some(Self { file: file.to_owned(), line, column, operation })
    }
}

/// What there is to weaken.
#[derive(Debug, Default)]
pub struct Mutants {
    /// Mutants of operations that some model reaches.
    pub reached: Vec<(Site, Mutant)>,
    /// Orderings stronger than Relaxed that no model reaches: place, and the ordering.
    pub unreached: Vec<(String, usize, String)>,
}

/// All mutants of the files whose name contains `only`, given the sites that models reach.
///
/// # Errors
/// If a source file cannot be read.
pub fn all(sites: &[Site], only: &str) -> io::Result<Mutants> {
    let mut mutants = Mutants::default();
    for file in source::files()?.into_iter().filter(|file| file.contains(only)) {
        let text = source::shipped(&file)?;
        let orderings: BTreeMap<usize, &str> = source::orderings(&text).into_iter().collect();
        let mut tied = Vec::new();
        for site in sites.iter().filter(|site| site.file == file) {
            let Some((from, to)) = source::arguments(&text, site.line, site.column) else { continue };
            for (argument, (&offset, &ordering)) in orderings.range(from..to).enumerate() {
                tied.push(offset);
                let weaker = weakenings(&site.operation, argument, ordering);
                mutants.reached.extend(weaker.into_iter().map(|(change, fault)| {
                    let Site { file, line, column, operation } = site.clone();
                    let mutant =
                        Mutant { file, line, column, operation, from: ordering.to_owned(), change, fault };
                    (site.clone(), mutant)
                }));
            }
        }
        let untied = orderings.iter().filter(|(offset, name)| !tied.contains(offset) && **name != "Relaxed");
        mutants.unreached.extend(untied.map(|(&offset, &name)| {
            (file.clone(), source::line_and_column(&text, offset).0, name.to_owned())
        }));
    }
    Ok(mutants)
}

/// What `operation`'s ordering number `argument` can be weakened to: in words, and as a fault.
fn weakenings(operation: &str, argument: usize, ordering: &str) -> Vec<(String, String)> {
    let read_modify_write = !matches!(operation, "load" | "store" | "fence");
    let names: &[&str] = match (operation, argument, ordering) {
        ("fence", _, "SeqCst") => &["AcqRel"],
        ("load", _, "SeqCst") | (_, 1.., "SeqCst") => &["Acquire", "Relaxed"],
        ("store", _, "SeqCst") => &["Release", "Relaxed"],
        (_, 0, "SeqCst") if read_modify_write => &["AcqRel", "Acquire", "Release"],
        (_, 0, "AcqRel") if read_modify_write => &["Acquire", "Release"],
        ("load" | "store", _, "Acquire" | "Release") | (_, _, "Acquire" | "Release")
            if operation != "fence" =>
        {
            &["Relaxed"]
        }
        _ => &[],
    };
    let mut all: Vec<_> =
        names.iter().map(|name| (format!("→ {name}"), format!("weaken:{argument}:{name}"))).collect();
    if operation == "fence" {
        all.push(("removed".to_owned(), "remove".to_owned()));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_read_as_models_print_it() {
        let site = Site::parse("runtime/src/sched/idle.rs:77:9 fence [SeqCst]").expect("it is one");
        assert_eq!((site.file.as_str(), site.line, site.column), ("sched/idle.rs", 77, 9));
        assert_eq!(Site::parse("elsewhere/src/lib.rs:1:1 load [Relaxed]"), None);
    }

    #[test]
    fn each_ordering_becomes_what_is_one_step_weaker() {
        let changes = |operation, argument, ordering| -> Vec<String> {
            weakenings(operation, argument, ordering).into_iter().map(|(change, _)| change).collect()
        };
        assert_eq!(changes("fetch_sub", 0, "AcqRel"), ["→ Acquire", "→ Release"]);
        assert_eq!(changes("load", 0, "Acquire"), ["→ Relaxed"]);
        assert_eq!(changes("fence", 0, "SeqCst"), ["→ AcqRel", "removed"]);
        assert_eq!(changes("compare_exchange", 1, "Acquire"), ["→ Relaxed"]);
        assert!(changes("store", 0, "Relaxed").is_empty());
    }

    #[test]
    fn an_ordering_that_no_model_reaches_is_told() {
        let mutants = all(&[], "sched/idle.rs").expect("the file is there");
        assert!(mutants.reached.is_empty());
        assert!(mutants.unreached.iter().any(|(_, _, ordering)| ordering == "SeqCst"));
    }
}
