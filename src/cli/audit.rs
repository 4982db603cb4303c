//! An audit of a vocabulary as a table.

use std::path::PathBuf;

use ciyuan::encode::Tokenizer;
use ciyuan::evaluate::{
    ClassAudit, Finding, FindingKind, TokenAudit, TokenClass, UseCounter, UseReport, VocabularyAudit,
};

use super::args::ReadArgs;
use super::context::Context;
use super::failure::Outcome;
use super::table::render;

/// The audit of a tokenizer, and of what texts use of it, if there are some.
pub(super) fn audit_of(
    tokenizer: &Tokenizer,
    texts: &[PathBuf],
    read: &ReadArgs,
    context: &Context,
) -> Outcome<VocabularyAudit> {
    let mut audit = VocabularyAudit::of(tokenizer);
    if !texts.is_empty() {
        let mut counter = UseCounter::new(tokenizer);
        read.for_each_document(texts, context, |document| {
            let place = |error: ciyuan::Error| error.in_document(&*document.origin.file, document.origin.line);
            counter.add(&document.text).map_err(place)
        })?;
        audit.texts = counter.report();
        audit.findings.extend(counter.never_used());
    }
    Ok(audit)
}

/// The audit for people.
pub(super) fn audit_table(audit: &VocabularyAudit) -> String {
    let head = ["class", "tokens", "share", "longest"].map(str::to_owned).to_vec();
    let classes: Vec<Vec<String>> = [head].into_iter().chain(audit.classes.iter().map(class_row)).collect();
    let VocabularyAudit { tokens, learned, learned_text, learned_text_share, unreachable, .. } = audit;
    let named = match unreachable {
        0 => "none".to_owned(),
        count => format!("{count}, the first {}", list(&audit.first_unreachable)),
    };
    let mut out = render_left(&classes);
    out.push_str(&format!(
        "\ntokens        {tokens}\nlearned       {learned}, of which {learned_text} are text ({})\ncharacters    {}\nunreachable   {named}\n",
        percent(*learned_text_share),
        lengths(audit),
    ));
    if !audit.findings.is_empty() {
        let head = ["finding", "tokens", "for example"].map(str::to_owned).to_vec();
        let row = |one: &Finding| vec![finding(one.kind).to_owned(), one.tokens.to_string(), list(&one.examples)];
        out.push('\n');
        out.push_str(&render_left(&[head].into_iter().chain(audit.findings.iter().map(row)).collect::<Vec<_>>()));
    }
    if !audit.texts.is_empty() {
        out.push('\n');
        out.push_str(&uses(&audit.texts));
    }
    out
}

fn class_row(row: &ClassAudit) -> Vec<String> {
    vec![name(row.class).to_owned(), row.tokens.to_string(), percent(row.share), list(&row.longest)]
}

fn name(class: TokenClass) -> &'static str {
    match class {
        TokenClass::Han => "Han",
        TokenClass::Latin => "Latin",
        TokenClass::Other => "other scripts",
        TokenClass::Digits => "digits",
        TokenClass::Punctuation => "punctuation, symbols",
        TokenClass::WhiteSpace => "white space",
        TokenClass::Mixed => "mixed",
        TokenClass::Piece => "pieces of a character",
        TokenClass::Crossing => "across characters",
        TokenClass::Added => "added",
    }
}

fn finding(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Unreachable => "no text comes to it",
        FindingKind::AcrossCharacters => "over the edge of a character",
        FindingKind::LongHan => "Chinese, six characters or more",
        FindingKind::SpecialLookAlike => "looks special",
        FindingKind::SpaceDuplicate => "another with a space before it",
        FindingKind::CaseDuplicate => "another with capitals",
        FindingKind::NeverUsed => "not used by the texts",
    }
}

/// What a strict audit fails for, in a line; `None` where there is nothing.
pub(super) fn strict_findings(audit: &VocabularyAudit) -> Option<String> {
    let strict = audit.findings.iter().filter(|one| one.kind.is_strict());
    let told: Vec<String> = strict.map(|one| format!("{} tokens: {}", one.tokens, finding(one.kind))).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// Tokens in quotation marks; of a long one the beginning.
fn list(tokens: &[TokenAudit]) -> String {
    const LONGEST: usize = 24;
    let shown = |token: &TokenAudit| match token.token.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", &token.token[..end]),
        None => format!("`{}`", token.token),
    };
    tokens.iter().map(shown).collect::<Vec<_>>().join(" ")
}

/// Lengths up to a few characters, and all that are longer together.
fn lengths(audit: &VocabularyAudit) -> String {
    const ALONE: u32 = 6;
    let mut parts: Vec<String> =
        audit.characters.range(..=ALONE).map(|(length, count)| format!("{length}: {count}")).collect();
    let longer: u64 = audit.characters.range(ALONE + 1..).map(|(_, count)| count).sum();
    parts.extend((longer > 0).then(|| format!("more: {longer}")));
    parts.join("  ")
}

fn uses(rows: &[UseReport]) -> String {
    let head = ["texts", "documents", "bytes", "tokens", "bytes/token", "characters/token", "used", "of vocabulary"];
    let row = |row: &UseReport| {
        let mut cells = vec![row.language.to_owned()];
        cells.extend([row.documents, row.bytes, row.tokens].map(|number| number.to_string()));
        cells.extend([row.bytes_per_token, row.characters_per_token].map(|ratio| format!("{ratio:.2}")));
        cells.extend([row.used.to_string(), percent(row.used_share)]);
        cells
    };
    render(&[head.map(str::to_owned).to_vec()].into_iter().chain(rows.iter().map(row)).collect::<Vec<_>>())
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// As [`render`], with the last column, which is text, behind the others as it is.
fn render_left(rows: &[Vec<String>]) -> String {
    let split = |row: &Vec<String>| row.split_last().map(|(last, figures)| (figures.to_vec(), last.clone()));
    let (figures, last): (Vec<Vec<String>>, Vec<String>) = rows.iter().filter_map(split).unzip();
    let joined = |(line, last): (&str, &String)| format!("{line}  {last}").trim_end().to_owned() + "\n";
    render(&figures).lines().zip(&last).map(joined).collect()
}
