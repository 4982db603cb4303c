//! From a pair of neighbours to its merge.
//!
//! An open-addressed table of one word a pair: left and right token and the rank, 21 bits each. Before it stands a bit
//! for each hash: the table of a large vocabulary is too large for the cache of a core, its bits are not, and they answer
//! most look-ups (a first pass is 7 to 10 % faster). A vocabulary that does not fit (ids or ranks of 2²¹ and more, or
//! pairs that collide on purpose) takes a hash map of the standard kind.
//!
//! What a merge makes is mostly a number above its rank that is the same for all; where it is, it is not looked up, which a
//! merge would wait for.
//!
//! Tried and not faster: asking ahead for the slots of the pairs that a merge would make.

use rustc_hash::FxHashMap;

use crate::segment::Pages;
use crate::vocab::{Merges, STRETCH, TokenId, numbers_of_bytes, numbers_to_bytes};

/// No rank: the pair does not merge.
pub(super) const NONE: u32 = u32::MAX;

/// A token that no pair of a narrow table holds.
pub(super) const NO_TOKEN: TokenId = RANK as TokenId;

const BITS: u32 = 21;
const RANK: u64 = (1 << BITS) - 1;
const EMPTY: u64 = u64::MAX;
/// Words of the filter, 128 KB; the bits of a hash from here on name one.
const FILTER: usize = 1 << 14;
const FILTER_SHIFT: u32 = 50;
/// Slots that a look-up passes over at the most.
const MAX_PROBES: usize = 64;

/// Rank and result of each pair that merges.
#[derive(Debug)]
pub(super) struct Pairs {
    table: Table,
    /// How many merges there are.
    count: usize,
    results: Results,
    /// Ranks of pairs of bytes, by the two bytes.
    byte_ranks: Vec<u32>,
}

#[derive(Debug)]
enum Table {
    Narrow { slots: Pages, shift: u32, filter: Filter },
    Wide(FxHashMap<(TokenId, TokenId), u32>),
}

/// What the merge of each rank makes.
#[derive(Debug)]
enum Results {
    /// The token of an id that is so much above the rank.
    Above(TokenId),
    Listed(Vec<TokenId>),
}

impl Results {
    fn new(merges: &Merges) -> Self {
        let merges = merges.as_slice();
        let above = merges.first().map_or(0, |merge| merge.result);
        if merges.iter().zip(above..).all(|(merge, id)| merge.result == id) {
            return Self::Above(above);
        }
        Self::Listed(merges.iter().map(|merge| merge.result).collect())
    }

    #[inline(always)]
    fn of(&self, rank: u32) -> TokenId {
        match self {
            Self::Above(above) => rank + above,
            Self::Listed(ids) => ids[rank as usize],
        }
    }
}

/// What a prebuilt file holds of pairs, checked; no table where it is made anew.
pub(super) struct Tables {
    table: Option<Table>,
    byte_ranks: Vec<u32>,
}

impl Pairs {
    pub(super) fn new(merges: &Merges, byte_ids: &[TokenId; 256]) -> Self {
        let table = narrow(merges).unwrap_or_else(|| {
            let entry = |(rank, merge): (usize, &crate::vocab::Merge)| ((merge.left, merge.right), rank as u32);
            Table::Wide(merges.as_slice().iter().enumerate().map(entry).collect())
        });
        let (count, results) = (merges.as_slice().len(), Results::new(merges));
        let mut pairs = Self { table, count, results, byte_ranks: Vec::new() };
        let byte_ranks = byte_ids.iter().flat_map(|left| byte_ids.iter().map(|right| pairs.rank(*left, *right)));
        pairs.byte_ranks = byte_ranks.collect();
        pairs
    }

    /// The filter, the table of slots and the ranks of pairs of bytes, one behind the other. A map is in no table.
    pub(super) fn to_tables(&self) -> Vec<u8> {
        let mut tables = Vec::new();
        if let Table::Narrow { slots, filter, .. } = &self.table
            && copied(slots.bytes(), self.count).is_some()
        {
            tables.extend(filter.bits.iter().flat_map(|word| word.to_le_bytes()));
            tables.extend_from_slice(slots.bytes());
        }
        tables.extend(numbers_to_bytes(&self.byte_ranks));
        tables
    }

    /// The tables of [`Pairs::to_tables`] for so many merges; `None` if they name merges that are not there, or a look-up
    /// may not come to an end.
    pub(super) fn read_tables(tables: &[u8], merges: usize) -> Option<Tables> {
        let (table, byte_ranks) = tables.split_at_checked(tables.len().checked_sub(4 << 16)?)?;
        let byte_ranks = numbers_of_bytes(byte_ranks)?;
        let known = byte_ranks.iter().all(|rank| *rank == NONE || (*rank as usize) < merges);
        if table.is_empty() {
            return known.then_some(Tables { table: None, byte_ranks });
        }
        let (filter, slots) = table.split_at_checked(8 * FILTER)?;
        let table = Table::Narrow {
            slots: copied(slots, merges)?,
            shift: 64 - (slots.len() / 8).trailing_zeros(),
            filter: Filter::of_bytes(filter)?,
        };
        known.then_some(Tables { table: Some(table), byte_ranks })
    }

    /// The pairs that were read for these merges.
    pub(super) fn of_tables(tables: Tables, merges: &Merges, byte_ids: &[TokenId; 256]) -> Self {
        let Tables { table: Some(table), byte_ranks } = tables else { return Self::new(merges, byte_ids) };
        Self { table, count: merges.as_slice().len(), results: Results::new(merges), byte_ranks }
    }

    /// Whether each merge stands behind all merges that make one of the two tokens that it joins.
    pub(super) fn are_in_order(merges: &Merges) -> bool {
        let merges = merges.as_slice();
        let tokens = merges.iter().map(|merge| merge.left.max(merge.right).max(merge.result) as usize + 1).max();
        // By token, one more than the rank of the last merge that makes it.
        let mut made_by = vec![0; tokens.unwrap_or(0)];
        for (rank, merge) in merges.iter().enumerate() {
            made_by[merge.result as usize] = rank + 1;
        }
        let before = |token: TokenId, rank: usize| made_by[token as usize] <= rank;
        merges.iter().enumerate().all(|(rank, merge)| before(merge.left, rank) && before(merge.right, rank))
    }

    /// The table of slots, if the pairs have one.
    #[inline]
    pub(super) fn narrow(&self) -> Option<Narrow<'_>> {
        let Table::Narrow { slots, shift, filter } = &self.table else { return None };
        Some(Narrow { slots: slots.bytes().as_chunks().0, shift: *shift, filter, results: &self.results })
    }

    /// The rank of the merge of two neighbours, or [`NONE`].
    #[inline]
    pub(super) fn rank(&self, left: TokenId, right: TokenId) -> u32 {
        match &self.table {
            Table::Narrow { slots, shift, filter } => {
                let slots = slots.bytes().as_chunks().0;
                Narrow { slots, shift: *shift, filter, results: &self.results }.rank(left, right)
            }
            Table::Wide(ranks) => ranks.get(&(left, right)).copied().unwrap_or(NONE),
        }
    }

    /// The rank of the merge of two bytes, or [`NONE`].
    #[inline]
    pub(super) fn byte_rank(&self, left: u8, right: u8) -> u32 {
        self.byte_ranks[usize::from(left) << 8 | usize::from(right)]
    }

    /// What the merge of a rank makes.
    #[inline]
    pub(super) fn result(&self, rank: u32) -> TokenId {
        self.results.of(rank)
    }

    /// Rank and result of the merge of two neighbours, if they merge.
    pub(super) fn get(&self, left: TokenId, right: TokenId) -> Option<(u32, TokenId)> {
        let rank = self.rank(left, right);
        (rank != NONE).then(|| (rank, self.result(rank)))
    }
}

/// A table of slots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Narrow<'p> {
    slots: &'p [[u8; 8]],
    shift: u32,
    filter: &'p Filter,
    results: &'p Results,
}

impl Narrow<'_> {
    /// As [`Pairs::result`].
    #[inline(always)]
    pub(super) fn result(self, rank: u32) -> TokenId {
        self.results.of(rank)
    }

    /// As [`Pairs::rank`].
    #[inline(always)]
    pub(super) fn rank(self, left: TokenId, right: TokenId) -> u32 {
        let key = key(left, right);
        let hash = hash_of(key);
        if !self.filter.may_hold(hash) {
            return NONE;
        }
        let mut at = (hash >> self.shift) as usize;
        loop {
            // Zero is empty: the number of a slot is one more.
            let slot = u64::from_le_bytes(self.slots[at & (self.slots.len() - 1)]).wrapping_sub(1);
            if slot ^ key <= RANK {
                return (slot & RANK) as u32;
            }
            if slot == EMPTY {
                return NONE;
            }
            at += 1;
        }
    }
}

fn key(left: TokenId, right: TokenId) -> u64 {
    u64::from(left) << (2 * BITS) | u64::from(right) << BITS
}

fn hash_of(key: u64) -> u64 {
    key.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// A bit for each hash of a pair that merges. Most pairs that are asked for do not merge.
#[derive(Debug)]
struct Filter {
    bits: Box<[u64; FILTER]>,
}

impl Filter {
    fn of(slots: &[[u8; 8]]) -> Self {
        let mut filter = Self { bits: Box::new([0; FILTER]) };
        for slot in slots.iter().map(|slot| u64::from_le_bytes(*slot)).filter(|slot| *slot != 0) {
            let (word, bit) = Self::place(hash_of((slot - 1) & !RANK));
            filter.bits[word] |= bit;
        }
        filter
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks();
        let words: Box<[u64]> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let bits = words.try_into().ok()?;
        rest.is_empty().then_some(Self { bits })
    }

    fn place(hash: u64) -> (usize, u64) {
        ((hash >> FILTER_SHIFT) as usize, 1 << (hash >> (FILTER_SHIFT - 6) & 63))
    }

    #[inline(always)]
    fn may_hold(&self, hash: u64) -> bool {
        let (word, bit) = Self::place(hash);
        self.bits[word] & bit != 0
    }
}

/// A copy of these slots, if they are as many as a table has, their ranks are below `count`, none has [`NO_TOKEN`] on its
/// right, and look-ups end, as `searches_end` says it of other tables. Each stretch is looked at and copied while it is in the cache: going through the
/// table three times took a fifth more of reading a prebuilt file.
fn copied(table: &[u8], count: usize) -> Option<Pages> {
    let slots = table.len() / 8;
    if !table.len().is_multiple_of(8) || slots < 2 || !slots.is_power_of_two() {
        return None;
    }
    let mut copy = Pages::zeros(table.len());
    for (from, to) in table.chunks(8 * STRETCH).zip(copy.bytes_mut().chunks_mut(8 * STRETCH)) {
        let (slots, _) = from.as_chunks::<8>();
        let (mut is_full, mut is_wrong, mut highest) = (true, false, 0);
        for slot in slots.iter().map(|slot| u64::from_le_bytes(*slot)) {
            is_full &= slot != 0;
            // Merging goes by this: what stands beside a piece merges with nothing.
            is_wrong |= slot != 0 && slot.wrapping_sub(1) >> BITS & RANK == u64::from(NO_TOKEN);
            // One more than the rank, as an empty slot is that of none.
            highest = highest.max(((slot.wrapping_sub(1) & RANK) as u32 + 1) * u32::from(slot != 0));
        }
        if is_full || is_wrong || highest as usize > count {
            return None;
        }
        to.copy_from_slice(from);
    }
    Some(copy)
}

fn narrow(merges: &Merges) -> Option<Table> {
    let merges = merges.as_slice();
    let fits = |id: TokenId| u64::from(id) < RANK;
    if merges.len() as u64 > RANK || !merges.iter().all(|merge| fits(merge.left) && fits(merge.right)) {
        return None;
    }
    let bits = (2 * merges.len() + 2).next_power_of_two().trailing_zeros();
    let (mut table, shift) = (Pages::zeros(8 << bits), 64 - bits);
    let (slots, _) = table.bytes_mut().as_chunks_mut();
    for (rank, merge) in merges.iter().enumerate() {
        let key = key(merge.left, merge.right);
        let first = (hash_of(key) >> shift) as usize;
        let mask = slots.len() - 1;
        let free = (first..first + MAX_PROBES).map(|at| at & mask).find(|at| slots[*at] == [0; 8])?;
        slots[free] = ((key | rank as u64) + 1).to_le_bytes();
    }
    let filter = Filter::of(slots);
    Some(Table::Narrow { slots: table, shift, filter })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocab::{Merge, TokenizerSpec};

    /// Every pair of a few tokens, by both tables.
    #[test]
    fn both_tables_say_the_same() {
        let pairs: Vec<(TokenId, TokenId)> = (0..200).map(|n| (n, n + 1)).chain([(256, 256), (3, 256)]).collect();
        let spec = TokenizerSpec::from_learned(".".to_owned(), crate::segment::HanEdges::None, &pairs, &[]).unwrap();
        let byte_ids = spec.vocab().byte_ids().unwrap();
        let fast = Pairs::new(spec.merges(), &byte_ids);
        assert!(matches!(fast.table, Table::Narrow { .. }));
        let listed = |left, right| {
            let found = spec.merges().as_slice().iter().position(|merge| (merge.left, merge.right) == (left, right));
            found.map(|rank| (rank as u32, spec.merges().as_slice()[rank].result))
        };
        for left in 0..spec.vocab_size() {
            for right in 0..spec.vocab_size() {
                assert_eq!(fast.get(left, right), listed(left, right), "{left} {right}");
            }
        }
        for (left, right) in (0..=255u8).zip(1..=255u8) {
            let ids = [left, right].map(|byte| byte_ids[usize::from(byte)]);
            assert_eq!(fast.byte_rank(left, right), fast.rank(ids[0], ids[1]));
        }
    }

    #[test]
    fn merges_behind_those_that_make_what_they_join() {
        let tokens = (0..=255u8).map(|byte| (u32::from(byte), vec![byte]));
        let tokens = tokens.chain([(256, b"ab".to_vec()), (257, b"bc".to_vec()), (258, b"abc".to_vec())]);
        let vocab = crate::vocab::Vocab::new(tokens.collect()).unwrap();
        let [a, b, c] = [b'a', b'b', b'c'].map(u32::from);
        let ab = Merge { left: a, right: b, result: 256 };
        let bc = Merge { left: b, right: c, result: 257 };
        let ab_c = Merge { left: 256, right: c, result: 258 };
        let a_bc = Merge { left: a, right: 257, result: 258 };
        let in_order = |merges: &[Merge]| Pairs::are_in_order(&Merges::new(merges.to_vec(), &vocab).unwrap());
        assert!(in_order(&[ab, bc, ab_c, a_bc]) && in_order(&[ab, ab_c, bc, a_bc]));
        assert!(!in_order(&[ab_c, ab]) && !in_order(&[ab, ab_c, a_bc, bc]));
    }

    #[test]
    fn results_above_their_ranks_or_listed() {
        let pairs = [(3, 4), (256, 5), (257, 256)];
        let spec = TokenizerSpec::from_learned(".".to_owned(), crate::segment::HanEdges::None, &pairs, &[]).unwrap();
        assert!(matches!(Results::new(spec.merges()), Results::Above(256)));
        let mut merges = spec.merges().as_slice().to_vec();
        merges.swap(1, 2);
        for merges in [spec.merges().clone(), Merges::new(merges, spec.vocab()).unwrap()] {
            let pairs = Pairs::new(&merges, &spec.vocab().byte_ids().unwrap());
            for (rank, merge) in merges.as_slice().iter().enumerate() {
                assert_eq!(pairs.get(merge.left, merge.right), Some((rank as u32, merge.result)));
            }
        }
    }

    #[test]
    fn a_table_in_which_what_is_no_token_merges_is_refused() {
        let pairs = [(3, 4), (256, 5)];
        let spec = TokenizerSpec::from_learned(".".to_owned(), crate::segment::HanEdges::None, &pairs, &[]).unwrap();
        let tables = Pairs::new(spec.merges(), &spec.vocab().byte_ids().unwrap()).to_tables();
        assert!(Pairs::read_tables(&tables, 2).is_some());
        let with = |right: TokenId| {
            let slot = ((key(3, 4)) + 1).to_le_bytes();
            let at = tables.windows(8).position(|bytes| bytes == slot).unwrap();
            let mut forged = tables.clone();
            forged[at..at + 8].copy_from_slice(&(key(3, right) + 1).to_le_bytes());
            Pairs::read_tables(&forged, 2).is_some()
        };
        assert!(with(4) && with(NO_TOKEN - 1) && !with(NO_TOKEN));
    }

    #[test]
    fn ids_that_do_not_fit_take_the_map() {
        let (tokens, high) = ((0..=255u8).map(|byte| (u32::from(byte), vec![byte])), (1 << 21) + 5);
        let tokens = tokens.chain([(high, b"ab".to_vec()), (high + 1, b"abc".to_vec())]).collect();
        let vocab = crate::vocab::Vocab::new(tokens).unwrap();
        let merges = vec![
            Merge { left: u32::from(b'a'), right: u32::from(b'b'), result: high },
            Merge { left: high, right: u32::from(b'c'), result: high + 1 },
        ];
        let pairs = Pairs::new(&Merges::new(merges, &vocab).unwrap(), &vocab.byte_ids().unwrap());
        assert!(matches!(pairs.table, Table::Wide(_)));
        assert_eq!(pairs.get(high, u32::from(b'c')), Some((1, high + 1)));
        assert_eq!(pairs.get(high, high), None);
        assert_eq!(pairs.byte_rank(b'a', b'b'), 0);
    }
}
