//! llm.c and modded-nanogpt: `P_train_000001.bin` and so on, `P_val_000000.bin` (dev/data/data_common.py, commit
//! f1e2ace2; its fineweb.py makes the first file of all the held-out one, so the others count from 1).
//!
//! | offset | what |
//! |---|---|
//! | 0 | magic 20240520, i32 (with ids of four bytes: 20240801) |
//! | 4 | version 1, i32 (with ids of four bytes: 7) |
//! | 8 | number of ids, i32 |
//! | 12 | 253 zeros, i32 |
//! | 1,024 | ids, u16 (or u32) |
//!
//! The end-of-text token stands before each document; documents are cut where a file is full. `dataloader.h` takes only
//! ids of two bytes, and counts bytes in 32 bits, so a file stays below 2 GiB. Four bytes are read, but not written.

use std::path::Path;

use super::export::Export;
use super::foreign::{IdType, Stream};
use super::import::Reading;
use super::push_ids;
use crate::error::{ForeignFault, Result};
use crate::shard::{AtomicFile, Split};

const HEADER: u64 = 1024;
/// Magic, version and type of the two kinds of files.
const KINDS: [(u32, u32, IdType); 2] = [(20_240_520, 1, IdType::U16), (20_240_801, 7, IdType::U32)];
/// fineweb.py: 100 million ids a file.
const USUAL: u64 = HEADER + 2 * 100_000_000;

pub(super) fn write(export: &mut Export<'_>) -> Result<()> {
    export.require_two_bytes()?;
    let tokens = export.file_bytes(USUAL, 1 << 31)?.saturating_sub(HEADER) / 2;
    if tokens == 0 {
        return Err(export.refuse("a file holds more than its header of 1,024 bytes; give a larger --file-bytes"));
    }
    let Some(end_of_text) = export.corpus.info().end_of_text else {
        return Err(export.refuse("it tells documents apart by an end-of-text token, and they have none"));
    };
    let split = export.settings.split;
    export.claim(&[&format!("_{}_", split.folder())])?;
    let mut left = export.corpus.info().tokens;
    let mut number = u32::from(split == Split::Train);
    let (mut ids, mut bytes) = (Vec::new(), Vec::new());
    // The file that is being filled, and how many ids it still takes.
    let mut open: Option<(AtomicFile, u64)> = None;
    while export.next(&mut ids)? {
        ids.rotate_right(1);
        if ids[0] != end_of_text {
            return Err(export.refuse("a document does not end with the end-of-text token; verify the shards"));
        }
        bytes.clear();
        push_ids(&mut bytes, &ids, 2);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (mut file, room) = match open.take() {
                Some(open) => open,
                None => {
                    let mut file = AtomicFile::create(&export.path(&format!("_{}_{number:06}.bin", split.folder())))?;
                    file.write(&header(left.min(tokens)))?;
                    number += 1;
                    (file, left.min(tokens))
                }
            };
            let (now, later) = rest.split_at(rest.len().min(2 * room as usize));
            file.write(now)?;
            let written = now.len() as u64 / 2;
            (rest, left) = (later, left - written);
            if room == written {
                export.publish(file)?;
            } else {
                open = Some((file, room - written));
            }
        }
    }
    Ok(())
}

fn header(tokens: u64) -> [u8; HEADER as usize] {
    let mut header = [0; HEADER as usize];
    let (magic, version, _) = KINDS[0];
    for (at, number) in [magic, version, tokens as u32].into_iter().enumerate() {
        header[4 * at..4 * at + 4].copy_from_slice(&number.to_le_bytes());
    }
    header
}

/// Documents begin with an end-of-text token. What stands before the first one in a file goes on with the last document
/// of the file before.
pub(super) fn read(path: &Path, reading: &mut Reading<'_>) -> Result<()> {
    let header = reading.head(path, HEADER)?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let Some((_, known, kind)) = KINDS.into_iter().find(|&(magic, ..)| magic == word(0)) else {
        return Err(reading.fault(path, ForeignFault::Magic));
    };
    if word(4) != known {
        let fault = ForeignFault::Version { got: word(4).into(), known: known.into() };
        return Err(reading.fault(path, fault));
    }
    let mut stream = Stream::open(path, HEADER, kind, reading)?;
    stream.require(u64::from(word(8)), reading)?;
    while stream.fill()? {
        reading.split_before(stream.ids())?;
    }
    Ok(())
}
