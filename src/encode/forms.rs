//! Unicode's normal forms, with what becomes of each character on the way.
//!
//! A form is made of the full decomposition of each character, of putting marks in their order, and, for the composed
//! forms, of joining a character with what follows it. Each character of the result comes with a number: 0 when it stands
//! for one character of the text, -n when it stands for one and the n behind it are gone, 1 when it is one more, made by
//! the same character as the one before it.
//!
//! Reference for these numbers: the crate `unicode-normalization-alignments`, on which the offsets of Hugging Face's
//! `tokenizers` rest. The forms themselves are those of `unicode-normalization`, which tests compare.

use unicode_normalization::char::{canonical_combining_class, compose, decompose_canonical, decompose_compatible};

use super::normalize::Form;

/// Calls `each` with the characters of the form of `text` and their numbers.
pub(super) fn for_each_change(form: Form, text: &str, each: &mut impl FnMut(char, i32)) {
    if !form.composes() {
        return decompose(form, text, each);
    }
    let mut composer = Composer::default();
    decompose(form, text, &mut |c, change| composer.push(c, change, each));
    composer.purge(each);
}

/// The characters of the decomposed form, in canonical order.
fn decompose(form: Form, text: &str, each: &mut impl FnMut(char, i32)) {
    // A character and the marks behind it, with their classes.
    let mut pending: Vec<(u8, char, i32)> = Vec::new();
    for c in text.chars() {
        let mut change = 0;
        let part = |part| {
            let class = canonical_combining_class(part);
            if class == 0 {
                in_order(&mut pending, each);
            }
            pending.push((class, part, change));
            change = 1;
        };
        if form.is_compatible() { decompose_compatible(c, part) } else { decompose_canonical(c, part) }
    }
    in_order(&mut pending, each);
}

fn in_order(pending: &mut Vec<(u8, char, i32)>, each: &mut impl FnMut(char, i32)) {
    pending.sort_by_key(|(class, ..)| *class);
    pending.drain(..).for_each(|(_, c, change)| each(c, change));
}

/// Joins characters of a decomposed form.
#[derive(Default)]
struct Composer {
    /// The last character that is no mark, with what was joined to it.
    base: Option<(char, i32)>,
    /// Marks behind it that were not, and the class of the last of them.
    marks: Vec<(char, i32)>,
    class: Option<u8>,
}

impl Composer {
    fn push(&mut self, c: char, change: i32, each: &mut impl FnMut(char, i32)) {
        let class = canonical_combining_class(c);
        let Some((base, base_change)) = self.base else {
            match class {
                0 => self.base = Some((c, change)),
                _ => each(c, change),
            }
            return;
        };
        let blocked = self.class.is_some_and(|last| last >= class);
        if !blocked && let Some(both) = compose(base, c) {
            self.base = Some((both, base_change + change - 1));
        } else if class == 0 {
            self.purge(each);
            self.base = Some((c, change));
        } else {
            self.marks.push((c, change));
            self.class = Some(class);
        }
    }

    /// Gives what is there.
    fn purge(&mut self, each: &mut impl FnMut(char, i32)) {
        self.base.take().into_iter().chain(self.marks.drain(..)).for_each(|(c, change)| each(c, change));
        self.class = None;
    }
}
