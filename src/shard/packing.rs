//! Best-fit packing: documents into rows of a fixed length, none of which a document crosses.
//!
//! A document longer than a row is cut into full rows and a rest. Rests and shorter documents are placed from the longest
//! to the shortest, each into the row that it fills best (Ding et al. 2024, *Fewer Truncations Improve Language Modeling*,
//! best-fit decreasing). Ties go to the earlier piece and the earlier row, so the same lengths give the same rows.

use std::collections::BTreeSet;

/// A piece of a document that is put into rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packed {
    /// The shard.
    pub(super) shard: u32,
    /// Its ids.
    pub(super) length: u32,
    /// Its first id in the shard.
    pub(super) start: u64,
}

/// The pieces of all rows, and where each row's end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Packing {
    pub(super) pieces: Vec<Packed>,
    pub(super) ends: Vec<u64>,
}

/// Packs pieces, none of which is longer than a row or empty, into rows of `row` ids.
pub(super) fn pack(pieces: &[Packed], row: u32) -> Packing {
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(pieces[at].length));
    // Rows by the room that they have left; a full one is not in there.
    let mut open: BTreeSet<(u32, u64)> = BTreeSet::new();
    let mut rows = 0;
    let mut row_of = Vec::with_capacity(pieces.len());
    for &at in &order {
        let length = pieces[at].length;
        let (room, number) = match open.range((length, 0)..).next().copied() {
            Some(best) => {
                open.remove(&best);
                best
            }
            None => {
                rows += 1;
                (row, rows - 1)
            }
        };
        row_of.push((number, at));
        if room > length {
            open.insert((room - length, number));
        }
    }
    // Stable: in a row pieces keep the order in which they were placed.
    row_of.sort_by_key(|&(number, _)| number);
    let ends = (0..rows).map(|number| row_of.partition_point(|&(other, _)| other <= number) as u64).collect();
    Packing { pieces: row_of.into_iter().map(|(_, at)| pieces[at]).collect(), ends }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by looking at every row for every piece.
    fn naive_pack(pieces: &[Packed], row: u32) -> Packing {
        let mut sorted = pieces.to_vec();
        sorted.sort_by_key(|piece| std::cmp::Reverse(piece.length));
        let mut rows: Vec<Vec<Packed>> = Vec::new();
        for piece in sorted {
            let room = |pieces: &Vec<Packed>| row - pieces.iter().map(|piece| piece.length).sum::<u32>();
            let fits = (0..rows.len()).filter(|&at| room(&rows[at]) >= piece.length);
            match fits.min_by_key(|&at| (room(&rows[at]), at)) {
                Some(at) => rows[at].push(piece),
                None => rows.push(vec![piece]),
            }
        }
        let mut packing = Packing::default();
        for pieces in rows {
            packing.pieces.extend(pieces);
            packing.ends.push(packing.pieces.len() as u64);
        }
        packing
    }

    proptest! {
        #[test]
        fn as_looking_at_every_row(lengths in prop::collection::vec(1u32..40, 0..120), row in 39u32..80) {
            let piece = |(at, &length): (usize, &u32)| Packed { shard: 0, start: at as u64, length };
            let pieces: Vec<Packed> = lengths.iter().enumerate().map(piece).collect();
            prop_assert_eq!(pack(&pieces, row), naive_pack(&pieces, row));
        }
    }

    #[test]
    fn by_hand() {
        let lengths = [2, 6, 5, 3, 4, 10];
        let piece = |(at, &length): (usize, &u32)| Packed { shard: 0, start: at as u64, length };
        let pieces: Vec<Packed> = lengths.iter().enumerate().map(piece).collect();
        let packing = pack(&pieces, 10);
        let starts: Vec<u64> = packing.pieces.iter().map(|piece| piece.start).collect();
        // 10 | 6 + 4 | 5 + 3 + 2
        assert_eq!((starts, packing.ends), (vec![5, 1, 4, 2, 3, 0], vec![1, 3, 6]));
    }
}
