//! A file of counts: what text was counted into, sorted, checksummed, and read in bounded memory.
//!
//! Counting a corpus is most of the work of learning from it, and counts are a monoid: kept in files, those of the parts
//! of a corpus are added without reading its text again. All numbers are little endian.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic: `\x89CYCNTS\n` |
//! | 4 | version: 1, or 2 where texts were changed before they were counted |
//! | 4 | length of the head, H |
//! | H | head: bincode of `Fields` (of version 2: `Changed`) through [`codec`], at most [`MAX_HEAD_BYTES`] |
//! | 8 | xxh3 (64 bits) of all bytes before |
//! | any | blocks |
//! | 8 | zero, where the next block's length would stand |
//! | 8, 16 | number of distinct pre-tokens, sum of their counts |
//! | 16 | fingerprint of the entries: see [`CountsTotals`] |
//! | 8 | xxh3 (64 bits) of all bytes before |
//!
//! A block:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | bytes as stored, S, not zero |
//! | 8 | bytes of the entries, R; where S = R they are stored as they are, else as one zstd frame and R is at most [`MAX_PACKED_BYTES`] |
//! | 8 | number of entries, not zero |
//! | 8 | xxh3 (64 bits) of the S bytes |
//! | S | entries |
//!
//! An entry, with numbers in groups of seven bits, lowest first, the high bit set where more follow (LEB128): how many
//! bytes it shares with the pre-token before it in the block (none for the first), how many bytes follow, these bytes,
//! and the count, which is not zero. Pre-tokens ascend strictly by their bytes through the whole file. The same counts
//! give the same bytes.
//!
//! The sums stand at the end because a file is written while its entries are merged, when they are not known yet, and so
//! that neither side has to go back. Only small blocks are compressed: what a few bytes unpack to is bounded, and a longer
//! block (a pre-token of a megabyte) takes as much of the file as of memory.

use std::path::{Path, PathBuf};

use bincode::{Decode, Encode};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::count_streams::{CountStream, CountsTotals, EntryHash};
use super::counts_settings::CountsSettings;
use crate::codec;
use crate::error::{CountsFault, Error, Result};
use crate::segment::HanEdges;

/// The highest version that is read. It is written only where texts were changed before they were counted, which version 1
/// cannot say; all other counts give the bytes that they always gave.
pub const COUNTS_VERSION: u32 = 2;

const MAGIC: [u8; 8] = *b"\x89CYCNTS\n";
/// Patterns are short; one of a megabyte is none.
const MAX_HEAD_BYTES: usize = 1 << 20;
/// Entries are packed when they are so many bytes.
const BLOCK_BYTES: usize = 1 << 16;
/// Longer blocks are stored as they are.
const MAX_PACKED_BYTES: u64 = 1 << 20;
const ZSTD_LEVEL: i32 = 3;
/// Zero, sums, fingerprint and checksum.
const END_BYTES: u64 = 8 + 8 + 16 + 16 + 8;

/// What a file of counts says at its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountsHead {
    /// What the text was counted with.
    pub settings: CountsSettings,
    /// Documents that were counted.
    pub documents: u64,
    /// Bytes of their text.
    pub bytes: u64,
}

#[derive(Encode, Decode)]
struct Fields {
    pattern: String,
    edges: u8,
    dictionary: u64,
    unicode: String,
    documents: u64,
    bytes: u64,
}

/// The head of version 2.
#[derive(Encode, Decode)]
struct Changed {
    fields: Fields,
    normalization: String,
}

const EDGES: [HanEdges; 3] = [HanEdges::None, HanEdges::Words, HanEdges::Chars];

impl CountsHead {
    fn to_bytes(&self) -> Result<Vec<u8>> {
        let Self { settings, documents, bytes } = self;
        let fields = Fields {
            pattern: settings.pattern.clone(),
            edges: EDGES.iter().position(|edges| *edges == settings.edges).unwrap_or_default() as u8,
            dictionary: settings.dictionary,
            unicode: settings.unicode.clone(),
            documents: *documents,
            bytes: *bytes,
        };
        let (version, normalization) = (settings.version(), settings.normalization.clone());
        let fields = match version {
            1 => codec::encode::<MAX_HEAD_BYTES, _>(&fields),
            _ => codec::encode::<MAX_HEAD_BYTES, _>(&Changed { fields, normalization }),
        };
        let fields = fields.ok_or(Error::Limit {
            what: "the head of a file of counts, which holds the pattern, in bytes,",
            value: settings.pattern.len() as u64,
            max: MAX_HEAD_BYTES as u64,
        })?;
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&version.to_le_bytes());
        head.extend_from_slice(&(fields.len() as u32).to_le_bytes());
        head.extend_from_slice(&fields);
        head.extend_from_slice(&xxh3_64(&head).to_le_bytes());
        Ok(head)
    }

    fn from_fields(version: u32, bytes: &[u8]) -> Option<Self> {
        let (fields, normalization) = match version {
            1 => (codec::decode::<MAX_HEAD_BYTES, Fields>(bytes)?, String::new()),
            _ => {
                let Changed { fields, normalization } = codec::decode::<MAX_HEAD_BYTES, _>(bytes)?;
                (fields, normalization)
            }
        };
        let edges = *EDGES.get(usize::from(fields.edges))?;
        let Fields { pattern, dictionary, unicode, documents, bytes, .. } = fields;
        Some(Self { settings: CountsSettings { pattern, edges, dictionary, unicode, normalization }, documents, bytes })
    }
}

/// Writes a file of counts to `sink`, which takes its bytes from the first to the last.
pub struct CountsWriter<W> {
    sink: W,
    hash: Xxh3,
    block: Vec<u8>,
    entries: u64,
    last: Vec<u8>,
    of_entries: EntryHash,
}

impl<W: FnMut(&[u8]) -> Result<()>> CountsWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] for a pattern that is too long, and those of `sink`.
    pub fn new(head: &CountsHead, sink: W) -> Result<Self> {
        let (block, last) = (Vec::with_capacity(2 * BLOCK_BYTES), Vec::new());
        let mut writer = Self { sink, hash: Xxh3::new(), block, entries: 0, last, of_entries: EntryHash::default() };
        writer.put(&head.to_bytes()?)?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        (self.sink)(bytes)
    }

    /// Appends all of a stream.
    ///
    /// # Errors
    ///
    /// Those of the stream and of `sink`.
    pub fn push_all(&mut self, stream: &mut (impl CountStream + ?Sized)) -> Result<()> {
        while stream.advance()? {
            self.push(stream.span(), stream.count())?;
        }
        Ok(())
    }

    /// Appends a pre-token with its count.
    ///
    /// # Errors
    ///
    /// Those of `sink`.
    ///
    /// # Panics
    ///
    /// When it does not come behind the one before it, or its count is zero: a stream of counts never does that.
    pub fn push(&mut self, span: &[u8], count: u64) -> Result<()> {
        let in_order = self.of_entries.distinct == 0 || self.last.as_slice() < span;
        assert!(in_order && count > 0, "pre-tokens are written in ascending order, with their counts");
        self.of_entries.add(span, count);
        let shared = match self.entries {
            0 => 0,
            _ => self.last.iter().zip(span).take_while(|(left, right)| left == right).count(),
        };
        put_number(&mut self.block, shared as u64);
        put_number(&mut self.block, (span.len() - shared) as u64);
        self.block.extend_from_slice(&span[shared..]);
        put_number(&mut self.block, count);
        self.entries += 1;
        self.last.truncate(shared);
        self.last.extend_from_slice(&span[shared..]);
        if self.block.len() >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<()> {
        let raw = std::mem::take(&mut self.block);
        let packed = match raw.len() as u64 {
            ..=MAX_PACKED_BYTES => zstd::bulk::compress(&raw, ZSTD_LEVEL).ok(),
            _ => None,
        };
        let stored = packed.as_deref().filter(|packed| packed.len() < raw.len()).unwrap_or(&raw);
        for number in [stored.len() as u64, raw.len() as u64, self.entries, xxh3_64(stored)] {
            self.put(&number.to_le_bytes())?;
        }
        self.put(stored)?;
        self.block = raw;
        self.block.clear();
        self.entries = 0;
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    ///
    /// Those of `sink`.
    pub fn finish(mut self) -> Result<CountsTotals> {
        if self.entries > 0 {
            self.end_block()?;
        }
        let totals = self.of_entries.totals();
        self.put(&0u64.to_le_bytes())?;
        self.put(&totals.distinct.to_le_bytes())?;
        self.put(&totals.sum.to_le_bytes())?;
        self.put(&totals.fingerprint.0)?;
        let checksum = self.hash.digest();
        self.put(&checksum.to_le_bytes())?;
        Ok(totals)
    }
}

/// Reads a file of counts, block by block. `R` fills a buffer with the next bytes of the file and says how many there
/// were: fewer than asked for only where the file ends.
pub struct CountsReader<R> {
    name: PathBuf,
    source: R,
    /// Bytes read, and their hash.
    offset: u64,
    hash: Xxh3,
    head: CountsHead,
    /// Where the block begins, its entries, and what is left of them.
    block_at: u64,
    block: Vec<u8>,
    stored: Vec<u8>,
    at: usize,
    left: u64,
    span: Vec<u8>,
    count: u64,
    of_entries: EntryHash,
    totals: Option<CountsTotals>,
}

impl<R: FnMut(&mut [u8]) -> Result<usize>> CountsReader<R> {
    /// Reads the head of a file; `name` is for messages.
    ///
    /// # Errors
    ///
    /// [`Error::Counts`] when it is damaged or no file of counts, and those of `source`.
    pub fn open(name: &Path, source: R) -> Result<Self> {
        let settings = CountsSettings::new("", HanEdges::None, 0);
        let mut reader = Self {
            name: name.to_owned(),
            source,
            offset: 0,
            hash: Xxh3::new(),
            head: CountsHead { settings, documents: 0, bytes: 0 },
            block_at: 0,
            block: Vec::new(),
            stored: Vec::new(),
            at: 0,
            left: 0,
            span: Vec::new(),
            count: 0,
            of_entries: EntryHash::default(),
            totals: None,
        };
        reader.head = reader.read_head()?;
        Ok(reader)
    }

    fn read_head(&mut self) -> Result<CountsHead> {
        let mut bytes = Vec::new();
        self.take(8, &mut bytes)?;
        if bytes != MAGIC {
            return Err(self.fault(CountsFault::Magic));
        }
        self.take(4, &mut bytes)?;
        let version = u32::from_le_bytes(bytes.first_chunk().copied().unwrap_or_default());
        if !(1..=COUNTS_VERSION).contains(&version) {
            return Err(self.fault(CountsFault::Version { got: version, supported: COUNTS_VERSION }));
        }
        self.take(4, &mut bytes)?;
        let length = u32::from_le_bytes(bytes.first_chunk().copied().unwrap_or_default());
        if length as usize > MAX_HEAD_BYTES {
            return Err(self.impossible(12, "its head is too long"));
        }
        let mut fields = Vec::new();
        self.take(u64::from(length), &mut fields)?;
        let got = self.hash.digest();
        let expected = self.number()?;
        self.check("head", 0, expected, got)?;
        CountsHead::from_fields(version, &fields).ok_or_else(|| self.impossible(16, "its head cannot be read"))
    }

    /// What the file says at its beginning.
    #[must_use]
    pub fn head(&self) -> &CountsHead {
        &self.head
    }

    /// What it says at its end, when that was reached.
    #[must_use]
    pub fn totals(&self) -> Option<CountsTotals> {
        self.totals
    }

    fn fault(&self, fault: CountsFault) -> Error {
        Error::Counts { path: self.name.clone(), fault }
    }

    fn impossible(&self, offset: u64, why: &'static str) -> Error {
        self.fault(CountsFault::Impossible { offset, why })
    }

    fn check(&self, what: &'static str, offset: u64, expected: u64, got: u64) -> Result<()> {
        match expected == got {
            true => Ok(()),
            false => Err(self.fault(CountsFault::Checksum { what, offset, expected, got })),
        }
    }

    /// Puts the next `length` bytes in place of those of a buffer, which grows as far as the file has them.
    fn take(&mut self, length: u64, buffer: &mut Vec<u8>) -> Result<()> {
        buffer.clear();
        let mut got = 0;
        while got < length {
            let step = (length - got).min(MAX_PACKED_BYTES) as usize;
            let start = buffer.len();
            buffer.resize(start + step, 0);
            let read = (self.source)(&mut buffer[start..])?;
            got += read as u64;
            if read < step {
                return Err(self.fault(CountsFault::Truncated { offset: self.offset, expected: length, got }));
            }
        }
        self.hash.update(buffer);
        self.offset += length;
        Ok(())
    }

    fn number(&mut self) -> Result<u64> {
        let mut bytes = Vec::new();
        self.take(8, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes.first_chunk().copied().unwrap_or_default()))
    }

    /// Reads the next block; whether there is one.
    fn next_block(&mut self) -> Result<bool> {
        self.block_at = self.offset;
        let stored = self.number()?;
        if stored == 0 {
            return self.end().map(|()| false);
        }
        let (raw, entries, expected) = (self.number()?, self.number()?, self.number()?);
        if stored > raw || (stored < raw && raw > MAX_PACKED_BYTES) || entries == 0 || entries > raw {
            return Err(self.impossible(self.block_at, "the lengths of a block contradict each other"));
        }
        let mut bytes = std::mem::take(&mut self.stored);
        self.take(stored, &mut bytes)?;
        self.check("block", self.block_at, expected, xxh3_64(&bytes))?;
        if stored == raw {
            std::mem::swap(&mut self.block, &mut bytes);
        } else {
            let unpacked = zstd::bulk::decompress(&bytes, raw as usize).ok();
            self.block = unpacked
                .filter(|block| block.len() as u64 == raw)
                .ok_or_else(|| self.impossible(self.block_at, "a block cannot be unpacked"))?;
        }
        (self.stored, self.at, self.left) = (bytes, 0, entries);
        Ok(true)
    }

    /// Reads what stands behind the blocks.
    fn end(&mut self) -> Result<()> {
        let mut sums = Vec::new();
        self.take(END_BYTES - 16, &mut sums)?;
        let got = self.hash.digest();
        let (at, expected) = (self.offset, self.number()?);
        self.check("whole file", at, expected, got)?;
        if (self.source)(&mut [0])? > 0 {
            return Err(self.impossible(self.offset, "more follows behind its end"));
        }
        let totals = self.of_entries.totals();
        let counted =
            [totals.distinct.to_le_bytes().as_slice(), &totals.sum.to_le_bytes(), &totals.fingerprint.0].concat();
        if sums != counted {
            return Err(self.impossible(self.block_at, "its sums are not those of its entries"));
        }
        self.totals = Some(totals);
        Ok(())
    }

    /// Reads the next entry of the block.
    fn next_entry(&mut self) -> Option<()> {
        let is_first = self.at == 0;
        let (shared, length) = (get_number(&self.block, &mut self.at)?, get_number(&self.block, &mut self.at)?);
        let (shared, length) = (usize::try_from(shared).ok()?, usize::try_from(length).ok()?);
        let suffix = self.block.get(self.at..self.at.checked_add(length)?)?;
        // It ascends strictly where what is new is behind what stood there; and it shares all that it can.
        let old = self.span.get(shared..)?;
        let ascends = match is_first {
            true => shared == 0 && (self.of_entries.distinct == 0 || self.span.as_slice() < suffix),
            false => suffix.first() > old.first(),
        };
        if !ascends {
            return None;
        }
        self.span.truncate(shared);
        self.span.extend_from_slice(suffix);
        self.at += length;
        self.count = get_number(&self.block, &mut self.at).filter(|count| *count > 0)?;
        self.left -= 1;
        (self.left > 0 || self.at == self.block.len()).then_some(())
    }
}

impl<R: FnMut(&mut [u8]) -> Result<usize>> CountStream for CountsReader<R> {
    fn advance(&mut self) -> Result<bool> {
        if self.totals.is_some() || (self.left == 0 && !self.next_block()?) {
            return Ok(false);
        }
        self.next_entry()
            .ok_or_else(|| self.impossible(self.block_at, "a block holds an entry that is damaged or out of order"))?;
        self.of_entries.add(&self.span, self.count);
        Ok(true)
    }

    fn span(&self) -> &[u8] {
        &self.span
    }

    fn count(&self) -> u64 {
        self.count
    }
}

fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// The number at `at`, which is moved behind it; `None` where the bytes end or it exceeds 64 bits.
fn get_number(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        let group = u64::from(byte & 0x7F);
        if (group << shift) >> shift != group {
            return None;
        }
        number |= group << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{Counts, SortedCounts};
    use proptest::prelude::*;

    fn head() -> CountsHead {
        let settings = CountsSettings::new(r"\p{L}+|\P{L}+", HanEdges::Words, 7);
        CountsHead { settings, documents: 3, bytes: 1000 }
    }

    fn written(counts: &Counts) -> Vec<u8> {
        let mut file = Vec::new();
        let mut writer = CountsWriter::new(&head(), |bytes: &[u8]| {
            file.extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
        writer.push_all(&mut SortedCounts::new(counts)).unwrap();
        assert_eq!(writer.finish().unwrap(), counts.totals());
        file
    }

    fn source(mut bytes: &[u8]) -> impl FnMut(&mut [u8]) -> Result<usize> {
        move |buffer| {
            let length = buffer.len().min(bytes.len());
            buffer[..length].copy_from_slice(&bytes[..length]);
            bytes = &bytes[length..];
            Ok(length)
        }
    }

    fn read(bytes: &[u8]) -> Result<(CountsHead, Counts)> {
        let mut reader = CountsReader::open(Path::new("c"), source(bytes))?;
        let counts = Counts::of_stream(&mut reader)?;
        assert_eq!(reader.totals(), Some(counts.totals()));
        assert!(!reader.advance()?, "it goes on behind its end");
        Ok((reader.head().clone(), counts))
    }

    fn of(spans: &[(&[u8], u64)]) -> Counts {
        let mut counts = Counts::default();
        spans.iter().for_each(|(span, count)| counts.add(span, *count).unwrap());
        counts
    }

    #[test]
    fn no_counts_and_the_empty_pre_token() {
        for counts in [of(&[]), of(&[(b"", 1)]), of(&[(b"", u64::MAX), (b"\0", 1), (b"\xFF\xFF", u64::MAX)])] {
            assert_eq!(read(&written(&counts)).unwrap(), (head(), counts));
        }
    }

    #[test]
    fn many_blocks_and_a_long_pre_token() {
        let long: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut counts = of(&[(&long, 5), (&long[..2_999_999], 6), (&vec![b'a'; 2_000_000], 7)]);
        (0..40_000u64).for_each(|n| counts.add(format!("{}词", n * n).as_bytes(), n + 1).unwrap());
        let file = written(&counts);
        assert_eq!(read(&file).unwrap(), (head(), counts));
    }

    /// Every byte changed, by one bit and by all, and every length: an error, and never other counts.
    #[test]
    fn damage_is_an_error() {
        let mut counts = of(&[(b"", 2), (b"a", 300), (b"ab", 1), ("词元".as_bytes(), 9)]);
        // A block that is compressed, and one that is not.
        (0..6000u64).for_each(|n| counts.add(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes(), 1).unwrap());
        let file = written(&counts);
        let all_at = |place: usize| !(300..file.len() - 200).contains(&place) || place.is_multiple_of(101);
        for place in (0..file.len()).filter(|place| all_at(*place)) {
            for flip in [1, 0x80, 0xFF] {
                let mut damaged = file.clone();
                damaged[place] ^= flip;
                assert!(matches!(read(&damaged), Err(Error::Counts { .. })), "byte {place}");
            }
            assert!(matches!(read(&file[..place]), Err(Error::Counts { .. })), "{place} bytes");
        }
        let longer = [file.as_slice(), &[0]].concat();
        assert!(matches!(read(&longer), Err(Error::Counts { fault: CountsFault::Impossible { .. }, .. })));
    }

    /// A block and an end under checksums that fit.
    fn forged(block: &[u8], entries: u64, stated: Option<(u64, u64)>) -> Vec<u8> {
        let mut file = head().to_bytes().unwrap();
        let (stored, raw) = stated.unwrap_or((block.len() as u64, block.len() as u64));
        for number in [stored, raw, entries, xxh3_64(block)] {
            file.extend_from_slice(&number.to_le_bytes());
        }
        file.extend_from_slice(block);
        file.extend_from_slice(&0u64.to_le_bytes());
        let mut hash = EntryHash::default();
        hash.add(b"a", 1);
        file.extend_from_slice(&hash.totals().distinct.to_le_bytes());
        file.extend_from_slice(&hash.totals().sum.to_le_bytes());
        file.extend_from_slice(&hash.totals().fingerprint.0);
        file.extend_from_slice(&xxh3_64(&file).to_le_bytes());
        file
    }

    #[test]
    fn hostile_contents_under_right_checksums() {
        assert_eq!(read(&forged(&[0, 1, b'a', 1], 1, None)).unwrap().1, of(&[(b"a", 1)]));
        let cases: [(&[u8], u64); 12] = [
            (&[0, 1, b'a', 1, 0], 1),             // bytes behind the last entry
            (&[0, 1, b'a', 1], 2),                // fewer entries than stated
            (&[0, 1, b'a', 0], 1),                // no count
            (&[1, 1, b'a', 1], 1),                // shares with nothing
            (&[0, 9, b'a', 1], 1),                // longer than the block
            (&[0, 1, b'b', 1, 0, 1, b'a', 1], 2), // descending
            (&[0, 1, b'a', 1, 0, 1, b'a', 1], 2), // twice
            (&[0, 1, b'a', 1, 1, 0, 1], 2),       // twice, by what is shared
            (&[0, 1, b'a', 1, 2, 1, b'b', 1], 2), // shares more than there was
            (&[0, 1, b'a', 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2], 1), // above 64 bits
            (&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 1, b'a', 1], 1),
            (&[0, 1, b'b', 1], 1), // sums of other entries
        ];
        for (block, entries) in cases {
            let result = read(&forged(block, entries, None));
            assert!(matches!(result, Err(Error::Counts { .. })), "{block:?}: {result:?}");
        }
        // Lengths that no writer states: more than is there, more than is unpacked, beyond all memory.
        for stated in [(4, 1 << 40), (3, 4), (1 << 60, 1 << 60), (5, 4), (4, 5)] {
            let result = read(&forged(&[0, 1, b'a', 1], 1, Some(stated)));
            assert!(matches!(result, Err(Error::Counts { .. })), "{stated:?}: {result:?}");
        }
    }

    #[test]
    fn other_settings_are_named() {
        let here = head().settings;
        here.require(Path::new("c"), &here).unwrap();
        let mut there = here.clone();
        there.edges = HanEdges::Chars;
        let message = here.require(Path::new("some/c"), &there).unwrap_err().to_string();
        assert!(
            ["some/c", "edges in Han runs", "`chars`", "`words`"].iter().all(|part| message.contains(part)),
            "{message}"
        );
        let others = [
            CountsSettings { pattern: ".".to_owned(), ..here.clone() },
            CountsSettings { dictionary: 8, ..here.clone() },
            CountsSettings { unicode: "1".to_owned(), ..here.clone() },
            here.clone().of_texts_with("nfc".to_owned()),
        ];
        assert!(others.iter().all(|there| here.require(Path::new("c"), there).is_err()));
    }

    #[test]
    fn the_head_says_what_was_done_to_texts() {
        for (normalization, version) in [("", 1), ("crlf,nfc", 2)] {
            let settings = head().settings.of_texts_with(normalization.to_owned());
            let head = CountsHead { settings, ..head() };
            let mut file = Vec::new();
            let keep = |bytes: &[u8]| {
                file.extend_from_slice(bytes);
                Ok(())
            };
            CountsWriter::new(&head, keep).unwrap().finish().unwrap();
            assert_eq!(file[8], version);
            assert_eq!(*CountsReader::open(Path::new("c"), source(&file)).unwrap().head(), head);
            // Neither is read as the other, nor as one to come.
            for other in [0, 3 - version, 3] {
                file[8] = other;
                assert!(CountsReader::open(Path::new("c"), source(&file)).is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn round_trip(spans in prop::collection::vec(("[ab\u{8bcd}]{0,6}", 1u64..1 << 40), 0..200)) {
            let (mut forward, mut backward) = (Counts::default(), Counts::default());
            spans.iter().for_each(|(span, count)| forward.add(span.as_bytes(), *count).unwrap());
            spans.iter().rev().for_each(|(span, count)| backward.add(span.as_bytes(), *count).unwrap());
            let file = written(&forward);
            prop_assert_eq!(&written(&backward), &file);
            prop_assert_eq!(read(&file).unwrap(), (head(), forward));
        }

        #[test]
        fn any_change_of_a_small_file(count in 1u64..1000, place in 0usize..1 << 16, byte in 1u8..) {
            let mut file = written(&of(&[(b"abc", count), (b"abd", 2)]));
            let place = place % file.len();
            file[place] ^= byte;
            prop_assert!(read(&file).is_err());
        }
    }
}
