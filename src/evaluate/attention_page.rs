//! What the attention of a GPT looks at, as one page in the report's form: no network, no scripts, light and dark.
//!
//! A square of each head: a row for each token, a column for each token it can look at, the stronger the higher the weight.

use std::fmt::Write;

use super::html::{STYLE, escape};
use crate::model::AttentionHead;

/// Weights below this share are not drawn: a text of 128 tokens has 8,256 squares a head.
const LEAST: f64 = 0.005;

/// Side of a square, and room for the labels, in units of the picture.
const SIDE: usize = 14;
const LABELS: usize = 74;

/// Characters of a label; the whole token stands in the titles.
const LABEL_LENGTH: usize = 9;

const OWN_STYLE: &str = ".heads { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: .8rem; }
.heads figure { margin: 0; background: none; } .heads text { fill: var(--soft); font-size: 9px; }
.heads rect { fill: var(--ink); } .heads .all { fill: none; stroke: var(--line); } figcaption { color: var(--soft); font-size: .85rem; }
";

/// The page: `tokens` as they are shown, and each layer's heads over them.
#[must_use]
pub fn attention_to_html(tokens: &[String], layers: &[Vec<AttentionHead>]) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(tokens, layers, &mut out);
    out
}

fn write(tokens: &[String], layers: &[Vec<AttentionHead>], out: &mut String) -> std::fmt::Result {
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>ciyuan attention</title>\n<style>\n{STYLE}{OWN_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>ciyuan <span lang=\"zh\">词元</span> attention</h1>\n"
    )?;
    let heads = layers.first().map_or(0, Vec::len);
    writeln!(
        out,
        "<p class=\"lead\">{} tokens, {} layers of {heads} heads: what each token looks at.</p>\n<p class=\"page\">",
        tokens.len(),
        layers.len()
    )?;
    for (at, token) in tokens.iter().enumerate() {
        write!(out, "<span class=\"t{}\" title=\"{at}\">{}</span>", at % 5, escape(token))?;
    }
    writeln!(
        out,
        "</p>\n<p class=\"note\">A row is the token that looks, a column the one it looks at; the weights of a row sum to 1, and nothing looks ahead. \
         Weights below {LEAST} are not drawn.</p>"
    )?;
    for (layer, heads) in layers.iter().enumerate() {
        writeln!(out, "<h2>Layer {layer}</h2>\n<div class=\"heads\">")?;
        for (head, shown) in heads.iter().enumerate() {
            write!(out, "<figure>")?;
            square(tokens, shown, out)?;
            writeln!(
                out,
                "<figcaption>head {layer}.{head}: {:.1} tokens back, {:.2} bits of entropy{}</figcaption></figure>",
                shown.distance(),
                shown.entropy(),
                strongest(tokens, shown)
            )?;
        }
        writeln!(out, "</div>")?;
    }
    writeln!(out, "<footer>Made by ciyuan {}.</footer>\n</main>\n</body>\n</html>", env!("CARGO_PKG_VERSION"))
}

fn strongest(tokens: &[String], head: &AttentionHead) -> String {
    head.strongest().map_or_else(String::new, |(from, to, weight)| {
        format!(", strongest {} → {} {weight:.2}", escape(&tokens[from]), escape(&tokens[to]))
    })
}

fn square(tokens: &[String], head: &AttentionHead, out: &mut String) -> std::fmt::Result {
    let (side, count) = (SIDE * head.tokens, head.tokens);
    let whole = LABELS + side + 2;
    write!(out, "<svg viewBox=\"0 0 {whole} {whole}\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\">")?;
    write!(out, "<rect class=\"all\" x=\"{LABELS}\" y=\"{LABELS}\" width=\"{side}\" height=\"{side}\"/>")?;
    for (at, token) in tokens.iter().enumerate().take(count) {
        let middle = LABELS + SIDE * at + SIDE / 2 + 3;
        let (label, end) = (escape(&label(token)), LABELS - 4);
        write!(out, "<text x=\"{end}\" y=\"{middle}\" text-anchor=\"end\">{label}</text>")?;
        write!(out, "<text transform=\"translate({middle} {end}) rotate(-90)\">{label}</text>")?;
    }
    for from in 0..count {
        for (to, weight) in head.row(from).iter().enumerate().filter(|(_, weight)| **weight >= LEAST) {
            let (x, y) = (LABELS + SIDE * to, LABELS + SIDE * from);
            write!(
                out,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{SIDE}\" height=\"{SIDE}\" fill-opacity=\"{weight:.2}\"><title>{} → {}: {weight:.3}</title></rect>",
                escape(&tokens[from]),
                escape(&tokens[to])
            )?;
        }
    }
    writeln!(out, "</svg>")
}

fn label(token: &str) -> String {
    match token.chars().count() > LABEL_LENGTH {
        true => token.chars().take(LABEL_LENGTH - 1).chain(['…']).collect(),
        false => token.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(weights: Vec<f64>) -> AttentionHead {
        let none = Vec::new;
        AttentionHead { tokens: 2, width: 0, queries: none(), keys: none(), values: none(), scores: none(), weights }
    }

    #[test]
    fn every_weight_has_its_square_and_text_stays_text() {
        let tokens = ["<b>".to_owned(), "a&\"词元词元词元词元".to_owned()];
        let layers = [vec![head(vec![1.0, 0.0, 0.25, 0.75])], vec![head(vec![1.0, 0.0, 0.999, 0.001])]];
        let page = attention_to_html(&tokens, &layers);
        // Three squares of the first head; two of the second, whose least is below what is drawn.
        assert_eq!(page.matches("<title>").count(), 1 + 3 + 2);
        assert!(
            page.contains("fill-opacity=\"0.25\"><title>a&amp;&quot;词元词元词元词元 → &lt;b&gt;: 0.250</title>"),
            "{page}"
        );
        assert!(!page.contains("<b>") && page.contains(">a&amp;&quot;词元词元词…</text>"), "{page}");
        assert!(page.contains("head 1.0: 1.0 tokens back") && page.contains("prefers-color-scheme: dark"));
        assert_eq!(page.matches("<svg ").count(), 2);
        assert!(!page.contains("http-equiv") && !page.contains("<script") && !page.contains("src="));
        assert!(attention_to_html(&[], &[]).contains("0 tokens"));
    }
}
