//! Merges and ids against Hugging Face's `tokenizers`.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::str::FromStr;

use ciyuan::encode::{Tokenizer, naive_encode, whole_characters};
use ciyuan::learn::{Counts, LearnConfig, VocabSize, learn};
use ciyuan::segment::{Han, HanEdges, NAMED_PATTERNS, Pattern, Segmenter, kept_pieces};
use ciyuan::vocab::{TokenizerSpec, char_of_byte};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{
    OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, SplitDelimiterBehavior, Tokenizer as Reference,
    Trainer,
};

use super::common::{Random, corpus, hostile, learned};

fn byte_level(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char_of_byte(byte)).collect()
}

/// The merges of the reference trainer on these spans, as it writes them: pairs of byte-level strings.
fn reference_merges(spans: &[Vec<String>], vocab_size: usize) -> Vec<String> {
    let alphabet: HashSet<char> = (0..=255).map(char_of_byte).collect();
    let mut trainer =
        BpeTrainer::builder().vocab_size(vocab_size).initial_alphabet(alphabet).show_progress(false).build();
    let documents: Vec<usize> = (0..spans.len()).collect();
    let names: Vec<String> = documents.iter().map(usize::to_string).collect();
    trainer.feed(names.iter(), |name| Ok(spans[name.parse::<usize>().unwrap()].clone())).unwrap();
    let mut model = BPE::default();
    trainer.train(&mut model).unwrap();
    let merges = serde_json::to_value(&model).unwrap()["merges"].as_array().unwrap().clone();
    merges.iter().map(|pair| format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect()
}

/// Ours, in the same form.
fn own_merges(counts: &Counts, vocab_size: u32) -> Vec<String> {
    let config = LearnConfig {
        vocab_size: VocabSize::Tokens(vocab_size),
        special: vec![],
        min_count: 1,
        ..LearnConfig::default()
    };
    let learned = learn(counts, &config, &mut |_, _| ControlFlow::Continue(())).unwrap();
    let spec = TokenizerSpec::from_learned(".".to_owned(), HanEdges::None, &learned.pairs, &[]).unwrap();
    let form = |id| byte_level(spec.vocab().token(id).unwrap());
    spec.merges().as_slice().iter().map(|merge| format!("{} {}", form(merge.left), form(merge.right))).collect()
}

#[track_caller]
fn same_merges(segmenter: &Segmenter, texts: &[String], vocab_size: u32) {
    let spans = |text: &String| {
        let mut ends = Vec::new();
        segmenter.spans(text, &mut ends).unwrap();
        let mut start = 0;
        let span = |end: u32| byte_level(&text.as_bytes()[std::mem::replace(&mut start, end as usize)..end as usize]);
        ends.into_iter().map(span).collect::<Vec<String>>()
    };
    let reference = reference_merges(&texts.iter().map(spans).collect::<Vec<_>>(), vocab_size as usize);
    let own = own_merges(&Counts::of_texts(segmenter, texts).unwrap(), vocab_size);
    assert_eq!(own.len(), reference.len());
    for (rank, (own, reference)) in own.iter().zip(&reference).enumerate() {
        assert_eq!(own, reference, "merge {rank}");
    }
}

#[test]
fn merges_of_the_corpora() {
    let texts = corpus();
    for (pattern, edges) in [("ciyuan", HanEdges::Words), ("cl100k", HanEdges::None), ("gpt2", HanEdges::Chars)] {
        same_merges(&Segmenter::new(Pattern::parse(pattern).unwrap(), edges).unwrap(), &texts, 8000);
    }
}

/// Many ties, runs of one character, until nothing is left to merge.
#[test]
fn merges_of_random_text() {
    let whole = Segmenter::new(Pattern::from_regex(r"[^ ]+| ").unwrap(), HanEdges::None).unwrap();
    for seed in 0..60 {
        let mut random = Random(seed);
        let mut text = String::new();
        for _ in 0..random.below(400) {
            text.push(['a', 'b', 'c', '词', '元', ' '][random.below(3 + seed as usize % 4)]);
        }
        same_merges(&whole, &[text], 600);
    }
}

/// Two pairs that make one token, as they may stand in a tokenizer that was extended.
#[test]
fn a_token_of_two_merges() {
    let [a, b, c] = [64, 65, 66];
    let pairs = [(a, b), (256, c), (b, c), (a, 258), (257, 257)];
    let spec = TokenizerSpec::from_learned("[abc]+|.".to_owned(), HanEdges::None, &pairs, &[]).unwrap();
    assert_eq!(
        spec.merges().as_slice().iter().map(|merge| merge.result).collect::<Vec<_>>(),
        [256, 257, 258, 257, 259]
    );
    assert_eq!(spec.vocab_size(), 260);
    let reference = Reference::from_str(&spec.to_json()).unwrap();
    let tokenizer = Tokenizer::new(spec).unwrap();
    let mut random = Random(5);
    for _ in 0..500 {
        let text: String = (0..random.below(12)).map(|_| ['a', 'b', 'c'][random.below(3)]).collect();
        assert_eq!(
            tokenizer.encode(&text).unwrap(),
            reference.encode(text.as_str(), false).unwrap().get_ids(),
            "{text}"
        );
    }
}

/// What we write loads in the reference and gives the same ids, special tokens in the text being ordinary text.
#[test]
fn tokenizer_json_gives_the_same_ids() {
    let texts = corpus();
    let hostile = hostile(20_000, 2);
    for (pattern, han) in [
        ("ciyuan", Han::LearnWords),
        ("cl100k", Han::Runs),
        ("ciyuan", Han::Chars),
        ("o200k", Han::LearnWords),
        ("cl100k-tiktoken", Han::Runs),
    ] {
        let tokenizer = learned(&texts, pattern, han, 3000);
        let json = tokenizer.spec().to_json();
        let mut reference = Reference::from_str(&json).unwrap();
        reference.set_encode_special_tokens(true);
        for text in texts.iter().chain(&hostile) {
            let ids = reference.encode(text.as_str(), false).unwrap().get_ids().to_vec();
            assert_eq!(tokenizer.encode(text).unwrap(), ids, "{pattern} {han:?} {text:?}");
        }
        // Allowed special tokens are those of the reference, too.
        reference.set_encode_special_tokens(false);
        for text in ["a<|endoftext|>b", "<|endoftext|>", "词<|endoftext|><|endoftext|> 元<|endoftext"] {
            let ids = reference.encode(text, false).unwrap().get_ids().to_vec();
            assert_eq!(tokenizer.encode_with(text, &["<|endoftext|>"]).unwrap(), ids, "{text:?}");
        }
        assert_eq!(TokenizerSpec::from_json(json.as_bytes()).unwrap(), *tokenizer.spec());
    }
}

/// The long tier, on files of text, with a tokenizer learned by every named pattern:
/// `CIYUAN_LONG="zh.txt en.txt" cargo test --release --test suite hugging_face::whole_files`.
#[test]
fn whole_files_give_the_same_ids() {
    let Ok(files) = std::env::var("CIYUAN_LONG") else { return };
    let texts = corpus();
    for (pattern, _) in NAMED_PATTERNS {
        let tokenizer = learned(&texts, pattern, Han::LearnWords, 3000);
        let mut reference = Reference::from_str(&tokenizer.spec().to_json()).unwrap();
        reference.set_encode_special_tokens(true);
        for file in files.split(' ') {
            let text = std::fs::read_to_string(file).unwrap();
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            for lines in lines.chunks(400) {
                let text = lines.concat();
                let ids = reference.encode(text.as_str(), false).unwrap().get_ids().to_vec();
                assert_eq!(tokenizer.encode(&text).unwrap(), ids, "{pattern} {file} {text:?}");
            }
        }
    }
}

/// Places of tokens in the text, by whole characters, as the reference gives them.
#[test]
fn offsets_are_those_of_the_reference() {
    let texts = &corpus()[..20];
    let whitespace = r#"{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Punctuation","behavior":"Removed"}]}"#;
    for pattern in ["ciyuan", "cl100k", "gpt2", whitespace] {
        let tokenizer = learned(texts, pattern, Han::Runs, 2000);
        let mut reference = Reference::from_str(&tokenizer.spec().to_json()).unwrap();
        reference.set_encode_special_tokens(true);
        for text in texts.iter().chain(&hostile(1_000, 8)) {
            let expected = reference.encode(text.as_str(), false).unwrap();
            let (ids, offsets) = tokenizer.encode_with_offsets(text).unwrap();
            assert_eq!(ids, expected.get_ids());
            let whole = offsets.into_iter().map(|bytes| whole_characters(text, bytes));
            let whole: Vec<(usize, usize)> = whole.map(|bytes| (bytes.start, bytes.end)).collect();
            assert_eq!(whole, expected.get_offsets(), "{pattern} {text:?}");
        }
    }
}

/// The same with added tokens, which take white space with them, and with special ones.
#[test]
fn offsets_of_added_tokens_are_those_of_the_reference() {
    let texts = &corpus()[..10];
    let tokenizer = learned(texts, "cl100k", Han::Runs, 1000);
    let mut file: Value = serde_json::from_str(&tokenizer.spec().to_json()).unwrap();
    let end = tokenizer.spec().vocab_size();
    let token = |(at, (content, flags)): (u32, (&str, [bool; 3]))| {
        let [single_word, lstrip, rstrip] = flags;
        json!({"id": end + at, "content": content, "single_word": single_word, "lstrip": lstrip, "rstrip": rstrip,
            "normalized": at % 2 == 0, "special": false})
    };
    let tokens =
        [("<a>", [false; 3]), ("<b>", [true, true, false]), ("<m>", [false, true, true]), (" <c> ", [false; 3])];
    file["added_tokens"].as_array_mut().unwrap().extend((0..).zip(tokens).map(token));
    let tokenizer = Tokenizer::new(TokenizerSpec::from_json(file.to_string().as_bytes()).unwrap()).unwrap();
    let mut reference = Reference::from_str(&file.to_string()).unwrap();
    let marked = |text: &String| {
        let text =
            text.replace('。', " <m>\n<b> 。<|endoftext|>").replace(" the", " <m> the").replace('的', "的 <b>的<a>");
        text.replace("a ", "a <b> <a> ").replace("e", " <c> ")
    };
    let all: Vec<String> = texts.iter().map(marked).chain(hostile(1_000, 9).iter().map(marked)).collect();
    for allowed in [&[][..], &["<|endoftext|>"]] {
        reference.set_encode_special_tokens(allowed.is_empty());
        for text in &all {
            let expected = reference.encode(text.as_str(), false).unwrap();
            let (ids, offsets) = tokenizer.encode_with_allowed_offsets(text, allowed).unwrap();
            assert_eq!(ids, expected.get_ids(), "{text:?}");
            let whole = offsets.iter().map(|bytes| whole_characters(text, bytes.clone()));
            let whole: Vec<(usize, usize)> = whole.map(|bytes| (bytes.start, bytes.end)).collect();
            assert_eq!(whole, expected.get_offsets(), "{text:?}");
            if allowed.is_empty() {
                assert_eq!(tokenizer.encode_with_offsets(text).unwrap(), (ids.clone(), offsets));
                let pieces = tokenizer.explain(text).unwrap();
                assert_eq!(pieces.iter().flat_map(|piece| piece.ids.clone()).collect::<Vec<_>>(), ids);
                assert_eq!(pieces.iter().map(|piece| &text[piece.range.clone()]).collect::<String>(), *text);
            }
        }
    }
}

/// Ends of the spans that `Split` steps of the reference give.
fn reference_spans(regexes: &[&str], text: &str) -> Vec<u32> {
    let split = |regex: &&str| {
        let pattern = SplitPattern::Regex((*regex).to_owned());
        Split::new(pattern, SplitDelimiterBehavior::Isolated, false).unwrap().into()
    };
    let mut spans = PreTokenizedString::from(text);
    Sequence::new(regexes.iter().map(split).collect()).pre_tokenize(&mut spans).unwrap();
    let splits = spans.get_splits(OffsetReferential::Original, OffsetType::Byte);
    splits.iter().map(|(_, (_, end), _)| *end as u32).collect()
}

/// The patterns as written in the models' own tokenizer.json files, on the engine of the reference.
#[test]
fn named_patterns_cut_as_the_reference() {
    let texts = corpus();
    let hostile = hostile(4_000, 3);
    for (name, regex) in NAMED_PATTERNS {
        // Written for another engine: `{1,3}+` and `$` mean something else to this one.
        if name == "cl100k-tiktoken" {
            continue;
        }
        let regexes = if name == "deepseek-v3" { DEEPSEEK_V3.to_vec() } else { vec![regex] };
        let segmenter = Segmenter::new(Pattern::parse(name).unwrap(), HanEdges::None).unwrap();
        let mut ends = Vec::new();
        for text in texts.iter().chain(&hostile) {
            segmenter.spans(text, &mut ends).unwrap();
            assert_eq!(ends, reference_spans(&regexes, text), "{name} {text:?}");
        }
    }
}

/// The `Split` steps of DeepSeek's tokenizer.json, line breaks written out as there.
const DEEPSEEK_V3: [&str; 3] = [
    r"\p{N}{1,3}",
    "[一-龥\u{3040}-ゟ゠-ヿ]+",
    concat!(
        r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"##,
        "|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
    ),
];

/// A sequence of patterns is read as the one pattern that stands for it, and gives the ids of the sequence.
#[test]
fn a_known_sequence_of_patterns_is_read() {
    let texts = corpus();
    let tokenizer = learned(&texts, "deepseek-v3", Han::Runs, 2000);
    let mut file: serde_json::Value = serde_json::from_str(&tokenizer.spec().to_json()).unwrap();
    let split =
        |regex: &&str| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
    let byte_level = file["pre_tokenizer"]["pretokenizers"].as_array().unwrap().last().unwrap().clone();
    let steps: Vec<_> = DEEPSEEK_V3.iter().map(split).chain([byte_level]).collect();
    file["pre_tokenizer"]["pretokenizers"] = json!(steps);
    let with_sequence = file.to_string();
    assert_eq!(TokenizerSpec::from_json(with_sequence.as_bytes()).unwrap(), *tokenizer.spec());
    let mut reference = Reference::from_str(&with_sequence).unwrap();
    reference.set_encode_special_tokens(true);
    for text in texts.iter().chain(&hostile(2_000, 4)) {
        let ids = reference.encode(text.as_str(), false).unwrap().get_ids().to_vec();
        assert_eq!(tokenizer.encode(text).unwrap(), ids, "{text:?}");
    }
}

/// Pre-tokenizers as they may stand in a file.
fn step() -> impl Strategy<Value = Value> {
    let behaviour = || {
        let all = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"];
        prop::sample::select(all.to_vec())
    };
    let regexes = [
        r"\s+$",
        r"^\s*",
        r"\w+",
        r"\W",
        r"[^\w\s]+",
        "[\\r\\n]",
        r"\p{N}{1,3}",
        r"\p{N}{1,3}+",
        "(?=(\\d{3})+(?!\\d))",
        r"\d{1,3}(?=(?:\d{3})*(?!\d))",
        "a*",
        r"(?=\p{Lu})",
        r"\s?\p{L}+",
        r"\s+\z",
        r"\A.",
        "(?m:.+)",
        ".+",
        "中{2}?",
        "[一-龥ࠀ-一가-\u{D7FF}]+",
        "\\s?[!-/:-~！-／：-～‘-‟\u{3000}-。]+",
        r" ?[^(\s|[.,!?…。，、।۔،])]+",
        "[^\\w.]",
        r"(?i:'s)|\p{L}++",
    ];
    let regex = prop::sample::select(regexes.to_vec()).prop_map(|regex| json!({"Regex": regex}));
    let text = prop::sample::select(vec!["a", "，", " ", "12", ".", ""]).prop_map(|text| json!({"String": text}));
    prop_oneof![
        4 => (prop_oneof![3 => regex, 1 => text], behaviour(), any::<bool>()).prop_map(|(pattern, behavior, invert)| {
            json!({"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert})
        }),
        1 => any::<bool>().prop_map(|each| json!({"type": "Digits", "individual_digits": each})),
        1 => behaviour().prop_map(|behavior| json!({"type": "Punctuation", "behavior": behavior})),
        1 => Just(json!({"type": "Whitespace"})),
        1 => Just(json!({"type": "WhitespaceSplit"})),
        1 => prop::sample::select(vec!["a", "，", "1"]).prop_map(|c| json!({"type": "CharDelimiterSplit", "delimiter": c})),
    ]
}

/// A sequence of steps, with Metaspace or ByteLevel at its end, where they stand in files.
fn steps() -> impl Strategy<Value = Value> {
    let last = prop::sample::select(vec![
        None,
        Some(json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true})),
        Some(json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true})),
        Some(json!({"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "split": false})),
        Some(json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})),
        Some(json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false})),
    ]);
    (prop::collection::vec(step(), 0..4), last).prop_map(
        |(steps, last)| json!({"type": "Sequence", "pretokenizers": steps.into_iter().chain(last).collect::<Vec<_>>()}),
    )
}

/// Starts and ends in the text of the pieces that the reference makes.
fn reference_pieces(steps: &Value, text: &str) -> Vec<(usize, usize)> {
    let reference: PreTokenizerWrapper = serde_json::from_value(steps.clone()).unwrap();
    let mut pieces = PreTokenizedString::from(text);
    reference.pre_tokenize(&mut pieces).unwrap();
    let splits = pieces.get_splits(OffsetReferential::Original, OffsetType::Byte);
    // With no step, an empty text is a piece of nothing.
    splits.iter().map(|(_, offsets, _)| *offsets).filter(|(start, end)| start < end).collect()
}

/// Ours.
fn own_pieces(segmenter: &Segmenter, text: &str) -> Vec<(usize, usize)> {
    let (mut ends, mut dropped) = (Vec::new(), Vec::new());
    segmenter.spans_and_dropped(text, &mut ends, &mut dropped).unwrap();
    assert_eq!(ends.last().copied().unwrap_or(0) as usize, text.len());
    let start = text.as_ptr() as usize;
    let place = |piece: &str| (piece.as_ptr() as usize - start, piece.as_ptr() as usize - start + piece.len());
    kept_pieces(text, &ends, &dropped).map(place).collect()
}

fn segmenter_of(steps: &Value) -> Segmenter {
    Segmenter::new(Pattern::parse(&steps.to_string()).unwrap(), HanEdges::None).unwrap()
}

/// Numerals of Unicode 17, of which the standard library of the reference's compiler may know.
fn is_newer_numeral(c: char) -> bool {
    matches!(c, '\u{11DE0}'..='\u{11DE9}' | '\u{16FF4}'..='\u{16FF6}')
}

/// Each kind of step by itself, on each character that is assigned in the Unicode version of both.
#[test]
fn every_character_is_cut_as_by_the_reference() {
    let characters: Vec<char> = ('\0'..=char::MAX).filter(|c| !is_newer_numeral(*c)).collect();
    let regex =
        |regex: &str| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Contiguous", "invert": false});
    let steps = [
        json!({"type": "Digits", "individual_digits": true}),
        json!({"type": "Punctuation", "behavior": "Contiguous"}),
        json!({"type": "Whitespace"}),
        json!({"type": "WhitespaceSplit"}),
        regex(r"\w"),
        regex(r"[\W\d]"),
        regex(r"\s"),
    ];
    for step in steps {
        let segmenter = segmenter_of(&step);
        for some in characters.chunks(20_000) {
            let text: String = some.iter().flat_map(|c| [*c, 'a']).collect();
            let (own, reference) = (own_pieces(&segmenter, &text), reference_pieces(&step, &text));
            let differs = own.iter().zip(&reference).find(|(own, reference)| own != reference);
            assert_eq!(differs.map(|(own, _)| &text[own.0..own.1]), None, "{step}");
            assert_eq!(own.len(), reference.len(), "{step}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn any_steps_cut_as_in_the_reference(steps in steps(), seed in any::<u64>()) {
        let segmenter = segmenter_of(&steps);
        for text in hostile(20, seed) {
            let text = text.replace(is_newer_numeral, "");
            prop_assert_eq!(own_pieces(&segmenter, &text), reference_pieces(&steps, &text), "{} {:?}", steps, text);
        }
    }
}

/// Tokenizers with steps are read, give the ids of the reference, and are written as they were read.
#[test]
fn tokenizers_with_steps_give_the_same_ids() {
    let split = |regex: &str, behavior: &str| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": false});
    let byte_level =
        |regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex});
    let texts = corpus();
    let hostile = hostile(3_000, 6);
    let learned = learned(&texts, "cl100k", Han::Runs, 2000);
    for steps in [
        // MiniCPM 5, SuperBPE's first stage, DeepSeek LLM's kind, Falcon's, StarCoder's, a lossy one.
        vec![
            split(r"\p{N}{1,3}", "Isolated"),
            split(r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+", "Isolated"),
            byte_level(false),
        ],
        vec![split(r"\p{N}+", "Isolated"), split(r"(?=(\d{3})+(?!\d))", "Isolated"), byte_level(true)],
        vec![
            split("[\r\n]", "Isolated"),
            split(r"\s?\p{L}+", "Isolated"),
            split(r"\s+$", "Isolated"),
            split(r"\p{N}", "Isolated"),
            byte_level(false),
        ],
        vec![json!({"type": "Punctuation", "behavior": "Contiguous"}), byte_level(true)],
        vec![json!({"type": "Digits", "individual_digits": true}), byte_level(true)],
        vec![json!({"type": "WhitespaceSplit"}), byte_level(false)],
        vec![byte_level(false)],
    ] {
        let mut file: Value = serde_json::from_str(&learned.spec().to_json()).unwrap();
        file["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": steps});
        let spec = TokenizerSpec::from_json(file.to_string().as_bytes()).unwrap();
        let tokenizer = Tokenizer::new(spec).unwrap();
        let mut reference = Reference::from_str(&file.to_string()).unwrap();
        reference.set_encode_special_tokens(true);
        for text in texts.iter().chain(&hostile) {
            let ids = reference.encode(text.as_str(), false).unwrap().get_ids().to_vec();
            assert_eq!(tokenizer.encode(text).unwrap(), ids, "{steps:?} {text:?}");
            assert_eq!(naive_encode(&tokenizer, text).unwrap(), ids);
        }
        let written = tokenizer.spec().to_json();
        assert_eq!(TokenizerSpec::from_json(written.as_bytes()).unwrap(), *tokenizer.spec());
        let mut again = Reference::from_str(&written).unwrap();
        again.set_encode_special_tokens(true);
        for text in &hostile[..500] {
            assert_eq!(
                again.encode(text.as_str(), false).unwrap().get_ids(),
                reference.encode(text.as_str(), false).unwrap().get_ids()
            );
        }
    }
}

/// A tokenizer.json that the reference wrote, with its pairs of merges and its special tokens first.
#[test]
fn reads_what_the_reference_writes() {
    let texts = corpus();
    let own = learned(&texts, "gpt2", Han::Runs, 1000);
    let mut reference = Reference::from_str(&own.spec().to_json()).unwrap();
    reference.with_pre_tokenizer(Some(tokenizers::pre_tokenizers::byte_level::ByteLevel::new(false, true, true)));
    let json = reference.to_string(true).unwrap();
    let back = TokenizerSpec::from_json(json.as_bytes()).unwrap();
    assert_eq!(back, *own.spec());
}

/// Words when encoding cannot be said in that library: it must refuse the file, not give other ids.
#[test]
fn words_when_encoding_are_refused_there() {
    let tokenizer = learned(&corpus(), "ciyuan", Han::Words, 1000);
    let json = tokenizer.spec().to_json();
    assert!(Reference::from_str(&json).is_err());
    assert_eq!(TokenizerSpec::from_json(json.as_bytes()).unwrap(), *tokenizer.spec());
    assert!(tokenizer.spec().to_tiktoken().is_err());
}
