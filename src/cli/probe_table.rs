//! Tables of a probe.

use ciyuan::evaluate::{Better, OverSeeds, PairedDifference, ProbeDifference, ProbeReport, ProbedArm, ProbedCorpus};
use ciyuan::model::Precision;
use ciyuan::pipeline::ProbePlan;

use super::compare_table::{Style, head, of_rows, word};

/// What a probe will do.
pub(super) fn plan_table(plan: &ProbePlan, style: Style) -> String {
    let names = ["tokenizer", "ids", "bytes/token", "window", "parameters", "steps", "at equal compute", "trainings"];
    let mut rows = vec![names.map(str::to_owned).to_vec()];
    for arm in &plan.arms {
        rows.push(vec![
            arm.name.clone(),
            arm.vocab_size.to_string(),
            format!("{:.3}", arm.bytes_per_token),
            arm.context.to_string(),
            arm.parameters.to_string(),
            plan.steps.to_string(),
            arm.equal_compute_steps.to_string(),
            arm.trainings.to_string(),
        ]);
    }
    let smallest = plan.smallest_difference.map_or_else(
        || "none: an interval takes two seeds or more".to_owned(),
        |smallest| format!("{:.2} %, if differences deviate by 0.15 % as they did elsewhere", 100.0 * smallest),
    );
    format!(
        "{}\ntrainings             {}{}\ntime                  about {}, as far as a few steps can tell\nmemory                about {} MB\nsmallest difference   {smallest}\n",
        of_rows(rows, style),
        plan.trainings,
        in_bf16(plan.precision),
        duration(plan.seconds),
        plan.memory.div_ceil(1_000_000)
    )
}

/// Says so where it is not the usual f32.
fn in_bf16(precision: Precision) -> &'static str {
    if precision.is_f32() { "" } else { " in bf16" }
}

fn duration(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}

/// What it came to.
pub(super) fn report_table(report: &ProbeReport, style: Style) -> String {
    let mut out = format!(
        "trained{} on {} documents of {} bytes, {} seeds; {} documents like held-out ones were left out\n\n",
        in_bf16(report.precision),
        report.train[0],
        report.train[1],
        report.seeds,
        report.near_duplicates
    );
    out += &of_rows(arms(report), style);
    for corpus in &report.corpora {
        let ProbedCorpus { name, documents, bytes, .. } = corpus;
        out += &format!("\n{}{name}: {documents} held-out documents, {bytes} bytes\n\n", head(style));
        out += &of_rows(bits(report, corpus), style);
        out.push('\n');
        out += &of_rows(differences(report, corpus), style);
    }
    out += &format!(
        "\n{}A difference below {} % is none. Intervals of 95 %, over seeds; `documents`: over held-out documents.\n",
        if style == Style::Markdown { "\n" } else { "" },
        (1e6 * report.margin).round() / 1e4
    );
    report.warnings.iter().for_each(|warning| out += &format!("- {warning}\n"));
    out
}

fn arms(report: &ProbeReport) -> Vec<Vec<String>> {
    let names = [
        "tokenizer",
        "ids",
        "bytes/token",
        "window",
        "parameters",
        "of them body",
        "head",
        "MFLOP/byte",
        "learning rate",
    ];
    let mut rows = vec![names.map(str::to_owned).to_vec()];
    for arm in &report.arms {
        rows.push(vec![
            arm.name.clone(),
            arm.vocab_size.to_string(),
            format!("{:.3}", arm.bytes_per_token),
            arm.context.to_string(),
            arm.parameters.to_string(),
            arm.body_parameters.to_string(),
            format!("{:.0} %", 100.0 * arm.head_share),
            format!("{:.3}", arm.flops_per_byte / 1e6),
            arm.learning_rate.to_string(),
        ]);
    }
    rows
}

fn bits(report: &ProbeReport, corpus: &ProbedCorpus) -> Vec<Vec<String>> {
    let names =
        ["bits per byte", "bytes/token", "mean", "sd", "equal compute", "a character", "2-grams", "3-grams", "a cut"];
    let mut rows = vec![names.map(str::to_owned).to_vec()];
    for (arm, ProbedArm { bytes_per_token, bits_per_byte, bits_per_character, equal_compute, n_grams, cut_bits, .. }) in
        report.arms.iter().zip(&corpus.arms)
    {
        rows.push(vec![
            arm.name.clone(),
            format!("{bytes_per_token:.3}"),
            format!("{:.4}", bits_per_byte.mean),
            bits_per_byte.sd.map_or_else(|| "-".to_owned(), |sd| format!("{sd:.4}")),
            equal_compute.as_ref().map_or_else(|| "-".to_owned(), |OverSeeds { mean, .. }| format!("{mean:.4}")),
            format!("{bits_per_character:.3}"),
            format!("{:.4}", n_grams[1]),
            format!("{:.4}", n_grams[2]),
            cut_bits.map_or_else(|| "-".to_owned(), |bits| format!("{bits:.2}")),
        ]);
    }
    rows
}

fn differences(report: &ProbeReport, corpus: &ProbedCorpus) -> Vec<Vec<String>> {
    let mut rows = vec![["difference", "equal bytes", "d", "equal compute", "documents"].map(str::to_owned).to_vec()];
    for one in &corpus.differences {
        let [first, second] = [one.first, one.second].map(|at| &report.arms[at].name);
        let ProbeDifference { equal_bytes, equal_compute, over_documents, holds, .. } = one;
        let documents = over_documents.as_ref().and_then(|estimate| estimate.interval);
        rows.push(vec![
            format!("{second} to {first}"),
            shown(equal_bytes, *holds),
            equal_bytes.effect_size.map_or_else(|| "-".to_owned(), |size| format!("{size:.1}")),
            equal_compute.as_ref().map_or_else(|| "-".to_owned(), |paired| shown(paired, *holds)),
            documents.map_or_else(|| "-".to_owned(), interval),
        ]);
    }
    if let Some(noise) = &corpus.noise {
        let name = &report.arms[0].name;
        let effect = noise.effect_size.map_or_else(|| "-".to_owned(), |size| format!("{size:.1}"));
        let mut row = vec![format!("{name} with other seeds"), shown(noise, true), effect];
        row.extend(["-", "-"].map(str::to_owned));
        rows.push(row);
    }
    rows
}

fn shown(paired: &PairedDifference, holds: bool) -> String {
    let range = paired.difference.interval.map_or_else(String::new, |range| format!(" {}", interval(range)));
    let verdict = if holds { word(paired.verdict, Better::Lower) } else { "no verdict" };
    format!("{:+.2} %{range} {verdict}", 100.0 * paired.difference.value)
}

fn interval([low, high]: [f64; 2]) -> String {
    format!("[{:+.2}, {:+.2}]", 100.0 * low, 100.0 * high)
}
