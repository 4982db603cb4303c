//! Merges learned from random small corpora, under random rules, against recounting.
//!
//! A sample runs in a second. The long tier takes a million:
//!
//!     CIYUAN_LONG="" cargo test --release --test suite small_corpora

use std::ops::ControlFlow;

use ciyuan::learn::{Counts, LearnConfig, Learned, TieRule, VocabSize, learn, learn_from, naive_learn};
use rayon::prelude::*;

use super::common::Random;

/// What words are made of: several scripts, marks, punctuation, and bytes that are no text.
const PARTS: [&[u8]; 14] = [
    b"a",
    b"b",
    b"c",
    b" ",
    b"7",
    "é".as_bytes(),
    "词".as_bytes(),
    "元".as_bytes(),
    "，".as_bytes(),
    "カ".as_bytes(),
    "\u{301}".as_bytes(),
    "😀".as_bytes(),
    b"\xE8\xAF",
    b"\xFF",
];

fn counts(random: &mut Random) -> Counts {
    let parts: Vec<&[u8]> = (0..=random.below(5)).map(|_| PARTS[random.below(PARTS.len())]).collect();
    let most = [3, 6, 300][random.below(3)];
    let mut counts = Counts::default();
    for _ in 0..random.below(14) {
        let word: Vec<u8> = (0..=random.below(9)).flat_map(|_| parts[random.below(parts.len())]).copied().collect();
        counts.add(&word, 1 + random.below(most) as u64).unwrap();
    }
    counts
}

fn config(random: &mut Random) -> LearnConfig {
    let limit = |random: &mut Random| (random.below(4) == 0).then(|| 1 + random.below(8) as u32);
    LearnConfig {
        vocab_size: VocabSize::Tokens(256 + random.below(40) as u32),
        special: vec![],
        min_count: random.below(4) as u64,
        ties: [TieRule::HuggingFace, TieRule::RawBytes][random.below(2)],
        character_boundaries: random.below(3) == 0,
        no_script_merges: random.below(3) == 0,
        max_token_bytes: limit(random),
        max_token_characters: limit(random),
        min_saved_per_million: (random.below(4) == 0).then(|| random.below(200_000) as u64),
    }
}

#[test]
fn merges_equal_recounting() {
    let seeds = if std::env::var_os("CIYUAN_LONG").is_some() { 1_000_000 } else { 3_000 };
    let merges: usize = (0..seeds)
        .into_par_iter()
        .map(|seed| {
            let mut random = Random(seed);
            let (counts, config) = (counts(&mut random), config(&mut random));
            let go_on = |_, _| ControlFlow::Continue(());
            let fast = learn(&counts, &config, &mut { go_on }).unwrap();
            assert_eq!(fast, naive_learn(&counts, &config).unwrap(), "seed {seed}");
            let cut = random.below(fast.pairs.len() + 1);
            let (pairs, found) = (fast.pairs[..cut].to_vec(), fast.counts[..cut].to_vec());
            let so_far = Learned { pairs, counts: found, exhausted: false, interrupted: true };
            assert_eq!(
                learn_from(&counts, &config, &so_far, &mut { go_on }).unwrap(),
                fast,
                "seed {seed}, cut at {cut}"
            );
            fast.pairs.len()
        })
        .sum();
    assert!(merges as u64 > 5 * seeds, "{merges} merges of {seeds} corpora");
}
