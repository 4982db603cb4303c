//! `tokenizer.json`, the format of Hugging Face's `tokenizers`, for byte-level BPE.
//!
//! What is written loads there and gives the same ids. What is read must be of the same kind: any steps that
//! [`Pattern`](crate::segment::Pattern) knows, and `ByteLevel` behind them; a component that would change ids and is
//! not known here is an error that names it. Characters as edges are a second `Split`; words as edges have no counterpart
//! in that library, so they are written as a component of our own, which it refuses to load rather than to run wrongly.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::byte_level::{push_bytes, to_chars};
use super::json_lists::{Entries, MergeList};
use super::{MAX_ID, MAX_TOKEN_BYTES, Merge, TokenId, TokenizerSpec, Vocab};
use crate::error::{Error, Result, TokenizerFault};
use crate::segment::{HanEdges, Pattern, split_by, steps_of_pattern};

const HAN_CHARACTER: &str = r"\p{Han}";

#[derive(Serialize, Deserialize)]
struct File {
    #[serde(default)]
    version: Value,
    #[serde(default)]
    truncation: Value,
    #[serde(default)]
    padding: Value,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: Model,
}

#[derive(Serialize, Deserialize)]
struct AddedToken {
    id: u64,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    special: bool,
}

#[derive(Serialize, Deserialize)]
struct Model {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    dropout: Option<f64>,
    #[serde(default)]
    unk_token: Option<String>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    vocab: Entries,
    merges: MergeList,
}

impl TokenizerSpec {
    /// The tokenizer of a `tokenizer.json` file.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenizer`] for what is no such file, for a component that is not supported, and for parts that do not
    /// fit together.
    pub fn from_json(file: &[u8]) -> Result<Self> {
        let json = |error: serde_json::Error| TokenizerFault::Json { reason: error.to_string() };
        let file: File = serde_json::from_slice(file).map_err(json)?;
        refuse_unsupported(&file)?;
        let (pattern, han) = read_pre_tokenizer(&file.pre_tokenizer)?;
        let special = read_added_tokens(&file.added_tokens)?;
        let (vocab, merges) = read_model(&file.model, &special)?;
        Self::new(pattern, han, vocab, merges, special, file.model.ignore_merges)
    }

    /// The `tokenizer.json` file of this tokenizer.
    #[must_use]
    pub fn to_json(&self) -> String {
        let form = |id: TokenId| to_chars(self.vocab.token(id).unwrap_or_default());
        let added_tokens = self.special.iter().map(|(id, content)| AddedToken {
            id: u64::from(id),
            content: content.to_owned(),
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: true,
        });
        let file = File {
            version: json!("1.0"),
            truncation: Value::Null,
            padding: Value::Null,
            added_tokens: added_tokens.collect(),
            normalizer: Value::Null,
            pre_tokenizer: write_pre_tokenizer(&self.pattern, self.han),
            post_processor: Value::Null,
            decoder: json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
            model: Model {
                kind: Some("BPE".to_owned()),
                dropout: None,
                unk_token: None,
                continuing_subword_prefix: None,
                end_of_word_suffix: None,
                fuse_unk: false,
                byte_fallback: false,
                ignore_merges: self.whole_pieces,
                vocab: Entries::of(self.vocab.iter().map(|(id, bytes)| (to_chars(bytes), u64::from(id)))),
                merges: MergeList::of(self.merges.as_slice().iter().map(|merge| [merge.left, merge.right].map(form))),
            },
        };
        serde_json::to_string_pretty(&file).expect("strings, numbers and maps with string keys always serialize")
    }
}

fn write_pre_tokenizer(pattern: &str, han: HanEdges) -> Value {
    let mut steps = steps_of_pattern(pattern);
    match han {
        HanEdges::None => {}
        HanEdges::Chars => steps.push(split_by(HAN_CHARACTER)),
        HanEdges::Words => steps.push(words()),
    }
    steps.push(json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}));
    json!({"type": "Sequence", "pretokenizers": steps})
}

/// Our component that cuts Han runs into words.
fn words() -> Value {
    json!({"type": "CiyuanWords", "dictionary": "jieba", "fold": "simplified"})
}

fn unsupported(component: &'static str, found: &Value, why: &'static str) -> Error {
    let kind = found.get("type").and_then(Value::as_str).map_or_else(|| found.to_string(), str::to_owned);
    Error::Tokenizer(TokenizerFault::Unsupported { component, kind, why })
}

fn refuse_unsupported(file: &File) -> Result<()> {
    let model = &file.model;
    let kind = model.kind.as_deref().unwrap_or("BPE");
    if kind != "BPE" {
        return Err(unsupported("model", &json!(kind), "only byte-level BPE is"));
    }
    if model.dropout.is_some_and(|share| share > 0.0) {
        return Err(unsupported("model.dropout", &json!(model.dropout), "encoding is deterministic here"));
    }
    if model.byte_fallback {
        return Err(unsupported("model.byte_fallback", &json!(true), "only byte-level BPE is supported"));
    }
    for (component, affix) in [
        ("continuing_subword_prefix", &model.continuing_subword_prefix),
        ("end_of_word_suffix", &model.end_of_word_suffix),
    ] {
        if affix.as_deref().is_some_and(|affix| !affix.is_empty()) {
            return Err(unsupported(component, &json!(affix), "only byte-level BPE without affixes is"));
        }
    }
    for (component, found) in
        [("truncation", &file.truncation), ("padding", &file.padding), ("normalizer", &file.normalizer)]
    {
        if !found.is_null() {
            return Err(unsupported(component, found, "remove it, or apply it to the text first"));
        }
    }
    for (component, found) in [("post_processor", &file.post_processor), ("decoder", &file.decoder)] {
        if !found.is_null() && found["type"] != "ByteLevel" {
            return Err(unsupported(component, found, "only ByteLevel is"));
        }
    }
    Ok(())
}

/// The pattern and the edges in Han runs.
fn read_pre_tokenizer(found: &Value) -> Result<(String, HanEdges)> {
    let refuse = |found: &Value, why| unsupported("pre_tokenizer", found, why);
    let steps = match found["type"].as_str() {
        Some("Sequence") => found["pretokenizers"].as_array().map(Vec::as_slice).unwrap_or_default(),
        Some(_) => std::slice::from_ref(found),
        None => return Err(refuse(found, "a byte-level BPE has ByteLevel, mostly behind a Split")),
    };
    let Some((byte_level, before)) = steps.split_last() else {
        return Err(refuse(found, "ByteLevel is missing"));
    };
    if byte_level["type"] != "ByteLevel" {
        return Err(refuse(byte_level, "the last step of a byte-level BPE is ByteLevel"));
    }
    // Edges in Han runs stand behind the pattern. The default of `use_regex` is true.
    let own_pattern = byte_level["use_regex"].as_bool().unwrap_or(true);
    let (splits, han) = match before {
        [splits @ .., edges] if *edges == words() && !own_pattern => (splits, HanEdges::Words),
        [splits @ .., edges] if *edges == split_by(HAN_CHARACTER) && !splits.is_empty() && !own_pattern => {
            (splits, HanEdges::Chars)
        }
        _ => (before, HanEdges::None),
    };
    let steps: Vec<&Value> = splits.iter().chain([byte_level]).collect();
    let pattern = Pattern::from_source(&json!({"type": "Sequence", "pretokenizers": steps}).to_string());
    let pattern = pattern.map_err(|error| match error {
        Error::Pattern { reason, .. } => {
            let why = "its steps must be those that the documentation of Pattern lists";
            Error::Tokenizer(TokenizerFault::Unsupported { component: "pre_tokenizer", kind: reason, why })
        }
        error => error,
    })?;
    if pattern.changes_text() {
        return Err(refuse(found, "Metaspace changes the text before it becomes bytes"));
    }
    Ok((pattern.source().to_owned(), han))
}

fn read_added_tokens(tokens: &[AddedToken]) -> Result<Vec<(TokenId, String)>> {
    let read = |token: &AddedToken| {
        if !token.special || token.single_word || token.lstrip || token.rstrip {
            let why = "only special tokens are, without lstrip, rstrip and single_word";
            return Err(unsupported("added token", &json!(token.content), why));
        }
        Ok((checked_id(token.id)?, token.content.clone()))
    };
    tokens.iter().map(read).collect()
}

fn checked_id(id: u64) -> Result<TokenId> {
    match TokenId::try_from(id) {
        Ok(id) if id <= MAX_ID => Ok(id),
        _ => Err(Error::Tokenizer(TokenizerFault::IdTooLarge { id, max: MAX_ID })),
    }
}

fn read_model(model: &Model, special: &[(TokenId, String)]) -> Result<(Vocab, Vec<Merge>)> {
    let (mut all, mut places) = (Vec::new(), Vec::with_capacity(model.vocab.len()));
    for (form, id) in model.vocab.iter() {
        let id = checked_id(id)?;
        // The library lists special tokens here too.
        if special.iter().any(|(special, name)| *special == id && name == form) {
            continue;
        }
        let start = all.len();
        push_bytes(form, &mut all).map_err(|character| TokenizerFault::NotByteLevel { id, character })?;
        if !(1..=MAX_TOKEN_BYTES).contains(&(all.len() - start)) {
            return Err(unsupported("token", &json!(form), "tokens hold 1 to 1,024 bytes"));
        }
        // Byte-level forms are no shorter than their bytes, and their list fits 32 bits.
        places.push((id, start as u32, all.len() as u32));
    }
    let vocab = Vocab::from_flat(all, places)?;
    let mut merges = Vec::with_capacity(model.merges.len());
    let mut both = Vec::new();
    for (rank, (left, right)) in model.merges.iter().enumerate() {
        let fault = |why| TokenizerFault::Merge { rank, left: left.to_owned(), right: right.to_owned(), why };
        both.clear();
        let no_byte = |_| fault("holds a character that stands for no byte");
        push_bytes(left, &mut both).map_err(no_byte)?;
        let middle = both.len();
        push_bytes(right, &mut both).map_err(no_byte)?;
        let id = |bytes: &[u8], why| vocab.id(bytes).ok_or_else(|| fault(why));
        merges.push(Merge {
            left: id(&both[..middle], "has a left part that is no token")?,
            right: id(&both[middle..], "has a right part that is no token")?,
            result: id(&both, "makes no token of the vocabulary")?,
        });
    }
    Ok((vocab, merges))
}
