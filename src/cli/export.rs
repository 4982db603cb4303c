//! `ciyuan export`.

use std::path::PathBuf;
use std::time::Instant;

use ciyuan::pipeline::{AnyModel, export_folder, export_model};
use ciyuan::shard::{ExportSettings, Exported, Layout, Split};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::args::{bytes, word};
use super::context::Context;
use super::failure::{Failure, Outcome};

/// Write shards in the layout of another program, or a model
///
/// OUTPUT begins the names of the files: OUTPUT.bin and OUTPUT.idx for megatron, OUTPUT.bin for nanogpt,
/// OUTPUT_train_000001.bin for llmc, OUTPUT.ds and what belongs to it for datatrove, OUTPUT-00000.npy for olmo; for mds and
/// litdata it is a folder. Documents keep their end-of-text token. The shards are verified first; nothing is overwritten.
///
/// With `--layout hf` DIR is a folder that `train` or `prepare` has made, and OUTPUT a folder from which Hugging Face's
/// transformers loads its GPT and its tokenizer: as GPT2LMHeadModel, Qwen3ForCausalLM or LlamaForCausalLM.
#[derive(clap::Args)]
#[command(after_help = "\
Example: ciyuan export out --layout megatron -o data/corpus_text_document
Example: ciyuan export out --layout llmc --split val -o data/corpus
Example: ciyuan export out --layout hf -o model-for-transformers")]
pub(super) struct Args {
    /// A folder made by `encode`, `prepare` or `import`
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The layout: of Megatron-LM, nanoGPT, llm.c and modded-nanogpt, datatrove and nanotron, dolma and OLMo-core, MosaicML's streaming, or litdata; hf for a model
    #[arg(long, value_parser = word::<Target>(&TARGETS))]
    layout: Target,
    /// The beginning of the files' names, or the folder
    #[arg(long, short, value_name = "OUTPUT")]
    output: PathBuf,
    /// Which documents
    #[arg(long, default_value = "train", value_parser = word::<Split>(&["train", "val"]))]
    split: Split,
    /// Bytes of a file at most, for llmc, olmo, mds and litdata; without it as much as their own writers take
    #[arg(long, value_parser = bytes, value_name = "BYTES")]
    file_bytes: Option<u64>,
    /// What datatrove's metadata call the tokenizer; without it its fingerprint
    #[arg(long, value_name = "NAME")]
    tokenizer_name: Option<String>,
}

/// All layouts, and that of a model.
const TARGETS: [&str; 8] = ["megatron", "nanogpt", "llmc", "datatrove", "olmo", "mds", "litdata", "hf"];

/// What is written.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Target {
    /// A model.
    Hf,
    /// Shards.
    #[serde(untagged)]
    Shards(Layout),
}

#[derive(Serialize)]
struct Result {
    layout: Layout,
    #[serde(flatten)]
    exported: Exported,
    seconds: f64,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let start = Instant::now();
    let Args { split, file_bytes, .. } = *args;
    let layout = match args.layout {
        Target::Shards(_) if AnyModel::is_alone_in(&args.folder) => {
            let folder = args.folder.display();
            return Err(Failure::Usage(format!(
                "`{folder}` holds a model and no shards: take --layout hf, or name a folder that encode or prepare has made"
            )));
        }
        Target::Shards(layout) => layout,
        Target::Hf => {
            let files = export_model(&args.folder, &args.output)?;
            return context.show(&json!({ "layout": "hf", "files": files }), || {
                files.iter().map(|file| format!("{}\n", file.display())).collect()
            });
        }
    };
    let settings = ExportSettings { layout, split, file_bytes, tokenizer: args.tokenizer_name.clone() };
    let exported = context.with_progress(|progress| export_folder(&args.folder, &args.output, &settings, progress))?;
    let result = Result { layout, exported, seconds: start.elapsed().as_secs_f64() };
    context.show(&result, || {
        let Exported { documents, tokens, bytes, files } = &result.exported;
        let last = files.last().map(|file| file.display().to_string()).unwrap_or_default();
        format!(
            "documents    {documents}\ntokens       {tokens}\nfiles        {}, {bytes} bytes, the last one {last}\n",
            files.len()
        )
    })
}
