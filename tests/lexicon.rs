//! The file of the dictionary is made here, from the dictionary of jieba-rs, which is that of jieba:
//!
//!     CIYUAN_DICTIONARY=jieba-rs-0.11.0/src/data/dict.txt cargo test --release --test suite lexicon
//!
//! A line of it is a word, its frequency and a tag. What is made is described in `src/segment/lexicon.rs`.

use std::collections::{BTreeMap, HashMap};

use super::common::root;

const FREE: u64 = 0x1F_FFFF << 21;

#[derive(Default)]
struct Trie {
    children: BTreeMap<u16, usize>,
    frequency: u64,
}

/// The trie of the words as codes; node 0 is the root.
fn trie(words: &[(Vec<u16>, u64)]) -> Vec<Trie> {
    let mut nodes = vec![Trie::default()];
    for (word, frequency) in words {
        let mut at = 0;
        for code in word {
            at = match nodes[at].children.get(code) {
                Some(child) => *child,
                None => {
                    nodes.push(Trie::default());
                    let child = nodes.len() - 1;
                    nodes[at].children.insert(*code, child);
                    child
                }
            };
        }
        nodes[at].frequency = *frequency;
    }
    nodes
}

/// Places the children of each node at the first base where all fit, nodes with many children first.
fn double_array(nodes: &[Trie], frequencies: &[u64]) -> Vec<u64> {
    let mut slots = vec![FREE; 1 << 21];
    let mut taken = vec![false; 1 << 21];
    let mut base_used = vec![false; 1 << 21];
    let mut base_of = vec![0usize; nodes.len()];
    let place = |node: usize, base: usize, taken: &mut Vec<bool>| {
        nodes[node].children.keys().for_each(|code| taken[base + usize::from(*code)] = true);
    };
    place(0, 0, &mut taken);
    taken[0] = true;
    base_used[0] = true;
    let mut order: Vec<usize> = (1..nodes.len()).filter(|node| !nodes[*node].children.is_empty()).collect();
    order.sort_by_key(|node| (std::cmp::Reverse(nodes[*node].children.len()), *node));
    let mut first_free = 1;
    for node in order {
        let codes: Vec<usize> = nodes[node].children.keys().map(|code| usize::from(*code)).collect();
        while taken[first_free] {
            first_free += 1;
        }
        let mut slot = first_free.max(codes[0] + 1);
        let base = loop {
            let base = slot - codes[0];
            if !taken[slot] && !base_used[base] && codes.iter().all(|code| !taken[base + code]) {
                break base;
            }
            slot += 1;
        };
        base_used[base] = true;
        base_of[node] = base;
        place(node, base, &mut taken);
    }
    for (node, trie) in nodes.iter().enumerate() {
        for (code, child) in &trie.children {
            let below = &nodes[*child];
            let frequency = match below.frequency {
                0 => 0,
                frequency => frequencies.binary_search(&frequency).unwrap() as u64 + 1,
            };
            let filter = below.children.keys().fold(0, |filter, code| filter | 1u64 << (code & 7));
            let any = u64::from(!below.children.is_empty());
            slots[base_of[node] + usize::from(*code)] =
                base_of[*child] as u64 | (base_of[node] as u64) << 21 | frequency << 42 | filter << 55 | any << 63;
        }
    }
    let last = slots.iter().rposition(|slot| *slot != FREE).unwrap();
    // So that a base plus any code is inside.
    let codes = nodes.iter().flat_map(|node| node.children.keys()).max().copied().unwrap();
    let end = (*base_of.iter().max().unwrap() + usize::from(codes) + 1).max(last + 1);
    slots.truncate(end);
    slots
}

fn file(dictionary: &str) -> Vec<u8> {
    let words: HashMap<&str, u64> = dictionary
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            Some((fields.next()?, fields.next()?.parse().unwrap()))
        })
        .collect();
    let mut counts: BTreeMap<char, u64> = BTreeMap::new();
    words.keys().flat_map(|word| word.chars()).for_each(|c| *counts.entry(c).or_default() += 1);
    let mut characters: Vec<char> = counts.keys().copied().collect();
    characters.sort_by_key(|c| (std::cmp::Reverse(counts[c]), *c));
    let code: HashMap<char, u16> = characters.iter().zip(1..).map(|(c, code)| (*c, code)).collect();
    let mut frequencies: Vec<u64> = words.values().copied().collect();
    frequencies.sort_unstable();
    frequencies.dedup();
    assert!(frequencies[0] > 0 && frequencies.len() < 1 << 13 && characters.len() < 1 << 15);
    let mut coded: Vec<(Vec<u16>, u64)> =
        words.iter().map(|(word, frequency)| (word.chars().map(|c| code[&c]).collect(), *frequency)).collect();
    coded.sort_unstable();
    let slots = double_array(&trie(&coded), &frequencies);

    let mut bytes = b"ciyuanL1".to_vec();
    for count in [characters.len(), frequencies.len(), slots.len()] {
        bytes.extend((count as u32).to_le_bytes());
    }
    bytes.extend(words.values().sum::<u64>().to_le_bytes());
    characters.iter().for_each(|c| bytes.extend(u16::try_from(*c as u32).unwrap().to_le_bytes()));
    frequencies.iter().for_each(|frequency| bytes.extend((*frequency as u32).to_le_bytes()));
    slots.iter().for_each(|slot| bytes.extend(slot.to_le_bytes()));
    bytes
}

/// The double array of a few words, walked the plainest way, gives them back and no others.
#[test]
fn a_double_array_holds_its_words() {
    let words: Vec<(Vec<u16>, u64)> =
        [vec![1], vec![1, 2], vec![1, 2, 3], vec![2, 9], vec![9], vec![9, 9, 9]].map(|word| (word, 7)).to_vec();
    let slots = double_array(&trie(&words), &[7]);
    let holds = |word: &[u16]| {
        let (mut base, mut more, mut ends) = (0, true, false);
        for code in word {
            let slot = slots[base as usize + usize::from(*code)];
            if !more || slot >> 21 & 0x1F_FFFF != base {
                return false;
            }
            (base, more, ends) = (slot & 0x1F_FFFF, slot >> 63 == 1, slot >> 42 & 0x1FFF == 1);
        }
        ends
    };
    for a in 0..10 {
        for b in 0..10 {
            for c in 0..10 {
                let word: Vec<u16> = [a, b, c].into_iter().filter(|code| *code > 0).collect();
                assert_eq!(holds(&word), words.iter().any(|(known, _)| *known == word), "{word:?}");
            }
        }
    }
}

#[test]
fn the_file_is_made_of_the_dictionary() {
    let path = root().join("src/segment/lexicon.bin");
    if let Some(dictionary) = std::env::var_os("CIYUAN_DICTIONARY") {
        std::fs::write(&path, file(&std::fs::read_to_string(dictionary).unwrap())).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.starts_with(b"ciyuanL1") && bytes.len() < 6_000_000, "{}", bytes.len());
}
