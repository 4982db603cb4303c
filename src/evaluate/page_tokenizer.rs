//! Tokenizers that run in a page: the data for `page.js`, which tokenizes what is typed.
//!
//! A small vocabulary travels in the page, with its merges and its pattern, so that no network is needed. The script is a
//! second implementation, so sample lines travel with the ids that ours gave: the page compares them when it is opened, and
//! says what it finds.

use serde::Serialize;

use super::html::escape;
use super::page_pattern::{Part, Sets, to_javascript};
use crate::encode::Tokenizer;
use crate::error::Result;
use crate::segment::{HanEdges, Ranges};
use crate::vocab::{TokenId, char_of_byte};

/// Larger vocabularies stay out of a page, whose size they would be.
const MOST_TOKENS: u32 = 16_384;

const SCRIPT: &str = include_str!("page.js");

/// Lines to compare ids on: what patterns and merges stumble over.
const SAMPLES: [&str; 8] = [
    "词元是语言模型的单位，也是计费的单位。",
    "A tokenizer's vocabulary isn't free: it COSTS parameters, doesn't it?",
    "2024年3月15日，价格是 1234567.89 元（約￥1,234,567）！",
    "😀👩\u{200D}💻🇨🇳 naïve café e\u{301} İſK",
    "  tabs\tand\n\nline ends  \r\n   end  ",
    "</script><b>&amp;\u{2028}",
    "Ｈｅｌｌｏ１２３ カタカナ 한국어 𠮷 العربية",
    "if (x_1 >= 0x1F) { return snakeCase[\"a\\n\"]; } // ...",
];

#[derive(Serialize)]
struct Page<'t> {
    sets: Vec<Vec<u32>>,
    tokenizers: Vec<PageTokenizer<'t>>,
    samples: Vec<Sample<'t>>,
}

#[derive(Serialize)]
struct PageTokenizer<'t> {
    name: &'t str,
    pattern: Vec<Part>,
    /// The set of Han characters, if they are taken one by one.
    han: Option<usize>,
    /// Whether a pre-token that is a token is taken as it is.
    whole: bool,
    /// By id, each byte a character as in `tokenizer.json`.
    tokens: Vec<Option<String>>,
    /// Left, right and result of each, one behind the other.
    merges: Vec<TokenId>,
}

#[derive(Serialize)]
struct Sample<'t> {
    text: &'t str,
    /// By tokenizer.
    ids: Vec<Vec<TokenId>>,
}

/// A box that tokenizes what is typed, as a piece of a page; it says of which tokenizers it cannot, and why. `lines` are
/// further ones to compare ids on, of which the first is shown.
///
/// # Errors
///
/// Those of [`Tokenizer::encode`].
pub(super) fn text_box(tokenizers: &[(String, Tokenizer)], lines: &[&str]) -> Result<String> {
    let mut sets = Sets::default();
    let (mut fit, mut of_page, mut notes) = (Vec::new(), Vec::new(), String::new());
    for (name, tokenizer) in tokenizers {
        match page_tokenizer(name, tokenizer, &mut sets) {
            Ok(one) => {
                of_page.push(one);
                fit.push(tokenizer);
            }
            Err(why) => notes += &format!("<p class=\"note\">{} is not in the box: {why}.</p>\n", escape(name)),
        }
    }
    let mut out = "<h2>Try it</h2>\n".to_owned() + &notes;
    if of_page.is_empty() {
        return Ok(out);
    }
    let samples = lines.iter().chain(&SAMPLES).map(|text| {
        let ids = fit.iter().map(|tokenizer| tokenizer.encode(text)).collect::<Result<_>>()?;
        Ok(Sample { text, ids })
    });
    let page = Page { sets: sets.all, tokenizers: of_page, samples: samples.collect::<Result<_>>()? };
    out += "<div id=\"try\" hidden>\n<textarea id=\"try-text\" rows=\"4\" aria-label=\"Text to tokenize\" spellcheck=\"false\"></textarea>\n\
            <p id=\"try-check\" class=\"note\" role=\"status\"></p>\n<div id=\"try-out\" class=\"beside\"></div>\n</div>\n\
            <noscript><p class=\"note\">With scripts there is a box here that tokenizes what is typed.</p></noscript>\n";
    out += &format!(
        "<script type=\"application/json\" id=\"try-data\">{}</script>\n<script>\n{SCRIPT}</script>\n",
        json(&page)
    );
    Ok(out)
}

/// Data inside a script: no `<` of it ends the script, or begins a comment.
fn json(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("strings and numbers can be written");
    json.replace('<', "\\u003c")
}

/// The data of a tokenizer, or why a page cannot have it.
fn page_tokenizer<'t>(
    name: &'t str,
    tokenizer: &'t Tokenizer,
    sets: &mut Sets,
) -> std::result::Result<PageTokenizer<'t>, &'static str> {
    let spec = tokenizer.spec();
    if spec.vocab_size() > MOST_TOKENS {
        return Err("its vocabulary has more than 16,384 tokens");
    }
    if spec.characters().is_some() {
        return Err("its merges start from characters");
    }
    if tokenizer.changes_text() {
        return Err("it changes a text before it cuts it, or looks for added tokens in it");
    }
    let han = match spec.han() {
        HanEdges::None => None,
        HanEdges::Chars => Some(sets.place(Ranges::of(r"\p{Han}").flat())),
        HanEdges::Words => return Err("it cuts Chinese by a dictionary"),
    };
    let is_regex = tokenizer.segmenter().pattern().is_regex();
    let pattern = Some(spec.pattern()).filter(|_| is_regex).and_then(|regex| to_javascript(regex, sets));
    let pattern = pattern.ok_or("its pattern cannot be written for JavaScript")?;
    let token = |id| Some(spec.vocab().token(id)?.iter().map(|byte| char_of_byte(*byte)).collect());
    Ok(PageTokenizer {
        name,
        pattern,
        han,
        whole: spec.whole_pieces(),
        tokens: (0..spec.vocab_size()).map(token).collect(),
        merges: spec.merges().as_slice().iter().flat_map(|merge| [merge.left, merge.right, merge.result]).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Pattern;
    use crate::vocab::{NormalizerStep, TokenizerSpec};

    fn spec(pattern: &str, han: HanEdges) -> TokenizerSpec {
        let source = Pattern::parse(pattern).unwrap().source().to_owned();
        TokenizerSpec::from_learned(source, han, &[(0, 1)], &["<|endoftext|>".to_owned()]).unwrap()
    }

    fn box_of(name: &str, spec: TokenizerSpec) -> String {
        text_box(&[(name.to_owned(), Tokenizer::new(spec).unwrap())], &["</script><b>"]).unwrap()
    }

    #[test]
    fn data_and_script() {
        let html = box_of("<b>", spec("cl100k", HanEdges::Chars));
        assert_eq!((html.matches("</script").count(), html.matches("<script").count()), (2, 2));
        let data = html.split("id=\"try-data\">").nth(1).unwrap().split("</script>").next().unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        let tokenizer = &data["tokenizers"][0];
        assert_eq!((&tokenizer["name"], &tokenizer["whole"]), (&"<b>".into(), &false.into()));
        assert_eq!((&tokenizer["tokens"][256], &tokenizer["tokens"][257]), (&"!\"".into(), &serde_json::Value::Null));
        assert_eq!(tokenizer["merges"], serde_json::json!([0, 1, 256]));
        let han = &data["sets"][tokenizer["han"].as_u64().unwrap() as usize];
        assert!(han.as_array().unwrap().windows(2).any(|pair| pair == [0x4E00, 0x9FFF]), "{han}");
        assert_eq!(data["samples"][0]["text"], "</script><b>");
        assert_eq!(data["samples"][0]["ids"][0].as_array().unwrap().len(), 12);
        assert_eq!(data["samples"].as_array().unwrap().len(), 1 + SAMPLES.len());
    }

    #[test]
    fn what_a_page_cannot_have() {
        let lower = spec("cl100k", HanEdges::None).with_normalizer(vec![NormalizerStep::Lowercase]);
        let words = r#"{"type": "Digits", "individual_digits": true}"#;
        for (spec, why) in [
            (lower, "it changes a text"),
            (spec(r"regex:\bword\b", HanEdges::None), "JavaScript"),
            (spec(words, HanEdges::None), "JavaScript"),
        ] {
            let html = box_of("<i>", spec);
            assert!(html.contains("&lt;i&gt; is not in the box") && html.contains(why), "{html}");
            assert!(!html.contains("<script") && !html.contains("textarea"));
        }
    }
}
