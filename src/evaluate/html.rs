//! The report as one page: no network, no scripts, light and dark, for screen and print.

use std::fmt::Write;

use super::plots;
use super::report::{ColouredPage, LanguageReport, Report};
use super::summary::{accounted, grouped};

pub(super) const STYLE: &str = include_str!("report.css");

/// The page.
#[must_use]
pub fn to_html(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(report, &mut out);
    out
}

/// The beginning of a page, up to its first heading. No page may ask a network for anything.
pub(super) fn head(title: &str, what: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>ciyuan <span lang=\"zh\">词元</span> {what}</h1>\n"
    )
}

fn write(report: &Report, out: &mut String) -> std::fmt::Result {
    out.push_str(&head("ciyuan report", ""));
    headline(report, out)?;
    languages(report, out)?;
    writeln!(out, "<h2>Training</h2>\n<figure>{}</figure>", plots::loss_curve(&report.model.steps))?;
    facts(out, &training_facts(report))?;
    samples(report, out)?;
    writeln!(out, "<h2>Tokenizer</h2>")?;
    facts(out, &tokenizer_facts(report))?;
    writeln!(out, "<figure>{}</figure>", plots::token_lengths(&report.tokenizer))?;
    longest(report, out)?;
    report.pages.iter().try_for_each(|page| coloured(page, out))?;
    writeln!(out, "<h2>Corpus</h2>")?;
    facts(out, &corpus_facts(report))?;
    settings(report, out)?;
    writeln!(
        out,
        "<footer>Made by ciyuan {}; the same figures stand in report.json.</footer>\n</main>\n</body>\n</html>",
        escape(&report.ciyuan)
    )
}

fn headline(report: &Report, out: &mut String) -> std::fmt::Result {
    let tokens = grouped(u64::from(report.tokenizer.vocab_size));
    let bytes = grouped(report.input.bytes.left);
    write!(out, "<p class=\"lead\">A tokenizer of {tokens} tokens, learned from {bytes} bytes of text")?;
    match &report.all {
        Some(all) => writeln!(
            out,
            "; with it a small GPT codes held-out text at <b>{:.3} bits per byte</b>.</p>",
            all.bits_per_byte
        ),
        None => writeln!(out, ".</p>"),
    }
}

fn languages(report: &Report, out: &mut String) -> std::fmt::Result {
    writeln!(out, "<h2>Held-out text</h2>")?;
    if report.languages.is_empty() {
        return writeln!(out, "<p>No document was held out.</p>");
    }
    writeln!(
        out,
        "<table>\n<thead><tr><th>language<th>documents<th>bytes<th>tokens<th>bytes per token<th>bits per byte<th>zstd -19<th>xz -9<th>byte unigram</tr></thead>\n<tbody>"
    )?;
    let mut row = |row: &LanguageReport| {
        let LanguageReport { language, documents, bytes, tokens, bytes_per_token, bits_per_byte, anchors, .. } = row;
        let [documents, bytes, tokens] = [*documents, *bytes, *tokens].map(grouped);
        writeln!(
            out,
            "<tr><th>{}<td>{documents}<td>{bytes}<td>{tokens}<td>{bytes_per_token:.2}<td><b>{bits_per_byte:.3}</b><td>{:.3}<td>{:.3}<td>{:.3}</tr>",
            escape(language),
            anchors.zstd,
            anchors.xz,
            anchors.unigram
        )
    };
    report.languages.iter().chain(&report.all).try_for_each(&mut row)?;
    writeln!(
        out,
        "</tbody>\n</table>\n<p class=\"note\">Bits per byte: the model's bits for all text tokens, divided by the raw UTF-8 bytes of the documents; every \
         byte is scored once. Less is better. The compressors see the held-out bytes alone, the model has learned from the training text.</p>"
    )
}

type Fact = (&'static str, String);

fn facts(out: &mut String, facts: &[Fact]) -> std::fmt::Result {
    writeln!(out, "<dl>")?;
    facts.iter().try_for_each(|(name, value)| writeln!(out, "<dt>{name}<dd>{}", escape(value)))?;
    writeln!(out, "</dl>")
}

fn training_facts(report: &Report) -> Vec<Fact> {
    let model = &report.model;
    let gpt = &model.gpt;
    vec![
        (
            "model",
            format!("GPT, {} layers, {} heads, width {}, context {}", gpt.layers, gpt.heads, gpt.width, gpt.context),
        ),
        ("parameters", grouped(model.parameters)),
        ("steps", format!("{} of {} windows", grouped(model.steps.len() as u64), model.training.batch)),
        ("tokens seen", grouped(model.tokens)),
        ("final loss", format!("{:.3} nats a token (mean of the last tenth)", model.final_loss())),
    ]
}

fn tokenizer_facts(report: &Report) -> Vec<Fact> {
    let tokenizer = &report.tokenizer;
    vec![
        ("tokens", grouped(u64::from(tokenizer.vocab_size))),
        ("merges", grouped(tokenizer.merges)),
        ("pattern", tokenizer.pattern.clone()),
        ("Chinese", tokenizer.han.clone()),
        ("fingerprint", tokenizer.fingerprint.to_string()),
    ]
}

fn corpus_facts(report: &Report) -> Vec<Fact> {
    let input = &report.input;
    let shards = |corpus: &super::CorpusReport| {
        format!(
            "{} shards, {} documents, {} bytes, {} tokens",
            grouped(corpus.shards),
            grouped(corpus.documents),
            grouped(corpus.bytes),
            grouped(corpus.tokens)
        )
    };
    vec![
        ("files", format!("{} read, {} skipped", grouped(input.files), grouped(input.skipped.len() as u64))),
        ("documents", accounted(&input.documents)),
        ("bytes", accounted(&input.bytes)),
        ("train", shards(&report.train)),
        ("held out", shards(&report.val)),
    ]
}

fn samples(report: &Report, out: &mut String) -> std::fmt::Result {
    if report.samples.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>What it writes</h2>")?;
    for sample in &report.samples {
        let [language, prompt, continuation] =
            [&sample.language, &sample.prompt, &sample.continuation].map(|text| escape(text));
        writeln!(
            out,
            "<p class=\"sample\" lang=\"{language}\"><span class=\"prompt\">{prompt}</span>{continuation}</p>"
        )?;
    }
    Ok(())
}

fn longest(report: &Report, out: &mut String) -> std::fmt::Result {
    writeln!(out, "<p>Longest tokens:")?;
    let visible = |token: &String| escape(&token.replace(' ', "␣").replace('\n', "⏎"));
    report.tokenizer.longest.iter().try_for_each(|token| writeln!(out, " <code>{}</code>", visible(token)))?;
    writeln!(out, "</p>")
}

fn coloured(page: &ColouredPage, out: &mut String) -> std::fmt::Result {
    let language = escape(&page.language);
    writeln!(out, "<h3>Held-out text by token, {language}</h3>")?;
    write_pieces(page, out)
}

/// A page in the colours of its tokens, each with its ids.
pub(super) fn write_pieces(page: &ColouredPage, out: &mut String) -> std::fmt::Result {
    write!(out, "<p class=\"page\" lang=\"{}\">", escape(&page.language))?;
    for (at, piece) in page.pieces.iter().enumerate() {
        let ids = piece.ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        write!(out, "<span class=\"t{}\" title=\"{ids}\">{}</span>", at % 5, escape(&piece.text))?;
    }
    writeln!(out, "</p>")
}

fn settings(report: &Report, out: &mut String) -> std::fmt::Result {
    writeln!(out, "<h2>Settings and times</h2>\n<dl>")?;
    for (name, value) in &report.settings {
        writeln!(out, "<dt>{}<dd>{}", escape(name), escape(&value.to_string()))?;
    }
    for (stage, seconds) in &report.seconds {
        writeln!(out, "<dt>{} <dd>{seconds:.1} s", escape(stage))?;
    }
    writeln!(out, "</dl>")
}

pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            // Control characters are not allowed in HTML text, and NUL would end it.
            c if c.is_control() => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        assert_eq!(escape("<script>\"&\0\u{1B}词\n"), "&lt;script&gt;&quot;&amp;\u{FFFD}\u{FFFD}词\n");
    }
}
