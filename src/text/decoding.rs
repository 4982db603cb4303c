//! From the bytes of a record to its text.

use std::io::{BufRead, Read};

use encoding_rs::DecoderResult;

use super::encoding::{Encoding, FoundEncoding, HEAD, LONGEST_MARK, detect, encoding_of_file};
use super::utf8::{self, Utf8Policy};
use super::utf16::Utf16Reader;

/// How the records of a file are decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decoding {
    /// What the bytes of the file are in, as they come from the reader: UTF-16 is UTF-8 there already.
    pub(super) file: FoundEncoding,
    /// Whether a record that is in another encoding is detected by itself.
    pub(super) each: bool,
}

/// A text, and what it was.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) text: String,
    /// Bytes that were invalid, and were replaced or skipped.
    pub(super) invalid: u64,
    pub(super) encoding: FoundEncoding,
}

/// The text of a file without its byte order mark, whose length is told, and how its records are decoded.
pub(super) fn decoded(
    mut reader: Box<dyn BufRead + Send>,
    encoding: Encoding,
) -> std::io::Result<(Box<dyn BufRead + Send>, usize, Decoding)> {
    let mut head = Vec::new();
    // A pipe may give less than is there at first. Who says the encoding waits for no more than a mark.
    let wanted = if matches!(encoding, Encoding::Auto | Encoding::Utf16) { HEAD } else { LONGEST_MARK };
    (&mut reader).take(wanted as u64).read_to_end(&mut head)?;
    let file = encoding_of_file(&head, encoding);
    let decoding = Decoding { file: file.found, each: encoding == Encoding::Auto };
    let rest = std::io::Cursor::new(head.split_off(file.mark)).chain(reader);
    let reader: Box<dyn BufRead + Send> = match file.found {
        FoundEncoding::Utf16 => Box::new(Utf16Reader::new(rest, file.big_endian)),
        _ => Box::new(rest),
    };
    Ok((reader, file.mark, decoding))
}

impl Decoding {
    /// That of values which no file's head tells of: those of a column.
    pub(super) fn of_values(asked: Encoding) -> Self {
        let file = match asked {
            Encoding::Gb18030 => FoundEncoding::Gb18030,
            Encoding::Big5 => FoundEncoding::Big5,
            Encoding::Utf8 | Encoding::Auto | Encoding::Utf16 => FoundEncoding::Utf8,
        };
        Self { file, each: asked == Encoding::Auto }
    }

    /// The text of a record; under [`Utf8Policy::Reject`] the offset of the first invalid byte is the error.
    pub(super) fn decode(self, bytes: Vec<u8>, policy: Utf8Policy) -> Result<Decoded, u64> {
        let encoding = self.encoding_of(&bytes);
        let text_of = |coding| of_bytes(&bytes, coding, policy);
        let (text, invalid) = match encoding {
            FoundEncoding::Gb18030 => text_of(encoding_rs::GB18030)?,
            FoundEncoding::Big5 => text_of(encoding_rs::BIG5)?,
            FoundEncoding::Utf8 | FoundEncoding::Utf16 => utf8::decode(bytes, policy)?,
        };
        Ok(Decoded { text, invalid, encoding })
    }

    fn encoding_of(self, bytes: &[u8]) -> FoundEncoding {
        if !self.each {
            return self.file;
        }
        match (self.file, utf8::text(bytes)) {
            (FoundEncoding::Utf8, Some(_)) | (FoundEncoding::Utf16, _) => self.file,
            (FoundEncoding::Utf8, None) => detect(bytes).unwrap_or(self.file),
            // Two bytes of GBK may look like a character of UTF-8; three in a row that do are Chinese in UTF-8.
            (_, Some(text)) if text.chars().any(|c| c.len_utf8() > 2) => FoundEncoding::Utf8,
            _ => self.file,
        }
    }
}

/// The text of `bytes`, and how many were invalid.
fn of_bytes(bytes: &[u8], encoding: &'static encoding_rs::Encoding, policy: Utf8Policy) -> Result<(String, u64), u64> {
    if let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(bytes) {
        return Ok((text.into_owned(), 0));
    }
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let (mut text, mut read, mut invalid) = (String::with_capacity(bytes.len()), 0, 0);
    loop {
        let (result, more) = decoder.decode_to_string_without_replacement(&bytes[read..], &mut text, true);
        read += more;
        match result {
            DecoderResult::InputEmpty => return Ok((text, invalid)),
            DecoderResult::OutputFull => text.reserve((bytes.len() - read).max(16)),
            DecoderResult::Malformed(length, behind) => {
                let (length, behind) = (u64::from(length), usize::from(behind));
                match policy {
                    Utf8Policy::Reject => return Err((read - behind) as u64 - length),
                    Utf8Policy::Replace => text.push(char::REPLACEMENT_CHARACTER),
                    Utf8Policy::Skip => {}
                }
                invalid += length;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GB: Decoding = Decoding { file: FoundEncoding::Gb18030, each: false };

    fn gb(bytes: &[u8], policy: Utf8Policy) -> Result<(String, u64), u64> {
        GB.decode(bytes.to_vec(), policy).map(|decoded| (decoded.text, decoded.invalid))
    }

    /// Code points where GB 18030-2022 differs from the edition of 2005, and where the WHATWG differs from both.
    #[test]
    fn the_mapping_of_2022() {
        for (bytes, text) in [
            (&b"\xA8\xBC"[..], "\u{1E3F}"),
            (b"\xA6\xD9\xA6\xDF\xA6\xEC\xA6\xED\xA6\xF3", "\u{FE10}\u{FE16}\u{FE17}\u{FE18}\u{FE19}"),
            (b"\xFE\x59\xFE\x61\xFE\x66\xFE\x67\xFE\x6D\xFE\x7E\xFE\x90\xFE\xA0", "龴龵龶龷龸龹龺龻"),
            (b"\x95\x32\x82\x36", "\u{20000}"),
            (b"\x80", "€"),
            (b"\xAA\xA1", "\u{E000}"),
        ] {
            assert_eq!(gb(bytes, Utf8Policy::Reject), Ok((text.to_owned(), 0)));
        }
    }

    #[test]
    fn policies() {
        let bytes = b"\xB4\xCA\xFF\xD4\xAA\x81";
        assert_eq!(gb(bytes, Utf8Policy::Reject), Err(2));
        assert_eq!(gb(bytes, Utf8Policy::Replace), Ok(("词\u{FFFD}元\u{FFFD}".to_owned(), 2)));
        assert_eq!(gb(bytes, Utf8Policy::Skip), Ok(("词元".to_owned(), 2)));
        // The lead byte is at fault; the line feed behind it stands.
        assert_eq!(gb(b"ab\x81\nc", Utf8Policy::Replace), Ok(("ab\u{FFFD}\nc".to_owned(), 1)));
        assert_eq!(gb(b"ab\x81\nc", Utf8Policy::Reject), Err(2));
    }

    #[test]
    fn documents_by_themselves() {
        let text = "词元是语言模型的单位，模型学习它们。";
        let in_gb = encoding_rs::GB18030.encode(text).0.into_owned();
        let traditional = "詞元是語言模型的單位，模型學習它們。";
        let in_big5 = encoding_rs::BIG5.encode(traditional).0.into_owned();
        let auto = |file| Decoding { file, each: true };
        let decode = |decoding: Decoding, bytes: &[u8]| {
            decoding.decode(bytes.to_vec(), Utf8Policy::Reject).map(|decoded| (decoded.text, decoded.encoding))
        };
        let utf8 = auto(FoundEncoding::Utf8);
        assert_eq!(decode(utf8, &in_gb), Ok((text.to_owned(), FoundEncoding::Gb18030)));
        assert_eq!(decode(utf8, &in_big5), Ok((traditional.to_owned(), FoundEncoding::Big5)));
        assert_eq!(decode(utf8, b"caf\xE9 noir"), Err(3));
        let of_gb = auto(FoundEncoding::Gb18030);
        assert_eq!(decode(of_gb, text.as_bytes()), Ok((text.to_owned(), FoundEncoding::Utf8)));
        assert_eq!(decode(of_gb, &in_gb), Ok((text.to_owned(), FoundEncoding::Gb18030)));
        // `模` in GB 18030 is a letter in UTF-8.
        assert_eq!(decode(of_gb, b"\xC4\xA3"), Ok(("模".to_owned(), FoundEncoding::Gb18030)));
        // Not asked for, nothing is detected.
        assert_eq!(decode(Decoding::of_values(Encoding::Utf8), &in_gb), Err(0));
        assert_eq!(decode(Decoding::of_values(Encoding::Gb18030), &in_gb).unwrap().0, text);
    }

    proptest! {
        /// Lines can be cut before they are decoded.
        #[test]
        fn lines_of_decoded_text_are_decoded_lines(text in "[a词詞\n，０\u{20000}€]{0,30}", big5 in any::<bool>()) {
            let encoding = if big5 { encoding_rs::BIG5 } else { encoding_rs::GB18030 };
            let text: String = text.chars().filter(|c| !encoding.encode(&c.to_string()).2).collect();
            let bytes = encoding.encode(&text).0;
            let decode = |line: &[u8]| of_bytes(line, encoding, Utf8Policy::Reject).unwrap().0;
            let lines: Vec<String> = bytes.split(|byte| *byte == b'\n').map(decode).collect();
            prop_assert_eq!(lines.join("\n"), text);
        }

        /// As `encoding_rs` replaces; skipping is replacing without the replacements; nothing is lost in the counts.
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..40), big5 in any::<bool>()) {
            let encoding = if big5 { encoding_rs::BIG5 } else { encoding_rs::GB18030 };
            let (replaced, invalid) = of_bytes(&bytes, encoding, Utf8Policy::Replace).unwrap();
            let (expected, any_invalid) = encoding.decode_without_bom_handling(&bytes);
            prop_assert_eq!(&replaced, &expected);
            prop_assert_eq!(invalid > 0, any_invalid);
            let (skipped, left_out) = of_bytes(&bytes, encoding, Utf8Policy::Skip).unwrap();
            prop_assert_eq!(skipped, replaced.replace('\u{FFFD}', ""));
            prop_assert_eq!(left_out, invalid);
            match of_bytes(&bytes, encoding, Utf8Policy::Reject) {
                Ok((text, none)) => prop_assert_eq!((text, none, invalid), (replaced, 0, 0)),
                Err(at) => {
                    let before = of_bytes(&bytes[..at as usize], encoding, Utf8Policy::Reject).unwrap().0;
                    let rest = replaced.strip_prefix(&before);
                    prop_assert!(rest.is_some_and(|rest| rest.starts_with(char::REPLACEMENT_CHARACTER)));
                }
            }
        }
    }
}
