//! The settings that decide an output, by their long flags, and whether two runs have the same.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};

/// Settings by their long flags.
pub type Settings = BTreeMap<String, Value>;

/// Fails with the first setting that differs between what is in `folder` and now.
pub(super) fn require_same(folder: &Path, there: &Settings, here: &Settings) -> Result<()> {
    for key in there.keys().chain(here.keys()) {
        let (old, new) = (there.get(key), here.get(key));
        if old != new {
            let text = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
            return Err(Error::OtherSettings {
                path: folder.to_owned(),
                key: key.clone(),
                there: text(old),
                here: text(new),
            });
        }
    }
    Ok(())
}

/// The value whose settings are among these; `None` where one is missing or of another kind.
pub(super) fn from_settings<T: serde::de::DeserializeOwned>(settings: &Settings) -> Option<T> {
    let fields = settings.iter().map(|(key, value)| (key.replace('-', "_"), value.clone())).collect();
    serde_json::from_value(Value::Object(fields)).ok()
}

/// The settings in a value that serializes to an object.
pub(super) fn settings_of(value: &impl serde::Serialize) -> Settings {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map.into_iter().map(|(key, value)| (key.replace('_', "-"), value)).collect(),
        _ => unreachable!("settings are structs of numbers, strings and lists"),
    }
}
