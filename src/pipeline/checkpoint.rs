//! A training that stopped: its checkpoint and its metrics in the output folder.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::settings::{Settings, require_same};
use crate::error::{CheckpointFault, Error, Result};
use crate::model::{GptConfig, Resumed, StepReport, TrainConfig, Trainer};
use crate::shard::write_atomic;

/// The checkpoint of a training that has not ended.
pub const CHECKPOINT_FILE: &str = "checkpoint.safetensors";
/// The size of the model in it and the settings of the training, beside it: for people and other programs. The checkpoint
/// holds them too, and it is from there that a training goes on.
pub const CHECKPOINT_CONFIG_FILE: &str = "config.json";
/// What each step and each evaluation came to, a JSON object a line.
pub const METRICS_FILE: &str = "metrics.jsonl";

/// What a checkpoint tells beside the model: how it was begun, and the held-out figures so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Notes {
    pub(super) settings: Settings,
    /// Step and bits per byte, as the bits of an f64: a decimal might not come back as it was.
    pub(super) evaluations: Vec<(u64, u64)>,
}

pub(super) fn save(path: &Path, trainer: &Trainer, steps: &[StepReport], notes: &Notes) -> Result<()> {
    // The same all along, and there before the checkpoint is.
    let config = serde_json::json!({"model": trainer.gpt().config(), "settings": notes.settings});
    write_atomic(&path.with_file_name(CHECKPOINT_CONFIG_FILE), format!("{config:#}\n").as_bytes())?;
    let notes = serde_json::to_string(notes).expect("maps with string keys and numbers always serialize");
    write_atomic(path, &trainer.to_checkpoint(steps, &notes))
}

/// Reads a checkpoint that must have been begun with `settings`.
pub(super) fn load(
    path: &Path,
    settings: &Settings,
    size: GptConfig,
    training: TrainConfig,
) -> Result<(Resumed, Notes)> {
    let io = |error| Error::io("read", path, error);
    let fault = |fault| Error::Checkpoint { path: path.to_owned(), fault };
    // Three numbers a parameter, three of eight bytes a step, and names: no more is read.
    let max = 12 * size.parameters() + 24 * training.steps.min(1 << 40) + (1 << 24);
    let value = std::fs::metadata(path).map_err(io)?.len();
    if value > max {
        let reason = "it is longer than a checkpoint of this size of model".to_owned();
        return Err(fault(CheckpointFault::Safetensors { reason }));
    }
    let bytes = std::fs::read(path).map_err(io)?;
    let json = Trainer::checkpoint_notes(&bytes).map_err(fault)?;
    let notes: Notes = serde_json::from_str(&json)
        .map_err(|error| fault(CheckpointFault::Safetensors { reason: error.to_string() }))?;
    require_same(path, &notes.settings, settings)?;
    Ok((Trainer::from_checkpoint(size, training, &bytes).map_err(fault)?, notes))
}

/// The file of metrics.
pub(super) struct Metrics {
    file: File,
    path: PathBuf,
}

impl Metrics {
    /// Begins a file behind the lines of the steps up to `step`, which are kept.
    pub(super) fn behind(path: PathBuf, step: u64) -> Result<Self> {
        #[derive(Deserialize)]
        struct Line {
            step: u64,
        }
        let kept = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::io("read", path, error)),
        };
        let is_kept = |line: &&str| serde_json::from_str::<Line>(line).is_ok_and(|line| line.step <= step);
        let text: String = kept.split_inclusive('\n').filter(|line| line.ends_with('\n')).filter(is_kept).collect();
        write_atomic(&path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(&path).map_err(|error| Error::io("open", &path, error))?;
        Ok(Self { file, path })
    }

    pub(super) fn add(&mut self, line: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string(line).expect("numbers always serialize");
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(|error| Error::io("write", &self.path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_steps_that_come_again_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(METRICS_FILE);
        std::fs::write(&path, "{\"step\":1,\"loss\":2.0}\n{\"step\":2}\n{\"step\":3}\n{\"step\":2,\"cut").unwrap();
        let mut metrics = Metrics::behind(path.clone(), 2).unwrap();
        metrics.add(&serde_json::json!({"step": 3, "loss": 1.5})).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"step\":1,\"loss\":2.0}\n{\"step\":2}\n{\"loss\":1.5,\"step\":3}\n");
    }
}
