//! What the commands around models share: the tokenizer beside a model.

use std::path::Path;

use ciyuan::Error;
use ciyuan::encode::Tokenizer;
use ciyuan::pipeline::{AnyModel, load_tokenizer};

use super::failure::Outcome;

/// The model and the tokenizer of a folder made by `prepare` or `train`; they must belong together.
pub(super) fn load(folder: &Path) -> Outcome<(AnyModel, Tokenizer)> {
    let (model, fingerprint) = AnyModel::load(folder)?;
    let tokenizer = load_tokenizer(folder, None, &[])?;
    if fingerprint != tokenizer.fingerprint() {
        let expected = tokenizer.fingerprint().to_string();
        return Err(Error::Fingerprint { path: folder.to_owned(), expected, got: fingerprint.to_string() }.into());
    }
    Ok((model, tokenizer))
}
