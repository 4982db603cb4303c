//! GPT-2's byte-level alphabet: a printable character for each byte, so that tokens can stand in JSON.
//!
//! Source: `bytes_to_unicode` in OpenAI's GPT-2 `encoder.py`. Printable Latin-1 bytes stand for themselves, the other
//! 68 for U+0100 and up.

/// Whether a byte stands for itself.
const fn is_printable(byte: u8) -> bool {
    matches!(byte, 33..=126 | 161..=172 | 174..=255)
}

const TO_CHAR: [char; 256] = {
    let mut table = ['\0'; 256];
    let mut byte = 0;
    let mut next = 0x100u32;
    while byte < 256 {
        if is_printable(byte as u8) {
            table[byte] = byte as u8 as char;
        } else {
            table[byte] = match char::from_u32(next) {
                Some(c) => c,
                None => unreachable!(),
            };
            next += 1;
        }
        byte += 1;
    }
    table
};

/// The byte that each of the first characters stands for, or [`NO_BYTE`].
const TO_BYTE: [u16; 0x144] = {
    let mut table = [NO_BYTE; 0x144];
    let mut byte = 0;
    while byte < 256 {
        table[TO_CHAR[byte] as usize] = byte as u16;
        byte += 1;
    }
    table
};
const NO_BYTE: u16 = 256;

/// The character that stands for `byte`.
///
/// ```
/// use ciyuan::vocab::char_of_byte;
/// assert_eq!((char_of_byte(b'a'), char_of_byte(b' '), char_of_byte(b'\n')), ('a', 'Ġ', 'Ċ'));
/// ```
#[must_use]
pub fn char_of_byte(byte: u8) -> char {
    TO_CHAR[usize::from(byte)]
}

/// The byte that `c` stands for, if any.
#[must_use]
pub fn byte_of_char(c: char) -> Option<u8> {
    let byte = *TO_BYTE.get(c as usize)?;
    u8::try_from(byte).ok()
}

/// The bytes in the order of their characters: the order of ids in GPT-2's vocabulary, and of HF's `BpeTrainer`, whose
/// ties between merges it decides.
#[must_use]
pub fn gpt2_byte_order() -> [u8; 256] {
    let mut bytes: [u8; 256] = std::array::from_fn(|byte| byte as u8);
    bytes.sort_by_key(|&byte| char_of_byte(byte));
    bytes
}

/// The byte-level form of `bytes`.
pub(super) fn to_chars(bytes: &[u8]) -> String {
    let mut form = String::new();
    push_chars(bytes, &mut form);
    form
}

/// Appends the byte-level form of `bytes`.
pub(super) fn push_chars(bytes: &[u8], form: &mut String) {
    form.extend(bytes.iter().map(|&byte| char_of_byte(byte)));
}

/// Appends the bytes of a byte-level form, or gives the character in it that stands for none.
pub(super) fn push_bytes(form: &str, bytes: &mut Vec<u8>) -> Result<(), char> {
    for c in form.chars() {
        bytes.push(byte_of_char(c).ok_or(c)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_one() {
        for byte in 0..=255 {
            assert_eq!(byte_of_char(char_of_byte(byte)), Some(byte));
        }
        for c in ['中', '\u{AD}', '\n', '\u{144}', '\u{7F}'] {
            assert_eq!(byte_of_char(c), None, "{c:?}");
        }
        assert_eq!(byte_of_char('\u{143}'), Some(0xAD));
    }

    #[test]
    fn order_of_gpt2() {
        let order = gpt2_byte_order();
        assert_eq!(
            (order[0], order[93], order[94], order[187], order[188], order[255]),
            (b'!', b'~', 0xA1, 0xFF, 0, 0xAD)
        );
    }
}
