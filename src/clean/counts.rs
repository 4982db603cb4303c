//! What was done to texts, in numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Filter, Step};

/// What a step changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Changed {
    /// Texts in which it changed something.
    pub documents: u64,
    /// Characters that it changed or took away.
    pub characters: u64,
}

impl Changed {
    fn add(&mut self, other: Self) {
        self.documents += other.documents;
        self.characters += other.characters;
    }
}

/// What was done to texts. Sums of it do not depend on the order of the texts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CleanCounts {
    /// By step of normalisation.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub normalized: BTreeMap<Step, Changed>,
    /// By conversion between simplified and traditional Chinese.
    #[serde(skip_serializing_if = "Changed::is_none")]
    pub converted: Changed,
    /// Numbers of telephones and identity cards that were masked; the characters are their digits.
    #[serde(skip_serializing_if = "Changed::is_none")]
    pub masked: Changed,
    /// Texts that were refused, by filter.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub filtered: BTreeMap<Filter, u64>,
    /// Documents that were not in UTF-8, by the name of their encoding.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub encodings: BTreeMap<String, u64>,
}

impl Changed {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl CleanCounts {
    /// Adds what was done to other texts.
    pub fn add(&mut self, other: &Self) {
        for (step, changed) in &other.normalized {
            self.normalized.entry(*step).or_default().add(*changed);
        }
        self.converted.add(other.converted);
        self.masked.add(other.masked);
        for (filter, texts) in &other.filtered {
            *self.filtered.entry(*filter).or_default() += texts;
        }
        for (encoding, documents) in &other.encodings {
            *self.encodings.entry(encoding.clone()).or_default() += documents;
        }
    }

    /// Whether nothing was done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What was done, in words, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let of = |what: &str, changed: &Changed| {
            format!("{what}: {} characters in {} documents", changed.characters, changed.documents)
        };
        let mut lines: Vec<String> = self
            .normalized
            .iter()
            .map(|(step, changed)| of(&format!("normalized by {}", step.name()), changed))
            .collect();
        if !self.converted.is_none() {
            lines.push(of("converted", &self.converted));
        }
        if !self.masked.is_none() {
            lines.push(of("personal data masked", &self.masked));
        }
        let filtered = |(filter, texts): (&Filter, &u64)| format!("filtered by {}: {texts} documents", filter.name());
        lines.extend(self.filtered.iter().map(filtered));
        lines.extend(
            self.encodings.iter().map(|(encoding, documents)| format!("read as {encoding}: {documents} documents")),
        );
        lines
    }

    pub(super) fn normalized_by(&mut self, step: Step, characters: u64) {
        if characters > 0 {
            self.normalized.entry(step).or_default().add(Changed { documents: 1, characters });
        }
    }
}
