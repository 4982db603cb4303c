//! What a vocabulary is made of, and what of it texts use.
//!
//! Every token is in one class. Of a token that is text, white space beside other characters does not count, nor do
//! combining marks beside what they combine with, so that ` the` is Latin: what is left is all of one script, all digits,
//! all punctuation and symbols, or mixed. Of a token that is no text the question is whether it is a piece of one
//! character, which is how byte-level merges come to a character, or crosses the edge of one: such a token ties half of
//! a character to something else, and a model that ends with it has written no text.
//!
//! What a token that is no text says about a model: Jang et al. 2024, "Improbable bigrams expose vulnerabilities of
//! incomplete tokens in byte-level tokenizers". Tokens that no text comes to: Land and Bartolo 2024, "Fishing for Magikarp".

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Serialize;

use super::findings::{Finding, FindingKind, finding, findings};
use super::language::Language;
use crate::encode::Tokenizer;
use crate::error::Result;
use crate::segment::{Ranges, Script, is_numeral};
use crate::vocab::{TokenId, escape_token};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenClass {
    /// Chinese characters.
    Han,
    /// Latin letters.
    Latin,
    /// Letters of other scripts.
    Other,
    /// Digits and other numerals, but those that are Chinese characters.
    Digits,
    /// Punctuation, symbols, control characters, combining marks by themselves.
    Punctuation,
    /// White space alone.
    WhiteSpace,
    /// Text of more than one of these.
    Mixed,
    /// Some bytes of one character, or one byte that stands in no text.
    Piece,
    /// Bytes that are no text and reach over the edge of a character.
    Crossing,
    /// An added token, special or not.
    Added,
}

impl TokenClass {
    /// All classes, in the order of reports.
    pub const ALL: [Self; 10] = [
        Self::Han,
        Self::Latin,
        Self::Other,
        Self::Digits,
        Self::Punctuation,
        Self::WhiteSpace,
        Self::Mixed,
        Self::Piece,
        Self::Crossing,
        Self::Added,
    ];

    /// The class of a token that is not added, by its bytes.
    ///
    /// ```
    /// use ciyuan::evaluate::TokenClass;
    /// let classes = ["，词", " the", "\n\n"].map(|token| TokenClass::of(token.as_bytes()));
    /// assert_eq!(classes, [TokenClass::Mixed, TokenClass::Latin, TokenClass::WhiteSpace]);
    /// // The first two bytes of 词; its last one and a comma.
    /// assert_eq!(TokenClass::of(b"\xE8\xAF"), TokenClass::Piece);
    /// assert_eq!(TokenClass::of(b"\x8D,"), TokenClass::Crossing);
    /// ```
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(token) else {
            return if is_piece(token) { Self::Piece } else { Self::Crossing };
        };
        let mut kinds = text.chars().filter(|c| !c.is_whitespace() && !MARK.has(*c)).map(Self::of_character);
        match kinds.next() {
            None if text.chars().all(char::is_whitespace) => Self::WhiteSpace,
            None => Self::Punctuation,
            Some(kind) if kinds.all(|other| other == kind) => kind,
            Some(_) => Self::Mixed,
        }
    }

    /// The class of a character that is no white space.
    fn of_character(c: char) -> Self {
        match Script::of(c) {
            Script::Han => Self::Han,
            _ if is_numeral(c) => Self::Digits,
            Script::Latin => Self::Latin,
            Script::Other => Self::Other,
            Script::None => Self::Punctuation,
        }
    }
}

/// Combining marks that are of no script of their own.
static MARK: LazyLock<Ranges> = LazyLock::new(|| Ranges::of(r"[\p{M}&&\p{Inherited}]"));

/// Whether bytes that are no text stand in one character, or are one byte alone.
fn is_piece(token: &[u8]) -> bool {
    let is_inner = |byte: &u8| (0x80..0xC0).contains(byte);
    match token {
        [_] => true,
        [first, inner @ ..] if is_inner(first) => token.len() <= 3 && inner.iter().all(is_inner),
        // The beginning of a character, of which more is to come.
        _ => std::str::from_utf8(token).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none()),
    }
}

/// What a vocabulary is made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VocabularyAudit {
    /// Its tokens, added ones among them.
    pub tokens: u64,
    /// Ordinary tokens of more than one byte: those that were learned.
    pub learned: u64,
    /// Of these, those that are text.
    pub learned_text: u64,
    /// [`VocabularyAudit::learned_text`] by [`VocabularyAudit::learned`]; 0 where there is none.
    pub learned_text_share: f64,
    /// A row for each class.
    pub classes: Vec<ClassAudit>,
    /// Of ordinary tokens that are text, how many there are of each length in characters.
    pub characters: BTreeMap<u32, u64>,
    /// How many tokens no text ever comes to, see [`Tokenizer::unreachable`].
    pub unreachable: u64,
    /// The first of them.
    pub first_unreachable: Vec<TokenAudit>,
    /// What may do harm.
    pub findings: Vec<Finding>,
    /// What held-out texts use, by language; empty without texts.
    pub texts: Vec<UseReport>,
}

/// The tokens of a class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassAudit {
    /// The class.
    pub class: TokenClass,
    /// Its tokens.
    pub tokens: u64,
    /// Their share of all.
    pub share: f64,
    /// The longest of them: by characters, of the same number the one with the lower id first. Of tokens that are no
    /// text, by bytes.
    pub longest: Vec<TokenAudit>,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenAudit {
    /// Its id.
    pub id: TokenId,
    /// Its bytes, as [`escape_token`] writes them.
    pub token: String,
}

/// How many tokens are shown of each kind.
pub(super) const SHOWN: usize = 5;

impl VocabularyAudit {
    /// The audit of a tokenizer's vocabulary, without texts.
    #[must_use]
    pub fn of(tokenizer: &Tokenizer) -> Self {
        let spec = tokenizer.spec();
        let show = |id: TokenId| TokenAudit { id, token: escape_token(tokenizer.token_bytes(id).unwrap_or_default()) };
        let mut members: BTreeMap<TokenClass, Vec<(usize, TokenId)>> = BTreeMap::new();
        let mut characters = BTreeMap::new();
        let (mut tokens, mut learned, mut learned_text) = (0, 0, 0);
        for id in 0..spec.vocab_size() {
            let Some(bytes) = tokenizer.token_bytes(id) else { continue };
            let text = std::str::from_utf8(bytes).ok();
            let length = text.map_or(bytes.len(), |text| text.chars().count());
            let is_added = spec.added_token(id).is_some();
            let class = if is_added { TokenClass::Added } else { TokenClass::of(bytes) };
            tokens += 1;
            members.entry(class).or_default().push((length, id));
            if !is_added {
                let is_learned = bytes.len() > 1;
                learned += u64::from(is_learned);
                learned_text += u64::from(is_learned && text.is_some());
                if text.is_some() {
                    *characters.entry(length as u32).or_default() += 1;
                }
            }
        }
        let class_audit = |class| {
            let mut of_class = members.remove(&class).unwrap_or_default();
            of_class.sort_by_key(|(length, id)| (Reverse(*length), *id));
            let longest = of_class.iter().take(SHOWN).map(|(_, id)| show(*id)).collect();
            let count = of_class.len() as u64;
            ClassAudit { class, tokens: count, share: ratio(count, tokens), longest }
        };
        let classes = TokenClass::ALL.into_iter().map(class_audit).collect();
        let unreachable = tokenizer.unreachable();
        Self {
            tokens,
            learned,
            learned_text,
            learned_text_share: ratio(learned_text, learned),
            classes,
            characters,
            unreachable: unreachable.len() as u64,
            first_unreachable: unreachable.iter().take(2 * SHOWN).map(|id| show(*id)).collect(),
            findings: findings(tokenizer, &unreachable),
            texts: Vec::new(),
        }
    }
}

/// What texts use of a vocabulary.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UseReport {
    /// `zh`, `en`, `other` or `all`.
    pub language: &'static str,
    /// Texts.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their characters.
    pub characters: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Bytes a token; 0 where there is none.
    pub bytes_per_token: f64,
    /// Characters a token.
    pub characters_per_token: f64,
    /// Different tokens among them.
    pub used: u64,
    /// Their share of the vocabulary's tokens.
    pub used_share: f64,
}

/// Counts what texts use of a vocabulary, by the language of each text.
///
/// ```
/// use ciyuan::encode::Tokenizer;
/// use ciyuan::evaluate::UseCounter;
/// use ciyuan::segment::HanEdges;
/// use ciyuan::vocab::TokenizerSpec;
/// let spec = TokenizerSpec::from_learned(".+".to_owned(), HanEdges::None, &[(64, 65)], &[])?; // ab
/// let tokenizer = Tokenizer::new(spec)?;
/// let mut counter = UseCounter::new(&tokenizer);
/// counter.add("ababa")?;
/// let [en, all] = &counter.report()[..] else { panic!("one language, and all") };
/// assert_eq!((en.language, en.tokens, en.used), ("en", 3, 2));
/// assert_eq!((all.language, all.bytes_per_token), ("all", 5.0 / 3.0));
/// # Ok::<(), ciyuan::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct UseCounter<'t> {
    tokenizer: &'t Tokenizer,
    languages: [Sums; 3],
}

#[derive(Debug, Clone, Default)]
struct Sums {
    documents: u64,
    bytes: u64,
    characters: u64,
    tokens: u64,
    /// By id.
    used: Vec<bool>,
}

impl<'t> UseCounter<'t> {
    /// A counter for texts of this tokenizer.
    #[must_use]
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        let used = vec![false; tokenizer.spec().vocab_size() as usize];
        let sums = Sums { used, ..Sums::default() };
        Self { tokenizer, languages: [sums.clone(), sums.clone(), sums] }
    }

    /// Counts a text.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn add(&mut self, text: &str) -> Result<()> {
        let ids = self.tokenizer.encode(text)?;
        let sums = &mut self.languages[Language::of(text) as usize];
        sums.documents += 1;
        sums.bytes += text.len() as u64;
        sums.characters += text.chars().count() as u64;
        sums.tokens += ids.len() as u64;
        ids.into_iter().for_each(|id| sums.used[id as usize] = true);
        Ok(())
    }

    /// Learned tokens that no text has used; `None` where all were.
    #[must_use]
    pub fn never_used(&self) -> Option<Finding> {
        let spec = self.tokenizer.spec();
        let is_learned = |id: &TokenId| {
            spec.added_token(*id).is_none() && self.tokenizer.token_bytes(*id).is_some_and(|bytes| bytes.len() > 1)
        };
        let is_unused = |id: &TokenId| self.languages.iter().all(|sums| !sums.used[*id as usize]);
        let unused: Vec<TokenId> = (0..spec.vocab_size()).filter(is_learned).filter(is_unused).collect();
        finding(self.tokenizer, FindingKind::NeverUsed, &unused)
    }

    /// A row for each language that occurs, and one for all of them.
    #[must_use]
    pub fn report(&self) -> Vec<UseReport> {
        let spec = self.tokenizer.spec();
        let vocabulary = (0..spec.vocab_size()).filter(|id| self.tokenizer.token_bytes(*id).is_some()).count() as u64;
        let mut all = Sums { used: vec![false; spec.vocab_size() as usize], ..Sums::default() };
        let mut rows = Vec::new();
        for (language, sums) in Language::ALL.into_iter().zip(&self.languages).filter(|(_, sums)| sums.documents > 0) {
            rows.push(sums.report(language.code(), vocabulary));
            all.documents += sums.documents;
            all.bytes += sums.bytes;
            all.characters += sums.characters;
            all.tokens += sums.tokens;
            all.used.iter_mut().zip(&sums.used).for_each(|(all, used)| *all |= used);
        }
        rows.push(all.report("all", vocabulary));
        rows
    }
}

impl Sums {
    fn report(&self, language: &'static str, vocabulary: u64) -> UseReport {
        let used = self.used.iter().filter(|used| **used).count() as u64;
        UseReport {
            language,
            documents: self.documents,
            bytes: self.bytes,
            characters: self.characters,
            tokens: self.tokens,
            bytes_per_token: ratio(self.bytes, self.tokens),
            characters_per_token: ratio(self.characters, self.tokens),
            used,
            used_share: ratio(used, vocabulary),
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole > 0 { part as f64 / whole as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::HanEdges;
    use crate::vocab::TokenizerSpec;
    use proptest::prelude::*;

    #[test]
    fn classes_by_hand() {
        use TokenClass::*;
        let cases: [(&[u8], TokenClass); 26] = [
            ("词元".as_bytes(), Han),
            (" 〇々".as_bytes(), Han),
            (b" the", Latin),
            ("e\u{301}t".as_bytes(), Latin),
            ("ⅷ".as_bytes(), Digits),
            ("٣4".as_bytes(), Digits),
            ("カ".as_bytes(), Other),
            ("हिन्दी".as_bytes(), Other),
            (b".\n", Punctuation),
            ("👍🏽".as_bytes(), Punctuation),
            ("\u{301}".as_bytes(), Punctuation),
            (b"\0", Punctuation),
            ("\u{3000}\n".as_bytes(), WhiteSpace),
            (b" ", WhiteSpace),
            ("，词".as_bytes(), Mixed),
            (b"a1", Mixed),
            ("a カ".as_bytes(), Mixed),
            (b"\xE8\xAF", Piece),
            (b"\xAF\x8D", Piece),
            (b"\xFF", Piece),
            (b"\xF0\x9F\x98", Piece),
            (b"\x80\x80\x80\x80", Crossing),
            (b"\xE8\xAF,", Crossing),
            (b" \xE4\xB8", Crossing),
            (b"\x8D\xE5", Crossing),
            // No character begins so: a surrogate's half.
            (b"\xED\xA0", Crossing),
        ];
        for (token, class) in cases {
            assert_eq!(TokenClass::of(token), class, "{}", escape_token(token));
        }
    }

    /// Tokens of the bytes of `merged`, each made from left to right.
    fn tokenizer(merged: &[&[u8]]) -> Tokenizer {
        let special = ["<|end|>".to_owned()];
        let mut spec = TokenizerSpec::from_learned(".+".to_owned(), HanEdges::None, &[], &special).unwrap();
        for bytes in merged {
            let mut left = spec.vocab().id(&bytes[..1]).unwrap();
            for end in 2..=bytes.len() {
                if spec.vocab().id(&bytes[..end]).is_none() {
                    spec = spec.extended(&[(left, spec.vocab().id(&bytes[end - 1..end]).unwrap())]).unwrap();
                }
                left = spec.vocab().id(&bytes[..end]).unwrap();
            }
        }
        Tokenizer::new(spec).unwrap()
    }

    #[test]
    fn an_audit_by_hand() {
        let tokenizer = tokenizer(&["词".as_bytes(), "词,".as_bytes(), b"the", b"hex", b"\x8D,"]);
        let audit = VocabularyAudit::of(&tokenizer);
        // Two pieces; 词 `词,`; th the; he hex; the crossing one.
        assert_eq!((audit.tokens, audit.learned, audit.learned_text), (257 + 8, 8, 6));
        let of = |class| audit.classes.iter().find(|row| row.class == class).unwrap();
        let counts = [TokenClass::Han, TokenClass::Latin, TokenClass::Mixed, TokenClass::Crossing, TokenClass::Added]
            .map(|class| of(class).tokens);
        assert_eq!(counts, [1, 52 + 4, 1, 1, 1]);
        // 128 bytes above ASCII, and the first two of 词.
        assert_eq!((of(TokenClass::Piece).tokens, of(TokenClass::Digits).tokens), (129, 10));
        let longest: Vec<&str> = of(TokenClass::Latin).longest.iter().map(|token| token.token.as_str()).collect();
        assert_eq!(longest, ["the", "hex", "th", "he", "A"]);
        assert_eq!(of(TokenClass::Crossing).longest[0].token, r"\x8D,");
        assert_eq!(audit.characters, BTreeMap::from([(1, 128 + 1), (2, 3), (3, 2)]));
        // th comes before he, but hex has no t; the last byte of 词 goes into 词 where it can, but not by itself.
        assert_eq!((audit.unreachable, audit.first_unreachable.len()), (0, 0));
        let none = VocabularyAudit::of(&self::tokenizer(&[]));
        assert_eq!((none.learned, none.learned_text_share), (0, 0.0));
    }

    #[test]
    fn unreachable_tokens_are_shown() {
        // bc comes first, so abc by way of ab is never made.
        let tokenizer = tokenizer(&[b"bc", b"abc"]);
        let audit = VocabularyAudit::of(&tokenizer);
        assert_eq!(audit.unreachable, 1);
        assert_eq!(audit.first_unreachable, [TokenAudit { id: 259, token: "abc".to_owned() }]);
    }

    #[test]
    fn use_by_language() {
        let tokenizer = tokenizer(&["词".as_bytes(), b"the"]);
        let mut counter = UseCounter::new(&tokenizer);
        for text in ["词词a", "the the", "", "词"] {
            counter.add(text).unwrap();
        }
        let rows = counter.report();
        let told: Vec<_> =
            rows.iter().map(|row| (row.language, row.documents, row.bytes, row.tokens, row.used)).collect();
        assert_eq!(told, [("zh", 2, 10, 4, 2), ("en", 1, 7, 3, 2), ("other", 1, 0, 0, 0), ("all", 4, 17, 7, 4)]);
        assert_eq!((rows[0].characters, rows[0].characters_per_token, rows[2].bytes_per_token), (4, 1.0, 0.0));
        assert_eq!(rows[3].used_share, 4.0 / tokenizer.spec().vocab_size() as f64);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn classes_partition_the_vocabulary(tokens in prop::collection::vec(prop_oneof![
            "\\PC{1,3}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 1..5),
        ], 0..6)) {
            let tokens: Vec<&[u8]> = tokens.iter().filter(|token| !token.is_empty()).map(Vec::as_slice).collect();
            let tokenizer = tokenizer(&tokens);
            let audit = VocabularyAudit::of(&tokenizer);
            let sum: u64 = audit.classes.iter().map(|row| row.tokens).sum();
            prop_assert_eq!((sum, audit.tokens), (u64::from(tokenizer.spec().vocab_size()), sum));
            prop_assert_eq!(audit.learned, sum - 257);
            let no_text: u64 = audit.classes.iter()
                .filter(|row| matches!(row.class, TokenClass::Piece | TokenClass::Crossing)).map(|row| row.tokens).sum();
            prop_assert_eq!(no_text - 128, audit.learned - audit.learned_text);
            prop_assert_eq!(audit.characters.values().sum::<u64>(), sum - 1 - no_text);
            let share: f64 = audit.classes.iter().map(|row| row.share).sum();
            prop_assert!((share - 1.0).abs() < 1e-9);
        }

        /// A piece is what begins or ends a character, or stands in it, against all that may stand around it.
        #[test]
        fn pieces_are_parts_of_a_character(c: char, cut in 0..4usize, more in prop::collection::vec(any::<u8>(), 0..2)) {
            let bytes = c.to_string().into_bytes();
            let token = [&bytes[cut.min(bytes.len() - 1)..], &more].concat();
            let before: [&[u8]; 7] = [b"", b"\xC3", b"\xE8", b"\xE8\x80", b"\xF1", b"\xF1\x80", b"\xF1\x80\x80"];
            let behind: [&[u8]; 6] = [b"", b"\x80", b"\x80\x80", b"\xA0", b"\xA0\x80", b"\x90\x80\x80"];
            let around = |before: &[u8]| behind.iter().any(|behind| {
                let whole = [before, &token, behind].concat();
                std::str::from_utf8(&whole).is_ok_and(|text| text.chars().count() == 1)
            });
            let is_part = token.len() == 1 || before.iter().any(|before| around(before));
            let is_text = std::str::from_utf8(&token).is_ok();
            prop_assert_eq!(TokenClass::of(&token) == TokenClass::Piece, is_part && !is_text);
        }
    }
}
