//! A tokenizer that runs.

use std::fmt;
use std::sync::{Arc, Mutex};

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::character_model::CharacterModel;
use super::characters::{Block, CHARACTERS, Characters};
use super::encoder::Encoder;
use super::memo::Memo;
use super::merge::Merger;
use super::pairs::Pairs;
use super::prepare::Preparation;
use crate::error::{Error, Result, TokenizerFault};
use crate::segment::{Pattern, Segmenter};
use crate::vocab::{CharacterUnits, Fingerprint, TokenId, TokenizerSpec};

/// A tokenizer that runs; clones share everything.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    spec: TokenizerSpec,
    fingerprint: Fingerprint,
    segmenter: Segmenter,
    pairs: Pairs,
    byte_ids: [TokenId; 256],
    ids: FxHashMap<Box<[u8]>, TokenId>,
    /// Tokens that are taken as a whole pre-token, and are not what their merges give.
    whole: FxHashMap<Box<[u8]>, TokenId>,
    characters: Characters,
    preparation: Preparation,
    /// Merges of characters, if not of bytes.
    character_model: Option<CharacterModel>,
    /// Whether a text without special tokens goes to the pattern as it is, and what that cuts to merges of bytes.
    plain: bool,
    pool: Pool,
}

/// What an encoder works in.
#[derive(Clone)]
pub(super) struct Scratch {
    pub(super) memo: Memo,
    pub(super) merger: Merger,
    pub(super) block: Box<Block>,
    /// Ids of a block, and the rest of its last entry.
    pub(super) ids: Box<[TokenId; 4 * CHARACTERS]>,
}

/// Scratch spaces that are not in use, and the memo that a new one starts with: it knows the tokens.
struct Pool {
    first: Memo,
    free: Mutex<Vec<Scratch>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Makes a tokenizer ready to run.
    ///
    /// ```
    /// use ciyuan::encode::Tokenizer;
    /// use ciyuan::segment::{DEFAULT_PATTERN, HanEdges, Pattern};
    /// use ciyuan::vocab::TokenizerSpec;
    /// let pattern = Pattern::parse(DEFAULT_PATTERN)?.source().to_owned();
    /// let spec = TokenizerSpec::from_learned(pattern, HanEdges::None, &[], &["<|endoftext|>".to_owned()])?;
    /// let tokenizer = Tokenizer::new(spec)?;
    /// let ids = tokenizer.encode("词元")?;
    /// assert_eq!(ids.len(), 6); // no merges: a token a byte
    /// assert_eq!(tokenizer.decode(&ids)?, "词元".as_bytes());
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Pattern`] when its pattern does not compile, [`Error::Tokenizer`] when that changes the text before it
    /// becomes bytes, [`Error::Limit`] when its normalizer makes too much of an added token, [`Error::Feature`] when it
    /// needs a part that was left out of this build.
    pub fn new(spec: TokenizerSpec) -> Result<Self> {
        let segmenter = Segmenter::new(Pattern::from_source(spec.pattern())?, spec.han())?;
        let preparation = Preparation::new(&spec)?;
        if let Some(units) = spec.characters().cloned() {
            return Self::of_characters(spec, &units, segmenter, preparation);
        }
        if segmenter.pattern().changes_text() {
            let why = "a byte-level tokenizer takes text as it is";
            let kind = spec.pattern().to_owned();
            return Err(TokenizerFault::Unsupported { component: "pattern", kind, why }.into());
        }
        let byte_ids = spec.vocab().byte_ids()?;
        let pairs = Pairs::new(spec.merges(), &byte_ids);
        let ids = spec.vocab().iter().map(|(id, bytes)| (bytes.into(), id)).collect();
        let fingerprint = spec.fingerprint();
        let reached = reached(&spec, &pairs, &byte_ids);
        let mut first = Memo::new();
        let mut whole = FxHashMap::default();
        for ((id, bytes), reached) in spec.vocab().iter().zip(reached) {
            if reached {
                first.keep(bytes, &[id]);
            } else if spec.whole_pieces() {
                whole.insert(bytes.into(), id);
            }
        }
        let made = spec.merges().as_slice().iter().filter_map(|merge| spec.vocab().token(merge.result));
        let characters = Characters::new(made, &pairs, &byte_ids);
        let pool = Pool { first, free: Mutex::default() };
        let (character_model, plain) = (None, preparation.is_none());
        let shared = Shared {
            spec,
            fingerprint,
            segmenter,
            pairs,
            byte_ids,
            ids,
            whole,
            characters,
            preparation,
            character_model,
            plain,
            pool,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The same for merges that start from characters; what is there for bytes is empty.
    fn of_characters(
        spec: TokenizerSpec,
        units: &CharacterUnits,
        segmenter: Segmenter,
        preparation: Preparation,
    ) -> Result<Self> {
        let byte_ids = [0; 256];
        let pairs = Pairs::new(spec.merges(), &byte_ids);
        let content = |id| spec.added_token(id).map(|token| preparation.content(token)).transpose();
        let character_model = Some(CharacterModel::new(&spec, units, content)?);
        let characters = Characters::new(std::iter::empty(), &pairs, &byte_ids);
        let shared = Shared {
            fingerprint: spec.fingerprint(),
            ids: spec.vocab().iter().map(|(id, bytes)| (bytes.into(), id)).collect(),
            whole: FxHashMap::default(),
            pool: Pool { first: Memo::new(), free: Mutex::default() },
            spec,
            segmenter,
            pairs,
            byte_ids,
            characters,
            preparation,
            character_model,
            plain: false,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What the tokenizer is.
    #[must_use]
    pub fn spec(&self) -> &TokenizerSpec {
        &self.shared.spec
    }

    /// The fingerprint of [`Tokenizer::spec`].
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.shared.fingerprint
    }

    /// What cuts its texts.
    #[must_use]
    pub fn segmenter(&self) -> &Segmenter {
        &self.shared.segmenter
    }

    /// The ordinary token of these bytes; in a vocabulary of characters, of this text as it is written there.
    #[must_use]
    pub fn token_id(&self, bytes: &[u8]) -> Option<TokenId> {
        self.shared.ids.get(bytes).copied()
    }

    /// The bytes of an id: those of its token, or the name of an added token. In a vocabulary of characters they are
    /// what the token stands for inside a text.
    #[must_use]
    pub fn token_bytes(&self, id: TokenId) -> Option<&[u8]> {
        let name = || self.spec().added_token(id).map(|token| token.content.as_bytes());
        let token = self.spec().vocab().token(id).or_else(name)?;
        match &self.shared.character_model {
            Some(model) => model.text(id),
            None => Some(token),
        }
    }

    /// How many bytes of text each id stands for, by id: 0 for special tokens and for ids without a token.
    #[must_use]
    pub fn text_lengths(&self) -> Vec<u32> {
        let length = |id| match self.spec().special().name(id) {
            Some(_) => 0,
            None => self.token_bytes(id).map_or(0, |bytes| bytes.len() as u32),
        };
        (0..self.spec().vocab_size()).map(length).collect()
    }

    /// Whether the bytes of the ids may be other bytes than those of the text: a normalizer or a pre-tokenizer may have
    /// changed it, and an added token taken white space beside it.
    #[must_use]
    pub fn changes_text(&self) -> bool {
        !self.shared.plain
    }

    /// Scratch space for an encoder.
    pub(super) fn scratch(&self) -> Scratch {
        let free = self.shared.pool.free.lock().ok().and_then(|mut free| free.pop());
        free.unwrap_or_else(|| Scratch {
            memo: self.shared.pool.first.clone(),
            merger: Merger::default(),
            block: Box::default(),
            ids: Box::new([0; 4 * CHARACTERS]),
        })
    }

    /// Takes scratch space back for the next encoder.
    pub(super) fn give_back(&self, scratch: Scratch) {
        if let Ok(mut free) = self.shared.pool.free.lock() {
            free.push(scratch);
        }
    }

    /// Whether some token is taken as a whole pre-token, but is not what its merges give.
    pub(super) fn has_whole_pieces(&self) -> bool {
        !self.shared.whole.is_empty()
    }

    /// The token that a whole pre-token is, if its merges do not give it.
    pub(super) fn whole_piece(&self, piece: &[u8]) -> Option<TokenId> {
        self.shared.whole.get(piece).copied()
    }

    pub(super) fn characters(&self) -> &Characters {
        &self.shared.characters
    }

    /// Appends the ids of a piece by its merges.
    pub(super) fn merge(&self, merger: &mut Merger, piece: &[u8], ids: &mut Vec<TokenId>) {
        merger.merge(&self.shared.pairs, &self.shared.byte_ids, piece, ids);
    }

    pub(super) fn preparation(&self) -> &Preparation {
        &self.shared.preparation
    }

    pub(super) fn character_model(&self) -> Option<&CharacterModel> {
        self.shared.character_model.as_ref()
    }

    /// Whether there is nothing to do before the pattern cuts, and merges are those of bytes.
    pub(super) fn is_plain(&self) -> bool {
        self.shared.plain
    }

    pub(super) fn pairs(&self) -> &Pairs {
        &self.shared.pairs
    }

    /// The token of each byte.
    pub(super) fn byte_tokens(&self, bytes: &[u8]) -> impl Iterator<Item = TokenId> {
        bytes.iter().map(|&byte| self.shared.byte_ids[usize::from(byte)])
    }

    /// The ids of `text`; special tokens in it are ordinary text, other added tokens are themselves.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] for a text of 4 GiB or more, [`Error::PatternLimit`] when a backtracking pattern gives up.
    pub fn encode(&self, text: &str) -> Result<Vec<TokenId>> {
        let mut ids = Vec::new();
        Encoder::new(self).encode_into(text, &mut ids)?;
        Ok(ids)
    }

    /// The ids of bytes that may be no UTF-8; [`Segmenter::byte_spans`] states how they are cut.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn encode_bytes(&self, bytes: &[u8]) -> Result<Vec<TokenId>> {
        let mut ids = Vec::new();
        Encoder::new(self).encode_bytes_into(bytes, &mut ids)?;
        Ok(ids)
    }

    /// The ids of `text`, in which the special tokens named in `allowed` stand for themselves: those of Hugging Face's
    /// library when all are.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`], and [`Error::UnknownSpecial`] for a name that is no special token.
    pub fn encode_with(&self, text: &str, allowed: &[&str]) -> Result<Vec<TokenId>> {
        let finders = self.preparation().allowing(self.spec(), allowed)?;
        let mut ids = Vec::new();
        Encoder::new(self).encode_parts_into(&finders, text, &mut ids)?;
        Ok(ids)
    }

    /// The ids of `text` with those around them that the model expects, as the file of the tokenizer states them (its
    /// `post_processor`). Special tokens in the text are ordinary text.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn encode_for_model(&self, text: &str) -> Result<Vec<TokenId>> {
        self.encode(text).map(|ids| self.framed(ids))
    }

    /// The ids of a text with those around them that the model expects; all of them where the file states none.
    #[must_use]
    pub fn framed(&self, ids: Vec<TokenId>) -> Vec<TokenId> {
        match self.spec().post_processor() {
            Some(processor) => [processor.before(), &ids, processor.after()].concat(),
            None => ids,
        }
    }

    /// The ids of each text, on all threads.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`]; the first in the order of the texts.
    pub fn encode_batch<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<Vec<TokenId>>> {
        let encode = |encoder: &mut Encoder<'_>, text: &T| {
            let mut ids = Vec::new();
            encoder.encode_into(text.as_ref(), &mut ids).map(|()| ids)
        };
        let all: Vec<Result<Vec<TokenId>>> = texts.par_iter().map_init(|| Encoder::new(self), encode).collect();
        all.into_iter().collect()
    }

    /// How many ids `text` has.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn count(&self, text: &str) -> Result<usize> {
        self.encode(text).map(|ids| ids.len())
    }

    /// The bytes of `ids`, added tokens by their names. They are text only as a whole: an id may be part of a character.
    /// In a vocabulary of characters they are what its [decoder](crate::vocab::Decoder) makes of the tokens.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] for an id without a token.
    pub fn decode(&self, ids: &[TokenId]) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(ids.len() * 4);
        for (position, &id) in ids.iter().enumerate() {
            let unknown = || Error::UnknownToken { id, position, vocab_size: self.spec().vocab_size() };
            bytes.extend_from_slice(self.token_bytes(id).ok_or_else(unknown)?);
        }
        if let (Some(model), [first, ..]) = (self.character_model(), ids) {
            model.finish(*first, &mut bytes);
        }
        Ok(bytes)
    }
}

/// Of each token, in the order of ids, whether its bytes merge to it.
fn reached(spec: &TokenizerSpec, pairs: &Pairs, byte_ids: &[TokenId; 256]) -> Vec<bool> {
    let tokens: Vec<(TokenId, &[u8])> = spec.vocab().iter().collect();
    let merges_to_it = |(merger, ids): &mut (Merger, Vec<TokenId>), (id, bytes): &(TokenId, &[u8])| {
        ids.clear();
        merger.merge(pairs, byte_ids, bytes, ids);
        ids[..] == [*id]
    };
    tokens.par_iter().map_init(Default::default, merges_to_it).collect()
}
