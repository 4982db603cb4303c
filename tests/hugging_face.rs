//! Merges and ids against Hugging Face's `tokenizers`.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::str::FromStr;

use ciyuan::learn::{Counts, LearnConfig, VocabSize, learn};
use ciyuan::segment::{Han, HanEdges, NAMED_PATTERNS, Pattern, Segmenter};
use ciyuan::vocab::{TokenizerSpec, char_of_byte};
use serde_json::json;
use tokenizers::models::bpe::{BPE, BpeTrainer};
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
    let config = LearnConfig { vocab_size: VocabSize::Tokens(vocab_size), special: vec![], min_count: 1 };
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

/// What we write loads in the reference and gives the same ids, special tokens in the text being ordinary text.
#[test]
fn tokenizer_json_gives_the_same_ids() {
    let texts = corpus();
    let hostile = hostile(20_000, 2);
    for (pattern, han) in
        [("ciyuan", Han::LearnWords), ("cl100k", Han::Runs), ("ciyuan", Han::Chars), ("o200k", Han::LearnWords)]
    {
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
