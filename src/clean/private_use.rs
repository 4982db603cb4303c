//! Code points for private use that old tables of GBK and GB 18030 gave to characters without a code point then.
//!
//! GBK 1.0 and its code page 936 mapped 95 positions in rows A6, A8, A9 and FE to U+E78D and following. GB 18030-2000,
//! -2005 and -2022 moved them to real characters as Unicode got them, so text that was decoded with an older table still
//! holds private code points. The order of the private code points is that of the positions, so a few runs say it all;
//! what stands at a position now is asked of `encoding_rs`, which has the table of the WHATWG, that of GB 18030-2022. Six
//! positions are private there to this day, because the characters they meant got codes of four bytes; those are listed.

use std::sync::LazyLock;

use encoding_rs::GB18030;

/// The first code point for private use, its position in the table, and how many follow each other.
const RUNS: [(u32, [u8; 2], u8); 8] = [
    (0xE78D, [0xA6, 0xD9], 7),  // vertical forms of punctuation
    (0xE794, [0xA6, 0xEC], 2),  // more of them
    (0xE796, [0xA6, 0xF3], 1),  // the last
    (0xE7C7, [0xA8, 0xBC], 1),  // ḿ
    (0xE7C8, [0xA8, 0xBF], 1),  // ǹ
    (0xE7E7, [0xA9, 0x89], 13), // 〾 and the description characters
    (0xE815, [0xFE, 0x50], 47), // radicals and ideographs
    (0xE844, [0xFE, 0x80], 33), // more of them
];

/// Positions that GB 18030-2022 leaves private, FE51, FE52, FE53, FE6C, FE76 and FE91, and what they always meant.
const STILL_PRIVATE: [(char, char); 6] = [
    ('\u{E816}', '\u{20087}'),
    ('\u{E817}', '\u{20089}'),
    ('\u{E818}', '\u{200CC}'),
    ('\u{E831}', '\u{215D7}'),
    ('\u{E83B}', '\u{2298F}'),
    ('\u{E855}', '\u{241FE}'),
];

static ASSIGNED: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
    let position = |(first, [lead, trail], length): (u32, [u8; 2], u8)| {
        (0..length).map(move |at| (first + u32::from(at), [lead, trail + at]))
    };
    let now = |(private, bytes): (u32, [u8; 2])| {
        let text = GB18030.decode_without_bom_handling_and_without_replacement(&bytes)?;
        let private = char::from_u32(private)?;
        text.chars().next().filter(|c| *c != private && text.chars().count() == 1).map(|c| (private, c))
    };
    let mut assigned: Vec<(char, char)> = RUNS.into_iter().flat_map(position).filter_map(now).collect();
    assigned.extend(STILL_PRIVATE);
    assigned.sort_unstable();
    assigned
});

/// The character that has a code point of its own now.
pub(super) fn assigned(private: char) -> Option<char> {
    ASSIGNED.binary_search_by_key(&private, |(private, _)| *private).ok().map(|at| ASSIGNED[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_have_code_points_by_now() {
        assert_eq!(ASSIGNED.len(), 105);
        assert!(ASSIGNED.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 != pair[1].1));
        assert!(ASSIGNED.iter().all(|(_, c)| !('\u{E000}'..='\u{F8FF}').contains(c)));
    }

    /// Pairs that the WHATWG Encoding Standard and GB 18030-2022 (amendments to table A.1) name.
    #[test]
    fn known_pairs() {
        for (private, c) in [
            ('\u{E78D}', '\u{FE10}'),
            ('\u{E78E}', '\u{FE12}'),
            ('\u{E793}', '\u{FE16}'),
            ('\u{E794}', '\u{FE17}'),
            ('\u{E796}', '\u{FE19}'),
            ('\u{E7C7}', '\u{1E3F}'),
            ('\u{E7C8}', '\u{01F9}'),
            ('\u{E7E7}', '\u{303E}'),
            ('\u{E7E8}', '\u{2FF0}'),
            ('\u{E816}', '\u{20087}'),
            ('\u{E81E}', '\u{9FB4}'),
            ('\u{E826}', '\u{9FB5}'),
            ('\u{E82B}', '\u{9FB6}'),
            ('\u{E82C}', '\u{9FB7}'),
            ('\u{E831}', '\u{215D7}'),
            ('\u{E832}', '\u{9FB8}'),
            ('\u{E843}', '\u{9FB9}'),
            ('\u{E854}', '\u{9FBA}'),
            ('\u{E855}', '\u{241FE}'),
            ('\u{E864}', '\u{9FBB}'),
        ] {
            assert_eq!(assigned(private), Some(c), "U+{:04X}", private as u32);
        }
        assert_eq!(assigned('\u{E76C}'), None);
        assert_eq!(assigned('\u{E000}'), None);
    }
}
