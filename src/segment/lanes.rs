//! Classes of 64 bytes at once: AVX-512, AVX2, and plain 64-bit words.
//!
//! Which one runs is found out when the program runs; all give the same masks, which the tests compare with a loop
//! over the bytes. `unsafe` here is two things: intrinsics of an instruction set, whose presence a value of
//! [`Avx512`] or [`Avx2`] proves, and loads from arrays that are as long as what is loaded.

use super::blocks::{BLOCK, Masks, WIDE_PUNCTUATION};

/// Work that is compiled once for each instruction set. `run` must be inlined, and all that it calls with the lanes.
pub(super) trait Work {
    fn run<L: Lanes>(self, lanes: L);
}

/// A set of instructions that scanners can run on. The one that is best on this machine is chosen by itself; the others
/// are there to be tested and measured.
#[derive(Debug, Clone, Copy)]
pub struct Instructions(Level);

#[derive(Debug, Clone, Copy)]
enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Portable(Words),
}

impl Instructions {
    /// All that run on this machine, the fastest first; the last one runs on every machine.
    pub fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let vectors = Avx512::detect().map(Level::Avx512).into_iter().chain(Avx2::detect().map(Level::Avx2));
        #[cfg(not(target_arch = "x86_64"))]
        let vectors = std::iter::empty();
        vectors.chain([Level::Portable(Words)]).map(Self)
    }

    /// The fastest. What it finds out about the machine is kept, so that a call costs a few loads.
    #[must_use]
    pub fn best() -> Self {
        Self::all().next().unwrap_or(Self(Level::Portable(Words)))
    }

    /// `avx512`, `avx2` or `portable`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => "avx2",
            Level::Portable(_) => "portable",
        }
    }

    #[inline]
    pub(super) fn run<W: Work>(self, work: W) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(lanes) => lanes.run(work),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(lanes) => lanes.run(work),
            Level::Portable(lanes) => work.run(lanes),
        }
    }
}

/// A way to class the bytes of a block.
pub(super) trait Lanes: Copy {
    /// The masks of the classes. The block starts at the edge of a character of valid UTF-8, and may end inside one.
    fn masks(self, block: &[u8; BLOCK]) -> Masks;

    /// The bytes of the run of ideographs U+4E00 to U+9FFF at the start of the block: a multiple of three, at most 63.
    /// The block starts at the edge of a character of valid UTF-8.
    fn ideographs(self, block: &[u8; BLOCK]) -> usize;
}

/// Bits 0, 3, ... 60: the first bytes of 21 characters of three bytes; and bit 63, where no whole one can stand.
const STARTS: u64 = 0x9249_2492_4924_9249;

/// The run at the start of a block whose bytes `first` could be first bytes of ideographs.
#[inline(always)]
fn run_of(first: u64) -> usize {
    ((!first | 1 << 63) & STARTS).trailing_zeros() as usize
}

/// Plain 64-bit words, eight bytes a word. Runs everywhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words;

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The top bits of the bytes of `word` that lie in `from..=to`, both below 128.
#[inline(always)]
fn within(word: u64, from: u8, to: u8) -> u64 {
    let low = word & !HIGH;
    // No carry leaves a byte: each is at most 127 + 128.
    let at_least = low + LOW * (128 - u64::from(from));
    let beyond = low + LOW * (127 - u64::from(to));
    at_least & !beyond & !word & HIGH
}

/// One bit a byte, from the top bits of a word.
#[inline(always)]
fn gather(tops: u64) -> u64 {
    ((tops >> 7).wrapping_mul(0x0102_0408_1020_4080)) >> 56
}

/// The first bytes of ideographs and of common punctuation, in a block with these bytes beyond ASCII.
#[inline(always)]
fn first_bytes(block: &[u8; BLOCK], high: u64) -> (u64, u64) {
    let (mut ideograph, mut punctuation, mut rest) = (0, 0, high);
    while rest != 0 {
        let at = rest.trailing_zeros() as usize;
        let first = block[at];
        let next = |offset: usize| block.get(at + offset).copied().unwrap_or(0);
        if matches!(first, 0xE5..=0xE9) || first == 0xE4 && next(1) >= 0xB8 {
            ideograph |= 1 << at;
            rest &= !(7 << at);
            continue;
        }
        let is_punctuation =
            |&(one, two, from, to): &(u8, u8, u8, u8)| first == one && next(1) == two && (from..=to).contains(&next(2));
        if WIDE_PUNCTUATION.iter().any(is_punctuation) {
            punctuation |= 1 << at;
        }
        rest &= rest - 1;
    }
    (ideograph, punctuation)
}

impl Lanes for Words {
    #[inline(always)]
    fn masks(self, block: &[u8; BLOCK]) -> Masks {
        let mut masks = Masks::default();
        for (index, bytes) in block.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*bytes);
            let shift = 8 * index;
            let upper = within(word, b'A', b'Z');
            let space = within(word, b' ', b' ');
            let newline = within(word, b'\n', b'\n') | within(word, b'\r', b'\r');
            masks.upper |= gather(upper) << shift;
            masks.letter |= gather(upper | within(word, b'a', b'z')) << shift;
            masks.digit |= gather(within(word, b'0', b'9')) << shift;
            masks.space |= gather(space) << shift;
            masks.white |= gather(space | within(word, b'\t', b'\r')) << shift;
            masks.newline |= gather(newline) << shift;
            masks.apostrophe |= gather(within(word, b'\'', b'\'')) << shift;
            masks.slash |= gather(within(word, b'/', b'/')) << shift;
            let control = within(word, 0, 8) | within(word, 0x0E, 0x1F) | within(word, 0x7F, 0x7F);
            masks.control |= gather(control) << shift;
            masks.high |= gather(word & HIGH) << shift;
        }
        if masks.high != 0 {
            (masks.ideograph, masks.punctuation) = first_bytes(block, masks.high);
        }
        masks
    }

    #[inline(always)]
    fn ideographs(self, block: &[u8; BLOCK]) -> usize {
        let ideograph = |&&[first, second, _]: &&[u8; 3]| match first {
            0xE4 => second >= 0xB8,
            0xE5..=0xE9 => true,
            _ => false,
        };
        3 * block.as_chunks::<3>().0.iter().take_while(ideograph).count()
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use std::arch::x86_64::*;

    use super::{BLOCK, Lanes, Masks, WIDE_PUNCTUATION, Work, run_of};

    /// 64 bytes a vector. A value is proof that the machine has the instructions.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Avx512(());

    impl Avx512 {
        pub(crate) fn detect() -> Option<Self> {
            let found = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt");
            found.then_some(Self(()))
        }

        pub(crate) fn run<W: Work>(self, work: W) {
            #[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt")]
            fn compiled<W: Work>(lanes: Avx512, work: W) {
                work.run(lanes);
            }
            // SAFETY: `self` proves every feature.
            unsafe { compiled(self, work) }
        }
    }

    impl Lanes for Avx512 {
        #[inline(always)]
        fn masks(self, block: &[u8; BLOCK]) -> Masks {
            // SAFETY: `self` proves AVX-512 F and BW; the load is of the 64 bytes of the block.
            unsafe {
                let bytes = _mm512_loadu_si512(block.as_ptr().cast());
                let all = |byte: u8| _mm512_set1_epi8(byte as i8);
                let equal = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, all(byte));
                // Unsigned: bytes below `from` wrap around to large ones.
                let from =
                    |bytes, from: u8, count: u8| _mm512_cmplt_epu8_mask(_mm512_sub_epi8(bytes, all(from)), all(count));
                let high = _mm512_movepi8_mask(bytes);
                let (mut ideograph, mut punctuation) = (0, 0);
                if high != 0 {
                    let from_4e00 = _mm512_cmpge_epu8_mask(bytes, all(0xB8)) >> 1;
                    ideograph = from(bytes, 0xE5, 5) | equal(0xE4) & from_4e00;
                    for (first, second, low, top) in WIDE_PUNCTUATION {
                        let third = from(bytes, low, top - low + 1);
                        punctuation |= equal(first) & equal(second) >> 1 & third >> 2;
                    }
                }
                Masks {
                    letter: from(_mm512_or_si512(bytes, all(0x20)), b'a', 26),
                    upper: from(bytes, b'A', 26),
                    digit: from(bytes, b'0', 10),
                    space: equal(b' '),
                    white: equal(b' ') | from(bytes, b'\t', 5),
                    newline: equal(b'\n') | equal(b'\r'),
                    apostrophe: equal(b'\''),
                    slash: equal(b'/'),
                    control: from(bytes, 0, 9) | from(bytes, 0x0E, 0x12) | equal(0x7F),
                    high,
                    ideograph,
                    punctuation,
                }
            }
        }

        #[inline(always)]
        fn ideographs(self, block: &[u8; BLOCK]) -> usize {
            // SAFETY: as above.
            let first = unsafe {
                let bytes = _mm512_loadu_si512(block.as_ptr().cast());
                let all = |byte: u8| _mm512_set1_epi8(byte as i8);
                let whole_rows = _mm512_cmplt_epu8_mask(_mm512_sub_epi8(bytes, all(0xE5)), all(5));
                let from_4e00 = _mm512_cmpge_epu8_mask(bytes, all(0xB8)) >> 1;
                whole_rows | _mm512_cmpeq_epi8_mask(bytes, all(0xE4)) & from_4e00
            };
            run_of(first)
        }
    }

    /// 32 bytes a vector, two of them. A value is proof that the machine has the instructions.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Avx2(());

    impl Avx2 {
        pub(crate) fn detect() -> Option<Self> {
            let found = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt");
            found.then_some(Self(()))
        }

        pub(crate) fn run<W: Work>(self, work: W) {
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
            fn compiled<W: Work>(lanes: Avx2, work: W) {
                work.run(lanes);
            }
            // SAFETY: `self` proves every feature.
            unsafe { compiled(self, work) }
        }

        /// The bits of the bytes for which `wanted` gives a byte with the top bit.
        #[inline(always)]
        fn mask(self, block: &[u8; BLOCK], wanted: impl Fn(__m256i) -> __m256i) -> u64 {
            // SAFETY: `self` proves AVX2; the loads are of the two halves of the block.
            unsafe {
                let half = |at: usize| {
                    let bytes = _mm256_loadu_si256(block.as_ptr().add(at).cast());
                    u64::from(_mm256_movemask_epi8(wanted(bytes)) as u32)
                };
                half(0) | half(32) << 32
            }
        }

        #[inline(always)]
        fn equal(self, block: &[u8; BLOCK], byte: u8) -> u64 {
            // SAFETY: `self` proves AVX2.
            self.mask(block, |bytes| unsafe { _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8)) })
        }

        /// Bytes of `from..from + count`, after those bits were set that `set` has.
        #[inline(always)]
        fn from(self, block: &[u8; BLOCK], set: u8, from: u8, count: u8) -> u64 {
            // SAFETY: `self` proves AVX2.
            self.mask(block, |bytes| unsafe {
                let bytes = _mm256_or_si256(bytes, _mm256_set1_epi8(set as i8));
                let above = _mm256_sub_epi8(bytes, _mm256_set1_epi8(from as i8));
                // Unsigned `above < count`: the smaller of it and `count - 1` is itself.
                _mm256_cmpeq_epi8(_mm256_min_epu8(above, _mm256_set1_epi8(count as i8 - 1)), above)
            })
        }
    }

    impl Lanes for Avx2 {
        #[inline(always)]
        fn masks(self, block: &[u8; BLOCK]) -> Masks {
            let space = self.equal(block, b' ');
            let high = self.mask(block, |bytes| bytes);
            let (mut ideograph, mut punctuation) = (0, 0);
            if high != 0 {
                let from_4e00 = self.from(block, 0, 0xB8, 0x48) >> 1;
                ideograph = self.from(block, 0, 0xE5, 5) | self.equal(block, 0xE4) & from_4e00;
                for (first, second, low, top) in WIDE_PUNCTUATION {
                    let third = self.from(block, 0, low, top - low + 1);
                    punctuation |= self.equal(block, first) & self.equal(block, second) >> 1 & third >> 2;
                }
            }
            Masks {
                letter: self.from(block, 0x20, b'a', 26),
                upper: self.from(block, 0, b'A', 26),
                digit: self.from(block, 0, b'0', 10),
                space,
                white: space | self.from(block, 0, b'\t', 5),
                newline: self.equal(block, b'\n') | self.equal(block, b'\r'),
                apostrophe: self.equal(block, b'\''),
                slash: self.equal(block, b'/'),
                control: self.from(block, 0, 0, 9) | self.from(block, 0, 0x0E, 0x12) | self.equal(block, 0x7F),
                high,
                ideograph,
                punctuation,
            }
        }

        #[inline(always)]
        fn ideographs(self, block: &[u8; BLOCK]) -> usize {
            let whole_rows = self.from(block, 0, 0xE5, 5);
            let from_4e00 = self.from(block, 0, 0xB8, 0x48) >> 1;
            run_of(whole_rows | self.equal(block, 0xE4) & from_4e00)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::classes::{PUNCTUATION, SYMBOL, class_at};
    use super::*;
    use proptest::prelude::*;

    fn plain(block: &[u8; BLOCK]) -> Masks {
        let mask = |wanted: fn(u8) -> bool| {
            block.iter().enumerate().fold(0, |mask, (at, byte)| mask | u64::from(wanted(*byte)) << at)
        };
        Masks {
            letter: mask(|byte| byte.is_ascii_alphabetic()),
            upper: mask(|byte| byte.is_ascii_uppercase()),
            digit: mask(|byte| byte.is_ascii_digit()),
            space: mask(|byte| byte == b' '),
            white: mask(|byte| char::from(byte).is_whitespace() && byte.is_ascii()),
            newline: mask(|byte| byte == b'\n' || byte == b'\r'),
            apostrophe: mask(|byte| byte == b'\''),
            slash: mask(|byte| byte == b'/'),
            control: mask(|byte| byte.is_ascii_control() && !char::from(byte).is_whitespace()),
            high: mask(|byte| !byte.is_ascii()),
            ideograph: characters(block, |first, rest| {
                matches!(first, 0xE5..=0xE9) || first == 0xE4 && rest.first().is_some_and(|second| *second >= 0xB8)
            }),
            punctuation: characters(block, |first, rest| {
                let [second, third, ..] = rest else { return false };
                let code = (u32::from(first) & 15) << 12 | (u32::from(*second) & 63) << 6 | u32::from(*third) & 63;
                let ranges = [0x2010..=0x2027, 0x3001..=0x3003, 0x3008..=0x3011, 0xFF01..=0xFF0F, 0xFF1A..=0xFF20];
                let whole = first >> 4 == 0xE && second >> 6 == 2 && third >> 6 == 2;
                whole && ranges.iter().any(|range| range.contains(&code))
            }),
        }
    }

    /// The bytes that are `wanted`, given those behind them in the block.
    fn characters(block: &[u8; BLOCK], wanted: impl Fn(u8, &[u8]) -> bool) -> u64 {
        let one = |at: usize| u64::from(wanted(block[at], &block[at + 1..])) << at;
        (0..BLOCK).map(one).sum()
    }

    fn check_masks(block: &[u8; BLOCK]) {
        let wanted = plain(block);
        assert_eq!(Words.masks(block), wanted, "{block:?}");
        #[cfg(target_arch = "x86_64")]
        {
            Avx2::detect().inspect(|lanes| assert_eq!(lanes.masks(block), wanted, "AVX2: {block:?}"));
            Avx512::detect().inspect(|lanes| assert_eq!(lanes.masks(block), wanted, "AVX-512: {block:?}"));
        }
    }

    fn check_run(text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(BLOCK, b'.');
        let block = bytes.first_chunk().unwrap();
        let wanted = text.chars().take_while(|c| ('\u{4E00}'..='\u{9FFF}').contains(c)).count().min(21) * 3;
        assert_eq!(Words.ideographs(block), wanted, "{text}");
        #[cfg(target_arch = "x86_64")]
        {
            Avx2::detect().inspect(|lanes| assert_eq!(lanes.ideographs(block), wanted, "AVX2: {text}"));
            Avx512::detect().inspect(|lanes| assert_eq!(lanes.ideographs(block), wanted, "AVX-512: {text}"));
        }
    }

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=255 {
            for at in 0..BLOCK {
                let mut block = [b'.'; BLOCK];
                block[at] = byte;
                check_masks(&block);
            }
        }
    }

    /// What the blocks take for punctuation is that to every pattern, and belongs to no script.
    #[test]
    fn wide_punctuation_is_punctuation() {
        let mut count = 0;
        for (first, second, from, to) in WIDE_PUNCTUATION {
            for third in from..=to {
                let (class, length) = class_at(&[first, second, third], 0);
                assert!(matches!(class, PUNCTUATION | SYMBOL) && length == 3, "{first:x} {second:x} {third:x}");
                count += 1;
            }
        }
        assert_eq!(count, 24 + 3 + 10 + 15 + 7);
    }

    #[test]
    fn every_character_of_three_bytes() {
        for c in '\u{800}'..='\u{FFFF}' {
            check_run(&format!("{c}中"));
            check_run(&format!("中{c}"));
            for before in [0, 1, 60, 61, 62, 63] {
                let text = format!("{:before$}{c}中,", "");
                let mut bytes = text.into_bytes();
                bytes.resize(2 * BLOCK, b'.');
                check_masks(bytes.first_chunk().unwrap());
            }
        }
    }

    proptest! {
        #[test]
        fn any_block(text in super::super::testing::hostile()) {
            for (at, _) in text.char_indices() {
                let mut block = [b'.'; BLOCK];
                let rest = &text.as_bytes()[at..];
                let length = rest.len().min(BLOCK);
                block[..length].copy_from_slice(&rest[..length]);
                check_masks(&block);
            }
        }

        #[test]
        fn any_run(length in 0usize..30, c in any::<char>()) {
            check_run(&format!("{}{c}", "词元龥鿿一".chars().cycle().take(length).collect::<String>()));
        }
    }
}
