//! The two spellings of a regular expression: Oniguruma's, with Ruby's syntax, in which `tokenizer.json` writes them,
//! and that of the Rust engines, which we write ourselves.
//!
//! What differs, as far as patterns use it: `^` and `$` stand at lines there (`\A` and `\z` at the text's ends); the
//! flag of `.` for line ends is `m` there, `s` here; `x{1,3}+` repeats a repetition there and is possessive here, and
//! `x{2}?` makes it optional there; `\w` holds the joiners U+200C and U+200D here, and `²³¹¼½¾` there, but not inside a
//! class. (`\b` differs at these eight characters too, and is left as it is.)
//!
//! Reference: Oniguruma's `doc/RE` for `ONIG_SYNTAX_RUBY`, and its engine in the tests.

/// `\w` and `\W` of Oniguruma for the Rust engines, by themselves and inside a class.
const TO_RUST: [[&str; 2]; 2] = [
    [r"[[\w--[\x{200C}\x{200D}]]²³¹¼½¾]", r"[[\W--[²³¹¼½¾]]\x{200C}\x{200D}]"],
    [r"[\w--[\x{200C}\x{200D}]]", r"[\W\x{200C}\x{200D}]"],
];

/// The other way round, the same in both places.
const FROM_RUST: [&str; 2] = [r"[\w\x{200C}\x{200D}]", r"[\W&&[^\x{200C}\x{200D}]]"];

/// The parts of a regular expression that are looked at.
enum Part<'r> {
    /// An escape, a class, a character: what a quantifier repeats.
    Atom(&'r str),
    Open(&'r str),
    Close,
    /// `{n}`, `{n,m}`.
    Counted(&'r str),
    /// `*`, `+`, `?`, `|`.
    Other,
}

/// A regular expression of Oniguruma as one of the Rust engines.
pub(super) fn to_rust(regex: &str) -> String {
    // A zero stands before what has the other spelling already.
    let regex = regex.replace(FROM_RUST[0], "\0w").replace(FROM_RUST[1], "\0W");
    let rewritten = rewrite(&regex, |part, next| match part {
        Part::Atom("$") => Rewrite::To("(?m:$)".to_owned()),
        Part::Atom("^") => Rewrite::To("(?m:^)".to_owned()),
        Part::Atom(r"\z") => Rewrite::To("$".to_owned()),
        Part::Atom(r"\A") => Rewrite::To("^".to_owned()),
        Part::Atom(atom) => words(atom, TO_RUST[usize::from(atom.starts_with('['))]),
        Part::Open("(?m:") => Rewrite::To("(?s:".to_owned()),
        Part::Counted(count) if next == Some('+') || (next == Some('?') && !count.contains(',')) => {
            Rewrite::Wrap("(?:", ")")
        }
        _ => Rewrite::Keep,
    });
    rewritten.replace("\0w", r"\w").replace("\0W", r"\W")
}

/// A regular expression of the Rust engines as one of Oniguruma. What has no counterpart there stays as it is.
pub(super) fn from_rust(regex: &str) -> String {
    let mut regex = regex.replace("(?m:$)", "\0$").replace("(?m:^)", "\0^");
    for [word, no_word] in TO_RUST {
        regex = regex.replace(word, "\0w").replace(no_word, "\0W");
    }
    let rewritten = rewrite(&regex, |part, next| match part {
        Part::Atom("$") => Rewrite::To(r"\z".to_owned()),
        Part::Atom("^") => Rewrite::To(r"\A".to_owned()),
        Part::Atom(atom) => words(atom, FROM_RUST),
        Part::Open("(?s:") => Rewrite::To("(?m:".to_owned()),
        Part::Open("(?s)") => Rewrite::To("(?m)".to_owned()),
        Part::Counted(_) if next == Some('+') => Rewrite::WrapAndTakeNext("(?>", ")"),
        _ => Rewrite::Keep,
    });
    rewritten.replace("\0w", r"\w").replace("\0W", r"\W").replace('\0', "")
}

/// Puts others for `\w` and `\W` in an escape or a class.
fn words(atom: &str, [word, no_word]: [&str; 2]) -> Rewrite {
    if !atom.contains(r"\w") && !atom.contains(r"\W") {
        return Rewrite::Keep;
    }
    let (mut out, mut rest) = (String::new(), atom);
    while let Some(first) = rest.chars().next() {
        let length = if first == '\\' { escape(rest) } else { first.len_utf8() };
        out.push_str(match &rest[..length] {
            r"\w" => word,
            r"\W" => no_word,
            other => other,
        });
        rest = &rest[length..];
    }
    Rewrite::To(out)
}

enum Rewrite {
    Keep,
    To(String),
    /// Put these around the last atom and its count.
    Wrap(&'static str, &'static str),
    /// The same, and leave the next character out.
    WrapAndTakeNext(&'static str, &'static str),
}

fn rewrite(regex: &str, change: impl Fn(&Part<'_>, Option<char>) -> Rewrite) -> String {
    let mut out = String::with_capacity(regex.len());
    let (mut opened, mut atom, mut rest) = (Vec::new(), 0, regex);
    while let Some((part, text)) = next_part(rest) {
        rest = &rest[text.len()..];
        let before = out.len();
        match change(&part, rest.chars().next()) {
            Rewrite::Keep => out.push_str(text),
            Rewrite::To(other) => out.push_str(&other),
            Rewrite::Wrap(open, close) => {
                out.insert_str(atom, open);
                out.push_str(text);
                out.push_str(close);
            }
            Rewrite::WrapAndTakeNext(open, close) => {
                out.insert_str(atom, open);
                out.push_str(text);
                out.push_str(close);
                rest = &rest[1..];
            }
        }
        match part {
            Part::Atom(_) => atom = before,
            Part::Open(_) => opened.push(before),
            Part::Close => atom = opened.pop().unwrap_or(before),
            Part::Counted(_) | Part::Other => {}
        }
    }
    out
}

/// The next part of a regular expression, and its text.
fn next_part(regex: &str) -> Option<(Part<'_>, &str)> {
    let first = regex.chars().next()?;
    let length = match first {
        '\\' => escape(regex),
        '[' => class(regex),
        '(' => group(regex),
        '{' => count(regex),
        '\0' => 1 + regex[1..].chars().next().map_or(0, char::len_utf8),
        _ => first.len_utf8(),
    };
    let text = &regex[..length];
    let part = match first {
        '(' => Part::Open(text),
        ')' => Part::Close,
        '{' if length > 1 => Part::Counted(text),
        '*' | '+' | '?' | '|' => Part::Other,
        _ => Part::Atom(text),
    };
    Some((part, text))
}

/// The length of an escape: `\p{...}`, `\x{...}`, or the backslash and a character.
fn escape(regex: &str) -> usize {
    let Some(letter) = regex[1..].chars().next() else { return 1 };
    let length = 1 + letter.len_utf8();
    match regex[length..].find('}') {
        Some(end) if matches!(letter, 'p' | 'P' | 'x' | 'u') && regex[length..].starts_with('{') => length + end + 1,
        _ => length,
    }
}

/// The length of a class, with the classes inside it.
fn class(regex: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while let Some(c) = regex[at..].chars().next() {
        match c {
            '\\' => at += escape(&regex[at..]),
            '[' => {
                depth += 1;
                at += 1;
                // A `]` that stands first is a character.
                let negated = regex[at..].strip_prefix('^').map_or(0, |_| 1);
                at += negated + usize::from(regex[at + negated..].starts_with(']'));
            }
            ']' => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += c.len_utf8(),
        }
    }
    at
}

/// The length of what opens a group: `(`, `(?:`, `(?i:`, `(?=`, `(?<!`, ...
fn group(regex: &str) -> usize {
    if !regex.starts_with("(?") {
        return 1;
    }
    match regex[2..].find([':', '=', '!', '>', ')']) {
        Some(end) => 2 + end + 1,
        None => 2,
    }
}

/// The length of a count, or 1 where the brace is a character.
fn count(regex: &str) -> usize {
    match regex.find('}') {
        Some(end) if end > 1 && regex[1..end].bytes().all(|byte| byte.is_ascii_digit() || byte == b',') => end + 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::super::NAMED_PATTERNS;
    use super::*;

    #[test]
    fn anchors_flags_and_counts() {
        for (ruby, rust) in [
            (r"\s+$", r"\s+(?m:$)"),
            (r"^a|b\z", r"(?m:^)a|b$"),
            (r"\Aa", "^a"),
            (r"[^$^]+\$\^", r"[^$^]+\$\^"),
            (r"(?m:.+)", "(?s:.+)"),
            (r"[[$][^^]]$", r"[[$][^^]](?m:$)"),
        ] {
            assert_eq!(to_rust(ruby), rust);
            assert_eq!(from_rust(rust), ruby);
        }
        assert_eq!(to_rust(r"\w[^\W.]\\w"), format!(r"{}[^{}.]\\w", TO_RUST[0][0], TO_RUST[1][1]));
        for regex in [r"\w+|[^\w\s]\W", r"[^\W_]$"] {
            assert_eq!(from_rust(&to_rust(regex)), regex);
            assert_eq!(to_rust(&from_rust(regex)), regex);
        }
        assert_eq!(to_rust(r"\p{N}{1,3}+x"), r"(?:\p{N}{1,3})+x");
        assert_eq!(to_rust(r"(a|[b{2}+]){2}+"), r"(?:(a|[b{2}+]){2})+");
        assert_eq!(to_rust(r"中{2}?|x{1,2}?"), r"(?:中{2})?|x{1,2}?");
        assert_eq!(from_rust(r"\p{N}{1,3}+x"), r"(?>\p{N}{1,3})x");
    }

    #[test]
    fn published_patterns_stay_as_they_are() {
        for (name, regex) in NAMED_PATTERNS.iter().filter(|(name, _)| *name != "cl100k-tiktoken") {
            assert_eq!((from_rust(regex), to_rust(regex)), ((*regex).to_owned(), (*regex).to_owned()), "{name}");
        }
    }

    #[test]
    fn what_is_broken_is_left_to_the_engines() {
        for regex in ["", "\\", "[", "[^", "(", "(?", "{", "a{", "a{1", ")", "\\p{", "[\\", "[]", "\u{0}", "]{2}+"] {
            let (_, _) = (to_rust(regex), from_rust(regex));
        }
    }
}
