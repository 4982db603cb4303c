//! Merges of whole characters, many at once.
//!
//! What pieces whose characters have one id each come to (`characters.rs` says when merging may start from these ids), for
//! all pieces of a block together. Round by round, of the pairs that stand side by side all those are merged that nothing
//! can come before. Let A and B stand side by side, and the rank r of their merge be lower than that of the pair left of
//! them, and not higher than that of the pair right of them. They are merged if
//!
//! * no merge of a rank up to r joins a token of several characters to A from the left, and none of a rank below r to B
//!   from the right, except where A begins the piece, or B ends it ([`WholePairs`] knows this of each merge); or
//! * r is the lowest rank in the piece, and no pair left of them has it too.
//!
//! # Why this is exact
//!
//! 1. By the second condition that is the merge to do next. By the first it comes, whatever else is done: look at the first
//!    merge that takes A or B. Until then A and B stand there, with rank r. If it takes the token that stands left of A
//!    now, or that right of B, its rank is higher, or the same further right; if it takes another, that one was made by a
//!    merge, so it has several characters. In both cases (A, B) is to do before it.
//! 2. It may be done at once. Merges stand behind those that make what they join, so pairs that the new token makes have
//!    ranks above r, and those of lower ranks, and of the same further left, which come before it when merging one by one,
//!    are done before them in either order. Then the same tokens stand there.
//! 3. Two pairs that have a token in common are not merged in the same round: the rank of one would be lower.
//! 4. As long as a pair merges, the lowest rank of a piece is found, so all of them come to their end.

use super::block::PLACES;
use super::pairs::{NONE, Pairs};
use crate::vocab::{TokenId, TokenizerSpec};

/// The longest piece whose lowest rank is looked for, in tokens; a power of two.
pub(super) const LONGEST: usize = 16;

/// Bits of a slot: the left token, the right one, the rank, and whether a longer token may come before from either side.
const ID_BITS: u32 = 20;
pub(super) const LEFT_SHIFT: u32 = 42;
pub(super) const RIGHT_SHIFT: u32 = 22;
pub(super) const VALUE: u64 = (1 << RIGHT_SHIFT) - 1;
pub(super) const RANK_SHIFT: u32 = 2;
pub(super) const FROM_LEFT: u32 = 1;
pub(super) const FROM_RIGHT: u32 = 2;
const EMPTY: u64 = u64::MAX;

/// Merging is faster than looking pieces up where there are many of them: with a vocabulary of which one token in so many
/// is several characters of Chinese and the like. That of o200k is faster looked up.
const SHARE: usize = 10;

/// What the hash multiplies left and right tokens by.
pub(super) const HASH: [u32; 2] = [0x9E37_79B1, 0x85EB_CA77];
/// Slots that are emptied for others before a table counts as full.
const MOVES: usize = 200;

/// The pairs of whole characters that merge: a table in which each stands at one of two places.
#[derive(Debug)]
pub(super) struct WholePairs {
    /// A power of two.
    slots: Box<[u64]>,
    shift: u32,
    /// What the merge of each rank makes.
    results: Box<[TokenId]>,
}

impl WholePairs {
    /// The pairs of a tokenizer whose pieces are merged faster than looked up, if [`WholePairs::of`] has them.
    pub(super) fn new(spec: &TokenizerSpec) -> Option<Self> {
        let wide = spec.vocab().iter().filter(|(_, token)| is_wide(token)).count();
        if wide * SHARE < spec.vocab().len() { None } else { Self::of(spec) }
    }

    /// The pairs of a tokenizer, if it has any, they fit, and merges stand behind those that make what they join.
    fn of(spec: &TokenizerSpec) -> Option<Self> {
        let merges = spec.merges().as_slice();
        let end = spec.vocab().id_end() as usize;
        if end > 1 << ID_BITS || merges.len() > 1 << ID_BITS || !Pairs::are_in_order(spec.merges()) {
            return None;
        }
        // By id: how many characters a token has, none if they are not whole.
        let mut lengths = vec![0u8; end];
        for (id, token) in spec.vocab().iter() {
            let count = std::str::from_utf8(token).map_or(0, |text| text.chars().take(3).count());
            lengths[id as usize] = count as u8;
        }
        let length = |id: TokenId| lengths[id as usize];
        let is_whole = |id: TokenId| length(id) > 0;
        let is_ascii = |id: TokenId| spec.vocab().token(id).is_none_or(<[u8]>::is_ascii);
        let whole = merges.iter().zip(0u32..).filter(|(merge, _)| is_whole(merge.left) && is_whole(merge.right));
        let whole: Vec<_> = whole.filter(|(merge, _)| !is_ascii(merge.result)).collect();
        // By token: the lowest rank of a merge with a longer one left of it, and right of it.
        let mut first = vec![[NONE; 2]; end];
        for (merge, rank) in whole.iter().rev() {
            if length(merge.left) > 1 {
                first[merge.right as usize][0] = *rank;
            }
            if length(merge.right) > 1 {
                first[merge.left as usize][1] = *rank;
            }
        }
        let slots = whole.iter().map(|(merge, rank)| {
            let from_left = u32::from(first[merge.left as usize][0] <= *rank) * FROM_LEFT;
            let from_right = u32::from(first[merge.right as usize][1] < *rank) * FROM_RIGHT;
            key(merge.left, merge.right) | u64::from(*rank << RANK_SHIFT | from_left | from_right)
        });
        let slots: Vec<u64> = slots.collect();
        let bits = (2 * slots.len()).next_power_of_two().trailing_zeros().max(4);
        let (slots, shift) = (bits..bits + 3).find_map(|bits| Some((table(&slots, bits)?, 32 - bits)))?;
        let results = merges.iter().map(|merge| merge.result).collect();
        (!whole.is_empty()).then_some(Self { slots, shift, results })
    }

    /// The slots, how far a hash is shifted to be one of the two places, and what the merge of each rank makes.
    pub(super) fn tables(&self) -> (&[u64], u32, &[TokenId]) {
        (&self.slots, self.shift, &self.results)
    }

    /// The rank of a pair, and in the lowest bits what may come before it; [`NONE`] if it does not merge.
    fn value(&self, left: TokenId, right: TokenId) -> u32 {
        let key = key(left, right);
        let found = places(key, self.shift).map(|at| self.slots[at & (self.slots.len() - 1)] ^ key);
        found.into_iter().find(|rest| *rest <= VALUE).map_or(NONE, |rest| rest as u32)
    }

    /// Merges the tokens of a block piece by piece, the lowest rank first. Bit k of `ends`: a piece ends with token k.
    /// Those that are left stand at the beginning then; gives the bits of those that the first of each was.
    pub(super) fn merge(&self, tokens: &mut [TokenId; PLACES], ends: u64, count: usize) -> u64 {
        let (mut left, mut written, mut start) = (0u64, 0, 0);
        while start < count {
            let end = (start + 1 + (ends >> start).trailing_zeros() as usize).min(count);
            let mut piece: Vec<(usize, TokenId)> = (start..end).zip(tokens[start..end].iter().copied()).collect();
            loop {
                let pairs = piece.windows(2).map(|pair| self.value(pair[0].1, pair[1].1));
                let lowest = pairs.enumerate().min_by_key(|(_, value)| *value);
                let Some((at, value)) = lowest.filter(|(_, value)| *value != NONE) else { break };
                piece[at].1 = self.results[(value >> RANK_SHIFT) as usize];
                piece.remove(at + 1);
            }
            for (at, token) in piece {
                left |= 1 << at;
                tokens[written] = token;
                written += 1;
            }
            start = end;
        }
        left
    }
}

/// Whether a token may be two characters or more from U+2000 on.
fn is_wide(token: &[u8]) -> bool {
    token.len() >= 6
        && token[0] >= 0xE2
        && token.len().is_multiple_of(3)
        && token.iter().step_by(3).all(|byte| *byte >= 0xE2)
}

fn key(left: TokenId, right: TokenId) -> u64 {
    u64::from(left) << LEFT_SHIFT | u64::from(right) << RIGHT_SHIFT
}

/// The two places of a pair, of which more than the bits of the table's length say nothing.
fn places(slot: u64, shift: u32) -> [usize; 2] {
    let (left, right) = ((slot >> LEFT_SHIFT) as u32, (slot >> RIGHT_SHIFT) as u32 & ((1 << ID_BITS) - 1));
    let hash = left.wrapping_mul(HASH[0]).wrapping_add(right.wrapping_mul(HASH[1]));
    [(hash >> shift) as usize, hash as usize]
}

/// A table of so many bits in which each of these stands at one of its places (Pagh and Rodler, Cuckoo Hashing, 2001).
fn table(entries: &[u64], bits: u32) -> Option<Box<[u64]>> {
    let mut slots = vec![EMPTY; 1 << bits];
    let places = |slot| places(slot, 32 - bits).map(|at| at & ((1 << bits) - 1));
    for entry in entries {
        let (mut entry, [mut at, other]) = (*entry, places(*entry));
        if slots[at] != EMPTY {
            at = other;
        }
        let mut moves = 0;
        loop {
            std::mem::swap(&mut slots[at], &mut entry);
            if entry == EMPTY {
                break;
            }
            moves += 1;
            if moves > MOVES {
                return None;
            }
            let [first, second] = places(entry);
            at = if at == first { second } else { first };
        }
    }
    Some(slots.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::block::Plain;
    use super::super::block::{CHARACTERS, Reading};
    use super::super::testing::learned;
    use super::super::{Tokenizer, naive};
    use super::*;
    use crate::segment::HanEdges;

    const ALPHABET: [char; 6] = ['的', '一', '是', '不', '，', 'é'];

    /// A tokenizer of these characters and of merges of what there is, in the order of their choice.
    fn tokenizer(choices: &[(u8, u8)]) -> Tokenizer {
        let regex = String::from(r"\S+|\s+");
        let bytes = TokenizerSpec::from_learned(regex.clone(), HanEdges::None, &[], &[]).unwrap();
        let mut tokens: Vec<Vec<u8>> = bytes.vocab().iter().map(|(_, byte)| byte.to_vec()).collect();
        let (mut merges, mut whole) = (Vec::new(), Vec::new());
        let mut merge = |tokens: &mut Vec<Vec<u8>>, left: usize, right: usize| {
            let both = [&tokens[left][..], &tokens[right]].concat();
            tokens.iter().position(|token| *token == both).unwrap_or_else(|| {
                merges.push((left as TokenId, right as TokenId));
                tokens.push(both);
                tokens.len() - 1
            })
        };
        for c in ALPHABET {
            let mut bytes =
                c.to_string().into_bytes().into_iter().map(|byte| bytes.vocab().id(&[byte]).unwrap() as usize);
            let first = bytes.next().unwrap();
            whole.push(bytes.fold(first, |left, right| merge(&mut tokens, left, right)));
        }
        for (left, right) in choices {
            let [left, right] = [left, right].map(|at| whole[usize::from(*at) % whole.len()]);
            // Longer tokens than that are hardly ever met.
            if tokens[left].len() + tokens[right].len() < 40 {
                whole.push(merge(&mut tokens, left, right));
            }
        }
        Tokenizer::new(TokenizerSpec::from_learned(regex, HanEdges::None, &merges, &[]).unwrap()).unwrap()
    }

    /// All ways of merging these characters, cut where bits of `cuts` are, and in any case after [`LONGEST`].
    fn check(tokenizer: &Tokenizer, text: &[char], cuts: u64) {
        let pairs = WholePairs::of(tokenizer.spec()).unwrap();
        let mut ends = 1u64 << (text.len() - 1);
        let (mut wanted, mut start) = (Vec::new(), 0);
        for at in 0..text.len() {
            if at + 1 == text.len() || cuts >> at & 1 == 1 || at + 1 - start == LONGEST {
                ends |= 1 << at;
                let piece: String = text[start..=at].iter().collect();
                let mut tokens = tokenizer.byte_tokens(piece.as_bytes()).collect();
                naive::merge(tokenizer.pairs(), &mut tokens);
                let places = tokens.iter().scan(start, |place, id| {
                    let token = std::str::from_utf8(tokenizer.token_bytes(*id).unwrap()).unwrap();
                    Some((std::mem::replace(place, *place + token.chars().count()), *id))
                });
                wanted.extend(places);
                start = at + 1;
            }
        }
        let merged = |merge: &dyn Fn(&mut [TokenId; PLACES]) -> u64| {
            let mut tokens = [7; PLACES];
            for (token, c) in tokens.iter_mut().zip(text) {
                *token = tokenizer.characters().entry(*c as u32)[0];
            }
            let left = merge(&mut tokens);
            (0..64).filter(|at| left >> at & 1 == 1).zip(tokens).collect::<Vec<(usize, TokenId)>>()
        };
        assert_eq!(merged(&|tokens| Plain.merge(&pairs, tokens, ends, text.len())), wanted);
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = super::super::block_x86::Avx512::<false>::detect() {
            assert_eq!(merged(&|tokens| lanes.merge(&pairs, tokens, ends, text.len())), wanted, "{text:?} {ends:b}");
        }
    }

    #[test]
    fn equal_pairs_are_merged_from_the_left() {
        let a = tokenizer(&[(0, 0), (6, 6), (6, 0), (7, 6), (1, 0)]);
        for length in 1..=CHARACTERS {
            check(&a, &vec!['的'; length], 0);
            check(&a, &['一', '的', '的'].into_iter().cycle().take(length).collect::<Vec<_>>(), 0);
        }
    }

    /// Joined late from parts on its left, a token takes the first of two equal ones.
    #[test]
    fn a_token_from_the_left_comes_first() {
        // 的一, 一的; 的一 的一; 是 before 的 keeps the first 的 from 一 for a while.
        for choices in [[(0, 1), (1, 0), (6, 6), (2, 0)], [(2, 0), (0, 1), (7, 7), (6, 1)]] {
            let a = tokenizer(&choices);
            for text in ["是的一的一的一", "的一的一的一的一", "是的一是的一的一"] {
                check(&a, &text.chars().collect::<Vec<_>>(), 0);
            }
        }
    }

    #[test]
    fn only_vocabularies_of_many_such_tokens_have_them() {
        let text: String = ('\u{4E00}'..'\u{4E80}').flat_map(|c| [c, '\n', c, '\n', c, '\n', c, '的', '\n']).collect();
        let spec = |text: &str| learned(r"regex:\S+|\s+", text, 400).spec().clone();
        assert!(WholePairs::new(&spec(&text)).is_some());
        let words: String = (0..400).map(|n| format!("w{n} ")).collect();
        assert!(WholePairs::new(&spec(&(words + "的一的一"))).is_none());
    }

    #[test]
    fn a_table_that_cannot_be_filled_is_none() {
        let entries: Vec<u64> = (0..20).map(|left| key(left, 7)).collect();
        assert!(table(&entries, 4).is_none());
        let table = table(&entries, 6).unwrap();
        assert_eq!(table.iter().filter(|slot| **slot != EMPTY).count(), 20);
    }

    proptest! {
        #[test]
        fn merged_at_once_as_one_by_one(
            choices in proptest::collection::vec((0u8..40, 0u8..40), 1..60),
            text in proptest::collection::vec(0usize..6, 1..=CHARACTERS),
            letters in 1usize..=6,
            cuts in any::<(u64, u64, u64)>(),
        ) {
            let text: Vec<char> = text.into_iter().map(|at| ALPHABET[at % letters]).collect();
            check(&tokenizer(&choices), &text, cuts.0 & cuts.1 & cuts.2);
        }
    }
}
