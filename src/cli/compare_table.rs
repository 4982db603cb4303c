//! Tables of a comparison.

use ciyuan::evaluate::{
    Better, Comparison, CorpusComparison, DifferenceReport, Estimate, Grouping, MeasureComparison, NumberLength,
    NumberReport, Verdict,
};

use super::table::render;

/// How tables look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Text,
    Markdown,
}

pub(super) fn table(comparison: &Comparison, style: Style) -> String {
    let mut out = tables_of_tokenizers(comparison, style);
    for corpus in &comparison.corpora {
        let CorpusComparison { name, documents, bytes, held_out, .. } = corpus;
        out += &format!(
            "\n{}{name}: {documents} documents, {bytes} bytes, {held_out} documents held out\n\n",
            head(style)
        );
        out += &of_rows(measures(comparison, &corpus.measures), style);
        out.push('\n');
        out += &of_rows(tokens(comparison, corpus), style);
    }
    if let Some(parallel) = &comparison.parallel {
        out += &format!("\n{}tokens of the second text for each of the first\n\n", head(style));
        out += &of_rows(measures(comparison, std::slice::from_ref(parallel)), style);
    }
    out + "\n" + &verdicts(comparison)
}

pub(super) fn head(style: Style) -> &'static str {
    if style == Style::Markdown { "## " } else { "" }
}

pub(super) fn of_rows(rows: Vec<Vec<String>>, style: Style) -> String {
    if style == Style::Text {
        return render(&rows);
    }
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut lines: Vec<String> = rows.iter().map(|cells| line(cells)).collect();
    if let Some(first) = rows.first() {
        let columns: Vec<String> = (0..first.len()).map(|at| if at == 0 { "---" } else { "---:" }.to_owned()).collect();
        lines.insert(1, line(&columns));
    }
    lines.concat()
}

fn tables_of_tokenizers(comparison: &Comparison, style: Style) -> String {
    let head = ["tokenizer", "tokens", "fingerprint", "unreachable", "bytes the n-grams saw"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for tokenizer in &comparison.tokenizers {
        rows.push(vec![
            tokenizer.name.clone(),
            tokenizer.vocab_size.to_string(),
            tokenizer.fingerprint.to_string(),
            tokenizer.audit.unreachable.to_string(),
            tokenizer.model_bytes.to_string(),
        ]);
    }
    of_rows(rows, style) + "\n" + &of_rows(behaviour(comparison), style)
}

/// What tokenizers make of fixed lists of numbers and of emoji.
fn behaviour(comparison: &Comparison) -> Vec<Vec<String>> {
    let head = ["tokenizer", "digits", "12345678", "tokens an emoji", "whole", "a sequence", "whole", "come back"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    for tokenizer in &comparison.tokenizers {
        let (numbers, emoji) = (&tokenizer.numbers, tokenizer.emoji);
        rows.push(vec![
            tokenizer.name.clone(),
            grouping(numbers),
            numbers.lengths.last().map_or_else(String::new, commonest),
            format!("{:.2}", emoji.tokens_per_emoji),
            percent(emoji.kept_whole),
            format!("{:.2}", emoji.tokens_per_sequence),
            percent(emoji.sequences_kept_whole),
            percent(emoji.returned),
        ]);
    }
    rows
}

fn grouping(numbers: &NumberReport) -> String {
    let by = |direction: &str| format!("by {} {direction}", numbers.width.unwrap_or(0));
    match numbers.grouping {
        Grouping::SingleDigits => "single".to_owned(),
        Grouping::Whole => "whole".to_owned(),
        Grouping::LeftToRight => by("from the left"),
        Grouping::RightToLeft => by("from the right"),
        Grouping::Mixed => "mixed".to_owned(),
    }
}

/// How most numbers of a length are cut, and how many of them are: `3-3-2 (100 %)`.
fn commonest(length: &NumberLength) -> String {
    let groups: Vec<String> = length.commonest.iter().map(u32::to_string).collect();
    format!("{} ({:.0} %)", groups.join("-"), 100.0 * length.share)
}

/// A row a figure: its values, then how all tokenizers but the first differ from the first.
fn measures(comparison: &Comparison, measures: &[MeasureComparison]) -> Vec<Vec<String>> {
    let names: Vec<&str> = comparison.tokenizers.iter().map(|tokenizer| tokenizer.name.as_str()).collect();
    let mut head = vec!["figure".to_owned()];
    head.extend(names.iter().map(|name| (*name).to_owned()));
    head.extend(names[1..].iter().map(|name| format!("{name} to {}", names[0])));
    let mut rows = vec![head];
    for measure in measures {
        let mut row = vec![measure.name.replace('_', " ")];
        row.extend(measure.values.iter().map(|value| value.as_ref().map_or_else(|| "-".to_owned(), shown)));
        row.extend((1..names.len()).map(|second| {
            let found = measure.differences.iter().find(|one| (one.first, one.second) == (0, second));
            found.map_or_else(|| "-".to_owned(), |one| difference(one, measure.better))
        }));
        rows.push(row);
    }
    rows
}

fn shown(estimate: &Estimate) -> String {
    match estimate.interval {
        Some([low, high]) => format!("{:.4} [{low:.4}, {high:.4}]", estimate.value),
        None => format!("{:.4}", estimate.value),
    }
}

fn difference(one: &DifferenceReport, better: Better) -> String {
    let percent = |share: f64| 100.0 * share;
    let value = percent(one.difference.value);
    let interval = one.difference.interval.map(|[low, high]| format!(" [{:+.2}, {:+.2}]", percent(low), percent(high)));
    format!("{value:+.2} %{} {}", interval.unwrap_or_default(), word(one.verdict, better))
}

pub(super) fn word(verdict: Verdict, better: Better) -> &'static str {
    match (verdict, better) {
        (Verdict::NoDifference, _) => "no difference",
        (Verdict::Undecided, _) => "undecided",
        (Verdict::More, Better::Neither) => "more",
        (Verdict::Less, Better::Neither) => "less",
        (Verdict::More, Better::Higher) | (Verdict::Less, Better::Lower) => "better",
        (Verdict::More, Better::Lower) | (Verdict::Less, Better::Higher) => "worse",
    }
}

fn tokens(comparison: &Comparison, corpus: &CorpusComparison) -> Vec<Vec<String>> {
    let head = ["tokens", "in all", "used", "seldom", "pre-token", "p99", "seen before", "MB/s", "decoding"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (tokenizer, figures) in comparison.tokenizers.iter().zip(&corpus.tokens) {
        let pre_tokens = &figures.pre_tokens.all;
        rows.push(vec![
            tokenizer.name.clone(),
            figures.tokens.to_string(),
            format!("{:.1} %", 100.0 * figures.used_share),
            figures.seldom.to_string(),
            format!("{:.2}", pre_tokens.mean_length),
            pre_tokens.p99_length.to_string(),
            format!("{:.1} %", 100.0 * pre_tokens.repeated),
            format!("{:.1}", figures.encode_megabytes_per_second),
            format!("{:.1}", figures.decode_megabytes_per_second),
        ]);
    }
    rows
}

/// A line a corpus and pair: what the n-gram models say.
fn verdicts(comparison: &Comparison) -> String {
    let mut out = String::new();
    for corpus in &comparison.corpora {
        let Some(bits) = corpus.measures.iter().find(|measure| measure.name == "kneser_ney_bits_per_byte") else {
            continue;
        };
        for one in &bits.differences {
            let [first, second] = [one.first, one.second].map(|at| &comparison.tokenizers[at].name);
            out += &format!("{}: {second} beside {first}: {}\n", corpus.name, difference(one, bits.better));
        }
    }
    if !out.is_empty() {
        out.insert_str(
            0,
            &format!(
                "bits per byte of held-out text, by n-grams of order {}; a difference below {} % is none\n",
                comparison.config.order,
                // 0.007 is 0.7 %, not 0.7000000000000001 %.
                (1e6 * comparison.config.margin).round() / 1e4
            ),
        );
    }
    out
}
