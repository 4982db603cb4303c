//! A part of the words and the places of pairs in it. A thread has one to itself, so that threads share nothing but
//! what is looked up.

use super::arena::{AHEAD, Arena, Cell, Weights};
use super::pair_table::{Key, parts};

/// Words, and where the pairs that are kept occur in them. (No two parts share a line of the cache.)
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Part<C> {
    pub(super) arena: Arena<C>,
    /// By the entry of a pair: where it occurs, or once did, in ascending order.
    pub(super) places: Vec<Vec<u32>>,
    left: Sides,
    right: Sides,
    joined: Joined,
}

/// A pair that was merged in the words.
#[derive(Debug, Default)]
struct Joined {
    places: Vec<Place>,
    made: Made,
}

/// Where a pair was merged, and what stands beside it.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: u32,
    before: u32,
    left: u32,
    right: u32,
}

/// What a merge did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Made {
    /// How many tokens it made.
    pub(super) tokens: u64,
    /// In how many places.
    pub(super) places: usize,
    /// How often, and in how many places, behind another place of it.
    pub(super) beside: (u64, u32),
}

impl Made {
    /// What it did in two parts.
    pub(super) fn and(self, other: Self) -> Self {
        let beside = (self.beside.0 + other.beside.0, self.beside.1 + other.beside.1);
        Self { tokens: self.tokens + other.tokens, places: self.places + other.places, beside }
    }
}

/// Neighbours on one side of the places of a merge, by token.
#[derive(Debug, Default)]
pub(super) struct Sides {
    pub(super) of: Vec<Side>,
    /// The tokens that are neighbours.
    pub(super) seen: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Side {
    pub(super) count: u64,
    pub(super) places: u32,
    /// The entry of the pair with the new token.
    pub(super) entry: u32,
}

pub(super) const NO_ENTRY: u32 = u32::MAX;
const NO_SIDE: Side = Side { count: 0, places: 0, entry: NO_ENTRY };

impl Sides {
    #[inline(always)]
    pub(super) fn add(&mut self, token: u32, count: u64, places: u32) {
        let side = &mut self.of[token as usize];
        if side.places == 0 {
            self.seen.push(token);
        }
        side.count += count;
        side.places += places;
    }

    pub(super) fn add_all(&mut self, sides: &Self) {
        for &token in &sides.seen {
            let side = sides.of[token as usize];
            self.add(token, side.count, side.places);
        }
    }

    pub(super) fn make_room(&mut self, tokens: usize) {
        self.of.resize(tokens, NO_SIDE);
    }

    pub(super) fn clear(&mut self) {
        self.seen.drain(..).for_each(|token| self.of[token as usize] = NO_SIDE);
    }

    /// To the right of a place that is beside the next one, the left token has become the new one.
    pub(super) fn renew(&mut self, left: u32, result: u32, (count, places): (u64, u32)) {
        if places > 0 {
            let side = &mut self.of[left as usize];
            (side.count, side.places) = (side.count - count, side.places - places);
            self.add(result, count, places);
        }
    }

    fn entry(&self, token: u32) -> Option<u32> {
        self.of.get(token as usize).map(|side| side.entry).filter(|&entry| entry != NO_ENTRY)
    }
}

impl<C: Cell> Part<C> {
    pub(super) fn new(arena: Arena<C>) -> Self {
        Self { arena, places: Vec::new(), left: Sides::default(), right: Sides::default(), joined: Joined::default() }
    }

    /// Merges a pair in the words, and notes what stands beside it; there are so many tokens.
    pub(super) fn join(&mut self, pair: Key, entry: u32, result: u32, tokens: usize) -> Made {
        [&mut self.left, &mut self.right].into_iter().for_each(|sides| sides.make_room(tokens));
        let (a, b) = parts(pair);
        let places = self.places.get_mut(entry as usize).map(std::mem::take).unwrap_or_default();
        let mut weights = Weights::default();
        let (joined, made) = (&mut self.joined.places, &mut self.joined.made);
        places.iter().take(AHEAD).for_each(|&ahead| self.arena.prefetch(ahead as usize));
        for (number, &place) in places.iter().enumerate() {
            if let Some(&ahead) = places.get(number + AHEAD) {
                self.arena.prefetch(ahead as usize);
            }
            let left = place as usize;
            if self.arena.cell(left) != a {
                continue;
            }
            let right = self.arena.behind(left);
            if self.arena.cell(right) != b {
                continue;
            }
            let (end, weight) = (self.arena.behind(right), self.arena.weight(left, &mut weights));
            let before = self.arena.before(left);
            let (x, y) = (self.arena.cell(before), self.arena.cell(end));
            if x == result {
                made.beside = (made.beside.0 + weight, made.beside.1 + 1);
                // What stood to the right of the place before has become the new token.
                if let Some(last) = joined.last_mut() {
                    last.right = result;
                }
            } else if x != Arena::<C>::EDGE {
                self.left.add(x, weight, 1);
            }
            if y != Arena::<C>::EDGE {
                self.right.add(y, weight, 1);
            }
            self.arena.join(left, right, end, result);
            made.tokens += weight;
            joined.push(Place { at: place, before: before as u32, left: x, right: y });
        }
        made.places = joined.len();
        *made
    }

    /// Adds up what stands beside the places of the last merge.
    pub(super) fn add_sides(&self, left: &mut Sides, right: &mut Sides) {
        left.add_all(&self.left);
        right.add_all(&self.right);
    }

    /// Notes the places of the pairs of the new token that are kept, whose entries, `entries` in all, stand in `left` and
    /// `right`.
    pub(super) fn place(&mut self, a: u32, result: u32, entries: usize, left: &Sides, right: &Sides) {
        self.places.resize_with(entries, Vec::new);
        self.right.renew(a, result, self.joined.made.beside);
        for (own, all) in [(&self.left, left), (&self.right, right)] {
            for &token in &own.seen {
                if let Some(entry) = all.entry(token) {
                    self.places[entry as usize].reserve_exact(own.of[token as usize].places as usize);
                }
            }
        }
        for place in &self.joined.places {
            if let Some(entry) = left.entry(place.left) {
                self.places[entry as usize].push(place.before);
            }
            if let Some(entry) = right.entry(place.right) {
                self.places[entry as usize].push(place.at);
            }
        }
    }

    /// Forgets the last merge.
    pub(super) fn clear(&mut self) {
        self.left.clear();
        self.right.clear();
        self.joined.places.clear();
        self.joined.made = Made::default();
    }
}
