//! The command: one file a subcommand, each thin: settings in, library called, result shown.
//!
//! Data goes to standard output, progress and notes to standard error. Exit codes: 0 done, 1 failed, 2 usage, 3 damaged
//! input or output, 4 locked by another run, 130 interrupted and resumable; a closed pipe is a quiet success.

mod args;
mod audit;
mod cleaning;
mod colour;
mod compare;
mod compare_table;
mod config;
mod context;
mod count;
mod decode;
mod encode;
mod eval;
mod explain;
mod export;
mod failure;
mod generate;
mod ids;
mod import;
mod inspect;
mod inspect_model;
mod inspect_shards;
mod learn;
mod lines;
mod merge;
mod mix;
mod model;
mod plan;
mod prepare;
mod probe;
mod probe_table;
mod progress;
mod rank;
mod sample;
mod segment;
mod segment_score;
mod segment_stats;
mod shuffle;
mod stream;
mod survey;
mod table;
mod tokenize;
mod train;
mod train_all;
mod trim;
mod verify;
mod weights;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use args::Common;
use context::Context;
use failure::{Failure, Outcome};

/// From Chinese and English text to token shards for language models, and a proof of how good the tokenization is.
///
/// 词元 (cíyuán) is the Chinese term for token. `ciyuan prepare` does the whole way; the other commands are its steps.
#[derive(Parser)]
#[command(name = "ciyuan", version, args_override_self = true, after_help = "Example: ciyuan prepare corpora -o out")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Subcommand)]
enum Command {
    Prepare(prepare::Args),
    Segment(segment::Args),
    Learn(learn::Args),
    Trim(trim::Args),
    Tokenize(tokenize::Args),
    Decode(decode::Args),
    Count(count::Args),
    Encode(encode::Args),
    Plan(plan::Args),
    Run(rank::Args),
    Merge(merge::Args),
    Shuffle(shuffle::Args),
    Mix(mix::Args),
    Export(export::Args),
    Import(import::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Train(train::Args),
    Eval(eval::Args),
    Compare(compare::Args),
    Probe(probe::Args),
    Sample(sample::Args),
    Completions(generate::CompletionsArgs),
    Man(generate::ManArgs),
}

/// Runs the command of this process.
pub(crate) fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Takes a negative number behind an option for its value, so that the option says what is wrong with it, and not that there
/// is no option of that name.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let of_option = |arg: clap::Arg| {
        let takes_value = !arg.is_positional() && arg.get_action().takes_values();
        if takes_value { arg.allow_negative_numbers(true) } else { arg }
    };
    command.mut_args(of_option).mut_subcommands(with_negative_numbers)
}

fn run() -> Outcome {
    let definition = with_negative_numbers(Cli::command());
    let arguments = config::with_file(&definition, std::env::args_os().collect())?;
    let matches = definition.try_get_matches_from(arguments).map_err(Failure::Clap)?;
    let cli = Cli::from_arg_matches(&matches).map_err(Failure::Clap)?;
    if cli.common.print_config {
        return config::print(&Cli::command(), &matches);
    }
    let context = Context::new(&cli.common)?;
    match cli.command {
        Command::Prepare(args) => prepare::run(&args, &context),
        Command::Segment(args) => segment::run(&args, &context),
        Command::Learn(args) => learn::run(&args, &context),
        Command::Trim(args) => trim::run(&args, &context),
        Command::Tokenize(args) => tokenize::run(&args, &context),
        Command::Decode(args) => decode::run(&args, &context),
        Command::Count(args) => count::run(&args, &context),
        Command::Encode(args) => encode::run(&args, &context),
        Command::Plan(args) => plan::run(&args, &context),
        Command::Run(args) => rank::run(&args, &context),
        Command::Merge(args) => merge::run(&args, &context),
        Command::Shuffle(args) => shuffle::run(&args, &context),
        Command::Mix(args) => mix::run(&args, &context),
        Command::Export(args) => export::run(&args, &context),
        Command::Import(args) => import::run(&args, &context),
        Command::Inspect(args) => inspect::run(&args, &context),
        Command::Verify(args) => verify::run(&args, &context),
        Command::Train(args) => train::run(&args, &context),
        Command::Eval(args) => eval::run(&args, &context),
        Command::Compare(args) => compare::run(&args, &context),
        Command::Probe(args) => probe::run(&args, &context),
        Command::Sample(args) => sample::run(&args, &context),
        Command::Completions(args) => generate::completions(&args, &mut Cli::command()),
        Command::Man(args) => generate::man(&args, Cli::command()),
    }
}
