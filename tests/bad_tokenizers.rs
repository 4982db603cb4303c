//! Tokenizer files that are odd or hostile: an error that names the place, or the ids of the reference.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ciyuan::Error;
use ciyuan::encode::{Tokenizer, naive_encode};
use ciyuan::error::TokenizerFault;
use ciyuan::pipeline::{MAX_TOKENIZER_BYTES, load_tokenizer};
use ciyuan::segment::{Han, HanEdges};
use ciyuan::vocab::TokenizerSpec;
use serde_json::{Value, json};
use tiktoken_rs::CoreBPE;

use super::common::{Random, Workshop, corpus, hostile, learned};

fn small() -> Tokenizer {
    learned(&["aaaa bbbb abab 词元词元 the then there".to_owned()], "cl100k", Han::Runs, 280)
}

/// A `.tiktoken` file of the 256 bytes, and of tokens with ids from 256 on.
fn tiktoken_file(tokens: &[Vec<u8>]) -> String {
    let bytes = (0..=255u8).map(|byte| vec![byte]);
    let line = |(id, token): (usize, Vec<u8>)| format!("{} {id}\n", STANDARD.encode(token));
    bytes.chain(tokens.iter().cloned()).enumerate().map(line).collect()
}

/// Tokens in any order, those of parts behind those of wholes among them, and some that no merges reach.
#[test]
fn tokens_before_their_parts_have_the_ids_of_tiktoken() {
    let mut random = Random(3);
    let (mut unreached, mut plain) = (0, 0);
    for round in 0..300 {
        let mut tokens: Vec<Vec<u8>> = Vec::new();
        for _ in 0..2 + random.below(20) {
            let token: Vec<u8> = (0..2 + random.below(4)).map(|_| b"abc"[random.below(3)]).collect();
            if !tokens.contains(&token) {
                tokens.insert(random.below(tokens.len() + 1), token);
            }
        }
        let file = tiktoken_file(&tokens);
        let ranks = (0..=255u8).map(|byte| vec![byte]).chain(tokens.iter().cloned());
        let ranks = ranks.enumerate().map(|(id, token)| (token, id as u32)).collect();
        let reference = CoreBPE::new(ranks, Default::default(), "[a-c]+|.").unwrap();
        let spec = TokenizerSpec::from_tiktoken(file.as_bytes(), "[a-c]+|.", vec![]).unwrap();
        let tokenizer = Tokenizer::new(spec).unwrap();
        unreached += tokenizer.paths().unreached;
        let merges = tokenizer.spec().merges().as_slice();
        plain += usize::from(merges.iter().any(|merge| merge.left.max(merge.right) > merge.result));
        for _ in 0..40 {
            let text: String = (0..random.below(24)).map(|_| ['a', 'b', 'c', ' '][random.below(4)]).collect();
            let ids = tokenizer.encode(&text).unwrap();
            assert_eq!(ids, reference.encode_ordinary(&text), "round {round}: {text:?} {tokens:?}");
            assert_eq!(ids, naive_encode(&tokenizer, &text).unwrap());
        }
    }
    assert!(unreached > 100 && plain > 100, "{unreached} {plain}");
}

/// Merges whose ranks are not those of their parts: the list is shuffled.
#[test]
fn merges_before_their_parts_have_the_ids_of_hugging_face() {
    let mut random = Random(4);
    let texts: Vec<String> = corpus().into_iter().take(3).chain(hostile(300, 9)).collect();
    let tokenizer = learned(&texts, "cl100k", Han::Runs, 500);
    let mut json: Value = serde_json::from_str(&tokenizer.spec().to_json()).unwrap();
    for _ in 0..3 {
        let merges = json["model"]["merges"].as_array_mut().unwrap();
        for at in (1..merges.len()).rev() {
            merges.swap(at, random.below(at + 1));
        }
        let shuffled = Tokenizer::new(TokenizerSpec::from_json(json.to_string().as_bytes()).unwrap()).unwrap();
        assert!(shuffled.paths().reached.starts_with("plain"), "{:?}", shuffled.paths());
        let reference = json.to_string().parse::<tokenizers::Tokenizer>().unwrap();
        // The reference takes special tokens out of the text, wherever they stand.
        let texts = texts.iter().filter(|text| !text.contains("<|endoftext|>"));
        for text in texts.map(|text| text.chars().take(3000).collect::<String>()) {
            let wanted = reference.encode(text.as_str(), false).unwrap();
            assert_eq!(shuffled.encode(&text).unwrap(), wanted.get_ids(), "{text:?}");
        }
    }
}

#[test]
fn ids_with_holes() {
    let mut json: Value = serde_json::from_str(&small().spec().to_json()).unwrap();
    let token = small().spec().vocab().iter().map(|(id, _)| id).max().unwrap();
    for id in json["model"]["vocab"].as_object_mut().unwrap().values_mut().filter(|id| **id == json!(token)) {
        *id = json!((1 << 24) - 1);
    }
    let tokenizer = Tokenizer::new(TokenizerSpec::from_json(json.to_string().as_bytes()).unwrap()).unwrap();
    let text = "aaaa bbbb abab 词元词元 the then there";
    let ids = tokenizer.encode(text).unwrap();
    let wanted: Vec<u32> =
        small().encode(text).unwrap().into_iter().map(|id| if id == token { (1 << 24) - 1 } else { id }).collect();
    assert_eq!(ids, wanted);
    assert_eq!(tokenizer.decode(&ids).unwrap(), text.as_bytes());
    for id in [token, 500, (1 << 24) - 2, 1 << 24, u32::MAX] {
        let error = tokenizer.decode(&[0, id]).unwrap_err();
        assert!(matches!(error, Error::UnknownToken { position: 1, .. }), "{id}: {error}");
    }
}

#[test]
fn ids_of_more_than_24_bits() {
    let mut json: Value = serde_json::from_str(&small().spec().to_json()).unwrap();
    json["model"]["vocab"]["zz"] = json!(1 << 24);
    let error = TokenizerSpec::from_json(json.to_string().as_bytes()).unwrap_err().to_string();
    assert!(error.contains("id 16777216 is above the limit of 16777215"), "{error}");
    let file = tiktoken_file(&[]) + "enp6 16777216\n";
    let error = TokenizerSpec::from_tiktoken(file.as_bytes(), ".", vec![]).unwrap_err().to_string();
    assert!(error.contains("id 16777216 is above the limit of 16777215"), "{error}");
}

#[test]
fn lone_surrogates_are_no_text() {
    let json = small().spec().to_json();
    for wrong in [r#""\ud800": 900, "#, r#""a\udfff": 900, "#, r#""\ud800\u0041": 900, "#] {
        let file = json.replacen("\"vocab\": {", &format!("\"vocab\": {{{wrong}"), 1);
        assert_ne!(file, json);
        let error = TokenizerSpec::from_json(file.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("not a tokenizer.json") && error.contains("line"), "{error}");
    }
}

#[test]
fn a_file_that_is_not_utf8_is_refused_where_it_is_not() {
    let json = small().spec().to_json();
    let line = 1 + json[..json.find("\"vocab\": {").unwrap()].matches('\n').count();
    for wrong in [&b"\"a\xff\": 900, "[..], b"\"\xe8\xaf\": 900, ", b"\"\xed\xa0\x80\": 900, "] {
        let mut file = json.clone().into_bytes();
        let place = json.find("\"vocab\": {").unwrap() + "\"vocab\": {".len();
        file.splice(place..place, wrong.iter().copied());
        let error = TokenizerSpec::from_json(&file).unwrap_err().to_string();
        assert!(error.contains("not a tokenizer.json") && error.contains(&format!("line {line} ")), "{error}");
    }
}

#[test]
fn lines_of_tiktoken_files() {
    let good = tiktoken_file(&[b"ab".to_vec()]);
    let spec = TokenizerSpec::from_tiktoken(good.as_bytes(), ".+", vec![]).unwrap();
    let read = |file: String| TokenizerSpec::from_tiktoken(file.as_bytes(), ".+", vec![]);
    // Line ends of any kind, spaces and empty lines.
    assert_eq!(read(good.replace('\n', "\r\n")).unwrap(), spec);
    assert_eq!(read(good.replace('\n', " \n\n")).unwrap(), spec);
    assert_eq!(read(good.trim_end().to_owned()).unwrap(), spec);
    for (line, why) in [
        ("YWI 257", "not base64"),
        ("YWI== 257", "not base64"),
        ("YW=I 257", "not base64"),
        ("YWJ= 257", "not base64"),
        ("Y 257", "not base64"),
        ("YW-_ 257", "not base64"),
        ("= 257", "not base64"),
        ("YWM=", "two words"),
        ("YWM= 257 1", "two words"),
        ("YWM= -1", "not a number"),
        ("YWM= 0x1", "not a number"),
        ("YWM= 99999999999999999999", "not a number"),
        ("YWM= 二", "not a number"),
    ] {
        let error = read(format!("{good}{line}\n")).unwrap_err().to_string();
        assert!(error.contains("line 258") && error.contains(why), "{line}: {error}");
    }
    let error = read(format!("\u{FEFF}{good}")).unwrap_err().to_string();
    assert!(error.contains("line 1") && error.contains("byte order mark; save it as UTF-8 without one"), "{error}");
    let long = format!("{good}{} 257\n", STANDARD.encode([b'a'; 1025]));
    assert!(read(long).unwrap_err().to_string().contains("longer than 1,024 bytes"));
    let longest = format!("{good}{} 257\n", STANDARD.encode([b'a'; 1024]));
    assert_eq!(read(longest).unwrap().merges().len(), 1);
}

#[test]
fn a_file_above_the_limit_is_not_read() {
    let workshop = Workshop::new();
    let path = workshop.write("huge.json", "{");
    std::fs::File::options().write(true).open(&path).unwrap().set_len(MAX_TOKENIZER_BYTES + 1).unwrap();
    let error = load_tokenizer(&path, None, &[]).unwrap_err().to_string();
    assert!(error.contains("huge.json") && error.contains("above the limit of 268435456"), "{error}");
    // What has no length to ask for ends as well.
    workshop.run_with(&["count", "-t", "huge.json", "-"], b"x").fails(1, &["huge.json", "above the limit"]);
}

#[test]
fn pieces_of_megabytes() {
    let small = small();
    let mut whole = small.spec().to_tiktoken().unwrap();
    whole.push_str("eHl6 279\n"); // "xyz", which no merges reach, so that each piece is looked up whole
    let whole = TokenizerSpec::from_tiktoken(whole.as_bytes(), small.spec().pattern(), vec![]).unwrap();
    let whole = Tokenizer::new(whole).unwrap();
    assert_eq!(whole.encode("xyz").unwrap(), [279]);
    for piece in ["a".repeat(3 << 20), "ab".repeat(1 << 20), "词元".repeat(500_000), "xyz".repeat(1 << 20)] {
        for tokenizer in [&small, &whole] {
            let ids = tokenizer.encode(&piece).unwrap();
            assert_eq!(tokenizer.decode(&ids).unwrap(), piece.as_bytes());
        }
    }
}

fn fault(file: &[u8]) -> String {
    let error = Tokenizer::from_prebuilt(file).unwrap_err();
    assert!(matches!(error, Error::Tokenizer(TokenizerFault::Prebuilt { .. })), "{error}");
    error.to_string()
}

#[test]
fn prebuilt_files_that_are_damaged() {
    let file = small().to_prebuilt().unwrap();
    for end in (0..300).chain((300..file.len()).step_by(997)).chain(file.len() - 9..file.len()) {
        fault(&file[..end]);
    }
    for at in (0..300).chain((300..file.len()).step_by(1009)).chain(file.len() - 9..file.len()) {
        let mut flipped = file.clone();
        flipped[at] ^= 1 << (at % 8);
        fault(&flipped);
    }
    assert!(fault(&[&file[..], b"\0"].concat()).contains("does not end where its fields say"));
    let mut other = file.clone();
    other[8] += 1;
    assert!(fault(&other).contains("at byte 8: it was written by another version; write it again"));
    assert!(fault(b"").contains("its first bytes are others"));
    assert!(Tokenizer::from_prebuilt(&file).is_ok());
}

/// Somebody who makes the checksum fit gets an error, or some tokenizer, and never a panic.
#[test]
fn prebuilt_files_that_are_forged() {
    let file = small().to_prebuilt().unwrap();
    let mut random = Random(11);
    let (mut refused, mut taken) = (0, 0);
    for round in 0..600 {
        let mut forged = file[..file.len() - 8].to_vec();
        for _ in 0..1 + random.below(4) {
            // Numbers at any place, more often in the fields and the small tables at the front.
            let end = [120, 20_000, forged.len()][random.below(3)];
            let at = 16 + random.below(end - 20);
            let value = [0, u32::MAX, random.next() as u32, random.below(600) as u32][random.below(4)];
            forged[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        // A table of all ones has no empty slot.
        if round % 50 == 0 {
            let at = 120 + random.below(forged.len() - 20_000);
            forged[at..at + 19_000].fill(0xFF);
        }
        forged.extend(xxhash_rust::xxh3::xxh3_64(&forged).to_le_bytes());
        match Tokenizer::from_prebuilt(&forged) {
            Err(error) => {
                assert!(matches!(error, Error::Tokenizer(_) | Error::Pattern { .. }), "{error}");
                refused += 1;
            }
            Ok(tokenizer) => {
                taken += 1;
                for text in ["aaaa bbbb abab 词元词元 the then there xyz", "é𠮷\u{FFFF}\u{0}  \n"] {
                    if let Ok(ids) = tokenizer.encode(text) {
                        let _ = tokenizer.decode(&ids);
                    }
                }
                let _ = (tokenizer.token_id(b"ab"), tokenizer.token_id(b"none"), tokenizer.text_lengths());
            }
        }
    }
    assert!(refused > 100 && taken > 20, "{refused} refused, {taken} taken");
}

/// What the tables hold may only change with their version: raise it, then put the new sum here.
#[test]
fn prebuilt_tables_are_those_of_their_version() {
    let (e8, af, a) = (165, 107, 64);
    let pairs = [(e8, af), (256, a), (a, a), (258, 258)];
    let spec = TokenizerSpec::from_learned("[a-z]+|.".to_owned(), HanEdges::None, &pairs, &[]).unwrap();
    let file = Tokenizer::new(spec).unwrap().to_prebuilt().unwrap();
    // Behind the fields and the first section, which is JSON, up to the checksum.
    let json = u64::from_le_bytes(file[40..48].try_into().unwrap()) as usize;
    let tables = &file[(120 + json).next_multiple_of(8)..file.len() - 8];
    assert_eq!((file[8], tables.len(), xxhash_rust::xxh3::xxh3_64(tables)), (2, 1_709_568, 13_761_988_887_589_415_185));
}

#[test]
fn prebuilt_files_are_tokenizers_for_every_command() {
    let workshop = Workshop::new();
    let tokenizer = small();
    workshop.write("t.json", tokenizer.spec().to_json());
    let facts = workshop.run(&["inspect", "t.json", "--prebuilt", "t.ciyuan", "--json"]).json();
    assert_eq!(facts["path_of_pieces"], "fast: by blocks");
    let again = workshop.run(&["inspect", "t.ciyuan", "--json"]).json();
    assert_eq!((&again["fingerprint"], &again["merges"]), (&facts["fingerprint"], &facts["merges"]));
    assert_eq!(again["path_of_reached"], "fast: read with the tables");
    let ids = |file: &'static str| {
        workshop.run_with(&["tokenize", "-t", file, "--json"], "词元 there".as_bytes()).json()["ids"].clone()
    };
    assert_eq!(ids("t.ciyuan"), ids("t.json"));
    let bytes = std::fs::read(workshop.path("t.ciyuan")).unwrap();
    workshop.write("cut.ciyuan", &bytes[..bytes.len() / 2]);
    workshop
        .run(&["inspect", "cut.ciyuan"])
        .fails(3, &["cut.ciyuan", "it is cut off", "ciyuan inspect tokenizer.json --prebuilt FILE"]);
    workshop.write("t.tiktoken", tokenizer.spec().to_tiktoken().unwrap());
    workshop.run(&["inspect", "t.tiktoken"]).fails(2, &["pattern"]);
    let facts = workshop.run(&["inspect", "t.tiktoken", "--pattern", "cl100k", "--json"]).json();
    assert_eq!(facts["path_of_reached"], "fast: merges were recovered from the tokens");
}
