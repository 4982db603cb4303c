//! From the records of all trainings to the report.

use super::arm::{Arm, Role};
use super::assess::{Assessment, PLACES};
use super::corpus::Texts;
use super::settings::ProbeSettings;
use super::training::RunRecord;
use crate::error::Result;
use crate::evaluate::{
    ArmReport, ColouredPage, OverSeeds, PairedDifference, ProbeDifference, ProbeReport, ProbedArm, ProbedCorpus,
    over_documents,
};
use crate::model::NGramCounts;

/// An arm, and how its trainings went.
pub(super) struct Trained<'p> {
    pub(super) arm: &'p Arm,
    pub(super) learning_rate: f64,
    pub(super) sweep: Vec<(f64, f64)>,
    pub(super) steps: [u64; 2],
    pub(super) records: Vec<RunRecord>,
}

/// Judges. The arms are those compared, then perhaps the one for noise, then the anchors.
pub(super) fn judge(trained: &[Trained<'_>], texts: &Texts, settings: &ProbeSettings) -> Result<ProbeReport> {
    let shown: Vec<&Trained<'_>> = trained.iter().filter(|one| one.arm.role != Role::Noise).collect();
    let n_grams = shown.iter().map(|one| n_gram_bits(one.arm, texts)).collect::<Result<Vec<_>>>()?;
    let facts = Facts::of(texts);
    let mut corpora: Vec<ProbedCorpus> = (0..texts.names.len())
        .map(|corpus| {
            let arms = shown.iter().zip(&n_grams).map(|(one, bits)| facts.arm(one, corpus, bits[corpus])).collect();
            facts.corpus(corpus, arms, trained, texts, settings)
        })
        .collect();
    if corpora.len() > 1 {
        corpora.push(mean(&corpora, trained, &facts, settings.margin));
    }
    let warnings = super::warnings::warnings(trained, texts, &corpora, settings);
    Ok(ProbeReport {
        margin: settings.margin,
        seeds: settings.seeds,
        precision: settings.precision,
        train: [texts.train.len() as u64, texts.train_bytes()],
        near_duplicates: texts.near_duplicates,
        arms: shown.iter().map(|one| arm_report(one, settings)).collect(),
        corpora,
        pages: pages(trained, texts)?,
        warnings,
        seconds: trained.iter().flat_map(|one| &one.records).map(|record| record.seconds).sum(),
    })
}

fn arm_report(one: &Trained<'_>, settings: &ProbeSettings) -> ArmReport {
    let arm = one.arm;
    let step_bytes = settings.batch as f64 * arm.model.context as f64 * arm.bytes_per_token;
    let points = one.records.first().map_or(0, |record| record.curve.len());
    let curve = (0..points).map(|at| {
        let of = |record: &RunRecord| record.curve[at].1;
        let mean = one.records.iter().map(of).sum::<f64>() / one.records.len() as f64;
        ((one.records[0].curve[at].0 as f64 * step_bytes) as u64, mean)
    });
    ArmReport {
        name: arm.name.clone(),
        anchor: arm.role == Role::Anchor,
        fingerprint: arm.tokenizer.fingerprint(),
        vocab_size: arm.model.vocab_size as u64,
        bytes_per_token: arm.bytes_per_token,
        context: arm.model.context as u64,
        parameters: arm.model.parameters(),
        body_parameters: arm.body_parameters(),
        head_share: arm.head_share(),
        flops_per_byte: arm.flops_per_byte(),
        learning_rate: one.learning_rate,
        sweep: one.sweep.clone(),
        steps: one.steps,
        lossy: arm.lossy,
        curve: curve.collect(),
    }
}

/// Bytes of a page.
const PAGE_BYTES: usize = 600;

/// The beginning of the first held-out document of each corpus that fills a page, by each tokenizer.
fn pages(trained: &[Trained<'_>], texts: &Texts) -> Result<Vec<(String, ColouredPage)>> {
    let mut pages = Vec::new();
    for (corpus, language) in texts.names.iter().enumerate() {
        let mut own = texts.held_out.iter().filter(|text| text.corpus == corpus);
        let first = own.clone().next();
        let Some(text) = own.find(|text| text.text.len() >= PAGE_BYTES).or(first) else { continue };
        let text = &text.text[..text.text.floor_char_boundary(PAGE_BYTES)];
        for one in compared(trained) {
            let tokenizer = &one.arm.tokenizer;
            let bytes_of = |id| tokenizer.token_bytes(id).unwrap_or_default();
            pages.push((one.arm.name.clone(), ColouredPage::new(language, &tokenizer.encode(text)?, bytes_of)));
        }
    }
    Ok(pages)
}

/// What is the same for all arms, by corpus.
struct Facts {
    documents: Vec<Vec<usize>>,
    bytes: Vec<f64>,
    characters: Vec<u64>,
}

impl Facts {
    fn of(texts: &Texts) -> Self {
        let count = texts.names.len();
        let mut facts =
            Self { documents: vec![Vec::new(); count], bytes: vec![0.0; count], characters: vec![0; count] };
        for (at, text) in texts.held_out.iter().enumerate() {
            facts.documents[text.corpus].push(at);
            facts.bytes[text.corpus] += text.text.len() as f64;
            facts.characters[text.corpus] += text.text.chars().count() as u64;
        }
        facts
    }

    fn bits_per_byte(&self, assessment: &Assessment, corpus: usize) -> f64 {
        self.documents[corpus].iter().map(|at| assessment.documents[*at]).sum::<f64>() / self.bytes[corpus]
    }

    /// Bits per byte by seed.
    fn by_seed(&self, one: &Trained<'_>, corpus: usize) -> Vec<f64> {
        one.records.iter().map(|record| self.bits_per_byte(&record.full, corpus)).collect()
    }

    /// The same after equal computing: where that is after all steps, it is the same.
    fn by_seed_at_equal_compute(&self, one: &Trained<'_>, corpus: usize) -> Vec<f64> {
        let of = |record: &RunRecord| self.bits_per_byte(record.short.as_ref().unwrap_or(&record.full), corpus);
        one.records.iter().map(of).collect()
    }

    fn arm(&self, one: &Trained<'_>, corpus: usize, n_grams: [f64; 3]) -> ProbedArm {
        let by_seed = self.by_seed(one, corpus);
        let tokens: usize = self.documents[corpus].iter().map(|at| one.arm.held_out[*at].len()).sum();
        let bits_per_byte = OverSeeds::of(&by_seed);
        let is_compared = one.arm.role == Role::Compared;
        let at_equal = is_compared.then(|| OverSeeds::of(&self.by_seed_at_equal_compute(one, corpus)));
        let by_place = PLACES.iter().enumerate().filter_map(|(range, start)| {
            let sum =
                |part: usize| one.records.iter().map(|record| record.full.places[corpus][range][part]).sum::<f64>();
            (sum(1) > 0.0).then(|| (*start, sum(0) / sum(1)))
        });
        let cuts: Vec<f64> = one.records.iter().filter_map(|record| record.full.cuts[corpus]).collect();
        ProbedArm {
            bytes_per_token: self.bytes[corpus] / tokens.max(1) as f64,
            bits_per_byte,
            bits_per_character: bits_per_byte.mean * self.bytes[corpus] / self.characters[corpus].max(1) as f64,
            by_seed,
            equal_compute: at_equal,
            n_grams,
            beyond_n_grams: bits_per_byte.mean < n_grams[1],
            by_place: by_place.collect(),
            cut_bits: (!cuts.is_empty()).then(|| cuts.iter().sum::<f64>() / cuts.len() as f64),
        }
    }

    fn corpus(
        &self,
        corpus: usize,
        arms: Vec<ProbedArm>,
        trained: &[Trained<'_>],
        texts: &Texts,
        settings: &ProbeSettings,
    ) -> ProbedCorpus {
        let compared = compared(trained);
        let mut differences = Vec::new();
        for (first, one) in compared.iter().enumerate() {
            for (second, other) in compared.iter().enumerate().skip(first + 1) {
                let of = |by_seed: &dyn Fn(&Trained<'_>) -> Vec<f64>| {
                    PairedDifference::of(&by_seed(one), &by_seed(other), settings.margin)
                };
                let documents: Vec<[f64; 3]> = self.documents[corpus]
                    .iter()
                    .map(|at| [mean_bits(one, *at), mean_bits(other, *at), texts.held_out[*at].text.len() as f64])
                    .collect();
                differences.push(ProbeDifference {
                    first,
                    second,
                    equal_bytes: of(&|one| self.by_seed(one, corpus)),
                    equal_compute: settings
                        .equal_compute
                        .then(|| of(&|one| self.by_seed_at_equal_compute(one, corpus))),
                    over_documents: over_documents(&documents, settings.seed),
                    holds: holds(&arms, &compared, first, second),
                });
            }
        }
        let noise = trained.iter().find(|one| one.arm.role == Role::Noise).map(|again| {
            PairedDifference::of(&self.by_seed(compared[0], corpus), &self.by_seed(again, corpus), settings.margin)
        });
        ProbedCorpus {
            name: texts.names[corpus].clone(),
            documents: self.documents[corpus].len() as u64,
            bytes: self.bytes[corpus] as u64,
            characters: self.characters[corpus],
            arms,
            differences,
            noise,
        }
    }
}

fn compared<'t, 'p>(trained: &'t [Trained<'p>]) -> Vec<&'t Trained<'p>> {
    trained.iter().filter(|one| one.arm.role == Role::Compared).collect()
}

fn holds(arms: &[ProbedArm], compared: &[&Trained<'_>], first: usize, second: usize) -> bool {
    [first, second].iter().all(|at| arms[*at].beyond_n_grams && compared[*at].arm.lossy == 0)
}

/// Bits of a document in the mean of the seeds.
fn mean_bits(one: &Trained<'_>, document: usize) -> f64 {
    one.records.iter().map(|record| record.full.documents[document]).sum::<f64>() / one.records.len() as f64
}

/// The mean of all corpora: each counts the same, whatever its size.
fn mean(corpora: &[ProbedCorpus], trained: &[Trained<'_>], facts: &Facts, margin: f64) -> ProbedCorpus {
    let count = corpora.len() as f64;
    let all = || 0..corpora.len();
    let over = |of: &dyn Fn(usize) -> Vec<f64>| -> Vec<f64> {
        let each: Vec<Vec<f64>> = all().map(of).collect();
        (0..each[0].len()).map(|seed| each.iter().map(|values| values[seed]).sum::<f64>() / count).collect()
    };
    let full = |one: &Trained<'_>| over(&|corpus| facts.by_seed(one, corpus));
    let short = |one: &Trained<'_>| over(&|corpus| facts.by_seed_at_equal_compute(one, corpus));
    let shown: Vec<&Trained<'_>> = trained.iter().filter(|one| one.arm.role != Role::Noise).collect();
    let arm = |(at, one): (usize, &&Trained<'_>)| {
        let of =
            |figure: fn(&ProbedArm) -> f64| corpora.iter().map(|corpus| figure(&corpus.arms[at])).sum::<f64>() / count;
        let cuts: Vec<f64> = corpora.iter().filter_map(|corpus| corpus.arms[at].cut_bits).collect();
        ProbedArm {
            bytes_per_token: of(|arm| arm.bytes_per_token),
            by_seed: full(one),
            bits_per_byte: OverSeeds::of(&full(one)),
            bits_per_character: of(|arm| arm.bits_per_character),
            equal_compute: corpora[0].arms[at].equal_compute.map(|_| OverSeeds::of(&short(one))),
            n_grams: [of(|arm| arm.n_grams[0]), of(|arm| arm.n_grams[1]), of(|arm| arm.n_grams[2])],
            beyond_n_grams: corpora.iter().all(|corpus| corpus.arms[at].beyond_n_grams),
            by_place: Vec::new(),
            cut_bits: (!cuts.is_empty()).then(|| cuts.iter().sum::<f64>() / cuts.len() as f64),
        }
    };
    let arms: Vec<ProbedArm> = shown.iter().enumerate().map(arm).collect();
    let compared = compared(trained);
    let differences = corpora[0].differences.iter().map(|one| {
        let of = |by_seed: &dyn Fn(&Trained<'_>) -> Vec<f64>| {
            PairedDifference::of(&by_seed(compared[one.first]), &by_seed(compared[one.second]), margin)
        };
        ProbeDifference {
            first: one.first,
            second: one.second,
            equal_bytes: of(&full),
            equal_compute: one.equal_compute.map(|_| of(&short)),
            over_documents: None,
            holds: holds(&arms, &compared, one.first, one.second),
        }
    });
    let differences = differences.collect();
    let again = trained.iter().find(|one| one.arm.role == Role::Noise);
    ProbedCorpus {
        name: "mean".to_owned(),
        documents: corpora.iter().map(|corpus| corpus.documents).sum(),
        bytes: corpora.iter().map(|corpus| corpus.bytes).sum(),
        characters: corpora.iter().map(|corpus| corpus.characters).sum(),
        arms,
        differences,
        noise: again.map(|again| PairedDifference::of(&full(compared[0]), &full(again), margin)),
    }
}

/// Bits per byte of held-out text by n-grams of orders 1, 2 and 3, by corpus.
fn n_gram_bits(arm: &Arm, texts: &Texts) -> Result<Vec<[f64; 3]>> {
    let mut bits = vec![[0.0; 3]; texts.names.len()];
    let mut bytes = vec![0.0; texts.names.len()];
    texts.held_out.iter().for_each(|text| bytes[text.corpus] += text.text.len() as f64);
    for order in 1..=3 {
        let mut counts = NGramCounts::new(order, arm.model.vocab_size as u32)?;
        arm.train.iter().try_for_each(|ids| counts.add(ids))?;
        let model = counts.finish();
        for (text, ids) in texts.held_out.iter().zip(&arm.held_out) {
            bits[text.corpus][order - 1] += model.nats(ids)? / std::f64::consts::LN_2 / bytes[text.corpus];
        }
    }
    Ok(bits)
}
