//! The order in which training sees rows: each once an epoch, shuffled by a seed, dealt out to the machines.
//!
//! All positions of all epochs are one sequence: position `p` is place `p % rows` of epoch `p / rows`, and machine `rank` of
//! `world` takes positions `rank`, `rank + world`, and so on. So the machines together see each row once an epoch, stay in
//! step although `world` may not divide the rows, and can go on with another number of machines where they stopped.
//!
//! The shuffle is no list but a bijection with a key: a Feistel network (Luby and Rackoff 1988) over the next power of four,
//! walked until it falls below the number of rows (Black and Rogaway 2002, *Ciphers with Arbitrary Finite Domains*). It
//! takes no memory, and any step is found at once, so a run goes on where it was without reading what came before.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{Error, Result};

/// Rounds of the network; four make it a pseudorandom permutation when their functions are random, these are weaker.
const ROUNDS: u64 = 8;
/// Halves have at least so many bits: with fewer there are too few permutations to draw from.
const LEAST_BITS: u32 = 3;

/// Which row comes when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    rows: u64,
    seed: u64,
    rank: u64,
    world: u64,
}

impl Order {
    /// The order of `rows` rows under a seed, as machine `rank` of `world` sees it; ranks count from 0.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for no rows, no machines, or a rank beyond them.
    pub fn new(rows: u64, seed: u64, rank: u64, world: u64) -> Result<Self> {
        let wrong =
            |name, value: u64, expected: String| Err(Error::Setting { name, value: value.to_string(), expected });
        if rows == 0 {
            return wrong("rows", rows, "at least 1".to_owned());
        }
        if world == 0 {
            return wrong("world-size", world, "at least 1".to_owned());
        }
        if rank >= world {
            return wrong("rank", rank, format!("below the world size of {world}"));
        }
        Ok(Self { rows, seed, rank, world })
    }

    /// The epoch and the row of a step, in which each machine takes one row; steps count from 0. Any step takes the same
    /// time. After 2^64 positions the sequence ends, and its last step repeats.
    #[must_use]
    pub fn at(&self, step: u64) -> (u64, u64) {
        let position = step.saturating_mul(self.world).saturating_add(self.rank);
        let (epoch, place) = (position / self.rows, position % self.rows);
        (epoch, self.shuffled(epoch, place))
    }

    /// The row at a place of an epoch: for each epoch every row is at one place.
    #[must_use]
    pub fn shuffled(&self, epoch: u64, place: u64) -> u64 {
        let bits = (u64::BITS - (self.rows - 1).leading_zeros()).div_ceil(2).max(LEAST_BITS);
        let keys: [u64; ROUNDS as usize] = std::array::from_fn(|round| {
            let numbers = [epoch, round as u64].map(u64::to_le_bytes);
            xxh3_64_with_seed(numbers.as_flattened(), self.seed)
        });
        let mut at = place % self.rows;
        // A walk from a place below `rows` comes back below it: the network is a bijection, so its paths are circles.
        loop {
            at = network(at, bits, &keys);
            if at < self.rows {
                return at;
            }
        }
    }
}

/// A bijection of the numbers below 2^(2 x `bits`).
fn network(number: u64, bits: u32, keys: &[u64; ROUNDS as usize]) -> u64 {
    let mask = (1 << bits) - 1;
    let (mut left, mut right) = (number >> bits, number & mask);
    for key in keys {
        (left, right) = (right, left ^ (mixed(right ^ key) & mask));
    }
    left << bits | right
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mixed(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn machines_share_each_epoch(rows in 1u64..400, seed: u64, world in 1u64..9, epochs in 1u64..4) {
            let mut seen = vec![BTreeSet::new(); epochs as usize];
            for rank in 0..world {
                let order = Order::new(rows, seed, rank, world).unwrap();
                for step in 0.. {
                    let (epoch, row) = order.at(step);
                    if epoch >= epochs {
                        break;
                    }
                    prop_assert!(row < rows);
                    prop_assert!(seen[epoch as usize].insert(row), "row {row} came twice in epoch {epoch}");
                }
            }
            prop_assert!(seen.iter().all(|seen| seen.len() as u64 == rows));
        }

        /// With another number of machines the positions are the same ones.
        #[test]
        fn the_sequence_does_not_depend_on_the_machines(rows in 1u64..1000, seed: u64, world in 1u64..9, position: u32) {
            let position = u64::from(position);
            let alone = Order::new(rows, seed, 0, 1).unwrap().at(position);
            let among = Order::new(rows, seed, position % world, world).unwrap().at(position / world);
            prop_assert_eq!(alone, among);
        }

        /// Far places of large orders stay inside, and two places have two rows.
        #[test]
        fn large_orders(rows in 1u64 << 32.., seed: u64, epoch: u64, places: [u64; 2]) {
            let order = Order::new(rows, seed, 0, 1).unwrap();
            let found = places.map(|place| order.shuffled(epoch, place));
            prop_assert!(found.iter().all(|&row| row < rows));
            prop_assert_eq!(places[0] % rows == places[1] % rows, found[0] == found[1]);
        }
    }

    /// Every row comes to every place about as often: 4,000 draws a row, of which the square root is 63.
    #[test]
    fn rows_are_spread_evenly() {
        for rows in [2u64, 3, 5, 8, 13] {
            let mut counts = vec![vec![0i64; rows as usize]; rows as usize];
            for epoch in 0..4000 * rows {
                let order = Order::new(rows, 7, 0, 1).unwrap();
                for place in 0..rows {
                    counts[place as usize][order.shuffled(epoch, place) as usize] += 1;
                }
            }
            assert!(counts.iter().flatten().all(|count| (count - 4000).abs() < 400), "{rows}: {counts:?}");
        }
    }

    #[test]
    fn neighbours_part_and_epochs_differ() {
        let order = Order::new(100_000, 1, 0, 1).unwrap();
        let still_neighbours =
            (1..100_000).filter(|&place| order.shuffled(0, place).abs_diff(order.shuffled(0, place - 1)) == 1).count();
        assert!(still_neighbours < 20, "{still_neighbours} of about 2 expected");
        let same = (0..100_000).filter(|&place| order.shuffled(0, place) == order.shuffled(1, place)).count();
        assert!(same < 20, "{same} of about 1 expected");
    }

    /// The order is a part of results: it must not change. The values are those of the same rule in Python, with xxhash 4.1.
    #[test]
    fn the_order_is_kept() {
        let order = Order::new(10, 42, 0, 1).unwrap();
        let rows: Vec<u64> = (0..20).map(|step| order.at(step).1).collect();
        assert_eq!(rows, [4, 1, 2, 7, 3, 6, 9, 8, 0, 5, 9, 6, 2, 5, 3, 7, 0, 1, 8, 4]);
        let order = Order::new(1_000_000_000_039, 1 << 63, 0, 1).unwrap();
        let rows = [0, 1, 1_000_000_000_040, 50_000_000_000_000].map(|step| order.at(step).1);
        assert_eq!(rows, [637_418_922_793, 876_803_466_179, 31_590_162_797, 486_172_693_909]);
    }

    #[test]
    fn settings_outside_their_range() {
        for (rows, rank, world, name) in [(0, 0, 1, "rows"), (1, 0, 0, "world-size"), (5, 2, 2, "rank")] {
            let error = Order::new(rows, 0, rank, world).unwrap_err();
            assert!(matches!(error, Error::Setting { name: got, .. } if got == name), "{error}");
        }
    }
}
