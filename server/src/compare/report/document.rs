//! A document that is partly written by hand: what is generated stands between markers and is replaced.

/// Puts `content` between `<!-- begin NAME -->` and `<!-- end NAME -->`.
///
/// # Errors
///
/// If the document does not have each of these once and in this order.
pub(in super::super) fn replace(document: &str, name: &str, content: &str) -> Result<String, String> {
    let (begin, end) = (format!("<!-- begin {name} -->"), format!("<!-- end {name} -->"));
    let missing = || format!("it does not have `{begin}` and `{end}`, each once");
    let (before, rest) = document.split_once(&begin).ok_or_else(missing)?;
    let (old, after) = rest.split_once(&end).ok_or_else(missing)?;
    if [before, old, after].iter().any(|part| part.contains(&begin) || part.contains(&end)) {
        return Err(missing());
    }
    Ok(format!("{before}{begin}\n\n{}\n\n{end}{after}", content.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb <!-- begin y --><!-- end y -->";

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let once = replace(DOCUMENT, "x", "new\n").unwrap();
        assert_eq!(once, DOCUMENT.replace("\nold\n", "\n\nnew\n\n"));
        assert_eq!(replace(&once, "x", "new").unwrap(), once);
    }

    #[test]
    fn a_document_without_the_markers_is_left_alone() {
        for (document, name) in
            [(DOCUMENT, "z"), ("<!-- begin x -->", "x"), ("<!-- end x --><!-- begin x -->", "x")]
        {
            assert!(replace(document, name, "").is_err());
        }
        assert!(replace(&DOCUMENT.repeat(2), "x", "").is_err());
    }
}
