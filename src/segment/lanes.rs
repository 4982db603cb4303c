//! Classes of 64 bytes at once: AVX-512, AVX2, and plain 64-bit words.
//!
//! Which one runs is found out when the program runs; all give the same masks, which the tests compare with a loop
//! over the bytes. `unsafe` here is two things: intrinsics of an instruction set, whose presence a value of
//! [`Avx512`] or [`Avx2`] proves, and loads from arrays that are as long as what is loaded.
//!
//! Miri interprets all three, on machines without AVX-512 too:
//! `RUSTFLAGS="-C target-feature=+avx512f,+avx512bw,+avx2,+bmi1,+bmi2,+lzcnt,+popcnt" PROPTEST_CASES=12 cargo +nightly miri test
//! --no-default-features --lib segment::lanes::tests::any`.

use super::blocks::{BLOCK, Block, Masks, WIDE_PUNCTUATION};

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
    fn masks(self, block: &Block) -> Masks;

    /// The bytes of the run of ideographs U+4E00 to U+9FFF at the start of the block, at most [`RUN`]. The block starts
    /// at the edge of a character of valid UTF-8.
    fn ideographs(self, block: &Block) -> usize;
}

/// The most bytes that [`Lanes::ideographs`] gives: 22 characters.
pub(super) const RUN: usize = 66;

/// Bits 0, 3, ... 63: the first bytes of 22 characters of three bytes.
const STARTS: u64 = 0x9249_2492_4924_9249;

/// The bytes of the run at the start of a block with these first bytes of ideographs.
#[inline(always)]
fn run_of(first: u64) -> usize {
    match !first & STARTS {
        0 => RUN,
        others => others.trailing_zeros() as usize,
    }
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

/// The first bytes of ideographs, of late ones, and of common punctuation, in a block with these bytes beyond ASCII.
#[inline(always)]
fn first_bytes(block: &Block, high: u64) -> (u64, u64, u64) {
    let (mut ideograph, mut late, mut punctuation, mut rest) = (0, 0, 0, high);
    while rest != 0 {
        let at = rest.trailing_zeros() as usize;
        let first = block[at];
        let next = |offset: usize| block[at + offset];
        if matches!(first, 0xE5..=0xE9) || first == 0xE4 && next(1) >= 0xB8 {
            ideograph |= 1 << at;
            late |= u64::from(first == 0xE9 && next(1) >= 0xBE) << at;
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
    (ideograph, late, punctuation)
}

impl Lanes for Words {
    #[inline(always)]
    fn masks(self, block: &Block) -> Masks {
        let mut masks = Masks::default();
        for (index, bytes) in block[..BLOCK].as_chunks::<8>().0.iter().enumerate() {
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
            (masks.ideograph, masks.late, masks.punctuation) = first_bytes(block, masks.high);
        }
        masks
    }

    #[inline(always)]
    fn ideographs(self, block: &Block) -> usize {
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

    use super::{Block, Lanes, Masks, WIDE_PUNCTUATION, Work, run_of};

    /// 64 bytes a vector. A value is proof that the machine has the instructions.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Avx512(());

    impl Avx512 {
        pub(crate) fn detect() -> Option<Self> {
            let found = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt");
            found.then_some(Self(()))
        }

        pub(crate) fn run<W: Work>(self, work: W) {
            #[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
            fn compiled<W: Work>(lanes: Avx512, work: W) {
                work.run(lanes);
            }
            // SAFETY: `self` proves every feature.
            unsafe { compiled(self, work) }
        }
    }

    impl Lanes for Avx512 {
        #[inline(always)]
        fn masks(self, block: &Block) -> Masks {
            // SAFETY: `self` proves AVX-512 F and BW; the loads are of 64 of the 66 bytes of the block, the last one from
            // byte 2 on.
            unsafe {
                let bytes = load(block, 0);
                let high = _mm512_movepi8_mask(bytes);
                let (mut ideograph, mut late, mut punctuation) = (0, 0, 0);
                if high != 0 {
                    let (second, third) = (load(block, 1), load(block, 2));
                    ideograph = ideographs(bytes, second);
                    late = _mm512_mask_cmpge_epu8_mask(equal(bytes, 0xE9), second, all(0xBE));
                    for (first, next, from, to) in WIDE_PUNCTUATION {
                        let found = _mm512_mask_cmpeq_epi8_mask(equal(bytes, first), second, all(next));
                        let above = _mm512_sub_epi8(third, all(from));
                        punctuation |= _mm512_mask_cmple_epu8_mask(found, above, all(to - from));
                    }
                }
                Masks {
                    letter: within(_mm512_or_si512(bytes, all(0x20)), b'a', b'z'),
                    upper: within(bytes, b'A', b'Z'),
                    digit: within(bytes, b'0', b'9'),
                    space: equal(bytes, b' '),
                    white: equal(bytes, b' ') | within(bytes, b'\t', b'\r'),
                    newline: equal(bytes, b'\n') | equal(bytes, b'\r'),
                    apostrophe: equal(bytes, b'\''),
                    slash: equal(bytes, b'/'),
                    control: within(bytes, 0, 8) | within(bytes, 0x0E, 0x1F) | equal(bytes, 0x7F),
                    high,
                    ideograph,
                    late,
                    punctuation,
                }
            }
        }

        #[inline(always)]
        fn ideographs(self, block: &Block) -> usize {
            // SAFETY: as above.
            run_of(unsafe { ideographs(load(block, 0), load(block, 1)) })
        }
    }

    /// # Safety
    ///
    /// AVX-512 F must be there, and `at` at most 2.
    #[inline(always)]
    unsafe fn load(block: &Block, at: usize) -> __m512i {
        // SAFETY: 64 bytes from `at` on lie in the block.
        unsafe { _mm512_loadu_si512(block.as_ptr().add(at).cast()) }
    }

    /// # Safety
    ///
    /// AVX-512 F must be there.
    #[inline(always)]
    unsafe fn all(byte: u8) -> __m512i {
        // SAFETY: the caller's.
        unsafe { _mm512_set1_epi8(byte as i8) }
    }

    /// # Safety
    ///
    /// AVX-512 F and BW must be there.
    #[inline(always)]
    unsafe fn equal(bytes: __m512i, byte: u8) -> u64 {
        // SAFETY: the caller's.
        unsafe { _mm512_cmpeq_epi8_mask(bytes, all(byte)) }
    }

    /// # Safety
    ///
    /// AVX-512 F and BW must be there.
    #[inline(always)]
    unsafe fn within(bytes: __m512i, from: u8, to: u8) -> u64 {
        // Unsigned: bytes below `from` wrap around to large ones.
        // SAFETY: the caller's.
        unsafe { _mm512_cmple_epu8_mask(_mm512_sub_epi8(bytes, all(from)), all(to - from)) }
    }

    /// First bytes of ideographs, by their second ones.
    ///
    /// # Safety
    ///
    /// AVX-512 F and BW must be there.
    #[inline(always)]
    unsafe fn ideographs(first: __m512i, second: __m512i) -> u64 {
        // SAFETY: the caller's.
        unsafe {
            let e4 = _mm512_cmpeq_epi8_mask(first, all(0xE4));
            within(first, 0xE5, 0xE9) | _mm512_mask_cmpge_epu8_mask(e4, second, all(0xB8))
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
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt");
            found.then_some(Self(()))
        }

        pub(crate) fn run<W: Work>(self, work: W) {
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
            fn compiled<W: Work>(lanes: Avx2, work: W) {
                work.run(lanes);
            }
            // SAFETY: `self` proves every feature.
            unsafe { compiled(self, work) }
        }

        /// 32 bytes of a block from `at` on, which is at most 34.
        #[inline(always)]
        fn load(self, block: &Block, at: usize) -> __m256i {
            let bytes: &[u8; 32] = block[at..].first_chunk().expect("66 bytes hold 32 from 34 on");
            // SAFETY: `self` proves AVX2; the load is of the 32 bytes.
            unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
        }

        /// The top bits of the bytes.
        #[inline(always)]
        fn bits(self, bytes: __m256i) -> u64 {
            // SAFETY: `self` proves AVX2.
            u64::from(unsafe { _mm256_movemask_epi8(bytes) } as u32)
        }

        #[inline(always)]
        fn equal(self, bytes: __m256i, byte: u8) -> __m256i {
            // SAFETY: `self` proves AVX2.
            unsafe { _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8)) }
        }

        #[inline(always)]
        fn within(self, bytes: __m256i, from: u8, to: u8) -> __m256i {
            // SAFETY: `self` proves AVX2.
            unsafe {
                let above = _mm256_sub_epi8(bytes, _mm256_set1_epi8(from as i8));
                // Unsigned `above <= to - from`: the smaller of the two is itself.
                _mm256_cmpeq_epi8(_mm256_min_epu8(above, _mm256_set1_epi8((to - from) as i8)), above)
            }
        }

        #[inline(always)]
        fn or(self, left: __m256i, right: __m256i) -> __m256i {
            // SAFETY: `self` proves AVX2.
            unsafe { _mm256_or_si256(left, right) }
        }

        #[inline(always)]
        fn and(self, left: __m256i, right: __m256i) -> __m256i {
            // SAFETY: `self` proves AVX2.
            unsafe { _mm256_and_si256(left, right) }
        }

        /// First bytes of ideographs, by their second ones.
        #[inline(always)]
        fn is_ideograph(self, first: __m256i, second: __m256i) -> __m256i {
            let from_4e00 = self.and(self.equal(first, 0xE4), self.within(second, 0xB8, 0xFF));
            self.or(self.within(first, 0xE5, 0xE9), from_4e00)
        }

        /// First bytes of common punctuation, by those that follow.
        #[inline(always)]
        fn is_punctuation(self, first: __m256i, second: __m256i, third: __m256i) -> __m256i {
            // SAFETY: `self` proves AVX2.
            let mut found = unsafe { _mm256_setzero_si256() };
            for (one, two, from, to) in WIDE_PUNCTUATION {
                let start = self.and(self.equal(first, one), self.equal(second, two));
                found = self.or(found, self.and(start, self.within(third, from, to)));
            }
            found
        }
    }

    impl Avx2 {
        /// The masks of ASCII of 32 bytes, in the low halves.
        #[inline(always)]
        fn ascii(self, bytes: __m256i) -> Masks {
            // SAFETY: `self` proves AVX2.
            let lower = unsafe { _mm256_or_si256(bytes, _mm256_set1_epi8(0x20)) };
            let space = self.equal(bytes, b' ');
            let newline = self.or(self.equal(bytes, b'\n'), self.equal(bytes, b'\r'));
            let control = self.or(self.within(bytes, 0, 8), self.within(bytes, 0x0E, 0x1F));
            Masks {
                letter: self.bits(self.within(lower, b'a', b'z')),
                upper: self.bits(self.within(bytes, b'A', b'Z')),
                digit: self.bits(self.within(bytes, b'0', b'9')),
                space: self.bits(space),
                white: self.bits(self.or(space, self.within(bytes, b'\t', b'\r'))),
                newline: self.bits(newline),
                apostrophe: self.bits(self.equal(bytes, b'\'')),
                slash: self.bits(self.equal(bytes, b'/')),
                control: self.bits(self.or(control, self.equal(bytes, 0x7F))),
                high: self.bits(bytes),
                ideograph: 0,
                late: 0,
                punctuation: 0,
            }
        }

        /// The first bytes of ideographs, of late ones, and of common punctuation among 32 bytes from `at` on.
        #[inline(always)]
        fn wide(self, block: &Block, at: usize) -> (u64, u64, u64) {
            let (first, second, third) = (self.load(block, at), self.load(block, at + 1), self.load(block, at + 2));
            let ideograph = self.is_ideograph(first, second);
            let late = self.and(self.equal(first, 0xE9), self.within(second, 0xBE, 0xBF));
            (self.bits(ideograph), self.bits(late), self.bits(self.is_punctuation(first, second, third)))
        }
    }

    impl Lanes for Avx2 {
        // Straight code: closures and loops over the halves were not always unfolded, and then ran at half the speed.
        #[inline(always)]
        fn masks(self, block: &Block) -> Masks {
            let (low, top) = (self.ascii(self.load(block, 0)), self.ascii(self.load(block, 32)));
            let high = low.high | top.high << 32;
            let (mut ideograph, mut late, mut punctuation) = (0, 0, 0);
            if high != 0 {
                let (low, top) = (self.wide(block, 0), self.wide(block, 32));
                ideograph = low.0 | top.0 << 32;
                late = low.1 | top.1 << 32;
                punctuation = low.2 | top.2 << 32;
            }
            Masks {
                letter: low.letter | top.letter << 32,
                upper: low.upper | top.upper << 32,
                digit: low.digit | top.digit << 32,
                space: low.space | top.space << 32,
                white: low.white | top.white << 32,
                newline: low.newline | top.newline << 32,
                apostrophe: low.apostrophe | top.apostrophe << 32,
                slash: low.slash | top.slash << 32,
                control: low.control | top.control << 32,
                high,
                ideograph,
                late,
                punctuation,
            }
        }

        #[inline(always)]
        fn ideographs(self, block: &Block) -> usize {
            let low = self.is_ideograph(self.load(block, 0), self.load(block, 1));
            let high = self.is_ideograph(self.load(block, 32), self.load(block, 33));
            run_of(self.bits(low) | self.bits(high) << 32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::classes::{PUNCTUATION, SYMBOL, class_at};
    use super::*;
    use proptest::prelude::*;

    fn plain(block: &Block) -> Masks {
        let mask = |wanted: fn(u8) -> bool| {
            block[..BLOCK].iter().enumerate().fold(0, |mask, (at, byte)| mask | u64::from(wanted(*byte)) << at)
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
            late: characters(block, |first, rest| first == 0xE9 && rest[0] >= 0xBE),
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
    fn characters(block: &Block, wanted: impl Fn(u8, &[u8]) -> bool) -> u64 {
        let one = |at: usize| u64::from(wanted(block[at], &block[at + 1..])) << at;
        (0..BLOCK).map(one).sum()
    }

    fn check_masks(block: &Block) {
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
        bytes.resize(RUN, b'.');
        let block = bytes.first_chunk().unwrap();
        let wanted = text.chars().take_while(|c| ('\u{4E00}'..='\u{9FFF}').contains(c)).count().min(22) * 3;
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
                let mut block = [b'.'; BLOCK + 2];
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
                let mut block = [b'.'; BLOCK + 2];
                let rest = &text.as_bytes()[at..];
                let length = rest.len().min(block.len());
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
