//! A tokenizer that runs.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock};

use rustc_hash::FxHashMap;

use super::block::Block;
use super::character_model::CharacterModel;
use super::characters::Characters;
use super::cuts::Cuts;
use super::decode::ShortTokens;
use super::encoder::Encoder;
use super::ids::Room;
use super::known::Run;
use super::memo::Memo;
use super::merge::Merger;
use super::pairs::Pairs;
use super::prepare::Preparation;
use super::reached::Reached;
use super::seams::Seams;
use super::two_stages::TwoStages;
use super::whole::WholePairs;
use crate::error::{Result, TokenizerFault};
use crate::segment::{Pattern, Segmenter};
use crate::vocab::{Fingerprint, TokenId, TokenizerSpec};

/// A tokenizer that runs; clones share everything.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    spec: TokenizerSpec,
    /// Found when it is asked for.
    fingerprint: OnceLock<Fingerprint>,
    segmenter: Segmenter,
    pairs: Pairs,
    byte_ids: [TokenId; 256],
    /// Tokens that are what their merges give.
    reached: Reached,
    /// Tokens that are taken as a whole pre-token, and are not what their merges give.
    whole: FxHashMap<Box<[u8]>, TokenId>,
    characters: Characters,
    preparation: Preparation,
    /// Found when a long text is encoded for the first time.
    seams: OnceLock<Option<Seams>>,
    /// Merges of characters, if not of bytes.
    character_model: Option<CharacterModel>,
    /// Made when ids are decoded for the first time.
    short_tokens: OnceLock<ShortTokens>,
    /// Asked for when a piece of several characters is merged.
    in_order: OnceLock<bool>,
    /// Asked for when characters beyond ASCII are encoded.
    whole_pairs: OnceLock<Option<WholePairs>>,
    /// The stages in which text is merged, if the pattern leaves words together. Not found when they are asked for: threads
    /// of a pool would wait for what needs the pool.
    two_stages: Option<TwoStages>,
    pool: Pool,
}

/// What an encoder works in.
#[derive(Clone)]
pub(super) struct Scratch {
    pub(super) memo: Memo,
    pub(super) merger: Merger,
    pub(super) block: Box<Block>,
    pub(super) room: Box<Room>,
    pub(super) run: Box<Run>,
}

/// Scratch spaces that are not in use.
#[derive(Default)]
struct Pool {
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
    /// [`Pattern`](crate::Error::Pattern) when its pattern does not compile, [`Tokenizer`](crate::Error::Tokenizer) when
    /// that changes the text before it becomes bytes, [`Limit`](crate::Error::Limit) when its normalizer makes too much of
    /// an added token, [`Feature`](crate::Error::Feature) when it needs a part that was left out of this build.
    pub fn new(spec: TokenizerSpec) -> Result<Self> {
        // What is there for merges of bytes is empty where they start from characters.
        let of_bytes = spec.characters().is_none();
        let byte_ids = if of_bytes { spec.vocab().byte_ids()? } else { [0; 256] };
        let merges = spec.merges().as_slice().iter().filter(|_| of_bytes);
        let made = merges.filter_map(|merge| spec.vocab().token(merge.result));
        let (pairs, cuts) = rayon::join(|| Pairs::new(spec.merges(), &byte_ids), || Cuts::new(made));
        let (reached, characters) = rayon::join(
            || if of_bytes { Reached::new(&spec, &pairs, &byte_ids) } else { Reached::none() },
            || Characters::new(cuts, &pairs, &byte_ids),
        );
        Self::of_parts(spec, None, byte_ids, pairs, reached, characters)
    }

    /// A tokenizer of its tables, and of its fingerprint if that is known.
    pub(super) fn of_parts(
        spec: TokenizerSpec,
        fingerprint: Option<Fingerprint>,
        byte_ids: [TokenId; 256],
        pairs: Pairs,
        reached: Reached,
        characters: Characters,
    ) -> Result<Self> {
        let segmenter = Segmenter::new(Pattern::from_source(spec.pattern())?, spec.han())?;
        let preparation = Preparation::new(&spec)?;
        let content = |id| spec.added_token(id).map(|token| preparation.content(token)).transpose();
        let character_model = spec.characters().map(|units| CharacterModel::new(&spec, units, content)).transpose()?;
        if character_model.is_none() && segmenter.pattern().changes_text() {
            let why = "a byte-level tokenizer takes text as it is";
            let kind = spec.pattern().to_owned();
            return Err(TokenizerFault::Unsupported { component: "pattern", kind, why }.into());
        }
        let mut whole = FxHashMap::default();
        if character_model.is_none() && spec.whole_pieces() && reached.count() < spec.vocab().len() {
            let others = spec.vocab().iter().filter(|(id, _)| !reached.has(*id));
            whole = others.map(|(id, bytes)| (bytes.into(), id)).collect();
        }
        let merges_bytes = character_model.is_none() && whole.is_empty();
        let two_stages = if merges_bytes { TwoStages::of(&spec, &segmenter) } else { None };
        let shared = Shared {
            fingerprint: fingerprint.map_or_else(OnceLock::new, OnceLock::from),
            spec,
            segmenter,
            pairs,
            byte_ids,
            reached,
            whole,
            characters,
            preparation,
            seams: OnceLock::new(),
            character_model,
            short_tokens: OnceLock::new(),
            in_order: OnceLock::new(),
            whole_pairs: OnceLock::new(),
            two_stages,
            pool: Pool::default(),
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
        *self.shared.fingerprint.get_or_init(|| self.shared.spec.fingerprint())
    }

    /// What cuts its texts.
    #[must_use]
    pub fn segmenter(&self) -> &Segmenter {
        &self.shared.segmenter
    }

    /// The ordinary token of these bytes; in a vocabulary of characters, of this text as it is written there.
    #[must_use]
    pub fn token_id(&self, bytes: &[u8]) -> Option<TokenId> {
        self.spec().vocab().id(bytes)
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
        !self.is_plain()
    }

    /// Scratch space for an encoder.
    pub(super) fn scratch(&self) -> Scratch {
        let free = self.shared.pool.free.lock().ok().and_then(|mut free| free.pop());
        free.unwrap_or_else(|| Scratch {
            memo: Memo::new(),
            merger: Merger::default(),
            block: Box::default(),
            room: Box::default(),
            run: Box::default(),
        })
    }

    /// Takes scratch space back for the next encoder.
    pub(super) fn give_back(&self, scratch: Scratch) {
        if let Ok(mut free) = self.shared.pool.free.lock() {
            free.push(scratch);
        }
    }

    /// Whether places are known where a text may be cut.
    pub(super) fn has_seams(&self) -> bool {
        if self.is_plain() { self.segmenter().pattern().has_safe_cuts() } else { self.seams().is_some() }
    }

    /// The last place in a range where a text may be cut in two, whose ids are those of both parts if the second is
    /// encoded as one that goes on.
    pub(super) fn last_seam(&self, text: &str, within: Range<usize>) -> Option<usize> {
        if self.is_plain() {
            return self.segmenter().pattern().safe_cut(text, within);
        }
        self.seams()?.last(self, text, within)
    }

    fn seams(&self) -> Option<&Seams> {
        self.shared.seams.get_or_init(|| Seams::new(self)).as_ref()
    }

    /// Whether some token is taken as a whole pre-token, but is not what its merges give.
    pub(super) fn has_whole_pieces(&self) -> bool {
        !self.shared.whole.is_empty()
    }

    /// The token that a whole pre-token is, if its merges do not give it.
    pub(super) fn whole_piece(&self, piece: &[u8]) -> Option<TokenId> {
        self.shared.whole.get(piece).copied()
    }

    /// The token that a pre-token is, if the tokenizer takes such ones whole.
    pub(super) fn whole_token(&self, piece: &[u8]) -> Option<TokenId> {
        self.token_id(piece).filter(|_| self.spec().whole_pieces())
    }

    /// The tokens that their merges give.
    pub(super) fn reached_tokens(&self) -> &Reached {
        &self.shared.reached
    }

    /// The token that a piece is and its merges give, if there is one; its hash, if it is known, is that of
    /// [`Vocab::ask`](crate::vocab::Vocab::ask).
    pub(super) fn reached(&self, piece: &[u8], hash: Option<u64>) -> Option<TokenId> {
        let vocab = self.spec().vocab();
        let id = hash.map_or_else(|| vocab.id(piece), |hash| vocab.id_of_hash(piece, hash));
        id.filter(|id| self.shared.reached.has(*id))
    }

    /// Whether a pre-token that begins so may be such a token.
    pub(super) fn begins_whole_piece(&self, begun: &[u8]) -> bool {
        self.shared.whole.keys().any(|whole| whole.starts_with(begun))
    }

    pub(super) fn characters(&self) -> &Characters {
        &self.shared.characters
    }

    pub(super) fn short_tokens(&self) -> &ShortTokens {
        self.shared.short_tokens.get_or_init(|| ShortTokens::new(self.spec()))
    }

    /// Appends the ids of a piece by its merges.
    pub(super) fn merge(&self, merger: &mut Merger, piece: &[u8], ids: &mut Vec<TokenId>) {
        merger.merge(&self.shared.pairs, &self.shared.byte_ids, piece, ids);
    }

    /// Appends the ids of a piece of characters with these codes, which is no token.
    pub(super) fn merge_characters(&self, merger: &mut Merger, codes: &[u32], piece: &[u8], ids: &mut Vec<TokenId>) {
        let Shared { characters, pairs, .. } = &*self.shared;
        if self.is_in_order() && characters.merge_whole(codes) {
            merger.merge_characters(pairs, characters.ids(codes), ids);
        } else {
            self.merge(merger, piece, ids);
        }
    }

    /// The pairs of whole characters, if merges may start from the ids that characters have by themselves.
    pub(super) fn whole_pairs(&self) -> Option<&WholePairs> {
        self.shared.whole_pairs.get_or_init(|| WholePairs::new(self.spec())).as_ref()
    }

    /// The stages in which text is merged, if the pattern leaves words together.
    pub(super) fn two_stages(&self) -> Option<&TwoStages> {
        self.shared.two_stages.as_ref()
    }

    /// Whether merges stand behind those that make what they join.
    fn is_in_order(&self) -> bool {
        *self.shared.in_order.get_or_init(|| Pairs::are_in_order(self.spec().merges()))
    }

    pub(super) fn preparation(&self) -> &Preparation {
        &self.shared.preparation
    }

    pub(super) fn character_model(&self) -> Option<&CharacterModel> {
        self.shared.character_model.as_ref()
    }

    /// Whether a text without special tokens goes to the pattern as it is, and what that cuts to merges of bytes.
    pub(super) fn is_plain(&self) -> bool {
        self.shared.character_model.is_none() && self.shared.preparation.is_none()
    }

    pub(super) fn pairs(&self) -> &Pairs {
        &self.shared.pairs
    }

    /// The tokens that the merges of a pre-token start from, of bytes or of characters, and their places in it.
    pub(super) fn units(&self, piece: &str) -> (Vec<TokenId>, Vec<Range<usize>>) {
        match self.character_model() {
            Some(model) => model.placed_units(piece),
            None => (self.byte_tokens(piece.as_bytes()).collect(), (0..piece.len()).map(|at| at..at + 1).collect()),
        }
    }

    /// The token of each byte.
    pub(super) fn byte_tokens(&self, bytes: &[u8]) -> impl Iterator<Item = TokenId> {
        bytes.iter().map(|&byte| self.shared.byte_ids[usize::from(byte)])
    }

    /// The ids of `text`; special tokens in it are ordinary text, other added tokens are themselves.
    ///
    /// # Errors
    ///
    /// [`Limit`](crate::Error::Limit) for 4 GiB or more of text without a place where its pattern may be cut
    /// ([`Pattern::safe_cut`](crate::segment::Pattern::safe_cut)), [`PatternLimit`](crate::Error::PatternLimit) when a
    /// backtracking pattern gives up.
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
    /// As [`Tokenizer::encode`], and [`UnknownSpecial`](crate::Error::UnknownSpecial) for a name that is no special token.
    pub fn encode_with(&self, text: &str, allowed: &[&str]) -> Result<Vec<TokenId>> {
        let finders = self.preparation().allowing(self.spec(), allowed)?;
        let mut ids = Vec::new();
        Encoder::new(self).encode_parts_into(&finders, text, false, &mut ids)?;
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

    /// How many ids `text` has; they are not kept, see [`Encoder::count`].
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn count(&self, text: &str) -> Result<usize> {
        Encoder::new(self).count(text)
    }
}
