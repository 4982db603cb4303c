//! tokenizer.json and .tiktoken files that are damaged, or of a kind that is not supported.

use ciyuan::error::TokenizerFault;
use ciyuan::segment::{Han, HanEdges};
use ciyuan::vocab::{SpecialTokens, TokenizerSpec};
use ciyuan::{Error, encode::Tokenizer};
use serde_json::{Value, json};

use super::common::learned;

fn small() -> Tokenizer {
    learned(&["aaaa bbbb abab 词元词元".to_owned()], "ciyuan", Han::Runs, 264)
}

/// The fault of a small tokenizer's file after a change.
fn fault_after(change: impl FnOnce(&mut Value)) -> String {
    let mut json: Value = serde_json::from_str(&small().spec().to_json()).unwrap();
    change(&mut json);
    let error = TokenizerSpec::from_json(json.to_string().as_bytes()).unwrap_err();
    assert!(matches!(error, Error::Tokenizer(_)), "{error}");
    error.to_string()
}

#[test]
fn what_is_not_supported_is_named() {
    let cases: [(&str, &[&str], Value); 15] = [
        ("normalizer `Precompiled`", &["normalizer"], json!({"type": "Precompiled", "precompiled_charsmap": ""})),
        (
            "normalizer `Nmt`",
            &["normalizer"],
            json!({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Nmt"}]}),
        ),
        ("post_processor", &["post_processor"], json!({"type": "TemplateProcessing"})),
        ("decoder", &["decoder"], json!({"type": "Metaspace"})),
        ("truncation", &["truncation"], json!({"max_length": 5})),
        ("model", &["model", "type"], json!("Unigram")),
        ("byte_fallback", &["model", "byte_fallback"], json!(true)),
        ("dropout", &["model", "dropout"], json!(0.1)),
        ("end_of_word_suffix", &["model", "end_of_word_suffix"], json!("</w>")),
        ("pre_tokenizer", &["pre_tokenizer"], json!({"type": "Metaspace"})),
        ("pre_tokenizer", &["pre_tokenizer"], Value::Null),
        ("`Gone`", &["pre_tokenizer", "pretokenizers", "0", "behavior"], json!("Gone")),
        ("`BertPreTokenizer`", &["pre_tokenizer", "pretokenizers", "0", "type"], json!("BertPreTokenizer")),
        (
            "Metaspace changes the text",
            &["pre_tokenizer", "pretokenizers", "0"],
            json!({"type": "Sequence", "pretokenizers": [{"type": "Metaspace", "replacement": "▁"}]}),
        ),
        ("without closing parenthesis", &["pre_tokenizer", "pretokenizers", "0", "pattern", "Regex"], json!("(a")),
    ];
    for (component, path, value) in cases {
        let message = fault_after(|json| {
            let mut place = json;
            for key in path {
                place = match key.parse::<usize>() {
                    Ok(at) => &mut place[at],
                    Err(_) => &mut place[*key],
                };
            }
            *place = value.clone();
        });
        assert!(message.contains(component), "{component}: {message}");
    }
}

#[test]
fn what_does_not_hold_together_is_told() {
    let merges = |json: &mut Value, merges: Value| json["model"]["merges"] = merges;
    assert!(fault_after(|json| merges(json, json!(["a q"]))).contains("makes no token"));
    assert!(fault_after(|json| merges(json, json!(["aq a"]))).contains("left part that is no token"));
    assert!(fault_after(|json| merges(json, json!(["a a", "a a"]))).contains("twice"));
    assert!(fault_after(|json| merges(json, json!(["a"]))).contains("no token"));
    assert!(fault_after(|json| merges(json, json!(["a 中"]))).contains("stands for no byte"));
    assert!(fault_after(|json| json["model"]["vocab"]["中"] = json!(900)).contains("stands for no byte"));
    assert!(fault_after(|json| json["model"]["vocab"]["zz"] = json!(0)).contains("same bytes"));
    assert!(fault_after(|json| json["model"]["vocab"]["zz"] = json!(1 << 30)).contains("above the limit"));
    assert!(fault_after(|json| json["model"]["vocab"]["zz"] = json!(-1)).contains("not a tokenizer.json"));
    assert!(
        fault_after(|json| drop(json["model"]["vocab"].as_object_mut().unwrap().remove("!"))).contains("byte 0x21")
    );
    assert!(fault_after(|json| json["added_tokens"][0]["id"] = json!(5)).contains("ordinary token"));
    assert!(fault_after(|json| json["added_tokens"][0]["content"] = json!("")).contains("no name"));
}

#[test]
fn any_cut_and_any_flipped_byte_is_an_error_or_the_same_tokenizer() {
    let spec = small().spec().clone();
    let json = spec.to_json().into_bytes();
    for end in 0..json.len() - 1 {
        assert!(TokenizerSpec::from_json(&json[..end]).is_err(), "cut at {end}");
    }
    // A flip may give another valid tokenizer; then its fingerprint tells.
    let mut others = 0;
    for at in 0..json.len() {
        let mut flipped = json.clone();
        flipped[at] ^= 1 << (at % 8);
        if let Ok(other) = TokenizerSpec::from_json(&flipped) {
            assert_eq!(other == spec, other.fingerprint() == spec.fingerprint(), "byte {at}");
            others += usize::from(other != spec);
        }
    }
    assert!(others > 0, "no flip gave another tokenizer, so the fingerprint was not tried");
}

#[test]
fn deep_nesting_is_an_error() {
    let deep = "[".repeat(200_000);
    assert!(TokenizerSpec::from_json(deep.as_bytes()).is_err());
    assert!(TokenizerSpec::from_json(format!("{{\"normalizer\": {deep}").as_bytes()).is_err());
}

#[test]
fn tiktoken_lines() {
    let read = |file: &str| TokenizerSpec::from_tiktoken(file.as_bytes(), ".", vec![]).unwrap_err().to_string();
    assert!(read("IQ== 0\nIg==\n").contains("line 2"));
    assert!(read("IQ== 0\n???? 1\n").contains("base64"));
    assert!(read("IQ== x\n").contains("not a number"));
    assert!(read("IQ== 99999999\n").contains("above the limit"));
    assert!(read("IQ== 0\nIQ== 1\n").contains("same bytes"));
    assert!(read("").contains("no token for byte 0x00"));
    assert!(read("\u{FEFF}IQ== 0\n").contains("line 1"));
}

/// In tiktoken's form a token that its own merges do not reach stays reachable as a whole pre-token.
#[test]
fn unreachable_tokens() {
    let mut file = small().spec().to_tiktoken().unwrap();
    file.push_str("eHl6 263\n"); // "xyz", which no merges lead to
    let spec =
        TokenizerSpec::from_tiktoken(file.as_bytes(), "[a-z]+|.", vec![(264, SpecialTokens::END_OF_TEXT.to_owned())])
            .unwrap();
    let tokenizer = Tokenizer::new(spec.clone()).unwrap();
    assert_eq!(tokenizer.encode("xyz").unwrap(), [263]);
    assert_eq!(tokenizer.encode("axyz").unwrap().len(), 4);
    assert_eq!(spec.to_tiktoken().unwrap(), file);
    assert_eq!(TokenizerSpec::from_json(spec.to_json().as_bytes()).unwrap(), spec);
}

/// What the ranks of a `.tiktoken` file cannot say.
#[test]
fn inexpressible_as_tiktoken() {
    let ids = |bytes: &[u8]| bytes.iter().map(|&byte| small().token_id(&[byte]).unwrap()).collect::<Vec<_>>();
    let [a, b, c] = ids(b"abc")[..] else { panic!("three bytes are three ids") };
    // "abc" by way of "bc", although "ab" is merged first: the merge of "abc" is never reached.
    let spec = TokenizerSpec::from_learned(".+".to_owned(), HanEdges::None, &[(a, b), (b, c), (a, 257)], &[]).unwrap();
    let tokenizer = Tokenizer::new(spec.clone()).unwrap();
    assert_eq!(tokenizer.encode("abc").unwrap(), [256, c]);
    let error = spec.to_tiktoken().unwrap_err();
    assert!(matches!(error, Error::Tokenizer(TokenizerFault::Inexpressible { .. })), "{error}");
}
