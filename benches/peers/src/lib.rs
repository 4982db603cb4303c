//! What the comparisons in `src/bin` share.

/// Lines of a text in documents of about 64 KB.
pub fn documents(text: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let nominal = rest.floor_char_boundary(64 << 10);
        let end = rest[nominal..].find('\n').map_or(rest.len(), |end| nominal + end + 1);
        let (document, behind) = rest.split_at(end);
        documents.push(document);
        rest = behind;
    }
    documents
}
