//! MDS, of MosaicML's streaming and llm-foundry: `P/shard.00000.mds` and so on, and `P/index.json` (`MDSWriter` of
//! mosaicml-streaming 0.13.0).
//!
//! A sample is a document, with the one column `tokens` of the type `ndarray:uint16` (up to 65,536 tokens) or
//! `ndarray:uint32`: its bytes in all (u32), 4 x 1 dimension + the width of its length (0 u8, 1 u16, 2 u32), its length,
//! its ids. Between table and samples stands a JSON that says so. Files end before `--file-bytes` (64 MiB by default),
//! and are below 4 GiB by their table. A document that is larger has a file for itself; `MDSWriter` writes an empty file
//! before it where it comes first, which this does not.

use super::chunks::Chunks;
use super::export::Export;
use crate::error::Result;
use crate::shard::AtomicFile;

pub(super) fn write(export: &mut Export<'_>) -> Result<()> {
    let room = export.file_bytes(1 << 26, 1 << 32)?;
    let width = export.corpus.info().width();
    // As json.dumps writes it, with sorted keys.
    let format = format!(
        "\"column_encodings\": [\"ndarray:uint{}\"], \"column_names\": [\"tokens\"], \"column_sizes\": [null], \
         \"compression\": null, \"format\": \"mds\", \"hashes\": [], ",
        8 * width
    );
    let limit = format!("\"size_limit\": {room}, \"version\": 2");
    let extra = format!("{{{format}{limit}}}").into_bytes();
    let counted = (8 + extra.len() as u64, 4);
    let chunks = Chunks { width, extra, counted, head };
    let counts = chunks.plan(export, room)?;
    export.claim_folder()?;
    let mut shards = Vec::new();
    for (number, &samples) in counts.iter().enumerate() {
        let name = format!("shard.{number:05}.mds");
        let (bytes, _) = chunks.write(export, &name, samples)?;
        shards.push(format!(
            "{{{format}\"raw_data\": {{\"basename\": \"{name}\", \"bytes\": {bytes}, \"hashes\": {{}}}}, \
             \"samples\": {samples}, {limit}, \"zip_data\": null}}"
        ));
    }
    let mut index = AtomicFile::create(&export.prefix.join("index.json"))?;
    index.write(format!("{{\"shards\": [{}], \"version\": 2}}", shards.join(", ")).as_bytes())?;
    export.publish(index)
}

fn head(length: u64, width: u64) -> Vec<u8> {
    let mut array = match length {
        0..0x100 => vec![4, length as u8],
        0x100..0x1_0000 => [&[5][..], &(length as u16).to_le_bytes()].concat(),
        _ => [&[6][..], &(length as u32).to_le_bytes()].concat(),
    };
    let bytes = array.len() as u64 + width * length;
    array.splice(0..0, (bytes as u32).to_le_bytes());
    array
}
