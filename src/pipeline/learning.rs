//! The stage that learns a tokenizer: its settings, and from counts to merges.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::counting::{self, CountPlan, hash_of_dictionaries};
use super::documents::{BadRecords, MaxBad};
use super::partial::Partial;
use super::progress::{Progress, Unit};
use super::settings::settings_of;
use super::split::ValFraction;
use super::to_learn::{LeftOut, ToLearn, without_rare};
use super::travelling::with_normalizer;
use crate::clean::CleanCounts;
use crate::error::{Error, Result};
use crate::learn::{
    Counts, CountsSettings, CountsTotals, Granularity, LearnConfig, Learned, VocabSize, learn, learn_more,
};
use crate::segment::{DEFAULT_PATTERN, Han, Pattern, Segmenter};
use crate::shard::Tally;
use crate::text::{ReadOptions, Source};
use crate::vocab::{Fingerprint, TokenizerSpec};

/// Settings of learning from files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearnSettings {
    /// What the tokens are.
    pub granularity: Granularity,
    /// The name of a pattern, a regular expression, or the JSON of a pre-tokenizer.
    pub pattern: String,
    /// What is done with Chinese.
    pub han: Han,
    /// User dictionaries, whose words bound merges while learning, as those of the built-in dictionary do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user_dict: Vec<PathBuf>,
    /// Distinct pre-tokens that occur less often are left out of learning, as if the text did not hold them; none without.
    /// Counts that are kept hold them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_pre_token_count: Option<u64>,
    /// So many of the last tokens are superwords, whose merges reach over the edges between words; see `superwords.rs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superwords: Option<u32>,
    /// The pattern inside whose pieces superwords are learned, and text is encoded, as `pattern`; without,
    /// [`SUPERWORD_PATTERN`](crate::segment::SUPERWORD_PATTERN).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superword_pattern: Option<String>,
    /// Of more text than so many bytes, superwords are learned from a sample of about as many: of the distinct pieces those
    /// that a hash of each decides. Without, [`SUPERWORD_SAMPLE`](super::SUPERWORD_SAMPLE).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superword_sample: Option<u64>,
    /// Size and special tokens, and rules of merging.
    #[serde(flatten)]
    pub config: LearnConfig,
    /// A tokenizer that is extended: its ids stay, and its pattern is the one set here; its special tokens are those of
    /// the whole.
    #[serde(skip)]
    pub extends: Option<TokenizerSpec>,
    /// Held-out documents, which are not learned from.
    pub val: ValFraction,
    /// What to do with records that are no documents.
    pub on_bad_record: BadRecords,
    /// How many of them there may be. It decides whether learning fails, not what is learned.
    #[serde(skip)]
    pub max_bad: Option<MaxBad>,
}

impl Default for LearnSettings {
    fn default() -> Self {
        Self {
            granularity: Granularity::default(),
            pattern: DEFAULT_PATTERN.to_owned(),
            han: Han::default(),
            user_dict: Vec::new(),
            min_pre_token_count: None,
            superwords: None,
            superword_pattern: None,
            superword_sample: None,
            config: LearnConfig::default(),
            extends: None,
            val: ValFraction::Of(0.0),
            on_bad_record: BadRecords::default(),
            max_bad: None,
        }
    }
}

impl LearnSettings {
    /// Checks the settings, so that what cannot be is an error before hours of reading.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`], [`Error::UnknownPattern`], [`Error::Pattern`], [`Error::Tokenizer`] for a vocabulary that is
    /// too small or special tokens that are not distinct, and those of reading user dictionaries.
    pub fn check(&self) -> Result<()> {
        self.val.check()?;
        let pattern = self.segmenter()?.pattern().clone();
        if pattern.drops_text() || pattern.changes_text() {
            return Err(Error::Setting {
                name: "pattern",
                value: self.pattern.clone(),
                expected:
                    "one that leaves the text as it is: tokens learned without parts of it could not give it back"
                        .to_owned(),
            });
        }
        self.check_superwords()?;
        let go_on = &mut |_, _| ControlFlow::Continue(());
        if let Some(base) = &self.extends {
            self.check_extended(base, &pattern)?;
            return learn_more(Counts::default(), base, &self.config, go_on).map(|_| ());
        }
        let (source, edges) = (pattern.source().to_owned(), self.effective_han().encoding());
        TokenizerSpec::from_learned(source, edges, &[], &self.config.special)?;
        learn(Counts::default(), &self.config, go_on).map(|_| ())
    }

    /// Whether what is learned would be merges that `base` can do.
    fn check_extended(&self, base: &TokenizerSpec, pattern: &Pattern) -> Result<()> {
        let wrong = |name, value: String, expected: &str| Error::Setting { name, value, expected: expected.to_owned() };
        if self.granularity != Granularity::Bpe {
            let value = format!("{:?}", self.granularity).to_lowercase();
            return Err(wrong("granularity", value, "`bpe`: only merges can be added to a tokenizer"));
        }
        if pattern.source() != base.pattern() {
            let expected = "that of the tokenizer which is extended: leave it out";
            return Err(wrong("pattern", self.pattern.clone(), expected));
        }
        if self.han.encoding() != base.han() {
            let expected = "what the tokenizer which is extended does when it encodes: Chinese would be cut otherwise";
            return Err(wrong("han", self.han.name().to_owned(), expected));
        }
        if !base.normalizer().is_empty() || base.prefix_space() {
            let expected = "a tokenizer that takes text as it is: merges would be learned from text that it changes";
            return Err(wrong("extend", "a tokenizer that changes text".to_owned(), expected));
        }
        Ok(())
    }

    /// What decides the counts of a text.
    ///
    /// # Errors
    ///
    /// Those of the pattern, and of reading user dictionaries.
    pub fn counts_settings(&self) -> Result<CountsSettings> {
        let edges = self.effective_han().learning();
        Ok(CountsSettings::new(self.pattern()?.source(), edges, hash_of_dictionaries(edges, &self.user_dict)?))
    }

    /// What a tokenizer says that it was learned from: only what decides its merges, so that counts which were added, or
    /// made by other threads, or read from files elsewhere, come to the same bytes.
    fn origin(&self, counts: Fingerprint) -> Result<Value> {
        let mut settings = settings_of(self);
        settings.retain(|key, _| !matches!(key.as_str(), "val" | "on-bad-record" | "user-dict"));
        let mut origin = json!({ "version": env!("CARGO_PKG_VERSION"), "settings": settings, "counts": counts });
        if !self.user_dict.is_empty() {
            origin["user-dict"] = json!(format!("{:016x}", self.counts_settings()?.dictionary));
        }
        if let Some(base) = &self.extends {
            origin["extends"] = json!(base.fingerprint());
        }
        Ok(origin)
    }

    /// The pattern, which is that of single characters where tokens are.
    fn pattern(&self) -> Result<Pattern> {
        match self.granularity {
            Granularity::Char => Ok(Pattern::characters()),
            _ => Pattern::parse(&self.pattern),
        }
    }

    /// What is done with Chinese, which the kind of token decides where it is no byte-pair merges: tokens that are words
    /// need their edges when text is encoded, too, and characters and bytes have no edges to keep.
    #[must_use]
    pub fn effective_han(&self) -> Han {
        match (self.granularity, self.han) {
            (Granularity::Bpe, han) => han,
            (Granularity::Word, Han::LearnWords) => Han::Words,
            (Granularity::Word, han) => han,
            (Granularity::Char | Granularity::Byte, _) => Han::Runs,
        }
    }

    /// The tokenizer from counts, and whether the text held fewer tokens than asked for.
    pub(super) fn learn(
        &self,
        to_learn: ToLearn,
        partial: Option<&Partial<'_>>,
        progress: &Progress<'_>,
    ) -> Result<(TokenizerSpec, bool)> {
        let pattern = self.pattern()?.source().to_owned();
        let special = &self.config.special;
        let mut report = |done: u64, _: u64| {
            progress.done(done);
            progress.flow()
        };
        match self.granularity {
            Granularity::Byte => {
                Ok((TokenizerSpec::from_learned(pattern, self.effective_han().encoding(), &[], special)?, false))
            }
            Granularity::Bpe | Granularity::Char => {
                let so_far = partial.map(|partial| partial.load(progress)).unwrap_or_default();
                let learned = self.merges(to_learn, so_far, &mut report)?;
                let learned = not_stopped(learned, partial, progress)?;
                let spec = match &self.extends {
                    Some(base) => base.extended(&learned.pairs)?,
                    None => {
                        TokenizerSpec::from_learned(pattern, self.effective_han().encoding(), &learned.pairs, special)?
                    }
                };
                Ok((spec, learned.exhausted))
            }
            Granularity::Word => {
                let learned = to_learn.learn_words(&self.config, &mut report)?;
                let (pairs, words) = (&learned.pairs, &learned.words);
                let spec = TokenizerSpec::from_words(pattern, self.effective_han().encoding(), pairs, words, special)?;
                Ok((spec, learned.exhausted))
            }
        }
    }

    /// The tokenizer that these texts teach, as [`learn_from_counts`] learns it from files that hold them.
    pub(super) fn learn_from_texts(&self, texts: &[&str], progress: &Progress<'_>) -> Result<TokenizerSpec> {
        self.check()?;
        let counts = Counts::of_texts(&self.segmenter()?, texts)?;
        let (counts, _) = without_rare(counts, self.min_pre_token_count)?;
        let to_learn = ToLearn::Table(counts);
        let Some(merges) = self.superwords else { return Ok(self.learn(to_learn, None, progress)?.0) };
        let bytes = texts.iter().map(|text| text.len() as u64).sum();
        let count_pieces = |settings: &Self| {
            let counts = Counts::of_sample(&settings.segmenter()?, texts, self.sample_of_pieces(bytes))?;
            let fingerprint = counts.totals().fingerprint;
            Ok((ToLearn::Table(counts), fingerprint))
        };
        Ok(self.learn_superwords(merges, to_learn, &count_pieces, None, progress)?.spec)
    }

    /// The merges that follow those learned before.
    fn merges(
        &self,
        to_learn: ToLearn,
        so_far: Learned,
        report: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Learned> {
        let Some(base) = &self.extends else { return to_learn.learn(&self.config, &so_far, report) };
        let mut so_far = so_far;
        let mut begun = base.extended(&so_far.pairs)?;
        if let VocabSize::Tokens(size) = self.config.vocab_size
            && let Some(end) =
                begun.merges().as_slice()[base.merges().len()..].iter().position(|merge| merge.result >= size)
        {
            // More was learned than is asked for now.
            so_far.pairs.truncate(end);
            so_far.counts.truncate(end);
            begun = base.extended(&so_far.pairs)?;
        }
        let more = to_learn.learn_more(&begun, &self.config, report)?;
        let pairs = [so_far.pairs, more.pairs].concat();
        Ok(Learned { pairs, counts: [so_far.counts, more.counts].concat(), ..more })
    }

    /// What cuts the text that is learned from.
    pub(super) fn segmenter(&self) -> Result<Segmenter> {
        let (pattern, edges) = (self.pattern()?, self.effective_han().learning());
        if self.user_dict.is_empty() {
            return Segmenter::new(pattern, edges);
        }
        let expected = match self.effective_han() {
            Han::LearnWords => None,
            Han::Words => Some(
                "used with `--han learn-words` and byte-pair merges: text would have to be encoded with the same words, and \
                 a tokenizer file does not hold them",
            ),
            Han::Runs | Han::Chars => Some("used with `--han learn-words`: Chinese is not cut into words here"),
        };
        if let Some(expected) = expected {
            let value = format!("given with `--han {}`", self.effective_han().name());
            return Err(Error::Setting { name: "user-dict", value, expected: expected.to_owned() });
        }
        #[cfg(feature = "chinese")]
        {
            let dictionary = super::files::load_dictionary(crate::segment::Fold::default(), &self.user_dict)?;
            Ok(Segmenter::with_dictionary(pattern, edges, dictionary.into()))
        }
        #[cfg(not(feature = "chinese"))]
        Err(Error::Feature { feature: "chinese", what: "cutting Chinese into words" })
    }
}

/// What was learned, if it was not stopped; else it is kept.
pub(super) fn not_stopped(learned: Learned, partial: Option<&Partial<'_>>, progress: &Progress<'_>) -> Result<Learned> {
    if !learned.interrupted {
        return Ok(learned);
    }
    if let Some(partial) = partial.filter(|_| !learned.pairs.is_empty()) {
        progress.keeps();
        partial.save(&learned)?;
        progress.note(format!("{} merges are kept: the same command goes on", learned.pairs.len()));
    }
    Err(Error::Interrupted { stage: "learning merges" })
}

/// A tokenizer, and what it was learned from.
#[derive(Debug, Clone)]
pub struct LearnedTokenizer {
    /// The tokenizer.
    pub spec: TokenizerSpec,
    /// Documents read; `left` are those that were learned from, or held out.
    pub documents: Tally,
    /// Bytes of text, likewise.
    pub bytes: Tally,
    /// What was done to texts.
    pub cleaning: CleanCounts,
    /// Number, sum and fingerprint of the distinct pre-tokens, those left out among them.
    pub counts: CountsTotals,
    /// Pre-tokens that were left out as too rare.
    pub left_out: LeftOut,
    /// Tokens that were learned, when the text held fewer than asked for.
    pub exhausted: Option<u64>,
    /// Seconds of reading and counting, and of merging.
    pub seconds: [f64; 2],
}

/// What was counted and kept.
#[derive(Debug, Clone)]
pub struct Counted {
    /// Documents read; `left` are those that were counted.
    pub documents: Tally,
    /// Bytes of text, likewise.
    pub bytes: Tally,
    /// Number, sum and fingerprint of the distinct pre-tokens.
    pub counts: CountsTotals,
    /// Seconds of it all.
    pub seconds: f64,
}

/// Counts what `plan` names and keeps the counts in the file that it names, without learning from them. Where memory is
/// bounded the bound holds from the first text to the last count: no table of all pre-tokens is made.
///
/// # Errors
///
/// Those of [`learn_from_counts`] before merges are learned; [`Error::Setting`] where the plan names no file.
pub fn count(plan: &CountPlan, settings: &LearnSettings, progress: &Progress<'_>) -> Result<Counted> {
    if plan.save.is_none() {
        let expected = "given: counting keeps the counts, and nothing else".to_owned();
        return Err(Error::Setting { name: "save-counts", value: "missing".to_owned(), expected });
    }
    settings.check()?;
    let start = Instant::now();
    let counting::Counted { totals, tally, .. } =
        plan.count(settings, (&settings.segmenter()?, None), false, progress)?;
    let (documents, bytes) = (tally.documents, tally.bytes);
    Ok(Counted { documents, bytes, counts: totals, seconds: start.elapsed().as_secs_f64() })
}

/// Learns a tokenizer from the documents of `source`.
///
/// # Errors
///
/// [`Error::NoDocuments`], those of reading, segmenting and learning, and [`Error::Interrupted`].
pub fn learn_tokenizer(
    source: &Source,
    options: &ReadOptions,
    settings: &LearnSettings,
    progress: &Progress<'_>,
) -> Result<LearnedTokenizer> {
    learn_from_counts(&CountPlan::of_texts(source, options), settings, None, progress)
}

/// Learns a tokenizer from the counts that `plan` comes to. When it is stopped while merges are learned, those that were
/// found are kept in the file `partial`, and it goes on from them when it is called again; see
/// [`partial_path`](super::partial_path). The file is not removed.
///
/// # Errors
///
/// Those of [`learn_tokenizer`]; [`Error::Counts`] for damaged files of counts, [`Error::OtherCounts`] for those that
/// were made with other settings, [`Error::Io`] when counts cannot be kept, [`Error::Setting`] for a weight of an input
/// without text.
pub fn learn_from_counts(
    plan: &CountPlan,
    settings: &LearnSettings,
    partial: Option<&Path>,
    progress: &Progress<'_>,
) -> Result<LearnedTokenizer> {
    settings.check()?;
    if settings.superwords.is_some() {
        plan.check_read_twice()?;
    }
    let segmenter = settings.segmenter()?;
    let start = Instant::now();
    let counting::Counted { to_learn, totals, left_out, tally } =
        plan.count(settings, (&segmenter, None), true, progress)?;
    let counted = start.elapsed().as_secs_f64();
    let taken =
        settings.extends.as_ref().map_or(256 + settings.config.special.len() as u64, |base| base.vocab_size().into());
    let most = match settings.config.vocab_size {
        VocabSize::Tokens(size) => u64::from(size).saturating_sub(taken),
        VocabSize::Auto => 0,
    };
    progress.stage("learning merges", most, Unit::Merges);
    let partial = partial.map(|path| Partial::new(path, settings, totals.fingerprint));
    let mut origin = settings.origin(totals.fingerprint)?;
    let (spec, exhausted) = match settings.superwords {
        None => settings.learn(to_learn, partial.as_ref(), progress)?,
        Some(merges) => {
            let sample = settings.sample_of_pieces(tally.bytes.left);
            let count_pieces = |pieces: &LearnSettings| plan.count_pieces(pieces, sample, progress);
            let stages = settings.learn_superwords(merges, to_learn, &count_pieces, partial.as_ref(), progress)?;
            origin["superword-counts"] = json!(stages.counts);
            (stages.spec, stages.exhausted)
        }
    };
    let spec = with_normalizer(spec.with_origin(origin), &plan.clean().normalize, progress);
    let before = settings.extends.as_ref().map_or(256, |base| base.vocab().len());
    let tokens = (spec.vocab().len() - before) as u64;
    progress.done(tokens);
    let seconds = [counted, start.elapsed().as_secs_f64() - counted];
    let exhausted = exhausted.then_some(tokens);
    let (documents, bytes, cleaning) = (tally.documents, tally.bytes, tally.cleaning);
    Ok(LearnedTokenizer { spec, documents, bytes, cleaning, counts: totals, left_out, exhausted, seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_teach_what_files_of_them_teach() {
        let texts = [include_str!("../../corpora/zh/bicycle-repair.txt"), "the then the there, the then 词元是词。\n"];
        let folder = tempfile::tempdir().unwrap();
        let lines: String = texts.iter().map(|text| json!({ "text": text }).to_string() + "\n").collect();
        let path = folder.path().join("texts.jsonl");
        std::fs::write(&path, lines).unwrap();
        let source = Source::find(&[path], None).unwrap();
        let progress = Progress::silent();
        let config = LearnConfig { vocab_size: VocabSize::Tokens(700), ..LearnConfig::default() };
        let plain = LearnSettings { config, ..LearnSettings::default() };
        let mut seen = Vec::new();
        for settings in [
            LearnSettings { superwords: Some(100), ..plain.clone() },
            LearnSettings { superwords: Some(100), superword_sample: Some(2_000), ..plain.clone() },
            LearnSettings { min_pre_token_count: Some(3), ..plain.clone() },
            LearnSettings { granularity: Granularity::Word, ..plain.clone() },
            plain,
        ] {
            let spec = settings.learn_from_texts(&texts, &progress).unwrap();
            let files = learn_tokenizer(&source, &ReadOptions::default(), &settings, &progress).unwrap().spec;
            assert_eq!(spec.fingerprint(), files.fingerprint());
            assert!(!seen.contains(&spec.fingerprint()), "{settings:?}");
            seen.push(spec.fingerprint());
        }
    }
}
