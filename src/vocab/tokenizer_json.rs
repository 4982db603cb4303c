//! `tokenizer.json`, the format of Hugging Face's `tokenizers`, for BPE of bytes and of characters.
//!
//! What is written loads there and gives the same ids. What is read must be of the same kinds: any steps that
//! [`Pattern`](crate::segment::Pattern) knows, with `ByteLevel` behind them for BPE of bytes; a component that would
//! change ids and is not known here is an error that names it. Characters as edges are a second `Split`; words as edges
//! have no counterpart in that library, so they are written as a component of our own, which it refuses to load rather
//! than to run wrongly.
//!
//! What a tokenizer was learned from ([`TokenizerSpec::origin`]) stands in the model, by the key `ciyuan`: there that
//! library passes over keys that it does not know (tried from 0.13 to 0.23), at the top it fails.
//!
//! Merges are read by all threads. Tried and not faster: the bytes of a token's form copied in runs; the slots of tokens asked
//! for ahead while they are filled.

use std::borrow::Cow;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::byte_level::{byte_of_char, push_bytes, push_chars, to_chars};
use super::character_units::{CharacterUnits, byte_tokens, read_decoder};
use super::json_lists::{Entries, MergeList};
use super::normalizer::{read_normalizer, write_normalizer};
use super::post_processor::read_post_processor;
use super::{AddedToken, MAX_ID, MAX_TOKEN_BYTES, Merge, TokenId, TokenizerSpec, Vocab};
use crate::error::{Error, Result, TokenizerFault};
use crate::segment::{HanEdges, Pattern, Prepend, metaspace_of, split_by, steps_of_pattern};

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
    added_tokens: Vec<AddedForm>,
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
struct AddedForm {
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ciyuan: Option<Value>,
    vocab: Entries,
    merges: MergeList,
}

impl TokenizerSpec {
    /// The tokenizer of a `tokenizer.json` file.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenizer`] for what is no such file, for a component that is not supported, and for parts that do not
    /// fit together; [`Error::Pattern`] for a regular expression in its normalizer that does not compile.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let mut file: File = parse(bytes).map_err(|error| other_model(bytes, &error))?;
        refuse_unsupported(&file)?;
        let normalizer = read_normalizer(&file.normalizer)?;
        let mut added = read_added_tokens(&file.added_tokens)?;
        // Where no text is changed, one way to look for them is like the other, unless both are there.
        if normalizer.is_empty() && added.iter().all(|token| token.normalized) {
            added.iter_mut().for_each(|token| token.normalized = false);
        }
        let mut spec = if is_of_characters(&file) {
            read_of_characters(&file, added, !normalizer.is_empty())?
        } else {
            read_of_bytes(&file, added)?
        };
        spec.normalizer = normalizer;
        spec.origin = file.model.ciyuan.take();
        let is_token = |id| spec.vocab.token(id).is_some() || spec.added_token(id).is_some();
        spec.post_processor = read_post_processor(&file.post_processor, is_token)?;
        Ok(spec)
    }

    /// The `tokenizer.json` file of this tokenizer.
    #[must_use]
    pub fn to_json(&self) -> String {
        let added_tokens = self.added.iter().map(|token| AddedForm {
            id: u64::from(token.id),
            content: token.content.clone(),
            single_word: token.single_word,
            lstrip: token.lstrip,
            rstrip: token.rstrip,
            normalized: token.normalized,
            special: token.special,
        });
        let byte_level =
            json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
        let units = self.characters.as_ref();
        let forms = Forms::of(self);
        let merge = |merge: &Merge| [merge.left, merge.right].map(|id| forms.get(id));
        let file = File {
            version: json!("1.0"),
            truncation: Value::Null,
            padding: Value::Null,
            added_tokens: added_tokens.collect(),
            normalizer: write_normalizer(&self.normalizer),
            pre_tokenizer: write_pre_tokenizer(self),
            post_processor: self.post_processor.as_ref().map_or(Value::Null, |processor| processor.source.clone()),
            decoder: units.map_or(byte_level, |units| units.decoder.source.clone()),
            model: Model {
                kind: Some("BPE".to_owned()),
                dropout: None,
                unk_token: units.and_then(|units| units.unknown).map(|id| forms.get(id).to_owned()),
                continuing_subword_prefix: None,
                end_of_word_suffix: None,
                fuse_unk: units.is_some_and(|units| units.fuse_unknown),
                byte_fallback: units.is_some_and(|units| units.byte_fallback),
                ignore_merges: self.whole_pieces,
                ciyuan: self.origin.clone(),
                vocab: self.entries(&forms),
                merges: MergeList::of(self.merges.as_slice().iter().map(merge)),
            },
        };
        serde_json::to_string_pretty(&file).expect("strings, numbers and maps with string keys always serialize")
    }

    /// The model's vocabulary. The library gives added tokens that it does not hold the ids behind it, one after the
    /// other; where they have others, they stand here too.
    fn entries(&self, forms: &Forms) -> Entries {
        let mut entries: Vec<(&str, u64)> = self.vocab.iter().map(|(id, _)| (forms.get(id), u64::from(id))).collect();
        let outside = || self.added.iter().filter(|token| self.vocab.token(token.id).is_none());
        let behind = outside().zip(self.vocab.len()..).all(|(token, next)| token.id as usize == next);
        if !behind {
            entries.extend(outside().map(|token| (&*token.content, u64::from(token.id))));
            entries.sort_by_key(|(_, id)| *id);
        }
        Entries::of(entries.into_iter())
    }
}

/// The tokens as they stand in the model's vocabulary, by id.
struct Forms {
    text: String,
    ends: Vec<usize>,
}

impl Forms {
    fn of(spec: &TokenizerSpec) -> Self {
        let mut forms = Self { text: String::new(), ends: Vec::with_capacity(spec.vocab.id_end() as usize) };
        for id in 0..spec.vocab.id_end() {
            let bytes = spec.vocab.token(id).unwrap_or_default();
            match spec.characters {
                // Tokens of characters are text.
                Some(_) => forms.text.push_str(&String::from_utf8_lossy(bytes)),
                None => push_chars(bytes, &mut forms.text),
            }
            forms.ends.push(forms.text.len());
        }
        forms
    }

    /// That of an id; nothing for one without a token.
    fn get(&self, id: TokenId) -> &str {
        let start = (id as usize).checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied());
        let end = self.ends.get(id as usize);
        start.zip(end).map_or("", |(start, end)| &self.text[start..*end])
    }
}

fn write_pre_tokenizer(spec: &TokenizerSpec) -> Value {
    let mut steps = steps_of_pattern(&spec.pattern);
    if spec.characters.is_some() {
        return match steps.as_slice() {
            [] => Value::Null,
            [step] => step.clone(),
            _ => json!({"type": "Sequence", "pretokenizers": steps}),
        };
    }
    if spec.prefix_space {
        let use_regex = !steps.is_empty();
        return json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": use_regex});
    }
    match spec.han {
        HanEdges::None => {}
        HanEdges::Chars => steps.push(split_by(HAN_CHARACTER)),
        HanEdges::Words => steps.push(words()),
    }
    steps.push(json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}));
    json!({"type": "Sequence", "pretokenizers": steps})
}

/// Whether the file is text is asked once: asked of each of its strings, it took an eighth of the time.
fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> serde_json::Result<T> {
    match encoding_rs::UTF_8.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(Cow::Borrowed(text)) => serde_json::from_str(text),
        // An error that names the place.
        _ => serde_json::from_slice(bytes),
    }
}

/// Our component that cuts Han runs into words.
fn words() -> Value {
    json!({"type": "CiyuanWords", "dictionary": "jieba", "fold": "simplified"})
}

pub(super) fn unsupported(component: &'static str, found: &Value, why: &'static str) -> Error {
    let kind = found.get("type").and_then(Value::as_str).map_or_else(|| found.to_string(), str::to_owned);
    Error::Tokenizer(TokenizerFault::Unsupported { component, kind, why })
}

/// Why a file is none of ours: it holds another model, or is no such file.
fn other_model(bytes: &[u8], error: &serde_json::Error) -> Error {
    #[derive(Deserialize)]
    struct Kind {
        model: KindOfModel,
    }
    #[derive(Deserialize)]
    struct KindOfModel {
        #[serde(rename = "type")]
        kind: String,
    }
    match serde_json::from_slice::<Kind>(bytes) {
        Ok(Kind { model: KindOfModel { kind } }) if kind != "BPE" => unsupported("model", &json!(kind), ONLY_BPE),
        _ => TokenizerFault::Json { reason: error.to_string() }.into(),
    }
}

const ONLY_BPE: &str = "only BPE is, of bytes and of characters";

fn refuse_unsupported(file: &File) -> Result<()> {
    let model = &file.model;
    let kind = model.kind.as_deref().unwrap_or("BPE");
    if kind != "BPE" {
        return Err(unsupported("model", &json!(kind), ONLY_BPE));
    }
    if model.dropout.is_some_and(|share| share > 0.0) {
        return Err(unsupported("model.dropout", &json!(model.dropout), "encoding is deterministic here"));
    }
    for (component, affix) in [
        ("continuing_subword_prefix", &model.continuing_subword_prefix),
        ("end_of_word_suffix", &model.end_of_word_suffix),
    ] {
        if affix.as_deref().is_some_and(|affix| !affix.is_empty()) {
            return Err(unsupported(component, &json!(affix), "only BPE without affixes is"));
        }
    }
    for (component, found) in [("truncation", &file.truncation), ("padding", &file.padding)] {
        if !found.is_null() {
            return Err(unsupported(component, found, "remove it, and cut or fill the ids afterwards"));
        }
    }
    Ok(())
}

/// Whether the merges start from characters: `ByteLevel` stands behind all steps otherwise.
fn is_of_characters(file: &File) -> bool {
    let last = match file.pre_tokenizer["pretokenizers"].as_array() {
        Some(steps) => steps.last().unwrap_or(&Value::Null),
        None => &file.pre_tokenizer,
    };
    last["type"] != "ByteLevel" && (file.model.byte_fallback || file.model.unk_token.is_some())
}

fn read_of_bytes(file: &File, added: Vec<AddedToken>) -> Result<TokenizerSpec> {
    if file.model.byte_fallback {
        return Err(unsupported("model.byte_fallback", &json!(true), "it is for a vocabulary of characters alone"));
    }
    if !file.decoder.is_null() && file.decoder["type"] != "ByteLevel" {
        return Err(unsupported("decoder", &file.decoder, "only ByteLevel is for a vocabulary of bytes"));
    }
    let (pattern, han, prefix_space) = read_pre_tokenizer(&file.pre_tokenizer)?;
    let (vocab, merges) = read_model(&file.model, &added, Units::Bytes)?;
    vocab.byte_ids()?;
    let mut spec = TokenizerSpec::with_added(pattern, han, vocab, merges, added, file.model.ignore_merges)?;
    spec.prefix_space = prefix_space;
    Ok(spec)
}

fn read_of_characters(file: &File, added: Vec<AddedToken>, is_normalized: bool) -> Result<TokenizerSpec> {
    let model = &file.model;
    let found = &file.pre_tokenizer;
    let refuse = |why| unsupported("pre_tokenizer", found, why);
    if found.to_string().contains(r#""type":"ByteLevel""#) {
        return Err(refuse("the last step of a byte-level BPE is ByteLevel"));
    }
    let nothing = json!({"type": "Sequence", "pretokenizers": []});
    let pattern = read_pattern(if found.is_null() { &nothing } else { found })?;
    match metaspace_of(pattern.source()) {
        Some((_, false)) => return Err(refuse("Metaspace must be the first step")),
        Some((metaspace, _)) if metaspace.prepend == Prepend::First && is_normalized => {
            return Err(refuse("Metaspace with `first` would see what the normalizer has changed"));
        }
        _ => {}
    }
    let decoder = read_decoder(&file.decoder)?;
    let (vocab, merges) = read_model(model, &added, Units::Characters)?;
    let unknown = match &model.unk_token {
        None => None,
        Some(name) => match vocab.id(name.as_bytes()) {
            Some(id) => Some(id),
            None => return Err(unsupported("model.unk_token", &json!(name), "it must be a token of the vocabulary")),
        },
    };
    if unknown.is_none() && byte_tokens(&vocab).contains(&None) {
        let why = "without `unk_token`, a vocabulary of characters needs a token for each byte, <0x00> to <0xFF>";
        return Err(unsupported("model.byte_fallback", &json!(true), why));
    }
    let pattern = pattern.source().to_owned();
    let mut spec = TokenizerSpec::with_added(pattern, HanEdges::None, vocab, merges, added, model.ignore_merges)?;
    let (byte_fallback, fuse_unknown) = (model.byte_fallback, model.fuse_unk);
    spec.characters = Some(CharacterUnits { byte_fallback, unknown, fuse_unknown, decoder });
    Ok(spec)
}

/// The pattern, the edges in Han runs, and whether a text gets a space before it.
fn read_pre_tokenizer(found: &Value) -> Result<(String, HanEdges, bool)> {
    let refuse = |found: &Value, why| unsupported("pre_tokenizer", found, why);
    let steps = match found["type"].as_str() {
        Some("Sequence") => found["pretokenizers"].as_array().map(Vec::as_slice).unwrap_or_default(),
        Some(_) => std::slice::from_ref(found),
        None => return Err(refuse(found, WANTS_BYTE_LEVEL)),
    };
    let Some((byte_level, before)) = steps.split_last() else {
        return Err(refuse(found, "ByteLevel is missing"));
    };
    if byte_level["type"] != "ByteLevel" {
        return Err(refuse(byte_level, WANTS_BYTE_LEVEL));
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
    let mut byte_level = byte_level.clone();
    // Behind other steps each of their pieces would get a space, which the pattern refuses.
    let prefix_space = before.is_empty() && byte_level["add_prefix_space"].as_bool().unwrap_or(true);
    if prefix_space {
        byte_level["add_prefix_space"] = json!(false);
    }
    let steps: Vec<&Value> = splits.iter().chain([&byte_level]).collect();
    let pattern = read_pattern(&json!({"type": "Sequence", "pretokenizers": steps}))?;
    if pattern.changes_text() {
        return Err(refuse(found, "Metaspace changes the text before it becomes bytes"));
    }
    Ok((pattern.source().to_owned(), han, prefix_space))
}

const WANTS_BYTE_LEVEL: &str =
    "the last step of a BPE of bytes is ByteLevel; one of characters has byte_fallback or unk_token";

fn read_pattern(steps: &Value) -> Result<Pattern> {
    Pattern::from_source(&steps.to_string()).map_err(|error| match error {
        Error::Pattern { reason, .. } => {
            let why = "its steps must be those that the documentation of Pattern lists";
            Error::Tokenizer(TokenizerFault::Unsupported { component: "pre_tokenizer", kind: reason, why })
        }
        error => error,
    })
}

fn read_added_tokens(tokens: &[AddedForm]) -> Result<Vec<AddedToken>> {
    let read = |token: &AddedForm| {
        Ok(AddedToken {
            id: checked_id(token.id)?,
            content: token.content.clone(),
            special: token.special,
            single_word: token.single_word,
            lstrip: token.lstrip,
            rstrip: token.rstrip,
            normalized: token.normalized,
        })
    };
    tokens.iter().map(read).collect()
}

fn checked_id(id: u64) -> Result<TokenId> {
    match TokenId::try_from(id) {
        Ok(id) if id <= MAX_ID => Ok(id),
        _ => Err(Error::Tokenizer(TokenizerFault::IdTooLarge { id, max: MAX_ID })),
    }
}

/// What the tokens of a file are written in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Units {
    /// Characters that stand for bytes.
    Bytes,
    /// Themselves.
    Characters,
}

impl Units {
    fn push_bytes(self, form: &str, bytes: &mut Vec<u8>) -> std::result::Result<(), char> {
        match self {
            Self::Bytes => push_bytes(form, bytes),
            Self::Characters => {
                bytes.extend_from_slice(form.as_bytes());
                Ok(())
            }
        }
    }
}

fn read_model(model: &Model, added: &[AddedToken], units: Units) -> Result<(Vocab, Vec<Merge>)> {
    let kept = if units == Units::Bytes { used_names(added, &model.merges) } else { FxHashSet::default() };
    let names: FxHashMap<&str, TokenId> = added.iter().map(|token| (token.content.as_str(), token.id)).collect();
    let (mut all, mut places) = (Vec::new(), Vec::with_capacity(model.vocab.len()));
    for (form, id) in model.vocab.iter() {
        let id = checked_id(id)?;
        // The library lists added tokens here too.
        if let Some(other) = names.get(form) {
            if *other != id {
                let why = "has another id in the model's vocabulary";
                return Err(TokenizerFault::Special { content: form.to_owned(), id: *other, why }.into());
            }
            if units == Units::Bytes && !kept.contains(form) && !stands_for_byte(form) {
                continue;
            }
        }
        let start = all.len();
        units.push_bytes(form, &mut all).map_err(|character| TokenizerFault::NotByteLevel { id, character })?;
        if !(1..=MAX_TOKEN_BYTES).contains(&(all.len() - start)) {
            return Err(unsupported("token", &json!(form), "tokens hold 1 to 1,024 bytes"));
        }
        // Byte-level forms are no shorter than their bytes, and their list fits 32 bits.
        places.push((id, start as u32, all.len() as u32));
    }
    let vocab = Vocab::from_flat(all, places)?;
    let mut merges = vec![Merge { left: 0, right: 0, result: 0 }; model.merges.len()];
    let chunks = merges.par_chunks_mut(MERGES).enumerate();
    // No merge depends on another.
    let all_read = chunks.map_init(Vec::new, |both, (at, chunk)| {
        (at * MERGES..).zip(chunk).all(|(rank, merge)| {
            read_merge(&vocab, model.merges.parts(rank), units, both).map(|read| *merge = read).is_some()
        })
    });
    if !all_read.all(|read| read) {
        // The first that is wrong is named.
        let fault = |rank| fault_of_merge(&vocab, model.merges.parts(rank), units, rank);
        if let Some(fault) = (0..model.merges.len()).find_map(fault) {
            return Err(fault.into());
        }
    }
    Ok((vocab, merges))
}

/// Merges that a thread reads in one go.
const MERGES: usize = 1024;

/// The merge of two parts, if they and what they make are tokens; `both` is room for its bytes.
#[inline]
fn read_merge(vocab: &Vocab, (left, right): (&str, &str), units: Units, both: &mut Vec<u8>) -> Option<Merge> {
    both.clear();
    units.push_bytes(left, both).ok()?;
    let middle = both.len();
    units.push_bytes(right, both).ok()?;
    let (left, right) = both.split_at(middle);
    Some(Merge { left: vocab.id(left)?, right: vocab.id(right)?, result: vocab.id(both)? })
}

/// Why [`read_merge`] gives none.
fn fault_of_merge(vocab: &Vocab, (left, right): (&str, &str), units: Units, rank: usize) -> Option<TokenizerFault> {
    let of = |part: &str| {
        let mut bytes = Vec::new();
        units.push_bytes(part, &mut bytes).ok().map(|()| bytes)
    };
    let why = match (of(left), of(right)) {
        (Some(left), Some(right)) if vocab.id(&left).is_some() && vocab.id(&right).is_some() => {
            if vocab.id(&[left, right].concat()).is_some() {
                return None;
            }
            "makes no token of the vocabulary"
        }
        (Some(left), Some(_)) if vocab.id(&left).is_none() => "has a left part that is no token",
        (Some(_), Some(_)) => "has a right part that is no token",
        _ => "holds a character that stands for no byte",
    };
    Some(TokenizerFault::Merge { rank, left: left.to_owned(), right: right.to_owned(), why })
}

/// Whether a token is one of the bytes, which are ordinary tokens whatever else they are.
fn stands_for_byte(form: &str) -> bool {
    let mut characters = form.chars();
    characters.next().is_some_and(|c| byte_of_char(c).is_some()) && characters.next().is_none()
}

/// The names of added tokens that merges take or make: these are ordinary tokens as well.
fn used_names<'a>(added: &'a [AddedToken], merges: &MergeList) -> FxHashSet<&'a str> {
    // Only tokens that are written as their names are can be meant.
    let written_so = added.iter().filter(|token| to_chars(token.content.as_bytes()) == token.content);
    let names: FxHashSet<&str> = written_so.map(|token| token.content.as_str()).collect();
    let longest = names.iter().map(|name| name.len()).max().unwrap_or_default();
    let mut used = FxHashSet::default();
    let mut both = String::new();
    for (left, right) in merges.iter().filter(|_| !names.is_empty()) {
        if left.len() + right.len() <= longest {
            both.clear();
            both.push_str(left);
            both.push_str(right);
            used.extend(names.get(both.as_str()));
        }
        used.extend(names.get(left).into_iter().chain(names.get(right)));
    }
    used
}
