//! The dictionary of jieba as an automaton, and the most probable words of a text by it.
//!
//! `lexicon.bin` holds a double array (Aoe 1989) over the characters of the words, numbered by how often they occur in
//! them, the commonest first. It is used as it lies in the program: nothing is parsed. Its parts, all numbers little
//! endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `ciyuanL1` |
//! | 4, 4, 4 | how many characters C, frequencies F and nodes N |
//! | 8 | the sum of the frequencies of all words |
//! | 2 × C | the characters, of which number 1 is the first |
//! | 4 × F | the different frequencies of words; number 1 is the first |
//! | 8 × N | the nodes |
//!
//! What a node is stands in `double_array.rs`, where words are also added to a copy of them.

use std::collections::HashMap;

use super::double_array::{Double, NARROW, Node, Nodes, owners};
use super::probable::{KINDS, Kind};

pub(super) static FILE: &[u8] = include_bytes!("lexicon.bin");
const MAGIC: &[u8] = b"ciyuanL1";

/// A bit of [`Lexicon::codes`]: the character belongs to text that is cut into words; others stand alone.
pub(super) const IN_BLOCK: u16 = 1 << 15;

#[derive(Clone)]
pub(super) struct Lexicon {
    /// The number of each character of the basic plane, 0 for those in no word, and [`IN_BLOCK`].
    codes: Vec<u16>,
    /// The same for characters beyond, as far as they are folded to others or stand in words that were added.
    codes_beyond: HashMap<u32, u16>,
    /// What each byte is to the search for words of ASCII.
    pub(super) kinds: [Kind; 256],
    /// The highest number of a character.
    pub(super) characters: u16,
    /// The different frequencies; number 1 is the first.
    pub(super) frequencies: Vec<u64>,
    /// The sum of the frequencies of all words.
    pub(super) sum: u64,
    /// ln(frequency / sum), by number; number 0, no word, has no probability.
    pub(super) weights: Vec<f64>,
    /// ln(1 / sum), of a character that starts no word.
    pub(super) weight_of_none: f64,
    pub(super) array: Double,
}

/// The parts of the built-in file.
struct Parts {
    sum: u64,
    /// UTF-16 units of the characters; number 1 is the first.
    characters: &'static [[u8; 2]],
    frequencies: &'static [[u8; 4]],
    nodes: &'static [[u8; 8]],
}

fn parts() -> Parts {
    let (head, rest) = FILE.split_at(28);
    debug_assert_eq!(&head[..8], MAGIC);
    let number = |at: usize| u32::from_le_bytes(array(&head[at..])) as usize;
    let (characters, rest) = rest.split_at(2 * number(8));
    let (frequencies, nodes) = rest.split_at(4 * number(12));
    Parts {
        sum: u64::from_le_bytes(array(&head[20..])),
        characters: characters.as_chunks().0,
        frequencies: frequencies.as_chunks().0,
        nodes: &nodes.as_chunks().0[..number(16)],
    }
}

/// Calls `visit` with each built-in word and its frequency.
pub(super) fn for_each_word(mut visit: impl FnMut(&str, u64)) {
    let Parts { characters, frequencies, nodes, .. } = parts();
    let owners = owners(nodes);
    let (mut codes, mut word) = (Vec::new(), String::new());
    for (at, node) in nodes.iter().enumerate() {
        let number = Node::of(*node).frequency(NARROW);
        if number == 0 {
            continue;
        }
        codes.clear();
        let mut at = at;
        while at != 0 {
            let before = Node::of(nodes[at]).before() as usize;
            codes.push(at - before);
            at = owners[before] as usize;
        }
        word.clear();
        let unit = |code: &usize| char::from_u32(u32::from(u16::from_le_bytes(characters[code - 1])));
        word.extend(codes.iter().rev().filter_map(unit));
        visit(&word, u64::from(u32::from_le_bytes(frequencies[number - 1])));
    }
}

impl Lexicon {
    /// The built-in words, each character taken for what `fold` says of it.
    pub(super) fn new(fold: &HashMap<char, char>) -> Self {
        let Parts { sum, characters, frequencies, nodes } = parts();
        let mut plain: Vec<u16> = (0..=u16::MAX).map(|code| block_bit(char::from_u32(u32::from(code)))).collect();
        for (index, character) in characters.iter().enumerate() {
            plain[usize::from(u16::from_le_bytes(*character))] |= index as u16 + 1;
        }
        let mut codes = plain.clone();
        let mut codes_beyond = HashMap::new();
        for (from, to) in fold {
            let code = plain.get(*to as usize).copied().unwrap_or_else(|| block_bit(Some(*to)));
            match codes.get_mut(*from as usize) {
                Some(place) => *place = code,
                None => drop(codes_beyond.insert(*from as u32, code)),
            }
        }
        let frequencies = frequencies.iter().map(|bytes| u64::from(u32::from_le_bytes(*bytes))).collect();
        let array = Double { nodes: Nodes::BuiltIn(nodes), filter: NARROW };
        let mut lexicon = Self {
            codes,
            codes_beyond,
            kinds: KINDS,
            characters: characters.len() as u16,
            frequencies,
            sum,
            weights: Vec::new(),
            weight_of_none: 0.0,
            array,
        };
        let logarithms: Vec<f64> = lexicon.frequencies.iter().map(|frequency| (*frequency as f64).ln()).collect();
        lexicon.weigh(&logarithms);
        lexicon
    }

    /// Sets the weights from the logarithms of the frequencies, and from the sum.
    pub(super) fn weigh(&mut self, logarithms: &[f64]) {
        let of_sum = (self.sum as f64).ln();
        self.weights.clear();
        self.weights.push(f64::NEG_INFINITY);
        self.weights.extend(logarithms.iter().map(|logarithm| logarithm - of_sum));
        self.weight_of_none = 0.0 - of_sum;
    }

    /// Sets the weights of the words in `text` only.
    pub(super) fn weigh_words_of(&mut self, text: &str, logarithms: &[f64]) {
        let of_sum = (self.sum as f64).ln();
        let beginnings = text.char_indices().flat_map(|(at, _)| self.walk(&text[at..]));
        let numbers: Vec<usize> = beginnings.map(|node| node.frequency(self.array.filter)).collect();
        self.weights.resize(logarithms.len() + 1, 0.0);
        for number in numbers.into_iter().filter(|number| *number > 0) {
            self.weights[number] = logarithms[number - 1] - of_sum;
        }
        self.weight_of_none = 0.0 - of_sum;
    }

    /// The nodes of the beginnings of `text`, as long as there are any.
    fn walk(&self, text: &str) -> impl Iterator<Item = Node> {
        let mut last: Option<Node> = None;
        text.chars().map_while(move |c| {
            let code = self.code(u32::from(c)) & !IN_BLOCK;
            let base = last.map_or(0, Node::base);
            let node = self.array.node(base + u32::from(code));
            let found = code != 0 && last.is_none_or(Node::has_children) && node.before() == base;
            last = found.then_some(node);
            last
        })
    }

    /// The frequency of a word; 0 for what no more than begins some, or was deleted; `None` for what is neither.
    pub(super) fn frequency(&self, word: &str) -> Option<u64> {
        let node = self.walk(word).nth(word.chars().count().checked_sub(1)?)?;
        let number = node.frequency(self.array.filter);
        Some(if number == 0 { 0 } else { self.frequencies[number - 1] })
    }

    /// Sets the entry of a character in the table of codes.
    pub(super) fn set_code(&mut self, c: char, code: u16) {
        match self.codes.get_mut(c as usize) {
            Some(place) => *place = code,
            None => drop(self.codes_beyond.insert(u32::from(c), code)),
        }
    }

    /// From now on, words may have this sign of ASCII. `unknown`: there is a word of ASCII that is told by it.
    pub(super) fn allow_sign(&mut self, sign: u8, unknown: bool) {
        let kind = &mut self.kinds[usize::from(sign)];
        if unknown {
            *kind = Kind::Unknown;
        } else if *kind == Kind::Apart {
            *kind = Kind::Single;
        }
    }

    #[inline(always)]
    pub(super) fn code(&self, code_point: u32) -> u16 {
        match self.codes.get(code_point as usize) {
            Some(code) => *code,
            None => self.code_beyond(code_point),
        }
    }

    #[cold]
    fn code_beyond(&self, code_point: u32) -> u16 {
        self.codes_beyond.get(&code_point).copied().unwrap_or_else(|| block_bit(char::from_u32(code_point)))
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("the head of the built-in file is longer")
}

/// [`IN_BLOCK`] for the characters that jieba cuts into words: ideographs up to extension F, and ASCII letters, digits
/// and `+#&._%-`.
fn block_bit(c: Option<char>) -> u16 {
    let in_block = match c {
        Some(c) if c.is_ascii() => c.is_ascii_alphanumeric() || "+#&._%-".contains(c),
        Some(
            '\u{3400}'..='\u{4DBF}'
            | '\u{4E00}'..='\u{9FFF}'
            | '\u{F900}'..='\u{FAFF}'
            | '\u{20000}'..='\u{2A6DF}'
            | '\u{2A700}'..='\u{2B73F}'
            | '\u{2B740}'..='\u{2B81F}'
            | '\u{2B820}'..='\u{2CEAF}'
            | '\u{2CEB0}'..='\u{2EBEF}'
            | '\u{2F800}'..='\u{2FA1F}',
        ) => true,
        _ => false,
    };
    if in_block { IN_BLOCK } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_jieba() {
        let lexicon = Lexicon::new(&HashMap::new());
        let jieba = jieba_rs::Jieba::new();
        let (mut count, mut sum) = (0, 0);
        for_each_word(|word, frequency| {
            assert!(jieba.has_word(word), "{word}");
            assert_eq!(lexicon.frequency(word), Some(frequency), "{word}");
            (count, sum) = (count + 1, sum + frequency);
        });
        assert_eq!((count, sum), (349_045, lexicon.sum));
    }

    #[test]
    fn frequencies_of_words_of_beginnings_and_of_neither() {
        let lexicon = Lexicon::new(&HashMap::new());
        let frequency = |word| lexicon.frequency(word);
        assert_eq!([frequency("我们"), frequency("AT"), frequency("A")], [Some(98_740), Some(0), Some(0)]);
        assert_eq!([frequency("我们们"), frequency(""), frequency(" "), frequency("𠮷")], [None; 4]);
    }
}
