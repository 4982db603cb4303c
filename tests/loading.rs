//! tokenizer.json files as the world has them: added tokens with flags, normalizers, post-processors and vocabularies of
//! characters, against Hugging Face's `tokenizers`.

use std::collections::HashSet;
use std::str::FromStr;

use ciyuan::encode::{DecodeStream, Dropout, EncodeStream, Tokenizer, naive_encode, whole_characters};
use ciyuan::segment::Han;
use ciyuan::vocab::TokenizerSpec;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::{NormalizedString, Normalizer, Tokenizer as Reference, Trainer};

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use super::common::{Random, Workshop, corpus, hostile, learned};

fn read(file: &Value) -> Tokenizer {
    Tokenizer::new(TokenizerSpec::from_json(file.to_string().as_bytes()).unwrap()).unwrap()
}

fn reference(file: &Value) -> Reference {
    Reference::from_str(&file.to_string()).unwrap()
}

fn ids_of(reference: &Reference, text: &str) -> Vec<u32> {
    reference.encode(text, false).unwrap().get_ids().to_vec()
}

/// Ours, all special tokens allowed.
fn own_ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let names: Vec<&str> = tokenizer.spec().special().iter().map(|(_, name)| name).collect();
    tokenizer.encode_with(text, &names).unwrap()
}

/// The file of a small byte-level tokenizer.
fn byte_level(size: u32) -> Value {
    let tokenizer = learned(&corpus()[..8], "cl100k", Han::Runs, size);
    let mut file: Value = serde_json::from_str(&tokenizer.spec().to_json()).unwrap();
    file["added_tokens"] = json!([]);
    file
}

/// Puts added tokens into a file, each with an id behind all others, in the vocabulary of the model too.
fn add(file: &mut Value, tokens: &[Value]) {
    let vocab = file["model"]["vocab"].as_object_mut().unwrap();
    let mut added = Vec::new();
    for token in tokens {
        let (content, next) = (token["content"].as_str().unwrap(), vocab.len());
        if !vocab.contains_key(content) {
            vocab.insert(content.to_owned(), json!(next));
            let mut token = token.clone();
            token["id"] = json!(next);
            added.push(token);
        }
    }
    file["added_tokens"] = json!(added);
}

const CONTENTS: [&str; 16] = [
    "<|im_start|>",
    "<|im_start|>s",
    "<tool>",
    "<tool",
    "  ",
    "\n\n",
    " <x>",
    "<x> ",
    "词元",
    "Word",
    "é",
    "e\u{301}",
    "ﬁ",
    "▁▁",
    "\u{3000}",
    "word.",
];

fn added_token() -> impl Strategy<Value = Value> {
    (prop::sample::select(CONTENTS.to_vec()), any::<[bool; 5]>()).prop_map(|(content, flags)| {
        let [special, single_word, lstrip, rstrip, normalized] = flags;
        // The reference panics on some texts of white space if such tokens take more of it.
        let lstrip = lstrip && !content.chars().all(char::is_whitespace);
        json!({"content": content, "special": special, "single_word": single_word, "lstrip": lstrip, "rstrip": rstrip,
            "normalized": normalized})
    })
}

fn normalizer() -> impl Strategy<Value = Value> {
    let step = prop_oneof![
        prop::sample::select(vec!["NFC", "NFD", "NFKC", "NFKD", "Lowercase"]).prop_map(|kind| json!({"type": kind})),
        any::<[bool; 2]>().prop_map(|[left, right]| json!({"type": "Strip", "strip_left": left, "strip_right": right})),
        Just(json!({"type": "Prepend", "prepend": "▁"})),
        Just(json!({"type": "Prepend", "prepend": " "})),
        Just(json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})),
        Just(json!({"type": "Replace", "pattern": {"String": "<"}, "content": ""})),
        Just(json!({"type": "Replace", "pattern": {"Regex": " {2,}|[\\r\\n]+"}, "content": " "})),
        Just(json!({"type": "Replace", "pattern": {"Regex": "(?<=\\w)\\p{P}(?!\\s)"}, "content": "。"})),
    ];
    let sequence =
        prop::collection::vec(step.clone(), 0..4).prop_map(|steps| json!({"type": "Sequence", "normalizers": steps}));
    prop_oneof![2 => Just(Value::Null), 2 => step, 1 => sequence]
}

/// Texts of added tokens, white space and hostile pieces.
fn texts(count: usize, seed: u64) -> Vec<String> {
    let mut random = Random(seed);
    let others = hostile(count, seed);
    let mix = |other: &String| {
        let mut text = String::new();
        for _ in 0..random.below(7) {
            match random.below(4) {
                0 => text.push_str([" ", "  ", "\n", "\u{3000}", "a", "_", "\u{301}"][random.below(7)]),
                1 => text.extend(other.chars().skip(random.below(9)).take(3)),
                _ => text.push_str(CONTENTS[random.below(CONTENTS.len())]),
            }
        }
        text
    };
    others.iter().map(mix).collect()
}

fn byte_level_step(prefix: bool, regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": regex})
}

/// Places and merges, where a tokenizer changes its texts too; `ids` and `offsets` are those of the reference, all
/// special tokens allowed.
fn same_places(own: &Tokenizer, text: &str, ids: &[u32], expected: &[(usize, usize)]) -> Result<(), TestCaseError> {
    let names: Vec<&str> = own.spec().special().iter().map(|(_, name)| name).collect();
    let (with_places, offsets) = own.encode_with_allowed_offsets(text, &names).unwrap();
    prop_assert_eq!(&with_places, ids);
    prop_assert!(offsets.iter().all(|range| range.start <= range.end && range.end <= text.len()), "{:?}", text);
    let whole = offsets.into_iter().map(|bytes| whole_characters(text, bytes));
    let whole: Vec<(usize, usize)> = whole.map(|bytes| (bytes.start, bytes.end)).collect();
    prop_assert_eq!(&whole[..], expected, "{} {:?}", own.spec().to_json(), text);
    let ids = own.encode(text).unwrap();
    prop_assert_eq!(&own.encode_with_offsets(text).unwrap().0, &ids);
    let pieces = own.explain(text).unwrap();
    prop_assert_eq!(pieces.iter().flat_map(|piece| piece.ids.clone()).collect::<Vec<_>>(), ids);
    Ok(())
}

/// Compares a file here and there, on texts; and what is written of it.
fn same_ids(file: &Value, texts: &[String]) -> Result<(), TestCaseError> {
    let theirs = reference(file);
    // Of tokens that become the same the reference takes any, and it panics on texts where one becomes nothing.
    let mut contents = HashSet::new();
    for token in file["added_tokens"].as_array().unwrap() {
        let mut content = NormalizedString::from(token["content"].as_str().unwrap());
        if let (true, Some(normalizer)) = (token["normalized"] == true, theirs.get_normalizer()) {
            normalizer.normalize(&mut content).unwrap();
        }
        if content.is_empty() || !contents.insert((token["normalized"] == true, content.get().to_owned())) {
            return Ok(());
        }
    }
    let own = read(file);
    for text in texts {
        prop_assert_eq!(own_ids(&own, text), ids_of(&theirs, text), "{} {:?}", file, text);
        let encoding = theirs.encode(text.as_str(), false).unwrap();
        same_places(&own, text, encoding.get_ids(), encoding.get_offsets())?;
    }
    // Special tokens that are not allowed are text: as without them.
    let mut without = file.clone();
    without["added_tokens"].as_array_mut().unwrap().retain(|token| token["special"] == false);
    let theirs = reference(&without);
    for text in texts {
        prop_assert_eq!(own.encode(text).unwrap(), ids_of(&theirs, text), "{} {:?}", without, text);
        prop_assert_eq!(naive_encode(&own, text).unwrap(), ids_of(&theirs, text), "{} {:?}", without, text);
        prop_assert_eq!(own.encode_bytes(text.as_bytes()).unwrap(), own.encode(text).unwrap());
        let (mut stream, mut streamed) = (EncodeStream::eager(&own), Vec::new());
        text.as_bytes().chunks(3).for_each(|piece| stream.push(piece, &mut streamed).unwrap());
        stream.finish(&mut streamed).unwrap();
        prop_assert_eq!(streamed, own.encode(text).unwrap(), "{} {:?}", without, text);
    }
    let written = own.spec().to_json();
    let again = TokenizerSpec::from_json(written.as_bytes()).unwrap();
    prop_assert_eq!(&again, own.spec());
    prop_assert_eq!(again.fingerprint(), own.fingerprint());
    // The tables of a vocabulary of bytes hold all else that the tokenizer is.
    let prebuilt = own.to_prebuilt();
    prop_assert_eq!(prebuilt.is_ok(), own.spec().characters().is_none(), "{:?}", prebuilt.err());
    if let Ok(prebuilt) = prebuilt {
        let again = Tokenizer::from_prebuilt(&prebuilt).unwrap();
        for text in texts {
            prop_assert_eq!(own_ids(&again, text), own_ids(&own, text));
            prop_assert_eq!(again.encode(text).unwrap(), own.encode(text).unwrap());
        }
    }
    let theirs = Reference::from_str(&written).unwrap();
    for text in texts {
        prop_assert_eq!(own_ids(&own, text), ids_of(&theirs, text), "{} {:?}", written, text);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn bytes_with_added_tokens_and_normalizers(
        tokens in prop::collection::vec(added_token(), 0..6), normalizer in normalizer(), step in 0..4, seed in any::<u64>(),
    ) {
        let mut file = byte_level(300);
        match step {
            0 => {}
            1 => file["pre_tokenizer"] = byte_level_step(true, true),
            2 => file["pre_tokenizer"] = byte_level_step(true, false),
            _ => file["pre_tokenizer"] = byte_level_step(false, false),
        }
        file["normalizer"] = normalizer;
        add(&mut file, &tokens);
        same_ids(&file, &texts(40, seed))?;
    }

    #[test]
    fn characters_with_added_tokens_and_normalizers(
        tokens in prop::collection::vec(added_token(), 0..6), normalizer in normalizer(), kind in 0..6, flags in any::<[bool; 4]>(),
        seed in any::<u64>(),
    ) {
        let mut file = characters();
        let metaspace = |scheme: &str, split: bool| json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split});
        match kind {
            0 => file["normalizer"] = json!({"type": "Sequence", "normalizers": [normalizer, file["normalizer"]]}),
            1 => file["normalizer"] = normalizer,
            2 => (file["normalizer"], file["pre_tokenizer"]) = (normalizer, metaspace("always", flags[0])),
            3 => (file["normalizer"], file["pre_tokenizer"]) = (Value::Null, metaspace("first", flags[0])),
            4 => (file["normalizer"], file["pre_tokenizer"]) = (normalizer, json!({"type": "Sequence", "pretokenizers": [
                metaspace("never", true), {"type": "Digits", "individual_digits": true}]})),
            _ => (file["normalizer"], file["pre_tokenizer"]) = (normalizer, json!({"type": "Whitespace"})),
        }
        if file["normalizer"]["normalizers"][0].is_null() && kind == 0 {
            file["normalizer"]["normalizers"].as_array_mut().unwrap().remove(0);
        }
        let [_, fuse, whole, bytes] = flags;
        file["model"]["fuse_unk"] = json!(fuse);
        file["model"]["ignore_merges"] = json!(whole);
        file["model"]["byte_fallback"] = json!(bytes);
        add(&mut file, &tokens);
        same_ids(&file, &texts(40, seed))?;
    }
}

/// The merges of the reference on pieces of the corpora that begin at spaces, with tokens for bytes before them, in the
/// form of Llama 2.
fn characters() -> Value {
    static FILE: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| {
        let texts: Vec<String> = corpus()[..12].iter().map(|text| text.replace(' ', "▁")).collect();
        let mut trainer = BpeTrainer::builder().vocab_size(1200).limit_alphabet(600).show_progress(false).build();
        let pieces = |text: &str| Ok(text.split_inclusive('▁').map(str::to_owned).collect::<Vec<_>>());
        trainer.feed(texts.iter(), pieces).unwrap();
        let mut model = BPE::default();
        trainer.train(&mut model).unwrap();
        let mut model = serde_json::to_value(&model).unwrap();
        let mut vocab = serde_json::Map::new();
        let first = ["<unk>", "<s>", "</s>"].map(str::to_owned);
        for token in first.into_iter().chain((0..=255).map(ciyuan::vocab::byte_token)) {
            vocab.insert(token, json!(vocab.len()));
        }
        for (token, id) in model["vocab"].as_object().unwrap() {
            vocab.insert(token.clone(), json!(id.as_u64().unwrap() + 259));
        }
        model["vocab"] = Value::Object(vocab);
        model["byte_fallback"] = json!(true);
        model["fuse_unk"] = json!(true);
        model["unk_token"] = json!("<unk>");
        json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": [],
            "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ]},
            "pre_tokenizer": null,
            "post_processor": {"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ]},
            "model": model,
        })
    });
    FILE.clone()
}

/// The added tokens of Llama 2.
pub(crate) fn llama() -> Value {
    let mut file = characters();
    let token = |id: u32, content: &str| json!({"id": id, "content": content, "special": true, "normalized": false, "single_word": false, "lstrip": false, "rstrip": false});
    file["added_tokens"] = json!([token(0, "<unk>"), token(1, "<s>"), token(2, "</s>")]);
    file
}

#[test]
fn a_file_of_the_form_of_llama() {
    let file = llama();
    let (own, theirs) = (read(&file), reference(&file));
    let texts: Vec<String> = corpus().into_iter().chain(hostile(3000, 8)).collect();
    let mut with_bytes = 0;
    for text in &texts {
        let encoding = theirs.encode(text.as_str(), false).unwrap();
        let ids = encoding.get_ids().to_vec();
        assert_eq!(own.encode(text).unwrap(), ids, "{text:?}");
        same_places(&own, text, &ids, encoding.get_offsets()).unwrap();
        with_bytes += usize::from(ids.iter().any(|id| (3..259).contains(id)));
        let decoded = own.decode(&ids).unwrap();
        assert_eq!(String::from_utf8(decoded).unwrap(), theirs.decode(&ids, false).unwrap(), "{text:?}");
        let (mut stream, mut streamed) = (DecodeStream::new(&own), String::new());
        ids.iter().for_each(|id| streamed += stream.push(*id).unwrap());
        streamed += stream.finish();
        assert_eq!(streamed, String::from_utf8(own.decode(&ids).unwrap()).unwrap());
        assert_eq!((own.count(text).unwrap(), own.encode_parallel(text).unwrap()), (ids.len(), ids.clone()));
        let framed = theirs.encode(text.as_str(), true).unwrap();
        assert_eq!(own.encode_for_model(text).unwrap(), framed.get_ids(), "{text:?}");
        let unknown_last = own.decode(&own.framed(ids)).unwrap();
        assert_eq!(String::from_utf8(unknown_last).unwrap(), theirs.decode(framed.get_ids(), false).unwrap());
    }
    assert!(with_bytes > 100, "bytes were not tried");
    assert_eq!(own_ids(&own, "a</s><s> b"), ids_of(&theirs, "a</s><s> b"));
    assert_eq!(own.encode_with("a<s>", &["</s>"]).unwrap(), own.encode("a<s>").unwrap());
    assert!(own.encode_with("a", &["<none>"]).unwrap_err().to_string().contains("it has: <unk>, <s>, </s>"));
    assert!(own.changes_text() && own.spec().characters().is_some());
    assert_eq!(own.token_bytes(3 + 10), Some(&b"\n"[..]));
    assert_eq!(own.encode_bytes(b"\xFF").unwrap(), [3 + 255]);
    // Merges dropped at random start from characters: without any, the ids are those of a model without merges.
    for (seed, text) in (0..).zip(&texts[texts.len() - 200..]) {
        let draw = |p| own.encode_dropout(text, Dropout::new(p, seed).unwrap()).unwrap();
        assert_eq!(draw(0.0), own.encode(text).unwrap());
        assert_eq!(draw(f64::MIN_POSITIVE), draw(0.0));
        assert_eq!(draw(1.0), bare_ids(&file, text));
        assert_eq!(own.decode(&draw(0.4)).unwrap(), own.decode(&draw(0.0)).unwrap());
    }
    // No id of a beginning is sure.
    assert!(own.to_prebuilt().unwrap_err().to_string().contains("of characters"));
    assert_eq!(own.encode_prefix("a b").unwrap().settled, 0);
    let (mut stream, mut ids) = (EncodeStream::new(&own), Vec::new());
    "a b 词".as_bytes().chunks(2).for_each(|piece| stream.push(piece, &mut ids).unwrap());
    stream.finish(&mut ids).unwrap();
    assert_eq!(ids, own.encode("a b 词").unwrap());
}

/// A piece of a text that a tokenizer changes: what the merges see of it, and where it stands in the text that is given.
#[test]
fn pieces_of_changed_text_are_explained() {
    let mut file = llama();
    file["normalizer"]["normalizers"].as_array_mut().unwrap().insert(0, json!({"type": "NFC"}));
    let own = read(&file);
    let text = "the e\u{301}\u{10FFFF}";
    let pieces = own.explain(text).unwrap();
    let [piece] = &pieces[..] else { panic!("one piece: {pieces:?}") };
    assert_eq!((piece.range.clone(), &piece.text[..]), (0..11, "▁the▁é\u{10FFFF}"));
    // Five characters, and the bytes of two that are no tokens.
    assert_eq!(piece.units.len(), 11);
    assert_eq!(piece.units[4..8], [6..9, 9..10, 10..11, 11..12]);
    let mut tokens: Vec<(usize, u32)> = piece.units.iter().map(|unit| unit.start).zip(bare_ids(&file, text)).collect();
    for step in &piece.steps {
        let at = tokens.iter().position(|(at, _)| *at == step.at).unwrap();
        assert_eq!((tokens[at].1, tokens[at + 1].1), (step.left, step.right));
        tokens[at].1 = step.result;
        tokens.remove(at + 1);
    }
    let offsets: Vec<(usize, usize)> = piece.steps.iter().map(|step| (step.at, step.offset)).collect();
    assert!(!offsets.is_empty() && offsets.iter().all(|(at, offset)| *offset == at.saturating_sub(3)), "{offsets:?}");
    assert_eq!(tokens.into_iter().map(|(_, id)| id).collect::<Vec<_>>(), piece.ids);
    let (_, offsets) = own.encode_with_offsets(text).unwrap();
    assert_eq!(offsets[offsets.len() - 4..], [7..8, 8..9, 9..10, 10..11]);
}

/// The ids that merges start from.
fn bare_ids(file: &Value, text: &str) -> Vec<u32> {
    let mut bare = file.clone();
    bare["model"]["merges"] = json!([]);
    read(&bare).encode(text).unwrap()
}

/// Metaspace as a decoder, with what it makes of the first token.
#[test]
fn metaspace_decodes_as_there() {
    for scheme in ["always", "first", "never"] {
        let mut file = llama();
        let metaspace = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": true});
        (file["normalizer"], file["pre_tokenizer"], file["decoder"]) = (Value::Null, metaspace.clone(), metaspace);
        file["model"]["byte_fallback"] = json!(false);
        let (own, theirs) = (read(&file), reference(&file));
        for text in corpus().into_iter().take(20).chain(hostile(300, 9)).chain(["  a".to_owned(), " ".to_owned()]) {
            let ids = ids_of(&theirs, &text);
            assert_eq!(own.encode(&text).unwrap(), ids, "{text:?}");
            assert_eq!(String::from_utf8(own.decode(&ids).unwrap()).unwrap(), theirs.decode(&ids, false).unwrap());
        }
    }
}

#[test]
fn one_long_piece_does_not_take_quadratic_time() {
    let mut file = llama();
    let own = read(&file);
    file["model"]["byte_fallback"] = json!(false);
    let unknown = read(&file);
    for text in ["a".repeat(400_000), " ".repeat(400_000), "the 词元 ".repeat(40_000), "\u{10FFFF}a".repeat(100_000)]
    {
        let ids = own.encode(&text).unwrap();
        assert_eq!(own.decode(&ids).unwrap(), text.as_bytes());
        assert!(!unknown.encode(&text).unwrap().is_empty());
    }
}

/// Characters beside marks, by each normalizer: a tokenizer without merges gives the normalized text back. All are there
/// that some form changes in the newest Unicode, and some others.
#[test]
fn every_character_is_normalized_as_there() {
    let changes = |c: &char| {
        let folded = c.to_lowercase().nfkd();
        canonical_combining_class(*c) != 0 || folded.ne([*c]) || (*c as u32).is_multiple_of(64)
    };
    let hangul = '\u{AC00}'..='\u{D7A3}';
    let characters = ('\0'..=char::MAX).filter(|c| !hangul.contains(c) || *c as u32 % 32 < 2).filter(changes);
    let characters: Vec<char> = characters.collect();
    assert!(characters.len() > 20_000);
    let mut file = byte_level(257);
    file["model"]["merges"] = json!([]);
    for kind in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase"] {
        file["normalizer"] = json!({"type": kind});
        let own = read(&file);
        let theirs: NormalizerWrapper = serde_json::from_value(file["normalizer"].clone()).unwrap();
        for some in characters.chunks(5_000) {
            let text: String = some.iter().flat_map(|c| ['e', '\u{323}', *c, '\u{301}', *c]).collect();
            let mut normalized = NormalizedString::from(text.as_str());
            theirs.normalize(&mut normalized).unwrap();
            let decoded = String::from_utf8(own.decode(&own.encode(&text).unwrap()).unwrap()).unwrap();
            let differs = decoded.chars().zip(normalized.get().chars()).position(|(own, other)| own != other);
            let place = differs
                .map(|at| text.chars().zip(decoded.chars()).skip(at.saturating_sub(4)).take(8).collect::<Vec<_>>());
            assert_eq!(place, None, "{kind}");
            assert_eq!(decoded.len(), normalized.get().len(), "{kind}");
        }
    }
}

#[test]
fn post_processors_frame_as_there() {
    let mut file = byte_level(300);
    let special = |content: &str| json!({"content": content, "special": true, "normalized": false, "single_word": false, "lstrip": false, "rstrip": false});
    add(&mut file, &[special("<s>"), special("</s>")]);
    let [start, end] = [0, 1].map(|at| file["added_tokens"][at]["id"].as_u64().unwrap());
    let template = json!({"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "</s>", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {
            "<s>": {"id": "<s>", "ids": [start, end], "tokens": ["<s>", "</s>"]},
            "</s>": {"id": "</s>", "ids": [end], "tokens": ["</s>"]}}});
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true});
    let mut fingerprints = HashSet::new();
    for processor in [
        Value::Null,
        template.clone(),
        json!({"type": "Sequence", "processors": [byte_level, template]}),
        json!({"type": "BertProcessing", "sep": ["</s>", end], "cls": ["<s>", start]}),
        json!({"type": "RobertaProcessing", "sep": ["</s>", end], "cls": ["<s>", start], "trim_offsets": true, "add_prefix_space": false}),
    ] {
        file["post_processor"] = processor;
        let (own, mut theirs) = (read(&file), reference(&file));
        theirs.set_encode_special_tokens(true);
        for text in ["", "a b", "词元<s>"] {
            let ids = theirs.encode(text, true).unwrap().get_ids().to_vec();
            assert_eq!(own.encode_for_model(text).unwrap(), ids, "{} {text:?}", file["post_processor"]);
        }
        let again = TokenizerSpec::from_json(own.spec().to_json().as_bytes()).unwrap();
        assert_eq!(&again, own.spec());
        fingerprints.insert(own.fingerprint().to_string());
    }
    assert_eq!(fingerprints.len(), 5);
}

/// An added token that merges make is both: found in a text first, and a part of longer tokens.
#[test]
fn an_added_token_may_be_an_ordinary_one() {
    let mut file = byte_level(300);
    let merged = file["model"]["merges"].as_array().unwrap().iter().find_map(|merge| {
        let token = merge.as_str().unwrap().replace(' ', "");
        token.chars().all(|c| c.is_ascii_alphabetic()).then_some(token)
    });
    let token = merged.unwrap();
    let id = file["model"]["vocab"][&token].clone();
    file["added_tokens"] = json!([{"id": id, "content": token, "special": false, "normalized": false, "single_word": true, "lstrip": false, "rstrip": false}]);
    let (own, theirs) = (read(&file), reference(&file));
    for text in corpus().iter().take(10).chain(&hostile(200, 4)) {
        assert_eq!(own.encode(text).unwrap(), ids_of(&theirs, text), "{text:?}");
    }
}

/// Shards account for every byte: a text that a tokenizer changes is an error there, one that it leaves is none.
#[test]
fn shards_of_changed_text_are_refused() {
    let workshop = Workshop::new();
    let mut file = byte_level(300);
    file["normalizer"] = json!({"type": "NFC"});
    let end = json!({"content": "<|endoftext|>", "special": true, "normalized": false, "single_word": false, "lstrip": false, "rstrip": false});
    add(&mut file, &[end]);
    workshop.write("t.json", file.to_string());
    workshop.write("same.txt", "é 词元\n");
    workshop.write("other.txt", "e\u{301}\n");
    workshop.run(&["encode", "same.txt", "-t", "t.json", "-o", "same"]).ok();
    workshop.run(&["verify", "same"]).ok();
    let encode = workshop.run(&["encode", "other.txt", "-t", "t.json", "-o", "other"]);
    encode.fails(3, &["other.txt", "3 bytes of a text of 4", "normalize the text first"]);
}

/// What the flags, the normalizer and the rest of a file decide is in the fingerprint.
#[test]
fn fingerprints_tell() {
    let plain = byte_level(300);
    let fingerprint = |change: &dyn Fn(&mut Value)| {
        let mut file = plain.clone();
        let token = json!({"content": "<x>", "special": true, "normalized": false, "single_word": false, "lstrip": false, "rstrip": false});
        add(&mut file, &[token]);
        change(&mut file);
        read(&file).fingerprint().to_string()
    };
    let same = fingerprint(&|_| {});
    // Without a normalizer there is one way to look for tokens.
    assert_eq!(fingerprint(&|file| file["added_tokens"][0]["normalized"] = json!(true)), same);
    let others: Vec<String> = ["special", "lstrip", "rstrip", "single_word"]
        .iter()
        .map(|flag| fingerprint(&|file| file["added_tokens"][0][*flag] = json!(*flag != "special")))
        .chain([
            fingerprint(&|file| file["normalizer"] = json!({"type": "NFC"})),
            fingerprint(&|file| file["normalizer"] = json!({"type": "NFD"})),
            fingerprint(&|file| file["pre_tokenizer"] = byte_level_step(true, true)),
            fingerprint(&|file| file["pre_tokenizer"] = byte_level_step(false, true)),
        ])
        .chain([same])
        .collect();
    assert_eq!(others.iter().collect::<HashSet<_>>().len(), others.len());
}

#[test]
fn a_table_for_people() {
    let table = read(&llama()).spec().to_tsv();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines[0], ["id", "token", "kind"]);
    assert_eq!(lines[1], ["0", "<unk>", "special"]);
    assert_eq!(lines[14], ["13", "<0x0A>", "byte"]);
    let spec = read(&llama()).spec().clone();
    assert_eq!(lines.len() - 1, spec.vocab().len());
    for line in &lines[1..] {
        let id = line[0].parse().unwrap();
        assert_eq!(ciyuan::vocab::unescape_token(line[1]).as_deref(), spec.vocab().token(id), "{line:?}");
    }
}

/// Files that would make much of little are errors, or end where they are bounded.
#[test]
fn growth_is_bounded() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut file = llama();
        change(&mut file);
        TokenizerSpec::from_json(file.to_string().as_bytes()).unwrap_err().to_string()
    };
    let twice = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
    let steps = |count: usize| json!({"type": "Sequence", "normalizers": vec![twice.clone(); count]});
    assert!(refused(&|file| file["normalizer"] = steps(33)).contains("32 steps"));
    assert!(
        refused(&|file| file["normalizer"] = json!({"type": "Prepend", "prepend": "a".repeat(1025)}))
            .contains("1,024 bytes")
    );
    assert!(refused(&|file| file["decoder"]["decoders"][0]["content"] = json!("▁▁")).contains("Replace"));
    let many = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
    let single: Vec<Value> = std::iter::repeat_n(many, 1025).collect();
    assert!(refused(&|file| file["post_processor"]["single"] = json!(single)).contains("1,024"));
    let mut file = llama();
    file["normalizer"] = steps(32);
    let error = read(&file).encode("a").unwrap_err();
    assert!(error.to_string().contains("normalized text"), "{error}");
    file["added_tokens"][1]["normalized"] = json!(true);
    file["added_tokens"][1]["content"] = json!("</s>a");
    file["added_tokens"][1]["id"] = json!(5000);
    file["added_tokens"][1]["special"] = json!(false);
    let spec = TokenizerSpec::from_json(file.to_string().as_bytes()).unwrap();
    assert!(Tokenizer::new(spec).unwrap_err().to_string().contains("normalized text"));
}
