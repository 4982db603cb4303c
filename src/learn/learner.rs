//! Learning merges: from counts, from a tokenizer that is to have more tokens, or from where a run was stopped.

use std::borrow::Borrow;
use std::ops::ControlFlow;

use super::arena::{Cell, NARROW};
use super::config::LearnConfig;
use super::count_streams::CountStream;
use super::counts::Counts;
use super::filling::{Done, Totals};
use super::pair_table::{Key, parts};
use super::pairs::Pairs;
use super::rounds::{Rounds, Supply, WordRoom};
use super::rules::Rules;
use super::support::Support;
use super::tokens::Tokens;
use super::watch::{Halt, Outcome, Watch};
use crate::error::{Error, Result, TokenizerFault};
use crate::vocab::{TokenId, TokenizerSpec};

/// What was learned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Learned {
    /// The pairs to merge, by rank. Each makes the token of the next id, from 256 on, or from the end of the tokenizer
    /// that is extended; but if a token with the same bytes is there already, the pair makes that one, and no id is
    /// used.
    pub pairs: Vec<(TokenId, TokenId)>,
    /// How often each pair occurred when it was merged.
    pub counts: Vec<u64>,
    /// Whether the text held no further pair that the rules let be merged before the size asked for was reached.
    pub exhausted: bool,
    /// Whether it was stopped before it was done; [`learn_from`] goes on.
    pub interrupted: bool,
}

/// Learns merges from counts, which are freed before the first merge if they are given away and not lent. `progress` is told
/// the tokens made and the most there will be, at least every 64 tokens and several times a second, from the first counting of
/// pairs on. When it says [`ControlFlow::Break`], what is learned so far comes back as [`Learned::interrupted`].
///
/// ```
/// use std::ops::ControlFlow;
/// use ciyuan::learn::{Counts, LearnConfig, VocabSize, learn};
/// let mut counts = Counts::default();
/// counts.add(b"abab", 5)?;
/// counts.add(b"abc", 2)?;
/// let vocab_size = VocabSize::Tokens(258);
/// let config = LearnConfig { vocab_size, special: vec![], min_count: 1, ..LearnConfig::default() };
/// let learned = learn(&counts, &config, &mut |_, _| ControlFlow::Continue(()))?;
/// let (a, b) = (u32::from(b'a' - b'!'), u32::from(b'b' - b'!')); // GPT-2's ids begin at "!"
/// assert_eq!(learned.pairs, [(a, b), (256, 256)]);
/// assert_eq!(learned.counts, [12, 5]);
/// # Ok::<(), ciyuan::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Tokenizer`] when the vocabulary asked for is too small, [`Error::Setting`] when it is too large,
/// [`Error::CountOverflow`], and [`Error::Limit`] for more than 2 GiB of distinct pre-tokens.
pub fn learn(
    counts: impl Borrow<Counts>,
    config: &LearnConfig,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<Learned> {
    learn_from(counts, config, &Learned::default(), progress)
}

/// Goes on where [`learn`] was stopped, with the same counts and settings: the result is that of a run that was not.
/// The merges found so far are done word by word, on all threads. ([`learn_more`] goes on from a tokenizer that is
/// extended by the merges found.)
///
/// # Errors
///
/// As [`learn`]; [`Error::Tokenizer`] when the merges found so far do not follow from one another.
pub fn learn_from(
    counts: impl Borrow<Counts>,
    config: &LearnConfig,
    so_far: &Learned,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<Learned> {
    Start::from(config, so_far)?.run(Input::Table(counts), config, progress)
}

/// As [`learn_from`], from a stream of counts, whose words need not find room in memory: the merges are the same.
///
/// ```
/// use std::ops::ControlFlow;
/// use ciyuan::learn::{Counts, FilesInMemory, LearnConfig, Learned, SortedCounts, VocabSize, WordRoom, learn, learn_within};
/// let mut counts = Counts::default();
/// counts.add(b"abab", 5)?;
/// counts.add(b"abc", 2)?;
/// let config = LearnConfig { vocab_size: VocabSize::Tokens(259), min_count: 1, ..LearnConfig::default() };
/// let mut go_on = |_, _| ControlFlow::Continue(());
/// let room = WordRoom { memory: 100, files: &FilesInMemory::default() };
/// let learned = learn_within(&mut SortedCounts::new(&counts), room, &config, &Learned::default(), &mut go_on)?;
/// assert_eq!(learned, learn(&counts, &config, &mut go_on)?);
/// # Ok::<(), ciyuan::Error>(())
/// ```
///
/// # Errors
///
/// As [`learn_from`], and those of the stream and of the files.
pub fn learn_within(
    counts: &mut dyn CountStream,
    room: WordRoom<'_>,
    config: &LearnConfig,
    so_far: &Learned,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<Learned> {
    Start::from(config, so_far)?.run(Input::<Counts>::Stream(counts, room), config, progress)
}

/// Learns merges that extend a tokenizer: all its ids stay, and what it makes of the words is what learning begins
/// with. [`LearnConfig::vocab_size`] is the size of the whole, added and special tokens of `base` included;
/// [`LearnConfig::special`] is not looked at, as `base` has its own. Pairs are in the ids of `base`, and of new ones
/// from [`TokenizerSpec::vocab_size`] on. A pair that makes the bytes of a token of `base` makes that token.
///
/// # Errors
///
/// As [`learn`]; [`Error::Tokenizer`] for a tokenizer whose merges start from characters, or that lacks a byte.
pub fn learn_more(
    counts: impl Borrow<Counts>,
    base: &TokenizerSpec,
    config: &LearnConfig,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<Learned> {
    Start::of_base(base, config)?.run(Input::Table(counts), config, progress)
}

/// As [`learn_more`], from a stream of counts, whose words need not find room in memory: the merges are the same.
///
/// # Errors
///
/// As [`learn_more`], and those of the stream and of the files.
pub fn learn_more_within(
    counts: &mut dyn CountStream,
    room: WordRoom<'_>,
    base: &TokenizerSpec,
    config: &LearnConfig,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<Learned> {
    Start::of_base(base, config)?.run(Input::<Counts>::Stream(counts, room), config, progress)
}

/// Where the words come from.
enum Input<'i, B> {
    Table(B),
    Stream(&'i mut dyn CountStream, WordRoom<'i>),
}

/// What learning begins with.
struct Start {
    tokens: Tokens,
    /// The number of the first token that is learned.
    first: usize,
    /// Ids that the vocabulary holds beside the learned ones.
    taken: usize,
    /// Tokens to learn.
    room: usize,
    /// Merges that are done in the words.
    done: Done,
    /// Those that were learned, and their results.
    merges: Vec<(Key, u32)>,
    learned: Learned,
}

impl Start {
    fn new(tokens: Tokens, taken: usize, room: usize) -> Self {
        let (done, merges, learned) = (Done::default(), Vec::new(), Learned::default());
        Self { first: tokens.len(), tokens, taken, room, done, merges, learned }
    }

    /// Learning from bytes, behind the merges found so far.
    fn from(config: &LearnConfig, so_far: &Learned) -> Result<Self> {
        let room = config.room()?;
        let taken = 256 + config.special.len();
        let mut start = Self::new(Tokens::of_bytes(config.ties), taken, room);
        for (rank, (&pair, &count)) in so_far.pairs.iter().zip(&so_far.counts).enumerate() {
            if start.tokens.len() - start.first == room {
                break;
            }
            let fault = |why| {
                let (left, right) = (pair.0.to_string(), pair.1.to_string());
                Error::Tokenizer(TokenizerFault::Merge { rank, left, right, why })
            };
            let key = start.tokens.pair(pair).ok_or_else(|| fault("names a token that is not made yet"))?;
            let (result, _) = start.tokens.join(key);
            start.done.known.push(key, result);
            if start.done.known.len() == rank {
                return Err(fault("stands in the list twice"));
            }
            start.learned.pairs.push(pair);
            start.learned.counts.push(count);
            start.merges.push((key, result));
        }
        Ok(start)
    }

    /// Learning from where a tokenizer ends.
    fn of_base(base: &TokenizerSpec, config: &LearnConfig) -> Result<Self> {
        let room = config.room_beside(base.vocab_size())?;
        let mut start = Self::new(Tokens::of_base(base, config.ties)?, base.vocab_size() as usize, room);
        for merge in base.merges().as_slice() {
            let pair = start.tokens.pair((merge.left, merge.right));
            let result = start.tokens.number_of_id(merge.result);
            let (pair, result) = pair.zip(result).expect("merges of a tokenizer are of its tokens");
            start.done.known.push(pair, result);
        }
        start.done.whole_pieces = base.whole_pieces();
        Ok(start)
    }

    fn run<B: Borrow<Counts>>(
        mut self,
        input: Input<'_, B>,
        config: &LearnConfig,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Learned> {
        let mut watch = Watch::new(progress, self.tokens.len() - self.first, self.room);
        let learned = match self.first + self.room <= NARROW {
            true => self.learn::<u16, B>(input, config, &mut watch),
            false => self.learn::<u32, B>(input, config, &mut watch),
        };
        match learned {
            Ok(()) => {}
            Err(Halt::Stopped) => self.learned.interrupted = true,
            Err(Halt::Failed(error)) => return Err(error),
        }
        Ok(self.learned)
    }

    fn learn<C: Cell, B: Borrow<Counts>>(
        &mut self,
        input: Input<'_, B>,
        config: &LearnConfig,
        watch: &mut Watch<'_>,
    ) -> Outcome<()> {
        let (mut supply, words) = self.supply::<C, B>(input, config, watch)?;
        let mut left = words.tokens;
        let mut support = Support::new(config, self.first);
        for (rank, (pair, result)) in self.merges.drain(..).enumerate() {
            support.merged(parts(pair), result, words.made[rank], rank + 1);
        }
        self.done = Done::default();
        let rules = Rules::of(config);
        while self.tokens.len() - self.first < self.room {
            let best = supply.best(&self.tokens, watch)?;
            let Some(best) = best.filter(|best| !support.is_settled(best.count) && rules.is_worth(best.count, left))
            else {
                self.learned.exhausted = true;
                break;
            };
            self.learned.pairs.push(self.tokens.ids(best.pair));
            self.learned.counts.push(best.count);
            let made_token = self.tokens.join(best.pair);
            let made = supply.merge(&best, made_token, &self.tokens, watch)?;
            left -= u128::from(made.tokens);
            support.merged(parts(best.pair), made_token.0, made.tokens, self.learned.pairs.len());
            watch.learned(self.tokens.len() - self.first, made.places)?;
        }
        if let Some(merges) = support.chosen(self.taken) {
            self.learned.pairs.truncate(merges);
            self.learned.counts.truncate(merges);
            self.learned.exhausted = false;
        }
        Ok(())
    }

    /// What there is to merge, behind the merges that are known.
    fn supply<'i, C: Cell, B: Borrow<Counts>>(
        &self,
        input: Input<'i, B>,
        config: &LearnConfig,
        watch: &mut Watch<'_>,
    ) -> Outcome<(Supply<'i, C>, Totals)> {
        let (rules, merges) = (Rules::of(config), self.room - (self.tokens.len() - self.first));
        match input {
            Input::Table(counts) => {
                let words = self.done.words::<C>(counts.borrow(), &self.tokens, watch)?;
                drop(counts);
                let pairs = Pairs::new(words.arenas, rules, config.min_count, (0, merges), &self.tokens);
                Ok((Supply::Whole(Box::new(pairs)), words.totals))
            }
            Input::Stream(stream, room) => {
                let room = room.usable();
                let mut rounds = Rounds::new(room, rules, config.min_count, merges)?;
                let mut totals = self.done.no_words();
                let mut is_more = true;
                while is_more {
                    let mut counts = Counts::default();
                    is_more = counts.add_stream(stream, room.of_table(), watch)?;
                    let words = self.done.words::<C>(&counts, &self.tokens, watch)?;
                    drop(counts);
                    totals.add(&words.totals);
                    rounds.add(words.arenas, &self.tokens, watch)?;
                }
                Ok((Supply::Rounds(Box::new(rounds)), totals))
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{TieRule, VocabSize, naive_learn, naive_learn_more};
    use super::*;
    use crate::segment::HanEdges;
    use proptest::prelude::*;

    const GO_ON: fn(u64, u64) -> ControlFlow<()> = |_, _| ControlFlow::Continue(());

    pub(in crate::learn) fn counts<T: AsRef<[u8]>>(words: &[(T, u64)]) -> Counts {
        let mut counts = Counts::default();
        words.iter().for_each(|(word, count)| counts.add(word.as_ref(), *count).unwrap());
        counts
    }

    pub(in crate::learn) fn config(merges: u32) -> LearnConfig {
        let vocab_size = VocabSize::Tokens(256 + merges);
        LearnConfig { vocab_size, special: vec![], min_count: 1, ..LearnConfig::default() }
    }

    #[test]
    fn large_counts_do_not_wrap() {
        for large in [1u64 << 31, 1 << 32, (1 << 53) + 1] {
            let learned = learn(counts(&[("ab", large), ("cd", 10)]), &config(2), &mut { GO_ON }).unwrap();
            assert_eq!(learned.counts, [large, 10]);
        }
        let overflow = learn(counts(&[("xab", u64::MAX), ("yab", 1)]), &config(2), &mut { GO_ON });
        assert!(matches!(overflow, Err(Error::CountOverflow { left: 64, right: 65 })), "{overflow:?}");
        // All tokens of a text may be more than 64 bits count.
        let all = counts(&[("abcd", u64::MAX), ("efgh", u64::MAX - 1)]);
        let config = LearnConfig { min_saved_per_million: Some(125_000), ..config(9) };
        assert_eq!(learn(&all, &config, &mut { GO_ON }).unwrap(), naive_learn(&all, &config).unwrap());
    }

    /// A space is byte 32 and id 220 in GPT-2's order, an exclamation mark byte 33 and id 0.
    #[test]
    fn ties_by_either_order_of_bytes() {
        let all = counts(&[(" x", 3), ("!x", 3)]);
        let first = |ties| learn(&all, &LearnConfig { ties, ..config(1) }, &mut { GO_ON }).unwrap().pairs;
        assert_eq!(first(TieRule::HuggingFace), [(0, 87)]);
        assert_eq!(first(TieRule::RawBytes), [(220, 87)]);
    }

    #[test]
    fn text_that_runs_out() {
        let learned = learn(counts(&[("aaaa", 3), ("b", 9)]), &config(100), &mut { GO_ON }).unwrap();
        assert_eq!((learned.pairs.len(), learned.exhausted), (2, true));
        let rarer = LearnConfig { min_count: 4, ..config(100) };
        assert_eq!(learn(counts(&[("ab", 3), ("cd", 4)]), &rarer, &mut { GO_ON }).unwrap().counts, [4]);
    }

    #[test]
    fn too_small_a_vocabulary() {
        let small = LearnConfig { vocab_size: VocabSize::Tokens(256), ..LearnConfig::default() };
        let error = learn(Counts::default(), &small, &mut { GO_ON }).unwrap_err();
        assert!(error.to_string().contains("256 bytes and 1 special tokens need 257"), "{error}");
    }

    #[test]
    fn too_large_a_vocabulary() {
        let sized = |size| LearnConfig { vocab_size: VocabSize::Tokens(size), ..LearnConfig::default() };
        assert!(learn(Counts::default(), &sized(1 << 24), &mut { GO_ON }).unwrap().exhausted);
        let error = learn(Counts::default(), &sized((1 << 24) + 1), &mut { GO_ON }).unwrap_err();
        assert!(error.to_string().contains("at most 16777216"), "{error}");
    }

    /// Words of which a thousand merges can be learned.
    pub(in crate::learn) fn many() -> Counts {
        let words: Vec<(String, u64)> = (0..2000u64).map(|n| (format!("{n}{}", n * 7), 1 + n % 3)).collect();
        counts(&words)
    }

    /// What is learned can be loaded: a run of 5,000 spaces becomes no token that a file does not hold.
    #[test]
    fn no_token_is_longer_than_a_file_holds() {
        let mut all = Counts::default();
        all.add(" ".repeat(5000).as_bytes(), 3).unwrap();
        all.add(b"a b", 9).unwrap();
        let config = LearnConfig { vocab_size: VocabSize::Tokens(290), ..LearnConfig::default() };
        let fast = learn(&all, &config, &mut { GO_ON }).unwrap();
        assert_eq!(fast, naive_learn(&all, &config).unwrap());
        let longest = token_bytes(&fast.pairs).iter().map(Vec::len).max();
        assert_eq!(longest, Some(crate::vocab::MAX_TOKEN_BYTES));
    }

    #[test]
    fn interruption_before_the_first_merge_and_between_merges() {
        let whole = learn(many(), &config(1000), &mut { GO_ON }).unwrap();
        let mut calls = 0;
        let mut last = 0;
        let stopped = learn(many(), &config(1000), &mut |done, most| {
            assert!(most == 1000 && done >= last && done - last <= 64);
            (calls, last) = (calls + 1, done);
            if calls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let stopped = stopped.unwrap();
        assert!(stopped.interrupted && !stopped.exhausted && !stopped.pairs.is_empty());
        assert_eq!(stopped.pairs, whole.pairs[..stopped.pairs.len()]);
        assert_eq!(learn_from(many(), &config(1000), &stopped, &mut { GO_ON }).unwrap(), whole);
        // Words of more cells than are looked at between two reports.
        let long = counts(&[("ab".repeat(3 << 20), 1)]);
        let stopped = learn(&long, &config(9), &mut |_, _| ControlFlow::Break(())).unwrap();
        assert!(stopped.interrupted && stopped.pairs.is_empty());
    }

    #[test]
    fn merges_so_far_that_cannot_be() {
        let so_far = |pairs: &[(u32, u32)]| Learned {
            pairs: pairs.to_vec(),
            counts: vec![1; pairs.len()],
            ..Learned::default()
        };
        for (pairs, why) in [(&[(1, 256)][..], "not made yet"), (&[(1, 2), (1, 2)][..], "twice")] {
            let error = learn_from(many(), &config(9), &so_far(pairs), &mut { GO_ON }).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn automatic_size_keeps_tokens_that_have_examples() {
        // 400 words of three letters: the common ones have examples, the tail has none.
        let words: Vec<(String, u64)> = (0..400u64).map(|n| (format!("{n:03}x"), 4_000 / (n + 1))).collect();
        let all = counts(&words);
        let auto = LearnConfig { vocab_size: VocabSize::Auto, ..config(0) };
        let learned = learn(&all, &auto, &mut { GO_ON }).unwrap();
        assert_eq!((256 + learned.pairs.len()) % 64, 0);
        assert!(!learned.exhausted && learned.pairs.len() >= 64, "{}", learned.pairs.len());
        // The rule, recounted: encode with the same merges, and look how often each token is left.
        let mut start = Start::new(Tokens::of_bytes(TieRule::HuggingFace), 256, 0);
        for &pair in &learned.pairs {
            let pair = start.tokens.pair(pair).unwrap();
            let (result, _) = start.tokens.join(pair);
            start.done.known.push(pair, result);
        }
        let mut left = vec![0; start.tokens.len()];
        for (at, (_, count)) in (0..).zip(all.iter()) {
            let merged = start.done.merged(&all, &[(count, at)], &start.tokens, &start.tokens.numbers_of_bytes());
            merged.tokens.iter().for_each(|&token| left[token as usize] += count);
        }
        let rare = left[256..].iter().filter(|&&left| left < VocabSize::EXAMPLES).count();
        // Rounding down may have taken a supported token away, so allow what 64 tokens can hide.
        assert!(20 * rare <= learned.pairs.len() + 64, "{rare} of {}", learned.pairs.len());
        // Stopped and resumed, it comes to the same size.
        for stop in 1..5 {
            let mut calls = 0;
            let stopped = learn(&all, &auto, &mut |_, _| {
                calls += 1;
                if calls == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert_eq!(learn_from(&all, &auto, &stopped.unwrap(), &mut { GO_ON }).unwrap(), learned);
        }
    }

    pub(in crate::learn) fn base(pairs: &[(u32, u32)], words: &[&str]) -> TokenizerSpec {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        TokenizerSpec::from_words(".+".to_owned(), HanEdges::None, pairs, &words, &["<|end|>".to_owned()]).unwrap()
    }

    /// A token that the merges of the base do not reach is made by two pairs: no id is used for it.
    #[test]
    fn a_pair_that_makes_a_token_that_is_there() {
        let [a, b, c] = [64, 65, 66];
        // Ids 256 and 257 are words, 258 is special.
        let base = base(&[], &["abc", "bc"]);
        let all = counts(&[("xabc", 9), ("abc", 99), ("yabc", 5), ("ab", 20)]);
        let config = LearnConfig { vocab_size: VocabSize::Tokens(261), ..config(0) };
        let learned = learn_more(&all, &base, &config, &mut { GO_ON }).unwrap();
        // The word "abc" is a token as a whole, so "ab" is counted in the others.
        assert_eq!(learned.pairs, [(a, b), (259, c), (87, 256)]);
        assert_eq!(learned.counts, [34, 14, 9]);
        assert!(!learned.exhausted);
        assert_eq!(naive_learn_more(&all, &base, &config).unwrap(), learned);
    }

    #[test]
    fn what_cannot_be_extended() {
        let base = base(&[(64, 65)], &[]);
        let error = learn_more(many(), &base, &config(1), &mut { GO_ON }).unwrap_err();
        assert!(error.to_string().contains("257 is too small: the tokenizer to extend has 258"), "{error}");
        let file = r#"{"model":{"type":"BPE","unk_token":"<unk>","fuse_unk":true,"byte_fallback":true,
            "vocab":{"<unk>":0,"▁":1,"a":2,"b":3,"ab":4},"merges":[["a","b"]]},"normalizer":null,"pre_tokenizer":null,
            "decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"}]}}"#;
        let characters = TokenizerSpec::from_json(file.as_bytes()).unwrap();
        let error = learn_more(many(), &characters, &config(1), &mut { GO_ON }).unwrap_err();
        assert!(error.to_string().contains("start from characters"), "{error}");
    }

    /// Words of few letters and characters, with runs of one and whatever is no UTF-8.
    pub(in crate::learn) fn words() -> impl Strategy<Value = Vec<(Vec<u8>, u64)>> {
        let letters = "[abc]{1,8}|a{1,9}|[a词元é]{1,5}|(ab){1,5}|[a词カ7 ，\u{301}]{1,6}".prop_map(String::into_bytes);
        let bytes = prop::collection::vec(prop::sample::select(&[b'a', 0x80, 0x81, 0xC3, 0xE8, 0xF0, 0xFF][..]), 1..7);
        prop::collection::vec((prop_oneof![4 => letters, 1 => bytes], prop_oneof![3 => 1u64..6, 1 => 1u64..400]), 0..20)
    }

    pub(in crate::learn) fn rules() -> impl Strategy<Value = LearnConfig> {
        let limit = || prop::option::weighted(0.3, 1u32..9);
        let ties = prop::sample::select(vec![TieRule::HuggingFace, TieRule::RawBytes]);
        let saved = prop::option::weighted(0.3, 1u64..200_000);
        let boundaries = (any::<bool>(), prop::bool::weighted(0.3));
        (0u32..40, 0u64..4, ties, boundaries, limit(), limit(), saved).prop_map(
            |(merges, min_count, ties, boundaries, bytes, characters, saved)| LearnConfig {
                min_count,
                ties,
                character_boundaries: boundaries.0,
                no_script_merges: boundaries.1,
                max_token_bytes: bytes,
                max_token_characters: characters,
                min_saved_per_million: saved,
                ..config(merges)
            },
        )
    }

    pub(in crate::learn) fn token_bytes(pairs: &[(u32, u32)]) -> Vec<Vec<u8>> {
        let mut tokens: Vec<Vec<u8>> = crate::vocab::gpt2_byte_order().iter().map(|&byte| vec![byte]).collect();
        pairs.iter().for_each(|pair| tokens.push([&*tokens[pair.0 as usize], &*tokens[pair.1 as usize]].concat()));
        tokens
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn equals_recounting(words in words(), config in rules()) {
            let all = counts(&words);
            let fast = learn(&all, &config, &mut { GO_ON }).unwrap();
            prop_assert_eq!(&fast, &naive_learn(&all, &config).unwrap());
            // Merges from bytes make no token twice (see the head of the room `vocab`): each has an id of its own.
            let tokens = token_bytes(&fast.pairs);
            prop_assert_eq!(tokens.iter().collect::<std::collections::HashSet<_>>().len(), tokens.len());
            let longest = config.max_token_bytes.map_or(usize::MAX, |max| max.max(1) as usize);
            prop_assert!(tokens.iter().all(|token| token.len() <= longest));
            // And the tokenizer can be made.
            TokenizerSpec::from_learned(".".to_owned(), HanEdges::None, &fast.pairs, &[]).unwrap();
        }

        #[test]
        fn tokens_keep_to_characters(
            words in prop::collection::vec(("[a词元éß😀😁]{1,6}", 1u64..6), 0..20),
            config in rules(),
        ) {
            let config = LearnConfig { character_boundaries: true, ..config };
            let learned = learn(counts(&words), &config, &mut { GO_ON }).unwrap();
            for token in token_bytes(&learned.pairs) {
                let of_one = |c: char| c.to_string().as_bytes().windows(token.len()).any(|part| part == token);
                let is_part = token.len() == 1 || "词元éß😀😁".chars().any(of_one);
                prop_assert!(is_part || std::str::from_utf8(&token).is_ok(), "{token:?}");
            }
        }

        /// A token is of one class of characters, of any script or of none, or a part of one character.
        #[test]
        fn tokens_keep_to_scripts(
            words in prop::collection::vec(("[ab词元éカタ7８ ，。\u{301}😀]{1,6}", 1u64..6), 0..20),
            config in rules(),
        ) {
            let config = LearnConfig { no_script_merges: true, ..config };
            let learned = learn(counts(&words), &config, &mut { GO_ON }).unwrap();
            let one = regex::Regex::new(
                r"^([\p{Han}\p{Common}\p{Inherited}--\p{N}]+|[\p{Latin}\p{Common}\p{Inherited}--\p{N}]+|[カタ ，。\u{301}😀]+|[\p{N}\p{P}\p{S}\p{M}\s]+)$",
            );
            let one = one.unwrap();
            for token in token_bytes(&learned.pairs) {
                let of_one = |c: char| c.to_string().as_bytes().windows(token.len()).any(|part| part == token);
                let is_part = token.len() == 1 || "词元éカタ８，。\u{301}😀".chars().any(of_one);
                prop_assert!(is_part || std::str::from_utf8(&token).is_ok_and(|text| one.is_match(text)), "{token:?}");
            }
        }

        #[test]
        fn goes_on_at_every_cut(words in words(), config in rules()) {
            let all = counts(&words);
            let whole = learn(&all, &config, &mut { GO_ON }).unwrap();
            for cut in 0..=whole.pairs.len() {
                let (pairs, counts) = (whole.pairs[..cut].to_vec(), whole.counts[..cut].to_vec());
                let so_far = Learned { pairs, counts, exhausted: false, interrupted: true };
                prop_assert_eq!(&learn_from(&all, &config, &so_far, &mut { GO_ON }).unwrap(), &whole);
            }
        }

        /// Bases learned from other words, with merges that reach some of their tokens only.
        #[test]
        fn extending_equals_recounting(
            words in words(),
            others in words(),
            config in rules(),
            merges in 0u32..20,
            more in 0u32..20,
            whole in prop::collection::btree_set("[abc]{2,5}|[a词]{2,3}", 0..6),
        ) {
            let learned = learn(counts(&others), &self::config(merges), &mut { GO_ON }).unwrap();
            let made = token_bytes(&learned.pairs);
            let is_new = |word: &&str| made.iter().all(|token| token != word.as_bytes());
            let whole: Vec<&str> = whole.iter().map(String::as_str).filter(is_new).collect();
            let base = base(&learned.pairs, &whole);
            let all = counts(&words);
            let config = LearnConfig { vocab_size: VocabSize::Tokens(base.vocab_size() + more), ..config };
            let fast = learn_more(&all, &base, &config, &mut { GO_ON }).unwrap();
            prop_assert_eq!(fast, naive_learn_more(&all, &base, &config).unwrap());
        }
    }
}
