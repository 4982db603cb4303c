//! Pre-tokens that the memo knows.
//!
//! This is most of the work on English and on source code once their words were met. First the keys of a chunk of
//! pre-tokens are made, and the lines of the memo asked for that they may stand in; then they are looked up one behind
//! the other, and it is kept in mind which are not known, and where their ids belong. In each part there is next to nothing
//! that a processor has to guess. The looking up is done by [`Reading::known`](super::block::Reading::known): here plainly,
//! in `known_x86.rs` with AVX-512, which compares a key with both slots of a set at once.

use std::ops::Range;

use super::ahead::Ahead;
use super::block::PRE_TOKENS;
use super::ids::Room;
use super::memo::{Key, Memo, SHORT, of_few, set_of, short_key};

/// The high bit of every byte of a key: none of a piece of ASCII.
const NOT_ASCII: Key = 0x8080_8080_8080_8080_8080_8080_8080_8080;

/// The key of no piece: its length would be 255.
const NO_KEY: Key = Key::MAX;

/// The key of a pre-token, and its set in the memo.
pub(super) type Asked = (Key, usize);

/// The keys of pre-tokens; [`NO_KEY`] for those that are too long.
pub(super) type Keys = [Asked; PRE_TOKENS];

/// No keys.
pub(super) const NO_KEYS: Keys = [(NO_KEY, 0); PRE_TOKENS];

/// What is known of some pre-tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Bit k: pre-token k is not.
    pub(super) missed: u64,
    /// The ids of all others.
    pub(super) ids: usize,
}

/// The ids of some pre-tokens, without those that the memo does not know, which are looked up then.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) room: Room,
    /// How many ids stand before each that is missing.
    pub(super) before: [u16; PRE_TOKENS],
    pub(super) ahead: Ahead,
}

impl Default for Run {
    fn default() -> Self {
        Self { room: Room::default(), before: [0; PRE_TOKENS], ahead: Ahead::default() }
    }
}

/// What is asked for a piece.
#[inline(always)]
pub(super) fn asked_of(text: &[u8], piece: Range<usize>) -> Asked {
    if piece.len() > SHORT {
        return (NO_KEY, 0);
    }
    let key = short_key(text, piece.start, piece.end);
    (key, set_of(key))
}

/// Writes the keys of pre-tokens and asks for their sets. Bit k of the result: pre-token k is not ASCII.
#[inline(always)]
pub(super) fn read_keys(memo: &Memo, text: &[u8], start: usize, ends: &[u32], keys: &mut Keys) -> u64 {
    let (mut from, mut others) = (start, 0);
    for (at, (asked, end)) in keys.iter_mut().zip(ends).enumerate() {
        let end = *end as usize;
        if end - from <= SHORT {
            let (key, set) = asked_of(text, from..end);
            memo.prefetch(set);
            others |= u64::from(key & NOT_ASCII != 0) << at;
            *asked = (key, set);
        } else {
            // A long one that is not ASCII mostly begins or ends so.
            let is_other = text[from] | text[end - 1] >= 0x80 || !text[from..end].is_ascii();
            others |= u64::from(is_other) << at;
            *asked = (NO_KEY, 0);
        }
        from = end;
    }
    others
}

/// Writes the ids of those of these pre-tokens that the memo knows.
#[inline(always)]
pub(super) fn plain(memo: &Memo, asked: &[Asked], run: &mut Run) -> Known {
    let mut known = Known::default();
    for (at, (key, set)) in asked.iter().enumerate() {
        if let Some((ids, count)) = memo.short(*key, *set).map(of_few) {
            *run.room.next(known.ids) = ids;
            known.ids += count;
        } else {
            run.before[at % PRE_TOKENS] = known.ids as u16;
            known.missed |= 1 << at;
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::block::places;
    use super::*;
    use crate::vocab::TokenId;

    /// What a way of looking up says of these words: which it misses, how many ids stand before each of those, and all ids.
    type Said = (u64, Vec<usize>, Vec<TokenId>);

    fn run(memo: &Memo, asked: &[Asked]) -> Vec<Said> {
        let mut ways = Vec::new();
        let mut add = |known: &dyn Fn(&mut Run) -> Known| {
            let mut run = Run::default();
            let Known { missed, ids } = known(&mut run);
            let before = places(missed).map(|at| usize::from(run.before[at])).collect();
            ways.push((missed, before, run.room.first(ids).to_vec()));
        };
        add(&|run| plain(memo, asked, run));
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = super::super::block_x86::Avx512::<false>::detect() {
            use super::super::block::Reading;
            add(&|run| lanes.known(memo, asked, run));
        }
        ways
    }

    #[test]
    fn keys_of_every_length() {
        let text = "abcdefghijklmnopqrstuvwxyz0123456789词元";
        let memo = Memo::new();
        for start in 0..36 {
            for end in start + 1..=36 {
                let mut keys = NO_KEYS;
                let others = read_keys(&memo, text.as_bytes(), start, &[end as u32, 36 + 3, 36 + 6], &mut keys);
                assert_eq!(others & 0b100, 0b100, "the last one is 元");
                let wanted = if end - start <= SHORT { short_key(text.as_bytes(), start, end) } else { NO_KEY };
                assert_eq!(keys[0].0, wanted);
                assert!(wanted == NO_KEY || keys[0].1 == set_of(wanted));
                assert_eq!(others & 1, 0);
            }
        }
    }

    proptest! {
        /// Words, some of them kept.
        #[test]
        fn what_the_memo_knows_and_what_it_misses(
            kept in prop::collection::hash_set(any::<u8>(), 0..200),
            words in prop::collection::vec(any::<u8>(), 1..=PRE_TOKENS),
        ) {
            let mut memo = Memo::new();
            let word = |n: u8| n.to_string();
            let ids = |n: u8| (0..u32::from(n) % 5).map(|at| (1 << 24) - 1 - u32::from(n) * 4 - at).collect::<Vec<_>>();
            for n in &kept {
                memo.keep(word(*n).as_bytes(), 0..word(*n).len(), &ids(*n));
            }
            let asked: Vec<Asked> = words.iter().map(|n| {
                let key = short_key(word(*n).as_bytes(), 0, word(*n).len());
                (key, set_of(key))
            }).collect();
            let (mut missed, mut before, mut wanted) = (0, Vec::new(), Vec::new());
            for (at, n) in words.iter().enumerate() {
                if kept.contains(n) {
                    wanted.extend(ids(*n));
                } else {
                    missed |= 1 << at;
                    before.push(wanted.len());
                }
            }
            for said in run(&memo, &asked) {
                prop_assert_eq!(&said, &(missed, before.clone(), wanted.clone()));
            }
        }
    }
}
