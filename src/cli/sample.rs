//! `ciyuan sample`.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;

use ciyuan::model::{SampleConfig, Sampler};
use ciyuan::pipeline::AnyModel;
use serde::Serialize;

use super::context::Context;
use super::failure::{Failure, Outcome};
use super::model::load;

/// Text from a model, token by token until the end-of-text token or a length
#[derive(clap::Args)]
#[command(after_help = "Example: ciyuan sample out --prompt 今天 --max-tokens 60")]
pub(super) struct Args {
    /// A folder made by `prepare` or `train`
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// What the text begins with
    #[arg(long, default_value = "", value_name = "TEXT")]
    prompt: String,
    /// The most tokens to draw
    #[arg(long, default_value_t = SampleConfig::default().max_tokens, value_name = "N")]
    max_tokens: usize,
    /// Below 1 likely tokens become likelier; 0 always takes the likeliest
    #[arg(long, default_value_t = SampleConfig::default().temperature, value_name = "T")]
    temperature: f64,
    /// Draw only from so many of the likeliest tokens; 0 for all
    #[arg(long, default_value_t = SampleConfig::default().top_k, value_name = "N")]
    top_k: usize,
    /// Start of the random numbers
    #[arg(long, default_value_t = SampleConfig::default().seed, value_name = "N")]
    seed: u64,
}

#[derive(Serialize)]
struct Result<'a> {
    prompt: &'a str,
    continuation: String,
    ids: Vec<u32>,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let (model, tokenizer) = load(&args.folder)?;
    let Args { max_tokens, temperature, top_k, seed, .. } = *args;
    let end = tokenizer.spec().special().end_of_text();
    let prompt = tokenizer.encode(&args.prompt)?;
    let sequence: Vec<u32> = end.into_iter().chain(prompt).collect();
    if sequence.is_empty() {
        return Err(Failure::Usage(
            "this tokenizer has no end-of-text token to begin with; give a --prompt".to_owned(),
        ));
    }
    let config = SampleConfig { max_tokens, temperature, top_k, seed };
    let mut stream = Stream { held: Vec::new(), written: Ok(()) };
    if !context.json {
        stream.write(args.prompt.as_bytes());
    }
    let drawn = &mut |id| {
        if !context.json {
            stream.write(tokenizer.token_bytes(id).unwrap_or_default());
        }
        if context.stopped() || stream.written.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let ids = match &model {
        AnyModel::Gpt(gpt) => Sampler::new(gpt, config)?.sample(&sequence, end, drawn),
        AnyModel::Recurrent(model) => model.sample(&sequence, config, end, drawn)?,
        AnyModel::Unigram(_) | AnyModel::NGram(_) => {
            return Err(Failure::Usage("models that count are not saved, and do not write".to_owned()));
        }
    };
    let continuation = String::from_utf8_lossy(&tokenizer.decode(&ids)?).into_owned();
    if context.json {
        return context.show(&Result { prompt: &args.prompt, continuation, ids }, String::new);
    }
    stream.end()
}

/// Writes text as it comes, but never half a character.
struct Stream {
    held: Vec<u8>,
    written: std::io::Result<()>,
}

impl Stream {
    fn write(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.held) {
            Ok(_) => self.held.len(),
            // The end of a character may still come.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => self.held.len(),
        };
        let text = String::from_utf8_lossy(&self.held[..whole]).into_owned();
        self.held.drain(..whole);
        let mut out = std::io::stdout().lock();
        self.written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn end(self) -> Outcome {
        self.written?;
        let mut out = std::io::stdout().lock();
        out.write_all(String::from_utf8_lossy(&self.held).as_bytes())?;
        out.write_all(b"\n")?;
        out.flush()?;
        Ok(())
    }
}
