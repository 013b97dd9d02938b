//! The page that compares the two servers quotes them as they are.

use std::fs;
use std::path::Path;

/// The target of a line that is nothing but a link.
fn link(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(')')?.split_once("](").map(|(_, target)| target)
}

#[test]
fn every_line_quoted_in_the_comparison_is_in_the_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("SIDE_BY_SIDE.md")).unwrap();
    let mut lines = page.lines().enumerate();
    let (mut before, mut quoted) = ("", 0);
    while let Some((number, line)) = lines.next() {
        if matches!(line, "```rust" | "```text") {
            let file = link(before).unwrap_or_else(|| panic!("line {number}: a link before a quotation"));
            let source =
                fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            let quotation: Vec<_> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            assert!(!quotation.is_empty() && quotation.iter().all(|line| !line.trim().is_empty()));
            assert!(
                source.lines().collect::<Vec<_>>().windows(quotation.len()).any(|lines| lines == quotation),
                "{file} has changed, line {number} of the page quotes\n{}",
                quotation.join("\n")
            );
            quoted += 1;
        }
        before = line;
    }
    assert!(quoted >= 12, "{quoted} quotations");
}

/// What a heading is linked to by.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn every_place_that_the_comparison_links_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["SIDE_BY_SIDE.md", "COMPARISON.md"] {
        let page = fs::read_to_string(root.join(name)).unwrap();
        let targets =
            page.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        for target in targets {
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            let file = root.join(if file.is_empty() { name } else { file });
            assert!(file.exists(), "{name}: {target}");
            if !place.is_empty() {
                let text = fs::read_to_string(file).unwrap();
                let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
                let mut anchors = headings.map(|heading| anchor(heading.trim_start_matches('#').trim()));
                assert!(anchors.any(|anchor| anchor == place), "{name}: {target}");
            }
        }
    }
}
