//! Superwords: the last merges of a vocabulary reach over the edges between words.
//!
//! Source: Liu, Hayase, Hofmann, Oh, Smith and Choi 2025, *SuperBPE: Space Travel for Language Models*. They learn most of
//! a vocabulary inside the pre-tokens of the usual pattern, and the rest without it, from where the first stage leaves the
//! text; 200,000 tokens so made take up to a third fewer of them for the same text.
//!
//! Here the second stage has a coarser pattern instead of none. Its pieces are counted as pre-tokens are, the merges of the
//! first stage are done in them, and learning goes on from there ([`learn_more`]), so both stages have the same learner,
//! and the same oracle. The text is read twice.
//!
//! # Encoding
//!
//! The tokenizer holds the coarse pattern and one list of merges: encoding is one BPE over the coarse pieces, which
//! `encode/two_stages.rs` does faster. The fine pattern acts by the merges alone, as word edges do in `learn-words`: where a
//! merge of the first stage fits over an edge of the fine pattern it is done there too, while learning and while encoding.
//! A token of the first stage that lies over an edge of the coarse pattern (as `。我` by the pattern cl100k) is never made
//! any more; the audit counts such tokens.
//!
//! # Memory
//!
//! Sentences hardly repeat, so the distinct pieces are about as many bytes as the text, and learning takes four bytes on top
//! for each of these. So of much text a sample is learned from, [`SUPERWORD_SAMPLE`] without a setting: all of a distinct
//! piece or nothing, as its hash decides, which depends neither on documents nor on threads. Superwords are what is most
//! frequent, which a sample shows. A piece of [`SUPERWORD_PATTERN`] has 528 characters at the most, so that no line is a
//! piece however long it is, and counting keeps to its bound.

use super::counting::{CountInput, CountPlan, Counted};
use super::learning::{LearnSettings, not_stopped};
use super::partial::Partial;
use super::progress::{Progress, Unit};
use super::to_learn::ToLearn;
use crate::error::{Error, Result};
use crate::learn::{Granularity, LearnConfig, Learned, SpanSample, VocabSize};
use crate::segment::{Han, HanEdges, Pattern, SUPERWORD_PATTERN};
use crate::vocab::{Fingerprint, TokenizerSpec};

/// Bytes of text that superwords are learned from, if there is more.
pub const SUPERWORD_SAMPLE: u64 = 128 << 20;

/// What was learned in two stages.
pub(super) struct TwoStages {
    pub(super) spec: TokenizerSpec,
    pub(super) exhausted: bool,
    /// Of the coarse pieces.
    pub(super) counts: Fingerprint,
}

impl LearnSettings {
    /// The pattern of the second stage.
    fn coarse(&self) -> Result<Pattern> {
        Pattern::parse(self.superword_pattern.as_deref().unwrap_or(SUPERWORD_PATTERN))
    }

    /// What of the settings of superwords can be checked before text is read.
    pub(super) fn check_superwords(&self) -> Result<()> {
        let wrong = |name, value: String, expected: &str| Error::Setting { name, value, expected: expected.to_owned() };
        let Some(merges) = self.superwords else {
            let given = "given with `--superwords`";
            return match (&self.superword_pattern, self.superword_sample) {
                (Some(pattern), _) => Err(wrong("superword-pattern", pattern.clone(), given)),
                (None, Some(bytes)) => Err(wrong("superword-sample", bytes.to_string(), given)),
                (None, None) => Ok(()),
            };
        };
        if self.granularity != Granularity::Bpe || self.extends.is_some() || self.han.encoding() != HanEdges::None {
            let expected = "used for byte-pair merges from bytes, with `--han learn-words` or `--han runs`";
            return Err(wrong("superwords", merges.to_string(), expected));
        }
        if self.superword_sample == Some(0) {
            return Err(wrong("superword-sample", "0".to_owned(), "1 or more"));
        }
        let coarse = self.coarse()?;
        if coarse.drops_text() || coarse.changes_text() {
            let value = coarse.source().to_owned();
            return Err(wrong("superword-pattern", value, "one that leaves the text as it is"));
        }
        let room = match self.config.vocab_size {
            VocabSize::Tokens(size) => size.saturating_sub(256 + self.config.special.len() as u32),
            VocabSize::Auto => {
                let expected = "a number, for `--superwords`: the last of so many tokens are superwords";
                return Err(wrong("vocab-size", "auto".to_owned(), expected));
            }
        };
        if merges == 0 || merges > room {
            let expected = "from 1 to the tokens that the vocabulary holds beside the bytes and the special tokens";
            return Err(wrong("superwords", merges.to_string(), expected));
        }
        Ok(())
    }

    /// Which pieces of so many bytes of text superwords are learned from, if not from all.
    pub(super) fn sample_of_pieces(&self, bytes: u64) -> Option<SpanSample> {
        SpanSample::of(self.superword_sample.unwrap_or(SUPERWORD_SAMPLE), bytes)
    }

    /// The settings by which the coarse pieces are counted.
    fn of_second_stage(&self, coarse: &Pattern) -> Self {
        Self {
            pattern: coarse.source().to_owned(),
            han: Han::Runs,
            user_dict: Vec::new(),
            // Hardly a piece occurs twice.
            min_pre_token_count: None,
            superwords: None,
            superword_pattern: None,
            superword_sample: None,
            ..self.clone()
        }
    }

    /// Learns `merges` superwords at the end of the vocabulary, whose other merges come of `counts`. `count_pieces` counts
    /// the text again, with the settings of the second stage.
    pub(super) fn learn_superwords(
        &self,
        merges: u32,
        to_learn: ToLearn,
        count_pieces: &dyn Fn(&Self) -> Result<(ToLearn, Fingerprint)>,
        partial: Option<&Partial<'_>>,
        progress: &Progress<'_>,
    ) -> Result<TwoStages> {
        let mut report = |done: u64, _: u64| {
            progress.done(done);
            progress.flow()
        };
        let all = match self.config.vocab_size {
            VocabSize::Tokens(size) => size.saturating_sub(self.config.special.len() as u32),
            VocabSize::Auto => VocabSize::AUTO_MAX,
        };
        // Special tokens get their ids at the end.
        let sized = |size| LearnConfig { vocab_size: VocabSize::Tokens(size), special: vec![], ..self.config.clone() };
        let so_far = partial.map(|partial| partial.load(progress)).unwrap_or_default();
        let words = to_learn.learn(&sized(all.saturating_sub(merges)), &so_far, &mut report)?;
        let words = not_stopped(words, partial, progress)?;
        let coarse = self.coarse()?;
        let base = TokenizerSpec::from_learned(coarse.source().to_owned(), HanEdges::None, &words.pairs, &[])?;
        let (pieces, fingerprint) = count_pieces(&self.of_second_stage(&coarse))?;
        progress.stage("learning superwords", u64::from(merges), Unit::Merges);
        let size = all.min(base.vocab_size().saturating_add(merges));
        let more = pieces.learn_more(&base, &sized(size), &mut report)?;
        if more.interrupted {
            // What is kept is the first stage: of the second the counts would have to be the same.
            not_stopped(Learned { interrupted: true, ..words }, partial, progress)?;
            return Err(Error::Interrupted { stage: "learning superwords" });
        }
        let pairs = [words.pairs, more.pairs].concat();
        let pattern = coarse.source().to_owned();
        let spec = TokenizerSpec::from_learned(pattern, HanEdges::None, &pairs, &self.config.special)?;
        Ok(TwoStages { spec, exhausted: more.exhausted, counts: fingerprint })
    }
}

impl CountPlan {
    /// Counts the text again, for the second stage: a sample of its pieces or all, of which none is to be left out.
    pub(super) fn count_pieces(
        &self,
        settings: &LearnSettings,
        sample: Option<SpanSample>,
        progress: &Progress<'_>,
    ) -> Result<(ToLearn, Fingerprint)> {
        let plan = Self { save: None, ..self.clone() };
        let Counted { to_learn, totals, .. } =
            plan.count(settings, (&settings.segmenter()?, sample), true, progress)?;
        Ok((to_learn, totals.fingerprint))
    }

    /// Fails where text cannot be read a second time.
    pub(super) fn check_read_twice(&self) -> Result<()> {
        let value = match &self.input {
            CountInput::Saved(..) => "learned from counts that were saved",
            CountInput::Texts(sources, _) => {
                let mut files = sources.iter().flat_map(|source| &source.files);
                match files.any(|file| file.path.as_os_str() == "-") {
                    true => "learned from standard input",
                    false => return Ok(()),
                }
            }
        };
        let expected =
            "learned from files of text, which are read twice: counts hold words, without what stands beside \
                        each, and what streams is gone when superwords are counted"
                .to_owned();
        Err(Error::Setting { name: "superwords", value: value.to_owned(), expected })
    }
}
