//! What of a document is measured for a tokenizer: sums, of which the figures of a comparison are ratios.
//!
//! | figure | what it is |
//! |---|---|
//! | `bytes_per_token`, `characters_per_token` | of text for each token |
//! | `tokens_per_han_character` | tokens that have a part in a Han character, for each of these |
//! | `partial_tokens` | share of the tokens that are no whole characters |
//! | `tokens_per_word` | tokens that have a part in a word, for each word (fertility) |
//! | `words_kept_whole` | share of the words that are one token |
//! | `boundary_precision`, `boundary_recall`, `boundary_f1` | edges of tokens that are edges of words, of the former, of the latter |
//! | `tokens_over_edges` | share of the tokens that reach over an edge of words |
//! | `round_trip` | share of the documents that come back from their ids |
//! | `lost_bytes` | share of the bytes that stand in no token, or in that for unknown characters |
//! | `ids_changed_at_cut` | a document is cut at random: how many of the last ids before the cut are others in the whole |
//! | `cuts_that_stay` | share of the cuts at which the ids of both parts are those of the whole |
//! | `count_changed_by_nfc`, `count_changed_by_nfd` | of the documents that are others in this form of Unicode, those of which it has another number of tokens |
//! | `tokens_in_nfd` | tokens of documents in NFD, for each of them as they are, where the two differ |
//! | `forms_returned` | share of these forms that come back from their ids |
//! | `tokens_in_full_width` | tokens of documents with wide letters and digits, for each of them with those of ASCII |
//! | `tokens_per_digit` | tokens that have a part in a number, for each of its digits |
//! | `numbers_cut_alike` | share of the numbers that are cut as most of their length are (`numbers.rs`) |
//! | `tokens_per_emoji`, `emoji_kept_whole` | tokens that have a part in an emoji; share of those that are in one token (`emoji.rs`) |
//! | `joined_emoji_returned` | share of the emoji joined by U+200D that come back from their ids |
//! | `entropy_per_byte`, `renyi_efficiency`, `gini_of_ids`, `zipf_exponent` | descriptors of a distribution (`distribution.rs`) |
//! | `unigram_bits_per_byte`, `kneser_ney_bits_per_byte` | of held-out documents, by models of single tokens and of n-grams |
//!
//! What changes a document (cuts, forms, widths) is asked of its first 2,000 characters. What is asked of places of tokens
//! leaves documents out that do not come back.

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::bootstrap::Ratio;
use super::boundaries::WordCounts;
use super::emoji::set_emoji;
use super::forms::set_forms;
use super::numbers::NumberReport;
use crate::encode::Tokenizer;
use crate::error::Result;
use crate::segment::is_han;
use crate::vocab::{CharacterUnits, TokenId};

/// Which of two values is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// The higher.
    Higher,
    /// The lower.
    Lower,
    /// None: it describes, and judges nothing.
    Neither,
}

macro_rules! columns {
    ($($name:ident),*) => {
        /// The sums of a document.
        #[derive(Debug, Clone, Copy)]
        #[allow(clippy::enum_variant_names)]
        pub(super) enum Column { $($name),* }
        /// How many there are.
        pub(super) const COLUMNS: usize = [$(Column::$name),*].len();
    };
}

columns!(
    Bytes,
    Characters,
    Tokens,
    PartialTokens,
    HanCharacters,
    HanTokens,
    Words,
    KeptWords,
    Pieces,
    WordEdges,
    TokenEdges,
    SharedEdges,
    TwiceShared,
    AllEdges,
    PlacedTokens,
    CrossingTokens,
    Documents,
    RoundTrips,
    LostBytes,
    Cuts,
    ChangedIds,
    StableCuts,
    NfcTexts,
    NfcChanged,
    NfdTexts,
    NfdChanged,
    NfdTokens,
    TokensBesideNfd,
    Forms,
    FormsReturned,
    HalfWidthTokens,
    FullWidthTokens,
    Digits,
    DigitTokens,
    Numbers,
    NumbersAlike,
    Emoji,
    EmojiTokens,
    WholeEmoji,
    JoinedEmoji,
    JoinedReturned,
    EntropyBits,
    Renyi,
    Gini,
    Zipf,
    RankedTokens,
    ScoredBytes,
    UnigramBits,
    KneserNeyBits
);

/// A figure of a comparison.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure {
    pub(super) name: &'static str,
    above: Column,
    below: Column,
    pub(super) better: Better,
}

impl Measure {
    /// The columns of the ratio in rows that hold the columns of several tokenizers, for one of them.
    pub(super) fn ratio(&self, tokenizer: usize) -> Ratio {
        let start = tokenizer * COLUMNS;
        Ratio { above: start + self.above as usize, below: start + self.below as usize }
    }
}

/// All figures, in the order of reports.
pub(super) const MEASURES: [Measure; 30] = {
    use Better::{Higher, Lower, Neither};
    use Column::*;
    const fn of(name: &'static str, above: Column, below: Column, better: Better) -> Measure {
        Measure { name, above, below, better }
    }
    [
        of("bytes_per_token", Bytes, Tokens, Higher),
        of("characters_per_token", Characters, Tokens, Higher),
        of("tokens_per_han_character", HanTokens, HanCharacters, Lower),
        of("partial_tokens", PartialTokens, Tokens, Lower),
        of("tokens_per_word", Pieces, Words, Lower),
        of("words_kept_whole", KeptWords, Words, Higher),
        of("boundary_precision", SharedEdges, TokenEdges, Higher),
        of("boundary_recall", SharedEdges, WordEdges, Higher),
        of("boundary_f1", TwiceShared, AllEdges, Higher),
        of("tokens_over_edges", CrossingTokens, PlacedTokens, Lower),
        of("round_trip", RoundTrips, Documents, Higher),
        of("lost_bytes", LostBytes, Bytes, Lower),
        of("ids_changed_at_cut", ChangedIds, Cuts, Lower),
        of("cuts_that_stay", StableCuts, Cuts, Higher),
        of("count_changed_by_nfc", NfcChanged, NfcTexts, Lower),
        of("count_changed_by_nfd", NfdChanged, NfdTexts, Lower),
        of("tokens_in_nfd", NfdTokens, TokensBesideNfd, Lower),
        of("forms_returned", FormsReturned, Forms, Higher),
        of("tokens_in_full_width", FullWidthTokens, HalfWidthTokens, Lower),
        of("tokens_per_digit", DigitTokens, Digits, Neither),
        of("numbers_cut_alike", NumbersAlike, Numbers, Higher),
        of("tokens_per_emoji", EmojiTokens, Emoji, Lower),
        of("emoji_kept_whole", WholeEmoji, Emoji, Higher),
        of("joined_emoji_returned", JoinedReturned, JoinedEmoji, Higher),
        of("entropy_per_byte", EntropyBits, Bytes, Neither),
        of("renyi_efficiency", Renyi, Tokens, Neither),
        of("gini_of_ids", Gini, Tokens, Neither),
        of("zipf_exponent", Zipf, RankedTokens, Neither),
        of("unigram_bits_per_byte", UnigramBits, ScoredBytes, Lower),
        of("kneser_ney_bits_per_byte", KneserNeyBits, ScoredBytes, Lower),
    ]
};

/// A row of sums, by column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row(pub(super) [f64; COLUMNS]);

impl Row {
    pub(super) fn new() -> Self {
        Self([0.0; COLUMNS])
    }

    pub(super) fn set(&mut self, column: Column, value: u64) {
        self.0[column as usize] = value as f64;
    }

    #[cfg(test)]
    pub(super) fn get(&self, column: Column) -> f64 {
        self.0[column as usize]
    }
}

/// Characters of a document that are cut, and written in other ways, to see what ids do then.
const CHANGED_WITHIN: usize = 2000;

/// What measures the documents of a tokenizer.
pub(super) struct Measurer<'t> {
    tokenizer: &'t Tokenizer,
    /// Bytes of each id in a text.
    lengths: Vec<u32>,
    numbers: &'t NumberReport,
    /// Whether some text may be in no token, or in that for unknown characters.
    may_lose: bool,
}

impl<'t> Measurer<'t> {
    /// With how the tokenizer cuts numbers.
    pub(super) fn new(tokenizer: &'t Tokenizer, numbers: &'t NumberReport) -> Self {
        let may_lose = tokenizer.spec().characters().is_some() || tokenizer.segmenter().pattern().drops_text();
        Self { tokenizer, lengths: tokenizer.text_lengths(), numbers, may_lose }
    }

    /// The sums of a document of these ids; those of language models and of distributions are left out. `word_ends` are the ends of its
    /// words, if they are known; where it is cut depends on `seed`.
    pub(super) fn row(&self, text: &str, word_ends: Option<&[u32]>, ids: &[TokenId], seed: u64) -> Result<Row> {
        let mut row = Row::new();
        row.set(Column::Bytes, text.len() as u64);
        row.set(Column::Characters, text.chars().count() as u64);
        row.set(Column::Tokens, ids.len() as u64);
        row.set(Column::PartialTokens, ids.iter().filter(|id| self.is_partial(**id)).count() as u64);
        row.set(Column::Documents, 1);
        let decoded = self.tokenizer.decode(ids)?;
        row.set(Column::RoundTrips, u64::from(decoded == text.as_bytes()));
        row.set(Column::LostBytes, if self.may_lose { self.lost(text)? } else { 0 });
        let token_ends = self.token_ends(text, ids, &decoded);
        if let Some(token_ends) = &token_ends {
            row.set(Column::PlacedTokens, ids.len() as u64);
            let (characters, tokens) = han(text, token_ends);
            row.set(Column::HanCharacters, characters);
            row.set(Column::HanTokens, tokens);
            if let Some(word_ends) = word_ends {
                set_words(&mut row, &WordCounts::of(text, word_ends, token_ends));
            }
            self.numbers.set(text, token_ends, &mut row);
        }
        set_emoji(self.tokenizer, text, token_ends.as_deref(), &mut row)?;
        let beginning = text.char_indices().nth(CHANGED_WITHIN).map_or(text, |(at, _)| &text[..at]);
        self.cut(beginning, seed, &mut row)?;
        set_forms(self.tokenizer, beginning, &mut row)?;
        Ok(row)
    }

    /// Bytes of a text that stand in no token, or in that for unknown characters.
    fn lost(&self, text: &str) -> Result<u64> {
        let unknown = self.tokenizer.spec().characters().and_then(CharacterUnits::unknown);
        let (ids, places) = self.tokenizer.encode_with_offsets(text)?;
        let (mut end, mut kept) = (0, 0);
        // Two tokens may have one place, where a normalizer has made several characters of one.
        for (_, place) in ids.iter().zip(places).filter(|(id, _)| Some(**id) != unknown) {
            kept += place.end.saturating_sub(place.start.max(end)) as u64;
            end = end.max(place.end);
        }
        Ok(text.len() as u64 - kept)
    }

    fn is_partial(&self, id: TokenId) -> bool {
        self.tokenizer.token_bytes(id).is_some_and(|bytes| std::str::from_utf8(bytes).is_err())
    }

    /// Where each token ends, if their bytes are those of the text, but perhaps for a space that the tokenizer puts before
    /// it and takes away when it decodes.
    fn token_ends(&self, text: &str, ids: &[TokenId], decoded: &[u8]) -> Option<Vec<u32>> {
        if decoded != text.as_bytes() {
            return None;
        }
        let all: u64 = ids.iter().map(|id| u64::from(self.lengths[*id as usize])).sum();
        let space = u32::try_from(all.checked_sub(text.len() as u64)?).ok().filter(|space| *space <= 1)?;
        let mut end = 0;
        let ends = ids.iter().map(|id| {
            end += self.lengths[*id as usize];
            end.saturating_sub(space)
        });
        Some(ends.collect())
    }

    /// Cuts a text in two: how many of the last ids of the first part are others in the whole, and
    /// whether the ids of both parts are those of the whole.
    fn cut(&self, text: &str, seed: u64, row: &mut Row) -> Result<()> {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        if places.len() < 2 {
            return Ok(());
        }
        let random = xxh3_64_with_seed(text.as_bytes(), seed);
        let at = places[1 + (random % (places.len() as u64 - 1)) as usize];
        let [whole, first, second] = [text, &text[..at], &text[at..]].map(|part| self.tokenizer.encode(part));
        let (whole, first, second) = (whole?, first?, second?);
        let same = first.iter().zip(&whole).take_while(|(first, whole)| first == whole).count();
        row.set(Column::Cuts, 1);
        row.set(Column::ChangedIds, (first.len() - same) as u64);
        row.set(Column::StableCuts, u64::from([first, second].concat() == whole));
        Ok(())
    }
}

fn set_words(row: &mut Row, counts: &WordCounts) {
    let WordCounts { words, kept, pieces, word_edges, token_edges, shared_edges, crossing } = *counts;
    row.set(Column::Words, words);
    row.set(Column::KeptWords, kept);
    row.set(Column::Pieces, pieces);
    row.set(Column::WordEdges, word_edges);
    row.set(Column::TokenEdges, token_edges);
    row.set(Column::SharedEdges, shared_edges);
    row.set(Column::TwiceShared, 2 * shared_edges);
    row.set(Column::AllEdges, word_edges + token_edges);
    row.set(Column::CrossingTokens, crossing);
}

/// Han characters of a text, and tokens that have a part in one.
fn han(text: &str, token_ends: &[u32]) -> (u64, u64) {
    let (mut characters, mut tokens) = (0, 0);
    // The tokens before these are behind, and are counted as far as they count.
    let (mut first, mut uncounted) = (0, 0);
    for (start, c) in text.char_indices().filter(|(_, c)| is_han(*c)) {
        characters += 1;
        let is_before = |place: usize| move |end: &&u32| **end as usize <= place;
        first += token_ends[first..].iter().take_while(is_before(start)).count();
        // From there on, up to the one that reaches the character's end.
        let inside = token_ends[first..].iter().take_while(is_before(start + c.len_utf8() - 1)).count();
        let stop = token_ends.len().min(first + inside + 1);
        tokens += stop.saturating_sub(first.max(uncounted)) as u64;
        uncounted = stop;
    }
    (characters, tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::HanEdges;
    use crate::vocab::TokenizerSpec;

    /// Bytes, and tokens for `元`, ` a` and `，我`.
    fn tokenizer() -> Tokenizer {
        let order = crate::vocab::gpt2_byte_order();
        let byte = |byte: u8| order.iter().position(|other| *other == byte).unwrap() as u32;
        let mut pairs = Vec::new();
        for text in ["元", " a", "，我"] {
            let mut left = byte(text.as_bytes()[0]);
            for next in &text.as_bytes()[1..] {
                pairs.push((left, byte(*next)));
                left = 255 + pairs.len() as u32;
            }
        }
        Tokenizer::new(TokenizerSpec::from_learned("(?s).+".to_owned(), HanEdges::None, &pairs, &[]).unwrap()).unwrap()
    }

    #[test]
    fn sums() {
        let tokenizer = tokenizer();
        let text = "词元 a，我们";
        let ids = tokenizer.encode(text).unwrap();
        // Three bytes, `元`, ` a`, `，我`, three bytes.
        assert_eq!(ids.len(), 9);
        let ends: Vec<u32> = vec![6, 7, 8, 11, 17];
        let numbers = NumberReport::of(&tokenizer).unwrap();
        let row = Measurer::new(&tokenizer, &numbers).row(text, Some(&ends), &ids, 1).unwrap();
        let get = |columns: &[Column]| columns.iter().map(|column| row.get(*column)).collect::<Vec<_>>();
        use Column::*;
        assert_eq!(get(&[Bytes, Characters, Tokens, PartialTokens]), [17.0, 7.0, 9.0, 6.0]);
        assert_eq!(get(&[HanCharacters, HanTokens]), [4.0, 8.0]);
        // `词元` is four pieces, `a` one, `我们` four.
        assert_eq!(get(&[Words, Pieces, KeptWords, CrossingTokens]), [3.0, 9.0, 1.0, 1.0]);
        assert_eq!(get(&[Documents, RoundTrips, Cuts, PlacedTokens]), [1.0, 1.0, 1.0, 9.0]);
        assert_eq!(get(&[ScoredBytes, KneserNeyBits]), [0.0, 0.0]);
    }

    #[test]
    fn cuts_change_ids() {
        let tokenizer = tokenizer();
        let numbers = NumberReport::of(&tokenizer).unwrap();
        let measurer = Measurer::new(&tokenizer, &numbers);
        let row = |text: &str| measurer.row(text, None, &tokenizer.encode(text).unwrap(), 0).unwrap();
        // The one place to cut is inside the token ` a`, and between two that do not join.
        for (text, changed, stays) in [(" a", 1.0, 0.0), ("aa", 0.0, 1.0)] {
            let row = row(text);
            assert_eq!((row.get(Column::ChangedIds), row.get(Column::StableCuts)), (changed, stays), "{text:?}");
        }
        assert_eq!((row("a").get(Column::Cuts), row("").get(Column::Cuts)), (0.0, 0.0));
    }

    /// A vocabulary of the characters `a` and `词`, the token of all others, and that for a space.
    fn of_characters() -> Tokenizer {
        let json = serde_json::json!({
            "model": {
                "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": false,
                "vocab": {"<unk>": 0, "a": 1, "词": 2, "▁": 3}, "merges": [],
            },
            "added_tokens": [{"id": 0, "content": "<unk>", "special": true, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false}],
            "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            "decoder": {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        });
        let spec = TokenizerSpec::from_json(json.to_string().as_bytes()).unwrap();
        Tokenizer::new(spec).unwrap()
    }

    #[test]
    fn bytes_without_a_token_are_counted() {
        let tokenizer = of_characters();
        let numbers = NumberReport::of(&tokenizer).unwrap();
        let measurer = Measurer::new(&tokenizer, &numbers);
        let row = |text: &str| measurer.row(text, None, &tokenizer.encode(text).unwrap(), 1).unwrap();
        use Column::*;
        // `元` and `。` in one token for unknown ones, `b` in another.
        let some = row("a 词元。ab");
        assert_eq!([Bytes, LostBytes, RoundTrips, PlacedTokens].map(|column| some.get(column)), [13.0, 7.0, 0.0, 0.0]);
        let none = row("a 词");
        assert_eq!([Bytes, LostBytes, RoundTrips].map(|column| none.get(column)), [5.0, 0.0, 1.0]);
    }

    #[test]
    fn parts_of_characters_are_told() {
        // `词` of three tokens, one of which holds the end of it and `元`.
        assert_eq!(han("词元a", &[1, 2, 6, 7]), (2, 3));
        assert_eq!(han("a词", &[1, 4]), (1, 1));
        assert_eq!(han("ab", &[2]), (0, 0));
    }
}
