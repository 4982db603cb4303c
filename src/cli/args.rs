//! Arguments that several commands share.

use std::path::PathBuf;

use ciyuan::clean::CleanCounts;
use ciyuan::encode::Tokenizer;
use ciyuan::evaluate::shortened;
use ciyuan::learn::VocabSize;
use ciyuan::model::{Activation, GptForm, NormKind, Optimizer, Positions, Precision, Schedule, TrainConfig};
use ciyuan::pipeline::{
    BadRecords, Boundaries, EndOfText, MaxBad, ModelSettings, Treated, Treatment, ValFraction, load_tokenizer,
};
use ciyuan::text::{Document, Form, ReadOptions, Record, Source, TxtDocuments, Utf8Policy, records};
use ciyuan::vocab::SpecialTokens;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::de::DeserializeOwned;

use super::cleaning::CleaningArgs;
use super::context::Context;
use super::failure::{Failure, Outcome};

/// Flags of every command.
#[derive(clap::Args)]
pub(super) struct Common {
    /// Threads to work on; 0 means one for each processor. Results do not depend on it
    #[arg(long, global = true, default_value_t = 0, value_name = "N", help_heading = "Common")]
    pub(super) threads: usize,
    /// Say nothing beside the result and errors: no progress, no notes
    #[arg(long, short, global = true, help_heading = "Common")]
    pub(super) quiet: bool,
    /// Give the result as one JSON object
    #[arg(long, global = true, help_heading = "Common")]
    pub(super) json: bool,
    /// Read settings from a TOML file; its keys are the long flags, and flags given here override it
    #[arg(long, global = true, value_name = "FILE", help_heading = "Common")]
    pub(super) config: Option<PathBuf>,
    /// Print all settings as TOML, and end
    #[arg(long, global = true, help_heading = "Common")]
    pub(super) print_config: bool,
}

/// The layouts of other programs.
pub(super) const LAYOUTS: [&str; 7] = ["megatron", "nanogpt", "llmc", "datatrove", "olmo", "mds", "litdata"];

/// A parser for one of the library's settings that are words.
pub(super) fn word<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    words: &[&'static str],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words.iter().copied()).try_map(|word: String| serde_json::from_value::<T>(word.into()))
}

/// A number of bytes: `1048576`, `64KiB`, `256MiB`, `2GiB`, or with powers of ten `64KB`, ...
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        other => {
            return Err(format!("`{other}` is no unit of bytes; write KiB, MiB, GiB, KB, MB or GB"));
        }
    };
    let number: u64 = digits.trim().parse().map_err(|_| format!("`{digits}` is no whole number"))?;
    number.checked_mul(unit).ok_or_else(|| "more than 2^64 bytes".to_owned())
}

/// A text in which a backslash and a letter stand for what cannot be seen.
fn unescaped(text: &str) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text.chars());
    while let Some(c) = rest.next() {
        out.push(match c {
            '\\' => match rest.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some('\\') => '\\',
                _ => return Err(r"a backslash stands as \n, \t, \r or \\".to_owned()),
            },
            c => c,
        });
    }
    Ok(out)
}

pub(super) fn val_fraction(text: &str) -> Result<ValFraction, String> {
    if text == "auto" {
        return Ok(ValFraction::Auto);
    }
    text.parse().map(ValFraction::Of).map_err(|_| "write `auto`, or a number from 0 to below 1".to_owned())
}

fn vocab_size(text: &str) -> Result<VocabSize, String> {
    if text == "auto" {
        return Ok(VocabSize::Auto);
    }
    text.parse().map(VocabSize::Tokens).map_err(|_| "write `auto`, or a whole number".to_owned())
}

/// What is read, and how.
#[derive(clap::Args)]
pub(super) struct ReadArgs {
    /// Force the form of files that are named, of standard input, and of the members of archives
    #[arg(long, value_parser = word::<Form>(&["txt", "jsonl", "parquet", "tar"]), help_heading = "Reading")]
    format: Option<Form>,
    /// Field (or Parquet column) that holds the text; `meta.text` lies in an object, a dot of a name is written `\.`
    #[arg(long, default_value = "text", value_name = "PATH", help_heading = "Reading")]
    field: String,
    /// Compose the text of several fields, instead of --field: as `{title}\n\n{text}`
    #[arg(long, value_name = "TEXT", help_heading = "Reading")]
    template: Option<String>,
    /// Field (or Parquet column) that identifies a record, kept with rejects
    #[arg(long, value_name = "PATH", help_heading = "Reading")]
    id_field: Option<String>,
    /// What is a document in a .txt file
    #[arg(long, default_value = "file", value_parser = word::<TxtDocuments>(&["file", "lines", "blocks"]), help_heading = "Reading")]
    txt_documents: TxtDocuments,
    /// What stands between the documents of a .txt file, instead of --txt-documents: as `<|endoftext|>`; \n, \t, \r and \\ are what they are elsewhere
    #[arg(long, value_parser = unescaped, value_name = "TEXT", help_heading = "Reading")]
    separator: Option<String>,
    /// What to do with bytes that are not UTF-8
    #[arg(long, default_value = "reject", value_parser = word::<Utf8Policy>(&["reject", "replace", "skip"]), help_heading = "Reading")]
    on_invalid_utf8: Utf8Policy,
    /// Longest document allowed; a longer one is rejected
    #[arg(long, default_value = "1GiB", value_parser = bytes, value_name = "BYTES", help_heading = "Reading")]
    max_document: u64,
    /// Bytes of memory that reading may take, about. A document may be a thirty-second of it at the most, or 1 MiB; nothing else in a
    /// result depends on it. `learn` counts and merges within as much: pre-tokens that find no room wait in files beside the output,
    /// and merging takes longer then. Without: no bound, and 1 GiB for what `learn` counts and merges
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Reading")]
    memory: Option<u64>,
    #[command(flatten)]
    cleaning: CleaningArgs,
}

impl ReadArgs {
    pub(super) fn options(&self) -> ReadOptions {
        let Self { field, template, id_field, txt_documents, separator, on_invalid_utf8, max_document, .. } = self;
        let options = ReadOptions {
            field: field.clone(),
            template: template.clone(),
            id_field: id_field.clone(),
            txt_documents: *txt_documents,
            separator: separator.clone(),
            on_invalid_utf8: *on_invalid_utf8,
            max_document: *max_document,
            encoding: self.cleaning.encoding,
            max_invalid: self.cleaning.max_invalid,
            clean: self.cleaning.settings(),
            memory: None,
        };
        match self.memory {
            Some(memory) => options.within(memory),
            None => options,
        }
    }

    /// The bound on memory.
    pub(super) fn memory(&self) -> Option<u64> {
        self.memory
    }

    /// Whether a form was named.
    pub(super) fn has_format(&self) -> bool {
        self.format.is_some()
    }

    /// The files behind the inputs; those that are passed over or read once only are named in a note.
    pub(super) fn source(&self, inputs: &[PathBuf], context: &Context) -> Outcome<Source> {
        self.options().check()?;
        let source = Source::find(inputs, self.format)?;
        note_files(std::slice::from_ref(&source), context);
        Ok(source)
    }

    /// The same, by inputs.
    pub(super) fn sources(&self, inputs: &[PathBuf], context: &Context) -> Outcome<Vec<Source>> {
        self.options().check()?;
        let sources = Source::find_each(inputs, self.format)?;
        note_files(&sources, context);
        Ok(sources)
    }

    /// What is done to the documents of `source` after reading.
    pub(super) fn treatment(&self, source: &Source, context: &Context) -> Outcome<Treatment> {
        let (options, scratch) = (self.options(), std::env::temp_dir());
        context.with_progress(|progress| Treatment::new(&source.files, &options, &scratch, progress))
    }

    /// Calls `work` with each document of the inputs, and gives their number; what is no document, or is left out, is
    /// passed over, with a note.
    pub(super) fn for_each_document(
        &self,
        inputs: &[PathBuf],
        context: &Context,
        mut work: impl FnMut(&Document) -> ciyuan::Result<()>,
    ) -> Outcome<u64> {
        let (mut documents, mut rejected, mut left_out) = (0, 0, 0);
        let source = self.source(inputs, context)?;
        let treatment = self.treatment(&source, context)?;
        for file in treatment.spooled(&source.files).iter() {
            for record in records(file, &self.options())? {
                if context.stopped() {
                    return Err(ciyuan::Error::Interrupted { stage: "reading" }.into());
                }
                match record? {
                    Record::Document(document) => match treatment.document(document, &mut CleanCounts::default())? {
                        Treated::Kept(document) => {
                            work(&document)?;
                            documents += 1;
                        }
                        Treated::LeftOut(..) => left_out += 1,
                    },
                    Record::Reject(_) => rejected += 1,
                }
            }
        }
        if rejected > 0 {
            context.note(&format!("passed over {rejected} records that are no documents; `ciyuan encode` keeps them"));
        }
        if left_out > 0 {
            context.note(&format!("left out {left_out} documents that filters refuse or that stand there twice"));
        }
        Ok(documents)
    }
}

/// Says which files are passed over.
fn note_files(sources: &[Source], context: &Context) {
    let note = |what: &str, files: fn(&Source) -> &Vec<PathBuf>| {
        let names: Vec<String> = sources.iter().flat_map(files).map(|path| path.display().to_string()).collect();
        if !names.is_empty() {
            context.note(&format!("{what} {}", shortened(&names)));
        }
    };
    note("skipped", |source| &source.skipped);
    note("named more than once, read once:", |source| &source.repeated);
}

/// What to do with bad records.
#[derive(clap::Args)]
pub(super) struct RejectArgs {
    /// What to do with records that are no documents: keep them in rejects.jsonl.zst, only count them, or end
    #[arg(long, default_value = "quarantine", value_parser = word::<BadRecords>(&["quarantine", "skip", "fail"]), help_heading = "Reading")]
    pub(super) on_bad_record: BadRecords,
    /// End with code 3 where more records than so many, or than such a share, are no documents
    #[arg(long, value_name = "N|P%", help_heading = "Reading")]
    pub(super) max_bad: Option<MaxBad>,
}

/// A tokenizer to use.
#[derive(clap::Args)]
pub(super) struct TokenizerArgs {
    /// A tokenizer.json, a .ciyuan file of `inspect --prebuilt`, a .tiktoken file (with --pattern), or a folder that holds a tokenizer.json
    #[arg(long, short, value_name = "FILE", help_heading = "Tokenizer")]
    pub(super) tokenizer: PathBuf,
    /// Pattern of a .tiktoken file: a name, or a regular expression
    #[arg(long, value_name = "NAME|REGEX", help_heading = "Tokenizer")]
    pattern: Option<String>,
    /// Special tokens of a .tiktoken file, as NAME=ID,NAME=ID
    #[arg(long, value_name = "LIST", help_heading = "Tokenizer")]
    special_ids: Option<String>,
}

impl TokenizerArgs {
    pub(super) fn load(&self) -> Outcome<Tokenizer> {
        let special = special_ids(self.special_ids.as_deref())?;
        Ok(load_tokenizer(&self.tokenizer, self.pattern.as_deref(), &special)?)
    }
}

/// A tokenizer, or none.
#[derive(clap::Args)]
pub(super) struct OptionalTokenizerArgs {
    /// A tokenizer.json, a .ciyuan file of `inspect --prebuilt`, a .tiktoken file (with --pattern), or a folder that holds a tokenizer.json. Without: no tokens are counted
    #[arg(long, short, value_name = "FILE", help_heading = "Tokenizer")]
    tokenizer: Option<PathBuf>,
    /// Pattern of a .tiktoken file: a name, or a regular expression
    #[arg(long, value_name = "NAME|REGEX", requires = "tokenizer", help_heading = "Tokenizer")]
    pattern: Option<String>,
    /// Special tokens of a .tiktoken file, as NAME=ID,NAME=ID
    #[arg(long, value_name = "LIST", requires = "tokenizer", help_heading = "Tokenizer")]
    special_ids: Option<String>,
}

impl OptionalTokenizerArgs {
    pub(super) fn load(&self) -> Outcome<Option<Tokenizer>> {
        let special = special_ids(self.special_ids.as_deref())?;
        let load = |path: &PathBuf| load_tokenizer(path, self.pattern.as_deref(), &special);
        Ok(self.tokenizer.as_ref().map(load).transpose()?)
    }
}

/// The list of --special-ids.
pub(super) fn special_ids(list: Option<&str>) -> Outcome<Vec<(u32, String)>> {
    let mut special = Vec::new();
    for item in list.unwrap_or_default().split(',').filter(|item| !item.is_empty()) {
        let parsed = item.rsplit_once('=').and_then(|(name, id)| Some((id.parse().ok()?, name.to_owned())));
        special.push(parsed.ok_or_else(|| Failure::Usage(format!("`{item}` in --special-ids is not NAME=ID")))?);
    }
    Ok(special)
}

/// How a tokenizer is learned.
#[derive(clap::Args)]
pub(super) struct LearnArgs {
    /// Tokens to learn, bytes and special tokens among them; `auto`: as many as the text has ten examples of each for
    #[arg(long, default_value = "auto", value_parser = vocab_size, value_name = "N|auto", help_heading = "Learning")]
    vocab_size: VocabSize,
    /// What tokens are: byte-pair merges, words, characters, or bytes; all fall back to bytes
    #[arg(long, default_value = "bpe", value_parser = word::<ciyuan::learn::Granularity>(&["bpe", "word", "char", "byte"]), help_heading = "Learning")]
    granularity: ciyuan::learn::Granularity,
    /// Pre-token pattern: ciyuan, gpt2, cl100k, o200k, llama3, qwen2, qwen3.5, deepseek-v3, kimi-k2, seed-coder, bailing, a regular expression, or the pre_tokenizer of a tokenizer.json
    #[arg(long, default_value = ciyuan::segment::DEFAULT_PATTERN, value_name = "NAME|REGEX", help_heading = "Learning")]
    pattern: String,
    /// Chinese: words bound merges while learning only, runs as the pattern gives them, words always, or characters
    #[arg(long, default_value = "learn-words", value_parser = word::<ciyuan::segment::Han>(&["learn-words", "runs", "words", "chars"]), help_heading = "Learning")]
    han: ciyuan::segment::Han,
    /// Words of your own, which bound merges while learning: `word [frequency] [tag]` a line, as jieba reads them, the frequency 0 deletes a word; may be given several times
    #[arg(long, value_name = "FILE", help_heading = "Learning")]
    user_dict: Vec<PathBuf>,
    /// Special tokens, by commas; `none` for none
    #[arg(long, default_value = SpecialTokens::END_OF_TEXT, value_name = "LIST|none", help_heading = "Learning")]
    special: String,
    /// A distinct pre-token that occurs less often is left out of learning; how many were is told
    #[arg(long, value_name = "N", help_heading = "Learning")]
    min_pre_token_count: Option<u64>,
    /// The last N tokens are superwords: they may hold white space and more than one word. Text is read twice, and encoded by
    /// one BPE over the pieces of the coarser pattern, so that words are no borders any more. With a fiftieth of the tokens
    /// small models had fewer bits a byte of Chinese than with `--han runs`, and fewer tokens
    #[arg(long, value_name = "N", help_heading = "Learning")]
    superwords: Option<u32>,
    /// The coarser pattern of --superwords, a name or a regular expression. Without: up to eight words of a line, or a Chinese
    /// sentence
    #[arg(long, value_name = "NAME|REGEX", requires = "superwords", help_heading = "Learning")]
    superword_pattern: Option<String>,
    /// Bytes of text that --superwords learns from (120 MB took 530 MB of memory): of more text than that a part of the distinct
    /// pieces, as a hash of each decides [default: 128MiB]
    #[arg(long, value_name = "BYTES", value_parser = bytes, requires = "superwords", help_heading = "Learning")]
    superword_sample: Option<u64>,
    /// A pair that occurs less often is not merged
    #[arg(long, default_value_t = 2, value_name = "N", help_heading = "Learning")]
    min_count: u64,
    /// Which of equally frequent pairs is merged first: by the order of bytes of Hugging Face's trainer, or of rustbpe and tiktoken
    #[arg(long, default_value = "hugging-face", value_parser = word::<ciyuan::learn::TieRule>(&["hugging-face", "raw-bytes"]), help_heading = "Learning")]
    ties: ciyuan::learn::TieRule,
    /// Merge a part of a character only with the rest of the same one, so that no token holds such a part beside other text
    #[arg(long, help_heading = "Learning")]
    character_boundaries: bool,
    /// Merge no characters of two scripts (Han, Latin letters, other letters, digits); white space and punctuation join any. Includes --character-boundaries
    #[arg(long, help_heading = "Learning")]
    no_script_merges: bool,
    /// The most bytes of a token
    #[arg(long, value_name = "N", help_heading = "Learning")]
    max_token_bytes: Option<u32>,
    /// The most characters of a token
    #[arg(long, value_name = "N", help_heading = "Learning")]
    max_token_characters: Option<u32>,
    /// Stop where a further merge would save fewer tokens than so many of a million
    #[arg(long, value_name = "N", help_heading = "Learning")]
    min_saved_per_million: Option<u64>,
}

impl LearnArgs {
    pub(super) fn settings(&self, val: ValFraction, rejects: &RejectArgs) -> ciyuan::pipeline::LearnSettings {
        let special = match self.special.as_str() {
            "none" => Vec::new(),
            list => list.split(',').map(str::to_owned).collect(),
        };
        let config = ciyuan::learn::LearnConfig {
            vocab_size: self.vocab_size,
            special,
            min_count: self.min_count,
            ties: self.ties,
            character_boundaries: self.character_boundaries,
            no_script_merges: self.no_script_merges,
            max_token_bytes: self.max_token_bytes,
            max_token_characters: self.max_token_characters,
            min_saved_per_million: self.min_saved_per_million,
        };
        let Self { granularity, han, ref pattern, ref user_dict, min_pre_token_count, superwords, .. } = *self;
        let (pattern, user_dict) = (pattern.clone(), user_dict.clone());
        let extends = None;
        let RejectArgs { on_bad_record, max_bad } = *rejects;
        ciyuan::pipeline::LearnSettings {
            granularity,
            pattern,
            han,
            user_dict,
            min_pre_token_count,
            superwords,
            superword_pattern: self.superword_pattern.clone(),
            superword_sample: self.superword_sample,
            config,
            extends,
            val,
            on_bad_record,
            max_bad,
        }
    }
}

/// How files become shards.
#[derive(clap::Args)]
pub(super) struct ShardArgs {
    /// Share of documents that are held out, by a hash of their text; `auto`: a tenth, but 400 KB at the most
    #[arg(long, default_value = "auto", value_parser = val_fraction, value_name = "SHARE|auto", help_heading = "Shards")]
    val: ValFraction,
    /// Bytes of input that are worked on as a unit; each unit has its own shards
    #[arg(long, default_value = "256MiB", value_parser = bytes, value_name = "BYTES", help_heading = "Shards")]
    unit_size: u64,
    /// Bytes of a shard at most; a document that is longer has a shard for itself
    #[arg(long, default_value = "1GiB", value_parser = bytes, value_name = "BYTES", help_heading = "Shards")]
    shard_size: u64,
}

impl ShardArgs {
    pub(super) fn settings(&self, rejects: &RejectArgs) -> ciyuan::pipeline::EncodeSettings {
        let RejectArgs { on_bad_record, max_bad } = *rejects;
        let Self { unit_size, shard_size, val } = *self;
        let settings = ciyuan::pipeline::EncodeSettings::default();
        ciyuan::pipeline::EncodeSettings { unit_size, shard_size, val, on_bad_record, max_bad, ..settings }
    }
}

/// What to do where a run goes on.
#[derive(clap::Args)]
pub(super) struct RedoArgs {
    /// Where an earlier run was stopped, and inputs are others than they were, do again what is done of them; else that is an error
    #[arg(long, help_heading = "Reading")]
    pub(super) redo_changed: bool,
}

/// What stands around each document.
#[derive(clap::Args)]
pub(super) struct BoundaryArgs {
    /// A special token that begins each document
    #[arg(long, value_name = "TOKEN", help_heading = "Shards")]
    bos: Option<String>,
    /// The special token that ends each document; `auto`: the tokenizer's end-of-text token, if it has one; `none`: nothing does
    #[arg(long, default_value = "auto", value_name = "TOKEN|auto|none", help_heading = "Shards")]
    eot: String,
}

impl BoundaryArgs {
    pub(super) fn boundaries(&self, tokenizer: &Tokenizer) -> Outcome<Boundaries> {
        let id = |name: &str| {
            let special = tokenizer.spec().special();
            special.id(name).ok_or_else(|| {
                let known: Vec<String> = special.iter().map(|(_, name)| name.to_owned()).collect();
                ciyuan::Error::UnknownSpecial { name: name.to_owned(), known: known.join(", ") }
            })
        };
        let bos = self.bos.as_deref().map(id).transpose()?;
        let eot = match self.eot.as_str() {
            "auto" => EndOfText::Auto,
            "none" => EndOfText::None,
            name => EndOfText::Token(id(name)?),
        };
        Ok(Boundaries { bos, eot })
    }
}

/// A model and its training.
#[derive(clap::Args)]
pub(super) struct ModelArgs {
    /// Training steps
    #[arg(long, default_value_t = TrainConfig::default().steps, value_name = "N", help_heading = "Model")]
    steps: u64,
    /// Windows of a batch
    #[arg(long, default_value_t = TrainConfig::default().batch, value_name = "N", help_heading = "Model")]
    batch: usize,
    /// Batches of a step, whose gradients are added up
    #[arg(long, default_value_t = TrainConfig::default().accumulate, value_name = "N", help_heading = "Model")]
    accumulate: usize,
    /// Tokens of a window
    #[arg(long, default_value_t = ModelSettings::default().context, value_name = "N", help_heading = "Model")]
    context: usize,
    /// Layers
    #[arg(long, default_value_t = ModelSettings::default().layers, value_name = "N", help_heading = "Model")]
    layers: usize,
    /// Attention heads
    #[arg(long, default_value_t = ModelSettings::default().heads, value_name = "N", help_heading = "Model")]
    heads: usize,
    /// Width, a multiple of the heads
    #[arg(long, default_value_t = ModelSettings::default().width, value_name = "N", help_heading = "Model")]
    width: usize,
    /// What the parts of the model are; the flags from --positions to --kv-heads override single ones
    #[arg(long, default_value = "gpt2", value_parser = ["gpt2", "modern"], value_name = "FORM", help_heading = "Model")]
    form: String,
    /// How the model knows where a token stands
    #[arg(long, value_parser = word::<Positions>(&["learned", "rotary"]), value_name = "KIND", help_heading = "Model")]
    positions: Option<Positions>,
    /// The norm before each part
    #[arg(long, value_parser = word::<NormKind>(&["layer", "rms"]), value_name = "KIND", help_heading = "Model")]
    norm: Option<NormKind>,
    /// What stands between the two matrices of the feed-forward part
    #[arg(long, value_parser = word::<Activation>(&["gelu", "swiglu", "relu2"]), value_name = "KIND", help_heading = "Model")]
    activation: Option<Activation>,
    /// Whether queries and keys are normed
    #[arg(long, value_name = "true|false", help_heading = "Model")]
    qk_norm: Option<bool>,
    /// Give the output a matrix of its own, instead of the token embedding
    #[arg(long, help_heading = "Model")]
    untied: bool,
    /// Heads of keys and values, a divisor of the heads; as many as heads by default
    #[arg(long, value_name = "N", help_heading = "Model")]
    kv_heads: Option<usize>,
    /// What moves the parameters: AdamW, or Muon for the matrices inside the layers and AdamW for the rest
    #[arg(long, default_value = "muon", value_parser = word::<Optimizer>(&["adamw", "muon"]), help_heading = "Model")]
    optimizer: Optimizer,
    /// How the learning rate falls: along a cosine to a tenth, or (warm-up, stable, decay) over the last 40 % of the steps to 0
    #[arg(long, default_value = "wsd", value_parser = word::<Schedule>(&["cosine", "wsd"]), help_heading = "Model")]
    schedule: Schedule,
    /// Gradients with a larger norm are scaled down to it
    #[arg(long, default_value_t = TrainConfig::default().clip, value_name = "NORM", help_heading = "Model")]
    clip: f64,
    /// Highest learning rate
    #[arg(long, default_value_t = TrainConfig::default().learning_rate, value_name = "RATE", help_heading = "Model")]
    learning_rate: f64,
    /// What a GPT's activations and weights are rounded to before they are multiplied; sums and weights stay f32. bf16 is faster
    /// where the processor multiplies it (AMX, AVX512-BF16), and imitated elsewhere
    #[arg(long, default_value = "f32", value_parser = word::<Precision>(&["f32", "bf16"]), help_heading = "Model")]
    precision: Precision,
    /// Start of all random numbers
    #[arg(long, default_value_t = ModelSettings::default().seed, value_name = "N", help_heading = "Model")]
    seed: u64,
}

impl ModelArgs {
    pub(super) fn settings(&self) -> ModelSettings {
        let Self { steps, batch, accumulate, optimizer, learning_rate, schedule, clip, precision, .. } = *self;
        let training = TrainConfig {
            steps,
            batch,
            accumulate,
            optimizer,
            learning_rate,
            schedule,
            clip,
            precision,
            ..TrainConfig::default()
        };
        let Self { context, layers, heads, width, seed, .. } = *self;
        ModelSettings { layers, heads, width, context, form: self.form(), seed, training }
    }

    fn form(&self) -> GptForm {
        let form = if self.form == "modern" { GptForm::MODERN } else { GptForm::GPT2 };
        GptForm {
            positions: self.positions.unwrap_or(form.positions),
            norm: self.norm.unwrap_or(form.norm),
            activation: self.activation.unwrap_or(form.activation),
            qk_norm: self.qk_norm.unwrap_or(form.qk_norm),
            tied: !self.untied,
            kv_heads: self.kv_heads,
            ..form
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(
            [bytes("7"), bytes("64KiB"), bytes("2GB"), bytes("1 MiB")],
            [Ok(7), Ok(65_536), Ok(2_000_000_000), Ok(1 << 20)]
        );
        assert!(
            ["", "x", "1XB", "-1", "1.5MiB", "99999999999999999999", "99999999999TiB"]
                .iter()
                .all(|text| bytes(text).is_err())
        );
    }
}
