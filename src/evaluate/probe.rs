//! The report of a probe: tokenizers judged by small GPTs that were trained on them, as data.

use serde::Serialize;

use super::bootstrap::{Bootstrap, Estimate, Ratio};
use super::paired::{OverSeeds, PairedDifference};
use super::report::ColouredPage;
use crate::model::Precision;
use crate::vocab::Fingerprint;

/// Tokenizers judged by models.
#[derive(Debug, Clone, Serialize)]
pub struct ProbeReport {
    /// The relative difference that does not matter.
    pub margin: f64,
    /// Seeds.
    pub seeds: u64,
    /// What activations and weights were rounded to in training.
    #[serde(skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
    /// Documents for training, and their bytes.
    pub train: [u64; 2],
    /// Documents that were left out of training because they are like held-out ones.
    pub near_duplicates: u64,
    /// The arms: the tokenizers in the order given, then scales beside them.
    pub arms: Vec<ArmReport>,
    /// Figures by corpus, and in the last place the mean of the corpora if there are several.
    pub corpora: Vec<ProbedCorpus>,
    /// The beginning of a held-out document of each corpus, by each tokenizer: its name, and the text in its tokens.
    pub pages: Vec<(String, ColouredPage)>,
    /// What to keep in mind.
    pub warnings: Vec<String>,
    /// Seconds of training, those kept from an earlier start among them.
    pub seconds: f64,
}

/// An arm.
#[derive(Debug, Clone, Serialize)]
pub struct ArmReport {
    /// Its name.
    pub name: String,
    /// Whether it is a scale beside the tokenizers.
    pub anchor: bool,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Ids of its model.
    pub vocab_size: u64,
    /// Bytes a token, of the texts for training.
    pub bytes_per_token: f64,
    /// Tokens of a window.
    pub context: u64,
    /// Parameters of its model.
    pub parameters: u64,
    /// Those that all arms have.
    pub body_parameters: u64,
    /// The part of the computing that the output matrix takes.
    pub head_share: f64,
    /// Floating-point operations of training on a byte.
    pub flops_per_byte: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// Learning rates that were tried, and bits per byte after the shorter training, in the mean of the corpora.
    pub sweep: Vec<(f64, f64)>,
    /// Steps, and at equal computing.
    pub steps: [u64; 2],
    /// Held-out documents that it does not give back.
    pub lossy: u64,
    /// Bytes, and bits per byte there in the mean of the seeds, while training.
    pub curve: Vec<(u64, f64)>,
}

/// Figures of a corpus.
#[derive(Debug, Clone, Serialize)]
pub struct ProbedCorpus {
    /// Its name.
    pub name: String,
    /// Held-out documents.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their characters.
    pub characters: u64,
    /// By arm.
    pub arms: Vec<ProbedArm>,
    /// Differences of each two tokenizers.
    pub differences: Vec<ProbeDifference>,
    /// The first tokenizer trained with other seeds, beside itself.
    pub noise: Option<PairedDifference>,
}

/// What models of an arm make of a corpus.
#[derive(Debug, Clone, Serialize)]
pub struct ProbedArm {
    /// Bytes a token.
    pub bytes_per_token: f64,
    /// Bits per byte after equal bytes, seed by seed.
    pub by_seed: Vec<f64>,
    /// Their mean and deviation.
    pub bits_per_byte: OverSeeds,
    /// The same for each character.
    pub bits_per_character: f64,
    /// After equal computing.
    pub equal_compute: Option<OverSeeds>,
    /// Bits per byte by n-grams of its tokens of orders 1, 2 and 3, trained on the same texts.
    pub n_grams: [f64; 3],
    /// Whether the models are better than n-grams of order 2. Those that are not have learned little but how frequent
    /// tokens are, and say nothing about the tokenizer.
    pub beyond_n_grams: bool,
    /// Where ranges of places in a document begin, and bits per byte there.
    pub by_place: Vec<(u64, f64)>,
    /// Bits that a prompt's end costs, in the mean of places and seeds.
    pub cut_bits: Option<f64>,
}

/// Two tokenizers.
#[derive(Debug, Clone, Serialize)]
pub struct ProbeDifference {
    /// The one that is the measure, by its place.
    pub first: usize,
    /// The one compared with it.
    pub second: usize,
    /// After equal bytes.
    pub equal_bytes: PairedDifference,
    /// After equal computing.
    pub equal_compute: Option<PairedDifference>,
    /// After equal bytes, in the mean of the seeds, with an interval over documents; see [`Estimate`].
    pub over_documents: Option<Estimate>,
    /// Whether there is a verdict at all: both have texts back as they were, and models beyond n-grams.
    pub holds: bool,
}

/// The difference of two models in the mean of their seeds, with an interval by a bootstrap over documents: each has the
/// bits of both, and its bytes. `None` for a single document.
pub(crate) fn over_documents(documents: &[[f64; 3]], seed: u64) -> Option<Estimate> {
    let bootstrap = Bootstrap::new(documents.as_flattened(), 3, seed);
    bootstrap.difference(Ratio { above: 0, below: 2 }, Ratio { above: 1, below: 2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_paired() {
        let documents: Vec<[f64; 3]> = (1..200).map(f64::from).map(|n| [2.0 * n, 1.9 * n, n]).collect();
        let difference = over_documents(&documents, 1).unwrap();
        let [low, high] = difference.interval.unwrap();
        assert!((difference.value + 0.05).abs() < 1e-9 && (low + 0.05).abs() < 1e-9 && (high + 0.05).abs() < 1e-9);
        assert_eq!(over_documents(&documents[..1], 1).unwrap().interval, None);
    }
}
