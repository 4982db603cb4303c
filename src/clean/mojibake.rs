//! Text that was decoded wrongly once: told, not mended.
//!
//! Three ways it comes about, each with its trace. (1) Bytes that were no text became U+FFFD, or U+FFFD itself went
//! through GBK: `锟斤拷` is what two of them become, `烫烫` and `屯屯` what memory of a compiler's filling reads as.
//! (2) UTF-8 was read as GBK: the characters, written in GBK again, are valid UTF-8, which real Chinese hardly ever is.
//! (3) UTF-8 was read as Latin-1 or Windows-1252: `Ã©`, `â€™`, `ä¸­`. A few of either kind can be meant, as here; a text
//! is refused when they are more than a hundredth of its characters.

use encoding_rs::GB18030;

/// The share of characters above which a text counts as decoded wrongly.
const MOST: f64 = 0.01;

/// What `U+FFFD U+FFFD` in UTF-8 and uninitialised memory read as in GBK.
const TRACES: [&str; 3] = ["锟斤拷", "烫烫烫", "屯屯屯"];

/// What was found in a text that was decoded wrongly.
pub(super) fn mojibake(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let all = text.chars().count();
    let is_much = |characters: usize| characters as f64 > MOST * all as f64;
    for trace in TRACES {
        let found = text.matches(trace).count();
        if is_much(3 * found) {
            return Some(format!("`{trace}` stands there {found} times"));
        }
    }
    let as_gbk = read_as_gbk(text);
    if is_much(as_gbk) {
        return Some(format!("{as_gbk} of {all} characters look like UTF-8 that was read as GBK"));
    }
    let as_latin = read_as_latin(text);
    if is_much(as_latin) {
        return Some(format!("{as_latin} of {all} characters look like UTF-8 that was read as Latin-1"));
    }
    let lost = text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count();
    is_much(lost).then(|| format!("{lost} of {all} characters are U+FFFD, which stands for lost ones"))
}

/// Han characters of UTF-8 that are in a row for it to be no chance.
const ROW: usize = 4;

/// Characters that are UTF-8 when they are written in GBK: at least four characters of three bytes in a row. (The bytes of
/// two or three real characters may be so by chance.)
fn read_as_gbk(text: &str) -> usize {
    let mut found = 0;
    // The euro sign was a single byte that has no other meaning.
    for run in text.split(|c: char| c.is_ascii() || matches!(c, '€' | char::REPLACEMENT_CHARACTER)) {
        let (bytes, _, unmappable) = GB18030.encode(run);
        let in_row = |valid: &&str| valid.chars().filter(|c| c.len_utf8() == 3).count() >= ROW;
        if !unmappable {
            found += bytes
                .utf8_chunks()
                .map(|chunk| chunk.valid())
                .filter(in_row)
                .map(|valid| valid.len() / 2)
                .sum::<usize>();
        }
    }
    found
}

/// Characters of two or more that are valid UTF-8 when each is one byte of Windows-1252.
fn read_as_latin(text: &str) -> usize {
    let mut found = 0;
    for run in text.split(|c: char| byte_of_windows_1252(c).is_none()) {
        let bytes: Vec<u8> = run.chars().filter_map(byte_of_windows_1252).collect();
        for chunk in bytes.utf8_chunks() {
            // Each character of the chunk was two to four.
            found += chunk.valid().chars().map(char::len_utf8).sum::<usize>();
        }
    }
    found
}

/// The byte above ASCII that is this character in Windows-1252 (WHATWG) or in Latin-1.
fn byte_of_windows_1252(c: char) -> Option<u8> {
    match c {
        '\u{80}'..='\u{FF}' => Some(c as u8),
        '\u{152}'..='\u{2122}' => {
            let text = c.to_string();
            let (bytes, _, unmappable) = encoding_rs::WINDOWS_1252.encode(&text);
            bytes.first().copied().filter(|_| !unmappable)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHINESE: &str = "词元是语言模型的单位。语言模型学习词元，而不是汉字；「分词」的好坏因此要紧。";

    #[test]
    fn what_is_told() {
        let as_gbk = GB18030.decode_without_bom_handling(CHINESE.as_bytes()).0.into_owned();
        assert!(mojibake(&as_gbk).unwrap().contains("GBK"), "{as_gbk}");
        let latin: String = "Ça va très bien à l’été, où naît l’œuvre".bytes().map(char::from).collect();
        assert!(mojibake(&latin).unwrap().contains("Latin-1"));
        let windows = encoding_rs::WINDOWS_1252.decode_without_bom_handling(CHINESE.as_bytes()).0.into_owned();
        assert!(mojibake(&windows).unwrap().contains("Latin-1"));
        assert!(mojibake("中文锟斤拷锟斤拷").unwrap().contains("锟斤拷"));
        assert!(mojibake("烫烫烫烫烫烫 int main").unwrap().contains("烫烫烫"));
        assert!(mojibake("中\u{FFFD}文").unwrap().contains("1 of 3 characters are U+FFFD"));
    }

    #[test]
    fn what_is_text() {
        let french = "Ça va très bien à l’été, où naît l’œuvre: «déjà-vu» — 5 €";
        let japanese = "私は学生です。トークンは言語モデルの単位です。";
        let traditional = "詞元是語言模型的單位。語言模型學習詞元，而不是漢字。";
        for text in [CHINESE, french, japanese, traditional, "Größe, Übermaß, façade", "ÀÉÎÕÜ", "tokens", ""]
        {
            assert_eq!(mojibake(text), None, "{text}");
        }
        // An article on the matter names it once.
        assert_eq!(mojibake(&format!("{}锟斤拷{}", CHINESE.repeat(5), CHINESE.repeat(5))), None);
    }
}
