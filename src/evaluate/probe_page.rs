//! The report of a probe as one page: no network, no scripts, light and dark, for screen and print.

use std::fmt::Write;

use super::bootstrap::Verdict;
use super::html::{escape, head, write_pieces};
use super::paired::PairedDifference;
use super::probe::{ArmReport, ProbeReport, ProbedCorpus};
use super::probe_plots::{bits_by_bytes, forest};
use super::summary::grouped;

/// The page.
#[must_use]
pub fn probe_to_html(report: &ProbeReport) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(report, &mut out);
    out
}

fn write(report: &ProbeReport, out: &mut String) -> std::fmt::Result {
    out.push_str(&head("ciyuan probe", "probe"));
    writeln!(
        out,
        "<p class=\"lead\">{} tokenizers, judged by small GPTs trained{} with {} seeds each on the same {} bytes of text.</p>",
        report.arms.iter().filter(|arm| !arm.anchor).count(),
        if report.precision.is_f32() { "" } else { " in bf16" },
        report.seeds,
        grouped(report.train[1])
    )?;
    for corpus in &report.corpora {
        write_corpus(report, corpus, out)?;
    }
    writeln!(
        out,
        "<h2>Training</h2>\n<figure>{}</figure>\n<p class=\"note\">Bits per byte of the text trained on, in the mean of the seeds.</p>",
        bits_by_bytes(&report.arms)
    )?;
    arms(report, out)?;
    side_by_side(report, out)?;
    writeln!(out, "<h2>To keep in mind</h2>\n<ul>")?;
    report.warnings.iter().try_for_each(|warning| writeln!(out, "<li>{}", escape(warning)))?;
    writeln!(
        out,
        "</ul>\n<footer>Made by ciyuan {}; the same figures stand in report.json.</footer>\n</main>\n</body>\n</html>",
        env!("CARGO_PKG_VERSION")
    )
}

fn write_corpus(report: &ProbeReport, corpus: &ProbedCorpus, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "<h2>{}</h2>\n<p>{} held-out documents, {} bytes.</p>\n<table>\n<thead><tr><th>tokenizer<th>bytes per token<th>bits per byte<th>sd<th>at equal compute<th>bits a character<th>2-grams<th>3-grams<th>bits a cut costs</tr></thead>\n<tbody>",
        escape(&corpus.name),
        grouped(corpus.documents),
        grouped(corpus.bytes)
    )?;
    for (arm, figures) in report.arms.iter().zip(&corpus.arms) {
        let or_none =
            |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"));
        writeln!(
            out,
            "<tr><th>{}<td>{:.3}<td><b>{:.4}</b><td>{}<td>{}<td>{:.3}<td>{:.4}<td>{:.4}<td>{}</tr>",
            escape(&arm.name),
            figures.bytes_per_token,
            figures.bits_per_byte.mean,
            or_none(figures.bits_per_byte.sd, 4),
            or_none(figures.equal_compute.map(|over| over.mean), 4),
            figures.bits_per_character,
            figures.n_grams[1],
            figures.n_grams[2],
            or_none(figures.cut_bits, 2)
        )?;
    }
    writeln!(out, "</tbody>\n</table>\n<figure>{}</figure>", forest(report, corpus))?;
    writeln!(
        out,
        "<table>\n<thead><tr><th>difference<th>equal bytes<th>verdict<th>equal compute<th>verdict</tr></thead>\n<tbody>"
    )?;
    for one in &corpus.differences {
        let [first, second] = [one.first, one.second].map(|at| escape(&report.arms[at].name));
        write!(out, "<tr><th>{second} to {first}")?;
        cells(Some(&one.equal_bytes), one.holds, out)?;
        cells(one.equal_compute.as_ref(), one.holds, out)?;
        writeln!(out, "</tr>")?;
    }
    if let Some(noise) = &corpus.noise {
        write!(out, "<tr><th>{} with other seeds", escape(&report.arms[0].name))?;
        cells(Some(noise), true, out)?;
        writeln!(out, "<td>-<td>-</tr>")?;
    }
    writeln!(out, "</tbody>\n</table>")
}

fn cells(paired: Option<&PairedDifference>, holds: bool, out: &mut String) -> std::fmt::Result {
    let Some(paired) = paired else { return write!(out, "<td>-<td>-") };
    let range = paired.difference.interval;
    let range = range.map_or_else(String::new, |[low, high]| format!(" [{:+.2}, {:+.2}]", 100.0 * low, 100.0 * high));
    let verdict = match paired.verdict {
        _ if !holds => "no verdict",
        Verdict::NoDifference => "no difference",
        Verdict::Less => "better",
        Verdict::More => "worse",
        Verdict::Undecided => "undecided",
    };
    write!(out, "<td>{:+.2} %{range}<td>{verdict}", 100.0 * paired.difference.value)
}

fn arms(report: &ProbeReport, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "<table>\n<thead><tr><th>tokenizer<th>ids<th>bytes per token<th>window<th>parameters<th>of them body<th>head<th>MFLOP a byte<th>learning rate<th>steps</tr></thead>\n<tbody>"
    )?;
    for arm in &report.arms {
        let ArmReport { name, vocab_size, bytes_per_token, context, parameters, body_parameters, .. } = arm;
        writeln!(
            out,
            "<tr><th>{}<td>{}<td>{bytes_per_token:.3}<td>{context}<td>{}<td>{}<td>{:.0} %<td>{:.3}<td>{}<td>{}</tr>",
            escape(name),
            grouped(*vocab_size),
            grouped(*parameters),
            grouped(*body_parameters),
            100.0 * arm.head_share,
            arm.flops_per_byte / 1e6,
            arm.learning_rate,
            grouped(arm.steps[0])
        )?;
    }
    writeln!(out, "</tbody>\n</table>")
}

/// The same text by all tokenizers.
fn side_by_side(report: &ProbeReport, out: &mut String) -> std::fmt::Result {
    if report.pages.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>The same text by token</h2>")?;
    writeln!(out, "<div class=\"beside\">")?;
    for (name, page) in &report.pages {
        let tokens: usize = page.pieces.iter().map(|piece| piece.ids.len()).sum();
        writeln!(out, "<div><h3>{}, {}: {tokens} tokens</h3>", escape(&page.language), escape(name))?;
        write_pieces(page, out)?;
        writeln!(out, "</div>")?;
    }
    writeln!(out, "</div>")
}
