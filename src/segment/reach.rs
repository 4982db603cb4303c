//! How far the spans of a pattern on a regex engine are settled: which matches were found without looking to the end of
//! the text.
//!
//! An automaton that is fed a text byte by byte comes to a dead state when no byte that could follow changes what it
//! found. So a match is settled if the automaton that looks for it from where the last one ended dies before the text
//! ends, and with it the edges of the match. The first search that is still alive at the end of the text, or that the
//! automaton cannot do, is where what may change begins.
//!
//! The white-space ending `\s+(?!\S)|\s+` is the engine's own: there the automaton has found `\s+`, and died of what
//! stands behind, so that the run gives its last character back if it has more than one. It has if the one before is
//! white space too, and not of an earlier match: were the run to begin behind that one, it would not be the first match.
//!
//! A pattern that looks at what stands before a place (`^`, `\b` and the like) would cut the rest of a text by itself in
//! another way, and is not dealt with; nor is one that backtracks.

use regex_automata::Input;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;

use super::engine::{DFA_CACHE_BYTES, SIZE_LIMIT, linear_expressions};
use super::steps::is_json;

/// An automaton for a pattern.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    dfa: DFA,
}

impl Reach {
    /// The automaton of the pattern with this source, if there is one.
    pub(super) fn of(source: &str) -> Option<Self> {
        if is_json(source) {
            return None;
        }
        let expressions = linear_expressions(source)?;
        for expression in &expressions {
            if !regex_syntax::parse(expression).ok()?.properties().look_set().is_empty() {
                return None;
            }
        }
        let dfa = DFA::builder()
            .configure(DFA::config().cache_capacity(DFA_CACHE_BYTES))
            .thompson(thompson::Config::new().nfa_size_limit(Some(SIZE_LIMIT)))
            .build_many(&expressions)
            .ok()?;
        Some(Self { dfa })
    }

    /// The last edge that stays an edge, with all before it, however `text` goes on.
    pub(super) fn settled(&self, text: &str) -> usize {
        let mut cache = self.dfa.create_cache();
        let (mut at, mut edge) = (0, 0);
        while let Some((mut end, is_blank)) = self.next_match(&mut cache, text, at) {
            let last = text[..end].chars().next_back().map_or(0, char::len_utf8);
            if is_blank && text[at..end - last].ends_with(char::is_whitespace) {
                end -= last;
            }
            edge = end;
            // Behind a match of nothing, look on from the next character.
            at = if end > at { end } else { end + text[end..].chars().next().map_or(1, char::len_utf8) };
            if at > text.len() {
                break;
            }
        }
        edge
    }

    /// The end of the first match from `at` on, and whether it is one of the white-space ending, if that is settled.
    fn next_match(&self, cache: &mut Cache, text: &str, at: usize) -> Option<(usize, bool)> {
        let mut state = self.dfa.start_state_forward(cache, &Input::new(text).range(at..)).ok()?;
        let mut found = None;
        for (at, byte) in (at..).zip(text[at..].bytes()) {
            state = self.dfa.next_state(cache, state, byte).ok()?;
            if state.is_match() {
                // It is told one byte late.
                let pattern = self.dfa.match_pattern(cache, state, 0);
                found = text.is_char_boundary(at).then_some((at, pattern.as_usize() == 1));
            } else if state.is_dead() {
                return found;
            } else if state.is_quit() {
                return None;
            }
        }
        None
    }
}
