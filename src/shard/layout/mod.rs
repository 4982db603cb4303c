//! Token shards in the layouts of other programs, written and, where their files say enough, read.
//!
//! One file a layout, each with its format, byte by byte, in its head. What is written is what the named reader's own
//! writer makes of the same documents; `tests/golden/layouts` holds files by those writers, and `tests/readers` opens
//! what we write with the readers themselves.
//!
//! | layout | files | documents | limits |
//! |---|---|---|---|
//! | Megatron-LM | `P.bin`, `P.idx` | in the index | a document under 2^31 ids; two bytes an id below 65,500 tokens, else four |
//! | nanoGPT | `P.bin` | end-of-text after each | 65,536 tokens |
//! | llm.c, modded-nanogpt | `P_train_000001.bin`, … | end-of-text before each | 65,536 tokens, a file under 2 GiB |
//! | datatrove, nanotron | `P.ds`, `P.ds.index`, `P.ds.metadata` | in the index | |
//! | dolma, OLMo-core | `P-00000.npy`, `P-00000.csv.gz`, … | in the table | |
//! | MosaicML streaming | `P/shard.00000.mds`, …, `P/index.json` | a sample each | a file under 4 GiB |
//! | litdata | `P/chunk-0-0.bin`, …, `P/index.json` | an item each | a file under 4 GiB |
//!
//! A document keeps its end-of-text token as a shard has it: behind its ids, but for llm.c, which puts it before them.
//! Nothing is overwritten; the files are there when all are whole, and the one by which a reader finds the others comes
//! last. Limits are checked before the first byte is written.

mod chunks;
mod datatrove;
mod export;
mod foreign;
mod gzip;
mod import;
mod litdata;
mod llmc;
mod mds;
mod megatron;
mod nanogpt;
mod olmo;
mod stage;

pub use export::{ExportSettings, Exported, export};
pub use import::{ImportSettings, Piece, import};

use crate::vocab::TokenId;

/// A layout of token shards that another program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `IndexedDataset` of Megatron-LM and its relatives.
    Megatron,
    /// `train.bin` of nanoGPT.
    NanoGpt,
    /// Files of llm.c and modded-nanogpt.
    LlmC,
    /// `.ds` files of datatrove and nanotron.
    Datatrove,
    /// `.npy` files of dolma and OLMo-core, which are not in numpy's format.
    Olmo,
    /// MDS of MosaicML's streaming and llm-foundry.
    Mds,
    /// Chunks of litdata, for its `TokensLoader`.
    LitData,
}

impl Layout {
    /// All that are written.
    pub const ALL: [Self; 7] =
        [Self::Megatron, Self::NanoGpt, Self::LlmC, Self::Datatrove, Self::Olmo, Self::Mds, Self::LitData];
    /// Those that are read.
    pub const READ: [Self; 4] = [Self::Megatron, Self::NanoGpt, Self::LlmC, Self::Datatrove];

    /// Its name, as the command takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Megatron => "megatron",
            Self::NanoGpt => "nanogpt",
            Self::LlmC => "llmc",
            Self::Datatrove => "datatrove",
            Self::Olmo => "olmo",
            Self::Mds => "mds",
            Self::LitData => "litdata",
        }
    }
}

/// Appends ids as little-endian numbers of two or four bytes; whoever asks for two has checked that all fit.
fn push_ids(bytes: &mut Vec<u8>, ids: &[TokenId], width: u64) {
    if width == 2 {
        bytes.extend(ids.iter().flat_map(|&id| (id as u16).to_le_bytes()));
    } else {
        bytes.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
    }
}
