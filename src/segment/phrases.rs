//! The pattern of superwords: pieces of several words, up to the end of a line or a Chinese sentence.
//!
//! Nothing in the pattern looks ahead, and no choice in it is taken back. White space counts for a word only if some of the
//! word stands behind it. Where there is more of it than its limit, or a line ends in it, the word would begin with white
//! space wherever that is cut, so there is none. All else that follows a word may be empty. So [`push_ends`] goes from left
//! to right, and looks at a character twice at most. (A regex engine has to count characters and words at once: on Chinese
//! it took three quarters of the time of encoding.)

/// The pattern of the second stage of superwords: at most eight words with the white space before them (a word is up to 32
/// characters without any, as Chinese has them), up to the end of the line or to the punctuation that ends a Chinese sentence.
///
/// A piece has 528 characters at the most. The pattern has no look-around, so it runs in linear time, and leaves white
/// space before the word that follows it.
pub const SUPERWORD_PATTERN: &str =
    r"(?:[^\S\r\n]{0,32}[^\s。！？]{1,32}){1,8}[。！？]{0,8}[\r\n]{0,8}|[。！？\r\n]{1,32}|\s{1,32}";

const WORDS: usize = 8;
/// The most characters of a word, of the white space before it, and of what is neither.
const CHARACTERS: usize = 32;
/// The most marks behind the words, and the most line breaks.
const BEHIND: usize = 8;

/// Kinds of characters, as sets of one.
const WORD: u8 = 1;
/// White space in a line.
const SPACE: u8 = 2;
const NEWLINE: u8 = 4;
/// What ends a sentence.
const MARK: u8 = 8;

/// The kinds of ASCII.
const KINDS: [u8; 128] = {
    let mut kinds = [WORD; 128];
    (kinds[b' ' as usize], kinds[b'\t' as usize], kinds[0xB], kinds[0xC]) = (SPACE, SPACE, SPACE, SPACE);
    (kinds[b'\r' as usize], kinds[b'\n' as usize]) = (NEWLINE, NEWLINE);
    kinds
};

/// Pushes the end of each piece of `text`.
pub(super) fn push_ends(text: &str, ends: &mut Vec<u32>) {
    let mut at = 0;
    while at < text.len() {
        at = next_end(text, at);
        ends.push(at as u32);
    }
}

/// The end of the piece that starts at `start`.
fn next_end(text: &str, start: usize) -> usize {
    let words = words(text, start);
    if words > start {
        return run(text, run(text, words, BEHIND, MARK), BEHIND, NEWLINE);
    }
    match run(text, start, CHARACTERS, MARK | NEWLINE) {
        end if end > start => end,
        _ => run(text, start, CHARACTERS, SPACE | NEWLINE),
    }
}

/// The end of the words that stand at `start`; `start` if there are none.
fn words(text: &str, start: usize) -> usize {
    let mut at = start;
    for _ in 0..WORDS {
        let word = run(text, at, CHARACTERS, SPACE);
        let end = run(text, word, CHARACTERS, WORD);
        if end == word {
            break;
        }
        at = end;
    }
    at
}

/// The end of the characters of these kinds from `at` on, of so many at the most.
#[inline(always)]
fn run(text: &str, mut at: usize, most: usize, kinds: u8) -> usize {
    for _ in 0..most {
        let Some(&lead) = text.as_bytes().get(at) else { break };
        // In ASCII the next place does not wait for what stands here.
        let (kind, length) = if lead < 0x80 { (KINDS[usize::from(lead)], 1) } else { beyond_ascii(text, at, lead) };
        if kind & kinds == 0 {
            break;
        }
        at += length;
    }
    at
}

/// The kind of the character beyond ASCII at `at`, which begins with the byte `lead`, and its length.
#[inline(always)]
fn beyond_ascii(text: &str, at: usize, lead: u8) -> (u8, usize) {
    match lead {
        // With these begin all that are not of words.
        0xC2 | 0xE1..=0xE3 | 0xEF => kind_of(text[at..].chars().next()),
        0xE0 | 0xE4..0xEF => (WORD, 3),
        0xF0.. => (WORD, 4),
        _ => (WORD, 2),
    }
}

fn kind_of(c: Option<char>) -> (u8, usize) {
    let Some(c) = c else { return (0, 0) };
    let kind = match c {
        '\r' | '\n' => NEWLINE,
        '。' | '！' | '？' => MARK,
        c if c.is_whitespace() => SPACE,
        _ => WORD,
    };
    (kind, c.len_utf8())
}

/// Whether a piece ends between `a` and `b`, whatever stands before and behind them: a line break or the end of a sentence
/// is of the same piece as what stands behind it only if that is white space, or ends a sentence.
pub(super) fn ends_between(a: char, b: char) -> bool {
    kind_of(Some(a)).0 & (NEWLINE | MARK) != 0 && kind_of(Some(b)).0 == WORD
}

/// How far the pieces of `text` stay as they are, however it goes on: up to the last one, which may get longer, and which
/// may be the white space before a word that goes on with the piece before it.
pub(super) fn settled(text: &str) -> usize {
    let mut characters = text.char_indices().rev();
    let mut behind = characters.next();
    let between = characters.find_map(|before| {
        let (at, b) = behind.replace(before)?;
        ends_between(before.1, b).then_some(at)
    });
    let start = between.unwrap_or(0);
    let mut ends = Vec::new();
    push_ends(&text[start..], &mut ends);
    ends.pop();
    let last = |ends: &[u32]| start + ends.last().map_or(0, |end| *end as usize);
    if text[last(&ends)..].chars().all(char::is_whitespace) {
        ends.pop();
    }
    last(&ends)
}

#[cfg(test)]
mod tests {
    use super::super::{HanEdges, NaivePattern, Pattern, Segmenter, hostile};
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    const MOST_CHARACTERS: usize = WORDS * 2 * CHARACTERS + 2 * BEHIND;
    static NAIVE: LazyLock<NaivePattern> = LazyLock::new(|| NaivePattern::new(SUPERWORD_PATTERN).unwrap());

    fn check(text: &str) -> Vec<&str> {
        let mut ends = Vec::new();
        push_ends(text, &mut ends);
        assert_eq!(ends, NAIVE.spans(text).unwrap(), "{text:?}");
        let mut start = 0;
        ends.iter().map(|&end| &text[std::mem::replace(&mut start, end as usize)..end as usize]).collect()
    }

    #[test]
    fn pieces_of_the_pattern() {
        let text = "One two, three. Four\n\n  five six seven eight nine ten eleven twelve. x";
        assert_eq!(check(text), ["One two, three. Four\n\n", "  five six seven eight nine ten eleven twelve.", " x"]);
        assert_eq!(check("词元是单位。语言模型！？\n学"), ["词元是单位。", "语言模型！？\n", "学"]);
        assert_eq!(check(" \n\n。。"), [" \n\n", "。。"]);
        let longest = format!(
            "{}{}",
            format!("{}{}", " ".repeat(32), "x".repeat(32)).repeat(8),
            "！！！！！！！！\n\n\n\n\n\n\n\n"
        );
        assert_eq!((check(&longest).len(), longest.chars().count()), (1, MOST_CHARACTERS));
    }

    #[test]
    fn the_segmenter_scans_it() {
        let pattern = Pattern::parse(SUPERWORD_PATTERN).unwrap();
        assert!(pattern.is_linear() && pattern.has_safe_cuts());
        let mut ends = Vec::new();
        Segmenter::new(pattern, HanEdges::None).unwrap().spans("词元。a b", &mut ends).unwrap();
        assert_eq!(ends, [9, 12]);
    }

    /// Runs of each kind, at every length around the limits, between those of other kinds.
    #[test]
    fn runs_around_the_limits() {
        let runs = ["x", "元", " ", "\u{3000}", "\n", "\r\n", "。", "！？", "x ", "元 ", " \n", "。\n", "\u{85}", "𠮷"];
        for run in runs {
            for count in [1, 2, 7, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257] {
                for (before, behind) in [("", ""), ("a", "b"), (" ", "。"), ("。", " "), ("\n", "x"), ("词 ", "\n")]
                {
                    check(&format!("{before}{}{behind}", run.repeat(count)));
                }
            }
        }
    }

    #[test]
    fn the_kind_of_every_character() {
        for c in '\0'..=char::MAX {
            let text = c.to_string();
            let (kind, length) = kind_of(Some(c));
            assert_eq!(
                [WORD, SPACE, NEWLINE, MARK].map(|of| run(&text, 0, 1, of)),
                [WORD, SPACE, NEWLINE, MARK].map(|of| if of == kind { length } else { 0 }),
                "{c:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_piece_is_longer(text in hostile(), times in 1usize..60) {
            let text = text.repeat(times);
            let pieces = check(&text);
            prop_assert!(pieces.iter().all(|piece| piece.chars().count() <= MOST_CHARACTERS));
            prop_assert_eq!(pieces.concat(), text);
        }
    }
}
