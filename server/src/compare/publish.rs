//! Writing what was found: each file by itself, so that one that cannot be written costs no other.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::report::document;
use super::{CompareError, Findings};

/// Where it is to go.
#[derive(Debug)]
pub(super) struct Publisher<'a> {
    out: Option<&'a Path>,
    document: Option<&'a Path>,
    /// The places in the document that are to be renewed.
    renewed: Vec<&'static str>,
    /// What leads from the document to the drawings.
    way: String,
}

impl<'a> Publisher<'a> {
    /// Tries whether everything can be written that is to be.
    ///
    /// # Errors
    ///
    /// What cannot.
    pub(super) fn new(
        out: Option<&'a Path>,
        document: Option<&'a Path>,
        renewed: Vec<&'static str>,
    ) -> Result<Self, CompareError> {
        if let Some(dir) = out {
            let usable = fs::create_dir_all(dir).and_then(|()| probe(dir));
            usable.map_err(|error| CompareError::File(dir.to_owned(), error))?;
        }
        if let Some(path) = document {
            let failed = |error| CompareError::File(path.to_owned(), error);
            let text = fs::read_to_string(path).map_err(failed)?;
            for name in &renewed {
                document::replace(&text, name, "").map_err(|why| CompareError::Asked(refused(path, &why)))?;
            }
            let writable = OpenOptions::new().append(true).open(path).map(drop);
            let writable = writable.and_then(|()| probe(directory(&fs::canonicalize(path)?)));
            writable.map_err(failed)?;
        }
        let way = document.zip(out).and_then(|(document, out)| way(document, out));
        // Where the drawings of the documents here are.
        let way = way.unwrap_or_else(|| "comparison/".to_owned());
        Ok(Publisher { out, document, renewed, way })
    }

    /// What leads to the drawings from beside them; `None` if there are none.
    pub(super) fn drawings_beside(&self) -> Option<&str> {
        self.out.map(|_| "")
    }

    /// What leads to the drawings from the document.
    pub(super) fn drawings_from_document(&self) -> Option<&str> {
        Some(&self.way)
    }

    /// Writes what can be written; gives what failed.
    pub(super) fn publish(&self, findings: &Findings) -> Vec<String> {
        let mut failures = Vec::new();
        for (name, content) in self.out.iter().flat_map(|_| &findings.files) {
            let path = self.out.map(|dir| dir.join(name)).unwrap_or_default();
            if let Err(error) = write(&path, content) {
                failures.push(format!("{}: {error}", path.display()));
            }
        }
        if let Some(path) = self.document {
            self.renew(path, findings, &mut failures);
        }
        failures
    }

    fn renew(&self, path: &Path, findings: &Findings, failures: &mut Vec<String>) {
        // Read again: somebody may have written in it meanwhile.
        let text = fs::read_to_string(path);
        let mut text = match text {
            Ok(text) => text,
            Err(error) => return failures.push(format!("{}: {error}", path.display())),
        };
        for name in &self.renewed {
            let table = findings.tables.iter().find(|table| table.name == *name);
            let renewed = match table {
                Some(table) => document::replace(&text, name, &table.document),
                None => Err(format!("there is nothing to put into `{name}`")),
            };
            match renewed {
                Ok(renewed) => text = renewed,
                Err(why) => failures.push(refused(path, &why)),
            }
        }
        if let Err(error) = write(path, &text) {
            failures.push(format!("{}: {error}", path.display()));
        }
    }
}

fn refused(document: &Path, why: &str) -> String {
    format!("cannot update {}: {why}", document.display())
}

/// The directory that a file is in.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// From a document to a directory below its own; `None` if it is elsewhere.
fn way(document: &Path, out: &Path) -> Option<String> {
    let (document, out) = (fs::canonicalize(document).ok()?, fs::canonicalize(out).ok()?);
    let steps = out.strip_prefix(directory(&document)).ok()?.to_str()?;
    Some(if steps.is_empty() { String::new() } else { format!("{steps}/") })
}

/// A file beside another that nobody else has.
fn beside(dir: &Path) -> PathBuf {
    dir.join(format!(".compare-{}", std::process::id()))
}

/// Whether there can be files in a directory: permissions tell only half of it.
fn probe(dir: &Path) -> io::Result<()> {
    let path = beside(dir);
    fs::write(&path, "x")?;
    fs::remove_file(&path)
}

/// Puts a whole file in the place of the old one: on a full disk the old one stays.
fn write(path: &Path, content: &str) -> io::Result<()> {
    // What a link leads to is replaced, and not the link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let new = beside(directory(&path));
    let written = fs::write(&new, content)
        .and_then(|()| match fs::metadata(&path) {
            Ok(old) if old.is_file() => fs::set_permissions(&new, old.permissions()),
            _ => Ok(()),
        })
        .and_then(|()| fs::rename(&new, &path));
    written.inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })
}

#[cfg(test)]
mod tests {
    use super::super::Table;
    use super::*;

    /// A directory of a test's own.
    fn directory_for(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("compare-publish-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("it can be made");
        path
    }

    fn findings() -> Findings {
        let table = |name, text: &str| Table {
            name,
            beside: format!("{text} beside"),
            document: format!("{text} from afar"),
        };
        Findings {
            tables: vec![table("load", "new load"), table("cost", "new cost")],
            files: ["a", "b", "c"].map(|name| (name.to_owned(), format!("of {name}"))).to_vec(),
            unmeasured: vec![],
        }
    }

    const DOCUMENT: &str = "By hand.\n<!-- begin load -->old load<!-- end load -->\n\
                            <!-- begin cost -->old cost<!-- end cost -->\n";

    #[test]
    fn a_file_that_cannot_be_written_costs_no_other() {
        let dir = directory_for("files");
        let (out, document) = (dir.join("out"), dir.join("document.md"));
        fs::write(&document, DOCUMENT).expect("it can be written");
        // A directory is in the way of the first file.
        fs::create_dir_all(out.join("a/x")).expect("it can be made");
        let publisher =
            Publisher::new(Some(&out), Some(&document), vec!["load"]).expect("all can be written");
        let failures = publisher.publish(&findings());
        assert!(failures.len() == 1 && failures[0].contains("out/a: "), "{failures:?}");
        for name in ["b", "c"] {
            assert_eq!(fs::read_to_string(out.join(name)).expect("it is there"), format!("of {name}"));
        }
        let text = fs::read_to_string(&document).expect("it is there");
        assert!(text.starts_with("By hand.\n") && text.contains("new load from afar"), "{text}");
        assert!(text.contains("old cost") && !text.contains("old load"), "{text}");
        let left: Vec<_> = fs::read_dir(&out).expect("it is there").flatten().collect();
        assert_eq!(left.len(), 3, "{left:?}");
        fs::remove_dir_all(&dir).expect("it can be removed");
    }

    #[test]
    fn a_document_that_lost_its_marks_meanwhile_is_left_alone_and_the_files_are_written() {
        let dir = directory_for("marks");
        let document = dir.join("document.md");
        fs::write(&document, DOCUMENT).expect("it can be written");
        let publisher =
            Publisher::new(Some(&dir), Some(&document), vec!["load"]).expect("all can be written");
        fs::write(&document, "Others wrote this.").expect("it can be written");
        let failures = publisher.publish(&findings());
        assert!(failures.len() == 1 && failures[0].contains("begin load"), "{failures:?}");
        assert_eq!(fs::read_to_string(&document).expect("it is there"), "Others wrote this.");
        assert_eq!(fs::read_to_string(dir.join("a")).expect("it is there"), "of a");
        fs::remove_dir_all(&dir).expect("it can be removed");
    }

    #[test]
    fn links_lead_from_the_document_to_the_drawings() {
        let dir = directory_for("links");
        let document = dir.join("document.md");
        fs::write(&document, DOCUMENT).expect("it can be written");
        let sub = dir.join("some/where");
        for (out, expected) in [(&sub, "some/where/"), (&dir, "")] {
            let publisher = Publisher::new(Some(out), Some(&document), vec![]).expect("all can be written");
            assert_eq!(publisher.drawings_from_document(), Some(expected));
        }
        let publisher = Publisher::new(None, Some(&document), vec![]).expect("all can be written");
        assert_eq!(
            (publisher.drawings_from_document(), publisher.drawings_beside()),
            (Some("comparison/"), None)
        );
        fs::remove_dir_all(&dir).expect("it can be removed");
    }
}
