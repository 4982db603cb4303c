//! Where the frames of a Zstandard file lie, so that several threads may read it.
//!
//! A file of many frames (`pzstd`, or files put one after the other) is cut between frames, which are found without
//! decompressing them: a frame says how long its head is, and each of its blocks how long it is
//! (RFC 8878, section 3.1). A file that one thread has compressed as one frame stays whole, as does one whose blocks are
//! so short that looking at all of them would take as long as reading. gzip says nowhere how long a member is, so that
//! its members are found by decompressing alone, and xz and bzip2 are so slow that they are packed again by whoever
//! reads them often: files of these three stay whole.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;

use super::source::InputFile;
use crate::error::{Error, Result};

const MAGIC: u32 = 0xFD2F_B528;
/// Frames that hold no text: the last four bits may be any.
const SKIPPABLE: u32 = 0x184D_2A50;
/// Blocks of a file for each of its KiB, above which it is not looked at any further; and as many in any case.
const LEAST_BLOCKS: u64 = 1 << 10;

/// The frames of `file` that begin in `range`, in runs of at least `size` bytes as they lie on disk, but for the last.
/// `None` where it is no sequence of whole frames, as its reader will find, or one of very short blocks.
pub(super) fn runs(file: &InputFile, range: &Range<u64>, size: u64) -> Result<Option<Vec<Range<u64>>>> {
    let io = |error| Error::io("read", &file.path, error);
    let open = || -> std::io::Result<BufReader<File>> {
        let mut handle = File::open(&file.path)?;
        handle.seek(SeekFrom::Start(range.start))?;
        Ok(BufReader::with_capacity(32, handle))
    };
    let length = range.end - range.start;
    let mut walk = Walk { reader: open().map_err(io)?, at: range.start, blocks: LEAST_BLOCKS + length / 1024 };
    let mut found = Vec::new();
    let mut begin = range.start;
    while walk.at < range.end {
        match walk.frame() {
            Ok(true) if walk.at <= range.end => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(io(error)),
        }
        if walk.at - begin >= size || walk.at == range.end {
            found.push(begin..walk.at);
            begin = walk.at;
        }
    }
    Ok(Some(found))
}

/// Goes from frame to frame.
struct Walk {
    reader: BufReader<File>,
    at: u64,
    /// Blocks that may still be looked at.
    blocks: u64,
}

impl Walk {
    /// Passes over a frame; false where there is none, or where it has too many blocks.
    fn frame(&mut self) -> std::io::Result<bool> {
        let magic = self.number::<4>()?;
        if magic & !0xF == u64::from(SKIPPABLE) {
            let length = self.number::<4>()?;
            self.pass(length)?;
            return Ok(true);
        }
        if magic != u64::from(MAGIC) {
            return Ok(false);
        }
        let descriptor = self.number::<1>()?;
        let single_segment = descriptor >> 5 & 1;
        let dictionary = [0, 1, 2, 4][(descriptor & 3) as usize];
        let content = [single_segment, 2, 4, 8][(descriptor >> 6) as usize];
        self.pass(1 - single_segment + dictionary + content)?;
        loop {
            let Some(left) = self.blocks.checked_sub(1) else { return Ok(false) };
            self.blocks = left;
            let block = self.number::<3>()?;
            match block >> 1 & 3 {
                // All of its bytes are this one.
                1 => self.pass(1)?,
                3 => return Ok(false),
                _ => self.pass(block >> 3)?,
            }
            if block & 1 == 1 {
                break;
            }
        }
        let has_checksum = descriptor >> 2 & 1;
        self.pass(4 * has_checksum)?;
        Ok(true)
    }

    fn number<const N: usize>(&mut self) -> std::io::Result<u64> {
        let mut bytes = [0; 8];
        self.reader.read_exact(&mut bytes[..N])?;
        self.at += N as u64;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Where this leads behind the end of the file, `at` tells.
    fn pass(&mut self, bytes: u64) -> std::io::Result<()> {
        self.at += bytes;
        self.reader.seek_relative(bytes as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Source;

    fn found(bytes: &[u8], size: u64) -> Option<Vec<Range<u64>>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl.zst");
        std::fs::write(&path, bytes).unwrap();
        let files = Source::find(&[path], None).unwrap().files;
        runs(&files[0], &(0..bytes.len() as u64), size).unwrap()
    }

    /// Frames of every kind of head: with and without length, checksum and several blocks, of equal bytes, of none.
    #[test]
    fn frames_of_every_kind() {
        let long: Vec<u8> = (0..400_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut frames = vec![zstd::encode_all(&b""[..], 3).unwrap()];
        for text in [&b"a"[..], &[7; 300_000], &long, &long[..70_000], &long[..300]] {
            for (checksum, length) in [(false, false), (true, false), (false, true), (true, true)] {
                let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
                encoder.include_checksum(checksum).unwrap();
                encoder.include_contentsize(length).unwrap();
                encoder.set_pledged_src_size(length.then_some(text.len() as u64)).unwrap();
                std::io::Write::write_all(&mut encoder, text).unwrap();
                frames.push(encoder.finish().unwrap());
            }
        }
        frames.push([&SKIPPABLE.to_le_bytes()[..], &5u32.to_le_bytes(), b"notes"].concat());
        let all = frames.concat();
        let mut ends: Vec<u64> = Vec::new();
        frames.iter().for_each(|frame| ends.push(ends.last().unwrap_or(&0) + frame.len() as u64));
        let got: Vec<u64> = found(&all, 1).unwrap().into_iter().map(|run| run.end).collect();
        assert_eq!(got, ends);
        let size = all.len() as u64 / 5;
        let runs = found(&all, size).unwrap();
        assert!(runs.len() > 1 && runs.iter().rev().skip(1).all(|run| run.end - run.start >= size), "{runs:?}");
        assert!(
            runs.windows(2).all(|pair| pair[0].end == pair[1].start) && runs.last().unwrap().end == all.len() as u64
        );
        for cut in [1, 3, 5, all.len() / 2, all.len() - 1] {
            assert_eq!(found(&all[..cut], 1), None, "{cut}");
        }
        assert_eq!((found(b"", 1), found(b"no frame at all", 1)), (Some(Vec::new()), None));
    }

    /// A hostile file of empty blocks is not looked at to its end.
    #[test]
    fn very_short_blocks() {
        let mut frame = [&MAGIC.to_le_bytes()[..], &[0, 0x58]].concat();
        frame.extend([0; 3].repeat(5000));
        frame.extend([1, 0, 0]);
        assert_eq!(zstd::decode_all(&frame[..]).unwrap(), b"");
        assert_eq!(found(&frame, 1), None);
    }
}
