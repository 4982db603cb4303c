//! The encodings of Chinese text: what may be asked for, and which one a file or a document is in.
//!
//! Line breaks of GB 18030 and Big5 are those of ASCII: no character of theirs holds the byte 0x0A. So lines are cut
//! first and decoded after (`decoding.rs`), which keeps the byte offsets of the file, the bytes of what is rejected, and a
//! file that mixes encodings. UTF-16 is different: such a file becomes UTF-8 on its way in (`utf16.rs`).
//!
//! Detection: a byte order mark; else strict UTF-8, which other text hardly ever is by chance; else UTF-16 by the blocks
//! that its units fall into; else `chardetng`, Firefox's detector, where it says GBK or Big5 (it knows nearly thirty
//! encodings: French in Windows-1252 is not taken for Chinese). A score of our own by the rows of GB 2312 and of Big5 did
//! as well on those two, and knew none of the others.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::DecoderResult;
use serde::{Deserialize, Serialize};

/// The encoding that input is taken to be in, `--encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// UTF-8; anything else is invalid.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// Detected on the head of each file; a document that is not in the file's encoding is detected by itself.
    Auto,
    /// GB 18030, and so GBK and GB 2312; the mapping is that of the WHATWG Encoding Standard, which is that of
    /// GB 18030-2022 and reads the byte 0x80 as `€` besides, as code page 936 does. Six positions (FE51, FE52, FE53,
    /// FE6C, FE76, FE91) and those for users are private code points in both; the step `private-use` takes the six.
    Gb18030,
    /// Big5 with the Hong Kong supplement, as of the WHATWG Encoding Standard.
    Big5,
    /// UTF-16, big or little endian as the byte order mark says, or as the text looks without one.
    #[serde(rename = "utf-16")]
    Utf16,
}

/// The encoding that a document was in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FoundEncoding {
    /// UTF-8.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// GB 18030, or GBK or GB 2312.
    Gb18030,
    /// Big5.
    Big5,
    /// UTF-16.
    #[serde(rename = "utf-16")]
    Utf16,
}

impl FoundEncoding {
    /// Its name, as in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Gb18030 => "gb18030",
            Self::Big5 => "big5",
            Self::Utf16 => "utf-16",
        }
    }
}

/// Bytes at the head of a file or document that are looked at.
pub(super) const HEAD: usize = 1 << 16;
/// Bytes of the longest byte order mark, that of GB 18030.
pub(super) const LONGEST_MARK: usize = 4;

/// What the head of a file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileEncoding {
    pub(super) found: FoundEncoding,
    /// UTF-16 with the high byte first.
    pub(super) big_endian: bool,
    /// Length of the byte order mark.
    pub(super) mark: usize,
}

impl FileEncoding {
    pub(super) fn is_utf16(self) -> bool {
        self.found == FoundEncoding::Utf16
    }
}

/// The encoding of a file that begins with `head`, which is the whole file or [`HEAD`] bytes of it.
pub(super) fn encoding_of_file(head: &[u8], asked: Encoding) -> FileEncoding {
    let of = |found, big_endian, mark| FileEncoding { found, big_endian, mark };
    let mark = |of_mark: &[u8]| if head.starts_with(of_mark) { of_mark.len() } else { 0 };
    let (utf8, gb18030, little, big) =
        (mark(b"\xEF\xBB\xBF"), mark(b"\x84\x31\x95\x33"), mark(b"\xFF\xFE"), mark(b"\xFE\xFF"));
    match asked {
        Encoding::Utf8 => of(FoundEncoding::Utf8, false, utf8),
        // Who says the encoding may say so of a file that has the mark of another; it is text then.
        Encoding::Gb18030 => of(FoundEncoding::Gb18030, false, gb18030),
        Encoding::Big5 => of(FoundEncoding::Big5, false, 0),
        Encoding::Utf16 => of(FoundEncoding::Utf16, big > 0 || little == 0 && is_big_endian(head), big.max(little)),
        Encoding::Auto if utf8 > 0 => of(FoundEncoding::Utf8, false, utf8),
        Encoding::Auto if gb18030 > 0 => of(FoundEncoding::Gb18030, false, gb18030),
        Encoding::Auto if little.max(big) > 0 => of(FoundEncoding::Utf16, big > 0, 2),
        Encoding::Auto if is_utf8(head) && !head.contains(&0) => of(FoundEncoding::Utf8, false, 0),
        Encoding::Auto => match looks_like_utf16(head) {
            Some(big_endian) => of(FoundEncoding::Utf16, big_endian, 0),
            None => of(detect(head).unwrap_or_default(), false, 0),
        },
    }
}

/// One invalid byte of so many is damage; more are another encoding.
const DAMAGE: usize = 16;

/// GB 18030 or Big5, where `chardetng` says so. It rules an encoding out by a single invalid byte; so where it finds
/// neither, it is asked again without the few bytes that are invalid in each.
pub(super) fn detect(bytes: &[u8]) -> Option<FoundEncoding> {
    let head = &bytes[..bytes.len().min(HEAD)];
    guess(head, head.len() < HEAD).or_else(|| {
        let both = [(encoding_rs::GB18030, FoundEncoding::Gb18030), (encoding_rs::BIG5, FoundEncoding::Big5)];
        let is_damaged = |(encoding, found): &(&'static encoding_rs::Encoding, FoundEncoding)| {
            let kept = without_invalid(head, encoding);
            let lost = head.len() - kept.len();
            lost > 0 && lost * DAMAGE <= head.len() && guess(&kept, true) == Some(*found)
        };
        both.into_iter().find(is_damaged).map(|(_, found)| found)
    })
}

/// The bytes that stand for characters of `encoding`.
fn without_invalid(bytes: &[u8], encoding: &'static encoding_rs::Encoding) -> Vec<u8> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let (mut kept, mut read, mut from) = (Vec::with_capacity(bytes.len()), 0, 0);
    let mut text = String::with_capacity(1 << 12);
    loop {
        let (result, more) = decoder.decode_to_string_without_replacement(&bytes[read..], &mut text, true);
        read += more;
        match result {
            DecoderResult::InputEmpty => {
                kept.extend_from_slice(&bytes[from..]);
                return kept;
            }
            DecoderResult::OutputFull => text.clear(),
            DecoderResult::Malformed(length, behind) => {
                let end = read - usize::from(behind);
                kept.extend_from_slice(&bytes[from..end - usize::from(length)]);
                from = end;
            }
        }
    }
}

fn guess(head: &[u8], last: bool) -> Option<FoundEncoding> {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(head, last);
    let guess = detector.guess(None, Utf8Detection::Deny);
    if guess == encoding_rs::GBK || guess == encoding_rs::GB18030 {
        Some(FoundEncoding::Gb18030)
    } else if guess == encoding_rs::BIG5 {
        Some(FoundEncoding::Big5)
    } else {
        None
    }
}

/// Whether `head` is UTF-8, the last character perhaps cut off.
fn is_utf8(head: &[u8]) -> bool {
    std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none() && head.len() >= HEAD, |_| true)
}

/// Units of UTF-16 that make a text probable: the share of common ones, and how many there must be.
const COMMON: f64 = 0.9;
const FEWEST: usize = 4;

/// Whether `head` is UTF-16 without a mark, and which: big endian is true.
fn looks_like_utf16(head: &[u8]) -> Option<bool> {
    let even = head.len().is_multiple_of(2);
    let (little, big) = (common_units(head, u16::from_le_bytes), common_units(head, u16::from_be_bytes));
    let units = head.len() / 2;
    let enough = even && units >= FEWEST && little.max(big) as f64 >= COMMON * units as f64;
    (enough && little != big).then_some(big > little)
}

fn is_big_endian(head: &[u8]) -> bool {
    common_units(head, u16::from_be_bytes) > common_units(head, u16::from_le_bytes)
}

/// Units that stand for ASCII, Chinese punctuation, ideographs or forms of full width.
fn common_units(head: &[u8], unit: fn([u8; 2]) -> u16) -> usize {
    let is_common = |pair: &&[u8]| {
        let [first, second] = **pair else { return false };
        let unit = unit([first, second]);
        // A letter of ASCII, its bytes exchanged, is an ideograph: U+6100 and the like, which are rare but for 一.
        if unit & 0xFF == 0 && unit != 0x4E00 {
            return false;
        }
        matches!(unit, 0x09 | 0x0A | 0x0D | 0x20..=0x7E | 0x2010..=0x2026 | 0x3000..=0x301F | 0x4E00..=0x9FFF | 0xFF00..=0xFF60)
    };
    head.chunks_exact(2).filter(is_common).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIMPLIFIED: &str = "词元是语言模型的单位。北京今天天气很好，我们去公园散步。";
    const TRADITIONAL: &str = "詞元是語言模型的單位。臺北今天天氣很好，我們去公園散步。";

    fn auto(head: &[u8]) -> (FoundEncoding, bool, usize) {
        let FileEncoding { found, big_endian, mark } = encoding_of_file(head, Encoding::Auto);
        (found, big_endian, mark)
    }

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn marks() {
        assert_eq!(auto("\u{FEFF}词".as_bytes()), (FoundEncoding::Utf8, false, 3));
        assert_eq!(auto(&utf16("\u{FEFF}词", u16::to_le_bytes)), (FoundEncoding::Utf16, false, 2));
        assert_eq!(auto(&utf16("\u{FEFF}词", u16::to_be_bytes)), (FoundEncoding::Utf16, true, 2));
        assert_eq!(auto(b"\x84\x31\x95\x33\xB4\xCA"), (FoundEncoding::Gb18030, false, 4));
    }

    #[test]
    fn real_sentences() {
        for text in [SIMPLIFIED, TRADITIONAL] {
            assert_eq!(auto(text.as_bytes()), (FoundEncoding::Utf8, false, 0));
            assert_eq!(auto(&encoding_rs::GB18030.encode(text).0), (FoundEncoding::Gb18030, false, 0), "{text}");
            assert_eq!(auto(&utf16(text, u16::to_le_bytes)), (FoundEncoding::Utf16, false, 0));
            assert_eq!(auto(&utf16(text, u16::to_be_bytes)), (FoundEncoding::Utf16, true, 0));
        }
        assert_eq!(auto(&encoding_rs::BIG5.encode(TRADITIONAL).0), (FoundEncoding::Big5, false, 0));
        for text in ["Plain English, line\nby line.\n", ""] {
            assert_eq!(auto(text.as_bytes()), (FoundEncoding::Utf8, false, 0));
        }
        assert_eq!(auto(&utf16("Plain English", u16::to_le_bytes)), (FoundEncoding::Utf16, false, 0));
    }

    /// A few bytes that are invalid do not make another encoding of a text; many do.
    #[test]
    fn damaged_text() {
        let gb = encoding_rs::GB18030.encode(SIMPLIFIED).0;
        let big5 = encoding_rs::BIG5.encode(TRADITIONAL).0;
        for (bytes, found) in [(&gb, FoundEncoding::Gb18030), (&big5, FoundEncoding::Big5)] {
            for at in (0..=bytes.len()).step_by(2) {
                let mut damaged = bytes.to_vec();
                damaged.insert(at, 0xFF);
                assert_eq!(
                    without_invalid(
                        &damaged,
                        if found == FoundEncoding::Big5 { encoding_rs::BIG5 } else { encoding_rs::GB18030 }
                    ),
                    **bytes
                );
                assert_eq!(auto(&damaged), (found, false, 0), "{at}");
            }
            let much: Vec<u8> = bytes.chunks(4).flat_map(|four| [four, &[0xFF]].concat()).collect();
            assert_eq!(auto(&much), (FoundEncoding::Utf8, false, 0));
        }
        // A head that ends in the middle of a character.
        let long: Vec<u8> = [b"x".to_vec(), gb.repeat(HEAD / gb.len() + 1)].concat();
        assert_eq!(auto(&long[..HEAD]), (FoundEncoding::Gb18030, false, 0));
    }

    /// Text of other languages in one byte a character is not taken for Chinese.
    #[test]
    fn other_encodings_are_left() {
        let french = "Ça va très bien à l’été, où naît l’œuvre déjà vue; façade et cœur brisés.";
        let russian = "Токен является единицей языковой модели, и это хорошо известно.";
        for (encoding, text) in [(encoding_rs::WINDOWS_1252, french), (encoding_rs::WINDOWS_1251, russian)] {
            assert_eq!(auto(&encoding.encode(text).0), (FoundEncoding::Utf8, false, 0), "{text}");
        }
        let random: Vec<u8> = (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert_ne!(auto(&random).0, FoundEncoding::Utf16);
    }

    #[test]
    fn what_was_asked_for_is_taken() {
        let of = |asked, head: &[u8]| encoding_of_file(head, asked);
        assert_eq!(of(Encoding::Utf8, b"\xFF\xFEa\0").found, FoundEncoding::Utf8);
        assert_eq!(of(Encoding::Big5, b"abc").found, FoundEncoding::Big5);
        assert_eq!((of(Encoding::Utf16, b"\0a").big_endian, of(Encoding::Utf16, b"a\0").big_endian), (true, false));
        let mark = of(Encoding::Gb18030, b"\x84\x31\x95\x33").mark;
        assert_eq!((mark, of(Encoding::Gb18030, "\u{FEFF}".as_bytes()).mark), (4, 0));
    }

    /// A character that the end of the head cuts is no fault; one that the end of the file cuts is.
    #[test]
    fn cut_characters() {
        let long = "词".repeat(HEAD);
        assert!(is_utf8(&long.as_bytes()[..HEAD]) && !HEAD.is_multiple_of(3));
        assert!(!is_utf8(&"词".as_bytes()[..2]));
    }
}
