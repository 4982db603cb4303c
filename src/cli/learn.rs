//! `ciyuan learn`.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use ciyuan::clean::CleanCounts;
use ciyuan::encode::Tokenizer;
use ciyuan::evaluate::VocabularyAudit;
use ciyuan::learn::VocabSize;
use ciyuan::pipeline::{
    CountInput, CountPlan, Counted, FolderLock, LEARN_MEMORY, LearnEstimate, LearnSettings, LearnedTokenizer, LeftOut,
    ValFraction, check_output, check_output_file, count, learn_from_counts, load_tokenizer, partial_path,
    plan_counting, save_tokenizer,
};
use ciyuan::shard::{Tally, write_atomic};
use ciyuan::vocab::{Fingerprint, TokenizerSpec};
use serde::Serialize;

use super::args::{LearnArgs, ReadArgs, RejectArgs, bytes};
use super::audit::{audit_of, audit_table};
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::plan::show_plan;
use super::weights::{Weight, weight, weights_of};

/// Learn a tokenizer from text, or from counts that were saved
///
/// Text is counted into distinct pre-tokens, and the counts are learned from. `--save-counts` keeps them: a tokenizer of
/// another size, or of more text, is then learned without reading the text again. Counts of the parts of a corpus, added
/// in any order, give the tokenizer of the whole, byte for byte. Without `--output` text is only counted. When it is stopped (Ctrl-C) while merges are learned, those
/// that were found are kept beside the output, and the same command goes on from them.
#[derive(clap::Args)]
#[command(after_help = "Example: ciyuan learn corpora/zh corpora/en -o tokenizer.json --vocab-size 4096
         ciyuan learn corpora/zh -o zh.json --save-counts zh.ciyuan-counts
         ciyuan learn corpora/en --save-counts en.ciyuan-counts
         ciyuan learn --counts zh.ciyuan-counts en.ciyuan-counts -o tokenizer.json
         ciyuan learn /data/corpora --plan counts && ciyuan run counts && ciyuan merge counts
         ciyuan learn zh en --weight zh=0.6 --weight en=0.4 -o tokenizer.json
         ciyuan learn zh --extend english.json --vocab-size 64000 -o both.json")]
pub(super) struct Args {
    /// Files, folders, globs, or `-` for standard input
    #[arg(required_unless_present = "counts", value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Output file: tokenizer.json, or in tiktoken's form with the extension .tiktoken
    #[arg(long, short, value_name = "FILE", required_unless_present_any = ["dry_run", "save_counts", "plan"])]
    output: Option<PathBuf>,
    /// Texts to encode at the end, for the bytes a token of text that was not learned from, by language: files, folders,
    /// globs. No file of them may be an input
    #[arg(long, value_name = "INPUT", num_args = 1.., requires = "output")]
    held_out: Vec<PathBuf>,
    #[command(flatten)]
    counting: Counting,
    #[command(flatten)]
    learn: LearnArgs,
    #[command(flatten)]
    vocabulary: VocabularyArgs,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    rejects: RejectArgs,
}

/// How counts are come by, and kept.
#[derive(clap::Args)]
struct Counting {
    /// Learn from counts that --save-counts has kept, several of them added, and not from text
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["inputs", "dry_run"], help_heading = "Counting")]
    counts: Vec<PathBuf>,
    /// Keep the counts that are learned from in a file, for --counts; without --output, only count
    #[arg(long, value_name = "FILE", help_heading = "Counting")]
    save_counts: Option<PathBuf>,
    /// Share of an input (or of a file of counts) in the bytes that are learned from; one for each, in any unit. Its
    /// counts are scaled in whole numbers, and what rounding leaves goes to the next pre-token in the order of bytes
    #[arg(long, value_name = "PATH=SHARE", value_parser = weight, help_heading = "Counting")]
    weight: Vec<Weight>,
    /// Plan the counting by many processes, as `plan` does the encoding: `ciyuan run DIR` counts units, `ciyuan merge DIR`
    /// adds them, and --counts learns from DIR/corpus.ciyuan-counts, which is what one process counts, byte for byte
    #[arg(long, value_name = "DIR", help_heading = "Counting",
        conflicts_with_all = ["output", "held_out", "counts", "save_counts", "weight", "dry_run", "extend", "require", "pad_to_multiple_of"])]
    plan: Option<PathBuf>,
    /// Bytes of input that are counted as a unit of the plan
    #[arg(long, default_value = "256MiB", value_parser = bytes, value_name = "BYTES", requires = "plan", help_heading = "Counting")]
    unit_size: u64,
    /// Where counting was planned before, and inputs are others than they were, do again what is done of them; else that
    /// is an error
    #[arg(long, requires = "plan", help_heading = "Counting")]
    redo_changed: bool,
    /// Show what would be done, with an estimate of memory and time from a sample, and end
    #[arg(long, help_heading = "Counting")]
    dry_run: bool,
}

/// What the vocabulary holds beside what is learned.
#[derive(clap::Args)]
struct VocabularyArgs {
    /// Learn further merges for this tokenizer.json: its ids and its pattern stay, and --vocab-size is the size of the whole
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pattern", "special", "granularity", "dry_run"], help_heading = "Learning")]
    extend: Option<PathBuf>,
    /// Text that must be one token, an added one behind those that are learned; may be given several times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = "Learning")]
    require: Vec<String>,
    /// Add special tokens `<|reserved_0|>`, `<|reserved_1|>` and so on until the vocabulary is a multiple of N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536), help_heading = "Learning")]
    pad_to_multiple_of: Option<u32>,
}

impl VocabularyArgs {
    /// Settings for the tokenizer that is extended, if one is.
    fn settings(&self, mut settings: LearnSettings) -> Outcome<LearnSettings> {
        if let Some(path) = &self.extend {
            let base = load_tokenizer(path, None, &[])?.spec().clone();
            settings.pattern = base.pattern().to_owned();
            settings.config.special = base.special().iter().map(|(_, name)| name.to_owned()).collect();
            settings.extends = Some(base);
        }
        Ok(settings)
    }

    /// The tokenizer with the tokens that are wanted beside those learned.
    fn complete(&self, spec: TokenizerSpec) -> ciyuan::Result<TokenizerSpec> {
        let spec = if self.require.is_empty() { spec } else { spec.with_required(&self.require)? };
        self.pad_to_multiple_of.map_or(Ok(spec.clone()), |multiple| spec.padded(multiple))
    }
}

#[derive(Serialize)]
struct Learned {
    documents: Tally,
    bytes: Tally,
    /// What was done to texts.
    #[serde(skip_serializing_if = "CleanCounts::is_empty")]
    cleaning: CleanCounts,
    distinct_pre_tokens: u64,
    /// Of them, those that were too rare.
    left_out: LeftOut,
    /// Of the pre-tokens and their counts.
    counts_fingerprint: Fingerprint,
    vocab_size: u32,
    merges: usize,
    /// Merges asked for beyond those that the text held.
    exhausted: bool,
    fingerprint: Fingerprint,
    output: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<PathBuf>,
    /// What the vocabulary is made of.
    audit: VocabularyAudit,
    /// Of this program.
    version: &'static str,
    seconds: BTreeMap<&'static str, f64>,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let settings = args.learn.settings(ValFraction::Of(0.0), &args.rejects);
    let settings = args.vocabulary.settings(settings)?;
    if args.counting.dry_run {
        return dry_run(args, &settings, context);
    }
    if let Some(folder) = &args.counting.plan {
        return plan_counts(args, folder, &settings, context);
    }
    let Some(output) = &args.output else {
        return only_count(args, &settings, context);
    };
    let plan = plan(args, output, context)?;
    check_held_out(args, &plan, context)?;
    check_output_file(output)?;
    plan.save.as_deref().map_or(Ok(()), check_output_file)?;
    let partial = partial_path(output);
    let learned = context.with_progress(|progress| {
        let mut learned = learn_from_counts(&plan, &settings, Some(&partial), progress)?;
        learned.spec = args.vocabulary.complete(learned.spec)?;
        save(&learned.spec, output, context)?;
        // What a run that was stopped had kept is in the output now; that there is nothing is the rule.
        let _ = std::fs::remove_file(&partial);
        Ok(learned)
    })?;
    let LearnedTokenizer { spec, documents, bytes, cleaning, counts, left_out, exhausted, seconds } = learned;
    let learned = Learned {
        documents,
        bytes,
        cleaning,
        distinct_pre_tokens: counts.distinct,
        left_out,
        counts_fingerprint: counts.fingerprint,
        vocab_size: spec.vocab_size(),
        merges: spec.merges().len(),
        exhausted: exhausted.is_some(),
        fingerprint: spec.fingerprint(),
        output: output.clone(),
        counts: plan.save,
        audit: audit_of(&Tokenizer::new(spec)?, &args.held_out, &args.read, context)?,
        version: env!("CARGO_PKG_VERSION"),
        seconds: BTreeMap::from([("count", seconds[0]), ("merge", seconds[1])]),
    };
    context.show(&learned, || text(&learned))
}

/// Writes what was learned in the form that the file's name asks for. What tiktoken's cannot express is not lost: it is kept as
/// a tokenizer.json beside the file that was wanted.
fn save(spec: &TokenizerSpec, output: &Path, context: &Context) -> ciyuan::Result<()> {
    if output.extension().is_none_or(|extension| extension != "tiktoken") {
        return save_tokenizer(spec, output);
    }
    match spec.to_tiktoken() {
        Ok(file) => write_atomic(output, file.as_bytes()),
        Err(error) => {
            let kept = output.with_extension("tiktoken.json");
            save_tokenizer(spec, &kept)?;
            context.note(&format!("what was learned is kept in `{}`", kept.display()));
            Err(error)
        }
    }
}

/// Refuses texts as held out that are learned from.
fn check_held_out(args: &Args, plan: &CountPlan, context: &Context) -> Outcome {
    if args.held_out.is_empty() {
        return Ok(());
    }
    let held_out = args.read.source(&args.held_out, context)?;
    let CountInput::Texts(sources, _) = &plan.input else { return Ok(()) };
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let inputs: HashSet<PathBuf> =
        sources.iter().flat_map(|source| &source.files).map(|file| real(&file.path)).collect();
    match held_out.files.iter().find(|file| inputs.contains(&real(&file.path))) {
        Some(file) => {
            let path = file.path.display();
            Err(Failure::Usage(format!("--held-out names `{path}`, which is an input: it would be learned from")))
        }
        None => Ok(()),
    }
}

fn plan_counts(args: &Args, folder: &Path, settings: &LearnSettings, context: &Context) -> Outcome {
    let source = args.read.source(&args.inputs, context)?;
    check_output(folder, &source)?;
    let _lock = FolderLock::take(folder)?;
    let (options, unit_size) = (args.read.options(), args.counting.unit_size);
    let planned = context.with_progress(|progress| {
        plan_counting(&source, &options, settings, unit_size, args.counting.redo_changed, folder, progress)
    })?;
    show_plan(planned, folder, context)
}

#[derive(Serialize)]
struct OnlyCounted {
    documents: Tally,
    bytes: Tally,
    distinct_pre_tokens: u64,
    /// Of the pre-tokens and their counts.
    counts_fingerprint: Fingerprint,
    counts: PathBuf,
    /// Of this program.
    version: &'static str,
    seconds: BTreeMap<&'static str, f64>,
}

fn only_count(args: &Args, settings: &LearnSettings, context: &Context) -> Outcome {
    let save = args.counting.save_counts.as_deref().unwrap_or(Path::new(""));
    let plan = plan(args, save, context)?;
    plan.save.as_deref().map_or(Ok(()), check_output_file)?;
    let Counted { documents, bytes, counts, seconds } =
        context.with_progress(|progress| count(&plan, settings, progress))?;
    let counted = OnlyCounted {
        documents,
        bytes,
        distinct_pre_tokens: counts.distinct,
        counts_fingerprint: counts.fingerprint,
        counts: save.to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        seconds: BTreeMap::from([("count", seconds)]),
    };
    context.show(&counted, || {
        format!(
            "documents    {}\nbytes        {}\npre-tokens   {} distinct\nseconds      count {seconds:.1}\ncounts       {}\n",
            row(&documents),
            row(&bytes),
            counts.distinct,
            save.display()
        )
    })
}

fn row(tally: &Tally) -> String {
    format!("{} in = {} out + {} rejected", tally.entered, tally.left, tally.rejected)
}

fn plan(args: &Args, output: &Path, context: &Context) -> Outcome<CountPlan> {
    let Counting { counts, save_counts, weight, .. } = &args.counting;
    let (paths, input) = if counts.is_empty() {
        let sources = match weight.is_empty() {
            true => vec![args.read.source(&args.inputs, context)?],
            false => args.read.sources(&args.inputs, context)?,
        };
        (&args.inputs, CountInput::Texts(sources, args.read.options()))
    } else {
        (counts, CountInput::Saved(counts.clone(), args.read.options().clean))
    };
    let weights = weights_of(paths, weight)?;
    let scratch = output.parent().unwrap_or(Path::new("")).to_owned();
    Ok(CountPlan {
        input,
        weights,
        memory: args.read.memory().or(Some(LEARN_MEMORY)),
        scratch,
        save: save_counts.clone(),
    })
}

fn text(learned: &Learned) -> String {
    let Learned { documents, bytes, distinct_pre_tokens, vocab_size, merges, exhausted, output, seconds, .. } = learned;
    let fewer = if *exhausted { "\nThe text held no more tokens than these, fewer than asked for." } else { "" };
    let LeftOut { distinct, occurrences } = learned.left_out;
    let rare = match distinct {
        0 => String::new(),
        _ => format!("left out     {distinct} of them as too rare, {occurrences} occurrences\n"),
    };
    let cleaning: String = learned.cleaning.lines().iter().map(|line| format!("cleaning     {line}\n")).collect();
    let kept = learned.counts.as_ref().map_or_else(String::new, |path| format!("counts       {}\n", path.display()));
    format!(
        "documents    {}\nbytes        {}\n{cleaning}pre-tokens   {distinct_pre_tokens} distinct\n{rare}vocabulary   {vocab_size} tokens, {merges} merges{fewer}\nseconds      count {:.1}, merge {:.1}\ntokenizer    {}\n{kept}",
        row(documents),
        row(bytes),
        seconds["count"],
        seconds["merge"],
        output.display()
    ) + "\n"
        + &audit_table(&learned.audit)
}

fn dry_run(args: &Args, settings: &LearnSettings, context: &Context) -> Outcome {
    let source = args.read.source(&args.inputs, context)?;
    weights_of(&args.inputs, &args.counting.weight)?;
    let estimate = LearnEstimate::of(&source, &args.read.options(), settings)?;
    context.show(&estimate, || text_of_estimate(&estimate))
}

fn text_of_estimate(estimate: &LearnEstimate) -> String {
    let size = match estimate.vocab_size {
        VocabSize::Tokens(size) => format!("{size} tokens"),
        VocabSize::Auto => "as the text has examples for".to_owned(),
    };
    format!(
        "files        {} of {} bytes\nthreads      {}\npattern      {}\nedges        {}\nvocabulary   {size}\nsample       {} bytes of {} files, {} distinct pre-tokens\nestimated from the sample:\npre-tokens   {} distinct\nmemory       {} bytes of counts\nseconds      count {:.0}; merging comes on top\n",
        estimate.files,
        estimate.bytes,
        estimate.threads,
        estimate.pattern,
        estimate.edges,
        estimate.sample_bytes,
        estimate.sample_files,
        estimate.sample_distinct,
        estimate.estimated_distinct,
        estimate.estimated_memory,
        estimate.estimated_count_seconds
    )
}
