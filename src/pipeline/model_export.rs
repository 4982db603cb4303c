//! The stage that writes a model as a folder that Hugging Face's transformers loads, with its tokenizer.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::files::{CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE, load_model, load_tokenizer, save_tokenizer};
use super::lock::FolderLock;
use crate::error::{Error, Result};
use crate::model::HuggingFaceModel;
use crate::shard::write_atomic;

/// Writes the model of `folder`, which `train` or `prepare` has made, to the folder `output`: `model.safetensors`,
/// `tokenizer.json`, `tokenizer_config.json` and, last, `config.json`. Gives the files.
///
/// # Errors
///
/// [`Error::Output`] for a folder that holds a model already, [`Error::Fingerprint`] for a tokenizer of another model,
/// [`Error::Setting`] for a form that is no model there; those of reading and writing.
pub fn export_model(folder: &Path, output: &Path) -> Result<Vec<PathBuf>> {
    let (gpt, config) = load_model(folder)?;
    let tokenizer = load_tokenizer(folder, None, &[])?;
    if config.tokenizer != tokenizer.fingerprint() {
        let (expected, got) = (tokenizer.fingerprint().to_string(), config.tokenizer.to_string());
        return Err(Error::Fingerprint { path: folder.to_owned(), expected, got });
    }
    let exported = HuggingFaceModel::of(&gpt, config.eos_token_id)?;
    let _lock = FolderLock::take(output)?;
    if output.join(CONFIG_FILE).exists() {
        let why = "holds a model already; choose another folder, or remove it";
        return Err(Error::Output { path: output.to_owned(), why });
    }
    let end = config.eos_token_id.and_then(|id| tokenizer.spec().special().name(id).map(str::to_owned));
    let about = json!({ "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": end, "eos_token": end });
    let [weights, tokenizer_file, about_file, config_file] =
        [WEIGHTS_FILE, TOKENIZER_FILE, "tokenizer_config.json", CONFIG_FILE].map(|name| output.join(name));
    write_atomic(&weights, &exported.weights)?;
    save_tokenizer(tokenizer.spec(), &tokenizer_file)?;
    write_atomic(&about_file, &lines(&about))?;
    write_atomic(&config_file, &lines(&exported.config))?;
    Ok(vec![weights, tokenizer_file, about_file, config_file])
}

fn lines(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
