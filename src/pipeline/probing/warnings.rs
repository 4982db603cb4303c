//! What to keep in mind about a probe.

use super::arm::Role;
use super::corpus::Texts;
use super::judge::Trained;
use super::settings::ProbeSettings;
use crate::evaluate::ProbedCorpus;

/// Vocabularies whose sizes differ by more than this factor are not compared without a word.
const LIKE_SIZES: f64 = 1.1;

pub(super) fn warnings(
    trained: &[Trained<'_>],
    texts: &Texts,
    corpora: &[ProbedCorpus],
    settings: &ProbeSettings,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let compared: Vec<&Trained<'_>> = trained.iter().filter(|one| one.arm.role == Role::Compared).collect();
    sizes(&compared, &mut warnings);
    for one in &compared {
        let name = &one.arm.name;
        if one.arm.lossy > 0 {
            warnings.push(format!(
                "{name}: does not give back {} of {} held-out documents, so its bits are not those of the text and there is no \
                 verdict about it",
                one.arm.lossy,
                texts.held_out.len()
            ));
        }
        if !one.arm.learned_here {
            warnings.push(format!(
                "{name}: was not learned from the texts for training; it may have been learned from held-out text, or from much \
                 more text than the others"
            ));
        }
        rates(one, &mut warnings);
    }
    for corpus in corpora.iter().take(texts.names.len()) {
        for (one, arm) in compared.iter().zip(&corpus.arms).filter(|(_, arm)| !arm.beyond_n_grams) {
            warnings.push(format!(
                "{}, {}: the models ({:.3} bits per byte) are no better than n-grams of two tokens ({:.3}): too little training \
                 for a verdict; give more text, more --epochs, or a larger learning rate",
                corpus.name, one.arm.name, arm.bits_per_byte.mean, arm.n_grams[1]
            ));
        }
        if corpus.documents < 20 {
            warnings.push(format!(
                "{}: {} held-out documents say little about other documents; --val holds out more, --txt-documents lines makes \
                 more of a .txt file",
                corpus.name, corpus.documents
            ));
        }
    }
    if settings.seeds < 3 {
        warnings.push(format!("{} seeds: an interval needs three or more to be of use", settings.seeds));
    }
    if settings.epochs > 1.0 {
        warnings.push("more than one epoch: tokens that stand for more text are seen again sooner".to_owned());
    }
    warnings.push(
        "small models favour small vocabularies (Tao et al. 2024), and bits per byte need not rank tokenizers as tasks do: \
         compare vocabularies of one size, and take the result for what it is"
            .to_owned(),
    );
    warnings
}

fn sizes(compared: &[&Trained<'_>], warnings: &mut Vec<String>) {
    let size = |one: &&&Trained<'_>| one.arm.model.vocab_size;
    let (least, most) = (compared.iter().min_by_key(size), compared.iter().max_by_key(size));
    if let (Some(least), Some(most)) = (least, most)
        && most.arm.model.vocab_size as f64 > LIKE_SIZES * least.arm.model.vocab_size as f64
    {
        warnings.push(format!(
            "vocabularies from {} ({}) to {} tokens ({}): which size is best at this scale says nothing about larger models",
            least.arm.model.vocab_size, least.arm.name, most.arm.model.vocab_size, most.arm.name
        ));
    }
}

fn rates(one: &Trained<'_>, warnings: &mut Vec<String>) {
    let rates = || one.sweep.iter().map(|(rate, _)| *rate);
    let (least, most) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
    if least < most && (one.learning_rate == least || one.learning_rate == most) {
        warnings.push(format!(
            "{}: the best learning rate, {}, is the {} of those tried; one beyond it may be better (--learning-rates)",
            one.arm.name,
            one.learning_rate,
            if one.learning_rate == least { "lowest" } else { "highest" }
        ));
    }
}
