//! Text for the tests of this room.

use proptest::prelude::*;

/// Text from the classes that patterns tell apart.
pub(crate) fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "\u{A0}",
        "\u{3000}",
        "\u{2028}",
        "'s",
        "'S",
        "'\u{17F}",
        "'ll",
        "'",
        "a",
        "B",
        "ǅ",
        "ß",
        "é",
        "e\u{301}",
        "中",
        "词元",
        "〇",
        "々",
        "，",
        "。",
        "“",
        "1",
        "22",
        "３",
        "½",
        "!",
        "/",
        "…",
        "カ",
        "한",
        "ไ",
        "👩\u{200D}👧",
        "\u{FEFF}",
        "\0",
        "𠮷",
        "𝒳",
        "ʰ",
        "⺀",
        "〡",
        "\u{16FF0}",
        "\u{3099}",
        "・",
        "゛",
        "HTTPServer",
        "\u{85}",
        "\u{1}",
        "\u{E000}",
        "!abc",
        "龥",
        "龦",
        "鿿",
        "\u{3040}",
        "a longer run of ASCII words, so that whole blocks of 64 bytes are peeled: ",
        "if (x == 10) {\n        return f(\"a/b\");\n    }\n",
        "词元是语言模型的单位语言模型学习词元词元是语言模型的单位语言模型学习词元",
    ]);
    let any = prop_oneof![6 => pieces.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    prop::collection::vec(any, 0..40).prop_map(|pieces| pieces.concat())
}

/// A character in contexts that could take it into a span of theirs, or be taken by it.
pub(super) fn in_contexts(c: char) -> String {
    format!("a{c}b {c}{c}1{c}\n{c}'s{c}A{c}B{c}!{c}中{c}中中，{c}\t {c}2 \n{c}é{c}\u{301}{c} ")
}
