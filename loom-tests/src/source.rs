//! The runtime's sources, as text: where an operation stands, and which orderings it names.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The runtime's source directory.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/src")
}

/// All source files of the runtime, relative to [`root`], sorted; without the models' own parts.
///
/// # Errors
/// If the directory cannot be read.
pub fn files() -> io::Result<Vec<String>> {
    fn walk(directory: &Path, prefix: &str, files: &mut Vec<String>) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                walk(&entry.path(), &format!("{name}/"), files)?;
            } else if name.ends_with(".rs") {
                files.push(name);
            }
        }
        Ok(())
    }
    let mut files = Vec::new();
    walk(&root(), "", &mut files)?;
    files.retain(|name| {
        !name.starts_with("sync") && !name.starts_with("model/") && !name.ends_with("tests.rs")
    });
    files.sort();
    Ok(files)
}

/// A file's text up to its unit tests, which no model runs.
///
/// # Errors
/// If the file cannot be read.
pub fn shipped(file: &str) -> io::Result<String> {
    let mut text = fs::read_to_string(root().join(file))?;
    if let Some(tests) = text.find("\n#[cfg(all(test") {
        text.truncate(tests);
    }
    Ok(text)
}

/// Line and column, both from 1, of a byte offset. Columns count characters, as the compiler does.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[start..].chars().count() + 1)
}

/// The arguments of the call that begins at `line` and `column`: from the opening parenthesis to the closing one.
pub fn arguments(text: &str, line: usize, column: usize) -> Option<(usize, usize)> {
    let mut start = 0;
    for _ in 1..line {
        start += text[start..].find('\n')? + 1;
    }
    start += text[start..].char_indices().nth(column - 1)?.0;
    let open = start + text[start..].find('(')?;
    let mut depth = 0;
    for (offset, character) in text[open..].char_indices() {
        match character {
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return Some((open + 1, open + offset));
                }
            }
            _ => {}
        }
    }
    None
}

/// The offsets at which code (not a comment) says `Ordering::<one of the five>`, and which one.
pub fn orderings(text: &str) -> Vec<(usize, &str)> {
    const NAME: &str = "Ordering::";
    let mut found = Vec::new();
    for (offset, _) in text.match_indices(NAME) {
        let line = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
        if text[line..offset].contains("//") {
            continue;
        }
        let rest = &text[offset + NAME.len()..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"].contains(&&rest[..end]) {
            found.push((offset, &rest[..end]));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "fn f() {\n    // Ordering::Relaxed\n    x.swap(g(1), Ordering::AcqRel);\n    a(Ordering::Less)\n}\n";

    #[test]
    fn orderings_in_comments_and_of_comparisons_are_left_out() {
        let found = orderings(TEXT);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1, "AcqRel");
        assert_eq!(line_and_column(TEXT, found[0].0), (3, 18));
    }

    #[test]
    fn arguments_end_at_their_own_parenthesis() {
        let (from, to) = arguments(TEXT, 3, 7).expect("a call stands there");
        assert_eq!(&TEXT[from..to], "g(1), Ordering::AcqRel");
    }

    #[test]
    fn every_source_file_of_the_runtime_is_found() {
        let files = files().expect("the runtime's sources can be read");
        assert!(files.iter().any(|file| file == "sched/idle.rs"), "{files:?}");
    }
}
