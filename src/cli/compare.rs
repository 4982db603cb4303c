//! `ciyuan compare`.

use std::path::{Path, PathBuf};

use ciyuan::Error;
use ciyuan::encode::Tokenizer;
use ciyuan::evaluate::{CompareConfig, ComparedCorpus, ComparedText, Comparison, ParallelTexts, comparison_to_html};
use ciyuan::pipeline::{FolderLock, REPORT_FILE, REPORT_PAGE, compare_tokenizers, load_tokenizer};
use ciyuan::segment::{NAMED_PATTERNS, Pattern};
use ciyuan::shard::write_atomic;
use ciyuan::text::Document;

use super::args::ReadArgs;
use super::compare_table::{Style, table};
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::lines::for_each_line;

/// Which tokenizer is better, with intervals, without training a model
///
/// Each figure and each difference comes with an interval of 95 % by a bootstrap over documents, the same for all
/// tokenizers. What comes nearest to a judgement is `kneser_ney_bits_per_byte`: bits for each byte of held-out text by an
/// n-gram model over the tokens, which was trained on the rest. Words are those of the dictionary for Chinese, runs of
/// letters or digits else, or those of --gold.
#[derive(clap::Args)]
#[command(after_help = "\
Example: ciyuan compare out ours=tokenizer.json --on zh=zh.jsonl en=en.jsonl
Example: ciyuan compare out cl100k=cl100k_base.tiktoken --on zh=corpora/zh --markdown
Example: ciyuan compare out1 out2 --on zh=corpora/zh en=corpora/en -o comparison")]
pub(super) struct Args {
    /// Tokenizers, as FILE or NAME=FILE: a tokenizer.json, a .tiktoken file (NAME is its pattern, unless --pattern is given), or a folder that holds a tokenizer.json
    #[arg(value_name = "TOKENIZER", required = true, num_args = 2..)]
    tokenizers: Vec<String>,
    /// Texts, as LANGUAGE=INPUT; several inputs of a language are taken together
    #[arg(long, value_name = "LANGUAGE=INPUT", num_args = 1..)]
    on: Vec<String>,
    /// A file of sentences cut into words by people, a sentence a line, words apart by white space: one more language, `gold`
    #[arg(long, value_name = "FILE")]
    gold: Option<PathBuf>,
    /// Two files that say the same, line by line, as A,B: how many tokens B takes for each of A
    #[arg(long, value_name = "A,B")]
    parallel: Option<String>,
    /// Pattern of .tiktoken files: a name, or a regular expression
    #[arg(long, value_name = "NAME|REGEX")]
    pattern: Option<String>,
    /// Relative difference that does not matter
    #[arg(long, default_value_t = CompareConfig::default().margin, value_name = "SHARE")]
    margin: f64,
    /// Order of the n-gram model, 1 to 6
    #[arg(long, default_value_t = CompareConfig::default().order, value_name = "N")]
    order: usize,
    /// Start of all random numbers
    #[arg(long, default_value_t = CompareConfig::default().seed, value_name = "N")]
    seed: u64,
    /// Show the tables as Markdown
    #[arg(long)]
    markdown: bool,
    /// Folder for report.html, a page by itself, report.json and report.md
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    read: ReadArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let tokenizers = args.tokenizers.iter().map(|named| load(named, args.pattern.as_deref()));
    let tokenizers = tokenizers.collect::<Outcome<Vec<_>>>()?;
    let mut corpora = read(args, context)?;
    if let Some(path) = &args.gold {
        corpora.push(gold(path)?);
    }
    let parallel = args.parallel.as_deref().map(parallel).transpose()?;
    if corpora.is_empty() && parallel.is_none() {
        return Err(Failure::Usage(
            "name texts to compare on: --on zh=FILE, --gold FILE, or --parallel A,B".to_owned(),
        ));
    }
    let config = CompareConfig { margin: args.margin, seed: args.seed, order: args.order };
    let comparison = context
        .with_progress(|progress| compare_tokenizers(&tokenizers, &corpora, parallel.as_ref(), &config, progress))?;
    if let Some(folder) = &args.output {
        write_report(folder, &comparison, &tokenizers)?;
    }
    let style = if args.markdown { Style::Markdown } else { Style::Text };
    context.show(&comparison, || table(&comparison, style))
}

fn write_report(folder: &Path, comparison: &Comparison, tokenizers: &[(String, Tokenizer)]) -> Outcome {
    let _lock = FolderLock::take(folder)?;
    let json = serde_json::to_vec_pretty(comparison).map_err(std::io::Error::from)?;
    write_atomic(&folder.join(REPORT_FILE), &json)?;
    write_atomic(&folder.join(REPORT_PAGE), comparison_to_html(comparison, tokenizers)?.as_bytes())?;
    write_atomic(&folder.join("report.md"), table(comparison, Style::Markdown).as_bytes())?;
    Ok(())
}

/// What people find a document by.
fn name_of(document: &Document) -> String {
    let place = || match document.origin.line {
        0 => document.origin.file.display().to_string(),
        line => format!("{}:{line}", document.origin.file.display()),
    };
    document.id.clone().unwrap_or_else(place)
}

/// A tokenizer of `FILE` or `NAME=FILE`, and its name.
pub(super) fn load(named: &str, pattern: Option<&str>) -> Outcome<(String, Tokenizer)> {
    let (name, path) = match named.split_once('=') {
        Some((name, path)) if !Path::new(named).exists() => (name.to_owned(), PathBuf::from(path)),
        _ => (short_name(Path::new(named)), PathBuf::from(named)),
    };
    let is_tiktoken = path.extension().is_some_and(|extension| extension == "tiktoken");
    let of_name = NAMED_PATTERNS.iter().map(|(known, _)| *known).find(|known| *known == name);
    let pattern = if is_tiktoken { pattern.or(of_name) } else { None };
    if let Some(pattern) = pattern {
        Pattern::parse(pattern)?;
    }
    let tokenizer = load_tokenizer(&path, pattern, &[])?;
    Ok((name, tokenizer))
}

/// The last part of a path that says something: the folder of a `tokenizer.json`, else the file without its ending.
fn short_name(path: &Path) -> String {
    let is_plain = path.file_name().is_some_and(|name| name == "tokenizer.json");
    let folder = path.parent().and_then(Path::file_name).filter(|_| is_plain);
    let name = folder.or_else(|| if path.is_dir() { path.file_name() } else { path.file_stem() });
    name.map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The inputs of each language of `LANGUAGE=INPUT`, in the order of the languages.
pub(super) fn by_language(on: &[String]) -> Outcome<Vec<(&str, Vec<PathBuf>)>> {
    let mut inputs: Vec<(&str, Vec<PathBuf>)> = Vec::new();
    for named in on {
        let wrong = || Failure::Usage(format!("`{named}` in --on is not LANGUAGE=INPUT, as in zh=corpora/zh"));
        let (language, input) = named.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
        match inputs.iter_mut().find(|(known, _)| *known == language) {
            Some((_, inputs)) => inputs.push(input.into()),
            None => inputs.push((language, vec![input.into()])),
        }
    }
    Ok(inputs)
}

fn read(args: &Args, context: &Context) -> Outcome<Vec<ComparedCorpus>> {
    let mut corpora = Vec::new();
    for (language, inputs) in by_language(&args.on)? {
        let mut documents = Vec::new();
        args.read.for_each_document(&inputs, context, |document| {
            let word_ends = word_ends(&document.text);
            documents.push(ComparedText { name: name_of(document), text: document.text.clone(), word_ends });
            Ok(())
        })?;
        if documents.len() == 1 {
            let how = "figures have no interval; `--txt-documents lines` makes each line of a .txt file a document";
            context.note(&format!("`{language}` is a single document, so its {how}"));
        }
        corpora.push(ComparedCorpus { name: language.to_owned(), documents });
    }
    Ok(corpora)
}

#[cfg(feature = "chinese")]
fn word_ends(text: &str) -> Option<Vec<u32>> {
    let mut ends = Vec::new();
    ciyuan::segment::Dictionary::built_in().word_ends(text, &mut ends);
    Some(ends)
}

#[cfg(not(feature = "chinese"))]
fn word_ends(_: &str) -> Option<Vec<u32>> {
    None
}

/// The sentences of a gold file, without the white space between words.
fn gold(path: &Path) -> Outcome<ComparedCorpus> {
    let mut documents = Vec::new();
    for_each_line(&[path.to_owned()], |line| {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for word in line.text.split_whitespace() {
            text.push_str(word);
            ends.push(text.len() as u32);
        }
        if !text.is_empty() {
            let name = format!("{}:{}", path.display(), line.number);
            documents.push(ComparedText { name, text, word_ends: Some(ends) });
        }
        Ok(())
    })?;
    if documents.is_empty() {
        return Err(Error::NoGold { path: path.to_owned() }.into());
    }
    Ok(ComparedCorpus { name: "gold".to_owned(), documents })
}

/// The lines of two files, pair by pair.
fn parallel(files: &str) -> Outcome<ParallelTexts> {
    let usage = |why: String| Failure::Usage(format!("--parallel {files}: {why}"));
    let (first, second) = files.split_once(',').ok_or_else(|| usage("write two files, as A,B".to_owned()))?;
    let lines = |path: &str| -> Outcome<Vec<String>> {
        let mut lines = Vec::new();
        for_each_line(&[path.into()], |line| {
            lines.push(line.text.to_owned());
            Ok(())
        })?;
        Ok(lines)
    };
    let (first, second) = (lines(first)?, lines(second)?);
    if first.len() != second.len() {
        return Err(usage(format!("one has {} lines, the other {}", first.len(), second.len())));
    }
    Ok(ParallelTexts { pairs: first.into_iter().zip(second).map(|(first, second)| [first, second]).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = |path: &str| short_name(Path::new(path));
        assert_eq!(name("runs/small/tokenizer.json"), "small");
        assert_eq!(name("tokenizer.json"), "tokenizer");
        assert_eq!(name("a/cl100k_base.tiktoken"), "cl100k_base");
    }
}
