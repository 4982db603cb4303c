//! The words that merges are learned from, all in one list of cells.
//!
//! A cell holds a token, or the edge of a word, or is free: a token that two became stands where the left one stood,
//! and the cells behind it are free. The first and the last free cell of a token say how many cells it takes, so that
//! both neighbours of a token are found without a look at the rest of its word, however long that is. Words of a count
//! stand together (the most frequent first, where all are in memory), so that the count of a place is that of the stretch it
//! lies in.
//!
//! Cells have 16 bits where these hold all tokens that will be, and 32 elsewhere: half of the memory of the words.

use std::fmt::Debug;
use std::ops::Range;

use crate::segment::prefetch;
use crate::vocab::MAX_TOKEN_BYTES;

/// What a cell is kept in.
pub(super) trait Cell: Copy + Eq + Ord + Debug + Send + Sync + Into<u32> {
    /// The edge of a word; above every token.
    const EDGE: Self;
    /// The same as a number.
    const EDGE_NUMBER: u32;
    /// The lowest free cell; those above it say of how many cells the token is.
    const FREE: Self;

    /// A token, or a free cell.
    fn of(number: u32) -> Self;

    /// Puts cells behind `bytes`, each low byte first.
    fn write(cells: &[Self], bytes: &mut Vec<u8>);

    /// Puts what [`Cell::write`] gave behind `cells`.
    fn read(bytes: &[u8], cells: &mut Vec<Self>);

    /// Whether it is free.
    #[inline(always)]
    fn is_free(self) -> bool {
        self >= Self::FREE
    }

    /// Of how many cells the token is that a free cell belongs to.
    #[inline(always)]
    fn cells(self) -> usize {
        (self.into() - Self::FREE.into()) as usize
    }

    /// What the free cells of a token of so many cells hold.
    #[inline(always)]
    fn free(cells: usize) -> Self {
        Self::of(Self::FREE.into() + cells as u32)
    }
}

impl Cell for u16 {
    const EDGE: Self = Self::FREE - 1;
    const EDGE_NUMBER: u32 = Self::EDGE as u32;
    const FREE: Self = Self::MAX - MAX_TOKEN_BYTES as Self;

    #[inline(always)]
    fn of(number: u32) -> Self {
        number as Self
    }

    fn write(cells: &[Self], bytes: &mut Vec<u8>) {
        bytes.extend(cells.iter().flat_map(|cell| cell.to_le_bytes()));
    }

    fn read(bytes: &[u8], cells: &mut Vec<Self>) {
        cells.extend(bytes.as_chunks().0.iter().map(|cell| Self::from_le_bytes(*cell)));
    }
}

impl Cell for u32 {
    const EDGE: Self = Self::FREE - 1;
    const EDGE_NUMBER: u32 = Self::EDGE;
    const FREE: Self = 1 << 31;

    #[inline(always)]
    fn of(number: u32) -> Self {
        number
    }

    fn write(cells: &[Self], bytes: &mut Vec<u8>) {
        bytes.extend(cells.iter().flat_map(|cell| cell.to_le_bytes()));
    }

    fn read(bytes: &[u8], cells: &mut Vec<Self>) {
        cells.extend(bytes.as_chunks().0.iter().map(|cell| Self::from_le_bytes(*cell)));
    }
}

/// Tokens that 16 bits hold, the edge and free cells beside them. (Tests and the fuzz target have more than those.)
pub(super) const NARROW: usize = if cfg!(any(test, fuzzing)) { 276 } else { <u16 as Cell>::EDGE as usize };

/// The most cells: what is left of a free cell holds their number.
pub(super) const MAX_CELLS: usize = i32::MAX as usize;

/// Cells that are asked for ahead.
pub(super) const AHEAD: usize = 16;

/// How far behind a place what is looked at for it mostly ends.
const BEHIND: usize = 6;

/// Words as tokens.
#[derive(Debug, Default)]
pub(super) struct Arena<C> {
    /// An edge, and the words, with an edge behind each.
    cells: Vec<C>,
    /// Where stretches of words with the same count end, and that count.
    stretches: Vec<(u32, u64)>,
}

/// The way through the stretches for places that ascend.
#[derive(Debug, Default)]
pub(super) struct Weights {
    stretch: usize,
}

impl<C: Cell> Arena<C> {
    /// The edge of a word, as a token.
    pub(super) const EDGE: u32 = C::EDGE_NUMBER;

    /// Room for words; they are put in by [`Arena::push`].
    pub(super) fn with_room(cells: usize) -> Self {
        let mut all = Vec::with_capacity(cells + 1);
        all.push(C::EDGE);
        Self { cells: all, stretches: Vec::new() }
    }

    /// Adds a word. Words of the same count are to stand beside each other, as far as may be.
    pub(super) fn push(&mut self, tokens: impl Iterator<Item = u32>, count: u64) {
        self.cells.extend(tokens.map(C::of));
        self.end_word(count);
    }

    /// Adds a word as cells.
    pub(super) fn push_cells(&mut self, word: &[C], count: u64) {
        self.cells.extend_from_slice(word);
        self.end_word(count);
    }

    fn end_word(&mut self, count: u64) {
        self.cells.push(C::EDGE);
        let end = self.cells.len() as u32;
        match self.stretches.last_mut() {
            Some(last) if last.1 == count => last.0 = end,
            _ => self.stretches.push((end, count)),
        }
    }

    /// How many cells there are.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// What stands in a cell.
    #[inline(always)]
    pub(super) fn cell(&self, at: usize) -> u32 {
        self.cells[at].into()
    }

    /// Asks for the token at `at` and for those beside it.
    #[inline(always)]
    pub(super) fn prefetch(&self, at: usize) {
        prefetch(&self.cells[at - 1]);
        if let Some(behind) = self.cells.get(at + BEHIND) {
            prefetch(behind);
        }
    }

    /// The place behind the token at `at`: that of the next one, or the edge of the word.
    #[inline(always)]
    pub(super) fn behind(&self, at: usize) -> usize {
        let next = self.cells[at + 1];
        if next.is_free() { at + next.cells() } else { at + 1 }
    }

    /// The place of the token, or the edge of the word, before `at`.
    #[inline(always)]
    pub(super) fn before(&self, at: usize) -> usize {
        let last = self.cells[at - 1];
        if last.is_free() { at - last.cells() } else { at - 1 }
    }

    /// Makes one token of those at `left` and at `right`, which stands behind it and ends before `end`.
    #[inline(always)]
    pub(super) fn join(&mut self, left: usize, right: usize, end: usize, result: u32) {
        let free = C::free(end - left);
        self.cells[left] = C::of(result);
        // No free cell may look like a token, as places of pairs that are there no more are found by looking.
        self.cells[right] = free;
        self.cells[left + 1] = free;
        self.cells[end - 1] = free;
    }

    /// The count of the word at `at`; places given to one `weights` must ascend.
    #[inline(always)]
    pub(super) fn weight(&self, at: usize, weights: &mut Weights) -> u64 {
        if self.stretches[weights.stretch].0 as usize <= at {
            let rest = &self.stretches[weights.stretch + 1..];
            weights.stretch += 1 + rest.partition_point(|stretch| stretch.0 as usize <= at);
        }
        self.stretches[weights.stretch].1
    }

    /// Takes out free cells, and words of one token, which hold no pair.
    pub(super) fn compact(&mut self) {
        let (mut to, mut at, mut word) = (1, 1, 1);
        for stretch in &mut self.stretches {
            while at < stretch.0 as usize {
                let cell = self.cells[at];
                at += 1;
                if cell.is_free() {
                    continue;
                }
                self.cells[to] = cell;
                to += 1;
                if cell == C::EDGE {
                    if to - word <= 2 {
                        to = word;
                    }
                    word = to;
                }
            }
            stretch.0 = to as u32;
        }
        self.stretches.dedup_by_key(|stretch| stretch.0);
        self.cells.truncate(to);
        self.cells.shrink_to_fit();
    }

    /// The words, without edges, and their counts. Only of an arena without free cells.
    pub(super) fn words(&self) -> impl Iterator<Item = (&[C], u64)> {
        let starts = std::iter::once(1).chain(self.stretches.iter().map(|stretch| stretch.0 as usize));
        let stretches = starts.zip(&self.stretches).filter(|(start, (end, _))| *start < *end as usize);
        // The last edge ends a word, too, and has none behind it.
        stretches.flat_map(|(start, &(end, count))| {
            self.cells[start..end as usize - 1].split(|cell| *cell == C::EDGE).map(move |word| (word, count))
        })
    }

    /// The tokens. Only of an arena without free cells.
    pub(super) fn tokens(&self) -> impl Iterator<Item = u32> {
        self.cells.iter().filter(|&&cell| cell != C::EDGE).map(|&cell| cell.into())
    }

    /// Neighbouring tokens, the count and the place of the left one, for places in `places`, which ascend. Those some
    /// places ahead are told before, edges among them, so that what is looked up for a pair can be asked for. Only of an
    /// arena without free cells.
    #[inline(always)]
    pub(super) fn pairs<S>(
        &self,
        places: Range<usize>,
        state: &mut S,
        ahead: impl Fn(&S, u32, u32),
        each: impl Fn(&mut S, u32, u32, u64, usize),
    ) {
        let mut weights = Weights::default();
        let end = places.end.min(self.cells.len().saturating_sub(1));
        let Some(&(mut left)) = self.cells.get(places.start) else { return };
        for at in places.start..end {
            if let Some(&[left, right]) = self.cells.get(at + AHEAD..at + AHEAD + 2) {
                ahead(state, left.into(), right.into());
            }
            let right = self.cells[at + 1];
            if left != C::EDGE && right != C::EDGE {
                each(state, left.into(), right.into(), self.weight(at, &mut weights), at);
            }
            left = right;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_over_free_cells() {
        neighbours::<u16>();
        neighbours::<u32>();
    }

    /// The longest token, of the highest number.
    #[test]
    fn a_narrow_cell_holds_any_token() {
        let mut arena = Arena::<u16>::with_room(0);
        arena.push((0..MAX_TOKEN_BYTES as u32).map(|at| at % 7), 1);
        let last = Arena::<u16>::EDGE - 1;
        for end in 3..=MAX_TOKEN_BYTES + 1 {
            arena.join(1, end - 1, end, last);
            assert_eq!((arena.cell(1), arena.behind(1), arena.before(end)), (last, end, 1));
        }
        assert_eq!(arena.cell(arena.behind(1)), Arena::<u16>::EDGE);
    }

    fn neighbours<C: Cell>() {
        let mut arena = Arena::<C>::with_room(0);
        arena.push([1, 2, 3, 4, 5].into_iter(), 9);
        arena.push([6].into_iter(), 9);
        arena.push([7, 8].into_iter(), 2);
        arena.join(2, 3, 4, 23);
        assert_eq!((arena.before(2), arena.behind(2), arena.before(4)), (1, 4, 2));
        arena.join(2, 4, 5, 234);
        assert_eq!((arena.before(5), arena.behind(2)), (2, 5));
        arena.join(1, 2, 5, 1234);
        assert_eq!(
            (arena.cell(1), arena.behind(1), arena.before(5), arena.cell(arena.before(1))),
            (1234, 5, 1, Arena::<C>::EDGE)
        );
        let mut weights = Weights::default();
        assert_eq!([1, 5, 9].map(|at| arena.weight(at, &mut weights)), [9, 9, 2]);
        arena.compact();
        let mut pairs = Vec::new();
        let each = |pairs: &mut Vec<_>, left, right, count, at| pairs.push((left, right, count, at));
        arena.pairs(0..arena.len(), &mut pairs, |_, _, _| {}, each);
        assert_eq!(pairs, [(1234, 5, 9, 1), (7, 8, 2, 4)]);
    }
}
