//! The vocabulary as a table for people: one line a token.

use std::fmt::Write;

use super::{TokenId, TokenizerSpec, byte_tokens};

/// What the third column says.
fn kind_of(spec: &TokenizerSpec, bytes_of_characters: &[Option<TokenId>], id: TokenId, bytes: &[u8]) -> &'static str {
    match spec.added_token(id) {
        Some(token) if token.special => "special",
        Some(_) => "added",
        None if spec.characters().is_some_and(|units| units.unknown() == Some(id)) => "unknown",
        None if bytes_of_characters.contains(&Some(id)) => "byte",
        None if spec.characters().is_none() && bytes.len() == 1 => "byte",
        None => "token",
    }
}

impl TokenizerSpec {
    /// The vocabulary as a table of three columns with tabs between them, in the order of ids: the id, the token as
    /// [`escape_token`] writes it, and its kind: `byte`, `token`, `special`, `added` (an added token that is not
    /// special) or `unknown`. The first line names the columns.
    ///
    /// ```
    /// use ciyuan::segment::HanEdges;
    /// use ciyuan::vocab::TokenizerSpec;
    /// let spec = TokenizerSpec::from_learned(".".to_owned(), HanEdges::None, &[(64, 65)], &["<|end|>".to_owned()])?;
    /// let table = spec.to_tsv();
    /// let lines: Vec<&str> = table.lines().collect();
    /// assert_eq!(lines[..2], ["id\ttoken\tkind", "0\t!\tbyte"]);
    /// assert_eq!(lines[257..], ["256\tab\ttoken", "257\t<|end|>\tspecial"]);
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    #[must_use]
    pub fn to_tsv(&self) -> String {
        let bytes_of_characters = self.characters().map(|_| byte_tokens(self.vocab()));
        let bytes_of_characters = bytes_of_characters.as_ref().map(<[_; 256]>::as_slice).unwrap_or_default();
        let mut added = self.added().iter().map(|token| (token.id, token.content.as_bytes())).peekable();
        let mut table = "id\ttoken\tkind\n".to_owned();
        let mut line = |id, bytes: &[u8]| {
            // Writing to a string cannot fail.
            let _ = writeln!(table, "{id}\t{}\t{}", escape_token(bytes), kind_of(self, bytes_of_characters, id, bytes));
        };
        for id in 0..self.vocab_size() {
            let own = added.next_if(|(other, _)| *other == id).map(|(_, bytes)| bytes);
            if let Some(bytes) = self.vocab().token(id).or(own) {
                line(id, bytes);
            }
        }
        table
    }
}

/// A token as text that shows all that is in it, on one line and without tabs.
///
/// Bytes that are no text are written `\xHH`; a backslash `\\`; tab, line feed and carriage return `\t`, `\n` and `\r`;
/// other control characters, white space but U+0020, and invisible marks (U+00AD, U+200B to U+200F, U+202A to U+202E,
/// U+2060 to U+206F, U+FE00 to U+FE0F, U+FEFF) `\u{hex}`. All else stands for itself. [`unescape_token`] is the way back.
///
/// ```
/// use ciyuan::vocab::{escape_token, unescape_token};
/// assert_eq!(escape_token(b" a\\\n\xE4\xB8"), r" a\\\n\xE4\xB8");
/// assert_eq!(escape_token("词\u{3000}".as_bytes()), r"词\u{3000}");
/// assert_eq!(unescape_token(r"词\u{3000}\xE4").as_deref(), Some(&b"\xE8\xAF\x8D\xE3\x80\x80\xE4"[..]));
/// ```
#[must_use]
pub fn escape_token(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str(r"\\"),
                '\t' => text.push_str(r"\t"),
                '\n' => text.push_str(r"\n"),
                '\r' => text.push_str(r"\r"),
                _ if is_hidden(c) => {
                    let _ = write!(text, "\\u{{{:X}}}", c as u32);
                }
                _ => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}

fn is_hidden(c: char) -> bool {
    let is_mark = matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}');
    c.is_control() || is_mark || (c.is_whitespace() && c != ' ')
}

/// The bytes that [`escape_token`] wrote so; `None` for what it does not write.
#[must_use]
pub fn unescape_token(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let kind = rest.chars().next()?;
        rest = &rest[kind.len_utf8()..];
        match kind {
            '\\' => bytes.push(b'\\'),
            't' => bytes.push(b'\t'),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            'x' => {
                bytes.push(u8::from_str_radix(rest.get(..2)?, 16).ok()?);
                rest = &rest[2..];
            }
            'u' => {
                let (digits, behind) = rest.strip_prefix('{')?.split_once('}')?;
                let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = behind;
            }
            _ => return None,
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_written_is_not_read() {
        for text in [r"\", r"\q", r"\x", r"\x4", r"\xZZ", r"\u{110000}", r"\u{", r"\u41", r"\x中"] {
            assert_eq!(unescape_token(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back(bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..20), any::<String>().prop_map(String::into_bytes)]) {
            let text = escape_token(&bytes);
            prop_assert!(!text.contains(['\t', '\n', '\r', '\u{85}', '\u{2028}']), "{:?}", text);
            prop_assert_eq!(unescape_token(&text), Some(bytes));
        }
    }
}
