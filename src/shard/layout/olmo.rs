//! dolma and OLMo-core: `P-00000.npy` and `P-00000.csv.gz`, and so on (`MemmapWriter` of dolma 1.2.1).
//!
//! For all its name an `.npy` file here is not numpy's: it is ids of two bytes (up to 65,536 tokens) or four, without a
//! header, for `numpy.memmap`. The table has a row a document: `start,end,id,src,loc`, where it begins and ends in the
//! file, in ids, then where it came from, for which this gives its number, its shard, and its number in that. Rows end
//! with CR LF, as Python's `csv` writes them.

use super::export::Export;
use super::gzip::Gzip;
use super::push_ids;
use crate::error::Result;
use crate::shard::AtomicFile;

/// 512 Mi ids of two bytes.
const USUAL: u64 = 1 << 30;

pub(super) fn write(export: &mut Export<'_>) -> Result<()> {
    let width = export.corpus.info().width();
    let room = export.file_bytes(USUAL, u64::MAX)? / width;
    // Told before anything is written, by a build that has none.
    Gzip::new()?;
    export.claim(&["-0"])?;
    let (mut ids, mut bytes) = (Vec::new(), Vec::new());
    let mut there = export.next(&mut ids)?;
    for file in 0.. {
        if !there {
            break;
        }
        let mut data = AtomicFile::create(&export.path(&format!("-{file:05}.npy")))?;
        let mut rows = String::new();
        let mut table = AtomicFile::create(&export.path(&format!("-{file:05}.csv.gz")))?;
        let mut gzip = Gzip::new()?;
        let mut written = 0;
        // dolma leaves a file when it would be just full, and never ends on a document that fits in none (its issue 272).
        while there && (written == 0 || written + (ids.len() as u64) < room) {
            bytes.clear();
            push_ids(&mut bytes, &ids, width);
            data.write(&bytes)?;
            let number = export.done - 1;
            let (shard, place) = export.corpus.shard_of(number)?;
            let end = written + ids.len() as u64;
            let source = shard.path().file_name().unwrap_or_default().to_string_lossy();
            rows.push_str(&format!("{written},{end},{number},{},{place}\r\n", quoted(&source)));
            if rows.len() > 1 << 16 {
                table.write(&gzip.push(&rows)?)?;
                rows.clear();
            }
            written = end;
            there = export.next(&mut ids)?;
        }
        table.write(&gzip.push(&rows)?)?;
        table.write(&gzip.finish()?)?;
        export.publish(table)?;
        export.publish(data)?;
    }
    Ok(())
}

/// A field of a table, in quotes where it needs them.
fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
