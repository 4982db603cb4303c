//! The report of a comparison as one page: no network, readable without scripts, light and dark, for screen and print.

use std::fmt::Write;

use super::bootstrap::{Estimate, Verdict};
use super::compare_plots::{differences, lengths, ranks};
use super::comparison::{Comparison, CorpusComparison, DifferenceReport, MeasureComparison};
use super::html::{escape, head, write_pieces};
use super::measures::Better;
use super::page_tokenizer::text_box;
use super::summary::grouped;
use crate::encode::Tokenizer;
use crate::error::Result;

/// Figures of the first table of a corpus; the others are below.
const FIRST: [&str; 5] =
    ["kneser_ney_bits_per_byte", "bytes_per_token", "words_kept_whole", "tokens_over_edges", "round_trip"];

/// The page of a comparison of `tokenizers`, which are the ones compared: those with a small vocabulary tokenize in the page
/// what is typed there.
///
/// # Errors
///
/// Those of [`Tokenizer::encode`].
pub fn comparison_to_html(comparison: &Comparison, tokenizers: &[(String, Tokenizer)]) -> Result<String> {
    let mut out = head("ciyuan compare", "compare");
    // The first lines of the texts that are shown are compared, too.
    let first_lines = comparison.corpora.iter().filter_map(|corpus| corpus.pages.first());
    let first_lines: Vec<String> = first_lines
        .map(|page| page.pieces.iter().map(|piece| piece.text.as_str()).collect::<String>())
        .map(|text| text.lines().next().unwrap_or_default().to_owned())
        .collect();
    let lines: Vec<&str> = first_lines.iter().map(String::as_str).filter(|line| !line.trim().is_empty()).collect();
    let text_box = text_box(tokenizers, &lines)?;
    // Writing to a string cannot fail.
    let _ = write(comparison, &text_box, &mut out);
    Ok(out)
}

fn write(comparison: &Comparison, text_box: &str, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "<p class=\"lead\">{} tokenizers on the same texts. Intervals hold the figure with 95 %, by a bootstrap over documents; \
         a difference below {} % is called none.</p>",
        comparison.tokenizers.len(),
        // 0.007 is 0.7 %, not 0.7000000000000001 %.
        (1e6 * comparison.config.margin).round() / 1e4
    )?;
    for corpus in &comparison.corpora {
        write_corpus(comparison, corpus, out)?;
    }
    if let Some(parallel) = &comparison.parallel {
        writeln!(out, "<h2>Tokens of the second text for each of the first</h2>")?;
        measures(comparison, &[parallel], out)?;
    }
    writeln!(out, "<h2>Vocabularies</h2>")?;
    vocabularies(comparison, out)?;
    out.push_str(text_box);
    side_by_side(comparison, out)?;
    worst(comparison, out)?;
    writeln!(
        out,
        "<footer>Made by ciyuan {}; the same figures stand in report.json. Descriptors (entropy, Rényi, Gini, Zipf) judge \
         nothing.</footer>\n</main>\n</body>\n</html>",
        env!("CARGO_PKG_VERSION")
    )
}

fn write_corpus(comparison: &Comparison, corpus: &CorpusComparison, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "<h2>{}</h2>\n<p>{} in {} bytes; {} held out from the n-grams.</p>",
        escape(&corpus.name),
        documents(corpus.documents),
        grouped(corpus.bytes),
        documents(corpus.held_out)
    )?;
    if corpus.documents == 0 {
        return writeln!(out, "<p>There is no text, so there are no figures.</p>");
    }
    if corpus.documents == 1 {
        writeln!(out, "<p>A single document has no interval.</p>")?;
    }
    let is_first = |measure: &&MeasureComparison| FIRST.contains(&measure.name);
    let mut first: Vec<&MeasureComparison> = corpus.measures.iter().filter(is_first).collect();
    first.sort_by_key(|measure| FIRST.iter().position(|name| *name == measure.name));
    measures(comparison, &first, out)?;
    for name in &FIRST[..2] {
        if let Some(measure) = first.iter().find(|one| one.name == *name && !one.differences.is_empty()) {
            let plot = differences(comparison, measure);
            writeln!(out, "<figure>{plot}<figcaption>{}</figcaption></figure>", plain(name))?;
        }
    }
    let others: Vec<&MeasureComparison> = corpus.measures.iter().filter(|one| !is_first(one)).collect();
    writeln!(out, "<details>\n<summary>All other figures</summary>")?;
    measures(comparison, &others, out)?;
    writeln!(
        out,
        "</details>\n<figure>{}</figure>\n<figure>{}</figure>",
        lengths(comparison, corpus),
        ranks(comparison, corpus)
    )?;
    scripts(comparison, corpus, out)
}

fn documents(count: u64) -> String {
    if count == 1 { "1 document".to_owned() } else { format!("{} documents", grouped(count)) }
}

fn plain(name: &str) -> String {
    name.replace('_', " ")
}

/// A row a figure: its values; then how all tokenizers but the first differ from the first, which one table has no room for.
fn measures(comparison: &Comparison, measures: &[&MeasureComparison], out: &mut String) -> std::fmt::Result {
    let names: Vec<String> = comparison.tokenizers.iter().map(|tokenizer| escape(&tokenizer.name)).collect();
    write!(out, "<table>\n<thead><tr><th>figure")?;
    names.iter().try_for_each(|name| write!(out, "<th>{name}"))?;
    writeln!(out, "</tr></thead>\n<tbody>")?;
    for measure in measures {
        write!(out, "<tr><th>{}", plain(measure.name))?;
        for value in &measure.values {
            match value {
                Some(Estimate { value, interval: Some([low, high]) }) => {
                    write!(out, "<td><b>{value:.4}</b> <small>[{low:.4}, {high:.4}]</small>")?;
                }
                Some(Estimate { value, interval: None }) => write!(out, "<td><b>{value:.4}</b>")?,
                None => write!(out, "<td>-")?,
            }
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody>\n</table>")?;
    let told: Vec<_> = measures.iter().filter(|measure| !measure.differences.is_empty()).collect();
    if told.is_empty() {
        return Ok(());
    }
    write!(out, "<table>\n<thead><tr><th>difference")?;
    names[1..].iter().try_for_each(|name| write!(out, "<th>{name} to {}", names[0]))?;
    writeln!(out, "</tr></thead>\n<tbody>")?;
    for measure in told {
        write!(out, "<tr><th>{}", plain(measure.name))?;
        for second in 1..names.len() {
            match measure.differences.iter().find(|one| (one.first, one.second) == (0, second)) {
                Some(one) => difference(one, measure.better, out)?,
                None => write!(out, "<td>-")?,
            }
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody>\n</table>")
}

fn difference(one: &DifferenceReport, better: Better, out: &mut String) -> std::fmt::Result {
    write!(out, "<td>{:+.2} %", 100.0 * one.difference.value)?;
    if let Some([low, high]) = one.difference.interval {
        write!(out, " <small>[{:+.2}, {:+.2}]</small>", 100.0 * low, 100.0 * high)?;
    }
    let (word, class) = match (one.verdict, better) {
        (Verdict::NoDifference, _) => ("no difference", "even"),
        (Verdict::Undecided, _) => ("undecided", "even"),
        (Verdict::More, Better::Neither) => ("more", "even"),
        (Verdict::Less, Better::Neither) => ("less", "even"),
        (Verdict::More, Better::Higher) | (Verdict::Less, Better::Lower) => ("better", "good"),
        (Verdict::More, Better::Lower) | (Verdict::Less, Better::Higher) => ("worse", "bad"),
    };
    write!(out, " <span class=\"{class}\">{word}</span>")
}

/// Bytes a token by script.
fn scripts(comparison: &Comparison, corpus: &CorpusComparison, out: &mut String) -> std::fmt::Result {
    write!(out, "<h3>Bytes per token by script</h3>\n<table>\n<thead><tr><th>script<th>characters")?;
    comparison.tokenizers.iter().try_for_each(|tokenizer| write!(out, "<th>{}", escape(&tokenizer.name)))?;
    writeln!(out, "</tr></thead>\n<tbody>")?;
    let count = corpus.tokens.first().map_or(0, |figures| figures.scripts.len());
    for at in 0..count {
        let of = |tokenizer: usize| &corpus.tokens[tokenizer].scripts[at];
        // A tokenizer that changes texts has counted fewer of them.
        let characters = (0..corpus.tokens.len()).map(|tokenizer| of(tokenizer).characters).max().unwrap_or(0);
        write!(out, "<tr><th>{:?}<td>{}", of(0).script, grouped(characters))?;
        for tokenizer in 0..corpus.tokens.len() {
            let script = of(tokenizer);
            if script.tokens > 0.0 { write!(out, "<td>{:.3}", script.bytes_per_token)? } else { write!(out, "<td>-")? }
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody>\n</table>")
}

/// What each vocabulary is made of, by script and kind.
fn vocabularies(comparison: &Comparison, out: &mut String) -> std::fmt::Result {
    let tokenizers = &comparison.tokenizers;
    write!(out, "<table>\n<thead><tr><th>tokens")?;
    tokenizers.iter().try_for_each(|tokenizer| write!(out, "<th>{}", escape(&tokenizer.name)))?;
    writeln!(out, "</tr></thead>\n<tbody>")?;
    let mut row = |name: &str, values: Vec<String>| -> std::fmt::Result {
        write!(out, "<tr><th>{name}")?;
        values.iter().try_for_each(|value| write!(out, "<td>{value}"))?;
        writeln!(out, "</tr>")
    };
    row("all", tokenizers.iter().map(|one| grouped(one.audit.tokens)).collect())?;
    let classes = tokenizers.first().map_or(0, |one| one.audit.classes.len());
    for at in 0..classes {
        let class = format!("{:?}", tokenizers[0].audit.classes[at].class);
        let share = |one: &super::ComparedTokenizer| {
            let class = &one.audit.classes[at];
            format!("{} <small>({:.1} %)</small>", grouped(class.tokens), 100.0 * class.share)
        };
        row(&class, tokenizers.iter().map(share).collect())?;
    }
    row("that no text comes to", tokenizers.iter().map(|one| grouped(one.audit.unreachable)).collect())?;
    row("fingerprint", tokenizers.iter().map(|one| one.fingerprint.to_string()).collect())?;
    writeln!(out, "</tbody>\n</table>")
}

/// The same text by all tokenizers.
fn side_by_side(comparison: &Comparison, out: &mut String) -> std::fmt::Result {
    writeln!(out, "<h2>The same text by token</h2>")?;
    for corpus in &comparison.corpora {
        writeln!(out, "<div class=\"beside\">")?;
        for (tokenizer, page) in comparison.tokenizers.iter().zip(&corpus.pages) {
            let tokens: usize = page.pieces.iter().map(|piece| piece.ids.len()).sum();
            let [language, name] = [&corpus.name, &tokenizer.name].map(|text| escape(text));
            writeln!(out, "<div><h3>{language}, {name}: {tokens} tokens</h3>")?;
            write_pieces(page, out)?;
            writeln!(out, "</div>")?;
        }
        writeln!(out, "</div>")?;
    }
    Ok(())
}

fn worst(comparison: &Comparison, out: &mut String) -> std::fmt::Result {
    writeln!(out, "<h2>Documents that take most tokens</h2>")?;
    for corpus in &comparison.corpora {
        for (tokenizer, figures) in comparison.tokenizers.iter().zip(&corpus.tokens) {
            let [language, name] = [&corpus.name, &tokenizer.name].map(|text| escape(text));
            writeln!(
                out,
                "<h3>{language}, {name}</h3>\n<table>\n<thead><tr><th>document<th>bytes<th>tokens<th>bytes per token<th>beginning</tr></thead>\n<tbody>"
            )?;
            for one in &figures.worst {
                writeln!(
                    out,
                    "<tr><th>{}<td>{}<td>{}<td>{:.3}<td class=\"excerpt\">{}</tr>",
                    escape(&one.name),
                    grouped(one.bytes),
                    grouped(one.tokens),
                    one.bytes_per_token,
                    escape(&one.excerpt)
                )?;
            }
            writeln!(out, "</tbody>\n</table>")?;
        }
    }
    Ok(())
}
