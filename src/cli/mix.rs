//! `ciyuan mix`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use ciyuan::pipeline::{EncodeSeconds, EncodedFolder, FolderLock, MixPart, MixSettings, MixSource, mix, plan_mix};

use super::context::Context;
use super::encode::show_folder;
use super::failure::{Failure, Outcome};
use super::shuffle::OrderArgs;
use super::table::render;
use super::weights::{Weight, weight, weights_of};

/// Put several folders of shards together, each with its share
///
/// A source that is to give more ids than it has is gone through several times; one that is to give fewer gives some of its
/// documents, chosen by the seed. A mixture of more tokens holds every document of one of fewer. All of it stands in one
/// random order. Held-out documents are not weighted: all of them, once.
#[derive(clap::Args)]
#[command(after_help = "\
Example: ciyuan mix zh=shards-zh en=shards-en --weight zh=0.6 --weight en=0.4 -o mixed --dry-run
Example: ciyuan mix zh=shards-zh en=shards-en code=shards-code --weight zh=5 --weight en=4 --weight code=1 --tokens 20000000000 -o mixed")]
pub(super) struct Args {
    /// Folders made by `encode`, `merge` or `import` with one tokenizer
    #[arg(value_name = "NAME=DIR", required = true)]
    sources: Vec<String>,
    /// Output folder
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Share of a source in the ids for training, one for each, in any unit; without: by the ids that there are
    #[arg(long, value_name = "NAME=SHARE", value_parser = weight)]
    weight: Vec<Weight>,
    /// Ids for training, about; without: as many as there are without using a document twice
    #[arg(long, value_name = "N")]
    tokens: Option<u64>,
    /// How often a source may be gone through
    #[arg(long, default_value_t = MixSettings::default().max_epochs, value_name = "N")]
    max_epochs: f64,
    /// Show what would be done, and end
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    order: OrderArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let start = Instant::now();
    let sources = sources(args)?;
    let OrderArgs { seed, shard_size, memory } = args.order;
    let Args { tokens, max_epochs, .. } = *args;
    let settings = MixSettings { tokens, max_epochs, seed, shard_size, memory };
    if args.dry_run {
        let parts = plan_mix(&sources, &settings)?;
        return context.show(&parts, || table(&parts));
    }
    let same = |path: &Path| path.canonicalize().ok();
    if let Some(source) =
        sources.iter().find(|source| same(&args.output).is_some() && same(&args.output) == same(&source.folder))
    {
        let text = format!("`{}` is a source; name another folder by --output", source.folder.display());
        return Err(Failure::Usage(text));
    }
    let locks = sources.iter().map(|source| FolderLock::share(&source.folder));
    let _locks = locks.collect::<ciyuan::Result<Vec<_>>>()?;
    let _lock = FolderLock::take(&args.output)?;
    let (manifest, parts) = context.with_progress(|progress| mix(&sources, &args.output, &settings, progress))?;
    context.note(table(&parts).trim_end());
    show_folder(EncodedFolder { manifest, seconds: EncodeSeconds::default() }, &args.output, 0.0, start, context)
}

fn sources(args: &Args) -> Outcome<Vec<MixSource>> {
    let named = |text: &String| match text.split_once('=') {
        Some((name, folder)) if !name.is_empty() && !folder.is_empty() => Ok((name.to_owned(), PathBuf::from(folder))),
        _ => Err(Failure::Usage(format!("`{text}`: write NAME=DIR, as in `zh=shards`"))),
    };
    let named = args.sources.iter().map(named).collect::<Outcome<Vec<_>>>()?;
    let names: Vec<PathBuf> = named.iter().map(|(name, _)| name.into()).collect();
    let mut weights = weights_of(&names, &args.weight)?;
    if weights.is_empty() {
        let tokens = |(_, folder): &(String, PathBuf)| ciyuan::pipeline::training_tokens(folder);
        weights = named.iter().map(tokens).collect::<ciyuan::Result<_>>()?;
    }
    Ok(named.into_iter().zip(weights).map(|((name, folder), weight)| MixSource { name, folder, weight }).collect())
}

fn table(parts: &[MixPart]) -> String {
    let mut rows =
        vec![["source", "share", "documents", "tokens", "epochs", "mixed tokens"].map(str::to_owned).to_vec()];
    for MixPart { name, share, documents, tokens, epochs, mixed_tokens } in parts {
        let numbers = [documents, tokens].map(u64::to_string);
        let [documents, tokens] = numbers;
        rows.push(vec![
            name.clone(),
            format!("{:.2} %", 100.0 * share),
            documents,
            tokens,
            format!("{epochs:.3}"),
            mixed_tokens.to_string(),
        ]);
    }
    render(&rows)
}
