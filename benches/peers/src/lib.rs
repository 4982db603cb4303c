//! What the comparisons in `src/bin` share.

#[path = "../../common/mod.rs"]
mod common;

/// Lines of a text in documents of about 64 KB.
pub fn documents(text: &str) -> Vec<&str> {
    common::documents(text)
}
