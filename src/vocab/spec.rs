//! A tokenizer as a whole.

use rustc_hash::FxHashMap;
use serde_json::Value;

use super::added::{AddedToken, checked};
use super::{CharacterUnits, Fingerprint, Merge, Merges, NormalizerStep, PostProcessor, SpecialTokens, TokenId, Vocab};
use crate::error::{Error, Result, TokenizerFault};
use crate::segment::HanEdges;

/// What a tokenizer is: pattern, tokens, merges, added tokens, and what happens before and behind. Its fields fit
/// together; see the room's promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerSpec {
    /// What cuts text into pre-tokens: a regular expression, or the JSON of steps.
    pub(super) pattern: String,
    /// Edges inside Han runs when text is encoded.
    pub(super) han: HanEdges,
    /// The ordinary tokens.
    pub(super) vocab: Vocab,
    /// The merges.
    pub(super) merges: Merges,
    /// The special tokens.
    pub(super) special: SpecialTokens,
    /// Whether a pre-token that is a token as a whole is taken as it is, without merging (tiktoken always does so,
    /// tokenizer.json with `ignore_merges`). It matters only for tokens that the merges do not reach.
    pub(super) whole_pieces: bool,
    /// All added tokens by id, the special ones among them.
    pub(super) added: Vec<AddedToken>,
    /// What is done to a text before it is cut.
    pub(super) normalizer: Vec<NormalizerStep>,
    /// Whether a text that begins with none gets a space before it.
    pub(super) prefix_space: bool,
    /// The tokens that a model expects around a text.
    pub(super) post_processor: Option<PostProcessor>,
    /// What merges start from, if not from bytes.
    pub(super) characters: Option<CharacterUnits>,
    /// What it was learned from, as its file says.
    pub(super) origin: Option<Value>,
}

impl TokenizerSpec {
    /// A tokenizer from its parts.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenizer`] when they do not fit together.
    pub fn new(
        pattern: String,
        han: HanEdges,
        vocab: Vocab,
        merges: Vec<Merge>,
        special: Vec<(TokenId, String)>,
        whole_pieces: bool,
    ) -> Result<Self> {
        vocab.byte_ids()?;
        let added = special.into_iter().map(|(id, name)| AddedToken::special(id, name)).collect();
        Self::with_added(pattern, han, vocab, merges, added, whole_pieces)
    }

    /// The same with added tokens of all kinds, for a vocabulary that may be one of characters.
    pub(super) fn with_added(
        pattern: String,
        han: HanEdges,
        vocab: Vocab,
        merges: Vec<Merge>,
        added: Vec<AddedToken>,
        whole_pieces: bool,
    ) -> Result<Self> {
        let merges = Merges::new(merges, &vocab)?;
        Self::of_merges(pattern, han, vocab, merges, added, whole_pieces)
    }

    /// A tokenizer from its tokens and merges that fit them.
    pub(super) fn of_merges(
        pattern: String,
        han: HanEdges,
        vocab: Vocab,
        merges: Merges,
        added: Vec<AddedToken>,
        whole_pieces: bool,
    ) -> Result<Self> {
        let added = checked(added, &vocab)?;
        Ok(Self {
            pattern,
            han,
            vocab,
            merges,
            special: SpecialTokens::of(&added),
            whole_pieces,
            added,
            normalizer: Vec::new(),
            prefix_space: false,
            post_processor: None,
            characters: None,
            origin: None,
        })
    }

    /// The tokenizer that `pairs` of merges make: ids 0 to 255 are the bytes in GPT-2's order, each merge makes the next
    /// id, the special tokens follow. A pair that makes the bytes of an earlier token makes that one, and no id is used,
    /// as in Hugging Face's `BpeTrainer`.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenizer`] when a pair names an id that is not made yet, or stands there twice.
    pub fn from_learned(
        pattern: String,
        han: HanEdges,
        pairs: &[(TokenId, TokenId)],
        special: &[String],
    ) -> Result<Self> {
        Self::from_words(pattern, han, pairs, &[], special)
    }

    /// The tokenizer of merges and of `words`, pre-tokens that are tokens as they are; their ids follow those of the
    /// merges. With words, a pre-token that is a token as a whole is taken as it is.
    ///
    /// # Errors
    ///
    /// As [`TokenizerSpec::from_learned`], and when a word is there already.
    pub fn from_words(
        pattern: String,
        han: HanEdges,
        pairs: &[(TokenId, TokenId)],
        words: &[Vec<u8>],
        special: &[String],
    ) -> Result<Self> {
        let mut tokens: Vec<Vec<u8>> = super::gpt2_byte_order().iter().map(|&byte| vec![byte]).collect();
        let mut ids: FxHashMap<Vec<u8>, TokenId> = tokens.iter().cloned().zip(0..).collect();
        let mut merges = Vec::with_capacity(pairs.len());
        for (rank, &(left, right)) in pairs.iter().enumerate() {
            let parts = [left, right].map(|id| tokens.get(id as usize).cloned());
            let [Some(left_bytes), Some(right_bytes)] = parts else {
                let why = "names a token that is not made yet";
                return Err(
                    TokenizerFault::Merge { rank, left: left.to_string(), right: right.to_string(), why }.into()
                );
            };
            let bytes = [left_bytes, right_bytes].concat();
            let result = *ids.entry(bytes.clone()).or_insert(tokens.len() as TokenId);
            merges.push(Merge { left, right, result });
            if result as usize == tokens.len() {
                tokens.push(bytes);
            }
        }
        tokens.extend_from_slice(words);
        let end = tokens.len() as TokenId;
        let tokens = tokens.into_iter().enumerate().map(|(id, bytes)| (id as TokenId, bytes)).collect();
        let special = special.iter().enumerate().map(|(at, name)| (end + at as TokenId, name.clone())).collect();
        Self::new(pattern, han, Vocab::new(tokens)?, merges, special, !words.is_empty())
    }

    /// The regular expression of the pre-tokens.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Edges inside Han runs when text is encoded.
    #[must_use]
    pub fn han(&self) -> HanEdges {
        self.han
    }

    /// The ordinary tokens.
    #[must_use]
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// The merges.
    #[must_use]
    pub fn merges(&self) -> &Merges {
        &self.merges
    }

    /// The special tokens.
    #[must_use]
    pub fn special(&self) -> &SpecialTokens {
        &self.special
    }

    /// Whether a pre-token that is a token as a whole is taken as it is.
    #[must_use]
    pub fn whole_pieces(&self) -> bool {
        self.whole_pieces
    }

    /// All added tokens, in the order of their ids; the special ones are among them.
    #[must_use]
    pub fn added(&self) -> &[AddedToken] {
        &self.added
    }

    /// The added token of an id.
    #[must_use]
    pub fn added_token(&self, id: TokenId) -> Option<&AddedToken> {
        let at = self.added.binary_search_by_key(&id, |token| token.id).ok()?;
        Some(&self.added[at])
    }

    /// What is done to a text before it is cut, in this order.
    #[must_use]
    pub fn normalizer(&self) -> &[NormalizerStep] {
        &self.normalizer
    }

    /// Whether a text that begins with none gets a space before it, as does each stretch behind an added token.
    #[must_use]
    pub fn prefix_space(&self) -> bool {
        self.prefix_space
    }

    /// The tokens that a model expects around a text, if any.
    #[must_use]
    pub fn post_processor(&self) -> Option<&PostProcessor> {
        self.post_processor.as_ref()
    }

    /// What merges start from, if not from bytes.
    #[must_use]
    pub fn characters(&self) -> Option<&CharacterUnits> {
        self.characters.as_ref()
    }

    /// What the tokenizer was learned from, as its file says: where ciyuan has learned it, its version, the settings,
    /// and the fingerprint of the counts. It decides no id, so it is not in the fingerprint. A tokenizer that is edited
    /// keeps it, `tokenizer.json` and prebuilt files hold it; `.tiktoken` files do not, nor what other libraries write again.
    #[must_use]
    pub fn origin(&self) -> Option<&Value> {
        self.origin.as_ref()
    }

    /// This tokenizer, which says that it was learned from `origin`.
    #[must_use]
    pub fn with_origin(self, origin: Value) -> Self {
        Self { origin: Some(origin), ..self }
    }

    /// One above the highest id, added tokens among them: the size of a model's embedding.
    #[must_use]
    pub fn vocab_size(&self) -> u32 {
        self.vocab.id_end().max(self.added.last().map_or(0, |token| token.id + 1))
    }

    /// This tokenizer with another normalizer: what is done to a text before it is cut.
    #[must_use]
    pub fn with_normalizer(mut self, steps: Vec<NormalizerStep>) -> Self {
        self.normalizer = steps;
        self
    }

    /// The fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self)
    }

    /// Refuses what only our own form of tokenizer.json can say.
    pub(super) fn expressible_elsewhere(&self, format: &'static str) -> Result<()> {
        let inexpressible = |why| Err(Error::Tokenizer(TokenizerFault::Inexpressible { format, why }));
        if self.characters.is_some() {
            return inexpressible("its merges start from characters, and this format holds bytes");
        }
        if self.prefix_space || !self.normalizer.is_empty() {
            return inexpressible("it changes a text before it cuts it, which this format cannot say");
        }
        let why = match self.han {
            HanEdges::Words => "it cuts Chinese into dictionary words when encoding, which no other library does",
            HanEdges::Chars => "it cuts Han runs into characters on top of its pattern, which this format cannot say",
            HanEdges::None => return Ok(()),
        };
        inexpressible(why)
    }
}
