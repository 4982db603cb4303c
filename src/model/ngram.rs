//! N-grams of tokens with interpolated, modified Kneser-Ney smoothing.
//!
//! Reference: Chen and Goodman 1998, "An Empirical Study of Smoothing Techniques for Language Modeling", section 3, in
//! the reading of KenLM (Heafield et al. 2013). The probability of a token after a history of k - 1 tokens is
//!
//! ```text
//! P(w | u) = (c(uw) - D(c(uw))) / c(u·) + (D1 N1(u·) + D2 N2(u·) + D3 N3(u·)) / c(u·) · P(w | u without its first token)
//! ```
//!
//! where `c` is how often an n-gram stands in the text, if it is of the highest order or begins a document, and else of
//! how many different tokens it is the continuation; `Nj(u·)` is of how many tokens `c` is j (3: three and more). The
//! last term below single tokens is uniform over the vocabulary. Each order has its discounts, from how many of its
//! n-grams have a `c` of 1, 2, 3 and 4.
//!
//! N-grams are the nodes of one tree, a token an edge. Training follows the paths of all histories at once, and so does
//! scoring: time and memory are linear in tokens times order, and counts are exact.

use rustc_hash::FxHashMap;

use crate::error::{Error, Result};

/// The highest order.
pub const MAX_ORDER: usize = 6;
/// What stands before each document; it is never predicted.
const START: u32 = u32::MAX;
const ROOT: u32 = 0;

/// What is counted of an n-gram.
#[derive(Debug, Clone, Copy, Default)]
struct Node {
    /// The n-gram without its last token.
    parent: u32,
    /// Its length.
    order: u8,
    /// Whether it is the beginning of a document.
    begins: bool,
    /// How often it stands there.
    count: u32,
    /// Different tokens before it.
    before: u32,
}

/// What follows an n-gram.
#[derive(Debug, Clone, Copy, Default)]
struct Followers {
    /// The sum of their `c`.
    total: u64,
    /// How many have a `c` of 1, 2, 3 and more.
    kinds: [u32; 3],
}

/// Counts n-grams of documents.
#[derive(Debug, Clone)]
pub struct NGramCounts {
    order: usize,
    vocab_size: u32,
    nodes: Vec<Node>,
    children: FxHashMap<u64, u32>,
}

/// A trained model; see the file's head.
#[derive(Debug, Clone)]
pub struct NGram {
    order: usize,
    vocab_size: u32,
    /// `c` of each node.
    counts: Vec<u32>,
    followers: Vec<Followers>,
    children: FxHashMap<u64, u32>,
    /// Of each order, for a `c` of 1, 2, 3 and more.
    discounts: Vec<[f64; 3]>,
}

fn edge(node: u32, token: u32) -> u64 {
    u64::from(node) << 32 | u64::from(token)
}

impl NGramCounts {
    /// Counts up to `order` tokens at a time, of a vocabulary of this size.
    ///
    /// ```
    /// use ciyuan::model::NGramCounts;
    /// let mut counts = NGramCounts::new(3, 4)?;
    /// counts.add(&[0, 1, 2, 0, 1, 3])?;
    /// let model = counts.finish();
    /// assert!(model.nats(&[0, 1, 2])? < model.nats(&[3, 2, 1])?);
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for an order that is not from 1 to [`MAX_ORDER`].
    pub fn new(order: usize, vocab_size: u32) -> Result<Self> {
        if !(1..=MAX_ORDER).contains(&order) {
            let expected = format!("a whole number from 1 to {MAX_ORDER}");
            return Err(Error::Setting { name: "order", value: order.to_string(), expected });
        }
        let root = Node { begins: true, ..Node::default() };
        let start = Node { order: 1, begins: true, ..Node::default() };
        let children = [(edge(ROOT, START), 1)].into_iter().collect();
        Ok(Self { order, vocab_size, nodes: vec![root, start], children })
    }

    /// Counts the n-grams of a document.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] for an id that is not below the size of the vocabulary, [`Error::Limit`] for more than 2³²
    /// n-grams, or one that stands there as often.
    pub fn add(&mut self, document: &[u32]) -> Result<()> {
        // The nodes of the last tokens: none, one, two, ...
        let (mut histories, mut longer) = (vec![ROOT, 1], Vec::new());
        for (position, &token) in document.iter().enumerate() {
            check(token, position, self.vocab_size)?;
            longer.clear();
            longer.push(ROOT);
            for (length, history) in histories.iter().enumerate().take(self.order) {
                let node = self.child(*history, token)?;
                let Node { count, .. } = &mut self.nodes[node as usize];
                *count = count.checked_add(1).ok_or_else(too_many)?;
                if *count == 1 && length > 0 {
                    self.nodes[longer[length] as usize].before += 1;
                }
                longer.push(node);
            }
            longer.truncate(self.order);
            std::mem::swap(&mut histories, &mut longer);
        }
        Ok(())
    }

    fn child(&mut self, parent: u32, token: u32) -> Result<u32> {
        let next = u32::try_from(self.nodes.len()).map_err(|_| too_many())?;
        let node = *self.children.entry(edge(parent, token)).or_insert(next);
        if node == next {
            let Node { order, begins, .. } = self.nodes[parent as usize];
            let begins = begins && order > 0;
            self.nodes.push(Node { parent, order: order + 1, begins, ..Node::default() });
        }
        Ok(node)
    }

    /// The model of what was counted.
    #[must_use]
    pub fn finish(self) -> NGram {
        let Self { order, vocab_size, nodes, children } = self;
        let count = |node: &Node| match usize::from(node.order) == order || node.begins {
            true => node.count,
            false => node.before,
        };
        let counts: Vec<u32> = nodes.iter().map(count).collect();
        let mut followers = vec![Followers::default(); nodes.len()];
        let mut seen = vec![[0u64; 4]; order];
        // The root and what stands before documents follow nothing.
        for (node, &count) in nodes.iter().zip(&counts).skip(2) {
            let of_parent = &mut followers[node.parent as usize];
            of_parent.total += u64::from(count);
            of_parent.kinds[kind(count)] += 1;
            if let Some(seen) = seen[usize::from(node.order) - 1].get_mut(count as usize - 1) {
                *seen += 1;
            }
        }
        let discounts = seen.into_iter().map(discounts_of).collect();
        NGram { order, vocab_size, counts, followers, children, discounts }
    }
}

/// Which of three discounts a count has.
fn kind(count: u32) -> usize {
    count.min(3) as usize - 1
}

/// The discounts of an order in which so many n-grams have a count of 1, 2, 3 and 4. Where there are too few for the
/// estimate of Chen and Goodman, or it leaves its range, those that KenLM falls back to. A discount of 0 is out of the
/// range here: after a history it would leave nothing for tokens that were never seen there, and cost infinitely much.
fn discounts_of(seen: [u64; 4]) -> [f64; 3] {
    let [n1, n2, n3, n4] = seen.map(|count| count as f64);
    let y = n1 / (n1 + 2.0 * n2);
    let discounts = [1.0 - 2.0 * y * n2 / n1, 2.0 - 3.0 * y * n3 / n2, 3.0 - 4.0 * y * n4 / n3];
    let fits = discounts.iter().zip([1.0, 2.0, 3.0]).all(|(discount, count)| *discount > 0.0 && *discount <= count);
    if fits { discounts } else { [0.5, 1.0, 1.5] }
}

fn too_many() -> Error {
    Error::Limit { what: "the number of n-grams", value: 1 << 32, max: u64::from(u32::MAX) }
}

fn check(token: u32, position: usize, vocab_size: u32) -> Result<()> {
    if token < vocab_size { Ok(()) } else { Err(Error::UnknownToken { id: token, position, vocab_size }) }
}

impl NGram {
    /// What a document costs, in nats; it begins after nothing.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] for an id that is not below the size of the vocabulary.
    pub fn nats(&self, document: &[u32]) -> Result<f64> {
        Ok(self.each(document)?.into_iter().sum())
    }

    /// What each token of a document costs, in nats.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] for an id that is not below the size of the vocabulary.
    pub fn each(&self, document: &[u32]) -> Result<Vec<f64>> {
        let (mut histories, mut longer) = (vec![ROOT, 1], Vec::new());
        let mut nats = Vec::with_capacity(document.len());
        for (position, &token) in document.iter().enumerate() {
            check(token, position, self.vocab_size)?;
            nats.push(-self.step(&histories, token, &mut longer).ln());
            std::mem::swap(&mut histories, &mut longer);
        }
        Ok(nats)
    }

    /// One above the highest id.
    #[must_use]
    pub fn vocab_size(&self) -> u32 {
        self.vocab_size
    }

    /// The probability of a token after histories, and in `longer` the histories behind it.
    fn step(&self, histories: &[u32], token: u32, longer: &mut Vec<u32>) -> f64 {
        let mut probability = 1.0 / f64::from(self.vocab_size);
        longer.clear();
        longer.push(ROOT);
        let mut is_known = true;
        for ((length, history), discounts) in histories.iter().enumerate().zip(&self.discounts) {
            let node = self.children.get(&edge(*history, token)).copied();
            // A history of which the end is not known is not known either.
            is_known &= node.is_some();
            if let Some(node) = node.filter(|_| is_known && length + 1 < self.order) {
                longer.push(node);
            }
            let Followers { total, kinds } = self.followers[*history as usize];
            if total == 0 {
                continue;
            }
            let count = node.map_or(0, |node| self.counts[node as usize]);
            let left = if count > 0 { f64::from(count) - discounts[kind(count)] } else { 0.0 };
            let taken: f64 = discounts.iter().zip(kinds).map(|(discount, kind)| discount * f64::from(kind)).sum();
            probability = (left + taken * probability) / total as f64;
        }
        probability
    }

    /// How many n-grams it knows, of all orders.
    #[must_use]
    pub fn len(&self) -> usize {
        // Without the root and the beginning.
        self.counts.len() - 2
    }

    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn model(order: usize, vocab_size: u32, documents: &[Vec<u32>]) -> NGram {
        let mut counts = NGramCounts::new(order, vocab_size).unwrap();
        documents.iter().for_each(|document| counts.add(document).unwrap());
        counts.finish()
    }

    /// The definition, as it is written in the file's head.
    struct Plain {
        order: usize,
        vocab_size: u32,
        count: BTreeMap<Vec<u32>, u64>,
    }

    impl Plain {
        fn new(order: usize, vocab_size: u32, documents: &[Vec<u32>]) -> Self {
            let (mut raw, mut before) = (BTreeMap::<Vec<u32>, u64>::new(), BTreeMap::<_, BTreeSet<u32>>::new());
            for document in documents {
                let text = [&[START], &document[..]].concat();
                for end in 2..=text.len() {
                    for start in end.saturating_sub(order)..end {
                        *raw.entry(text[start..end].to_vec()).or_default() += 1;
                        if start > 0 {
                            before.entry(text[start..end].to_vec()).or_default().insert(text[start - 1]);
                        }
                    }
                }
            }
            let count = raw.into_iter().map(|(gram, raw)| {
                let is_raw = gram.len() == order || gram[0] == START;
                let count = if is_raw { raw } else { before[&gram].len() as u64 };
                (gram, count)
            });
            Self { order, vocab_size, count: count.collect() }
        }

        fn probability(&self, history: &[u32], token: u32) -> f64 {
            let shorter = match history.split_first() {
                Some((_, rest)) => self.probability(rest, token),
                None => 1.0 / f64::from(self.vocab_size),
            };
            let length = history.len() + 1;
            let of_order = |wanted: u64| {
                self.count.iter().filter(|(gram, count)| gram.len() == length && **count == wanted).count() as u64
            };
            let discounts = discounts_of([1, 2, 3, 4].map(of_order));
            let discount = |count: u64| discounts[count.min(3) as usize - 1];
            let mut follow = (0..self.vocab_size).filter_map(|next| self.count.get(&[history, &[next]].concat()));
            let (total, taken) = follow
                .try_fold((0, 0.0), |(total, taken), count| Some((total + count, taken + discount(*count))))
                .unwrap();
            if total == 0 {
                return shorter;
            }
            let count = self.count.get(&[history, &[token]].concat()).copied().unwrap_or(0);
            let left = if count > 0 { count as f64 - discount(count) } else { 0.0 };
            (left + taken * shorter) / total as f64
        }

        fn nats(&self, document: &[u32]) -> f64 {
            let text = [&[START], document].concat();
            let nats = |at: usize| {
                let history = &text[at.saturating_sub(self.order - 1)..at];
                -self.probability(history, text[at]).ln()
            };
            (1..text.len()).map(nats).sum()
        }
    }

    #[test]
    fn what_is_refused() {
        assert!(NGramCounts::new(0, 5).is_err() && NGramCounts::new(7, 5).is_err());
        assert!(matches!(
            NGramCounts::new(2, 5).unwrap().add(&[1, 5]),
            Err(Error::UnknownToken { id: 5, position: 1, .. })
        ));
        let model = model(2, 5, &[vec![1, 2]]);
        assert!(matches!(model.nats(&[5]), Err(Error::UnknownToken { id: 5, position: 0, vocab_size: 5 })));
        assert_eq!((model.len(), model.is_empty()), (4, false));
    }

    #[test]
    fn without_text_all_tokens_are_alike() {
        let nats = model(3, 8, &[]).nats(&[1, 7, 7]).unwrap();
        assert!((nats - 3.0 * 8f64.ln()).abs() < 1e-12);
    }

    /// The estimate of Chen and Goodman by hand: Y = 10 / 20.
    #[test]
    fn discounts() {
        let [one, two, three] = discounts_of([10, 5, 3, 2]);
        assert!((one - 0.5).abs() < 1e-12 && (two - 1.1).abs() < 1e-12 && (three - (3.0 - 4.0 / 3.0)).abs() < 1e-12);
        assert_eq!(discounts_of([10, 0, 3, 2]), [0.5, 1.0, 1.5]);
        // Y = 1 / 2, and 2 - 3 / 2 * 4 / 3 is nothing.
        assert_eq!(discounts_of([6, 3, 4, 2]), [0.5, 1.0, 1.5]);
    }

    fn documents() -> impl Strategy<Value = Vec<Vec<u32>>> {
        prop::collection::vec(prop::collection::vec(0..6u32, 0..30), 0..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn equals_the_definition(
            order in 1..=4usize, documents in documents(), other in prop::collection::vec(0..6u32, 0..12),
        ) {
            let (fast, plain) = (model(order, 6, &documents), Plain::new(order, 6, &documents));
            for document in documents.iter().chain([&other]) {
                let (nats, wanted) = (fast.nats(document).unwrap(), plain.nats(document));
                prop_assert!((nats - wanted).abs() < 1e-9 * (1.0 + wanted.abs()), "{nats} {wanted}");
            }
        }

        #[test]
        fn probabilities_sum_to_one(
            order in 1..=MAX_ORDER, documents in documents(), history in prop::collection::vec(0..6u32, 0..8),
        ) {
            let fast = model(order, 6, &documents);
            let before = fast.nats(&history).unwrap();
            let next = |token| (before - fast.nats(&[&history[..], &[token]].concat()).unwrap()).exp();
            let sum: f64 = (0..6).map(next).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        }
    }
}
