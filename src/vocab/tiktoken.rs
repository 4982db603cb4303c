//! `.tiktoken` files: a line a token, its bytes in base64 and its rank, which is its id.
//!
//! Reference: `load_tiktoken_bpe` in `tiktoken/load.py`. The file holds neither the pattern nor special tokens.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rayon::prelude::*;

use super::recovery::recover_merges;
use super::tokens::Place;
use super::{AddedToken, MAX_ID, MAX_TOKEN_BYTES, Merges, TokenId, TokenizerSpec, Vocab};
use crate::error::{Error, Result, TokenizerFault};
use crate::segment::HanEdges;

impl TokenizerSpec {
    /// The tokenizer of a `.tiktoken` file with its pattern (a regular expression) and special tokens.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenizer`] for a line that cannot be read, and for a vocabulary that does not hold together.
    pub fn from_tiktoken(file: &[u8], pattern: &str, special: Vec<(TokenId, String)>) -> Result<Self> {
        let (bytes, places) = read_tokens(file)?;
        let vocab = Vocab::from_flat(bytes, places)?;
        let merges = Merges::recovered(&vocab)?;
        let special = special.into_iter().map(|(id, name)| AddedToken::special(id, name)).collect();
        Self::of_merges(pattern.to_owned(), HanEdges::None, vocab, merges, special, true)
    }

    /// The `.tiktoken` file of this tokenizer.
    ///
    /// # Errors
    ///
    /// [`TokenizerFault::Inexpressible`] when ranks of tokens cannot say what the merges say: when a later merge makes
    /// a lower id, or the merges do not reach a token, or Han runs are cut when encoding; or when it has added tokens
    /// beside plain special ones.
    pub fn to_tiktoken(&self) -> Result<String> {
        const FORMAT: &str = ".tiktoken";
        self.expressible_elsewhere(FORMAT)?;
        if self.added.iter().any(|token| !token.is_plain()) {
            let why = "it has added tokens beside its special ones, which this format cannot say";
            return Err(Error::Tokenizer(TokenizerFault::Inexpressible { format: FORMAT, why }));
        }
        let mut recovered = recover_merges(&self.vocab)?;
        let mut own = self.merges.as_slice().to_vec();
        if own.windows(2).any(|pair| pair[0].result >= pair[1].result) {
            let why = "its merges are not in the order of the ids they make";
            return Err(Error::Tokenizer(TokenizerFault::Inexpressible { format: FORMAT, why }));
        }
        recovered.sort_by_key(|merge| merge.result);
        own.sort_by_key(|merge| merge.result);
        let all_reached = own.len() + 256 == self.vocab.len();
        if recovered != own || !(all_reached || self.whole_pieces) {
            let why = "some tokens are not what their own bytes encode to";
            return Err(Error::Tokenizer(TokenizerFault::Inexpressible { format: FORMAT, why }));
        }
        let mut file = String::new();
        for (id, bytes) in self.vocab.iter() {
            // Writing to a string cannot fail.
            let _ = writeln!(file, "{} {id}", STANDARD.encode(bytes));
        }
        Ok(file)
    }
}

/// Bytes of a file that a thread reads at a time.
const PART: usize = 1 << 18;

/// The bytes of all tokens, one behind the other, and where each stands.
fn read_tokens(file: &[u8]) -> Result<(Vec<u8>, Vec<Place>)> {
    let parts: Vec<Result<(Vec<u8>, Vec<Place>)>> = parts_of_lines(file).into_par_iter().map(read_part).collect();
    let (mut bytes, mut places) = (Vec::with_capacity(file.len() / 2), Vec::with_capacity(file.len() / 16));
    for part in parts {
        // The first fault of a file is found again from its beginning, where lines are counted.
        let Ok((part, places_there)) = part else { return read_part(file) };
        let before = checked_place(bytes.len())?;
        bytes.extend_from_slice(&part);
        checked_place(bytes.len())?;
        places.extend(places_there.into_iter().map(|(id, start, end)| (id, before + start, before + end)));
    }
    Ok((bytes, places))
}

/// The file in parts that end with a line.
fn parts_of_lines(mut file: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while !file.is_empty() {
        let from = PART.min(file.len());
        let end = file[from..].iter().position(|&byte| byte == b'\n').map_or(file.len(), |at| from + at + 1);
        let (part, rest) = file.split_at(end);
        parts.push(part);
        file = rest;
    }
    parts
}

/// As [`read_tokens`], line by line.
fn read_part(part: &[u8]) -> Result<(Vec<u8>, Vec<Place>)> {
    // Two thirds of a file are base64, which is longer than what it says.
    let (mut bytes, mut places) = (Vec::with_capacity(part.len() / 2), Vec::with_capacity(part.len() / 16));
    let (mut at, mut number) = (0, 1);
    while at < part.len() {
        let start = bytes.len();
        let (id, length) = match plain_line(&part[at..], &mut bytes) {
            Some((id, length)) => (Some(id), length),
            None => {
                bytes.truncate(start);
                let rest = &part[at..];
                let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
                let is_blank = rest[..end].iter().all(u8::is_ascii_whitespace);
                (if is_blank { None } else { Some(parse_line(&rest[..end], number, &mut bytes)?) }, end + 1)
            }
        };
        if let Some(id) = id {
            places.push((id, checked_place(start)?, checked_place(bytes.len())?));
        }
        (at, number) = (at + length, number + 1);
    }
    Ok((bytes, places))
}

/// The digit of 64 that each byte is, or 255.
const DIGITS: [u8; 256] = {
    let (mut digits, mut value) = ([255; 256], 0);
    while value < 64 {
        digits[b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// Reads the line at the head of `part` as [`parse_line`] does, if it is as these files are written: base64, a space,
/// digits, a line feed. Gives its id and its length. Any other line is `None`, of which some bytes may have been appended.
/// There are 200,000 short lines in a file: looking for words and calling a decoder for each costs more than what they hold.
fn plain_line(part: &[u8], bytes: &mut Vec<u8>) -> Option<(TokenId, usize)> {
    let (before, mut at) = (bytes.len(), 0);
    while let Some(group) = part[at..].first_chunk::<4>() {
        let [a, b, c, d] = group.map(|byte| DIGITS[usize::from(byte)]);
        let three = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d];
        if a | b | c | d < 64 {
            bytes.extend_from_slice(&three);
            at += 4;
            continue;
        }
        // The last group has one byte or two, and no bits behind them.
        let count = match group {
            [_, _, b'=', b'='] if a | b < 64 && b & 15 == 0 => 1,
            [_, _, _, b'='] if a | b | c < 64 && c & 3 == 0 => 2,
            _ => break,
        };
        bytes.extend_from_slice(&three[..count]);
        at += 4;
        break;
    }
    let digits = part[at..].strip_prefix(b" ")?;
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let id =
        digits[..count].iter().try_fold(0u32, |id, digit| id.checked_mul(10)?.checked_add(u32::from(digit - b'0')))?;
    let is_line = count > 0 && matches!(digits.get(count), None | Some(b'\n'));
    let is_token = (1..=MAX_TOKEN_BYTES).contains(&(bytes.len() - before)) && id <= MAX_ID;
    (is_line && is_token).then_some((id, at + count + 2))
}

/// Reads a line, appends the bytes of its token and gives its id.
fn parse_line(line: &[u8], number: usize, bytes: &mut Vec<u8>) -> Result<TokenId> {
    let fault = |reason| Error::Tokenizer(TokenizerFault::TiktokenLine { line: number, reason });
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (Some(token), Some(rank), None) = (words.next(), words.next(), words.next()) else {
        return Err(fault("it must hold two words"));
    };
    let before = bytes.len();
    STANDARD.decode_vec(token, bytes).map_err(|_| fault(not_base64(token)))?;
    if bytes.len() == before || bytes.len() > before + MAX_TOKEN_BYTES {
        return Err(fault("the token is empty, or longer than 1,024 bytes"));
    }
    let rank = std::str::from_utf8(rank).ok().and_then(|rank| rank.parse::<u64>().ok());
    let rank = rank.ok_or_else(|| fault("the second word is not a number"))?;
    match TokenId::try_from(rank) {
        Ok(id) if id <= MAX_ID => Ok(id),
        _ => Err(Error::Tokenizer(TokenizerFault::IdTooLarge { id: rank, max: MAX_ID })),
    }
}

/// What is said of a word that is no base64: files saved by some editors begin with a mark that is not seen.
fn not_base64(word: &[u8]) -> &'static str {
    match word {
        [0xEF, 0xBB, 0xBF, ..] => "the file begins with a byte order mark; save it as UTF-8 without one",
        _ => "the first word is not base64",
    }
}

/// Places in the bytes of all tokens are numbers of 32 bits.
fn checked_place(place: usize) -> Result<u32> {
    const WHAT: &str = "the size of all tokens of a .tiktoken file";
    u32::try_from(place).map_err(|_| Error::Limit { what: WHAT, value: place as u64, max: u64::from(u32::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bytes, and tokens of some parts' worth of lines.
    fn lines() -> Vec<String> {
        let bytes = (0..=255u8).map(|byte| vec![byte]);
        let tokens = bytes.chain((0..40_000).map(|n| format!("{n:05}").into_bytes()));
        tokens.zip(0..).map(|(token, id)| format!("{} {id}\n", STANDARD.encode(token))).collect()
    }

    #[test]
    fn parts_are_as_the_whole() {
        let file = lines().concat();
        assert!(parts_of_lines(file.as_bytes()).len() > 2);
        assert_eq!(read_tokens(file.as_bytes()).unwrap(), read_part(file.as_bytes()).unwrap());
        let without_end = file.trim_end().as_bytes();
        assert_eq!(parts_of_lines(without_end).concat(), without_end);
    }

    /// The oracle of [`read_part`].
    fn by_words(part: &[u8]) -> Result<(Vec<u8>, Vec<Place>)> {
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        for (at, line) in part.split(|&byte| byte == b'\n').enumerate() {
            if !line.iter().all(u8::is_ascii_whitespace) {
                let start = bytes.len() as u32;
                let id = parse_line(line, at + 1, &mut bytes)?;
                places.push((id, start, bytes.len() as u32));
            }
        }
        Ok((bytes, places))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn plain_lines_are_read_as_any(
            lines in prop::collection::vec(
                (
                    prop_oneof![
                        4 => prop::collection::vec(any::<u8>(), 0..9).prop_map(|token| STANDARD.encode(token)),
                        1 => "[A-Zaz09+/ -]{0,9}={0,3}",
                        1 => Just(STANDARD.encode([b'a'; MAX_TOKEN_BYTES + 1])),
                    ],
                    prop_oneof![8 => Just(" "), 1 => Just("  "), 1 => Just("\t"), 1 => Just("")],
                    prop_oneof![8 => "[0-9]{1,6}", 1 => "[0-9]{0,12}", 1 => "[+-]?[0-9]{1,3}[a ]?"],
                    prop_oneof![8 => Just("\n"), 1 => Just("\r\n"), 1 => Just("\n\n"), 1 => Just("")],
                ),
                0..4,
            ),
        ) {
            let file: String = lines.into_iter().map(|(token, space, id, end)| [&token, space, &id, end].concat()).collect();
            let (fast, plain) = (read_part(file.as_bytes()), by_words(file.as_bytes()));
            match (fast, plain) {
                (Ok(fast), Ok(plain)) => prop_assert_eq!(fast, plain),
                (Err(fast), Err(plain)) => prop_assert_eq!(fast.to_string(), plain.to_string()),
                (fast, plain) => prop_assert!(false, "{:?}: {:?} {:?}", file, fast, plain),
            }
        }
    }

    #[test]
    fn faults_name_their_line() {
        for at in [0, 300, 20_000, 40_255] {
            let mut lines = lines();
            lines[at] = "!! 7\n".to_owned();
            let error = read_tokens(lines.concat().as_bytes()).unwrap_err();
            let line = at + 1;
            assert!(
                matches!(&error, Error::Tokenizer(TokenizerFault::TiktokenLine { line: found, .. }) if *found == line),
                "{error}"
            );
        }
    }
}
