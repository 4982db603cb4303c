//! What the commands around models share: the tokenizer beside a model.

use std::path::Path;

use ciyuan::Error;
use ciyuan::encode::Tokenizer;
use ciyuan::model::Gpt;
use ciyuan::pipeline::{load_model, load_tokenizer};

use super::failure::Outcome;

/// The model and the tokenizer of a folder made by `prepare` or `train`; they must belong together.
pub(super) fn load(folder: &Path) -> Outcome<(Gpt, Tokenizer)> {
    let (gpt, config) = load_model(folder)?;
    let tokenizer = load_tokenizer(folder, None, &[])?;
    if config.tokenizer != tokenizer.fingerprint() {
        let expected = tokenizer.fingerprint().to_string();
        return Err(Error::Fingerprint { path: folder.to_owned(), expected, got: config.tokenizer.to_string() }.into());
    }
    Ok((gpt, tokenizer))
}
