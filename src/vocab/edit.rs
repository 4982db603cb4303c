//! Edits of a tokenizer: more merges behind its own, fewer of them, and tokens taken out.
//!
//! What is added stands behind all that is there, special tokens among it: a model that was trained keeps its ids, and
//! its embedding grows at the end. What is taken out leaves no gap: the others move up in the order of their ids, and a
//! table says where each went, so that the rows of an embedding can follow.
//!
//! No edit changes the order of merges. A text comes to the same tokens with fewer merges if those that are gone were
//! never done in it: of the pairs that merge at some moment the one of lowest rank is still there and still the lowest.
//! So [`TokenizerSpec::pruned`] leaves the ids of a text as they were, up to their numbers, if all tokens of it stay with
//! all the parts that any merge makes them of.
//!
//! Vocabularies of characters are refused: what a character without a token falls back to, and the names that their
//! files list as added and as ordinary tokens at once, would have to be followed too.

use std::collections::HashMap;

use rustc_hash::FxHashSet;

use super::byte_level::to_chars;
use super::{AddedToken, MAX_TOKEN_BYTES, Merge, Merges, SpecialTokens, TokenId, TokenizerSpec, Vocab};
use crate::error::{Result, TokenizerFault};

/// A tokenizer from which tokens were taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduced {
    /// What is left.
    pub spec: TokenizerSpec,
    /// By old id the new one; `None` for tokens that are gone, and for ids without a token.
    pub ids: Vec<Option<TokenId>>,
    /// Tokens that were to go and had to stay, as tokens that stay are made of them.
    pub kept_for_others: usize,
}

impl TokenizerSpec {
    /// This tokenizer with merges behind its own. All ids stay; a pair that makes the bytes of an ordinary token takes
    /// its id, and the others make the ids from [`TokenizerSpec::vocab_size`] on, behind special and added tokens. Pairs
    /// may name what pairs before them make.
    ///
    /// ```
    /// use ciyuan::segment::HanEdges;
    /// use ciyuan::vocab::TokenizerSpec;
    /// let base = TokenizerSpec::from_learned(".+".to_owned(), HanEdges::None, &[(64, 65)], &["<|end|>".to_owned()])?;
    /// let more = base.extended(&[(256, 66), (258, 66)])?;
    /// assert_eq!((more.vocab().token(258), more.vocab().token(259)), (Some(&b"abc"[..]), Some(&b"abcc"[..])));
    /// assert_eq!(more.special().name(257), Some("<|end|>"));
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Tokenizer`](crate::Error::Tokenizer) for a pair that names an id without an ordinary token, stands there
    /// already, or makes a token that no file can hold: one of more than [`MAX_TOKEN_BYTES`] bytes, or one that is
    /// written as an added token is; and for a vocabulary of characters.
    pub fn extended(&self, pairs: &[(TokenId, TokenId)]) -> Result<Self> {
        self.only_bytes()?;
        let names: FxHashSet<&str> = self.added.iter().map(|token| token.content.as_str()).collect();
        let first = self.vocab_size();
        let mut made: Vec<Vec<u8>> = Vec::new();
        let mut new_ids: HashMap<Vec<u8>, TokenId> = HashMap::new();
        let mut merges = self.merges.as_slice().to_vec();
        for &(left, right) in pairs {
            let rank = merges.len();
            let fault = |why| TokenizerFault::Merge { rank, left: left.to_string(), right: right.to_string(), why };
            let bytes_of = |id: TokenId| match id.checked_sub(first) {
                Some(at) => made.get(at as usize).map(Vec::as_slice),
                None => self.vocab.token(id),
            };
            let (Some(left_bytes), Some(right_bytes)) = (bytes_of(left), bytes_of(right)) else {
                return Err(fault("names an id without a token").into());
            };
            let bytes = [left_bytes, right_bytes].concat();
            if bytes.len() > MAX_TOKEN_BYTES {
                return Err(fault("makes a token of more than 1,024 bytes").into());
            }
            let known = self.vocab.id(&bytes).or_else(|| new_ids.get(&bytes).copied());
            let result = known.unwrap_or(first + made.len() as TokenId);
            if known.is_none() {
                let is_name = |name: &str| names.contains(name);
                if is_name(&to_chars(&bytes)) || std::str::from_utf8(&bytes).is_ok_and(is_name) {
                    return Err(fault("makes what is written as an added token is").into());
                }
                new_ids.insert(bytes.clone(), result);
                made.push(bytes);
            }
            merges.push(Merge { left, right, result });
        }
        let own = self.vocab.iter().map(|(id, bytes)| (id, bytes.to_vec()));
        let vocab = Vocab::new(own.chain((first..).zip(made)).collect())?;
        let merges = Merges::new(merges, &vocab)?;
        Ok(Self { vocab, merges, ..self.clone() })
    }

    /// This tokenizer cut down to `vocab_size` tokens, bytes and added tokens among them: tokens that no merge takes or
    /// makes go first, the last ones before the others, then the last merges with the tokens that they alone make. Where a
    /// merge stands before those of its parts the vocabulary may become smaller than asked for, by these parts.
    ///
    /// Ids move up where others are gone. Where ids follow merges, and tokens without a merge stand behind those with one,
    /// as in all vocabularies that are learned here and in tiktoken's if merges make all tokens, the ordinary tokens that
    /// stay keep theirs, special tokens before the gap too, and those behind it follow it, with their names. A tokenizer
    /// that is no larger is given back as it is.
    ///
    /// # Errors
    ///
    /// [`TokenizerFault::VocabTooSmall`] when bytes and added tokens alone are more, and as [`TokenizerSpec::pruned`].
    pub fn truncated(&self, vocab_size: u32) -> Result<Reduced> {
        self.only_bytes()?;
        let mut stays = self.indispensable()?;
        let outside = self.added.iter().filter(|token| self.vocab.token(token.id).is_none()).count();
        let min = stays.iter().filter(|stays| **stays).count() + outside;
        let Some(mut room) = (vocab_size as usize).checked_sub(min) else {
            let (special, min) = (self.added.len(), min as u32);
            return Err(TokenizerFault::VocabTooSmall { asked: vocab_size, special, min }.into());
        };
        if vocab_size >= self.vocab_size() {
            let is_token = |id: &TokenId| self.vocab.token(*id).is_some() || self.added_token(*id).is_some();
            let ids = (0..self.vocab_size()).map(|id| Some(id).filter(is_token)).collect();
            return Ok(Reduced { spec: self.clone(), ids, kept_for_others: 0 });
        }
        let merges = self.merges.as_slice();
        let mut count = 0;
        for merge in merges {
            let mut new = vec![merge.left, merge.right, merge.result];
            new.retain(|id| !stays[*id as usize]);
            new.sort_unstable();
            new.dedup();
            let Some(left) = room.checked_sub(new.len()) else { break };
            new.iter().for_each(|id| stays[*id as usize] = true);
            (room, count) = (left, count + 1);
        }
        if count == merges.len() {
            let others: Vec<TokenId> =
                self.vocab.iter().map(|(id, _)| id).filter(|id| !stays[*id as usize]).take(room).collect();
            others.into_iter().for_each(|id| stays[id as usize] = true);
        }
        self.reduced(&stays, &merges[..count], 0)
    }

    /// This tokenizer with the ordinary tokens for which `keep` is true, and those that must stay: bytes, added tokens,
    /// what the post-processor names, and all that tokens which stay are made of by any of their merges. A merge stays if
    /// its three tokens do. Ids are given anew, without gaps, in the order of the old ones.
    ///
    /// ```
    /// use ciyuan::segment::HanEdges;
    /// use ciyuan::vocab::TokenizerSpec;
    /// // ab, cd, abc
    /// let pairs = [(64, 65), (66, 67), (256, 66)];
    /// let base = TokenizerSpec::from_learned(".+".to_owned(), HanEdges::None, &pairs, &["<|end|>".to_owned()])?;
    /// let pruned = base.pruned(|id| id == 258)?;
    /// assert_eq!(pruned.ids[256..], [Some(256), None, Some(257), Some(258)]);
    /// assert_eq!(pruned.kept_for_others, 1); // ab
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Tokenizer`](crate::Error::Tokenizer) for a vocabulary of characters, and for a post-processor that names
    /// ids without a token.
    pub fn pruned(&self, keep: impl Fn(TokenId) -> bool) -> Result<Reduced> {
        self.only_bytes()?;
        let mut stays = self.indispensable()?;
        for (id, _) in self.vocab.iter().filter(|(id, _)| keep(*id)) {
            stays[id as usize] = true;
        }
        let mut by_result = self.merges.as_slice().to_vec();
        by_result.sort_by_key(|merge| merge.result);
        let mut open: Vec<TokenId> = (0..self.vocab.id_end()).filter(|id| stays[*id as usize]).collect();
        let mut kept_for_others = 0;
        while let Some(id) = open.pop() {
            let start = by_result.partition_point(|merge| merge.result < id);
            for merge in by_result[start..].iter().take_while(|merge| merge.result == id) {
                for part in [merge.left, merge.right] {
                    if !std::mem::replace(&mut stays[part as usize], true) {
                        kept_for_others += 1;
                        open.push(part);
                    }
                }
            }
        }
        self.reduced(&stays, self.merges.as_slice(), kept_for_others)
    }

    /// Refuses a vocabulary of characters.
    pub(super) fn only_bytes(&self) -> Result<()> {
        if self.characters.is_none() {
            return Ok(());
        }
        let (component, kind) = ("model", "a vocabulary of characters".to_owned());
        Err(TokenizerFault::Unsupported { component, kind, why: "only a BPE of bytes can be edited" }.into())
    }

    /// Which ordinary tokens always stay, by id: bytes, those that are added tokens too, those that stand around texts.
    fn indispensable(&self) -> Result<Vec<bool>> {
        let mut stays = vec![false; self.vocab.id_end() as usize];
        self.vocab.byte_ids()?.iter().for_each(|id| stays[*id as usize] = true);
        let around = self.post_processor.iter().flat_map(|processor| processor.ids());
        for id in self.added.iter().map(|token| token.id).chain(around) {
            if self.vocab.token(id).is_some() {
                stays[id as usize] = true;
            }
        }
        Ok(stays)
    }

    /// The tokenizer of the ordinary tokens that stay, of the added ones, and of those of `merges` whose tokens stay.
    fn reduced(&self, stays: &[bool], merges: &[Merge], kept_for_others: usize) -> Result<Reduced> {
        let mut ids = vec![None; self.vocab_size() as usize];
        let mut next = 0;
        for id in 0..self.vocab_size() {
            if stays.get(id as usize) == Some(&true) || self.added_token(id).is_some() {
                ids[id as usize] = Some(next);
                next += 1;
            }
        }
        let new_id = |id: TokenId| ids[id as usize];
        let new_merge = |merge: &Merge| {
            let Merge { left, right, result } = *merge;
            Some(Merge { left: new_id(left)?, right: new_id(right)?, result: new_id(result)? })
        };
        let merges: Vec<Merge> = merges.iter().filter_map(new_merge).collect();
        let used: FxHashSet<TokenId> =
            merges.iter().flat_map(|merge| [merge.left, merge.right, merge.result]).collect();
        let mut tokens = Vec::new();
        for (id, bytes) in self.vocab.iter() {
            // A file says of an added token that it is an ordinary one by a merge that names it.
            let only_added = |id| bytes.len() > 1 && !used.contains(&id) && self.is_written_as_added(bytes);
            tokens.extend(new_id(id).filter(|id| !only_added(*id)).map(|id| (id, bytes.to_vec())));
        }
        let added = self.added.iter().filter_map(|token| Some(AddedToken { id: new_id(token.id)?, ..token.clone() }));
        let added: Vec<AddedToken> = added.collect();
        let processor = self.post_processor.as_ref();
        let post_processor = processor
            .map(|processor| processor.renumbered(|id| ids.get(id as usize).copied().flatten()))
            .transpose()?;
        let vocab = Vocab::new(tokens)?;
        let merges = Merges::new(merges, &vocab)?;
        let special = SpecialTokens::of(&added);
        let spec = Self { vocab, merges, special, added, post_processor, ..self.clone() };
        Ok(Reduced { spec, ids, kept_for_others })
    }

    /// Whether a token is written in a file as an added token is.
    fn is_written_as_added(&self, bytes: &[u8]) -> bool {
        self.vocab.id(bytes).and_then(|id| self.added_token(id)).is_some_and(|token| to_chars(bytes) == token.content)
    }
}
