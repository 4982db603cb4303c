//! litdata, for its `TokensLoader`: `P/chunk-0-0.bin` and so on, and `P/index.json` (`BinaryWriter` of litdata 0.2.76).
//!
//! An item is a document: its ids as a numpy array without a header, of the type 5 (u16, up to 65,536 tokens) or 6 (u32)
//! in litdata's table. `dim` is the number of ids of a chunk; the reader cuts windows out of the items of a chunk laid
//! end to end. Items of a chunk have `--file-bytes` (64 MB by default) together at most; the chunk is below 4 GiB by its
//! table. The time of writing, which litdata's index ends with, is left out: equal shards give equal files.

use super::chunks::Chunks;
use super::export::Export;
use crate::error::Result;
use crate::shard::AtomicFile;

pub(super) fn write(export: &mut Export<'_>) -> Result<()> {
    let room = export.file_bytes(64_000_000, 1 << 32)?;
    let width = export.corpus.info().width();
    let chunks = Chunks { width, extra: Vec::new(), counted: (0, 0), head: |_, _| Vec::new() };
    let counts = chunks.plan(export, room)?;
    export.claim_folder()?;
    let mut list = Vec::new();
    for (number, &items) in counts.iter().enumerate() {
        let name = format!("chunk-0-{number}.bin");
        let (bytes, tokens) = chunks.write(export, &name, items)?;
        list.push(format!(
            "{{\"chunk_bytes\": {bytes}, \"chunk_size\": {items}, \"dim\": {tokens}, \"filename\": \"{name}\"}}"
        ));
    }
    let config = config(room, if width == 2 { 5 } else { 6 });
    let mut index = AtomicFile::create(&export.prefix.join("index.json"))?;
    index.write(format!("{{\"chunks\": [{}], \"config\": {config}}}", list.join(", ")).as_bytes())?;
    export.publish(index)
}

/// As `json.dumps` writes it, with sorted keys.
fn config(room: u64, id_type: u8) -> String {
    format!(r#"{{"chunk_bytes": {room}, "chunk_size": null, "compression": null, "compression_batch_size": null, "#)
        + r#""compression_level": null, "#
        + &format!(r#""data_format": ["no_header_numpy:{id_type}"], "#)
        + r#""data_spec": "[1, {\"type\": null, \"context\": null, \"children_spec\": []}]", "#
        + r#""encryption": null, "ipc_compression": null, "item_loader": "TokensLoader", "types": "json"}"#
}
