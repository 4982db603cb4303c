//! Small tokenizers for the tests of this room.

use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::Tokenizer;
use crate::learn::{Counts, LearnConfig, VocabSize, learn};
use crate::segment::{HanEdges, Pattern, Segmenter};
use crate::vocab::{TokenId, TokenizerSpec, Vocab};

/// One with tokens of one character, some characters, and parts of characters.
pub(super) fn learned(pattern: &str, text: &str, merges: u32) -> Tokenizer {
    let segmenter =
        Segmenter::new(Pattern::parse(pattern).expect("it compiles"), HanEdges::None).expect("no words are asked for");
    let counts = Counts::of_texts(&segmenter, &[text]).expect("the text is short");
    let special = vec!["<|endoftext|>".to_owned(), "<|end|>".to_owned(), "<|end|>er".to_owned()];
    let config =
        LearnConfig { vocab_size: VocabSize::Tokens(259 + merges), special, min_count: 1, ..LearnConfig::default() };
    let learned = learn(&counts, &config, &mut |_, _| ControlFlow::Continue(())).expect("merges can be learned");
    let regex = segmenter.pattern().source().to_owned();
    let spec = TokenizerSpec::from_learned(regex, HanEdges::None, &learned.pairs, &config.special);
    spec.and_then(Tokenizer::new).expect("what was learned fits together")
}

/// One without merges: the bytes by their value, `tokens` and special tokens.
pub(super) fn of_tokens(
    tokens: impl Iterator<Item = (TokenId, Vec<u8>)>,
    special: Vec<(TokenId, String)>,
) -> Tokenizer {
    let tokens = (0..=255u8).map(|byte| (TokenId::from(byte), vec![byte])).chain(tokens).collect();
    let pattern = Pattern::default().source().to_owned();
    let vocab = Vocab::new(tokens).expect("no token stands there twice");
    let spec = TokenizerSpec::new(pattern, HanEdges::None, vocab, vec![], special, false);
    spec.and_then(Tokenizer::new).expect("the parts fit together")
}

/// Texts on which normalizers, added tokens and spaces act, as a regular expression.
pub(super) const TEXT_TO_CHANGE: &str = "([ \u{3000}\n]{0,2}(<a>|<| a|  |词|Å|é|e|t|the|hey|[\u{301}\u{323}]|가|ᄀ|\u{1161}|\u{11A8}|ﬁ|１|İ|ſ|▁|_|[,。.]|\u{1E2AE}|ก|ё)){0,8}";

/// Tokenizers that change their texts: of bytes and of characters, with normalizers, added tokens and spaces of all
/// kinds.
pub(super) fn changing() -> Vec<Tokenizer> {
    let text = "词元是词，词元也是元。\n\n  aaaa, abab. the then there's 1234\n 56 e\u{301}";
    let bytes = |pattern| -> Value {
        serde_json::from_str(&learned(pattern, text, 60).spec().to_json()).expect("it was written so")
    };
    let kind = |kind: &str| json!({"type": kind});
    let replace = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let prepend = json!({"type": "Prepend", "prepend": "▁"});
    let strip = json!({"type": "Strip", "strip_left": true, "strip_right": true});
    let normalizers = [
        vec![kind("NFC")],
        vec![kind("NFKC"), kind("Lowercase")],
        vec![kind("NFD"), strip.clone(), kind("NFKC")],
        vec![kind("Lowercase"), kind("NFKD")],
        vec![prepend.clone(), replace(" ", "▁")],
        vec![kind("NFC"), replace("<", ""), replace(" ", "▁"), replace("▁▁", "e\u{301}")],
        vec![strip, prepend, kind("NFC"), replace("e", "\u{301}"), replace("t", " ")],
        vec![replace("e", "\u{301}"), kind("NFC")],
        vec![],
    ];
    let flags = |bits: u32| [0, 1, 2, 3].map(|bit| bits >> bit & 1 == 1);
    let with = |mut file: Value, steps: &[Value], bits: u32| {
        file["normalizer"] = json!({"type": "Sequence", "normalizers": steps});
        let [normalized, lstrip, rstrip, single_word] = flags(bits);
        let first = file["model"]["vocab"].as_object().map_or(0, serde_json::Map::len) + 10;
        let added = ["<a>", "ﬁ", "  ", "hey"].iter().enumerate().map(|(at, content)| {
            json!({"id": first + at, "content": content, "special": false, "normalized": normalized,
                "lstrip": lstrip && at != 2, "rstrip": rstrip, "single_word": single_word})
        });
        file["added_tokens"] = added.skip(bits as usize % 3).collect();
        TokenizerSpec::from_json(file.to_string().as_bytes()).and_then(Tokenizer::new).expect("the file is right")
    };
    let mut all = Vec::new();
    for (at, steps) in normalizers.iter().enumerate() {
        for (bits, pattern) in [(at as u32, "cl100k"), (15 - at as u32, "ciyuan"), (5 * at as u32 % 16, "gpt2")] {
            let mut file = bytes(pattern);
            if pattern == "gpt2" {
                file["pre_tokenizer"] = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true});
            }
            all.push(with(file, steps, bits));
        }
        let metaspace = |scheme: &str, split| json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split});
        let scheme = if steps.is_empty() { "first" } else { "always" };
        for (bits, step) in [(at as u32, Value::Null), (at as u32 + 7, metaspace(scheme, at % 2 == 0))] {
            all.push(with(of_characters(step), steps, bits));
        }
    }
    all
}

/// A vocabulary of characters, with tokens for bytes, as a file.
fn of_characters(pre_tokenizer: Value) -> Value {
    let mut vocab = serde_json::Map::new();
    let bytes = (0..=255).map(crate::vocab::byte_token);
    let characters = "▁abetTHhn词元是,ésf".chars().map(String::from);
    let merges = ["t h", "th e", "▁ the", "词 元", "▁ ▁", "e ▁", "▁ a", "s 词"];
    let merged = merges.iter().map(|merge| merge.replace(' ', ""));
    for token in ["<unk>".to_owned()].into_iter().chain(bytes).chain(characters).chain(merged) {
        let id = vocab.len();
        vocab.insert(token, json!(id));
    }
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": pre_tokenizer, "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": vocab, "merges": merges},
    })
}
