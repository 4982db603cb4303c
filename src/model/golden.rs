//! Loss, gradients and training of small models against PyTorch's: a test only.
//!
//! `tests/golden/gpt.json` and `gpt.gradients` were written by `tests/readers/gpt_golden.py`, which states how.

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::config::GptConfig;
    use super::super::gpt::Gpt;
    use super::super::layout::{Kind, Layout};
    use super::super::pass::Pass;
    use super::super::real::Real;
    use super::super::trainer::{TrainConfig, Trainer};
    use super::super::{Optimizer, Schedule};

    const BATCH: u64 = 4;

    #[derive(Deserialize)]
    struct Golden {
        torch: String,
        models: Vec<Model>,
    }

    #[derive(Deserialize)]
    struct Model {
        config: GptConfig,
        tensors: Vec<Tensor>,
        loss: f64,
        losses: Vec<f64>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Tensor {
        name: String,
        shape: Vec<usize>,
    }

    /// Each model with its gradients.
    fn golden() -> Vec<(Model, Vec<f32>)> {
        let golden: Golden = serde_json::from_str(include_str!("../../tests/golden/gpt.json")).unwrap();
        assert!(golden.torch.starts_with("2.") && golden.models.len() == 3);
        let bytes: &[u8] = include_bytes!("../../tests/golden/gpt.gradients");
        let mut gradients = bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value));
        let models = golden.models.into_iter().map(|model| {
            let own = gradients.by_ref().take(model.config.parameters() as usize).collect();
            (model, own)
        });
        let models: Vec<_> = models.collect();
        assert!(gradients.next().is_none());
        models
    }

    /// MurmurHash3's last step.
    fn mix(mut x: u32) -> u32 {
        for (shift, factor) in [(16, 0x85EB_CA6B), (13, 0xC2B2_AE35)] {
            x = (x ^ (x >> shift)).wrapping_mul(factor);
        }
        x ^ (x >> 16)
    }

    fn ids(step: u64, config: &GptConfig) -> Vec<u32> {
        let id = |row: u64, at: u64| {
            let noise = u64::from(mix((step * 1000 + row * 100 + at) as u32) % 3);
            ((step * 5 + row * 3 + at * 7 + noise) % config.vocab_size as u64) as u32
        };
        (0..BATCH).flat_map(|row| (0..=config.context as u64).map(move |at| id(row, at))).collect()
    }

    fn model<R: Real>(config: GptConfig) -> Gpt<R> {
        let layout = Layout::new(&config);
        let mut parameters = Vec::with_capacity(layout.len);
        for tensor in &layout.tensors {
            parameters.extend(tensor.range.clone().map(|at| {
                let value = f64::from(mix(at as u32)) / 4_294_967_296.0 - 0.5;
                let value = match tensor.kind {
                    Kind::Scale => value * 0.2 + 1.0,
                    Kind::Bias => value * 0.2,
                    _ => value * 0.3,
                };
                R::of(f64::from(value as f32))
            }));
        }
        Gpt::from_parts(config, parameters)
    }

    /// The largest difference in a tensor, as a share of its largest gradient.
    fn compare<R: Real>(model: &Model, gradients: &[f32], loss_within: f64, within: f64) {
        let config = model.config;
        let gpt = self::model::<R>(config);
        let rows = ids(0, &config);
        let mut got = vec![R::default(); gpt.layout.len];
        let (inputs, targets) = (&rows[..config.context], &rows[1..=config.context]);
        let weight = R::of(1.0 / config.context as f64);
        let loss = gpt.backward(inputs, targets, weight, &mut Pass::new(&config), &mut got) / config.context as f64;
        assert!((loss - model.loss).abs() < loss_within, "{loss} should be {}", model.loss);
        let tensors = gpt.layout.tensors.iter();
        let names = tensors.map(|tensor| Tensor { name: tensor.name.clone(), shape: tensor.shape.clone() });
        assert_eq!(names.collect::<Vec<_>>(), model.tensors);
        for tensor in &gpt.layout.tensors {
            let expected = &gradients[tensor.range.clone()];
            let highest = expected.iter().fold(0.0, |highest, value| f64::from(value.abs()).max(highest));
            for (got, &expected) in got[tensor.range.clone()].iter().zip(expected) {
                let error = (got.f64() - f64::from(expected)).abs();
                let (name, form) = (&tensor.name, config.form);
                assert!(error <= within * highest, "{name}: {} should be {expected}, in {form:?}", got.f64());
            }
        }
    }

    #[test]
    fn loss_and_gradients_are_pytorchs() {
        for (model, gradients) in golden() {
            // The golden gradients are f32.
            compare::<f64>(&model, &gradients, 1e-9, 1e-6);
            compare::<f32>(&model, &gradients, 1e-5, 5e-5);
        }
    }

    #[test]
    fn two_hundred_steps_are_pytorchs() {
        for (model, _) in golden() {
            let config = TrainConfig {
                steps: 200,
                batch: BATCH as usize,
                optimizer: Optimizer::AdamW,
                learning_rate: 3e-3,
                schedule: Schedule::Cosine,
                ..TrainConfig::default()
            };
            let mut trainer = Trainer::new(self::model(model.config), config).unwrap();
            for (step, &expected) in model.losses.iter().enumerate() {
                let loss = trainer.step(&ids(step as u64 + 1, &model.config)).unwrap().loss;
                let form = model.config.form;
                assert!((loss - expected).abs() < 1e-3, "step {}: {loss} should be {expected}, in {form:?}", step + 1);
            }
        }
    }
}
