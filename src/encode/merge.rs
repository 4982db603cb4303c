//! Merging: the ids of a piece.
//!
//! The tokens of a piece stand in an array, and beside them the rank of each with the next. The merge to do is that of
//! the lowest rank, the leftmost of equal ones. A short piece does one at a time (with AVX-512 in registers,
//! `merge_x86.rs`). A long one does all merges of the lowest rank in one sweep from left to right, which makes runs of one
//! character linear; where a merge makes a pair of a rank that is not higher, the sweep ends there, as that pair comes
//! next. A piece that takes too many sweeps goes on with a linked list of tokens and a heap of pairs, O(n log n).
//!
//! The heap is exact, because it gives the pair of lowest rank, of equal ones the leftmost, too; an entry whose two
//! tokens have changed since it was pushed is recognised by its result and passed over.
//!
//! Tried and not faster: short pieces in arrays of whole vectors, closed up 16 numbers at a time in place of a call, with rank and
//! place as one number (source code, whose pieces are longer, was a tenth slower); sweeps that begin at the first place of the
//! lowest rank.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::pairs::{NO_TOKEN, NONE as NO_RANK, Pairs};
use crate::vocab::TokenId;

const NONE: u32 = u32::MAX;

/// The most tokens of a piece that is merged one pair at a time: there is a bit for each, and for the two places beside
/// them.
const ARRAY: usize = 62;
/// Sweeps before the heap takes over.
const SWEEPS: usize = 100;

/// Merges pieces with the same scratch space.
#[derive(Clone, Default)]
pub(super) struct Merger {
    tokens: Vec<TokenId>,
    ranks: Vec<u32>,
    heap: HeapMerger,
}

impl Merger {
    /// Appends the ids of a piece.
    pub(super) fn merge(&mut self, pairs: &Pairs, byte_ids: &[TokenId; 256], piece: &[u8], ids: &mut Vec<TokenId>) {
        match piece {
            [] => {}
            [byte] => ids.push(byte_ids[usize::from(*byte)]),
            _ if piece.len() <= ARRAY => Short::of_bytes(pairs, byte_ids, piece).merge(pairs, ids),
            _ => self.merge_long(pairs, byte_ids, piece, ids),
        }
    }

    fn merge_long(&mut self, pairs: &Pairs, byte_ids: &[TokenId; 256], piece: &[u8], ids: &mut Vec<TokenId>) {
        let Self { tokens, ranks, .. } = self;
        tokens.clear();
        tokens.extend(piece.iter().map(|byte| byte_ids[usize::from(*byte)]));
        ranks.clear();
        ranks.extend(piece.windows(2).map(|pair| pairs.byte_rank(pair[0], pair[1])).chain([NO_RANK]));
        self.merge_ranked(pairs, ids);
    }

    /// Appends the ids of a piece of the tokens that `fill` pushes.
    pub(super) fn merge_tokens(&mut self, pairs: &Pairs, fill: impl FnOnce(&mut Vec<TokenId>), ids: &mut Vec<TokenId>) {
        let Self { tokens, ranks, .. } = self;
        tokens.clear();
        fill(tokens);
        ranks.clear();
        ranks.extend(tokens.windows(2).map(|pair| pairs.rank(pair[0], pair[1])).chain([NO_RANK]));
        self.merge_ranked(pairs, ids);
    }

    /// Appends the ids of a piece whose characters have these ids, each by itself.
    pub(super) fn merge_characters<'c>(
        &mut self,
        pairs: &Pairs,
        characters: impl Iterator<Item = &'c [TokenId]> + Clone,
        ids: &mut Vec<TokenId>,
    ) {
        let count = characters.clone().map(<[TokenId]>::len).sum();
        if count > ARRAY {
            return self.merge_tokens(pairs, |tokens| characters.for_each(|ids| tokens.extend_from_slice(ids)), ids);
        }
        Short::of_tokens(pairs, characters.flatten(), count).merge(pairs, ids);
    }

    /// Merges the tokens, of which each has its rank with the next.
    fn merge_ranked(&mut self, pairs: &Pairs, ids: &mut Vec<TokenId>) {
        let Self { tokens, ranks, heap } = self;
        for _ in 0..SWEEPS {
            let lowest = ranks.iter().copied().fold(NO_RANK, u32::min);
            if lowest == NO_RANK {
                ids.extend_from_slice(tokens);
                return;
            }
            sweep(pairs, lowest, tokens, ranks);
        }
        heap.merge(pairs, tokens.iter().copied(), ids);
    }
}

/// Does the merges of the lowest rank from left to right, until one makes a pair of a rank that is not higher.
fn sweep(pairs: &Pairs, lowest: u32, tokens: &mut Vec<TokenId>, ranks: &mut Vec<u32>) {
    let result = pairs.result(lowest);
    let (mut read, mut write, count) = (0, 0, tokens.len());
    while read < count {
        if ranks[read] != lowest {
            (tokens[write], ranks[write]) = (tokens[read], ranks[read]);
            (read, write) = (read + 1, write + 1);
            continue;
        }
        read += 2;
        let before = if write > 0 { pairs.rank(tokens[write - 1], result) } else { NO_RANK };
        let behind = if read < count { pairs.rank(result, tokens[read]) } else { NO_RANK };
        if write > 0 {
            ranks[write - 1] = before;
        }
        (tokens[write], ranks[write]) = (result, behind);
        write += 1;
        if before <= lowest || behind <= lowest {
            break;
        }
    }
    tokens.copy_within(read.., write);
    ranks.copy_within(read.., write);
    tokens.truncate(write + count - read);
    ranks.truncate(write + count - read);
}

/// The tokens of a short piece, from place 1 on, and the rank of each with the next. Beside them stand tokens that no pair
/// of a narrow table holds.
pub(super) struct Short {
    pub(super) tokens: [TokenId; ARRAY + 2],
    /// That of place 1 first; none from the last token on.
    pub(super) ranks: [u32; ARRAY + 2],
    pub(super) count: usize,
}

impl Short {
    fn of_bytes(pairs: &Pairs, byte_ids: &[TokenId; 256], piece: &[u8]) -> Self {
        let mut short = Self { tokens: [NO_TOKEN; ARRAY + 2], ranks: [NO_RANK; ARRAY + 2], count: piece.len() };
        for (token, byte) in short.tokens[1..].iter_mut().zip(piece) {
            *token = byte_ids[usize::from(*byte)];
        }
        for (rank, pair) in short.ranks.iter_mut().zip(piece.windows(2)) {
            *rank = pairs.byte_rank(pair[0], pair[1]);
        }
        short
    }

    fn of_tokens<'c>(pairs: &Pairs, tokens: impl Iterator<Item = &'c TokenId>, count: usize) -> Self {
        let mut short = Self { tokens: [NO_TOKEN; ARRAY + 2], ranks: [NO_RANK; ARRAY + 2], count };
        for (token, id) in short.tokens[1..=count].iter_mut().zip(tokens) {
            *token = *id;
        }
        for (rank, pair) in short.ranks.iter_mut().zip(short.tokens[1..=count].windows(2)) {
            *rank = pairs.rank(pair[0], pair[1]);
        }
        short
    }

    /// Appends the ids that the tokens merge to.
    fn merge(self, pairs: &Pairs, ids: &mut Vec<TokenId>) {
        #[cfg(target_arch = "x86_64")]
        if let (Some(narrow), Some(lanes)) = (pairs.narrow(), super::block_x86::Avx512::<false>::detect()) {
            return lanes.merge_short(narrow, self, ids);
        }
        self.merge_plainly(pairs, ids);
    }

    /// As [`Short::merge`], everywhere.
    pub(super) fn merge_plainly(self, pairs: &Pairs, ids: &mut Vec<TokenId>) {
        let Self { mut tokens, mut ranks, mut count } = self;
        let tokens = &mut tokens[1..];
        loop {
            // The rank at `count - 1` is none, as nothing stands behind the last token.
            let lowest = ranks[..count].iter().copied().fold(NO_RANK, u32::min);
            if lowest == NO_RANK {
                break;
            }
            let at = ranks[..count].iter().position(|rank| *rank == lowest).unwrap_or_default();
            tokens[at] = pairs.result(lowest);
            tokens.copy_within(at + 2..count, at + 1);
            ranks.copy_within(at + 1..count, at);
            count -= 1;
            ranks[at] = if at + 1 < count { pairs.rank(tokens[at], tokens[at + 1]) } else { NO_RANK };
            if at > 0 {
                ranks[at - 1] = pairs.rank(tokens[at - 1], tokens[at]);
            }
        }
        ids.extend_from_slice(&tokens[..count]);
    }
}

/// A token, and the places of its neighbours.
#[derive(Clone, Copy)]
struct Link {
    token: TokenId,
    before: u32,
    after: u32,
}

/// A pair that may be merged: rank, place of its left token, what it makes, what it was.
type Candidate = Reverse<(u32, u32, TokenId, TokenId, TokenId)>;

/// Scratch space, reused from call to call.
#[derive(Clone, Default)]
pub(super) struct HeapMerger {
    links: Vec<Link>,
    heap: BinaryHeap<Candidate>,
}

impl HeapMerger {
    /// Merges `tokens` until no pair merges, and appends what is left to `ids`.
    pub(super) fn merge(&mut self, pairs: &Pairs, tokens: impl Iterator<Item = TokenId>, ids: &mut Vec<TokenId>) {
        self.links.clear();
        self.heap.clear();
        for token in tokens {
            let at = self.links.len() as u32;
            self.links.push(Link { token, before: at.wrapping_sub(1), after: at + 1 });
        }
        if let Some(last) = self.links.last_mut() {
            last.after = NONE;
        }
        for at in 0..self.links.len() as u32 {
            self.push(pairs, at);
        }
        while let Some(Reverse((_, at, result, left, right))) = self.heap.pop() {
            let link = self.links[at as usize];
            let gone = link.token != left || link.after == NONE || self.links[link.after as usize].token != right;
            if !gone {
                self.join(at, result);
                self.push(pairs, at);
                if self.links[at as usize].before != NONE {
                    self.push(pairs, self.links[at as usize].before);
                }
            }
        }
        let mut at = if self.links.is_empty() { NONE } else { 0 };
        while at != NONE {
            ids.push(self.links[at as usize].token);
            at = self.links[at as usize].after;
        }
    }

    /// Pushes the pair whose left token stands at `at`, if it merges.
    fn push(&mut self, pairs: &Pairs, at: u32) {
        let Link { token, after, .. } = self.links[at as usize];
        if after == NONE {
            return;
        }
        let right = self.links[after as usize].token;
        if let Some((rank, result)) = pairs.get(token, right) {
            self.heap.push(Reverse((rank, at, result, token, right)));
        }
    }

    /// Replaces the pair at `at` by its result. The right token's place is no token's any more: it gets an id that no
    /// pair holds.
    fn join(&mut self, at: u32, result: TokenId) {
        let right = self.links[at as usize].after;
        let after = self.links[right as usize].after;
        self.links[right as usize].token = NONE;
        self.links[at as usize].token = result;
        self.links[at as usize].after = after;
        if after != NONE {
            self.links[after as usize].before = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::json;

    use super::super::testing::learned;
    use super::super::{Tokenizer, naive};
    use super::*;
    use crate::vocab::TokenizerSpec;

    const ENGLISH: &str = include_str!("../../corpora/en/sand-ash-and-fire.txt");

    /// One whose merges make ids in order, the same with ids of which each two have changed places, and one of long runs.
    static TOKENIZERS: LazyLock<[Tokenizer; 3]> = LazyLock::new(|| {
        let in_order = learned("ciyuan", ENGLISH, 600);
        let mut file: serde_json::Value = serde_json::from_str(&in_order.spec().to_json()).unwrap();
        for (_, id) in file["model"]["vocab"].as_object_mut().unwrap() {
            let number = id.as_u64().unwrap();
            *id = json!(if number < 256 { number } else { number ^ 1 });
        }
        let others = Tokenizer::new(TokenizerSpec::from_json(file.to_string().as_bytes()).unwrap()).unwrap();
        [in_order, others, learned(r"regex:(?s).+", "aaaabaaabbabaaaab 词元元词词元", 60)]
    });

    proptest! {
        #[test]
        fn short_pieces_merge_alike(
            start in any::<prop::sample::Index>(),
            length in 1..=ARRAY,
            runs in prop::collection::vec(prop::sample::select(vec![b'a', b'b', 0xE8]), 1..=ARRAY),
        ) {
            let english = &ENGLISH.as_bytes()[start.index(ENGLISH.len() - ARRAY)..][..length];
            for (tokenizer, piece) in TOKENIZERS.iter().flat_map(|tokenizer| [(tokenizer, english), (tokenizer, &runs)]) {
                let (pairs, byte_ids) = (tokenizer.pairs(), tokenizer.spec().vocab().byte_ids().unwrap());
                let mut wanted: Vec<TokenId> = tokenizer.byte_tokens(piece).collect();
                naive::merge(pairs, &mut wanted);
                let (mut merged, mut plainly, mut of_tokens) = (vec![7], Vec::new(), Vec::new());
                Short::of_bytes(pairs, &byte_ids, piece).merge(pairs, &mut merged);
                Short::of_bytes(pairs, &byte_ids, piece).merge_plainly(pairs, &mut plainly);
                let bytes = piece.iter().map(|byte| &byte_ids[usize::from(*byte)]);
                Short::of_tokens(pairs, bytes, piece.len()).merge(pairs, &mut of_tokens);
                prop_assert_eq!((&merged[..1], &merged[1..]), (&[7][..], &wanted[..]));
                prop_assert_eq!((&plainly, &of_tokens), (&wanted, &wanted));
            }
        }
    }
}
