//! The whole way: learn, encode, train, evaluate, report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::counting::CountPlan;
use super::documents::ReadTally;
use super::encoding::{EncodeSettings, EncodedFolder, all_settings, checksum, encode, inputs};
use super::evaluating::{evaluate_folder, show};
use super::files::{
    MODEL_FOLDER, REPORT_FILE, REPORT_PAGE, TIKTOKEN_FILE, TOKENIZER_FILE, check_output, load_tokenizer, save_model,
    save_tokenizer,
};
use super::learning::{LearnSettings, learn_from_counts};
use super::progress::Progress;
use super::settings::settings_of;
use super::to_learn::LEARN_MEMORY;
use super::training::{ModelSettings, Trained, train};
use super::units::Plan;
use crate::encode::Tokenizer;
use crate::error::{Error, Result};
use crate::evaluate::{CorpusReport, FileReport, InputReport, Language, ModelReport, Report, TokenizerReport, to_html};
use crate::segment::Han;
use crate::shard::{InputEntry, Manifest, Split, write_atomic};
use crate::text::{ReadOptions, Source};

/// All settings of the whole way. The share that is held out, and what is done with bad records, are those of `encode`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PrepareSettings {
    /// Reading.
    pub read: ReadOptions,
    /// Learning.
    pub learn: LearnSettings,
    /// Encoding.
    pub encode: EncodeSettings,
    /// The model.
    pub model: ModelSettings,
}

/// Does it all, in `output`, which must be locked by the caller. Stages that an earlier run with the same inputs and
/// settings has finished are taken over.
///
/// # Errors
///
/// [`Error::OtherSettings`] when the folder was begun otherwise, and those of the stages.
pub fn prepare(source: &Source, settings: &PrepareSettings, output: &Path, progress: &Progress<'_>) -> Result<Report> {
    if source.files.iter().any(|file| file.path.as_os_str() == "-") {
        let expected = "files: text is read twice, to learn and to encode".to_owned();
        return Err(Error::Setting { name: "INPUT", value: "-".to_owned(), expected });
    }
    check_output(output, source)?;
    // Before anything is written: settings that cannot be would be kept as those of the folder.
    settings.learn.check()?;
    settings.encode.val.check()?;
    settings.model.gpt(1 << 16).check()?;
    settings.model.training.check()?;
    let mut all = all_settings(&settings.read, &settings.encode);
    all.extend(
        settings_of(&settings.learn).into_iter().filter(|(key, _)| !matches!(key.as_str(), "val" | "on-bad-record")),
    );
    all.extend(settings_of(&settings.model));
    if !settings.learn.user_dict.is_empty() {
        // What is in the files counts, as with the inputs.
        let checksums = checksums(&settings.learn.user_dict, progress)?;
        all.insert("user-dict".to_owned(), serde_json::json!(checksums));
    }
    let plan = Plan { settings: all, inputs: inputs(source, progress)?, tokenizer: None };
    plan.keep(output, &output.join(".prepare.json"), output.join(TOKENIZER_FILE).exists())?;
    if let Some(report) = load_report(output)? {
        progress.note(format!("`{}` is complete already", output.display()));
        return Ok(report);
    }
    let mut seconds = BTreeMap::new();
    let tokenizer = tokenizer(source, settings, output, progress, &mut seconds)?;
    let EncodedFolder { manifest, seconds: parts } =
        encode(&tokenizer, source, &settings.read, &settings.encode, output, progress)?;
    for (stage, part) in [("read", parts.read), ("encode", parts.encode), ("write", parts.write)] {
        seconds.insert(stage.to_owned(), part);
    }
    let trained = train(output, &settings.model, progress)?;
    seconds.insert("train".to_owned(), trained.seconds);
    save_model(&trained.gpt, trained.end_of_text, trained.tokenizer, &output.join(MODEL_FOLDER))?;
    let held_out = timed("evaluate", &mut seconds, || evaluate_folder(output, &tokenizer, &trained.gpt, progress))?;
    let (samples, pages) =
        timed("sample", &mut seconds, || show(output, &tokenizer, &trained.gpt, settings.model.seed))?;
    let (languages, all) = held_out.map_or((Vec::new(), None), |held_out| (held_out.languages, Some(held_out.all)));
    let report = Report {
        ciyuan: env!("CARGO_PKG_VERSION").to_owned(),
        settings: plan.settings,
        input: input_report(source, &manifest),
        tokenizer: tokenizer_report(&tokenizer, settings.learn.effective_han()),
        train: corpus_report(&manifest, Split::Train),
        val: corpus_report(&manifest, Split::Val),
        model: model_report(trained, settings),
        languages,
        all,
        samples,
        pages,
        seconds,
    };
    write_atomic(&output.join(REPORT_PAGE), to_html(&report).as_bytes())?;
    let mut json =
        serde_json::to_string_pretty(&report).expect("strings, numbers and maps with string keys always serialize");
    json.push('\n');
    write_atomic(&output.join(REPORT_FILE), json.as_bytes())?;
    Ok(report)
}

/// Names of files with their checksums, in order.
fn checksums(files: &[PathBuf], progress: &Progress<'_>) -> Result<Vec<(String, String)>> {
    files.iter().map(|file| Ok((file.display().to_string(), checksum(file, progress)?))).collect()
}

/// The report of a folder that is complete.
fn load_report(output: &Path) -> Result<Option<Report>> {
    let path = output.join(REPORT_FILE);
    match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| {
            let fault = crate::error::ManifestFault::Json { reason: error.to_string() };
            Error::Manifest { path, fault }
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

fn timed<T>(stage: &str, seconds: &mut BTreeMap<String, f64>, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let done = work()?;
    seconds.insert(stage.to_owned(), start.elapsed().as_secs_f64());
    Ok(done)
}

/// The tokenizer that an earlier run has learned, or a new one.
fn tokenizer(
    source: &Source,
    settings: &PrepareSettings,
    output: &Path,
    progress: &Progress<'_>,
    seconds: &mut BTreeMap<String, f64>,
) -> Result<Tokenizer> {
    let path = output.join(TOKENIZER_FILE);
    if path.exists() {
        progress.note(format!("taking the tokenizer over from `{}`", path.display()));
        return load_tokenizer(&path, None, &[]);
    }
    let learn = LearnSettings {
        val: settings.encode.val,
        on_bad_record: settings.encode.on_bad_record,
        max_bad: settings.encode.max_bad,
        ..settings.learn.clone()
    };
    let memory = Some(settings.read.memory.unwrap_or(LEARN_MEMORY));
    let plan = CountPlan { scratch: output.to_owned(), memory, ..CountPlan::of_texts(source, &settings.read) };
    let learned = learn_from_counts(&plan, &learn, None, progress)?;
    seconds.insert("count".to_owned(), learned.seconds[0]);
    seconds.insert("merge".to_owned(), learned.seconds[1]);
    if let Some(tokens) = learned.exhausted {
        progress.note(format!(
            "the text held {tokens} tokens beside the bytes, fewer than asked for: the vocabulary is {}",
            learned.spec.vocab_size()
        ));
    }
    match learned.spec.to_tiktoken() {
        Ok(file) => write_atomic(&output.join(TIKTOKEN_FILE), file.as_bytes())?,
        Err(error) => progress.note(format!("no {TIKTOKEN_FILE}: {error}")),
    }
    save_tokenizer(&learned.spec, &path)?;
    Tokenizer::new(learned.spec)
}

fn input_report(source: &Source, manifest: &Manifest) -> InputReport {
    let ReadTally { documents, bytes, repaired_bytes, byte_order_marks, cleaning } = ReadTally::of(manifest);
    InputReport {
        files: source.files.len() as u64,
        skipped: source.skipped.iter().map(|path| path.display().to_string()).collect(),
        documents,
        bytes,
        repaired_bytes,
        byte_order_marks,
        each: manifest.inputs.iter().map(file_report).collect(),
        cleaning,
    }
}

fn file_report(input: &InputEntry) -> FileReport {
    let (documents, bytes) = (input.documents.unwrap_or_default(), input.text_bytes.unwrap_or_default());
    FileReport { path: input.path.clone(), documents, bytes }
}

/// How many of the longest tokens are shown of each script.
const SHOWN: usize = 12;

fn tokenizer_report(tokenizer: &Tokenizer, han: Han) -> TokenizerReport {
    let spec = tokenizer.spec();
    let mut lengths = BTreeMap::new();
    let (mut chinese, mut other) = (Vec::new(), Vec::new());
    for (_, bytes) in spec.vocab().iter() {
        *lengths.entry(bytes.len() as u32).or_default() += 1;
        if let Ok(text) = std::str::from_utf8(bytes) {
            if Language::of(text) == Language::Zh { chinese.push(text) } else { other.push(text) }
        }
    }
    let longest = |tokens: &mut Vec<&str>| {
        tokens.sort_by_key(|token| (std::cmp::Reverse(token.len()), *token));
        tokens.iter().take(SHOWN).map(|token| (*token).to_owned()).collect::<Vec<_>>()
    };
    let pattern = tokenizer.segmenter().pattern();
    TokenizerReport {
        fingerprint: tokenizer.fingerprint(),
        pattern: pattern.name().unwrap_or(pattern.source()).to_owned(),
        han: han.name().to_owned(),
        vocab_size: spec.vocab_size(),
        merges: spec.merges().len() as u64,
        lengths,
        longest: [longest(&mut chinese), longest(&mut other)].concat(),
    }
}

fn corpus_report(manifest: &Manifest, split: Split) -> CorpusReport {
    let mut report = CorpusReport::default();
    for shard in manifest.shards.iter().filter(|shard| shard.split == split) {
        report.shards += 1;
        report.documents += shard.documents;
        report.tokens += shard.tokens;
        report.bytes += shard.bytes;
    }
    report
}

fn model_report(trained: Trained, settings: &PrepareSettings) -> ModelReport {
    let gpt = *trained.gpt.config();
    let training = settings.model.training;
    let tokens = trained.steps.len() as u64 * (training.windows() * gpt.context) as u64;
    ModelReport { gpt, parameters: gpt.parameters(), training, tokens, steps: trained.steps }
}
