//! The strings of JSON, without their escapes.
//!
//! A string is copied in blocks, each of which is looked at as a whole: where text has an escape in every fifty bytes,
//! what costs is not the bytes but the branches that the processor guesses wrong. Blocks of 32 bytes by SSE2 had two thirds
//! of the speed of those of 64 by AVX2; with AVX-512, which needs no such branches, lines are read 1.3 to 1.5 times as fast
//! as with AVX2. Escapes by number, which some programs write for all that is not ASCII, are gone over one behind the other.
//!
//! Tried and not faster: short strings asked by the standard library whether they are UTF-8.

/// Bytes that are copied and looked at together.
pub(super) const BLOCK: usize = 64;

/// Copies the string that begins in `bytes`, behind its quotation mark, without its escapes into `out`, from its beginning;
/// `out` may become longer. Gives where the string ends in `bytes`, at its quotation mark, and in `out`. `None` for one
/// that is none, or is cut off. Whether it is UTF-8 is not looked at.
pub(super) fn unescape(bytes: &[u8], out: &mut Vec<u8>) -> Option<(usize, usize)> {
    // No escape is longer than its bytes; a block may be copied whole.
    let room = bytes.len() + BLOCK;
    if out.len() < room {
        out.resize(room, 0);
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(ends) = super::json_string_x86::unescape(bytes, out) {
        return ends;
    }
    unescape_by(bytes, out, specials)
}

/// The same, where `out` is long enough and the bytes of a block that do not stand for themselves are told by `specials`.
#[inline(always)]
pub(super) fn unescape_by(
    bytes: &[u8],
    out: &mut [u8],
    specials: impl Fn(&[u8; BLOCK]) -> u64,
) -> Option<(usize, usize)> {
    let (mut read, mut written) = (0, 0);
    while let Some(block) = bytes[read..].first_chunk::<BLOCK>() {
        out[written..written + BLOCK].copy_from_slice(block);
        let found = specials(block);
        if found == 0 {
            read += BLOCK;
            written += BLOCK;
            continue;
        }
        let run = found.trailing_zeros() as usize;
        read += run;
        written += run;
        if is_end(bytes, &mut read, out, &mut written)? {
            return Some((read, written));
        }
    }
    while read < bytes.len() {
        if !is_special(bytes[read]) {
            out[written] = bytes[read];
            read += 1;
            written += 1;
        } else if is_end(bytes, &mut read, out, &mut written)? {
            return Some((read, written));
        }
    }
    None
}

fn is_special(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// A bit for each byte that does not stand for itself.
fn specials(block: &[u8; BLOCK]) -> u64 {
    block.iter().rev().fold(0, |bits, byte| bits << 1 | u64::from(is_special(*byte)))
}

/// What the byte behind a backslash stands for; 0 for what is no escape of two bytes.
pub(super) static ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let pairs = [
        (b'n', b'\n'),
        (b't', b'\t'),
        (b'r', b'\r'),
        (b'b', 8),
        (b'f', 12),
        (b'"', b'"'),
        (b'\\', b'\\'),
        (b'/', b'/'),
    ];
    let mut at = 0;
    while at < pairs.len() {
        escapes[pairs[at].0 as usize] = pairs[at].1;
        at += 1;
    }
    escapes
};

/// Whether a byte that does not stand for itself ends the string; goes over the escape that it else begins.
#[inline(always)]
fn is_end(bytes: &[u8], read: &mut usize, out: &mut [u8], written: &mut usize) -> Option<bool> {
    if bytes[*read] != b'\\' {
        return (bytes[*read] == b'"').then_some(true);
    }
    let kind = *bytes.get(*read + 1)?;
    let byte = ESCAPES[usize::from(kind)];
    if byte != 0 {
        out[*written] = byte;
        *read += 2;
        *written += 1;
    } else {
        numbered(bytes, read, out, written)?;
    }
    Some(false)
}

/// Goes over an escape by number, and over those right behind it: much Chinese is written with nothing else.
#[inline(never)]
pub(super) fn numbered(bytes: &[u8], read: &mut usize, out: &mut [u8], written: &mut usize) -> Option<()> {
    let mut next = Some(numbered_unit(bytes, *read)?);
    while let Some(unit) = next {
        *read += 6;
        next = numbered_unit(bytes, *read);
        // Most are of three bytes; without a way of their own it took a tenth more.
        if let 0x800..0xD800 | 0xE000.. = unit {
            // The fourth byte is written over, or stands behind the end.
            let three = [0xE0 | unit >> 12, 0x80 | unit >> 6 & 0x3F, 0x80 | unit & 0x3F, 0].map(|byte| byte as u8);
            out[*written..*written + 4].copy_from_slice(&three);
            *written += 3;
            continue;
        }
        let character = match char::from_u32(unit) {
            Some(character) => character,
            // The first of a pair of surrogates.
            None => {
                let pair = [unit, next?].map(|unit| unit as u16);
                *read += 6;
                next = numbered_unit(bytes, *read);
                char::decode_utf16(pair).next()?.ok()?
            }
        };
        *written += character.encode_utf8(&mut out[*written..]).len();
    }
    Some(())
}

/// The unit of UTF-16 that an escape by number stands for, if one stands at `at`.
#[inline(always)]
fn numbered_unit(bytes: &[u8], at: usize) -> Option<u32> {
    let [b'\\', b'u', digits @ ..] = bytes.get(at..)?.first_chunk::<6>()? else { return None };
    let [a, b, c, d] = digits.map(|digit| u32::from(DIGITS[usize::from(digit)]));
    (a | b | c | d < 16).then_some(a << 12 | b << 8 | c << 4 | d)
}

/// What each byte is as a digit of sixteen; 16 for what is none.
const DIGITS: [u8; 256] = {
    let (mut digits, mut byte) = ([16; 256], 0);
    while byte < 256 {
        if let Some(digit) = (byte as u8 as char).to_digit(16) {
            digits[byte] = digit as u8;
        }
        byte += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unescaped(json: &str) -> Option<(usize, String)> {
        let mut out = Vec::new();
        let ends = unescape(json.as_bytes(), &mut out);
        let mut plain = vec![0; json.len() + BLOCK];
        assert_eq!(unescape_by(json.as_bytes(), &mut plain, specials), ends);
        #[cfg(target_arch = "x86_64")]
        if let Some(of_avx2) = crate::text::json_string_x86::with_avx2(json.as_bytes(), &mut vec![0; plain.len()]) {
            assert_eq!(of_avx2, ends);
        }
        let (end, written) = ends?;
        assert_eq!(out[..written], plain[..written]);
        Some((end, String::from_utf8(out[..written].to_vec()).unwrap()))
    }

    #[test]
    fn escapes() {
        assert_eq!(unescaped(r#"词\n\t\r\b\f\"\\\/元" x"#), Some((22, "词\n\t\r\u{8}\u{c}\"\\/元".into())));
        assert_eq!(unescaped(r#"\u8bcd\uD83D\uDE00\u0000""#), Some((24, "词😀\0".into())));
        let all = r#"\u0041\u00e9\u07ff\u0800\ud7ff\ue000\uffff\ud800\udc00\uDBFF\uDFFFa\u8BCD""#;
        assert_eq!(unescaped(all).unwrap().1, "Aé\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}a词");
        for bad in [
            "",
            "a",
            "\\",
            "\\\"",
            "\\x\"",
            "a\u{1}\"",
            "\\u12\"",
            "\\ud83d\"",
            "\\ud83d\\u0041\"",
            "\\ude00\"",
            "\\u8bcg\"",
            "\\u8bcd\\ud83d\"",
            "\\u+bcd\"",
        ] {
            assert_eq!(unescaped(bad), None, "{bad:?}");
        }
    }

    /// What strings are made of, and now and then what no string holds.
    fn pieces(most: usize) -> impl Strategy<Value = String> {
        let escapes = vec!["\\n", "\\\\", "\\\\\\\\\\\\", "\\\"", "\\/", "\\t\\r"];
        let numbered = vec!["\\u0041", "\\u8bcd", "\\u8bcd\\u5143", "\\u00E9", "\\ud83d\\ude00"];
        let others =
            vec!["词", "a", "abcdefghijklmnopqrstuvwxyz", " ", "\u{7f}", "\u{80}", "一二三四五六七八九十十一十二"];
        // The first byte of the last is that of `f` with a bit more.
        let wrong = vec!["\\ud83d", "\\ude00", "\\u", "\u{1f}", "\\x", "\\\u{6728}"];
        let piece = prop_oneof![
            40 => prop::sample::select(escapes),
            10 => prop::sample::select(numbered),
            40 => prop::sample::select(others),
            1 => prop::sample::select(wrong),
        ];
        prop::collection::vec(piece, 0..most).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// As serde_json reads a string, wherever its escapes lie in blocks, and whatever stands behind it.
        #[test]
        fn any_string(pieces in pieces(60), behind in pieces(8)) {
            let string = format!("{pieces}\"");
            let wanted: Option<String> = serde_json::from_str(&format!("\"{string}")).ok();
            let found = unescaped(&(string.clone() + &behind));
            prop_assert_eq!(found, wanted.map(|text| (string.len() - 1, text)));
        }
    }
}
