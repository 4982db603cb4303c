//! `ciyuan tokenize --explain`: the merges of a text, step by step and as trees.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use ciyuan::encode::{ExplainedPiece, MergeStep, Tokenizer};
use serde::Serialize;

use super::context::Context;
use super::failure::Outcome;

pub(super) fn run(tokenizer: &Tokenizer, text: &str, context: &Context) -> Outcome {
    let pieces = tokenizer.explain(text)?;
    let bytes_of = |id| tokenizer.token_bytes(id).unwrap_or_default();
    let json: Vec<Piece> = pieces.iter().map(|piece| Piece::new(piece, &bytes_of)).collect();
    context.show(&json, || pieces.iter().map(|piece| shown_piece(piece, &bytes_of)).collect())
}

/// A pre-token as JSON.
#[derive(Serialize)]
struct Piece<'t> {
    /// As the merges see it.
    text: &'t str,
    /// First and one past the last byte in the text.
    offsets: [usize; 2],
    /// Whether it is taken as a token without merging.
    whole: bool,
    steps: Vec<Step>,
    ids: Vec<u32>,
    /// The tokens, as in `parts` of a step.
    tokens: Vec<String>,
}

#[derive(Serialize)]
struct Step {
    rank: u32,
    left: u32,
    right: u32,
    result: u32,
    /// First byte of the left token in the text.
    offset: usize,
    /// The left and the right token: text in quotes, other bytes in hexadecimal.
    parts: [String; 2],
}

impl<'t> Piece<'t> {
    fn new<'b>(piece: &'t ExplainedPiece, bytes_of: &impl Fn(u32) -> &'b [u8]) -> Self {
        let step = |step: &MergeStep| {
            let MergeStep { rank, left, right, result, offset, .. } = *step;
            Step { rank, left, right, result, offset, parts: [left, right].map(|id| readable(bytes_of(id))) }
        };
        Self {
            text: &piece.text,
            offsets: [piece.range.start, piece.range.end],
            whole: piece.whole,
            steps: piece.steps.iter().map(step).collect(),
            ids: piece.ids.clone(),
            tokens: piece.ids.iter().map(|id| readable(bytes_of(*id))).collect(),
        }
    }
}

/// Bytes for the eye: characters in quotes, bytes that are no whole character as `<E8 AF>`.
pub(super) fn readable(bytes: &[u8]) -> String {
    let (mut out, mut hex) = (String::new(), Vec::new());
    for chunk in bytes.utf8_chunks() {
        if !chunk.valid().is_empty() {
            write_hex(&mut out, &mut hex);
            let _ = write!(out, "{:?}", chunk.valid());
        }
        hex.extend(chunk.invalid().iter().map(|byte| format!("{byte:02X}")));
    }
    write_hex(&mut out, &mut hex);
    out
}

/// Bytes that follow each other stand together.
fn write_hex(out: &mut String, hex: &mut Vec<String>) {
    if !hex.is_empty() {
        let _ = write!(out, "<{}>", hex.join(" "));
        hex.clear();
    }
}

fn shown_piece<'b>(piece: &ExplainedPiece, bytes_of: &impl Fn(u32) -> &'b [u8]) -> String {
    let mut out = readable(piece.text.as_bytes());
    let ids: Vec<String> = piece.ids.iter().map(u32::to_string).collect();
    let how = match (piece.whole, piece.steps.is_empty()) {
        (true, true) => "taken whole, without merges",
        (true, false) => "taken whole; its merges give the same",
        (false, true) => "nothing merges",
        (false, false) => "merged",
    };
    let _ = writeln!(out, "  bytes {}..{}, {how}: {}", piece.range.start, piece.range.end, ids.join(" "));
    if !piece.steps.is_empty() {
        out.push_str("  step    rank    byte  merge\n");
    }
    for (at, step) in piece.steps.iter().enumerate() {
        let [left, right, result] = [step.left, step.right, step.result].map(|id| readable(bytes_of(id)));
        let _ = writeln!(out, "  {:>4}  {:>6}  {:>6}  {left} + {right} = {result}", at + 1, step.rank, step.offset);
    }
    if !piece.whole || !piece.steps.is_empty() {
        for tree in trees(piece) {
            tree.show(&mut out, "  ", "  ", &piece.text);
        }
    }
    out
}

/// A token and the two that it was made of.
struct Tree {
    /// First and one past the last byte in the text of the piece.
    range: [usize; 2],
    made: Option<Made>,
}

struct Made {
    step: usize,
    id: u32,
    rank: u32,
    parts: Box<[Tree; 2]>,
}

/// The tokens of a piece, in their order.
fn trees(piece: &ExplainedPiece) -> Vec<Tree> {
    let leaf = |unit: &Range<usize>| (unit.start, Tree { range: [unit.start, unit.end], made: None });
    let mut trees: BTreeMap<usize, Tree> = piece.units.iter().map(leaf).collect();
    for (at, step) in piece.steps.iter().enumerate() {
        let Some(left) = trees.remove(&step.at) else { continue };
        let Some(next) = trees.range(step.at..).next().map(|(start, _)| *start) else { continue };
        let Some(right) = trees.remove(&next) else { continue };
        let range = [left.range[0], right.range[1]];
        let made = Made { step: at + 1, id: step.result, rank: step.rank, parts: Box::new([left, right]) };
        trees.insert(step.at, Tree { range, made: Some(made) });
    }
    trees.into_values().collect()
}

impl Tree {
    /// Writes the tree: `first` stands before its first line, `rest` before the others.
    fn show(&self, out: &mut String, first: &str, rest: &str, text: &str) {
        let bytes = &text.as_bytes()[self.range[0]..self.range[1]];
        let Some(Made { step, id, rank, parts }) = &self.made else {
            let _ = writeln!(out, "{first}{}", readable(bytes));
            return;
        };
        let _ = writeln!(out, "{first}{}  step {step}, rank {rank}, id {id}", readable(bytes));
        let [left, right] = &**parts;
        left.show(out, &format!("{rest}├─ "), &format!("{rest}│  "), text);
        right.show(out, &format!("{rest}└─ "), &format!("{rest}   "), text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciyuan::segment::{HanEdges, Pattern};
    use ciyuan::vocab::TokenizerSpec;

    /// Merges of the bytes of 词 and of `ab`; ` a` is a token that no merge makes.
    fn tokenizer() -> Tokenizer {
        let order = ciyuan::vocab::gpt2_byte_order();
        let id = |byte: u8| order.iter().position(|other| *other == byte).unwrap() as u32;
        let [e8, af, x8d] = [0xE8, 0xAF, 0x8D].map(id);
        let pairs = [(id(b'a'), id(b'b')), (e8, af), (257, x8d), (258, 257)];
        let pattern = Pattern::parse("cl100k").unwrap().source().to_owned();
        let words = [b" a".to_vec()];
        Tokenizer::new(TokenizerSpec::from_words(pattern, HanEdges::None, &pairs, &words, &[]).unwrap()).unwrap()
    }

    fn shown(text: &str) -> String {
        let tokenizer = tokenizer();
        let pieces = tokenizer.explain(text).unwrap();
        pieces.iter().map(|piece| shown_piece(piece, &|id| tokenizer.token_bytes(id).unwrap())).collect()
    }

    #[test]
    fn a_tree_of_parts_of_characters() {
        // 诋 is E8 AF 8B: its first two bytes are joined to the 词 before it.
        assert_eq!(
            shown("词诋ab"),
            "\
\"词诋ab\"  bytes 0..8, merged: 259 233 256
  step    rank    byte  merge
     1       0       6  \"a\" + \"b\" = \"ab\"
     2       1       0  <E8> + <AF> = <E8 AF>
     3       1       3  <E8> + <AF> = <E8 AF>
     4       2       0  <E8 AF> + <8D> = \"词\"
     5       3       0  \"词\" + <E8 AF> = \"词\"<E8 AF>
  \"词\"<E8 AF>  step 5, rank 3, id 259
  ├─ \"词\"  step 4, rank 2, id 258
  │  ├─ <E8 AF>  step 2, rank 1, id 257
  │  │  ├─ <E8>
  │  │  └─ <AF>
  │  └─ <8D>
  └─ <E8 AF>  step 3, rank 1, id 257
     ├─ <E8>
     └─ <AF>
  <8B>
  \"ab\"  step 1, rank 0, id 256
  ├─ \"a\"
  └─ \"b\"
"
        );
    }

    #[test]
    fn tokens_taken_whole() {
        assert_eq!(
            shown("x a"),
            "\"x\"  bytes 0..1, taken whole, without merges: 87\n\" a\"  bytes 1..3, taken whole, without merges: 260\n"
        );
        let ab = shown("ab");
        assert!(ab.starts_with("\"ab\"  bytes 0..2, taken whole; its merges give the same: 256\n  step"), "{ab}");
        assert_eq!(shown(""), "");
    }

    #[test]
    fn bytes_for_the_eye() {
        assert_eq!(readable(b"\xE8\xAF"), "<E8 AF>");
        assert_eq!(readable(b"a\n\xFF\xFE\"b"), "\"a\\n\"<FF FE>\"\\\"b\"");
        assert_eq!(readable("<E8>".as_bytes()), "\"<E8>\"");
    }
}
