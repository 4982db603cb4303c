//! The fingerprint of a tokenizer: equal for tokenizers that give the same ids, whatever file they came from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::TokenizerSpec;
use super::normalizer::write_normalizer;
use crate::segment::UNICODE_VERSION;

/// 128 bits over all that decides ids: Unicode version, pattern, edges in Han runs, tokens, merges, special tokens, and
/// what else a tokenizer has: other added tokens, a normalizer, a template, a vocabulary of characters and its decoder.
/// What it was learned from is not part of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fingerprint(pub [u8; 16]);

/// Bytes that are hashed at once.
const GATHERED: usize = 1 << 14;

impl Fingerprint {
    pub(super) fn of(spec: &TokenizerSpec) -> Self {
        let mut hash = Xxh3::new();
        // Some bytes at a time are slow to hash: they are gathered.
        let mut gathered = Vec::with_capacity(2 * GATHERED);
        let mut field = |bytes: &[u8]| {
            gathered.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            gathered.extend_from_slice(bytes);
            if gathered.len() >= GATHERED {
                hash.update(&gathered);
                gathered.clear();
            }
        };
        field(b"ciyuan tokenizer 1");
        field(UNICODE_VERSION.as_bytes());
        field(spec.pattern.as_bytes());
        field(&[spec.han as u8, u8::from(spec.whole_pieces)]);
        for (id, bytes) in spec.vocab.iter() {
            field(&id.to_le_bytes());
            field(bytes);
        }
        field(b"merges");
        for merge in spec.merges.as_slice() {
            let numbers = [merge.left.to_le_bytes(), merge.right.to_le_bytes(), merge.result.to_le_bytes()];
            field(numbers.as_flattened());
        }
        field(b"special");
        for (id, name) in spec.special.iter() {
            field(&id.to_le_bytes());
            field(name.as_bytes());
        }
        // What follows stands only in tokenizers that have some of it.
        for token in spec.added.iter().filter(|token| !token.is_plain()) {
            field(b"added");
            field(&token.id.to_le_bytes());
            field(token.content.as_bytes());
            field(&[token.special, token.single_word, token.lstrip, token.rstrip, token.normalized].map(u8::from));
        }
        if !spec.normalizer.is_empty() {
            field(b"normalizer");
            field(write_normalizer(&spec.normalizer).to_string().as_bytes());
        }
        if spec.prefix_space {
            field(b"prefix space");
        }
        if let Some(processor) = &spec.post_processor {
            field(b"post-processor");
            field(processor.source.to_string().as_bytes());
        }
        if let Some(units) = &spec.characters {
            field(b"characters");
            field(&[units.byte_fallback, units.unknown.is_some(), units.fuse_unknown].map(u8::from));
            field(&units.unknown.unwrap_or_default().to_le_bytes());
            field(units.decoder.source.to_string().as_bytes());
        }
        hash.update(&gathered);
        Self(hash.digest128().to_be_bytes())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(());
        }
        u128::from_str_radix(text, 16).map(|value| Self(value.to_be_bytes())).map_err(|_| ())
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| serde::de::Error::custom("a fingerprint is 32 hexadecimal digits"))
    }
}
