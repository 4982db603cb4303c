//! Safe cuts: edges between two characters that no token spans.
//!
//! # Why a piece may be cut there
//!
//! Let a pre-token have an edge between two characters, and no token that merges make hold bytes from both sides of it.
//! Then its ids are the ids of the left part and those of the right part:
//!
//! 1. No merge over the edge ever happens, as its result would be a token that spans it.
//! 2. So which pairs stand left of the edge at any time depends on the left part alone, and likewise on the right. The
//!    order of merges, lowest rank first and the leftmost of equal ones, restricted to one side is that side's own order.
//! 3. A pre-token that is a token as a whole, and is not what its merges give, is looked up before it is cut
//!    ([`Tokenizer`](super::Tokenizer) keeps these tokens apart). A pre-token that is one and is what its merges give has
//!    no such edge.
//!
//! # How an edge is told
//!
//! A token spans the edge of a and b if, cut somewhere between its bytes, its left part ends with a, or is itself the
//! end of a, and its right part begins with b, or is itself the beginning of b. So each place inside each token at which
//! a character may begin is one of four:
//!
//! * a whole, b whole: the pair goes into a set, by a hash of one bit, and a and b are marked;
//! * a whole, the beginning of b: a gets the first byte of b into its mask of first bytes;
//! * the end of a, b whole: b gets the last byte of a into its mask of last bytes;
//! * the end of a, the beginning of b: every b with that first byte gets the last byte of a into its mask.
//!
//! First bytes of characters beyond ASCII differ in their low six bits, and so do last bytes, so a mask is 64 bits. What
//! the set and the masks say beyond the truth only keeps characters together, which costs time and changes no id. Edges
//! of two ASCII characters are never cut, nor is a character of four bytes from its neighbours.

use rustc_hash::FxHashMap;

/// Bits of a set for each pair in it: one pair in 32 is taken for another.
const BITS_PER_PAIR: usize = 32;
const MAX_SET_BITS: u32 = 20;
const MIN_SET_BITS: u32 = 12;

/// The marks of a character: whether it stands left or right in some pair of the set, and its masks.
pub(super) const LEFT: u32 = 1 << 2;
pub(super) const RIGHT: u32 = 1 << 3;
pub(super) const MASK_BITS: u32 = 14;
pub(super) const FIRSTS_SHIFT: u32 = 4;
pub(super) const LASTS_SHIFT: u32 = FIRSTS_SHIFT + MASK_BITS;
/// The mask that says yes to all.
const ALL: u32 = 1;

/// Words of the set, and the most masks. Arrays of a fixed length need no check of an index of as many bits.
pub(super) const WORDS: usize = 1 << (MAX_SET_BITS - 6);
pub(super) const MASKS: usize = 1 << MASK_BITS;

/// Which edges are safe.
#[derive(Debug)]
pub(super) struct Cuts {
    /// Of a small vocabulary only the first words are used.
    set: Box<[u64; WORDS]>,
    shift: u32,
    /// Number 0 is the empty mask, 1 the full one.
    masks: Box<[u64; MASKS]>,
}

/// A character beside an edge: its code point and its marks.
#[derive(Clone, Copy)]
pub(super) struct Side {
    pub(super) code: u32,
    pub(super) marks: u32,
}

impl Side {
    /// The low six bits of the first byte of a character of up to three bytes.
    #[inline(always)]
    fn first(self) -> u32 {
        match self.code {
            0x800.. => 32 | self.code >> 12 & 15,
            0x80.. => self.code >> 6,
            code => code & 63,
        }
    }

    /// The low six bits of the last byte.
    #[inline(always)]
    fn last(self) -> u32 {
        self.code & 63
    }
}

/// The marks of a character that is not to be cut from its neighbours.
pub(super) const NEVER_CUT: u32 = ALL << FIRSTS_SHIFT | ALL << LASTS_SHIFT;

impl Cuts {
    /// The safe cuts of a vocabulary, and the marks of the characters of the basic plane, by code point.
    pub(super) fn new<'t>(tokens: impl Iterator<Item = &'t [u8]>) -> (Self, Vec<u32>) {
        let mut found = Found {
            set: vec![0; WORDS],
            pairs: 0,
            marks: vec![0; 1 << 16],
            masks: vec![[0; 2]; 1 << 16],
            parts: [0; 64],
        };
        tokens.for_each(|token| found.token(token));
        found.finish()
    }

    /// The set, the masks, and how far a hash is shifted to be a place in the set.
    pub(super) fn tables(&self) -> (&[u64; WORDS], &[u64; MASKS], u32) {
        (&self.set, &self.masks, self.shift)
    }

    /// The set, behind its shift, and the masks.
    pub(super) fn to_tables(&self) -> [Vec<u8>; 2] {
        let bytes = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        [[u64::from(self.shift).to_le_bytes().to_vec(), bytes(&*self.set)].concat(), bytes(&*self.masks)]
    }

    /// The cuts of [`Cuts::to_tables`].
    pub(super) fn of_tables(set: &[u8], masks: &[u8]) -> Option<Self> {
        fn words<const COUNT: usize>(bytes: &[u8]) -> Option<Box<[u64; COUNT]>> {
            let (words, rest) = bytes.as_chunks();
            let words: Box<[u64]> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
            rest.is_empty().then_some(())?;
            words.try_into().ok()
        }
        let (shift, set) = set.split_first_chunk()?;
        let shift = u32::try_from(u64::from_le_bytes(*shift)).ok()?;
        let known = (32 - MAX_SET_BITS..=32 - MIN_SET_BITS).contains(&shift);
        known.then_some(Self { set: words(set)?, shift, masks: words(masks)? })
    }

    /// Whether some token may span the edge of `a` and `b`, of which not both are ASCII.
    #[inline(always)]
    pub(super) fn spanned(&self, a: Side, b: Side) -> bool {
        let (by_whole, by_part) = self.spanned_by(a, b);
        by_whole | by_part
    }

    /// The same of two kinds of tokens: one that holds all of both, and
    /// one that begins or ends inside one of them.
    #[inline(always)]
    pub(super) fn spanned_by(&self, a: Side, b: Side) -> (bool, bool) {
        let at = hash(a.code, b.code) >> self.shift;
        let pair = self.set[(at >> 6) as usize & (WORDS - 1)] >> (at & 63);
        let marked = u64::from((a.marks / LEFT) & (b.marks / RIGHT));
        let firsts = self.masks[(a.marks >> FIRSTS_SHIFT) as usize & (MASKS - 1)] >> b.first();
        let lasts = self.masks[(b.marks >> LASTS_SHIFT) as usize & (MASKS - 1)] >> a.last();
        (pair & marked & 1 == 1, (firsts | lasts) & 1 == 1)
    }
}

pub(super) const HASH: u32 = 0x9E37_79B1;

#[inline(always)]
fn hash(a: u32, b: u32) -> u32 {
    (a << 16 ^ b).wrapping_mul(HASH)
}

/// What the tokens have shown so far.
struct Found {
    /// The set at its largest, and how many pairs found their bit free.
    set: Vec<u64>,
    pairs: usize,
    /// By code point.
    marks: Vec<u32>,
    /// Mask of first bytes, mask of last bytes, by code point.
    masks: Vec<[u64; 2]>,
    /// Last bytes before each first byte, of tokens that hold a part of both.
    parts: [u64; 64],
}

/// What stands beside a place in a token.
enum Beside {
    Whole(u32),
    /// A part of a character: its last byte, or its first.
    Part(u8),
    /// No valid text has a token here, with a character's edge at this place.
    Impossible,
}

impl Found {
    fn token(&mut self, token: &[u8]) {
        if token.is_ascii() {
            return;
        }
        if let Ok(text) = std::str::from_utf8(token) {
            let mut before = None;
            for c in text.chars() {
                before.inspect(|before| self.pair(*before as u32, c as u32));
                before = Some(c);
            }
            return;
        }
        for at in 1..token.len() {
            if is_continuation(token[at]) {
                continue;
            }
            match (left_of(token, at), right_of(token, at)) {
                (Beside::Whole(a), Beside::Whole(b)) => self.pair(a, b),
                (Beside::Whole(a), Beside::Part(first)) => self.mask(a, 0, 1 << (first & 63)),
                (Beside::Part(last), Beside::Whole(b)) => self.mask(b, 1, 1 << (last & 63)),
                (Beside::Part(last), Beside::Part(first)) => {
                    self.parts[usize::from(first & 63)] |= 1 << (last & 63);
                }
                _ => {}
            }
        }
    }

    /// Two characters that stand in a token. Two of ASCII are never cut, nor is one beyond the basic plane.
    fn pair(&mut self, a: u32, b: u32) {
        if (a | b) < 0x80 || (a | b) > 0xFFFF {
            return;
        }
        let at = hash(a, b) >> (32 - MAX_SET_BITS);
        let (word, bit) = (&mut self.set[(at >> 6) as usize], 1 << (at & 63));
        self.pairs += usize::from(*word & bit == 0);
        *word |= bit;
        self.marks[a as usize] |= LEFT;
        self.marks[b as usize] |= RIGHT;
    }

    fn mask(&mut self, code: u32, which: usize, bits: u64) {
        if let Some(masks) = self.masks.get_mut(code as usize) {
            masks[which] |= bits;
        }
    }

    fn finish(mut self) -> (Cuts, Vec<u32>) {
        for (first, lasts) in self.parts.into_iter().enumerate().filter(|(_, lasts)| *lasts != 0) {
            for code in characters_with(first as u8) {
                self.mask(code, 1, lasts);
            }
        }
        let wanted = (self.pairs * BITS_PER_PAIR).next_power_of_two().trailing_zeros();
        let bits = wanted.clamp(MIN_SET_BITS, MAX_SET_BITS);
        let mut cuts = Cuts { set: Box::new([0; WORDS]), shift: 32 - bits, masks: Box::new([0; MASKS]) };
        cuts.masks[ALL as usize] = u64::MAX;
        let mut used = 2;
        // A smaller set has the places of the larger one without their lowest bits.
        for (word, found) in self.set.iter().enumerate().filter(|(_, found)| **found != 0) {
            for bit in (0..64).filter(|bit| found >> bit & 1 == 1) {
                let at = (word << 6 | bit) >> (MAX_SET_BITS - bits);
                cuts.set[at >> 6] |= 1 << (at & 63);
            }
        }
        let mut numbers = FxHashMap::from_iter([(0, 0), (u64::MAX, ALL)]);
        // In the order of characters, so that the same vocabulary gives the same tables. Neighbours often have the same.
        let mut last = [(0, 0); 2];
        for (marks, masks) in self.marks.iter_mut().zip(&self.masks).filter(|(_, masks)| **masks != [0; 2]) {
            for (mask, (last, shift)) in masks.iter().zip(last.iter_mut().zip([FIRSTS_SHIFT, LASTS_SHIFT])) {
                if *mask != last.0 {
                    let number = *numbers.entry(*mask).or_insert_with(|| match cuts.masks.get_mut(used) {
                        None => ALL,
                        Some(place) => {
                            *place = *mask;
                            used += 1;
                            used as u32 - 1
                        }
                    });
                    *last = (*mask, number);
                }
                *marks |= last.1 << shift;
            }
        }
        (cuts, self.marks)
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// How many bytes a character has that begins with this one.
fn length(first: u8) -> usize {
    match first {
        0..0x80 => 1,
        0x80..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    }
}

/// What ends at `at`.
fn left_of(token: &[u8], at: usize) -> Beside {
    let before = &token[at.saturating_sub(4)..at];
    match before.iter().rposition(|byte| !is_continuation(*byte)) {
        Some(start) => whole(&before[start..]),
        // All of the token before it: the end of a character.
        None if at < 4 => Beside::Part(token[at - 1]),
        None => Beside::Impossible,
    }
}

/// What begins at `at`.
fn right_of(token: &[u8], at: usize) -> Beside {
    let end = at + length(token[at]);
    match token.get(at..end) {
        Some(character) => whole(character),
        None if token[at + 1..].iter().all(|byte| is_continuation(*byte)) => Beside::Part(token[at]),
        None => Beside::Impossible,
    }
}

fn whole(bytes: &[u8]) -> Beside {
    let text = std::str::from_utf8(bytes).ok();
    text.and_then(|text| text.chars().next()).map_or(Beside::Impossible, |c| Beside::Whole(c as u32))
}

/// The characters of two and three bytes whose first byte has these low six bits.
fn characters_with(first: u8) -> std::ops::Range<u32> {
    let first = u32::from(first);
    match first {
        2..32 => first << 6..(first + 1) << 6,
        32..48 => (first - 32) << 12..(first - 31) << 12,
        // Characters of four bytes are never cut from their neighbours.
        _ => 0..0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(tokens: &[&[u8]]) -> impl Fn(char, char) -> bool + use<> {
        let (cuts, marks) = Cuts::new(tokens.iter().copied());
        let side = move |c: char| Side { code: c as u32, marks: marks.get(c as usize).copied().unwrap_or(NEVER_CUT) };
        move |a, b| cuts.spanned(side(a), side(b))
    }

    #[test]
    fn bytes_of_sides() {
        for c in ('\0'..='\u{FFFF}').step_by(7) {
            let (side, mut bytes) = (Side { code: c as u32, marks: 0 }, [0; 4]);
            let bytes = c.encode_utf8(&mut bytes).as_bytes();
            let wanted = (bytes[0] & 63, bytes[bytes.len() - 1] & 63);
            assert_eq!((side.first(), side.last()), (u32::from(wanted.0), u32::from(wanted.1)), "{c:?}");
        }
    }

    #[test]
    fn whole_characters() {
        let spanned = cuts(&["词元".as_bytes(), " a，b".as_bytes(), "é".as_bytes(), b"ab"]);
        assert!(spanned('词', '元') && spanned('a', '，') && spanned('，', 'b'));
        assert!(!spanned('元', '词') && !spanned('词', '词') && !spanned('b', '，') && !spanned('c', 'é'));
    }

    #[test]
    fn parts_of_characters() {
        // 词 and the first byte of 元 (E5 85 83), its first two; the last byte of 词 (E8 AF 8D) and 元.
        for token in [&b"\xE8\xAF\x8D\xE5"[..], b"\xE8\xAF\x8D\xE5\x85", b"\x8D\xE5\x85\x83", b"\xAF\x8D\xE5\x85\x83"] {
            let spanned = cuts(&[token]);
            assert!(spanned('词', '元'), "{token:X?}");
            assert!(!spanned('元', '词') && !spanned('元', '元'), "{token:X?}");
        }
        // A part of both.
        let spanned = cuts(&[b"\x8D\xE5"]);
        assert!(spanned('词', '元') && spanned('词', '国') && !spanned('元', '国') && !spanned('词', '中'));
    }

    /// Tokens that no text has at a character's edge say nothing.
    #[test]
    fn what_is_no_text() {
        let spanned =
            cuts(&[b"\xFF\xE5", b"\x80\x80\x80\x80\xE5\x85\x83", b"\xE8\xAF\xE5\x85\x83", b"\xE5\xE5\x85\x83"]);
        assert!(!spanned('词', '元') && !spanned('一', '元'));
    }

    /// The definition: over all tokens, over all places in the text where one could stand.
    fn plainly_spanned(tokens: &[Vec<u8>], a: char, b: char) -> bool {
        let text = format!("{a}{b}");
        let edge = a.len_utf8();
        tokens.iter().any(|token| {
            // The edge between the bytes `cut - 1` and `cut` of the token: what of it lies on the text must agree.
            (1..token.len()).any(|cut| {
                (0..token.len()).all(|at| {
                    let place = at as isize - cut as isize + edge as isize;
                    let byte = usize::try_from(place).ok().and_then(|place| text.as_bytes().get(place));
                    byte.is_none_or(|byte| *byte == token[at])
                })
            })
        })
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]
        #[test]
        fn no_spanned_edge_is_taken_for_safe(
            text in "[词元国é，aЖ𠮷]{2,5}", parts in proptest::collection::vec((0usize..20, 1usize..9), 1..8), pair in "[词元国é，Ж][词元国é，aЖ]",
        ) {
            let bytes = text.as_bytes();
            let tokens: Vec<Vec<u8>> = parts
                .iter()
                .map(|(start, length)| bytes[start % bytes.len()..].iter().take(*length).copied().collect())
                .collect();
            let spanned = cuts(&tokens.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let (a, b) = (pair.chars().next().unwrap(), pair.chars().nth(1).unwrap());
            if plainly_spanned(&tokens, a, b) {
                proptest::prop_assert!(spanned(a, b), "{tokens:X?} {a}{b}");
            }
        }
    }
}
