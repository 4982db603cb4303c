//! The tokens that are there while learning.
//!
//! Learning numbers them by itself, so that of two pairs that occur equally often the one to merge is that with the
//! lower numbers: the 256 bytes in the order of the [`TieRule`], other tokens of the tokenizer that is extended in the
//! order of their ids, and the new ones. Ids are those of the tokenizer to be written.

use rustc_hash::FxHashMap;

use super::config::TieRule;
use super::pair_table::{Key, key, parts};
use super::rules::Shape;
use crate::error::{Result, TokenizerFault};
use crate::vocab::{TokenId, TokenizerSpec, gpt2_byte_order};

/// Tokens by number.
#[derive(Debug)]
pub(super) struct Tokens {
    bytes: Vec<Box<[u8]>>,
    shapes: Vec<Shape>,
    ids: Vec<TokenId>,
    numbers: FxHashMap<Box<[u8]>, u32>,
    numbers_of_ids: FxHashMap<TokenId, u32>,
    /// The id of the next new token.
    next: TokenId,
    longest: usize,
}

/// The bytes in the order in which ties see them.
pub(super) fn byte_order(ties: TieRule) -> [u8; 256] {
    match ties {
        TieRule::HuggingFace => gpt2_byte_order(),
        TieRule::RawBytes => std::array::from_fn(|byte| byte as u8),
    }
}

impl Tokens {
    /// The 256 bytes, with ids in GPT-2's order.
    pub(super) fn of_bytes(ties: TieRule) -> Self {
        let mut id = [0; 256];
        gpt2_byte_order().iter().zip(0..).for_each(|(&byte, at)| id[usize::from(byte)] = at);
        let mut tokens = Self::none(256);
        byte_order(ties).iter().for_each(|&byte| tokens.push(Box::new([byte]), id[usize::from(byte)]));
        tokens
    }

    /// Those of a tokenizer.
    pub(super) fn of_base(base: &TokenizerSpec, ties: TieRule) -> Result<Self> {
        if base.characters().is_some() {
            let why = "its merges start from characters, and those learned here from bytes";
            return Err(TokenizerFault::NoBase { why }.into());
        }
        let id = base.vocab().byte_ids()?;
        let mut tokens = Self::none(base.vocab_size());
        byte_order(ties).iter().for_each(|&byte| tokens.push(Box::new([byte]), id[usize::from(byte)]));
        let others = base.vocab().iter().filter(|(_, bytes)| bytes.len() > 1);
        others.for_each(|(id, bytes)| tokens.push(bytes.into(), id));
        Ok(tokens)
    }

    fn none(next: TokenId) -> Self {
        let (numbers, numbers_of_ids) = (FxHashMap::default(), FxHashMap::default());
        Self { bytes: Vec::new(), shapes: Vec::new(), ids: Vec::new(), numbers, numbers_of_ids, next, longest: 0 }
    }

    fn push(&mut self, bytes: Box<[u8]>, id: TokenId) {
        let number = self.bytes.len() as u32;
        self.longest = self.longest.max(bytes.len());
        self.shapes.push(Shape::of(&bytes));
        self.ids.push(id);
        self.numbers.insert(bytes.clone(), number);
        self.numbers_of_ids.insert(id, number);
        self.bytes.push(bytes);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of the longest.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// The number of a token's bytes.
    pub(super) fn number(&self, bytes: &[u8]) -> Option<u32> {
        self.numbers.get(bytes).copied()
    }

    /// The numbers of the bytes.
    pub(super) fn numbers_of_bytes(&self) -> [u32; 256] {
        let mut numbers = [0; 256];
        self.bytes[..256].iter().zip(0..).for_each(|(bytes, number)| numbers[usize::from(bytes[0])] = number);
        numbers
    }

    /// What the rules need to know of a token.
    #[inline(always)]
    pub(super) fn shape(&self, number: u32) -> Shape {
        self.shapes[number as usize]
    }

    /// The token that a pair makes, as one that is there already, or a new one; and whether it is new.
    pub(super) fn join(&mut self, pair: Key) -> (u32, bool) {
        let (left, right) = parts(pair);
        let bytes = [&*self.bytes[left as usize], &*self.bytes[right as usize]].concat();
        if let Some(known) = self.number(&bytes) {
            return (known, false);
        }
        let id = self.next;
        self.next += 1;
        self.push(bytes.into(), id);
        (self.bytes.len() as u32 - 1, true)
    }

    /// The ids of a pair.
    pub(super) fn ids(&self, pair: Key) -> (TokenId, TokenId) {
        let (left, right) = parts(pair);
        (self.ids[left as usize], self.ids[right as usize])
    }

    /// The pair of two ids, if there are such tokens.
    pub(super) fn pair(&self, (left, right): (TokenId, TokenId)) -> Option<Key> {
        Some(key(*self.numbers_of_ids.get(&left)?, *self.numbers_of_ids.get(&right)?))
    }

    /// The number of an id.
    pub(super) fn number_of_id(&self, id: TokenId) -> Option<u32> {
        self.numbers_of_ids.get(&id).copied()
    }
}
