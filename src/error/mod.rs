//! Room `error`: everything that can go wrong, as one enum with fields.
//!
//! **Promises.** Every variant names the file, offset or setting at fault, and its message ends with what to do about
//! it. Rooms with many ways to fail have a sub-enum (`faults.rs`), so that a caller can match on the fault instead of
//! reading text. **Does not know** how errors are shown: the command maps them to exit codes.

mod faults;
mod foreign;

pub use faults::{CheckpointFault, CountsFault, ManifestFault, RecordFault, ShardFault, TokenizerFault, UserWordFault};
pub use foreign::ForeignFault;

use std::path::{Path, PathBuf};

/// The result of every fallible function of the library.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, with the place and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a file or folder.
    #[error("cannot {op} `{}`: {source}{}", path.display(), io_remedy(source))]
    Io {
        /// What was tried, as a verb: `read`, `create`, ...
        op: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },

    /// An input given by name is not there.
    #[error("no such file or folder: `{}`; check the name (a glob must match at least one file)", path.display())]
    Missing {
        /// The name as given.
        path: PathBuf,
    },

    /// An input was found, but holds no file that could be read.
    #[error("`{}` holds no file with a known extension ({known}); {skipped} other files were skipped", path.display())]
    NoFiles {
        /// The folder as given.
        path: PathBuf,
        /// The extensions that are read.
        known: &'static str,
        /// How many files had another extension.
        skipped: usize,
    },

    /// A folder holds no model.
    #[error("`{}` holds no model; name a folder that `ciyuan train` or `ciyuan prepare` has written", path.display())]
    NoModel {
        /// The folder as given.
        path: PathBuf,
    },

    /// A file's name does not tell its form.
    #[error("cannot tell the form of `{}` from its name (known: {known}); name it with --format", path.display())]
    UnknownForm {
        /// The file.
        path: PathBuf,
        /// The extensions that are known.
        known: &'static str,
    },

    /// All documents were empty or rejected.
    #[error("no document with text in the input: {rejected} rejected; `--on-bad-record fail` shows the first reason")]
    NoDocuments {
        /// Documents that were rejected.
        rejected: u64,
    },

    /// A bad record, with `--on-bad-record fail`.
    #[error("`{}`, line {line}, byte {offset}: {fault}; mend the record, or use --on-bad-record quarantine", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Line of the record, counted from 1; 0 where the document is the whole file.
        line: u64,
        /// Byte offset of the fault in the (decompressed) file.
        offset: u64,
        /// What is wrong with it.
        fault: RecordFault,
    },

    /// Bytes that are not UTF-8, where there is no choice of what to do with them.
    #[error(
        "`{}`, line {line}, byte {offset}: invalid UTF-8; convert the text first, as with `iconv -f GB18030 -t UTF-8`",
        path.display()
    )]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Line of the fault, counted from 1.
        line: u64,
        /// Byte offset of the fault in the file.
        offset: u64,
    },

    /// An error inside a document, with the document's place.
    #[error("`{}`, line {line}: {source}", path.display())]
    InDocument {
        /// The file.
        path: PathBuf,
        /// Line of the document; 0 where the document is the whole file.
        line: u64,
        /// What happened there.
        source: Box<Error>,
    },

    /// Words that are not of the text which they are judged by.
    #[error(
        "not the text of the gold words: after {character} characters {} is expected, but {} stands there; both must have the same lines of the same characters, white space aside",
        shown(expected),
        shown(got)
    )]
    OtherText {
        /// Characters that agree, without white space.
        character: u64,
        /// How the text of the gold words goes on; empty where it ends.
        expected: String,
        /// How the other text goes on; empty where it ends.
        got: String,
    },

    /// A gold segmentation without a word.
    #[error("`{}` holds no word; a gold file has a sentence a line, and white space between words", path.display())]
    NoGold {
        /// The file.
        path: PathBuf,
    },

    /// A strict audit of a vocabulary has found something.
    #[error("{}: {findings}; `ciyuan trim` takes tokens away, and learning with --character-boundaries and --max-token-characters makes none of some kinds", path.display())]
    Audit {
        /// The tokenizer.
        path: PathBuf,
        /// What was found.
        findings: String,
    },

    /// A corpus has no documents on one side of the split.
    #[error(
        "`{corpus}` has no documents {what}; give more documents (--txt-documents lines makes each line of a .txt file one), or \
         another share to --val"
    )]
    TooFewDocuments {
        /// The corpus.
        corpus: String,
        /// Which are missing.
        what: &'static str,
    },

    /// The output path cannot hold the output.
    #[error("output `{}` {why}", path.display())]
    Output {
        /// The output path.
        path: PathBuf,
        /// Why not, and what to do.
        why: &'static str,
    },

    /// A name that is no pattern.
    #[error("unknown pattern `{name}`; known: {known}; write `regex:{name}` if it is meant as a regular expression")]
    UnknownPattern {
        /// The name as given.
        name: String,
        /// The names that are known.
        known: String,
    },

    /// A pattern that does not compile.
    #[error("pattern `{pattern}` does not compile: {reason}")]
    Pattern {
        /// The regular expression.
        pattern: String,
        /// What the regex compiler says.
        reason: String,
    },

    /// A backtracking pattern needed more steps than allowed.
    #[error(
        "pattern `{pattern}` exceeds {limit} backtracking steps at byte {offset} of the text; simplify the pattern, or split the text"
    )]
    PatternLimit {
        /// The regular expression.
        pattern: String,
        /// Where the match that failed began.
        offset: usize,
        /// The limit.
        limit: usize,
    },

    /// A setting outside its range.
    #[error("`{name}` is {value}, but must be {expected}")]
    Setting {
        /// The setting, as its long flag.
        name: &'static str,
        /// The value given.
        value: String,
        /// What it must be.
        expected: String,
    },

    /// A size above a limit of the format or of the settings.
    #[error("{what} is {value}, above the limit of {max}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// Its size.
        value: u64,
        /// The limit.
        max: u64,
    },

    /// A line of a user dictionary that is no word, or that finds no room.
    #[error("user dictionary{}, line {line}: {fault}", named(path.as_deref()))]
    UserWord {
        /// The file; the room that reads it adds it.
        path: Option<PathBuf>,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        fault: UserWordFault,
    },

    /// A part of the library that was left out of this build.
    #[error("{what} needs the feature `{feature}`; build ciyuan with `--features {feature}`")]
    Feature {
        /// The cargo feature.
        feature: &'static str,
        /// What was asked for.
        what: &'static str,
    },

    /// Counts of pairs beyond 64 bits.
    #[error("the count of the pair ({left}, {right}) exceeds 64 bits; learn from less text or divide the counts")]
    CountOverflow {
        /// Left token of the pair.
        left: u32,
        /// Right token of the pair.
        right: u32,
    },

    /// A tokenizer that is damaged or uses what is not supported.
    #[error("tokenizer: {0}")]
    Tokenizer(#[from] TokenizerFault),

    /// An id that the tokenizer does not have.
    #[error(
        "id {id} at position {position} is no token of this tokenizer (ids are below {vocab_size}); was it made by another tokenizer?"
    )]
    UnknownToken {
        /// The id.
        id: u32,
        /// Its place in the ids given.
        position: usize,
        /// One above the highest id.
        vocab_size: u32,
    },

    /// A special token that the tokenizer does not have.
    #[error("`{name}` is no special token of this tokenizer; it has: {known}")]
    UnknownSpecial {
        /// The name as given.
        name: String,
        /// The special tokens that it has.
        known: String,
    },

    /// Not a number where token ids are read.
    #[error("`{word}` at byte {offset} is no token id; ids are decimal numbers separated by white space")]
    NotAnId {
        /// What stands there.
        word: String,
        /// Where in the input.
        offset: usize,
    },

    /// A damaged or foreign shard.
    #[error("shard `{}`: {fault}", path.display())]
    Shard {
        /// The shard file.
        path: PathBuf,
        /// What is wrong with it.
        fault: ShardFault,
    },

    /// A file in the layout of another program that is damaged, or not in that layout.
    #[error("`{}` is not as {layout} writes it: {fault}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The layout asked for.
        layout: &'static str,
        /// What is wrong with it.
        fault: ForeignFault,
    },

    /// Shards that a layout of another program cannot hold.
    #[error("these shards cannot be written as {layout}: {why}")]
    Layout {
        /// The layout asked for.
        layout: &'static str,
        /// What it cannot hold, and what to do.
        why: &'static str,
    },

    /// A damaged manifest, or one that does not fit the folder.
    #[error("manifest `{}`: {fault}", path.display())]
    Manifest {
        /// The manifest file.
        path: PathBuf,
        /// What is wrong with it.
        fault: ManifestFault,
    },

    /// A damaged file of counts, or another kind of file.
    #[error("counts `{}`: {fault}", path.display())]
    Counts {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: CountsFault,
    },

    /// Counts that were made with other settings than those asked for.
    #[error(
        "counts `{}` were made with {key} = `{there}`, but `{here}` is asked for; learn with the settings they were made with, or count the text again",
        path.display()
    )]
    OtherCounts {
        /// The file of counts.
        path: PathBuf,
        /// The setting that differs.
        key: &'static str,
        /// Its value in the file.
        there: String,
        /// The value asked for.
        here: String,
    },

    /// A damaged model checkpoint, or one that does not fit.
    #[error("model `{}`: {fault}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: CheckpointFault,
    },

    /// Two things that belong together were made with different tokenizers.
    #[error("`{}` was made with tokenizer {got}, but this one is {expected}; use the tokenizer it was made with, or encode again", path.display())]
    Fingerprint {
        /// The file made with another tokenizer.
        path: PathBuf,
        /// Fingerprint of the tokenizer in use.
        expected: String,
        /// Fingerprint in the file.
        got: String,
    },

    /// An output folder that was begun with other settings.
    #[error("`{}` was made with `{key}` = {there}, now it is {here}; choose another folder, or remove this one", path.display())]
    OtherSettings {
        /// The output folder.
        path: PathBuf,
        /// The setting that differs.
        key: String,
        /// Its value in the folder.
        there: String,
        /// Its value now.
        here: String,
    },

    /// An input that was changed since an output folder was begun, where something that is done was made from it.
    #[error("`{}` was begun when `{file}` was {there}, now it is {here}; get it as it was, or give the same command again with --redo-changed (`encode`, `plan`, `learn --plan`), which does again what was made from it", path.display())]
    InputChanged {
        /// The output folder.
        path: PathBuf,
        /// The input.
        file: String,
        /// What it was.
        there: String,
        /// What it is.
        here: String,
    },

    /// Less room on the disk than the output will surely take.
    #[error("`{}` needs about {needed} bytes, and only {free} are free; make room, or choose a folder on another disk", path.display())]
    NoSpace {
        /// The output folder.
        path: PathBuf,
        /// The bytes of the output, about.
        needed: u64,
        /// The bytes that are free.
        free: u64,
    },

    /// Less memory than the work will take.
    #[error(
        "{what} needs about {needed} bytes of memory, and only {free} are free; make the model, its context or the batch \
             smaller, or close other programs"
    )]
    NoMemory {
        /// The work.
        what: &'static str,
        /// The bytes that it takes, about.
        needed: u64,
        /// The bytes that are free.
        free: u64,
    },

    /// Another run works on the same folder.
    #[error("`{}` is in use by another run; wait for it to end, or choose another folder", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },

    /// Units of a plan that are not done, where all are needed.
    #[error(
        "{missing} of the {units} units of `{}` are not done: {which}; run the ranks that do them again (`ciyuan run`), then merge",
        path.display()
    )]
    UnitsMissing {
        /// The output folder.
        path: PathBuf,
        /// How many there are.
        units: usize,
        /// How many are not done.
        missing: usize,
        /// Their numbers, from 0.
        which: String,
    },

    /// A folder without a plan.
    #[error("`{}` holds no plan; make one with `ciyuan plan INPUT... -t TOKENIZER -o {}`", path.display(), path.display())]
    NoPlan {
        /// The folder.
        path: PathBuf,
    },

    /// What went in did not come out: a defect of this program, never of the input.
    #[error(
        "accounting of {what} does not hold: {entered} in, but {left} out + {rejected} rejected + {treated} left out or changed by cleaning; please report this"
    )]
    Accounting {
        /// `documents` or `bytes`.
        what: &'static str,
        /// What went in.
        entered: u64,
        /// What came out.
        left: u64,
        /// What was rejected.
        rejected: u64,
        /// What cleaning took out, less what it added.
        treated: i64,
    },

    /// More records that are no documents than `--max-bad` allows.
    #[error(
        "{rejected} of {entered} records are no documents, above the limit of {limit} (--max-bad); mend them, or raise the limit to go on: with `encode`, rejects.jsonl.zst holds them"
    )]
    TooManyBad {
        /// Records that are no documents.
        rejected: u64,
        /// Records that were read.
        entered: u64,
        /// The limit, as it was given.
        limit: String,
    },

    /// Too few tokens to train or evaluate on.
    #[error(
        "the shards hold {tokens} tokens in their longest run, but one window needs {needed}; give more text or a smaller --context"
    )]
    TooShort {
        /// Tokens of the longest shard.
        tokens: u64,
        /// Tokens that one window takes.
        needed: u64,
    },

    /// The loss is no number any more.
    #[error("training diverged at step {step} (loss {loss}); use a smaller --learning-rate")]
    Diverged {
        /// The step.
        step: u64,
        /// The loss seen.
        loss: f64,
    },

    /// Stopped on request; what was finished is kept.
    #[error("interrupted while {stage}; run the same command again to continue")]
    Interrupted {
        /// What was going on.
        stage: &'static str,
    },
}

/// A part of a text, or that it is at its end.
fn shown(text: &str) -> String {
    if text.is_empty() { "the end of the line".to_owned() } else { format!("`{text}`") }
}

fn named(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| format!(" `{}`", path.display()))
}

/// The remedy for the errors of the operating system that people meet.
fn io_remedy(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match source.kind() {
        ErrorKind::PermissionDenied => "; check who owns it and its permissions",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; free some space and run the same command again",
        ErrorKind::IsADirectory => "; it is a folder, a file is needed",
        ErrorKind::NotADirectory => "; a part of this path is a file, not a folder",
        _ => "",
    }
}

impl Error {
    /// An [`Error::Io`], or [`Error::Missing`] when an input to read is not there.
    pub fn io(op: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        let path = path.into();
        if source.kind() == std::io::ErrorKind::NotFound && matches!(op, "read" | "open") {
            return Self::Missing { path };
        }
        Self::Io { op, path, source }
    }

    /// The error of a part of a text as one of the text, in which that part begins at `start`.
    pub(crate) fn moved(mut self, start: usize) -> Self {
        if let Self::PatternLimit { offset, .. } = &mut self {
            *offset += start;
        }
        self
    }

    /// The error of a part of a file as one of the file, in which so many lines come before that part, and so many bytes
    /// where its offsets are not those of the file.
    #[cfg(feature = "pipeline")]
    pub(crate) fn further_down(mut self, lines: u64, bytes: u64) -> Self {
        match &mut self {
            Self::Record { line, offset, .. } => {
                *line += if *line > 0 { lines } else { 0 };
                *offset += bytes;
            }
            Self::InDocument { line, .. } if *line > 0 => *line += lines,
            _ => {}
        }
        self
    }

    /// This error, with the file of the user dictionary it happened in.
    #[must_use]
    pub fn in_user_dictionary(self, file: impl Into<PathBuf>) -> Self {
        match self {
            Self::UserWord { line, fault, .. } => Self::UserWord { path: Some(file.into()), line, fault },
            other => other,
        }
    }

    /// This error, with the document it happened in.
    #[must_use]
    pub fn in_document(self, path: impl Into<PathBuf>, line: u64) -> Self {
        Self::InDocument { path: path.into(), line, source: Box::new(self) }
    }
}
