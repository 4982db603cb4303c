//! `ciyuan sample`.

use std::fmt::Write as _;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;

use ciyuan::Error;
use ciyuan::encode::{DecodeStream, Tokenizer};
use ciyuan::model::{Draw, SampleConfig, Sampler};
use ciyuan::pipeline::AnyModel;
use serde::Serialize;

use super::context::Context;
use super::explain::readable;
use super::failure::{Failure, Outcome};
use super::model::load;

/// Text from a model, token by token until the end-of-text token or a length
#[derive(clap::Args)]
#[command(after_help = "\
Example: ciyuan sample out --prompt 今天 --max-tokens 60
Example: ciyuan sample out --prompt 今天 --max-tokens 3 --show 5")]
pub(super) struct Args {
    /// A folder made by `prepare` or `train`
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// What the text begins with; for several texts it may be given several times
    #[arg(long, value_name = "TEXT")]
    prompt: Vec<String>,
    /// A file with a prompt a line
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// The most tokens to draw
    #[arg(long, default_value_t = SampleConfig::default().max_tokens, value_name = "N")]
    max_tokens: usize,
    /// Below 1 likely tokens become likelier; 0 always takes the likeliest
    #[arg(long, default_value_t = SampleConfig::default().temperature, value_name = "T")]
    temperature: f64,
    /// Draw only from so many of the likeliest tokens; 0 for all
    #[arg(long, default_value_t = SampleConfig::default().top_k, value_name = "N")]
    top_k: usize,
    /// Draw only from the fewest tokens whose shares come to this; 1 for all
    #[arg(long, default_value_t = SampleConfig::default().top_p, value_name = "SHARE")]
    top_p: f64,
    /// Above 1 tokens that stand in the text already become less likely
    #[arg(long, default_value_t = SampleConfig::default().repetition_penalty, value_name = "P")]
    repetition_penalty: f64,
    /// Start of the random numbers, the same for each prompt
    #[arg(long, default_value_t = SampleConfig::default().seed, value_name = "N")]
    seed: u64,
    /// In place of the text show for each token the likeliest N that could be drawn, and their shares
    #[arg(long, value_name = "N")]
    show: Option<usize>,
}

#[derive(Serialize)]
struct Sample<'a> {
    prompt: &'a str,
    continuation: String,
    ids: Vec<u32>,
}

#[derive(Serialize)]
struct Samples<'a> {
    samples: Vec<Sample<'a>>,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let (model, tokenizer) = load(&args.folder)?;
    let Args { max_tokens, temperature, top_k, top_p, repetition_penalty, seed, .. } = *args;
    let config = SampleConfig { max_tokens, temperature, top_k, top_p, repetition_penalty, seed };
    // Before a prompt is written.
    config.check()?;
    let mut prompts = args.prompt.clone();
    if let Some(path) = &args.prompts {
        let text = std::fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
        prompts.extend(text.lines().map(str::to_owned));
    }
    if prompts.is_empty() {
        prompts.push(String::new());
    }
    let mut samples = Vec::new();
    for prompt in &prompts {
        samples.push(sample(config, args.show, context, (&model, &tokenizer), prompt)?);
        if context.stopped() {
            break;
        }
    }
    match (context.json, samples.len()) {
        (false, _) => Ok(()),
        (true, 1) => context.show(&samples[0], String::new),
        (true, _) => context.show(&Samples { samples }, String::new),
    }
}

/// Draws the text behind one prompt, and writes it as it comes unless JSON is asked for.
fn sample<'p>(
    config: SampleConfig,
    show: Option<usize>,
    context: &Context,
    (model, tokenizer): (&AnyModel, &Tokenizer),
    prompt: &'p str,
) -> Outcome<Sample<'p>> {
    let end = tokenizer.spec().special().end_of_text();
    let sequence: Vec<u32> = end.into_iter().chain(tokenizer.encode(prompt)?).collect();
    if sequence.is_empty() {
        return Err(Failure::Usage(
            "this tokenizer has no end-of-text token to begin with; give a --prompt".to_owned(),
        ));
    }
    let mut stream = DecodeStream::new(tokenizer);
    // The first failure to write ends the drawing.
    let mut written = if context.json || show.is_some() { Ok(()) } else { write(prompt) };
    let told = &mut |draw: Draw<'_>| {
        written = match show {
            _ if context.json || written.is_err() => std::mem::replace(&mut written, Ok(())),
            Some(count) => write(&shown(tokenizer, &draw, count)),
            None if Some(draw.id) == end => Ok(()),
            None => stream.push(draw.id).map_err(Failure::from).and_then(write),
        };
        if context.stopped() || written.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let ids = match model {
        AnyModel::Gpt(gpt) => Sampler::new(gpt, config)?.sample(&sequence, end, told),
        AnyModel::Recurrent(model) => model.sample(&sequence, config, end, told)?,
        AnyModel::Unigram(_) | AnyModel::NGram(_) => {
            return Err(Failure::Usage("models that count are not saved, and do not write".to_owned()));
        }
    };
    written?;
    if !context.json && show.is_none() {
        write(stream.finish())?;
    }
    if !context.json {
        write("\n")?;
    }
    Ok(Sample { prompt, continuation: String::from_utf8_lossy(&tokenizer.decode(&ids)?).into_owned(), ids })
}

fn write(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// A line of what could be drawn: what was, then the likeliest with their shares.
fn shown(tokenizer: &Tokenizer, draw: &Draw<'_>, count: usize) -> String {
    let name = |id| readable(tokenizer.token_bytes(id).unwrap_or_default());
    let mut line = format!("{}\t", name(draw.id));
    for &(id, share) in draw.choices.iter().take(count) {
        // Writing into a string does not fail.
        let _ = write!(line, " {} {share:.3}", name(id));
    }
    line.push('\n');
    line
}
