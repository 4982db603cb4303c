//! `ciyuan probe`.

use std::path::PathBuf;

use ciyuan::evaluate::probe_to_html;
use ciyuan::model::{GptForm, Precision};
use ciyuan::pipeline::{
    FolderLock, LearnSettings, Probe, ProbeArm, ProbeCorpus, ProbeSettings, REPORT_FILE, REPORT_PAGE, ValFraction,
};
use ciyuan::shard::write_atomic;
use clap::Parser;

use super::args::{LearnArgs, ReadArgs, RejectArgs, val_fraction, word};
use super::compare::{by_language, load};
use super::compare_table::Style;
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::probe_table::{plan_table, report_table};

/// Which tokenizer is better for a language model, asked of small GPTs
///
/// Each tokenizer is trained with the same seeds, on the same bytes, with the same bytes of context and bodies of one size;
/// held-out text is then scored in bits per byte. Differences come with intervals of 95 % over seeds, after equal bytes and
/// after equal computing. The first tokenizer is trained again with other seeds to show what nothing looks like, and there is
/// no verdict before models are better than n-grams. Bytes and characters stand beside them as scales.
///
/// With --vary the tokenizers are learned here, from the texts for training alone: one for each combination of the values.
/// The output folder holds report.html, report.json and report.md, and the finished trainings: a probe that was stopped goes on when the same command is given again.
#[derive(clap::Args)]
#[command(after_help = "\
Example: ciyuan probe out1 out2 --on zh=zh.jsonl en=en.jsonl -o probe
         ciyuan probe --vary han=learn-words,runs,words --vary vocab-size=4096 --on zh=zh.jsonl en=en.jsonl -o probe
         ciyuan probe --vary pattern=ciyuan,cl100k --vary vocab-size=4096,8192 --on zh=zh.jsonl -o probe --dry-run")]
pub(super) struct Args {
    /// Tokenizers, as FILE or NAME=FILE: a tokenizer.json, a .tiktoken file (NAME is its pattern, unless --pattern is given), or a folder that holds a tokenizer.json
    #[arg(value_name = "TOKENIZER", required_unless_present = "vary")]
    tokenizers: Vec<String>,
    /// A flag of `learn` and its values, of each of which a tokenizer is learned; several are combined. Flags without a value are `yes` or `no`
    #[arg(long, value_name = "FLAG=VALUE,VALUE")]
    vary: Vec<String>,
    /// Texts, as LANGUAGE=INPUT; several inputs of a language are taken together
    #[arg(long, value_name = "LANGUAGE=INPUT", num_args = 1.., required = true)]
    on: Vec<String>,
    /// Folder for the report and for finished trainings
    #[arg(long, short, value_name = "DIR", required_unless_present = "dry_run")]
    output: Option<PathBuf>,
    /// Show what would be done and how long it may take, and end
    #[arg(long)]
    dry_run: bool,
    /// Show the tables as Markdown
    #[arg(long)]
    markdown: bool,
    /// Pattern of .tiktoken files: a name, or a regular expression
    #[arg(long, value_name = "NAME|REGEX")]
    pattern: Option<String>,
    #[command(flatten)]
    design: Design,
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    read: ReadArgs,
}

/// What is compared how often.
#[derive(clap::Args)]
#[command(next_help_heading = "Design")]
struct Design {
    /// Trainings of each tokenizer, with the same seeds for all
    #[arg(long, default_value_t = ProbeSettings::default().seeds, value_name = "N")]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = ProbeSettings::default().seed, value_name = "N")]
    seed: u64,
    /// Relative difference that does not matter
    #[arg(long, default_value_t = ProbeSettings::default().margin, value_name = "SHARE")]
    margin: f64,
    /// Share of each corpus that is held out, by a hash of its documents; `auto`: a tenth, but 400 KB at the most
    #[arg(long, default_value = "auto", value_parser = val_fraction, value_name = "SHARE|auto")]
    val: ValFraction,
    /// Train no models of bytes and of characters beside the tokenizers
    #[arg(long)]
    no_anchors: bool,
    /// Do not train the first tokenizer again with other seeds
    #[arg(long)]
    no_noise: bool,
    /// Compare after equal bytes only
    #[arg(long)]
    no_equal_compute: bool,
    /// Places of each corpus where held-out text is cut, to see what the end of a prompt costs
    #[arg(long, default_value_t = ProbeSettings::default().cuts, value_name = "N")]
    cuts: usize,
    /// Allow a vocabulary that is large beside the model
    #[arg(long)]
    force: bool,
}

/// The models and their training.
#[derive(clap::Args)]
#[command(next_help_heading = "Model")]
struct Model {
    /// Bytes of text in a window, about
    #[arg(long, default_value_t = ProbeSettings::default().context_bytes, value_name = "BYTES")]
    context_bytes: u64,
    /// Windows a step
    #[arg(long, default_value_t = ProbeSettings::default().batch, value_name = "N")]
    batch: usize,
    /// How often the texts for training are gone through
    #[arg(long, default_value_t = ProbeSettings::default().epochs, value_name = "N")]
    epochs: f64,
    /// Layers
    #[arg(long, default_value_t = ProbeSettings::default().layers, value_name = "N")]
    layers: usize,
    /// Attention heads
    #[arg(long, default_value_t = ProbeSettings::default().heads, value_name = "N")]
    heads: usize,
    /// Width, a multiple of the heads
    #[arg(long, default_value_t = ProbeSettings::default().width, value_name = "N")]
    width: usize,
    /// What the parts of the models are: GPT-2's, or today's
    #[arg(long, default_value = "modern", value_parser = ["gpt2", "modern"], value_name = "FORM")]
    form: String,
    /// What activations and weights are rounded to before they are multiplied in training, as in `train`. bf16 is faster where
    /// the processor multiplies it (AMX, AVX512-BF16), and imitated elsewhere
    #[arg(long, default_value = "f32", value_parser = word::<Precision>(&["f32", "bf16"]))]
    precision: Precision,
    /// Learning rates to try, by commas; each tokenizer gets its best
    #[arg(long, value_delimiter = ',', default_values_t = ProbeSettings::default().learning_rates, value_name = "LIST")]
    learning_rates: Vec<f64>,
    /// The part of a training for which each of them is tried
    #[arg(long, default_value_t = ProbeSettings::default().sweep, value_name = "SHARE")]
    sweep: f64,
}

impl Args {
    fn settings(&self) -> ProbeSettings {
        let Design { seeds, seed, margin, val, no_anchors, no_noise, no_equal_compute, cuts, force } = self.design;
        let Model {
            context_bytes,
            batch,
            epochs,
            layers,
            heads,
            width,
            ref form,
            precision,
            ref learning_rates,
            sweep,
        } = self.model;
        ProbeSettings {
            seeds,
            seed,
            margin,
            context_bytes,
            batch,
            epochs,
            layers,
            heads,
            width,
            form: if form == "modern" { GptForm::MODERN } else { GptForm::GPT2 },
            precision,
            learning_rates: learning_rates.clone(),
            sweep,
            val,
            anchors: !no_anchors,
            noise: !no_noise,
            equal_compute: !no_equal_compute,
            cuts,
            force,
        }
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let mut arms = Vec::new();
    for named in &args.tokenizers {
        let (name, tokenizer) = load(named, args.pattern.as_deref())?;
        arms.push(ProbeArm::Given { name, tokenizer: Box::new(tokenizer) });
    }
    for (name, settings) in varied(&args.vary)? {
        arms.push(ProbeArm::Learned { name, settings: Box::new(settings) });
    }
    let mut corpora = Vec::new();
    for (name, inputs) in by_language(&args.on)? {
        let mut documents = Vec::new();
        args.read.for_each_document(&inputs, context, |document| {
            documents.push(document.text.clone());
            Ok(())
        })?;
        corpora.push(ProbeCorpus { name: name.to_owned(), documents });
    }
    let style = if args.markdown { Style::Markdown } else { Style::Text };
    // The lock comes before the work, so that two probes never train for one folder.
    let lock = args.output.as_ref().filter(|_| !args.dry_run).map(|folder| FolderLock::take(folder)).transpose()?;
    let probe = context.with_progress(|progress| Probe::new(arms, corpora, args.settings(), progress))?;
    let plan = context.with_progress(|_| probe.plan())?;
    let (Some(folder), Some(_lock)) = (&args.output, lock) else {
        return context.show(&plan, || plan_table(&plan, style));
    };
    context.note(plan_table(&plan, Style::Text).trim_end());
    let report = context.with_progress(|progress| probe.run(folder, progress))?;
    let json = serde_json::to_vec_pretty(&report).map_err(std::io::Error::from)?;
    write_atomic(&folder.join(REPORT_FILE), &json)?;
    write_atomic(&folder.join(REPORT_PAGE), probe_to_html(&report).as_bytes())?;
    write_atomic(&folder.join("report.md"), report_table(&report, Style::Markdown).as_bytes())?;
    context.show(&report, || report_table(&report, style))
}

/// The flags of `learn`, by themselves.
#[derive(clap::Parser)]
struct LearnFlags {
    #[command(flatten)]
    learn: LearnArgs,
    #[command(flatten)]
    rejects: RejectArgs,
}

/// The settings of each combination of values, and its name: the values of the flags that have more than one.
fn varied(vary: &[String]) -> Outcome<Vec<(String, LearnSettings)>> {
    if vary.is_empty() {
        return Ok(Vec::new());
    }
    let mut combinations: Vec<(Vec<String>, Vec<String>)> = vec![Default::default()];
    for flag in vary {
        let wrong =
            || Failure::Usage(format!("`{flag}` in --vary is not FLAG=VALUE,VALUE, as in han=learn-words,runs"));
        let (name, values) = flag.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
        let values: Vec<&str> = values.split(',').collect();
        let mut further = Vec::new();
        for (arguments, named) in &combinations {
            for value in &values {
                let (mut arguments, mut named) = (arguments.clone(), named.clone());
                match *value {
                    "yes" => arguments.push(format!("--{name}")),
                    "no" => {}
                    value => arguments.push(format!("--{name}={value}")),
                }
                if values.len() > 1 {
                    named.push(if matches!(*value, "yes" | "no") {
                        format!("{name} {value}")
                    } else {
                        (*value).to_owned()
                    });
                }
                further.push((arguments, named));
            }
        }
        combinations = further;
    }
    let learned = combinations.into_iter().map(|(arguments, named)| {
        let flags = LearnFlags::try_parse_from(["learn".to_owned()].into_iter().chain(arguments));
        let flags = flags.map_err(|error| Failure::Usage(format!("--vary: {}", first_line(&error.to_string()))))?;
        let name = if named.is_empty() { "learned".to_owned() } else { named.join(" ") };
        Ok((name, flags.learn.settings(ValFraction::Of(0.0), &flags.rejects)))
    });
    learned.collect()
}

/// What is wrong, without the usage of a command that nobody has called.
fn first_line(error: &str) -> &str {
    error.lines().next().unwrap_or_default().trim_start_matches("error: ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciyuan::learn::VocabSize;
    use ciyuan::segment::Han;

    #[test]
    fn combinations() {
        let vary = ["han=learn-words,runs", "vocab-size=4096", "character-boundaries=no,yes"].map(str::to_owned);
        let Ok(arms) = varied(&vary) else { panic!("the flags are those of `learn`") };
        let names: Vec<&str> = arms.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "learn-words character-boundaries no",
                "learn-words character-boundaries yes",
                "runs character-boundaries no",
                "runs character-boundaries yes"
            ]
        );
        let settings = &arms[3].1;
        assert_eq!((settings.han, settings.config.character_boundaries), (Han::Runs, true));
        assert_eq!(settings.config.vocab_size, VocabSize::Tokens(4096));
        assert!(matches!(&varied(&["vocab-size=512".to_owned()]), Ok(arms) if arms[0].0 == "learned"));
    }

    #[test]
    fn what_is_no_flag() {
        for wrong in ["han", "=runs", "han=rums", "colour=red", "vocab-size=many"] {
            assert!(matches!(varied(&[wrong.to_owned()]), Err(Failure::Usage(_))), "{wrong}");
        }
    }
}
