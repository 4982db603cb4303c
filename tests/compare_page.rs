//! The page of a comparison, by itself and in a JavaScript engine where there is one.

use std::process::Command;

use ciyuan::encode::Tokenizer;
use ciyuan::segment::{Han, HanEdges, NAMED_PATTERNS, Pattern};
use ciyuan::vocab::TokenizerSpec;
use serde_json::{Value, json};

use super::common::{Workshop, corpus, hostile, learned, root};

/// Texts that would be markup if they were not escaped, in documents and in names.
const MARKUP: &str = "</script><script>alert(1)</script><b>bold</b> & \"quoted\" '<!--";

fn report(workshop: &Workshop, more: &[&str]) -> String {
    let corpora = root().join("corpora").display().to_string();
    workshop.run(&["learn", &corpora, "-o", "words.json", "--vocab-size", "700"]).ok();
    workshop.run(&["learn", &corpora, "-o", "bytes.json", "--vocab-size", "257", "--pattern", "gpt2"]).ok();
    let lines: Vec<String> =
        (0..40).map(|n| json!({"id": format!("<i>{n}"), "text": format!("{MARKUP} 词元 {n}")}).to_string()).collect();
    workshop.write("texts.jsonl", lines.join("\n"));
    let arguments =
        ["compare", "<b>=words.json", "bytes.json", "--on", "<u>=texts.jsonl", "--id-field", "id", "-o", "out"];
    workshop.run(&[&arguments[..], more].concat()).ok();
    std::fs::read_to_string(workshop.path("out").join("report.html")).unwrap()
}

#[test]
fn a_page_by_itself() {
    let workshop = Workshop::new();
    let page = report(&workshop, &[]);
    // No text is markup: what stands there of it is ours, and nothing is asked of a network.
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script>").count(), 2);
    for wrong in ["alert(1)</script>", "<b>bold", "<i>0", "<u>", "href=", "src=", "@import", "url("] {
        assert!(!page.contains(wrong), "{wrong}");
    }
    let wanted = [
        "default-src 'none'",
        "&lt;/script&gt;&lt;script&gt;alert(1)",
        "&lt;i&gt;0",
        "&lt;u&gt;, &lt;b&gt;",
        "kneser ney bits per byte",
        "zipf exponent",
        "rank of a token",
        "bytes of a token",
        "Documents that take most tokens",
        "Bytes per token by script",
        "difference in percent",
        "prefers-color-scheme: dark",
        "@media print",
        "id=\"try-data\"",
    ];
    for wanted in wanted {
        assert!(page.contains(wanted), "{wanted}");
    }
    let open = page.matches("<div").count();
    assert_eq!(open, page.matches("</div>").count());
    assert_eq!(page.matches("<table>").count(), page.matches("</table>").count());
    let json: Value =
        serde_json::from_slice(&std::fs::read(workshop.path("out").join("report.json")).unwrap()).unwrap();
    let figures = &json["corpora"][0]["tokens"][0];
    assert_eq!(figures["worst"][0]["name"].as_str().map(|name| name.starts_with("<i>")), Some(true));
    let by_length: u64 = figures["lengths"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(Some(by_length), figures["tokens"].as_u64());
    assert!(std::fs::read_to_string(workshop.path("out").join("report.md")).unwrap().contains("| gini of ids |"));
}

/// What a page says that `tokenizers` give for these texts; `None` where no `node` is installed.
fn by_javascript(workshop: &Workshop, page: &str, texts: &[String]) -> Option<Value> {
    let data = page.split("id=\"try-data\">").nth(1).unwrap().split("</script>").next().unwrap();
    workshop.write("data.json", data);
    workshop.write("texts.json", json!(texts).to_string());
    workshop.write("page.js", include_str!("../src/evaluate/page.js"));
    let script = "const read = (name) => JSON.parse(require('fs').readFileSync(name, 'utf8'));\
                  const page = require('./page.js'); const data = read('data.json');\
                  const made = data.tokenizers.map((one) => page.make(one, data.sets));\
                  const ids = made.map((one) => read('texts.json').map((text) => page.encode(one, text)));\
                  const same = made.map((one, at) => read('texts.json').every((text, n) =>\
                  page.pieces(one, ids[at][n]).map((piece) => piece.text).join('') === text));\
                  console.log(JSON.stringify({ ids, same, failures: page.failures(made, data.samples) }));";
    let ran = Command::new("node").args(["-e", script]).current_dir(workshop.path("")).output().ok()?;
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Some(serde_json::from_slice(&ran.stdout).unwrap())
}

/// The script beside ours, where `node` is installed; elsewhere only the page itself compares them, when it is opened.
#[test]
fn the_box_gives_our_ids() {
    let workshop = Workshop::new();
    let mut texts = hostile(300, 7);
    let corpus = corpus();
    texts.extend(corpus.iter().map(|text| text.chars().take(400).collect()));
    let mut tokenizers: Vec<(String, Tokenizer)> =
        NAMED_PATTERNS.iter().map(|(name, _)| ((*name).to_owned(), learned(&corpus, name, Han::Runs, 600))).collect();
    tokenizers.push(("characters".to_owned(), learned(&corpus, "ciyuan", Han::Chars, 600)));
    // A token that no merge gives, taken where it is a whole pre-token.
    let source = Pattern::parse("cl100k").unwrap().source().to_owned();
    let spec = TokenizerSpec::from_words(source, HanEdges::None, &[], &["词元".into(), b" the".to_vec()], &[]).unwrap();
    tokenizers.push(("whole".to_owned(), Tokenizer::new(spec).unwrap()));
    let none = [ciyuan::evaluate::ComparedCorpus { name: "zh".to_owned(), documents: Vec::new() }];
    let config = ciyuan::evaluate::CompareConfig::default();
    let comparison = ciyuan::evaluate::compare(&tokenizers, &none, None, &config, &mut |_| Ok(())).unwrap();
    let page = ciyuan::evaluate::comparison_to_html(&comparison, &tokenizers).unwrap();
    assert!(!page.contains("is not in the box") && page.contains("There is no text"));
    let Some(found) = by_javascript(&workshop, &page, &texts) else { return };
    assert_eq!(found["failures"], json!([]));
    for (at, (name, tokenizer)) in tokenizers.iter().enumerate() {
        assert_eq!(found["same"][at], true, "{name}");
        for (n, text) in texts.iter().enumerate() {
            assert_eq!(found["ids"][at][n], json!(tokenizer.encode(text).unwrap()), "{name}: {text:?}");
        }
    }
    // A box that is wrong is found out.
    let broken = page.replacen("\"ids\":[[", "\"ids\":[[0,", 1);
    assert_eq!(by_javascript(&workshop, &broken, &[]).unwrap()["failures"], json!(["ciyuan"]));
}
