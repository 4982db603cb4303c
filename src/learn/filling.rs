//! From counts to words as tokens, in lists for the threads: as bytes, or after the merges that are known.

use std::cmp::Reverse;

use rayon::prelude::*;

use super::arena::{Arena, Cell, MAX_CELLS};
use super::counts::Counts;
use super::known::Known;
use super::pairs::part_count;
use super::tokens::Tokens;
use super::watch::{Outcome, Watch};
use crate::error::Error;

/// What is done to words before learning begins.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Merges.
    pub(super) known: Known,
    /// Whether a word that is a token is that token.
    pub(super) whole_pieces: bool,
}

/// The words as tokens.
pub(super) struct Words<C> {
    /// The words are dealt out in turn, a list for each part that a thread works on.
    pub(super) arenas: Vec<Arena<C>>,
    pub(super) totals: Totals,
}

/// What the words hold.
pub(super) struct Totals {
    /// All tokens of the text, those of words that hold no pair among them.
    pub(super) tokens: u128,
    /// How many tokens each known merge made.
    pub(super) made: Vec<u64>,
}

impl Totals {
    pub(super) fn add(&mut self, more: &Self) {
        self.tokens += more.tokens;
        self.made.iter_mut().zip(&more.made).for_each(|(made, more)| *made = made.saturating_add(*more));
    }
}

/// A word: its count, and its number in the counts.
type Numbered = (u64, u32);

/// Words that are merged by one thread between two reports.
const WORDS: usize = 1 << 12;

impl Done {
    /// What no words hold.
    pub(super) fn no_words(&self) -> Totals {
        Totals { tokens: 0, made: vec![0; self.known.len()] }
    }

    /// The words, after the merges that are known.
    pub(super) fn words<C: Cell>(&self, counts: &Counts, tokens: &Tokens, watch: &mut Watch<'_>) -> Outcome<Words<C>> {
        let numbered = (0..).zip(counts.iter()).map(|(at, (_, count))| (count, at));
        let mut order: Vec<Numbered> = numbered.filter(|(count, _)| *count > 0).collect();
        order.par_sort_unstable_by_key(|(count, _)| Reverse(*count));
        let mut words = Words { arenas: Vec::new(), totals: self.no_words() };
        let cells: usize = counts.iter().filter(|(span, _)| span.len() > 1).map(|(span, _)| span.len() + 1).sum();
        if cells >= MAX_CELLS {
            let what = "bytes of distinct pre-tokens";
            return Err(Error::Limit { what, value: cells as u64, max: MAX_CELLS as u64 }.into());
        }
        // Known merges leave fewer.
        let (parts, is_plain) = (part_count(cells), self.known.is_empty() && !self.whole_pieces);
        let room = if is_plain { cells / parts + cells / parts / 16 } else { 0 };
        words.arenas = (0..parts).map(|_| Arena::with_room(room)).collect();
        let byte = tokens.numbers_of_bytes();
        for some in order.chunks(64 * WORDS) {
            if is_plain {
                words.add_plain(counts, some, &byte);
            } else {
                let merged = some.par_chunks(WORDS).map(|some| self.merged(counts, some, tokens, &byte));
                let merged: Vec<Merged> = merged.collect();
                some.chunks(WORDS).zip(&merged).for_each(|(some, merged)| words.add(some, merged));
            }
            watch.worked(some.iter().map(|(_, at)| counts.entry(*at).0.len()).sum())?;
        }
        Ok(words)
    }

    /// Merges some words.
    pub(super) fn merged(&self, counts: &Counts, order: &[Numbered], tokens: &Tokens, byte: &[u32; 256]) -> Merged {
        let mut merged = Merged { tokens: Vec::new(), ends: Vec::new(), ranks: Vec::new() };
        let (mut word, mut ranks_of_word) = (Vec::new(), Vec::new());
        for &(count, at) in order {
            let (span, _) = counts.entry(at);
            word.clear();
            match self.whole_pieces.then(|| tokens.number(span)).flatten() {
                Some(whole) => word.push(whole),
                None => {
                    word.extend(span.iter().map(|&of| byte[usize::from(of)]));
                    self.known.apply(&mut word, &mut ranks_of_word, &mut |rank| merged.ranks.push((rank, count)));
                }
            }
            merged.tokens.extend_from_slice(&word);
            merged.ends.push(merged.tokens.len());
        }
        merged
    }
}

/// Words after merges.
pub(super) struct Merged {
    pub(super) tokens: Vec<u32>,
    /// Where each word ends.
    ends: Vec<usize>,
    /// The rank of each merge that was done, and the count of its word.
    ranks: Vec<(u32, u64)>,
}

impl<C: Cell> Words<C> {
    /// Adds words as bytes.
    fn add_plain(&mut self, counts: &Counts, order: &[Numbered], byte: &[u32; 256]) {
        let parts = self.arenas.len();
        let of_part = |(number, arena): (usize, &mut Arena<C>)| -> u128 {
            let mut tokens = 0;
            for &(count, at) in order.iter().skip(number).step_by(parts) {
                let (span, _) = counts.entry(at);
                tokens += span.len() as u128 * u128::from(count);
                if span.len() > 1 {
                    arena.push(span.iter().map(|&of| byte[usize::from(of)]), count);
                }
            }
            tokens
        };
        self.totals.tokens += self.arenas.par_iter_mut().enumerate().map(of_part).sum::<u128>();
    }

    fn add(&mut self, order: &[Numbered], merged: &Merged) {
        let (mut start, parts) = (0, self.arenas.len());
        for (number, ((count, _), &end)) in order.iter().zip(&merged.ends).enumerate() {
            let word = &merged.tokens[std::mem::replace(&mut start, end)..end];
            self.totals.tokens += word.len() as u128 * u128::from(*count);
            if word.len() > 1 {
                self.arenas[number % parts].push(word.iter().copied(), *count);
            }
        }
        for &(rank, count) in &merged.ranks {
            let made = &mut self.totals.made[rank as usize];
            *made = made.saturating_add(count);
        }
    }
}
