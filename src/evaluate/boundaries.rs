//! How tokens stand to words.
//!
//! White space is no part of a word here: tokenizers put it before a word, behind it, or by itself. So places in a text
//! are told by how many characters that are no white space stand before them, four for each, and by the bytes of the
//! character inside which a token may end too.

/// What is counted of the words and tokens of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct WordCounts {
    /// Words with a letter or a digit.
    pub(super) words: u64,
    /// Of them, those that are one token, white space aside.
    pub(super) kept: u64,
    /// Tokens that have a part in these words, a token for each of the words.
    pub(super) pieces: u64,
    /// Edges of words inside the text.
    pub(super) word_edges: u64,
    /// Edges of tokens inside the text.
    pub(super) token_edges: u64,
    /// Places that are both.
    pub(super) shared_edges: u64,
    /// Tokens that reach over an edge of words.
    pub(super) crossing: u64,
}

impl WordCounts {
    /// Of a text, by the ends of its words and tokens in bytes; both cover the text.
    pub(super) fn of(text: &str, word_ends: &[u32], token_ends: &[u32]) -> Self {
        let (words, end) = edges(text, word_ends);
        let (tokens, _) = edges(text, token_ends);
        let shared = words.iter().filter(|edge| tokens.binary_search(edge).is_ok()).count();
        let mut counts = Self {
            word_edges: words.len() as u64,
            token_edges: tokens.len() as u64,
            shared_edges: shared as u64,
            ..Self::default()
        };
        let within = |edges: &[u64], start: u64, end: u64| {
            edges.partition_point(|edge| *edge < end) - edges.partition_point(|edge| *edge <= start)
        };
        let is_edge = |place: u64| place == 0 || place == end || tokens.binary_search(&place).is_ok();
        for (start, end) in words_of_letters(text, word_ends) {
            let inside = within(&tokens, start, end);
            counts.words += 1;
            counts.pieces += inside as u64 + 1;
            counts.kept += u64::from(inside == 0 && is_edge(start) && is_edge(end));
        }
        let starts = std::iter::once(&0).chain(&tokens);
        let ends = tokens.iter().chain(std::iter::once(&end));
        counts.crossing = starts.zip(ends).filter(|(start, end)| within(&words, **start, **end) > 0).count() as u64;
        counts
    }
}

/// Places of ends, without those at the ends of the text, and the place of its end.
fn edges(text: &str, ends: &[u32]) -> (Vec<u64>, u64) {
    let (mut edges, mut place) = (Vec::with_capacity(ends.len()), 0);
    let mut ends = ends.iter().map(|end| *end as usize).peekable();
    for (start, c) in text.char_indices() {
        while ends.next_if(|end| *end <= start).is_some() {
            edges.push(place);
        }
        while let Some(end) = ends.next_if(|end| *end < start + c.len_utf8()) {
            let inside = if c.is_whitespace() { 0 } else { end - start };
            edges.push(place + inside as u64);
        }
        place += 4 * u64::from(!c.is_whitespace());
    }
    edges.dedup();
    edges.retain(|edge| *edge > 0 && *edge < place);
    (edges, place)
}

/// The places of words with a letter or a digit.
fn words_of_letters<'t>(text: &'t str, word_ends: &'t [u32]) -> impl Iterator<Item = (u64, u64)> + 't {
    let (mut start, mut place) = (0, 0);
    word_ends.iter().filter_map(move |end| {
        let word = &text[std::mem::replace(&mut start, *end as usize)..*end as usize];
        let length = 4 * word.chars().filter(|c| !c.is_whitespace()).count() as u64;
        let begin = place;
        place += length;
        word.contains(char::is_alphanumeric).then_some((begin, place))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends(parts: &[&str]) -> Vec<u32> {
        let mut end = 0;
        parts
            .iter()
            .map(|part| {
                end += part.len() as u32;
                end
            })
            .collect()
    }

    fn counts(words: &[&str], tokens: &[&str]) -> WordCounts {
        let text = words.concat();
        assert_eq!(text, tokens.concat());
        WordCounts::of(&text, &ends(words), &ends(tokens))
    }

    #[test]
    fn white_space_belongs_to_no_word() {
        let counts = counts(&["the", " ", "cat", " ", "sat"], &["the", " cat ", "s", "at"]);
        let wanted =
            WordCounts { words: 3, kept: 2, pieces: 4, word_edges: 2, token_edges: 3, shared_edges: 2, crossing: 0 };
        assert_eq!(counts, wanted);
    }

    #[test]
    fn tokens_over_edges() {
        // `，我` reaches over an edge, `们学` too.
        let counts = counts(&["好", "，", "我们", "学习"], &["好", "，我", "们学", "习"]);
        let wanted =
            WordCounts { words: 3, kept: 1, pieces: 5, word_edges: 3, token_edges: 3, shared_edges: 1, crossing: 2 };
        assert_eq!(counts, wanted);
    }

    #[test]
    fn tokens_may_end_inside_characters() {
        let text = "词元";
        let counts = WordCounts::of(text, &[6], &[1, 2, 3, 6]);
        let wanted =
            WordCounts { words: 1, kept: 0, pieces: 4, word_edges: 0, token_edges: 3, shared_edges: 0, crossing: 0 };
        assert_eq!(counts, wanted);
        assert_eq!(WordCounts::of("", &[], &[]), WordCounts { crossing: 0, ..WordCounts::default() });
    }

    #[test]
    fn tokens_may_end_inside_white_space() {
        // An ideographic space of three tokens.
        let counts = WordCounts::of("词\u{3000}元", &[3, 6, 9], &[3, 4, 5, 6, 9]);
        let wanted =
            WordCounts { words: 2, kept: 2, pieces: 2, word_edges: 1, token_edges: 1, shared_edges: 1, crossing: 0 };
        assert_eq!(counts, wanted);
    }

    fn parts(text: &str, cuts: &[prop::sample::Index]) -> Vec<u32> {
        let places: Vec<u32> = (1..=text.len()).filter(|at| text.is_char_boundary(*at)).map(|at| at as u32).collect();
        if places.is_empty() {
            return Vec::new();
        }
        let mut ends: Vec<u32> = cuts.iter().map(|cut| *cut.get(&places)).chain([text.len() as u32]).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    proptest! {
        /// Without white space all is told by sets of places.
        #[test]
        fn as_by_sets(
            text in "[词元a，]{0,12}",
            words in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            tokens in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let (words, tokens) = (parts(&text, &words), parts(&text, &tokens));
            let counts = WordCounts::of(&text, &words, &tokens);
            let spans = |ends: &[u32]| -> Vec<(u32, u32)> {
                std::iter::once(0).chain(ends.iter().copied()).zip(ends.iter().copied()).collect()
            };
            let inner = |ends: &[u32]| ends.iter().filter(|end| **end < text.len() as u32).count() as u64;
            let letters: Vec<(u32, u32)> = spans(&words).into_iter()
                .filter(|(start, end)| text[*start as usize..*end as usize].contains(char::is_alphanumeric)).collect();
            prop_assert_eq!(counts.words, letters.len() as u64);
            prop_assert_eq!(counts.kept, letters.iter().filter(|word| spans(&tokens).contains(word)).count() as u64);
            let touching = |word: &(u32, u32)| {
                spans(&tokens).iter().filter(|(s, e)| *s < word.1 && *e > word.0).count() as u64
            };
            prop_assert_eq!(counts.pieces, letters.iter().map(touching).sum::<u64>());
            prop_assert_eq!((counts.word_edges, counts.token_edges), (inner(&words), inner(&tokens)));
            let shared: Vec<u32> = words.iter().copied().filter(|end| tokens.contains(end)).collect();
            prop_assert_eq!(counts.shared_edges, inner(&shared));
            let crosses = |(s, e): &&(u32, u32)| words.iter().any(|edge| s < edge && edge < e);
            prop_assert_eq!(counts.crossing, spans(&tokens).iter().filter(crosses).count() as u64);
        }
    }
}
