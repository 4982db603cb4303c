//! The strings of JSON, without their escapes.
//!
//! A string is copied in blocks, each of which is looked at as a whole: where text has an escape in every fifty bytes,
//! what costs is not the bytes but the branches that the processor guesses wrong. Blocks of 32 bytes by SSE2 had two thirds
//! of the speed of those of 64 by AVX2.

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
const ESCAPES: [u8; 256] = {
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
        let (character, length) = (kind == b'u').then(|| character(&bytes[*read + 2..]))??;
        *written += character.encode_utf8(&mut out[*written..]).len();
        *read += 2 + length;
    }
    Some(false)
}

/// The character behind `\u`, of two escapes where it is a pair of surrogates, and the bytes it takes.
#[inline(never)]
fn character(bytes: &[u8]) -> Option<(char, usize)> {
    let unit = |bytes: &[u8]| -> Option<u16> {
        let digits = bytes.first_chunk::<4>()?;
        digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)? as u16))
    };
    let first = unit(bytes)?;
    if let Some(character) = char::from_u32(first.into()) {
        return Some((character, 4));
    }
    let second = unit(bytes[4..].strip_prefix(b"\\u")?)?;
    let character = char::decode_utf16([first, second]).next()?.ok()?;
    Some((character, 10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unescaped(json: &str) -> Option<(usize, String)> {
        let mut out = Vec::new();
        let ends = unescape(json.as_bytes(), &mut out);
        let mut plain = vec![0; json.len() + BLOCK];
        assert_eq!(unescape_by(json.as_bytes(), &mut plain, specials), ends);
        let (end, written) = ends?;
        assert_eq!(out[..written], plain[..written]);
        Some((end, String::from_utf8(out[..written].to_vec()).unwrap()))
    }

    #[test]
    fn escapes() {
        assert_eq!(unescaped(r#"词\n\t\r\b\f\"\\\/元" x"#), Some((22, "词\n\t\r\u{8}\u{c}\"\\/元".into())));
        assert_eq!(unescaped(r#"\u8bcd\uD83D\uDE00\u0000""#), Some((24, "词😀\0".into())));
        for bad in ["", "a", "\\", "\\\"", "\\x\"", "a\u{1}\"", "\\u12\"", "\\ud83d\"", "\\ud83d\\u0041\"", "\\ude00\""]
        {
            assert_eq!(unescaped(bad), None, "{bad:?}");
        }
    }

    proptest! {
        /// As serde_json reads a string, wherever its escapes lie in blocks.
        #[test]
        fn any_string(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "词", "a", "abcdefghijklmnopqrstuvwxyz", "\\n", "\\\\", "\\\"", "\\u0041", "\\ud83d\\ude00", "\\ud83d", "\\ude00",
                "\\u", "\u{1f}", " ", "\u{7f}", "\u{80}", "\\/", "\\x", "一二三四五六七八九十十一十二",
            ]), 0..20),
            behind in 0usize..70,
        ) {
            let string = format!("{}\"", pieces.concat());
            let json = string.clone() + &" ".repeat(behind);
            let wanted: Option<String> = serde_json::from_str(&format!("\"{json}")).ok();
            prop_assert_eq!(unescaped(&json), wanted.map(|text| (string.len() - 1, text)));
        }
    }
}
