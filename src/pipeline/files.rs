//! The files of an output folder: their names, and how tokenizers and models are read and written.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::encode::Tokenizer;
use crate::error::{CheckpointFault, Error, Result};
use crate::model::{Gpt, ModelConfig};
use crate::segment::Pattern;
#[cfg(feature = "chinese")]
use crate::segment::{Dictionary, Fold};
use crate::shard::{AtomicFile, write_atomic};
use crate::text::Source;
use crate::vocab::{Fingerprint, TokenId, TokenizerSpec};

/// The tokenizer.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// The tokenizer in tiktoken's form.
pub const TIKTOKEN_FILE: &str = "tokenizer.tiktoken";
/// The folder of the model.
pub const MODEL_FOLDER: &str = "model";
/// Records that are no documents.
pub const REJECTS_FILE: &str = "rejects.jsonl.zst";
/// The report as data.
pub const REPORT_FILE: &str = "report.json";
/// The report as a page.
pub const REPORT_PAGE: &str = "report.html";

pub(super) const WEIGHTS_FILE: &str = "model.safetensors";
pub(super) const CONFIG_FILE: &str = "config.json";

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Error::io("read", path, error))
}

/// The largest file of a tokenizer that is read, in bytes; published ones stay below 50 MB. Nothing of a larger one is
/// read.
pub const MAX_TOKENIZER_BYTES: u64 = 1 << 28;

fn read_tokenizer(path: &Path) -> Result<Vec<u8>> {
    let io = |error| Error::io("read", path, error);
    let file = std::fs::File::open(path).map_err(io)?;
    let known = file.metadata().map_err(io)?.len();
    let mut bytes = Vec::new();
    // A device or a pipe has no length to ask for.
    if known <= MAX_TOKENIZER_BYTES {
        bytes.reserve(known as usize + 1);
        file.take(MAX_TOKENIZER_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    }
    let value = known.max(bytes.len() as u64);
    if value > MAX_TOKENIZER_BYTES {
        let what = "the size of a tokenizer's file in bytes";
        return Err(Error::Limit { what, value, max: MAX_TOKENIZER_BYTES }.in_document(path, 0));
    }
    Ok(bytes)
}

/// The error of a file, with its name where it has none.
fn of_file(path: &Path) -> impl Fn(Error) -> Error {
    move |error| error.in_document(path, 0)
}

/// Reads a tokenizer: a `tokenizer.json`, a file of [`save_prebuilt`], a `.tiktoken` file (which needs its `pattern`, and
/// knows no special tokens but those given), or a folder that holds a `tokenizer.json`.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::Io`], [`Error::Limit`] for a file above [`MAX_TOKENIZER_BYTES`], [`Error::Setting`] for a
/// `.tiktoken` file without a pattern, and those of [`TokenizerSpec`] and [`Tokenizer::new`].
pub fn load_tokenizer(path: &Path, pattern: Option<&str>, special: &[(TokenId, String)]) -> Result<Tokenizer> {
    let path = if path.is_dir() { path.join(TOKENIZER_FILE) } else { path.to_owned() };
    let bytes = read_tokenizer(&path)?;
    if Tokenizer::is_prebuilt(&bytes) {
        return Tokenizer::from_prebuilt(&bytes).map_err(of_file(&path));
    }
    let spec = if path.extension().is_some_and(|extension| extension == "tiktoken") {
        let expected = "given for a .tiktoken file, which does not hold its own".to_owned();
        let pattern = pattern.ok_or(Error::Setting { name: "pattern", value: "missing".to_owned(), expected })?;
        TokenizerSpec::from_tiktoken(&bytes, Pattern::parse(pattern)?.source(), special.to_vec())
    } else {
        TokenizerSpec::from_json(&bytes)
    };
    spec.and_then(Tokenizer::new).map_err(of_file(&path))
}

/// The built-in dictionary with the words of user dictionaries, taken in order.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::Io`], and [`Error::UserWord`] with the file and the line.
#[cfg(feature = "chinese")]
pub fn load_dictionary(fold: Fold, files: &[PathBuf]) -> Result<Dictionary> {
    let mut dictionary = Dictionary::new(fold);
    for file in files {
        dictionary.add_user_words(&read(file)?).map_err(|error| error.in_user_dictionary(file))?;
    }
    Ok(dictionary)
}

/// Writes a tokenizer as `tokenizer.json`.
///
/// # Errors
///
/// [`Error::Io`] when it cannot be written.
pub fn save_tokenizer(spec: &TokenizerSpec, path: &Path) -> Result<()> {
    let mut json = spec.to_json();
    json.push('\n');
    write_atomic(path, json.as_bytes())
}

/// Writes a tokenizer with its tables, which is loaded in some milliseconds; the name may be any, `.ciyuan` is usual.
///
/// # Errors
///
/// [`Error::Io`] when it cannot be written.
pub fn save_prebuilt(tokenizer: &Tokenizer, path: &Path) -> Result<()> {
    write_atomic(path, &tokenizer.to_prebuilt()?)
}

/// Writes a model: `model.safetensors` and `config.json`, the latter last, so that a folder with it is whole.
///
/// # Errors
///
/// [`Error::Io`] when it cannot be written.
pub fn save_model(gpt: &Gpt, end_of_text: Option<TokenId>, tokenizer: Fingerprint, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    let weights = gpt.to_safetensors();
    let config = ModelConfig::new(gpt.config(), end_of_text, tokenizer, &weights);
    write_atomic(&folder.join(WEIGHTS_FILE), &weights)?;
    let mut json = serde_json::to_string_pretty(&config).expect("numbers and strings always serialize");
    json.push('\n');
    write_atomic(&folder.join(CONFIG_FILE), json.as_bytes())
}

/// Where the files of a model lie: in the folder itself, or in its `model/`.
pub(super) fn model_place(folder: &Path) -> Result<PathBuf> {
    let inner = folder.join(MODEL_FOLDER);
    let place = if inner.is_dir() { inner } else { folder.to_owned() };
    if folder.is_dir() && [CONFIG_FILE, WEIGHTS_FILE].iter().all(|name| !place.join(name).exists()) {
        return Err(Error::NoModel { path: folder.to_owned() });
    }
    Ok(place)
}

/// Reads a model from its folder, or from the folder of a run that holds it in `model/`.
///
/// # Errors
///
/// [`Error::NoModel`], [`Error::Missing`], [`Error::Io`], [`Error::Checkpoint`].
pub fn load_model(folder: &Path) -> Result<(Gpt, ModelConfig)> {
    let folder = model_place(folder)?;
    let path = folder.join(CONFIG_FILE);
    let config: ModelConfig = serde_json::from_slice(&read(&path)?).map_err(|error| {
        let fault = CheckpointFault::Config { reason: error.to_string() };
        Error::Checkpoint { path: path.clone(), fault }
    })?;
    let weights = folder.join(WEIGHTS_FILE);
    let gpt = config.load(&read(&weights)?).map_err(|fault| Error::Checkpoint { path: weights, fault })?;
    Ok((gpt, config))
}

/// Refuses an output folder that would mix with the inputs: one inside a folder that is read, so that a second run would
/// read the output of the first, or one that an input lies in.
///
/// # Errors
///
/// [`Error::Output`] when it would.
pub fn check_output(output: &Path, source: &Source) -> Result<()> {
    let folder = absolute(output);
    if source.folders.iter().any(|input| folder.starts_with(absolute(input))) {
        return Err(Error::Output {
            path: output.to_owned(),
            why: "lies inside an input folder; choose a folder outside of it",
        });
    }
    if source.files.iter().any(|file| absolute(&file.path).starts_with(&folder)) {
        return Err(Error::Output { path: output.to_owned(), why: "holds an input file; choose another folder" });
    }
    Ok(())
}

/// Refuses an output file that could not be written after all the work: one that is a folder, or lies where none can be
/// made.
///
/// # Errors
///
/// [`Error::Output`], and [`Error::Io`] when the system refuses.
pub fn check_output_file(path: &Path) -> Result<()> {
    let refused = |why| Err(Error::Output { path: path.to_owned(), why });
    if path.is_dir() {
        return refused("is a folder; name a file in it");
    }
    if path.parent().is_some_and(|folder| folder != Path::new("") && !folder.is_dir()) {
        return refused("lies in a folder that is not there; make that first");
    }
    // The temporary file is taken away again.
    AtomicFile::create(path).map(drop)
}

/// The path without links, as far as it is there.
fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path.ancestors().find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
    match there {
        Some((ancestor, canonical)) => path.strip_prefix(ancestor).map_or(path.clone(), |rest| {
            if rest.as_os_str().is_empty() { canonical.clone() } else { canonical.join(rest) }
        }),
        None => path,
    }
}
