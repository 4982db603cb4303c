//! The merges behind a list of tokens by rank.
//!
//! tiktoken merges any two neighbours whose bytes make a token, lowest rank first. The room's head says why a token is
//! only ever made of the two parts that its own bytes come to before the last merge. [`plain`] encodes the bytes of each
//! token to find them. It is the oracle, and it is slow: half a second for 200,000 tokens.
//!
//! # The fast way
//!
//! [`Recovery`] takes tokens by length. The two parts of a token are shorter tokens of lower rank, or bytes. Of the places
//! where a token may be cut into two such parts it tries the one whose later part is made first, which nearly always is
//! the right one; others follow. Parts a and b are the right ones if their bytes, merged with all ranks below the token's,
//! come to a and b. [`Recovery::stand`] tells this without merging: as long as every part is made before what it is a
//! part of, merges happen in the order of ranks. So at each time the last token of a's bytes is one on the right edge of
//! the tree of merges below a, and the first of b's one on the left edge of the tree below b. The walk goes through these
//! pairs of neighbours backwards in time, from a and b down to two bytes; the parts stand if no pair of them merged while
//! it was there. What a pair merges to is shorter than the token: all tokens of a length are found at once, by several
//! threads.
//!
//! (Finding the places of the next length while what was found is put in was no faster on two threads.)
//!
//! A token for which no such place is found is encoded plainly. If that does not find parts, only a whole pre-token can
//! be it. If it finds parts made before it, they are right too. If one of them is made after it, ranks do not rise along
//! merges, the walk proves nothing, and all is done plainly.

use rayon::prelude::*;

use super::slots::{self, Filter, Slots};
use super::{Merge, TokenId, Vocab};
use crate::error::TokenizerFault;

/// No token.
const NONE: TokenId = TokenId::MAX;
/// Places to cut a token that are tried before it is encoded plainly.
const TRIES: usize = 16;

/// The merge that makes each token of two bytes and more, by the ids they make. A token that comes to more than two parts
/// has none: only a whole pre-token can be it.
pub(super) fn recover_merges(vocab: &Vocab) -> Result<Vec<Merge>, TokenizerFault> {
    let byte_ids = vocab.byte_ids()?;
    let fast = vocab.slots().and_then(|slots| Recovery::new(vocab, slots, byte_ids).run());
    Ok(fast.unwrap_or_else(|| plain(vocab)))
}

/// The oracle of [`recover_merges`].
fn plain(vocab: &Vocab) -> Vec<Merge> {
    let tokens: Vec<(TokenId, &[u8])> = vocab.iter().filter(|(_, bytes)| bytes.len() > 1).collect();
    tokens.par_iter().filter_map(|(result, bytes)| plain_merge(vocab, *result, bytes)).collect()
}

/// The merge that makes a token: its bytes are encoded until two parts are left, if it comes to two.
fn plain_merge(vocab: &Vocab, result: TokenId, bytes: &[u8]) -> Option<Merge> {
    // Where the parts end, and the id of each with the next, if that is a token.
    let mut ends: Vec<usize> = (1..=bytes.len()).collect();
    let id_of = |start: usize, end: usize| vocab.id(&bytes[start..end]).unwrap_or(NONE);
    let mut pairs: Vec<TokenId> = (0..bytes.len() - 1).map(|at| id_of(at, at + 2)).collect();
    while ends.len() > 2 {
        let (at, id) = pairs.iter().enumerate().min_by_key(|(_, id)| **id)?;
        if *id == NONE {
            return None;
        }
        ends.remove(at);
        pairs.remove(at);
        let start = |part: usize| part.checked_sub(1).map_or(0, |before| ends[before]);
        if at > 0 {
            pairs[at - 1] = id_of(start(at - 1), ends[at]);
        }
        if at < pairs.len() {
            pairs[at] = id_of(start(at), ends[at + 1]);
        }
    }
    let (left, right) = bytes.split_at(ends[0]);
    Some(Merge { left: vocab.id(left)?, right: vocab.id(right)?, result })
}

/// Tokens that are found together by a thread.
const BLOCK: usize = 256;

/// A place to cut a token: hashes of both sides, and the slots at which their look-ups begin.
struct Cut {
    at: usize,
    hashes: [u64; 2],
    slots: [u32; 2],
}

/// A place to cut a token into two tokens: when the later part is made, and the parts.
type Place = (TokenId, [TokenId; 2]);

/// The merges found so far.
struct Recovery<'v> {
    vocab: &'v Vocab,
    tokens: &'v Slots,
    byte_ids: [TokenId; 256],
    cutter: Cutter,
    /// The parts of each id; of what is not made, none.
    parts: Vec<[TokenId; 2]>,
    /// What the merge of two parts makes, and of which parts there may be a merge.
    made: Slots,
    pairs: Filter,
}

/// What a thread works in.
#[derive(Default)]
struct Room {
    /// Hashes of the beginnings of a token.
    hashes: Vec<u64>,
    cuts: Vec<Cut>,
    /// Where the cuts of each token end.
    ends: Vec<usize>,
    places: Vec<Place>,
}

impl<'v> Recovery<'v> {
    fn new(vocab: &'v Vocab, tokens: &'v Slots, byte_ids: [TokenId; 256]) -> Self {
        let end = vocab.id_end();
        Self {
            vocab,
            tokens,
            byte_ids,
            cutter: Cutter::new(vocab),
            parts: vec![[NONE; 2]; end as usize],
            made: Slots::new(vocab.len(), end),
            pairs: Filter::new(vocab.len()),
        }
    }

    /// All merges; `None` when the walk proves nothing here.
    fn run(mut self) -> Option<Vec<Merge>> {
        let mut by_length: Vec<Vec<(TokenId, &[u8])>> = vec![Vec::new(); self.vocab.longest() + 1];
        self.vocab.iter().for_each(|(id, bytes)| by_length[bytes.len()].push((id, bytes)));
        for alike in by_length.iter().skip(2) {
            let find = |room: &mut Room, block| self.parts_of_block(room, block);
            let found: Option<Vec<Vec<[TokenId; 2]>>> = alike.par_chunks(BLOCK).map_init(Room::default, find).collect();
            for ((token, _), [left, right]) in alike.iter().zip(found?.into_iter().flatten()) {
                if left != NONE {
                    self.parts[*token as usize] = [left, right];
                    let pair = slots::of_pair(left, right);
                    self.made.insert(pair, *token, |_| false).ok()?;
                    self.pairs.insert(pair);
                }
            }
        }
        let parts = self.parts.iter().zip(0..).filter(|([left, _], _)| *left != NONE);
        Some(parts.map(|([left, right], result)| Merge { left: *left, right: *right, result }).collect())
    }

    /// The parts of tokens of a length, when those of all shorter ones are known.
    fn parts_of_block(&self, room: &mut Room, block: &[(TokenId, &[u8])]) -> Option<Vec<[TokenId; 2]>> {
        self.cutter.cut(room, block, self.tokens);
        let mut start = 0;
        let Room { cuts, ends, places, .. } = room;
        let parts = block.iter().zip(ends).map(|((token, bytes), end)| {
            let cuts = &cuts[std::mem::replace(&mut start, *end)..*end];
            self.parts_of(*token, bytes, cuts, places)
        });
        parts.collect()
    }

    /// The two parts of a token, [`NONE`] if it is never made; `None` when the walk proves nothing here.
    fn parts_of(&self, token: TokenId, bytes: &[u8], cuts: &[Cut], places: &mut Vec<Place>) -> Option<[TokenId; 2]> {
        if let [left, right] = bytes {
            return Some([self.byte_ids[usize::from(*left)], self.byte_ids[usize::from(*right)]]);
        }
        self.find_places(token, bytes, cuts, places);
        for _ in 0..TRIES.min(places.len()) {
            let (at, _) = places.iter().enumerate().min_by_key(|(_, place)| place.0)?;
            let (_, [left, right]) = places.swap_remove(at);
            let there = self.is_there(left, token) && self.is_there(right, token);
            if there && self.stand(left, right) && self.are_parts(left, right, token) {
                return Some([left, right]);
            }
        }
        match plain_merge(self.vocab, token, bytes) {
            None => Some([NONE; 2]),
            Some(Merge { left, right, .. }) => {
                (self.is_there(left, token) && self.is_there(right, token)).then_some([left, right])
            }
        }
    }

    /// The places at which the two sides are, by their hashes, tokens of lower rank, or bytes.
    fn find_places(&self, token: TokenId, bytes: &[u8], cuts: &[Cut], places: &mut Vec<Place>) {
        let last = bytes.len() - 1;
        let id_of = |cut: &Cut, side: usize| self.tokens.find_from(cut.hashes[side], cut.slots[side], |id| id < token);
        let place = |cut: &Cut| {
            // Bytes are there from the first, whatever their ids.
            let first = (cut.at == 1).then(|| self.byte_ids[usize::from(bytes[0])]);
            let end = (cut.at == last).then(|| self.byte_ids[usize::from(bytes[last])]);
            let (a, b) = (first.or_else(|| id_of(cut, 0))?, end.or_else(|| id_of(cut, 1))?);
            let later = if first.is_some() { 0 } else { a }.max(if end.is_some() { 0 } else { b });
            Some((later, [a, b]))
        };
        places.clear();
        places.extend(cuts.iter().filter_map(place));
    }

    fn is_made(&self, id: TokenId) -> bool {
        self.parts[id as usize][0] != NONE
    }

    /// Whether a token is a byte, or made before `token` is.
    fn is_there(&self, id: TokenId, token: TokenId) -> bool {
        self.is_made(id) && id < token || self.vocab.token(id).is_some_and(|bytes| bytes.len() == 1)
    }

    /// Whether the bytes of two tokens that are there, one behind the other, come to these two by all merges so far. A
    /// merge of the two themselves would make the token whose parts are looked for, so there is none.
    fn stand(&self, mut left: TokenId, mut right: TokenId) -> bool {
        loop {
            // Back to the time before the later of the two was made. The pair that stood there was gone at `until`: what
            // it makes comes in time before that. A merge of the pair of the same rank as one of its right token would
            // have come first, being further to the left.
            let until = match (self.is_made(left), self.is_made(right)) {
                (false, false) => return true,
                (true, other) if !other || left > right => {
                    let until = left;
                    left = self.parts[left as usize][1];
                    until
                }
                _ => {
                    let until = right + 1;
                    right = self.parts[right as usize][0];
                    until
                }
            };
            let hash = slots::of_pair(left, right);
            let merged = |id: TokenId| id < until && self.parts[id as usize] == [left, right];
            if self.pairs.has(hash) == 1 && self.made.find(hash, merged).is_some() {
                return false;
            }
        }
    }

    /// Whether the bytes of `left` and `right` are those of `token`, of which only hashes were compared.
    fn are_parts(&self, left: TokenId, right: TokenId, token: TokenId) -> bool {
        let [left, right, token] = [left, right, token].map(|id| self.vocab.token(id).unwrap_or_default());
        token.strip_prefix(left) == Some(right)
    }
}

/// Finds places to cut tokens.
struct Cutter {
    /// Bytes that may be a token.
    filter: Filter,
    factors: Vec<u64>,
}

impl Cutter {
    fn new(vocab: &Vocab) -> Self {
        let mut filter = Filter::new(vocab.len());
        vocab.iter().for_each(|(_, bytes)| filter.insert(slots::mixed(slots::of_bytes(bytes))));
        Self { filter, factors: slots::factors(vocab.longest() + 1) }
    }

    /// The places of a block of tokens at which both sides may be tokens.
    fn cut(&self, room: &mut Room, block: &[(TokenId, &[u8])], tokens: &Slots) {
        room.cuts.clear();
        room.ends.clear();
        for (_, bytes) in block {
            self.cut_token(bytes, room);
            room.ends.push(room.cuts.len());
        }
        for cut in &mut room.cuts {
            cut.slots = cut.hashes.map(|hash| tokens.first(hash));
        }
    }

    fn cut_token(&self, bytes: &[u8], room: &mut Room) {
        let (Self { filter, factors }, Room { hashes, cuts, .. }) = (self, room);
        hashes.clear();
        let mut hash = 0;
        for byte in bytes {
            hash = slots::and_byte(hash, *byte);
            hashes.push(hash);
        }
        let count = bytes.len();
        let whole = hashes[count - 1];
        let left = |at: usize| slots::mixed(hashes[at - 1]);
        let right = |at: usize| slots::mixed(whole.wrapping_sub(hashes[at - 1].wrapping_mul(factors[count - at])));
        for start in (1..count).step_by(64) {
            // The places that the filter lets through, without a branch for each.
            let places = start..count.min(start + 64);
            let mut found =
                places.rev().fold(0, |found: u64, at| found << 1 | filter.has(left(at)) & filter.has(right(at)));
            while found != 0 {
                let at = start + found.trailing_zeros() as usize;
                found &= found - 1;
                cuts.push(Cut { at, hashes: [left(at), right(at)], slots: [0; 2] });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All bytes, ids as listed, and tokens.
    fn vocab(tokens: &[(TokenId, Vec<u8>)]) -> Option<Vocab> {
        let bytes = (0..=255u8).map(|byte| (u32::from(byte), vec![byte]));
        Vocab::new(bytes.chain(tokens.iter().cloned()).collect()).ok()
    }

    fn fast(vocab: &Vocab) -> Option<Vec<Merge>> {
        Recovery::new(vocab, vocab.slots().unwrap(), vocab.byte_ids().unwrap()).run()
    }

    #[test]
    fn tokens_before_their_parts_are_found_plainly() {
        let vocab = vocab(&[(300, b"abc".to_vec()), (301, b"ab".to_vec())]).unwrap();
        assert_eq!(fast(&vocab), None);
        let (a, b, c) = (97, 98, 99);
        let wanted = [Merge { left: 301, right: c, result: 300 }, Merge { left: a, right: b, result: 301 }];
        assert_eq!(recover_merges(&vocab).unwrap(), wanted);
    }

    #[test]
    fn tokens_that_are_never_made_have_no_merge() {
        // "bc" is merged before "ab", so that "abc" comes to "a" and "bc"; "xyz" comes to nothing.
        let tokens = [(300, &b"bc"[..]), (301, b"ab"), (302, b"abd"), (303, b"abc"), (304, b"xyz")];
        let vocab = vocab(&tokens.map(|(id, bytes)| (id, bytes.to_vec()))).unwrap();
        let merges = fast(&vocab).unwrap();
        assert_eq!(merges, plain(&vocab));
        assert_eq!(merges.iter().map(|merge| merge.result).collect::<Vec<_>>(), [300, 301, 302, 303]);
        assert_eq!((merges[3].left, merges[3].right), (97, 300));
    }

    /// Tokens of a few letters, put together from earlier ones or at random, in an order that mostly has parts first.
    fn tokens() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let part = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[ab]{2,5}", 0..8u8);
        prop::collection::vec(part, 1..40).prop_map(|parts| {
            let mut tokens: Vec<Vec<u8>> = vec![b"a".to_vec(), b"b".to_vec(), b"c".to_vec()];
            for (left, right, random, kind) in parts {
                let joined = [left.get(&tokens).as_slice(), right.get(&tokens).as_slice()].concat();
                let token = if kind == 0 { random.into_bytes() } else { joined };
                if token.len() <= 64 && !tokens.contains(&token) {
                    // Some stand before their parts.
                    let at = if kind == 1 { 3 + left.index(tokens.len() - 2) } else { tokens.len() };
                    tokens.insert(at, token);
                }
            }
            tokens.split_off(3)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_fast_way_finds_what_the_plain_one_finds(tokens in tokens()) {
            let tokens: Vec<(TokenId, Vec<u8>)> =
                tokens.into_iter().enumerate().map(|(at, token)| (300 + at as TokenId, token)).collect();
            let vocab = vocab(&tokens).unwrap();
            let plain = plain(&vocab);
            if let Some(merges) = fast(&vocab) {
                prop_assert_eq!(merges, plain);
            } else {
                // It gives up only where a part is made after the whole.
                prop_assert!(plain.iter().any(|merge| merge.left.max(merge.right) > merge.result));
            }
        }
    }
}
