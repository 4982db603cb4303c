//! The double array of the lexicon (Aoe 1989), and how words are added to it.
//!
//! A node stands for the beginning of some word: bits 0 to 20 its base, 21 to 41 the base of the node before it, then
//! the number of its frequency, or 0 where no word ends, a filter of its children, and in bit 63 whether there are any.
//! The filter has [`NARROW`] bits, which leaves 13 to the number of the frequency: bit `c % 8` for the child by the
//! character number c. Where words that were added have more different frequencies, it has [`WIDE`] ones, which leaves
//! 17. The child of a node by the character c is at its base plus c, if the node there has that base before it; no two
//! nodes have the same base. The root has base 0 and no entry. The entry of a place without a node is [`FREE`].
//!
//! A word is added as in any double array: where the place of a new child is taken, the children of this node or of the
//! other one move, those of which there are fewer. Places and bases are sought in sets of bits, 64 bases at once: those
//! not in use, and of them the ones where the place of each child is free.

use std::ops::Deref;

use super::pages::Pages;

/// Bits of the filter as the built-in file has them.
pub(super) const NARROW: u32 = 8;
/// Bits of the filter where there are many frequencies.
pub(super) const WIDE: u32 = 4;

/// Bases are below; the last is that of [`FREE`].
const BASES: usize = 1 << 21;
const NO_BASE: u32 = BASES as u32 - 1;
const FREE: [u8; 8] = ((NO_BASE as u64) << 21).to_le_bytes();
/// Numbers of characters are below.
const CODES: usize = 1 << 15;

/// How many frequencies can be told apart.
pub(super) const fn frequencies(filter: u32) -> usize {
    (1 << (21 - filter)) - 1
}

#[derive(Clone, Copy)]
pub(super) struct Node(u64);

impl Node {
    pub(super) fn of(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }

    pub(super) fn base(self) -> u32 {
        self.0 as u32 & NO_BASE
    }

    pub(super) fn before(self) -> u32 {
        (self.0 >> 21) as u32 & NO_BASE
    }

    pub(super) fn frequency(self, filter: u32) -> usize {
        (self.0 >> 42) as usize & frequencies(filter)
    }

    pub(super) fn may_have(self, code: u16, filter: u32) -> bool {
        self.0 >> 63 & self.0 >> (63 - filter + (u32::from(code) & (filter - 1))) & 1 == 1
    }

    pub(super) fn has_children(self) -> bool {
        self.0 >> 63 == 1
    }

    /// A node without children, at which no word ends.
    fn below(base: u32) -> Self {
        Self(u64::from(base) << 21)
    }

    fn with_base(self, base: u32) -> Self {
        Self(self.0 & !u64::from(NO_BASE) | u64::from(base))
    }

    fn with_before(self, base: u32) -> Self {
        Self(self.0 & !(u64::from(NO_BASE) << 21) | u64::from(base) << 21)
    }

    fn with_child(self, code: u16, filter: u32) -> Self {
        Self(self.0 | 1 << 63 | 1 << (63 - filter + (u32::from(code) & (filter - 1))))
    }

    fn with_frequency(self, number: usize, filter: u32) -> Self {
        Self(self.0 & !((frequencies(filter) as u64) << 42) | (number as u64) << 42)
    }

    /// The same with a filter of half as many bits.
    fn widened(self) -> Self {
        let (filter, number) = (self.0 >> 55 & 0xFF, self.frequency(NARROW));
        let rest = Self(self.0 & ((1 << 42) - 1) | self.0 & 1 << 63 | (filter >> 4 | filter & 0xF) << 59);
        rest.with_frequency(number, WIDE)
    }
}

/// The node that has each base, of all nodes with children; 0 is the root's, and of bases that no node has.
pub(super) fn owners(nodes: &[[u8; 8]]) -> Vec<u32> {
    let mut owners = vec![0; BASES];
    for (at, node) in nodes.iter().enumerate() {
        let node = Node::of(*node);
        if node.has_children() {
            owners[node.base() as usize] = at as u32;
        }
    }
    owners
}

/// Where the nodes lie.
#[derive(Clone)]
pub(super) enum Nodes {
    /// In the program.
    BuiltIn(&'static [[u8; 8]]),
    /// While words are added.
    Growing(Vec<[u8; 8]>),
    /// On large pages, as those of the program mostly are: the walk through them is at random. A vector was
    /// slower by some percent (the row of added words in benches/segment.rs).
    Packed(Pages),
}

impl Deref for Nodes {
    type Target = [[u8; 8]];

    fn deref(&self) -> &[[u8; 8]] {
        match self {
            Self::BuiltIn(nodes) => nodes,
            Self::Growing(nodes) => nodes,
            Self::Packed(pages) => pages.bytes().as_chunks().0,
        }
    }
}

impl Nodes {
    fn to_mut(&mut self) -> &mut Vec<[u8; 8]> {
        if !matches!(self, Self::Growing(_)) {
            *self = Self::Growing(self.to_vec());
        }
        match self {
            Self::Growing(nodes) => nodes,
            _ => unreachable!("it was made so above"),
        }
    }

    /// Puts nodes that were added to where they are read from.
    pub(super) fn pack(&mut self) {
        if let Self::Growing(nodes) = self {
            let mut pages = Pages::zeros(8 * nodes.len());
            pages.bytes_mut().copy_from_slice(nodes.as_flattened());
            *self = Self::Packed(pages);
        }
    }
}

/// The nodes: the built-in ones, or a copy of them with more.
#[derive(Clone)]
pub(super) struct Double {
    pub(super) nodes: Nodes,
    pub(super) filter: u32,
}

impl Double {
    pub(super) fn node(&self, at: u32) -> Node {
        Node::of(self.nodes[at as usize])
    }

    /// Makes room for more frequencies.
    pub(super) fn widen(&mut self) {
        self.filter = WIDE;
        for node in self.nodes.to_mut().iter_mut().filter(|node| **node != FREE) {
            *node = Node::of(*node).widened().0.to_le_bytes();
        }
    }
}

/// A set of numbers.
struct Bits(Vec<u64>);

impl Bits {
    fn all(count: usize) -> Self {
        Self(vec![u64::MAX; count / 64 + 2])
    }

    fn insert(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    fn remove(&mut self, at: usize) {
        self.0[at / 64] &= !(1 << (at % 64));
    }

    /// Which of the 64 numbers from `at` on are there.
    fn from(&self, at: usize) -> u64 {
        self.0[at / 64] >> (at % 64) | self.0[at / 64 + 1] << 1 << (63 - at % 64)
    }
}

/// What is known of a double array while words are added.
pub(super) struct Growth {
    /// By base, the number of the first child of its node, or 0.
    first: Vec<u16>,
    /// By place, the number of the next child of the same node, or 0.
    next: Vec<u16>,
    owners: Vec<u32>,
    free: Bits,
    unused: Bits,
    /// Where the search went to for so many children, in steps of 64 bases; it goes on there.
    reached: [usize; 16],
    /// The highest base in use.
    highest: u32,
}

impl Growth {
    pub(super) fn of(array: &Double) -> Self {
        let mut growth = Self {
            first: vec![0; BASES],
            next: vec![0; BASES + CODES],
            owners: owners(&array.nodes),
            free: Bits::all(BASES + CODES),
            unused: Bits::all(BASES),
            reached: [0; 16],
            highest: 0,
        };
        growth.free.remove(0);
        growth.unused.remove(0);
        growth.unused.remove(NO_BASE as usize);
        for (at, node) in array.nodes.iter().enumerate() {
            let node = Node::of(*node);
            if node.before() == NO_BASE {
                continue;
            }
            growth.occupy(node.before(), (at - node.before() as usize) as u16);
            if node.has_children() {
                growth.unused.remove(node.base() as usize);
                growth.highest = growth.highest.max(node.base());
            }
        }
        // New nodes lie close together behind the others; the gaps among those are filled when there is no more room.
        growth.reached = [array.nodes.len() / 64; 16];
        growth
    }

    /// Adds a word, given by the numbers of its characters, of which the highest is `characters`, and by the number of
    /// its frequency. `None` when there is no place left.
    pub(super) fn insert(&mut self, array: &mut Double, characters: u16, word: &[u16], frequency: usize) -> Option<()> {
        // So that a base plus any number is inside.
        self.reserve(array, characters);
        let mut at = 0;
        for code in word {
            at = self.child(array, characters, at, *code)?;
        }
        let filter = array.filter;
        change(array, at, |node| node.with_frequency(frequency, filter));
        Some(())
    }

    fn reserve(&self, array: &mut Double, characters: u16) {
        let end = self.highest as usize + usize::from(characters) + 1;
        if array.nodes.len() < end {
            array.nodes.to_mut().resize(end, FREE);
        }
    }

    /// The place of the child of the node at `at` by `code`; it is made where there is none.
    fn child(&mut self, array: &mut Double, characters: u16, mut at: u32, code: u16) -> Option<u32> {
        let node = array.node(at);
        let mut base = node.base();
        if at != 0 && !node.has_children() {
            base = self.find(&[code])?;
            self.give_base(array, characters, at, base);
        } else {
            let there = array.node(base + u32::from(code)).before();
            if there == base {
                return Some(base + u32::from(code));
            }
            if there != NO_BASE {
                // Who goes: these children or those. The root's stay.
                if base == 0 || there != 0 && self.has_no_more_than(there, base) {
                    self.relocate(array, characters, there, None)?;
                } else {
                    base = self.relocate(array, characters, base, Some(code))?;
                }
                // This node may have been among those that went.
                at = self.owners[base as usize];
            }
        }
        let place = base + u32::from(code);
        self.occupy(base, code);
        change(array, place, |_| Node::below(base));
        if at != 0 {
            let filter = array.filter;
            change(array, at, |node| node.with_child(code, filter));
        }
        Some(place)
    }

    /// Moves the children of the node with the base `from` to a base where there is a place for one more by `code`.
    fn relocate(&mut self, array: &mut Double, characters: u16, from: u32, code: Option<u16>) -> Option<u32> {
        let children: Vec<u16> = self.children(from).collect();
        let wanted: Vec<u16> = children.iter().copied().chain(code).collect();
        let to = self.find(&wanted)?;
        let owner = self.owners[from as usize];
        self.give_base(array, characters, owner, to);
        self.first[from as usize] = 0;
        self.unused.insert(from as usize);
        for code in children {
            let (old, new) = (from + u32::from(code), to + u32::from(code));
            let node = array.node(old);
            change(array, new, |_| node.with_before(to));
            array.nodes.to_mut()[old as usize] = FREE;
            self.free.insert(old as usize);
            self.occupy(to, code);
            if node.has_children() {
                self.owners[node.base() as usize] = new;
            }
        }
        Some(to)
    }

    fn give_base(&mut self, array: &mut Double, characters: u16, at: u32, base: u32) {
        change(array, at, |node| node.with_base(base));
        self.owners[base as usize] = at;
        self.unused.remove(base as usize);
        self.highest = self.highest.max(base);
        self.reserve(array, characters);
    }

    /// Notes the child by `code` of the node with `base`.
    fn occupy(&mut self, base: u32, code: u16) {
        let place = base as usize + usize::from(code);
        self.next[place] = std::mem::replace(&mut self.first[base as usize], code);
        self.free.remove(place);
    }

    /// The numbers of the children of the node with `base`.
    fn children(&self, base: u32) -> impl Iterator<Item = u16> {
        let known = |code: u16| (code != 0).then_some(code);
        let next = move |code: &u16| known(self.next[base as usize + usize::from(*code)]);
        std::iter::successors(known(self.first[base as usize]), next)
    }

    /// Whether the node with the base `one` has no more children than that with `other`. Only as many are looked at as the
    /// smaller family has.
    fn has_no_more_than(&self, one: u32, other: u32) -> bool {
        let (mut one, mut other) = (self.children(one), self.children(other));
        loop {
            match (one.next(), other.next()) {
                (None, _) => return true,
                (_, None) => return false,
                _ => {}
            }
        }
    }

    /// A base that no node has, with free places for these children.
    fn find(&mut self, children: &[u16]) -> Option<u32> {
        let class = children.len().min(self.reached.len() - 1);
        let from = self.reached[class];
        let blocks = (from..BASES / 64).chain(0..from);
        for block in blocks {
            let mut fitting = self.unused.0[block];
            for code in children {
                if fitting == 0 {
                    break;
                }
                fitting &= self.free.from(64 * block + usize::from(*code));
            }
            if fitting != 0 {
                self.reached[class] = block;
                return Some(64 * block as u32 + fitting.trailing_zeros());
            }
        }
        None
    }
}

fn change(array: &mut Double, at: u32, change: impl FnOnce(Node) -> Node) {
    let node = &mut array.nodes.to_mut()[at as usize];
    *node = change(Node::of(*node)).0.to_le_bytes();
}
