//! Megatron-LM: `P.bin`, the ids of all documents one after the other, and `P.idx`, which says where each lies
//! (`IndexedDataset` of megatron-core 0.16.1; gpt-neox and others read the same).
//!
//! | offset in `P.idx` | what |
//! |---|---|
//! | 0 | magic `MMIDIDX\0\0` |
//! | 9 | version 1, u64 |
//! | 17 | type of an id, u8: 1 u8, 2 i8, 3 i16, 4 i32, 5 i64, 8 u16 |
//! | 18 | number of sequences S, u64 |
//! | 26 | length D of the list of documents, u64 |
//! | 34 | ids of each sequence, i32 x S |
//! | | where each begins in `P.bin`, in bytes, i64 x S |
//! | | the first sequence of each document, and S at the end, i64 x D |
//! | | one byte a sequence, only where sequences have modes |
//!
//! Nothing is aligned. There is no type for u32: `DType.optimal_dtype` takes u16 below 65,500 tokens, else i32, and so
//! does this; datatrove and NeMo write u16 up to 65,536, which is read too. A document is one sequence here; where it is
//! several (`--split-sentences`) they are read as one. The end-of-text token is in it, as with `--append-eod`.

use std::ffi::OsStr;
use std::path::Path;

use super::export::Export;
use super::foreign::{IdType, Stream, words};
use super::import::Reading;
use super::push_ids;
use crate::error::{Error, ForeignFault, Result};
use crate::shard::AtomicFile;

const MAGIC: &[u8; 9] = b"MMIDIDX\0\0";
const VERSION: u64 = 1;
const HEADER: u64 = 34;
/// `DType.optimal_dtype`.
const TWO_BYTES_BELOW: u32 = 65_500;
const CODE_I32: u8 = 4;
const CODE_U16: u8 = 8;

pub(super) fn write(export: &mut Export<'_>) -> Result<()> {
    let info = export.corpus.info();
    if info.vocab_size > 1 << 31 {
        let what = "the size of the vocabulary, for ids of 31 bits,";
        return Err(Error::Limit { what, value: info.vocab_size.into(), max: 1 << 31 });
    }
    for length in export.lengths() {
        let (what, value) = ("the length of a document in tokens, for this layout,", length?);
        if value >= 1 << 31 {
            return Err(Error::Limit { what, value, max: (1 << 31) - 1 });
        }
    }
    export.claim(&[".bin", ".idx"])?;
    let (width, code) = if info.vocab_size < TWO_BYTES_BELOW { (2, CODE_U16) } else { (4, CODE_I32) };
    let mut data = AtomicFile::create(&export.path(".bin"))?;
    let (mut ids, mut bytes) = (Vec::new(), Vec::new());
    while export.next(&mut ids)? {
        bytes.clear();
        push_ids(&mut bytes, &ids, width);
        data.write(&bytes)?;
    }
    // The lists follow from the shards' own indexes, so they are not gathered in memory.
    let mut index = AtomicFile::create(&export.path(".idx"))?;
    index.write(MAGIC)?;
    index.write(&VERSION.to_le_bytes())?;
    index.write(&[code])?;
    index.write(&info.documents.to_le_bytes())?;
    index.write(&(info.documents + 1).to_le_bytes())?;
    for length in export.lengths() {
        index.write(&(length? as i32).to_le_bytes())?;
    }
    let mut start = 0;
    for length in export.lengths() {
        index.write(&(start * width).to_le_bytes())?;
        start += length?;
    }
    for document in 0..=info.documents {
        index.write(&document.to_le_bytes())?;
    }
    export.publish(data)?;
    export.publish(index)
}

/// Reads the pair of files that `path` names, with or without its ending.
pub(super) fn read(path: &Path, reading: &mut Reading<'_>) -> Result<()> {
    let stem = match path.extension().and_then(OsStr::to_str) {
        Some("bin" | "idx") => path.with_extension(""),
        _ => path.to_owned(),
    };
    let with = |ending: &str| {
        let mut name = stem.clone().into_os_string();
        name.push(ending);
        std::path::PathBuf::from(name)
    };
    let (data, index_path) = (with(".bin"), with(".idx"));
    let index = reading.all(&index_path)?;
    let index = Index::parse(&index).map_err(|fault| reading.fault(&index_path, fault))?;
    let mut stream = Stream::open(&data, 0, index.kind, reading)?;
    let total = index.check().map_err(|fault| reading.fault(&index_path, fault))?;
    stream.require(total, reading)?;
    let mut lengths = words::<4>(index.lengths).map(|word| u64::from(u32::from_le_bytes(word)));
    let mut first = 0;
    for last in words::<8>(index.documents).map(u64::from_le_bytes).skip(1) {
        for length in lengths.by_ref().take((last - first) as usize) {
            stream.take(length, &mut |ids| reading.ids(ids))?;
        }
        reading.end()?;
        first = last;
    }
    Ok(())
}

/// The lists of an index, as they lie in the file.
struct Index<'i> {
    kind: IdType,
    lengths: &'i [u8],
    starts: &'i [u8],
    documents: &'i [u8],
}

impl<'i> Index<'i> {
    fn parse(bytes: &'i [u8]) -> std::result::Result<Self, ForeignFault> {
        let length = bytes.len() as u64;
        let Some((header, lists)) = bytes.split_first_chunk::<{ HEADER as usize }>() else {
            return Err(ForeignFault::Length {
                what: "the length of the index in bytes",
                expected: HEADER,
                got: length,
            });
        };
        let number = |at: usize| words::<8>(&header[at..at + 8]).next().map_or(0, u64::from_le_bytes);
        if header[..9] != *MAGIC {
            return Err(ForeignFault::Magic);
        }
        if number(9) != VERSION {
            return Err(ForeignFault::Version { got: number(9), known: VERSION });
        }
        let kind = IdType::of_megatron(header[17]).ok_or(ForeignFault::IdType { code: header[17] })?;
        let (sequences, documents) = (number(18), number(26));
        // Saturated, a hostile number gives a length that no file has.
        let expected = sequences.saturating_mul(12).saturating_add(documents.saturating_mul(8)).saturating_add(HEADER);
        // Modes, one byte a sequence, say of what kind each is; ids are ids.
        if length != expected && length != expected.saturating_add(sequences) {
            return Err(ForeignFault::Length { what: "the length of the index in bytes", expected, got: length });
        }
        let (lengths, rest) = lists.split_at(4 * sequences as usize);
        let (starts, rest) = rest.split_at(8 * sequences as usize);
        Ok(Self { kind, lengths, starts, documents: &rest[..8 * documents as usize] })
    }

    /// Checks that sequences follow each other without gaps, as every known writer leaves them, and that documents are in
    /// order; gives the number of ids.
    fn check(&self) -> std::result::Result<u64, ForeignFault> {
        let mut total = 0u64;
        let lengths = words::<4>(self.lengths).map(u32::from_le_bytes);
        for (length, start) in lengths.zip(words::<8>(self.starts).map(u64::from_le_bytes)) {
            if start != total * self.kind.bytes() {
                return Err(ForeignFault::Impossible { why: "its sequences do not follow each other" });
            }
            if length >= 1 << 31 {
                return Err(ForeignFault::Impossible { why: "a sequence has a negative length" });
            }
            total += u64::from(length);
        }
        let sequences = self.lengths.len() as u64 / 4;
        let mut documents = words::<8>(self.documents).map(u64::from_le_bytes);
        let mut before = documents.next();
        let mut ordered = before == Some(0);
        for document in documents {
            ordered &= before <= Some(document);
            before = Some(document);
        }
        if !ordered || before != Some(sequences) {
            return Err(ForeignFault::Impossible { why: "its documents are not in order" });
        }
        Ok(total)
    }
}
