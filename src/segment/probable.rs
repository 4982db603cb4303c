//! The most probable words of a text by a lexicon.
//!
//! They are those that jieba-rs gives without its hidden Markov model: the sequence of words with the highest product of
//! frequencies, found from right to left in each block of characters that can stand in words; a tie goes to the longer
//! word.
//!
//! Processors lose their time here in two ways: waiting for nodes, which lie all over 5 MB, and guessing wrongly how long
//! the words are that begin at a character. So the blocks of some hundred characters are done together, in steps that
//! hold few such guesses. Each character is read, and the node that it makes with the one before it is asked for. Then
//! the words of one and of two characters are looked up for all of them, by which those are found where a longer word
//! may begin; their third nodes are asked for. Then the longer words are looked up, of about every fourth character. At
//! last the best words are chosen from right to left.
//!
//! Tried and slower: all words of a character walked when it is its turn in the choice from right to left; the same with
//! second nodes read ahead, or only touched.

use std::cell::RefCell;
use std::ops::Range;

use super::double_array::{NARROW, Node, WIDE};
use super::lexicon::{IN_BLOCK, Lexicon};
use super::prefetch::prefetch;

/// A character of a block.
#[derive(Clone, Copy)]
struct Character {
    code: u16,
    /// Whether it is the first of its block.
    begins: bool,
    /// Where the node is, if there is one, of the character before and this one. Else it is any place.
    place: u32,
    /// Its end in the text.
    end: u32,
}

/// Stands behind the last characters, which nothing goes on from.
const END: [Character; 2] = [Character { code: 0, begins: true, place: 0, end: 0 }; 2];

/// The weights of the words of one and two characters; without such a word it is that of an impossible one.
#[derive(Clone, Copy, Default)]
struct Short {
    one: f64,
    two: f64,
}

/// Where a word of three characters or more may begin, and the base of the node of the first two.
#[derive(Clone, Copy, Default)]
struct Walk {
    start: u32,
    base: u32,
}

/// A word of three characters or more.
#[derive(Clone, Copy)]
struct Long {
    start: u32,
    /// The character behind it.
    end: u32,
    weight: f64,
}

/// The weight of the best words from a character on, and the end of the first of them.
#[derive(Clone, Copy, Default)]
struct Best {
    weight: f64,
    end: u32,
}

/// The ends of blocks among the characters, and how many ends stand between words before each.
#[derive(Clone, Copy)]
struct Block {
    end: u32,
    between: u32,
}

/// What a thread uses again for each text.
#[derive(Default)]
struct Scratch {
    characters: Vec<Character>,
    blocks: Vec<Block>,
    /// Ends of what is in no block.
    between: Vec<u32>,
    shorts: Vec<Short>,
    walks: Vec<Walk>,
    longs: Vec<Long>,
    best: Vec<Best>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Characters beyond this many are given back at the end of a text.
const KEEP: usize = 1 << 18;

/// Blocks are done together until they have so many characters.
const TOGETHER: usize = 128;

impl Lexicon {
    /// Pushes the end of each word of `text`.
    pub(super) fn word_ends(&self, text: &str, ends: &mut Vec<u32>) {
        SCRATCH.with_borrow_mut(|scratch| {
            match self.array.filter {
                NARROW => self.cut::<NARROW>(text.as_bytes(), scratch, ends),
                _ => self.cut::<WIDE>(text.as_bytes(), scratch, ends),
            }
            if scratch.best.len() > KEEP {
                *scratch = Scratch::default();
            }
        });
    }

    fn cut<const FILTER: u32>(&self, text: &[u8], scratch: &mut Scratch, ends: &mut Vec<u32>) {
        let nodes: &[[u8; 8]] = &self.array.nodes;
        let mut at = ascii(&self.kinds, text, 0, ends);
        // Of the node of the character before, if that begins words; where a block begins, that of the root.
        let (mut base, mut begins) = (0, true);
        while at < text.len() {
            let (code_point, length) = decode(text, at);
            let code = self.code(code_point);
            if code & IN_BLOCK != 0 {
                at += length;
                let code = code & !IN_BLOCK;
                let place = base + u32::from(code);
                prefetch(&nodes[place as usize]);
                base = Node::of(nodes[usize::from(code)]).base();
                scratch.characters.push(Character { code, begins, place, end: at as u32 });
                begins = false;
                continue;
            }
            (base, begins) = (0, true);
            scratch.end_block();
            if scratch.characters.len() >= TOGETHER {
                self.cut_blocks::<FILTER>(text, scratch, ends);
            }
            let between = if scratch.characters.is_empty() { &mut *ends } else { &mut scratch.between };
            if length > 1 {
                at += length;
                between.push(at as u32);
            }
            at = ascii(&self.kinds, text, at, between);
        }
        scratch.end_block();
        self.cut_blocks::<FILTER>(text, scratch, ends);
    }

    /// Pushes the ends of the words of the blocks in `scratch` and of what is between them. It is empty then.
    fn cut_blocks<const FILTER: u32>(&self, text: &[u8], scratch: &mut Scratch, ends: &mut Vec<u32>) {
        if scratch.characters.is_empty() {
            return;
        }
        scratch.characters.extend(END);
        let walks = self.look_up_short::<FILTER>(scratch);
        self.look_up_long::<FILTER>(scratch, walks);
        self.choose(scratch);
        let (mut at, mut done) = (0, 0);
        for block in &scratch.blocks {
            ends.extend_from_slice(&scratch.between[done..block.between as usize]);
            done = block.between as usize;
            push_ends(text, &scratch.characters, &scratch.best, at..block.end as usize, ends);
            at = block.end as usize;
        }
        ends.extend_from_slice(&scratch.between[done..]);
        scratch.characters.clear();
        scratch.blocks.clear();
        scratch.between.clear();
    }

    /// Finds the words of one and of two characters, and where longer ones may begin; gives how many such walks there are.
    fn look_up_short<const FILTER: u32>(&self, scratch: &mut Scratch) -> usize {
        let Scratch { characters, shorts, walks, .. } = scratch;
        let nodes: &[[u8; 8]] = &self.array.nodes;
        let count = characters.len() - END.len();
        if shorts.len() < count {
            shorts.resize(count, Short::default());
            walks.resize(count + 1, Walk::default());
        }
        let (characters, shorts, walks) = (&characters[..], &mut shorts[..count], &mut walks[..=count]);
        let mut found = 0;
        for start in 0..count {
            let [first, second, third] = [characters[start], characters[start + 1], characters[start + 2]];
            let one = Node::of(nodes[usize::from(first.code)]);
            let two = Node::of(nodes[second.place as usize]);
            let begins_words = one.before() == 0;
            let is_node = begins_words & one.has_children() & !second.begins & (two.before() == one.base());
            let number = |known: bool, node: Node| if known { node.frequency(FILTER) } else { 0 };
            let weight = |known: bool, node: Node| self.weights[number(known, node)];
            shorts[start] = Short { one: weight(begins_words, one), two: weight(is_node, two) };
            let goes_on = is_node & !third.begins & two.may_have(third.code, FILTER);
            walks[found] = Walk { start: start as u32, base: two.base() };
            let place = if goes_on { two.base() + u32::from(third.code) } else { second.place };
            prefetch(&nodes[place as usize]);
            found += usize::from(goes_on);
        }
        found
    }

    /// Finds the words of three characters and more, in the order of their starts, then of their lengths.
    fn look_up_long<const FILTER: u32>(&self, scratch: &mut Scratch, found: usize) {
        let Scratch { characters, walks, longs, .. } = scratch;
        let nodes: &[[u8; 8]] = &self.array.nodes;
        longs.clear();
        for walk in &walks[..found] {
            let (mut base, mut at) = (walk.base, walk.start as usize + 2);
            loop {
                let node = Node::of(nodes[(base + u32::from(characters[at].code)) as usize]);
                if node.before() != base {
                    break;
                }
                at += 1;
                let number = node.frequency(FILTER);
                if number != 0 {
                    longs.push(Long { start: walk.start, end: at as u32, weight: self.weights[number] });
                }
                let next = characters[at];
                if next.begins || !node.may_have(next.code, FILTER) {
                    break;
                }
                base = node.base();
            }
        }
    }

    /// From right to left, the best words of each block from each character on.
    fn choose(&self, scratch: &mut Scratch) {
        let Scratch { characters, blocks, shorts, longs, best, .. } = scratch;
        let count = characters.len() - END.len();
        if best.len() < count + 2 {
            best.resize(count + 2, Best::default());
        }
        let mut longs = longs.iter().rev().peekable();
        let mut blocks = blocks.iter().rev().map(|block| block.end as usize).peekable();
        while let Some(end) = blocks.next() {
            let start = blocks.peek().copied().unwrap_or(0);
            best[end].weight = 0.0;
            for at in (start..end).rev() {
                let Short { one, two } = shorts[at];
                let one = one + best[at + 1].weight;
                let two = two + best[at + 2].weight;
                let (mut weight, mut next) = if two >= one { (two, at + 2) } else { (one, at + 1) };
                // From the longest on: a longer word was chosen when it is as good.
                let mut longer = f64::NEG_INFINITY;
                while let Some(long) = longs.next_if(|long| long.start as usize == at) {
                    let other = long.weight + best[long.end as usize].weight;
                    if other > longer {
                        longer = other;
                        if other >= weight {
                            (weight, next) = (other, long.end as usize);
                        }
                    }
                }
                if weight == f64::NEG_INFINITY {
                    (weight, next) = (self.weight_of_none + best[at + 1].weight, at + 1);
                }
                best[at] = Best { weight, end: next as u32 };
            }
        }
    }
}

impl Scratch {
    /// Notes that a block ends here, if there is one.
    fn end_block(&mut self) {
        let end = self.characters.len() as u32;
        if self.blocks.last().map_or(0, |block| block.end) != end {
            self.blocks.push(Block { end, between: self.between.len() as u32 });
        }
    }
}

/// Pushes the ends of the chosen words of a block. Letters and digits of ASCII that are in no longer word are joined.
fn push_ends(text: &[u8], characters: &[Character], best: &[Best], block: Range<usize>, ends: &mut Vec<u32>) {
    let mut joined = None;
    let mut at = block.start;
    while at < block.end {
        let next = best[at].end as usize;
        let end = characters[next - 1].end;
        if text[end as usize - 1].is_ascii_alphanumeric() && next - at == 1 {
            joined = Some(end);
        } else {
            ends.extend(joined.take());
            ends.push(end);
        }
        at = next;
    }
    ends.extend(joined);
}

/// What a byte is to [`ascii`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Letters and digits, which are joined.
    Joined,
    /// Stands alone, among what is cut into words.
    Single,
    /// Stands alone, and ends what is cut into words.
    Apart,
    /// A sign that some word of ASCII is made with, or a character beyond ASCII.
    Unknown,
}

pub(super) static KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Unknown; 256];
    let mut byte = 0;
    while byte < 128u8 {
        kinds[byte as usize] = match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => Kind::Joined,
            b'.' | b'_' | b'%' | b'-' => Kind::Single,
            b'+' | b'#' | b'&' => Kind::Unknown,
            _ => Kind::Apart,
        };
        byte += 1;
    }
    kinds
};

/// Pushes the ends of the words of ASCII from `at` on, as far as no word of the dictionary can be among them: those
/// have `+`, `#`, `&` or other characters. Gives the place where it stopped, which is not inside a block.
fn ascii(kinds: &[Kind; 256], text: &[u8], mut at: usize, ends: &mut Vec<u32>) -> usize {
    // Where the block starts, and how many ends were there then.
    let (mut block, mut before) = (at, ends.len());
    loop {
        let start = at;
        while text.get(at).is_some_and(|byte| kinds[usize::from(*byte)] == Kind::Joined) {
            at += 1;
        }
        if at > start {
            ends.push(at as u32);
        }
        let Some(byte) = text.get(at) else { return at };
        match kinds[usize::from(*byte)] {
            Kind::Unknown => {
                // The block may go on.
                ends.truncate(before);
                return block;
            }
            Kind::Apart if *byte == b'\r' && text.get(at + 1) == Some(&b'\n') => at += 2,
            _ => at += 1,
        }
        ends.push(at as u32);
        if kinds[usize::from(*byte)] == Kind::Apart {
            (block, before) = (at, ends.len());
        }
    }
}

/// The code point at `at` of valid UTF-8, and its length.
#[inline(always)]
fn decode(text: &[u8], at: usize) -> (u32, usize) {
    let lead = u32::from(text[at]);
    let tail = |offset: usize| u32::from(text[at + offset] & 0x3F);
    match lead {
        0xE0..0xF0 => ((lead & 0x0F) << 12 | tail(1) << 6 | tail(2), 3),
        0..0x80 => (lead, 1),
        0x80..0xE0 => ((lead & 0x1F) << 6 | tail(1), 2),
        _ => ((lead & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4),
    }
}
