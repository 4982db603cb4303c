//! The oracle for learning: every pair is counted anew before every merge, and every rule is read off the bytes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::config::LearnConfig;
use super::counts::Counts;
use super::learner::Learned;
use super::tokens::byte_order;
use crate::error::{Error, Result};
use crate::segment::{Script, is_numeral};
use crate::vocab::{MAX_TOKEN_BYTES, Merge, TokenId, TokenizerSpec, gpt2_byte_order};

/// Learns merges by recounting; the size must be given. Time grows with merges times text; for tests.
///
/// # Errors
///
/// As [`learn`](super::learn).
pub fn naive_learn(counts: &Counts, config: &LearnConfig) -> Result<Learned> {
    let room = config.room()?;
    let bytes = gpt2_byte_order().iter().map(|&byte| vec![byte]).zip(0..).collect();
    let words = counts.sorted().into_iter().map(|(span, count)| (span.iter().map(|&byte| vec![byte]).collect(), count));
    Naive { ids: bytes, next: 256, room, words: words.collect() }.learn(config)
}

/// Extends a tokenizer by recounting, as [`naive_learn`].
///
/// # Errors
///
/// As [`learn_more`](super::learn_more).
pub fn naive_learn_more(counts: &Counts, base: &TokenizerSpec, config: &LearnConfig) -> Result<Learned> {
    base.vocab().byte_ids()?;
    let room = config.room_beside(base.vocab_size())?;
    let ids = base.vocab().iter().map(|(id, bytes)| (bytes.to_vec(), id)).collect();
    let words = counts.sorted().into_iter().map(|(span, count)| (encoded(base, span), count)).collect();
    Naive { ids, next: base.vocab_size(), room, words }.learn(config)
}

/// A word as the bytes of its tokens.
type Word = Vec<Vec<u8>>;

/// The bytes of two tokens.
type Pair = (Vec<u8>, Vec<u8>);

/// A word as a tokenizer encodes it: the leftmost pair of the lowest rank is merged until there is none.
fn encoded(base: &TokenizerSpec, span: &[u8]) -> Word {
    if base.whole_pieces() && base.vocab().id(span).is_some() {
        return vec![span.to_vec()];
    }
    let token = |id| base.vocab().token(id).unwrap_or_default();
    let mut word: Word = span.iter().map(|&byte| vec![byte]).collect();
    loop {
        let of = |at: usize| {
            let is = |merge: &Merge| token(merge.left) == word[at] && token(merge.right) == word[at + 1];
            base.merges().as_slice().iter().position(is).map(|rank| (rank, at))
        };
        let Some((_, at)) = (0..word.len().saturating_sub(1)).filter_map(of).min() else {
            return word;
        };
        let right = word.remove(at + 1);
        word[at].extend(right);
    }
}

struct Naive {
    /// Ids of tokens.
    ids: HashMap<Vec<u8>, TokenId>,
    /// That of the next one.
    next: TokenId,
    /// New tokens to learn.
    room: usize,
    words: Vec<(Word, u64)>,
}

impl Naive {
    fn learn(mut self, config: &LearnConfig) -> Result<Learned> {
        let mut learned = Learned::default();
        let end = self.next + self.room as TokenId;
        while self.next < end {
            let Some((pair, count)) = self.best(config)? else {
                learned.exhausted = true;
                break;
            };
            learned.pairs.push((self.ids[&pair.0], self.ids[&pair.1]));
            learned.counts.push(count);
            let made = [&*pair.0, &*pair.1].concat();
            if !self.ids.contains_key(&made) {
                self.ids.insert(made, self.next);
                self.next += 1;
            }
            self.words.iter_mut().for_each(|(word, _)| *word = merged(word, &pair));
        }
        Ok(learned)
    }

    /// The pair to merge next, and how often it occurs.
    fn best(&self, config: &LearnConfig) -> Result<Option<(Pair, u64)>> {
        let mut pairs: BTreeMap<(&[u8], &[u8]), u64> = BTreeMap::new();
        for (word, count) in &self.words {
            for pair in word.windows(2).filter(|pair| is_allowed(config, &pair[0], &pair[1])) {
                let known = pairs.entry((&pair[0], &pair[1])).or_default();
                let overflow = Error::CountOverflow { left: self.ids[&pair[0]], right: self.ids[&pair[1]] };
                *known = known.checked_add(*count).ok_or(overflow)?;
            }
        }
        let order = byte_order(config.ties);
        let place = |token: &[u8]| match token {
            [byte] => (0, order.iter().position(|other| other == byte)),
            _ => (1, Some(self.ids[token] as usize)),
        };
        let best =
            pairs.into_iter().max_by_key(|&((left, right), count)| (count, Reverse((place(left), place(right)))));
        let tokens: u128 = self.words.iter().map(|(word, count)| word.len() as u128 * u128::from(*count)).sum();
        let least = u128::from(config.min_saved_per_million.unwrap_or(0)) * tokens;
        let is_enough = |count: u64| count >= config.min_count.max(1) && u128::from(count) * 1_000_000 >= least;
        Ok(best
            .filter(|&(_, count)| is_enough(count))
            .map(|((left, right), count)| ((left.to_vec(), right.to_vec()), count)))
    }
}

/// Whether the rules let two tokens become one.
fn is_allowed(config: &LearnConfig, left: &[u8], right: &[u8]) -> bool {
    let both = [left, right].concat();
    let characters = both.iter().filter(|&byte| !is_continuation(*byte)).count();
    let in_one_character = match both.split_first() {
        Some((&first, rest)) => {
            let behind = if is_continuation(first) { 2 } else { behind_first(first) };
            rest.len() <= behind && rest.iter().all(|&byte| is_continuation(byte))
        }
        None => false,
    };
    both.len() <= config.max_token_bytes.map_or(MAX_TOKEN_BYTES, |max| MAX_TOKEN_BYTES.min(max as usize))
        && characters <= config.max_token_characters.map_or(usize::MAX, |max| max as usize)
        && (!config.character_boundaries || in_one_character || is_whole(left) && is_whole(right))
        && (!config.no_script_merges
            || in_one_character
            || is_whole(left) && is_whole(right) && is_of_one_script(&both))
}

/// Whether all characters that are of a script, or digits, are of the same.
fn is_of_one_script(bytes: &[u8]) -> bool {
    let text = bytes.utf8_chunks().flat_map(|chunk| chunk.valid().chars());
    let script = |c| match Script::of(c) {
        Script::Han => Some("Han"),
        _ if is_numeral(c) => Some("digits"),
        Script::Latin => Some("Latin"),
        Script::Other => Some("other"),
        Script::None => None,
    };
    let mut scripts: Vec<&str> = text.filter_map(script).collect();
    scripts.dedup();
    scripts.len() <= 1
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// Bytes that follow the first one of a character.
fn behind_first(byte: u8) -> usize {
    match byte {
        0xC2..=0xDF => 1,
        0xE0..=0xEF => 2,
        0xF0..=0xF4 => 3,
        _ => 0,
    }
}

/// Whether bytes are whole characters.
fn is_whole(mut bytes: &[u8]) -> bool {
    while let Some((&first, rest)) = bytes.split_first() {
        let behind = behind_first(first);
        if behind == 0 && !first.is_ascii()
            || rest.len() < behind
            || !rest[..behind].iter().all(|&b| is_continuation(b))
        {
            return false;
        }
        bytes = &rest[behind..];
    }
    true
}

/// `word` with each occurrence of `pair` replaced, from the left.
fn merged(word: &Word, pair: &Pair) -> Word {
    let mut after: Word = Vec::with_capacity(word.len());
    let mut at = 0;
    while at < word.len() {
        if word[at] == pair.0 && word.get(at + 1) == Some(&pair.1) {
            after.push([&*pair.0, &*pair.1].concat());
            at += 2;
        } else {
            after.push(word[at].clone());
            at += 1;
        }
    }
    after
}
