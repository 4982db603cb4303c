//! Runs of pre-tokens that the memo knows.
//!
//! This is most of the work on English and on source code once their words were met. First the keys of a chunk of
//! pre-tokens are made, and the lines of the memo asked for that they may stand in; then they are looked up one behind
//! the other, until one is not known. In each part there is next to nothing that a processor has to guess. The looking up
//! is done by [`Reading::known`](super::block::Reading::known): here plainly, in `known_x86.rs` with AVX-512, which
//! compares a key with both slots of a set at once.

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

/// How long a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) pre_tokens: usize,
    pub(super) ids: usize,
}

/// Writes the keys of pre-tokens and asks for their sets. Bit k of the result: pre-token k is not ASCII.
#[inline(always)]
pub(super) fn read_keys(memo: &Memo, text: &[u8], start: usize, ends: &[u32], keys: &mut Keys) -> u64 {
    let (mut from, mut others) = (start, 0);
    for (at, (asked, end)) in keys.iter_mut().zip(ends).enumerate() {
        let end = *end as usize;
        if end - from <= SHORT {
            let key = short_key(text, from, end);
            let set = set_of(key);
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

/// Writes the ids of the first of these pre-tokens, as many as the memo knows.
#[inline(always)]
pub(super) fn plain(memo: &Memo, asked: &[Asked], room: &mut Room) -> Known {
    let mut known = Known::default();
    for (key, set) in asked {
        let Some(few) = memo.short(*key, *set) else { break };
        let (ids, count) = of_few(few);
        *room.next(known.ids) = ids;
        known = Known { pre_tokens: known.pre_tokens + 1, ids: known.ids + count };
    }
    known
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vocab::TokenId;

    /// What a way of looking up makes of these words.
    type Ways = Vec<(Known, Vec<TokenId>)>;

    fn run(memo: &Memo, asked: &[Asked]) -> Ways {
        let mut ways = Vec::new();
        let mut add = |known: &dyn Fn(&mut Room) -> Known| {
            let mut room = Room::default();
            let known = known(&mut room);
            ways.push((known, room.first(known.ids).to_vec()));
        };
        add(&|room| plain(memo, asked, room));
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = super::super::block_x86::Avx512::<false>::detect() {
            use super::super::block::Reading;
            add(&|room| lanes.known(memo, asked, room));
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
        fn a_run_ends_where_the_memo_knows_no_more(
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
            let wanted: Vec<Vec<TokenId>> = words.iter().take_while(|n| kept.contains(n)).map(|n| ids(*n)).collect();
            let known = Known { pre_tokens: wanted.len(), ids: wanted.concat().len() };
            for way in run(&memo, &asked) {
                prop_assert_eq!(&way, &(known, wanted.concat()));
            }
        }
    }
}
