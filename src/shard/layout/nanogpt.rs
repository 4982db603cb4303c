//! nanoGPT: `P.bin`, ids of two bytes one after the other, without a header or an index (data/openwebtext/prepare.py,
//! commit 3adf61e1). The end-of-text token stands behind each document; without one (as in data/shakespeare_char) a file
//! does not say where a document ends.

use std::path::Path;

use super::export::Export;
use super::foreign::{IdType, Stream};
use super::import::Reading;
use super::push_ids;
use crate::error::Result;
use crate::shard::AtomicFile;

pub(super) fn write(export: &mut Export<'_>) -> Result<()> {
    export.require_two_bytes()?;
    export.claim(&[".bin"])?;
    let mut file = AtomicFile::create(&export.path(".bin"))?;
    let (mut ids, mut bytes) = (Vec::new(), Vec::new());
    while export.next(&mut ids)? {
        bytes.clear();
        push_ids(&mut bytes, &ids, 2);
        file.write(&bytes)?;
    }
    export.publish(file)
}

/// Documents end behind an end-of-text token; what follows the last one is a document too.
pub(super) fn read(path: &Path, reading: &mut Reading<'_>) -> Result<()> {
    let mut stream = Stream::open(path, 0, IdType::U16, reading)?;
    while stream.fill()? {
        reading.split_behind(stream.ids())?;
    }
    reading.close()
}
