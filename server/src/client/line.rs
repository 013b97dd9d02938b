//! What people type, and what they are shown.

use crate::protocol::END;

/// The receiver and the payload that a line `ID text` says; `None` for an empty line. A carriage return
/// at its end is not part of the text.
///
/// # Errors
///
/// What is wrong with the line.
pub(super) fn parse(line: &[u8]) -> Result<Option<(u32, &[u8])>, String> {
    let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start();
    if line.is_empty() {
        return Ok(None);
    }
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (id, text) = line.split_at(end);
    let text = text.split_first().map_or(text, |(_, text)| text);
    if text.contains(&END) {
        return Err("a text cannot contain a zero byte".to_owned());
    }
    let digits = std::str::from_utf8(id).ok().filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|id| id.parse().ok()) {
        Some(id) => Ok(Some((id, text))),
        None => Err(format!(
            "a line starts with an id, a number up to {}, not with {:?}",
            u32::MAX,
            printable(id)
        )),
    }
}

/// Bytes as text that a terminal shows and does not obey.
pub(super) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for c in String::from_utf8_lossy(bytes).chars() {
        if c.is_control() && c != '\t' {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_id_and_a_text() {
        assert_eq!(parse(b"17 hello there"), Ok(Some((17, &b"hello there"[..]))));
        assert_eq!(parse(b"  4294967295\t two spaces \r"), Ok(Some((u32::MAX, &b" two spaces "[..]))));
        assert_eq!(parse(b"5"), Ok(Some((5, &b""[..]))));
        assert_eq!(parse(b"5 \xff\xfe"), Ok(Some((5, &b"\xff\xfe"[..]))));
        assert_eq!(parse(b""), Ok(None));
        assert_eq!(parse(b"  \r"), Ok(None));
    }

    #[test]
    fn a_line_without_an_id_is_refused_with_a_reason() {
        for line in [&b"hello"[..], b"4294967296 x", b"-1 x", b"+1 x", b"1x y", b"\xff x"] {
            assert!(parse(line).unwrap_err().contains("id"), "{}", printable(line));
        }
        assert!(parse(b"1 a\0b").unwrap_err().contains("zero"));
    }

    #[test]
    fn what_arrives_cannot_control_the_terminal() {
        assert_eq!(printable(b"a\x1b[2Jb\r\n\tc\xff"), "a\\u{1b}[2Jb\\r\\n\tc\u{fffd}");
        assert_eq!(printable("\u{9b}31m ü".as_bytes()), "\\u{9b}31m ü");
    }
}
