//! The rule of [`VocabSize::Auto`]: how many of the learned tokens have examples.

use super::config::{LearnConfig, VocabSize};

/// Keeps the books: how often each learned token occurs, as later merges use it up.
#[derive(Debug)]
pub(super) struct Support {
    active: bool,
    /// The number of the first learned token.
    first: u32,
    occurrences: Vec<u64>,
    rare: usize,
    /// The most tokens at which the rule held.
    supported: usize,
    /// Merges done when each token was made.
    merges: Vec<usize>,
}

impl Support {
    pub(super) fn new(config: &LearnConfig, first: usize) -> Self {
        let active = config.vocab_size == VocabSize::Auto;
        Self { active, first: first as u32, occurrences: Vec::new(), rare: 0, supported: 0, merges: Vec::new() }
    }

    fn holds(&self) -> bool {
        20 * self.rare <= self.occurrences.len()
    }

    /// A merge made `made` tokens of the number `result` from two others; `merges` are done with it.
    pub(super) fn merged(&mut self, (left, right): (u32, u32), result: u32, made: u64, merges: usize) {
        if !self.active {
            return;
        }
        for part in [left, right] {
            self.change(part, |before| before.saturating_sub(made));
        }
        if (result.wrapping_sub(self.first) as usize) < self.occurrences.len() {
            self.change(result, |before| before.saturating_add(made));
        } else if result >= self.first {
            self.occurrences.push(made);
            self.merges.push(merges);
            self.rare += usize::from(made < VocabSize::EXAMPLES);
        }
        if self.holds() {
            self.supported = self.occurrences.len();
        }
    }

    /// Changes how often a learned token occurs.
    fn change(&mut self, token: u32, change: impl Fn(u64) -> u64) {
        let Some(occurrences) = token.checked_sub(self.first).and_then(|at| self.occurrences.get_mut(at as usize))
        else {
            return;
        };
        let before = std::mem::replace(occurrences, change(*occurrences));
        let is_rare = |count: u64| count < VocabSize::EXAMPLES;
        self.rare += usize::from(is_rare(*occurrences));
        self.rare -= usize::from(is_rare(before));
    }

    /// Whether the rule fails from here on: with each pair rarer than the examples asked for, every further token is a
    /// rare one, so a share that is too large only grows.
    pub(super) fn is_settled(&self, count: u64) -> bool {
        self.active && count < VocabSize::EXAMPLES && !self.holds()
    }

    /// The merges that the rule chooses, for a vocabulary that holds `taken` ids beside the learned ones: all that are
    /// supported, less what rounds the vocabulary down.
    pub(super) fn chosen(&self, taken: usize) -> Option<usize> {
        let rounded = (taken + self.supported) / 64 * 64;
        let tokens = rounded.saturating_sub(taken);
        self.active.then(|| tokens.checked_sub(1).map_or(0, |last| self.merges[last]))
    }
}
