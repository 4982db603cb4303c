//! Work units: the parts of the input that are worked on, written and resumed as a whole.
//!
//! A large file is cut where that needs no look at the rest of it: between lines where a record is a line, and between
//! the row groups of Parquet. Cuts are planned without reading: a part is a range of bytes, and holds the records whose
//! first byte lies in it, so that its reader begins behind the first line end at or before it and ends in its last
//! record, which may reach beyond.
//!
//! Lines that are compressed with Zstandard are cut between frames (see `frames.rs`), wherever these end in a line. How
//! long the frames before a run are, and whether they end in a line feed, only their own reader finds out; so a reader
//! goes on from its run into the next frames up to the end of the line that it finds there, gives that line up to the one
//! before it at its own beginning, and counts offsets from there: who puts the parts together adds them up. A range of a
//! file in UTF-16 is read in the same way, as places are those of its text in UTF-8 (see `parts.rs`). Files that are
//! compressed otherwise, UTF-16 in Zstandard, and files that are one document stay whole.

use std::ops::Range;

use super::encoding::FileEncoding;
use super::parts::head_encoding;
use super::reader::{ReadOptions, TxtDocuments};
use super::source::{Compression, Form, InputFile};
use crate::error::Result;

/// A file is cut into no smaller parts, however small a unit may be: each unit has its own files in an output.
const LEAST_PART: u64 = 1 << 10;

/// How much of a file a part is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    /// All of it.
    Whole,
    /// The records whose first byte lies in this range; in UTF-16 those whose first unit lies behind the first of it, and
    /// the one that begins with what follows.
    Bytes(Range<u64>),
    /// These row groups of a Parquet file.
    Groups(Range<usize>),
    /// The frames of a Zstandard file that lie in this range of its bytes: the records whose first byte comes behind the
    /// first of theirs, and the one that begins with the frames behind them. Those at the head of the file also hold the
    /// record that begins it.
    Frames(Range<u64>),
}

/// A file or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Part {
    /// Which of the files, in the order of the source.
    pub file: usize,
    /// How much of it.
    pub extent: Extent,
    /// Its length in bytes as it lies on disk.
    pub bytes: u64,
}

/// Consecutive files, or a part of one: at least one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Place in the plan, from 0; output files are named by it.
    pub number: usize,
    /// The parts, in order.
    pub parts: Vec<Part>,
}

impl Unit {
    /// Bytes of its parts, as they lie on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

/// All of `files`, as parts.
pub(crate) fn whole_files(files: &[InputFile]) -> Vec<Part> {
    let whole = |(file, input): (usize, &InputFile)| Part { file, extent: Extent::Whole, bytes: input.bytes };
    files.iter().enumerate().map(whole).collect()
}

/// Cuts `files` into units of at most `unit_size` bytes as they lie on disk; what is larger and cannot be cut is a unit of
/// its own, and no file is cut into parts of less than 1 KiB.
///
/// Units depend on the files, on `unit_size` and on what is a record, never on threads, so that outputs do not either.
/// The records of all units in order are those of all files.
///
/// ```
/// use ciyuan::text::{Extent, ReadOptions, Source, TxtDocuments, plan_units};
/// # fn main() -> ciyuan::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # for (name, bytes) in [("a.txt", 3000), ("b.txt", 4000), ("c.txt", 9000), ("d.txt", 1000)] {
/// #     std::fs::write(folder.path().join(name), "x".repeat(bytes)).unwrap();
/// # }
/// # let folder = folder.path().to_owned();
/// // Files of 3, 4, 9 and 1 thousand bytes: the first two are a unit, the third is cut where its lines are documents.
/// let files = Source::find(&[folder], None)?.files;
/// let whole = plan_units(&files, 8000, &ReadOptions::default())?;
/// assert_eq!(whole.iter().map(|unit| unit.bytes()).collect::<Vec<_>>(), [7000, 9000, 1000]);
/// let lines = ReadOptions { txt_documents: TxtDocuments::Lines, ..ReadOptions::default() };
/// let cut = plan_units(&files, 8000, &lines)?;
/// assert_eq!((&cut[1].parts[0].extent, &cut[2].parts[0].extent), (&Extent::Bytes(0..4500), &Extent::Bytes(4500..9000)));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Those of opening a Parquet or Zstandard file that is larger than `unit_size`.
pub fn plan_units(files: &[InputFile], unit_size: u64, options: &ReadOptions) -> Result<Vec<Unit>> {
    let mut units: Vec<Unit> = Vec::new();
    // Bytes of the last unit, while more may come into it.
    let mut held: Option<u64> = None;
    for (file, input) in files.iter().enumerate() {
        let parts = parts_of(file, input, unit_size.max(LEAST_PART), options)?;
        let whole = matches!(parts[..], [Part { extent: Extent::Whole, .. }]);
        for part in parts {
            let together = held.and_then(|held| held.checked_add(part.bytes)).filter(|sum| whole && *sum <= unit_size);
            held = whole.then_some(together.unwrap_or(part.bytes));
            match units.last_mut() {
                Some(unit) if together.is_some() => unit.parts.push(part),
                _ => units.push(Unit { number: units.len(), parts: vec![part] }),
            }
        }
    }
    Ok(units)
}

/// A file in parts of at most `size` bytes, at least one.
fn parts_of(file: usize, input: &InputFile, size: u64, options: &ReadOptions) -> Result<Vec<Part>> {
    let size = size.max(1);
    let whole = Part { file, extent: Extent::Whole, bytes: input.bytes };
    let is_cut = matches!(input.compression, Compression::None | Compression::Zstd);
    if input.bytes <= size || !is_cut || input.is_stdin() {
        return Ok(vec![whole]);
    }
    let lines = options.separator.is_none() && options.txt_documents == TxtDocuments::Lines;
    if input.compression == Compression::Zstd {
        let is_lines = input.form == Form::Jsonl || input.form == Form::Txt && lines;
        // Where frames end in UTF-16, which has two bytes a unit, nobody knows before they are decompressed.
        let is_utf16 = || head_encoding(input, options.encoding).map(|head| head.is_some_and(FileEncoding::is_utf16));
        let parts =
            if is_lines && !is_utf16()? { frame_parts(file, input, &(0..input.bytes), size)? } else { Vec::new() };
        return Ok(if parts.len() < 2 { vec![whole] } else { parts });
    }
    Ok(match input.form {
        Form::Jsonl => byte_parts(file, 0..input.bytes, size),
        Form::Txt if lines => byte_parts(file, 0..input.bytes, size),
        #[cfg(feature = "parquet")]
        Form::Parquet => {
            let runs = packed(&super::parquet::group_lengths(input)?, size);
            let part = |(groups, bytes)| Part { file, extent: Extent::Groups(groups), bytes };
            // Without a row group there is nothing to cut.
            if runs.len() < 2 { vec![whole] } else { runs.into_iter().map(part).collect() }
        }
        _ => vec![whole],
    })
}

/// A part in smaller ones, which readers share; the records are the same in the same order.
pub(crate) fn pieces(files: &[InputFile], part: &Part, size: u64, options: &ReadOptions) -> Result<Vec<Part>> {
    let Part { file, extent, bytes } = part;
    Ok(match extent {
        Extent::Whole => parts_of(*file, &files[*file], size, options)?,
        Extent::Bytes(range) => byte_parts(*file, range.clone(), size),
        Extent::Groups(groups) => {
            let bytes = bytes / groups.len().max(1) as u64;
            groups.clone().map(|at| Part { file: *file, extent: Extent::Groups(at..at + 1), bytes }).collect()
        }
        Extent::Frames(range) => match frame_parts(*file, &files[*file], range, size)? {
            // The file is not what it was; its reader will say so.
            none if none.is_empty() => vec![part.clone()],
            parts => parts,
        },
    })
}

/// A range of bytes in parts of at most `size`, as equal as can be.
fn byte_parts(file: usize, range: Range<u64>, size: u64) -> Vec<Part> {
    let bytes = range.end - range.start;
    let count = bytes.div_ceil(size.max(1)).max(1);
    let at = |n: u64| range.start + (u128::from(bytes) * u128::from(n) / u128::from(count)) as u64;
    let part = |n| Part { file, extent: Extent::Bytes(at(n)..at(n + 1)), bytes: at(n + 1) - at(n) };
    (0..count).map(part).collect()
}

/// Runs of frames of about `size` bytes; none where there are no frames to be found.
fn frame_parts(file: usize, input: &InputFile, range: &Range<u64>, size: u64) -> Result<Vec<Part>> {
    let runs = super::frames::runs(input, range, size)?.unwrap_or_default();
    let part = |run: Range<u64>| Part { file, bytes: run.end - run.start, extent: Extent::Frames(run) };
    Ok(runs.into_iter().map(part).collect())
}

/// Runs of row groups of at most `unit_size` bytes, with their bytes; a larger group is one of its own.
#[cfg(feature = "parquet")]
fn packed(lengths: &[u64], unit_size: u64) -> Vec<(Range<usize>, u64)> {
    let mut runs: Vec<(Range<usize>, u64)> = Vec::new();
    for (group, &length) in lengths.iter().enumerate() {
        match runs.last_mut() {
            Some((run, bytes)) if bytes.saturating_add(length) <= unit_size => {
                run.end = group + 1;
                *bytes += length;
            }
            _ => runs.push((group..group + 1, length)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Document, Encoding, Record, Reject, Source, records, records_in};
    use std::path::Path;

    /// Records of all units in order, their lines counted from the beginning of the file.
    fn by_units(files: &[InputFile], size: u64, piece: u64, options: &ReadOptions) -> Vec<Record> {
        let (mut found, mut lines, mut bytes, mut file) = (Vec::new(), 0, 0, usize::MAX);
        for unit in parts_of(0, &files[0], size, options).unwrap() {
            for part in pieces(files, &unit, piece, options).unwrap() {
                if file != part.file {
                    (file, lines, bytes) = (part.file, 0, 0);
                }
                let mut records = records_in(&files[part.file], &part.extent, options).unwrap();
                for record in &mut records {
                    let mut record = record.unwrap();
                    let (Record::Document(Document { origin, .. }) | Record::Reject(Reject { origin, .. })) =
                        &mut record;
                    origin.line += lines;
                    origin.offset += bytes;
                    found.push(record);
                }
                lines += records.lines();
                bytes += records.frame_bytes();
            }
        }
        found
    }

    /// Whatever the size of units and pieces, the records are those of one reader.
    fn check(path: &Path, options: &ReadOptions, sizes: impl Iterator<Item = u64>) {
        let files = Source::find(&[path.to_owned()], None).unwrap().files;
        let whole: Vec<Record> = records(&files[0], options).unwrap().map(Result::unwrap).collect();
        for size in sizes {
            for piece in [size, size.div_ceil(3), 1 << 30] {
                let found = by_units(&files, size, piece, options);
                assert_eq!(found, whole, "{} in units of {size}, pieces of {piece}", path.display());
            }
        }
        assert!(!whole.is_empty());
    }

    const HOSTILE: [&[u8]; 9] = [
        b"{\"text\": \"a\"}\r\n\r\n{\"text\": \"\\n\\u8bcd\\\\\"}\r\n",
        b"\xEF\xBB\xBF{\"text\": \"\xE8\xAF\x8D\"}\n{\"text\": \"\xF0\x9F\x98\x80\"}",
        b"\n\n\n{\"text\": 1}\n \t\n{\"text\": \"b\"}\n\n",
        b"{\"text\": \"\xFF\"}\n{\"text\"\n: \"c\"}\n\0\n",
        b"{\"text\": \"a line that is longer than most units and than is allowed\"}\n{\"text\": \"d\"}\n",
        b"\xEF\xBB\xBF\n\xEF\xBB\xBF{\"text\": \"e\"}\n",
        b"\r\n\r\r\n{\"text\": \"f\"}\r",
        b"x",
        b"\n\nlast line without an end",
    ];

    #[test]
    fn cuts_at_every_byte_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for (number, bytes) in HOSTILE.iter().enumerate() {
            for name in ["jsonl", "txt"] {
                let path = folder.path().join(format!("{number}.{name}"));
                std::fs::write(&path, bytes).unwrap();
                for max_document in [40, 1 << 20] {
                    let txt_documents = TxtDocuments::Lines;
                    let options = ReadOptions { txt_documents, max_document, ..ReadOptions::default() };
                    check(&path, &options, 1..bytes.len() as u64 + 2);
                }
            }
        }
    }

    /// Frames that end anywhere: in a line end, a character, a mark; some hold nothing.
    #[test]
    fn cuts_between_frames_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let frame = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        for (number, bytes) in HOSTILE.iter().enumerate() {
            for (name, txt_documents) in [("jsonl.zst", TxtDocuments::File), ("txt.zst", TxtDocuments::Lines)] {
                let path = folder.path().join(format!("{number}.{name}"));
                for max_document in [40, 1 << 20] {
                    let options = ReadOptions { txt_documents, max_document, ..ReadOptions::default() };
                    for length in [1, 2, 3, 7, 19, 50] {
                        let mut frames: Vec<Vec<u8>> = bytes.chunks(length).map(frame).collect();
                        frames.insert(frames.len() / 2, frame(b""));
                        std::fs::write(&path, frames.concat()).unwrap();
                        let parts = parts_of(
                            0,
                            &Source::find(std::slice::from_ref(&path), None).unwrap().files[0],
                            1,
                            &options,
                        );
                        assert_eq!(parts.unwrap().len(), frames.len());
                        check(&path, &options, [1, 20, 50, 100].into_iter());
                    }
                    // An end at every byte.
                    for at in 0..=bytes.len() {
                        std::fs::write(&path, [frame(&bytes[..at]), frame(&bytes[at..])].concat()).unwrap();
                        check(&path, &options, std::iter::once(1));
                    }
                }
            }
        }
    }

    #[test]
    fn small_files_are_units_together() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in [("a.txt", 3), ("b.txt", 4), ("c.jsonl", 9), ("d.txt", 1), ("e.txt", 0)] {
            std::fs::write(folder.path().join(name), "x".repeat(1000 * bytes)).unwrap();
        }
        let files = Source::find(&[folder.path().to_owned()], None).unwrap().files;
        let plan = |size: u64| -> Vec<Vec<(usize, u64)>> {
            let units = plan_units(&files, 1000 * size, &ReadOptions::default()).unwrap();
            units.iter().map(|unit| unit.parts.iter().map(|part| (part.file, part.bytes / 1000)).collect()).collect()
        };
        assert_eq!(plan(8), [vec![(0, 3), (1, 4)], vec![(2, 4)], vec![(2, 4)], vec![(3, 1), (4, 0)]]);
        assert_eq!(plan(100), [vec![(0, 3), (1, 4), (2, 9), (3, 1), (4, 0)]]);
        // What is one document is not cut.
        assert_eq!(
            plan(3),
            [vec![(0, 3)], vec![(1, 4)], vec![(2, 3)], vec![(2, 3)], vec![(2, 3)], vec![(3, 1), (4, 0)]]
        );
    }

    #[cfg(feature = "parquet")]
    #[test]
    fn row_groups() {
        let lengths = [5, 5, 20, 1, 2, 3];
        let runs: Vec<Range<usize>> = packed(&lengths, 10).into_iter().map(|(run, _)| run).collect();
        assert_eq!(runs, [0..2, 2..3, 3..6]);
    }

    #[test]
    fn cuts_in_other_encodings_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let text: String = (0..40).map(|n| format!("第{n}行词元😀\r\n")).collect();
        let utf16 = |unit: fn(u16) -> [u8; 2], mark: &str| -> Vec<u8> {
            format!("{mark}{text}").encode_utf16().flat_map(unit).collect()
        };
        let in_frames = |bytes: &[u8]| bytes.chunks(61).flat_map(|part| zstd::encode_all(part, 1).unwrap()).collect();
        let lines = ReadOptions { txt_documents: TxtDocuments::Lines, ..ReadOptions::default() };
        let files: [(Vec<u8>, Vec<Encoding>); 5] = [
            (encoding_rs::GB18030.encode(&text).0.into_owned(), vec![Encoding::Gb18030, Encoding::Auto]),
            (text.clone().into_bytes(), vec![Encoding::Auto]),
            (utf16(u16::to_le_bytes, "\u{FEFF}"), vec![Encoding::Utf16, Encoding::Auto]),
            (utf16(u16::to_be_bytes, "\u{FEFF}"), vec![Encoding::Utf16, Encoding::Auto]),
            (utf16(u16::to_be_bytes, ""), vec![Encoding::Utf16]),
        ];
        for (number, (bytes, encodings)) in files.into_iter().enumerate() {
            for encoding in encodings {
                let options = ReadOptions { encoding, ..lines.clone() };
                for (name, bytes) in [("txt", bytes.clone()), ("txt.zst", in_frames(&bytes))] {
                    let path = folder.path().join(format!("{number}.{name}"));
                    std::fs::write(&path, bytes).unwrap();
                    let files = Source::find(std::slice::from_ref(&path), None).unwrap().files;
                    let whole: Vec<Record> = records(&files[0], &options).unwrap().collect::<Result<_>>().unwrap();
                    let texts: Vec<&str> = whole
                        .iter()
                        .map(|record| match record {
                            Record::Document(document) => document.text.as_str(),
                            Record::Reject(reject) => panic!("{reject:?}"),
                        })
                        .collect();
                    assert_eq!(texts, text.lines().collect::<Vec<_>>());
                    check(&path, &options, [1, 2, 3, 5, 7, 20, 50, 300].into_iter());
                }
            }
        }
    }

    /// Units of every kind beside each other: halves of pairs, line feeds, letters whose bytes are line feeds, a last byte.
    #[test]
    fn cuts_in_hostile_utf16_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let units =
            [0xD83D, 0xDE00, 0x0A, 0xD83D, 0x0A, 0xDE00, 0x0A0A, 0x0A, 0x0D, 0x0A, 0x610A, 0xD83D, 0xD83D, 0xDE00];
        for (seed, length) in (1u32..60).zip((0..24).cycle()) {
            let unit =
                |n: u32| units[(seed.wrapping_mul(2_654_435_761).wrapping_mul(n + 7) >> 20) as usize % units.len()];
            let mut bytes: Vec<u8> =
                [0xFEFFu16].into_iter().chain((0..length).map(unit)).flat_map(u16::to_le_bytes).collect();
            bytes.extend((seed % 3 == 0).then_some(0x0A));
            std::fs::write(&path, &bytes).unwrap();
            for on_invalid_utf8 in [super::super::Utf8Policy::Replace, super::super::Utf8Policy::Reject] {
                let txt_documents = TxtDocuments::Lines;
                let options =
                    ReadOptions { txt_documents, encoding: Encoding::Utf16, on_invalid_utf8, ..ReadOptions::default() };
                let files = Source::find(std::slice::from_ref(&path), None).unwrap().files;
                let whole: Vec<Record> = records(&files[0], &options).unwrap().map(Result::unwrap).collect();
                for size in 1..=bytes.len() as u64 {
                    assert_eq!(by_units(&files, size, size.div_ceil(2), &options), whole, "{bytes:X?} in {size}");
                }
            }
        }
    }
}
