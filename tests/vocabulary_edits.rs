//! Edits of a tokenizer: the ids they give, against the plain loop and Hugging Face's `tokenizers`, and their files.

use std::collections::HashSet;
use std::str::FromStr;

use ciyuan::encode::{Tokenizer, naive_encode};
use ciyuan::segment::{Han, HanEdges};
use ciyuan::vocab::{AddedToken, Merge, Reduced, TokenId, TokenizerSpec, Vocab};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokenizers::Tokenizer as Reference;

use super::common::{corpus, hostile, learned};

fn base() -> &'static Tokenizer {
    static BASE: std::sync::LazyLock<Tokenizer> =
        std::sync::LazyLock::new(|| learned(&corpus()[..16], "cl100k", Han::Runs, 1200));
    &BASE
}

fn run(spec: &TokenizerSpec) -> Tokenizer {
    Tokenizer::new(spec.clone()).unwrap()
}

/// Written as tokenizer.json, it is read as it was, and gives the ids of the reference and of the plain loop.
fn holds(spec: &TokenizerSpec, texts: &[String]) {
    let tokenizer = run(spec);
    let json = spec.to_json();
    let again = TokenizerSpec::from_json(json.as_bytes()).unwrap();
    assert_eq!((&again, again.fingerprint()), (spec, spec.fingerprint()));
    let mut reference = Reference::from_str(&json).unwrap();
    for text in texts {
        reference.set_encode_special_tokens(true);
        let ids = reference.encode(text.as_str(), false).unwrap().get_ids().to_vec();
        assert_eq!(tokenizer.encode(text).unwrap(), ids, "{text:?}");
        assert_eq!(naive_encode(&tokenizer, text).unwrap(), ids, "{text:?}");
        reference.set_encode_special_tokens(false);
        let names: Vec<&str> = spec.special().iter().map(|(_, name)| name).collect();
        let ids = reference.encode(text.as_str(), false).unwrap().get_ids().to_vec();
        assert_eq!(tokenizer.encode_with(text, &names).unwrap(), ids, "{text:?}");
    }
}

/// The ids of a text by the first merges alone: tokens by bytes, lowest rank first, leftmost of equal ones.
fn by_first_merges(tokenizer: &Tokenizer, merges: usize, text: &str) -> Vec<Vec<u8>> {
    let spec = tokenizer.spec();
    let merges = &spec.merges().as_slice()[..merges];
    let ranks: std::collections::HashMap<_, _> =
        merges.iter().enumerate().map(|(rank, merge)| ((merge.left, merge.right), (rank, merge.result))).collect();
    let mut ends = Vec::new();
    tokenizer.segmenter().spans(text, &mut ends).unwrap();
    let (mut tokens, mut start) = (Vec::new(), 0);
    for end in ends {
        let piece = &text.as_bytes()[std::mem::replace(&mut start, end as usize)..end as usize];
        let mut ids: Vec<TokenId> = piece.iter().map(|byte| spec.vocab().id(&[*byte]).unwrap()).collect();
        while let Some((rank, at)) =
            (1..ids.len()).filter_map(|at| ranks.get(&(ids[at - 1], ids[at])).map(|(rank, _)| (*rank, at))).min()
        {
            ids[at - 1] = merges[rank].result;
            ids.remove(at);
        }
        tokens.extend(ids.iter().map(|id| spec.vocab().token(*id).unwrap().to_vec()));
    }
    tokens
}

fn renumbered(reduced: &Reduced, ids: &[TokenId]) -> Vec<TokenId> {
    ids.iter().map(|id| reduced.ids[*id as usize].expect("a token that is used stays")).collect()
}

/// Added tokens in all places: before the merges, among them, behind them.
fn with_added_tokens() -> TokenizerSpec {
    let spec = base().spec().truncated(900).unwrap().spec;
    let spec = spec.with_required(&["语言模型".to_owned(), "<tool>".to_owned()]).unwrap();
    let pairs: Vec<(TokenId, TokenId)> = (300..420).step_by(2).map(|id| (id, id + 1)).collect();
    spec.extended(&pairs).unwrap().padded(64).unwrap()
}

#[test]
fn edited_tokenizers_are_those_of_their_files() {
    let texts: Vec<String> = corpus()[..6].iter().cloned().chain(hostile(300, 21)).collect();
    let with_names: Vec<String> = texts
        .iter()
        .map(|text| format!("{}<tool>语言模型们<|reserved_0|> a", text.chars().take(80).collect::<String>()))
        .collect();
    let texts = [texts, with_names].concat();
    let spec = with_added_tokens();
    assert!(spec.vocab_size().is_multiple_of(64) && spec.special().id("<|reserved_0|>").is_some());
    holds(&spec, &texts);
    for size in [321, 700, 899, 903, 930] {
        let cut = spec.truncated(size).unwrap();
        assert_eq!(cut.spec.vocab_size(), size);
        holds(&cut.spec, &texts);
    }
    let pruned = spec.pruned(|id| id.is_multiple_of(3)).unwrap();
    assert!(pruned.kept_for_others > 0 && pruned.spec.vocab_size() < spec.vocab_size());
    holds(&pruned.spec, &texts);
    holds(&pruned.spec.extended(&[(0, 1), (1, 2)]).unwrap(), &texts);
}

#[test]
fn learning_continued_is_learning() {
    let base = base().spec();
    let pairs: Vec<(TokenId, TokenId)> =
        base.merges().as_slice().iter().map(|merge| (merge.left, merge.right)).collect();
    let learned = |pairs| TokenizerSpec::from_learned(base.pattern().to_owned(), HanEdges::None, pairs, &[]).unwrap();
    assert_eq!(learned(&pairs[..300]).extended(&pairs[300..]).unwrap(), learned(&pairs));
    // And cut back again.
    assert_eq!(learned(&pairs).truncated(556).unwrap().spec, learned(&pairs[..300]));
}

#[test]
fn ids_that_stay() {
    let base = base().spec();
    let cut = base.truncated(700).unwrap();
    // The special token follows the ordinary ones, which keep their ids.
    assert_eq!((cut.spec.special().id("<|endoftext|>"), base.special().id("<|endoftext|>")), (Some(699), Some(1199)));
    assert!(
        (0..699).all(|id| cut.ids[id as usize] == Some(id) && cut.spec.vocab().token(id) == base.vocab().token(id))
    );
    assert_eq!((&cut.ids[699..1199], cut.ids[1199]), (&[None; 500][..], Some(699)));
    // Behind it, more tokens; cut again, it keeps its id.
    let more = base.extended(&[(300, 301), (1200, 302), (300, 301 + 40)]).unwrap();
    let cut = more.truncated(1201).unwrap();
    assert_eq!((cut.spec.vocab_size(), cut.spec.special().id("<|endoftext|>")), (1201, Some(1199)));
    assert_eq!(cut.spec.vocab().token(1200), more.vocab().token(1200));
    // One that is small enough is as it was.
    let same = more.truncated(5000).unwrap();
    assert_eq!((&same.spec, same.ids.iter().flatten().count()), (&more, 1203));
    let error = base.truncated(256).unwrap_err().to_string();
    assert!(error.contains("256 is too small") && error.contains("1 special tokens need 257"), "{error}");
    assert_eq!(base.truncated(257).unwrap().spec.merges().len(), 0);
}

#[test]
fn a_pair_of_bytes_that_are_there_takes_their_id() {
    let spec = |pairs| TokenizerSpec::from_learned(".+".to_owned(), HanEdges::None, pairs, &[]).unwrap();
    // ab, bc, abc of ab and c; then a and bc.
    let more = spec(&[(64, 65), (65, 66), (256, 66)]).extended(&[(64, 257), (258, 258)]).unwrap();
    assert_eq!(more.merges().as_slice()[3], Merge { left: 64, right: 257, result: 258 });
    assert_eq!((more.vocab_size(), more.vocab().token(259)), (260, Some(&b"abcabc"[..])));
    holds(&more, &["abcabcab".to_owned(), "bcabcc".to_owned()]);
    // Each merge of what stays keeps its parts.
    let pruned = more.pruned(|id| id == 258).unwrap();
    assert_eq!((pruned.kept_for_others, pruned.spec.merges().len()), (2, 4));
}

#[test]
fn words_go_first_and_last_ones_before_others() {
    let words = ["hello", "world", "词元"].map(|word| word.as_bytes().to_vec());
    let special = ["<|endoftext|>".to_owned()];
    let spec = TokenizerSpec::from_words(r"\w+|.".to_owned(), HanEdges::None, &[(64, 65)], &words, &special).unwrap();
    let has = |size: u32, word: &[u8]| spec.truncated(size).unwrap().spec.vocab().id(word).is_some();
    assert_eq!([261, 260, 259, 258, 257].map(|size| has(size, &words[2])), [true, false, false, false, false]);
    assert_eq!([260, 259, 258].map(|size| has(size, b"hello")), [true, true, false]);
    assert_eq!([258, 257].map(|size| has(size, b"ab")), [true, false]);
    holds(&spec.truncated(259).unwrap().spec, &["hello world, ab 词元".to_owned()]);
}

#[test]
fn texts_that_must_be_one_token() {
    let spec = base().spec().with_required(&["New York".to_owned(), "New York".to_owned(), " the".to_owned()]).unwrap();
    assert_eq!(spec.vocab_size(), base().spec().vocab_size() + 1); // once, and ` the` is there
    let ids = run(&spec).encode("in New Yorkers").unwrap();
    assert!(ids.contains(&1200), "{ids:?}");
    holds(&spec, &["in New Yorkers the".to_owned(), "New  York".to_owned()]);
    let refused = |text: &str| base().spec().with_required(&[text.to_owned()]).unwrap_err().to_string();
    assert!(refused("").contains("has no name"));
    assert!(refused("Ġ").contains("another token is written"), "{}", refused("Ġ"));
    // What .tiktoken cannot say is refused; special tokens are given beside the file.
    assert!(spec.to_tiktoken().unwrap_err().to_string().contains("added tokens beside its special ones"));
}

#[test]
fn reserved_tokens_have_free_names() {
    let taken = ["<|reserved_1|>".to_owned(), "<|endoftext|>".to_owned()];
    let spec = TokenizerSpec::from_learned(".+".to_owned(), HanEdges::None, &[], &taken).unwrap();
    let padded = spec.padded(4).unwrap();
    let names: Vec<(u32, &str)> = padded.special().iter().skip(2).collect();
    assert_eq!(names, [(258, "<|reserved_0|>"), (259, "<|reserved_2|>")]);
    assert_eq!((padded.padded(4).unwrap(), spec.padded(1).unwrap()), (padded.clone(), spec.clone()));
    assert_eq!(spec.padded(128).unwrap().vocab_size(), 384);
    holds(&padded, &["a<|reserved_2|>b".to_owned()]);
    assert!([0, 65_537].iter().all(|multiple| spec.padded(*multiple).is_err()));
}

#[test]
fn what_cannot_be_added_is_told() {
    let base = base().spec();
    let refused = |pairs: &[(TokenId, TokenId)]| base.extended(pairs).unwrap_err().to_string();
    assert!(refused(&[(0, 5000)]).contains("an id without a token"));
    assert!(refused(&[(0, 1199)]).contains("an id without a token"), "special tokens are no parts");
    let first = base.merges().as_slice()[0];
    assert!(refused(&[(first.left, first.right)]).contains("twice"));
    // Twice as long each time: 2^11 bytes are too many.
    let doubled: Vec<(TokenId, TokenId)> = std::iter::once((0, 0)).chain((1200..1210).map(|id| (id, id))).collect();
    assert!(refused(&doubled).contains("more than 1,024 bytes"));
    let named = TokenizerSpec::from_learned(".+".to_owned(), HanEdges::None, &[], &["ab".to_owned()]).unwrap();
    assert!(named.extended(&[(64, 65)]).unwrap_err().to_string().contains("written as an added token"));
    let named = TokenizerSpec::from_learned(".+".to_owned(), HanEdges::None, &[], &["aĠ".to_owned()]).unwrap();
    let space = named.vocab().id(b" ").unwrap();
    assert!(named.extended(&[(64, space)]).unwrap_err().to_string().contains("written as an added token"));
}

#[test]
fn vocabularies_of_characters_are_refused() {
    let spec = TokenizerSpec::from_json(super::loading::llama().to_string().as_bytes()).unwrap();
    let all = [
        spec.extended(&[]).err(),
        spec.truncated(400).err(),
        spec.pruned(|_| true).err(),
        spec.with_required(&[]).err(),
        spec.padded(64).err(),
    ];
    assert!(all.iter().all(|error| error.as_ref().unwrap().to_string().contains("only a BPE of bytes")), "{all:?}");
    // Every token of such a vocabulary is asked as well which it is: the trainer's own merges reach them all.
    assert!(run(&spec).unreachable().is_empty());
}

/// The ids that a post-processor names are given anew as all others are, those for pairs of texts too.
#[test]
fn post_processors_follow() {
    let mut file: Value = serde_json::from_str(&base().spec().to_json()).unwrap();
    let end = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let text = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
    file["post_processor"] = json!({"type": "Sequence", "processors": [{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}, {
        "type": "TemplateProcessing", "single": [end("<|endoftext|>"), text("A")],
        "pair": [text("A"), end("x"), text("B")],
        "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [1199], "tokens": ["<|endoftext|>"]},
            "x": {"id": "x", "ids": [1190], "tokens": ["x"]}}}]});
    let spec = TokenizerSpec::from_json(file.to_string().as_bytes()).unwrap();
    let cut = spec.truncated(400).unwrap();
    let kept = cut.ids[1190].expect("what is named stays");
    assert_eq!(cut.spec.vocab().token(kept), spec.vocab().token(1190));
    let again: Value = serde_json::from_str(&cut.spec.to_json()).unwrap();
    let tokens = &again["post_processor"]["processors"][1]["special_tokens"];
    assert_eq!((&tokens["<|endoftext|>"]["ids"], &tokens["x"]["ids"]), (&json!([399]), &json!([kept])));
    assert_eq!(run(&cut.spec).encode_for_model("a").unwrap()[0], 399);
    let reference = Reference::from_str(&cut.spec.to_json()).unwrap();
    assert_eq!(reference.encode("a", true).unwrap().get_ids(), run(&cut.spec).encode_for_model("a").unwrap());
    file["post_processor"]["processors"][1]["special_tokens"]["x"]["ids"] = json!([5000]);
    let spec = TokenizerSpec::from_json(file.to_string().as_bytes()).unwrap();
    assert!(spec.pruned(|_| true).unwrap_err().to_string().contains("names an id without a token"));
}

/// Of an added token whose merges go the ordinary one goes as well, as no file could say it; a byte stays both.
#[test]
fn an_added_token_that_no_merge_makes_any_more() {
    let vocab =
        Vocab::new((0..=255u8).map(|byte| (TokenId::from(byte), vec![byte])).chain([(256, b"ab".to_vec())]).collect());
    let merge = Merge { left: 97, right: 98, result: 256 };
    let (special, pattern) = (vec![(256, "ab".to_owned()), (97, "a".to_owned())], ".+".to_owned());
    let spec = TokenizerSpec::new(pattern, HanEdges::None, vocab.unwrap(), vec![merge], special, false).unwrap();
    let texts = ["abab a".to_owned()];
    holds(&spec, &texts);
    let cut = spec.truncated(257).unwrap().spec;
    assert_eq!((cut.vocab().len(), cut.added().len(), cut.merges().len()), (257, 2, 1));
    holds(&cut, &texts);
    let longer = spec.extended(&[(256, 99)]).unwrap();
    let cut = longer.truncated(257).unwrap().spec;
    holds(&cut, &texts);
    assert_eq!(cut.added()[1], AddedToken::special(256, "ab".to_owned()));
}

/// A vocabulary with the whole of tiktoken's form, there and back.
#[test]
fn tiktoken_files() {
    let learned = base().spec().to_tiktoken().unwrap();
    let end = |id| vec![(id, "<|endoftext|>".to_owned())];
    let spec = TokenizerSpec::from_tiktoken(learned.as_bytes(), base().spec().pattern(), end(1199)).unwrap();
    let cut = spec.truncated(800).unwrap().spec;
    let again = TokenizerSpec::from_tiktoken(cut.to_tiktoken().unwrap().as_bytes(), cut.pattern(), end(799)).unwrap();
    assert_eq!(again.fingerprint(), cut.fingerprint());
    // With tokens gone from among the others the ranks may say other merges: it is the same, or an error.
    let pruned = spec.pruned(|id| id % 2 == 0).unwrap().spec;
    match pruned.to_tiktoken() {
        Ok(file) => {
            let special = end(pruned.special().end_of_text().unwrap());
            let again = TokenizerSpec::from_tiktoken(file.as_bytes(), pruned.pattern(), special).unwrap();
            assert_eq!(again.fingerprint(), pruned.fingerprint());
        }
        Err(error) => assert!(error.to_string().contains("cannot be written as .tiktoken"), "{error}"),
    }
}

/// Merges over two letters, in which parts may be made late, tokens twice, and some never.
fn any_spec() -> impl Strategy<Value = TokenizerSpec> {
    let choice = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    (prop::collection::vec(choice, 1..24), any::<u64>(), any::<bool>()).prop_map(|(choices, seed, shuffled)| {
        let special = ["<|end|>".to_owned()];
        let mut spec = TokenizerSpec::from_learned("[ab]+|.".to_owned(), HanEdges::None, &[], &special).unwrap();
        let mut tokens = vec![64, 65];
        for (left, right) in choices {
            // Pairs that are there already are refused.
            let more = spec.extended(&[(*left.get(&tokens), *right.get(&tokens))]).unwrap_or_else(|_| spec.clone());
            tokens.extend(spec.vocab_size()..more.vocab_size());
            spec = more;
        }
        if !shuffled {
            return spec;
        }
        let mut merges = spec.merges().as_slice().to_vec();
        let mut random = super::common::Random(seed);
        (1..merges.len()).for_each(|at| merges.swap(at, random.below(at + 1)));
        let special = vec![(256, "<|end|>".to_owned())];
        TokenizerSpec::new(spec.pattern().to_owned(), HanEdges::None, spec.vocab().clone(), merges, special, false)
            .unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_cut_tokenizer_merges_by_the_first_merges(spec in any_spec(), room: prop::sample::Index, text in "[ab]{0,40}") {
        let size = 257 + room.index(spec.vocab_size() as usize - 256) as u32;
        let cut = spec.truncated(size).unwrap();
        prop_assert!(cut.spec.vocab_size() <= size);
        let tokenizer = run(&cut.spec);
        let ids = tokenizer.encode(&text).unwrap();
        let tokens: Vec<Vec<u8>> = ids.iter().map(|id| cut.spec.vocab().token(*id).unwrap().to_vec()).collect();
        prop_assert_eq!(tokens, by_first_merges(&run(&spec), cut.spec.merges().len(), &text));
        // Another merge would have been one too many.
        let merges = spec.merges().as_slice();
        if let Some(next) = merges.get(cut.spec.merges().len()) {
            let missing: HashSet<TokenId> = [next.left, next.right, next.result]
                .into_iter()
                .filter(|id| cut.ids[*id as usize].is_none())
                .collect();
            prop_assert!(cut.spec.vocab_size() as usize + missing.len() > size as usize);
        }
        prop_assert_eq!(TokenizerSpec::from_json(cut.spec.to_json().as_bytes()).unwrap(), cut.spec);
    }

    #[test]
    fn what_a_text_does_not_use_may_go(spec in any_spec(), text in "[ab ]{0,60}", others in "[ab]{0,30}") {
        let ids = run(&spec).encode(&text).unwrap();
        let pruned = spec.pruned(|id| ids.contains(&id)).unwrap();
        let tokenizer = run(&pruned.spec);
        prop_assert_eq!(tokenizer.encode(&text).unwrap(), renumbered(&pruned, &ids));
        prop_assert_eq!(pruned.ids.iter().flatten().count() as u32, pruned.spec.vocab_size());
        // All merges of a token that stays are there, and the plain way agrees on other texts too.
        prop_assert_eq!(tokenizer.encode(&others).unwrap(), naive_encode(&tokenizer, &others).unwrap());
        prop_assert_eq!(TokenizerSpec::from_json(pruned.spec.to_json().as_bytes()).unwrap(), pruned.spec);
    }

    #[test]
    fn unreachable_tokens_are_in_no_text(spec in any_spec(), texts in prop::collection::vec("[ab]{0,60}", 8)) {
        let tokenizer = run(&spec);
        let unreachable = tokenizer.unreachable();
        for (id, bytes) in spec.vocab().iter().skip(256) {
            let merged = by_first_merges(&tokenizer, spec.merges().len(), std::str::from_utf8(bytes).unwrap());
            prop_assert_eq!(unreachable.contains(&id), merged != [bytes.to_vec()]);
        }
        let pruned = spec.pruned(|id| !unreachable.contains(&id)).unwrap();
        let rest = run(&pruned.spec);
        for text in &texts {
            let ids = tokenizer.encode(text).unwrap();
            prop_assert!(ids.iter().all(|id| !unreachable.contains(id)));
            prop_assert_eq!(rest.encode(text).unwrap(), renumbered(&pruned, &ids));
        }
    }
}
