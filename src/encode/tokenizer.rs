//! A tokenizer that runs.

use std::fmt;
use std::sync::{Arc, Mutex};

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::characters::{Block, CHARACTERS, Characters};
use super::encoder::Encoder;
use super::memo::Memo;
use super::merge::Merger;
use super::pairs::Pairs;
use crate::error::{Error, Result, TokenizerFault};
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
    fingerprint: Fingerprint,
    segmenter: Segmenter,
    pairs: Pairs,
    byte_ids: [TokenId; 256],
    ids: FxHashMap<Box<[u8]>, TokenId>,
    /// Tokens that are taken as a whole pre-token, and are not what their merges give.
    whole: FxHashMap<Box<[u8]>, TokenId>,
    characters: Characters,
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
    /// [`Error::Pattern`] when its pattern does not compile, [`Error::Tokenizer`] when it changes the text, [`Error::Feature`] when it needs a part that was left out
    /// of this build.
    pub fn new(spec: TokenizerSpec) -> Result<Self> {
        let segmenter = Segmenter::new(Pattern::from_source(spec.pattern())?, spec.han())?;
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
        let shared = Shared { spec, fingerprint, segmenter, pairs, byte_ids, ids, whole, characters, pool };
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

    /// The ordinary token of these bytes.
    #[must_use]
    pub fn token_id(&self, bytes: &[u8]) -> Option<TokenId> {
        self.shared.ids.get(bytes).copied()
    }

    /// The bytes of an id: those of its token, or the name of a special token.
    #[must_use]
    pub fn token_bytes(&self, id: TokenId) -> Option<&[u8]> {
        self.spec().vocab().token(id).or_else(|| self.spec().special().name(id).map(str::as_bytes))
    }

    /// How many bytes of text each id stands for, by id: 0 for special tokens and for ids without a token.
    #[must_use]
    pub fn text_lengths(&self) -> Vec<u32> {
        (0..self.spec().vocab_size())
            .map(|id| self.spec().vocab().token(id).map_or(0, |bytes| bytes.len() as u32))
            .collect()
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

    /// Whether a pre-token that begins so may be such a token.
    pub(super) fn begins_whole_piece(&self, begun: &[u8]) -> bool {
        self.shared.whole.keys().any(|whole| whole.starts_with(begun))
    }

    pub(super) fn characters(&self) -> &Characters {
        &self.shared.characters
    }

    /// Appends the ids of a piece by its merges.
    pub(super) fn merge(&self, merger: &mut Merger, piece: &[u8], ids: &mut Vec<TokenId>) {
        merger.merge(&self.shared.pairs, &self.shared.byte_ids, piece, ids);
    }

    pub(super) fn pairs(&self) -> &Pairs {
        &self.shared.pairs
    }

    /// The token of each byte.
    pub(super) fn byte_tokens(&self, bytes: &[u8]) -> impl Iterator<Item = TokenId> {
        bytes.iter().map(|&byte| self.shared.byte_ids[usize::from(byte)])
    }

    /// The ids of `text`; special tokens in it are ordinary text.
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

    /// The ids of `text`, in which the special tokens named in `allowed` stand for themselves.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`], and [`Error::UnknownSpecial`] for a name that is no special token.
    pub fn encode_with(&self, text: &str, allowed: &[&str]) -> Result<Vec<TokenId>> {
        let special = self.spec().special();
        let known = || special.iter().map(|(_, name)| name).collect::<Vec<_>>().join(", ");
        let allowed = allowed.iter().map(|&name| {
            special
                .id(name)
                .map(|id| (name, id))
                .ok_or_else(|| Error::UnknownSpecial { name: name.to_owned(), known: known() })
        });
        let allowed = allowed.collect::<Result<Vec<_>>>()?;
        // Names that contain each other: the longest counts, as in tiktoken and HF.
        let finder = aho_corasick::AhoCorasick::builder()
            .match_kind(aho_corasick::MatchKind::LeftmostLongest)
            .build(allowed.iter().map(|(name, _)| name));
        let finder = finder.map_err(|_| Error::Limit {
            what: "the number of special tokens",
            value: allowed.len() as u64,
            max: u64::from(u32::MAX),
        })?;
        let mut encoder = Encoder::new(self);
        let mut ids = Vec::new();
        let mut done = 0;
        for found in finder.find_iter(text) {
            encoder.encode_into(&text[done..found.start()], &mut ids)?;
            ids.push(allowed[found.pattern().as_usize()].1);
            done = found.end();
        }
        encoder.encode_into(&text[done..], &mut ids)?;
        Ok(ids)
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

    /// The bytes of `ids`, special tokens by their names. They are text only as a whole: an id may be part of a
    /// character.
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
