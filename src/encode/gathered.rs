//! The ids of the pieces of a block of characters, written one behind the other.
//!
//! At first the entries of single characters stand here, which reading the block has left; then those of pieces of several
//! are put in their place. Writing is done by [`Reading::write`](super::block::Reading::write): here plainly, in
//! `gathered_x86.rs` four pieces at once.

use super::block::{Block, CHARACTERS};
use super::characters::count_of;
use super::ids::Room;
use super::memo::{FewIds, of_few};
use crate::vocab::TokenId;

/// The most ids of a piece here.
const MOST: usize = 4;

/// The ids of the pieces of a block, each at the place of its first character. At first these are the entries of the
/// characters, whose marks nobody takes for an id, as a character has three at most.
#[derive(Clone)]
pub(super) struct Gathered {
    pub(super) ids: [[TokenId; MOST]; CHARACTERS],
    /// Bit k: the piece that begins with character k has more than one id, more than two, more than three.
    pub(super) more: [u64; MOST - 1],
}

impl Default for Gathered {
    fn default() -> Self {
        Self { ids: [[0; MOST]; CHARACTERS], more: [0; MOST - 1] }
    }
}

/// The bits of characters of a block that have more than one id, and more than two.
pub(super) fn plain_more(block: &Block) -> [u64; 2] {
    let entries = block.gathered.ids[..block.count].iter().enumerate();
    entries.fold([0; 2], |[two, three], (at, entry)| {
        let count = count_of(entry);
        [two | u64::from(count > 1) << at, three | u64::from(count > 2) << at]
    })
}

/// Writes the ids of the pieces that begin with the characters `heads`, and says how many they are.
#[inline(always)]
pub(super) fn plain_write(gathered: &Gathered, mut heads: u64, room: &mut Room) -> usize {
    let mut written = 0;
    while heads != 0 {
        let at = heads.trailing_zeros() as usize;
        *room.next(written) = gathered.ids[at];
        written += gathered.count(1 << at);
        heads &= heads - 1;
    }
    written
}

impl Gathered {
    /// The piece that begins with this character.
    #[inline(always)]
    pub(super) fn put(&mut self, at: usize, few: FewIds) {
        let (ids, count) = of_few(few);
        self.ids[at] = ids;
        for (more, than) in self.more.iter_mut().zip(1..) {
            *more = *more & !(1 << at) | u64::from(count > than) << at;
        }
    }

    /// How many ids the pieces have that begin with these characters.
    #[inline(always)]
    pub(super) fn count(&self, heads: u64) -> usize {
        self.more.iter().fold(heads.count_ones(), |count, more| count + (more & heads).count_ones()) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::block::{Plain, Reading};
    use super::super::characters::Characters;
    use super::super::memo::few_ids;
    use super::super::testing::learned;
    use super::*;

    proptest! {
        /// Characters of one, two and three ids, and pieces of one to four in the place of some.
        #[test]
        fn ids_of_pieces_in_their_order(
            choices in prop::collection::vec((0usize..6, 0usize..=8), 1..=CHARACTERS),
            heads in any::<(u64, u64)>(),
        ) {
            let tokenizer = learned(r"regex:\S+|\s+", "的的的的一一一é", 262);
            let characters = tokenizer.characters();
            let mut block = Block { count: choices.len(), ..Block::default() };
            let (mut wanted, mut puts) = (Vec::new(), Vec::new());
            for (at, (which, put)) in choices.iter().enumerate() {
                block.codes[at] = ['的', '一', '词', 'é', 'a', '，'][*which] as u32;
                let entry = characters.entry_of_block(block.codes[at]);
                let ids: Vec<TokenId> = if (1..=4).contains(put) {
                    (0..*put as u32).map(|id| 1000 * at as u32 + id).collect()
                } else {
                    entry[..count_of(entry)].to_vec()
                };
                puts.extend((1..=4).contains(put).then(|| (at, ids.clone())));
                wanted.push(ids);
            }
            let heads = (heads.0 | heads.1) & u64::MAX >> (CHARACTERS - choices.len());
            let wanted: Vec<TokenId> =
                wanted.into_iter().enumerate().filter(|(at, _)| heads >> at & 1 == 1).flat_map(|(_, ids)| ids).collect();
            let check = |reading: &dyn Fn(&mut Block, &mut Room) -> usize| {
                let (mut block, mut room) = (block.clone(), Room::default());
                let count = reading(&mut block, &mut room);
                (room.first(count).to_vec(), block.gathered.count(heads))
            };
            fn write(
                reading: impl Reading,
                characters: &Characters,
                (block, room): (&mut Block, &mut Room),
                (puts, heads): (&[(usize, Vec<TokenId>)], u64),
            ) -> usize {
                let count = block.count;
                reading.joined(characters, block, count);
                block.begin(reading);
                for (at, ids) in puts {
                    block.gathered.put(*at, few_ids(ids).unwrap());
                }
                reading.write(&block.gathered, heads, room)
            }
            let of = (&puts[..], heads);
            let plain = check(&|block, room| write(Plain, characters, (block, room), of));
            prop_assert_eq!(&plain, &(wanted.clone(), wanted.len()));
            #[cfg(target_arch = "x86_64")]
            if let Some(lanes) = super::super::block_x86::Avx512::<true>::detect() {
                let found = check(&|block, room| write(lanes, characters, (block, room), of));
                prop_assert_eq!(found, plain);
            }
        }
    }
}
