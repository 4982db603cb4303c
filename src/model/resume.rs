//! A training that stopped, as bytes: one safetensors file, so that it is written as a whole or not at all.
//!
//! It holds the model's tensors by their names, `optimizer.mean` and `optimizer.square` (flat, in the order of the
//! tensors), and `steps`: loss, learning rate and norm of the gradients of each step so far, in f64. Its metadata have
//! one entry, `ciyuan`, with the step, a checksum of all numbers, and what the caller wants to find again. The batch of
//! a step is a matter of the seed and the step, so the step is also the place in the data and the state of the generator.

use std::borrow::Cow;
use std::collections::HashMap;

use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::config::GptConfig;
use super::gpt::Gpt;
use super::trainer::{StepReport, TrainConfig, Trainer};
use crate::error::CheckpointFault;

const KEY: &str = "ciyuan";
const MEAN: &str = "optimizer.mean";
const SQUARE: &str = "optimizer.square";
const STEPS: &str = "steps";

/// A training that goes on.
pub struct Resumed {
    /// The trainer, before the step that follows.
    pub trainer: Trainer,
    /// The steps so far.
    pub steps: Vec<StepReport>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    step: u64,
    checksum: String,
    notes: String,
}

/// A tensor's shape and bytes.
struct Bytes {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Bytes {
    fn f32(shape: &[usize], values: &[f32]) -> Self {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: Dtype::F32, shape: shape.to_vec(), data }
    }
}

impl View for Bytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.data.as_slice().into()
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

impl Trainer {
    /// The training as a file, with the reports of its `steps` and `notes` for the one who reads it.
    #[must_use]
    pub fn to_checkpoint(&self, steps: &[StepReport], notes: &str) -> Vec<u8> {
        let gpt = self.gpt();
        let [mean, square] = self.moments();
        let own = gpt.layout.tensors.iter();
        let mut tensors: Vec<(&str, Bytes)> = own
            .map(|tensor| (tensor.name.as_str(), Bytes::f32(&tensor.shape, &gpt.parameters[tensor.range.clone()])))
            .collect();
        tensors.push((MEAN, Bytes::f32(&[mean.len()], mean)));
        tensors.push((SQUARE, Bytes::f32(&[square.len()], square)));
        let numbers = |step: &StepReport| [step.loss, step.learning_rate, step.gradient_norm];
        let data = steps.iter().flat_map(numbers).flat_map(f64::to_le_bytes).collect();
        tensors.push((STEPS, Bytes { dtype: Dtype::F64, shape: vec![steps.len(), 3], data }));
        let checksum = checksum(tensors.iter().map(|(_, bytes)| bytes.data.as_slice()));
        let head = Head { step: steps.len() as u64, checksum, notes: notes.to_owned() };
        let head = serde_json::to_string(&head).expect("numbers and strings always serialize");
        safetensors::serialize(tensors, Some(HashMap::from([(KEY.to_owned(), head)])))
            .expect("names are distinct, and lengths fit their shapes")
    }

    /// The notes in a file of [`Trainer::to_checkpoint`].
    ///
    /// # Errors
    ///
    /// [`CheckpointFault`] for another file, or a damaged one.
    pub fn checkpoint_notes(file: &[u8]) -> Result<String, CheckpointFault> {
        head(file).map(|head| head.notes)
    }

    /// Goes on where a file of [`Trainer::to_checkpoint`] was written, with the settings it was begun with.
    ///
    /// # Errors
    ///
    /// [`CheckpointFault`] for a damaged file, and for one of another size of model or number of steps.
    pub fn from_checkpoint(size: GptConfig, config: TrainConfig, file: &[u8]) -> Result<Resumed, CheckpointFault> {
        let damaged = |reason: &str| CheckpointFault::Safetensors { reason: reason.to_owned() };
        let head = head(file)?;
        let tensors = SafeTensors::deserialize(file).map_err(|error| damaged(&error.to_string()))?;
        size.check().and_then(|()| config.check()).map_err(|error| damaged(&error.to_string()))?;
        let find = |name: &str, shape: &[usize], dtype| {
            let fault = |why| CheckpointFault::Tensor { name: name.to_owned(), why };
            let tensor = tensors.tensor(name).map_err(|_| fault("is missing"))?;
            if tensor.shape() != shape || tensor.dtype() != dtype {
                return Err(fault("has another shape or type than this size of model"));
            }
            Ok(tensor.data())
        };
        if head.step > config.steps {
            return Err(damaged("it has more steps than the training"));
        }
        // The parameters of a size are below 2^31, those of the file were found in it: lengths are those of the file.
        let layout = super::layout::Layout::new(&size);
        let mut parts = Vec::new();
        for tensor in &layout.tensors {
            parts.push(find(&tensor.name, &tensor.shape, Dtype::F32)?);
        }
        let moments = [find(MEAN, &[layout.len], Dtype::F32)?, find(SQUARE, &[layout.len], Dtype::F32)?];
        let steps = find(STEPS, &[head.step as usize, 3], Dtype::F64)?;
        let got = checksum(parts.iter().copied().chain(moments).chain([steps]));
        if got != head.checksum || tensors.len() != parts.len() + 3 {
            return Err(CheckpointFault::Checksum { expected: head.checksum, got });
        }
        let parameters = floats(&parts.concat());
        let [mean, square] = moments.map(floats);
        if [&parameters, &mean, &square].into_iter().flatten().any(|value| !value.is_finite()) {
            return Err(damaged("a value is not finite"));
        }
        let numbers = steps.as_chunks::<24>().0.iter().zip(1..).map(|(bytes, step)| {
            let at = |at: usize| f64::from_le_bytes(std::array::from_fn(|byte| bytes[8 * at + byte]));
            StepReport { step, loss: at(0), learning_rate: at(1), gradient_norm: at(2) }
        });
        let steps = numbers.collect();
        let mut trainer =
            Self::new(Gpt::from_parts(size, parameters), config).map_err(|error| damaged(&error.to_string()))?;
        trainer.go_on(head.step, mean, square);
        Ok(Resumed { trainer, steps })
    }
}

fn head(file: &[u8]) -> Result<Head, CheckpointFault> {
    let damaged = |reason: String| CheckpointFault::Safetensors { reason };
    let (_, metadata) = SafeTensors::read_metadata(file).map_err(|error| damaged(error.to_string()))?;
    let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(KEY));
    let entry = entry.ok_or_else(|| damaged("it is no checkpoint of a training".to_owned()))?;
    serde_json::from_str(entry).map_err(|error| damaged(error.to_string()))
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
}

fn checksum<'b>(parts: impl Iterator<Item = &'b [u8]>) -> String {
    let mut hash = Xxh3::new();
    parts.for_each(|part| hash.update(part));
    format!("{:032x}", hash.digest128())
}

#[cfg(test)]
mod tests {
    use super::super::adamw::Optimizer;
    use super::super::config::GptForm;
    use super::*;

    fn size() -> GptConfig {
        GptConfig { vocab_size: 12, context: 6, layers: 2, heads: 2, width: 8, form: GptForm::GPT2 }
    }

    fn batch(step: u64) -> Vec<u32> {
        (0..28).map(|at| ((step * 5 + at * 7 + at * at) % 12) as u32).collect()
    }

    fn config(optimizer: Optimizer) -> TrainConfig {
        TrainConfig { steps: 20, batch: 4, optimizer, ..TrainConfig::default() }
    }

    fn begun(optimizer: Optimizer, steps: u64) -> (Trainer, Vec<StepReport>) {
        let mut trainer = Trainer::new(Gpt::new(size(), 5).unwrap(), config(optimizer)).unwrap();
        let reports = (0..steps).map(|step| trainer.step(&batch(step)).unwrap()).collect();
        (trainer, reports)
    }

    #[test]
    fn goes_on_bit_for_bit() {
        for optimizer in [Optimizer::AdamW, Optimizer::Muon] {
            let (whole, expected) = begun(optimizer, 20);
            for stop in [0, 1, 13] {
                let (trainer, reports) = begun(optimizer, stop);
                let file = trainer.to_checkpoint(&reports, "some notes");
                assert_eq!(file, trainer.to_checkpoint(&reports, "some notes"));
                assert_eq!(Trainer::checkpoint_notes(&file).unwrap(), "some notes");
                let mut resumed = Trainer::from_checkpoint(size(), config(optimizer), &file).unwrap();
                assert_eq!(resumed.steps, reports);
                resumed.steps.extend((stop..20).map(|step| resumed.trainer.step(&batch(step)).unwrap()));
                assert_eq!(resumed.steps, expected);
                assert_eq!(resumed.trainer.into_gpt().parameters, whole.gpt().parameters);
            }
        }
    }

    #[test]
    fn damage_is_found() {
        let (trainer, reports) = begun(Optimizer::Muon, 3);
        let file = trainer.to_checkpoint(&reports, "");
        let read = |file: &[u8]| Trainer::from_checkpoint(size(), config(Optimizer::Muon), file);
        assert!(read(&file).is_ok());
        // Cut off, a length beyond the file, a length that overflows, a bit of each part of the numbers.
        for end in (0..file.len()).step_by(97) {
            assert!(read(&file[..end]).is_err(), "{end}");
        }
        for length in [u64::MAX, 1 << 40, file.len() as u64, 0] {
            let mut hostile = file.clone();
            hostile[..8].copy_from_slice(&length.to_le_bytes());
            assert!(read(&hostile).is_err(), "{length}");
        }
        let data = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        for at in (data..file.len()).step_by(211) {
            let mut flipped = file.clone();
            flipped[at] ^= 4;
            assert!(matches!(read(&flipped), Err(CheckpointFault::Checksum { .. })), "{at}");
        }
        let wider = GptConfig { width: 16, ..size() };
        assert!(Trainer::from_checkpoint(wider, config(Optimizer::Muon), &file).is_err());
        let shorter = TrainConfig { steps: 2, ..config(Optimizer::Muon) };
        assert!(Trainer::from_checkpoint(size(), shorter, &file).is_err());
        let weights = trainer.gpt().to_safetensors();
        assert!(Trainer::checkpoint_notes(&weights).is_err() && Trainer::checkpoint_notes(b"").is_err());
    }
}
