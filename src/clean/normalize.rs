//! Normalisation of texts: named steps in a fixed order.
//!
//! Three kinds of steps: characters that become one other (`characters.rs`), characters and pairs that go, and NFC. The
//! order is so that no step makes what an earlier one would change: characters first, next what goes (which can bring a
//! base and its mark together), NFC last. So a text that was normalised is normal: a property test holds the whole to it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::CleanCounts;
use super::characters::{compatibility_ideograph, full_width, ideographic_space, is_zero_width, private_use, radical};

/// A step of normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The line ends CR LF, and CR alone, become LF.
    Crlf,
    /// Code points for private use that tables of GBK and GB 18030-2000 and -2005 gave to characters which Unicode has
    /// by now become those of GB 18030-2022: `U+E81E` becomes `龴`.
    PrivateUse,
    /// Radicals become the ideographs they look like: `⼀` (U+2F00) becomes `一`, `⻓` (U+2ED3) becomes `长`.
    Radicals,
    /// Compatibility ideographs become the unified ones: `豈` (U+F900) becomes `豈`.
    CompatibilityIdeographs,
    /// Letters and digits of full width become ASCII: `Ａ１` becomes `A1`. Punctuation stays: `，` is Chinese, not a
    /// wide comma.
    FullWidth,
    /// The ideographic space (U+3000) becomes a space.
    IdeographicSpace,
    /// Characters without width or effect go: soft hyphen, zero width space, word joiner and the invisible operators
    /// beside it, the byte order mark inside a text. Joiner, non-joiner and marks of direction stay: Indic and Arabic
    /// scripts and emoji are spelled with them.
    ZeroWidth,
    /// Canonical composition.
    Nfc,
}

impl Step {
    /// All steps, in the order in which they are done.
    pub const ALL: [Self; 8] = [
        Self::Crlf,
        Self::PrivateUse,
        Self::Radicals,
        Self::CompatibilityIdeographs,
        Self::FullWidth,
        Self::IdeographicSpace,
        Self::ZeroWidth,
        Self::Nfc,
    ];

    /// Its name, as in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crlf => "crlf",
            Self::PrivateUse => "private-use",
            Self::Radicals => "radicals",
            Self::CompatibilityIdeographs => "compatibility-ideographs",
            Self::FullWidth => "full-width",
            Self::IdeographicSpace => "ideographic-space",
            Self::ZeroWidth => "zero-width",
            Self::Nfc => "nfc",
        }
    }

    /// Does the step; gives how many characters it changed.
    fn run(self, text: &str) -> (Cow<'_, str>, u64) {
        match self {
            Self::Crlf => line_ends(text),
            Self::PrivateUse => each(text, private_use),
            Self::Radicals => each(text, radical),
            Self::CompatibilityIdeographs => each(text, compatibility_ideograph),
            Self::FullWidth => each(text, full_width),
            Self::IdeographicSpace => each(text, ideographic_space),
            Self::ZeroWidth => without(text, is_zero_width),
            Self::Nfc => nfc(text),
        }
    }

    /// Whether ASCII stays as it is.
    fn leaves_ascii(self) -> bool {
        self != Self::Crlf
    }
}

/// Steps of normalisation, ready to run.
#[derive(Debug, Clone)]
pub struct Normalizer {
    steps: Vec<Step>,
}

impl Normalizer {
    /// The steps in their order, each once.
    #[must_use]
    pub fn new(steps: &[Step]) -> Self {
        Self { steps: Step::ALL.into_iter().filter(|step| steps.contains(step)).collect() }
    }

    /// The text behind all steps; borrowed where it is the same.
    #[must_use]
    pub fn normalize<'t>(&self, text: &'t str, counts: &mut CleanCounts) -> Cow<'t, str> {
        let ascii = !self.steps.is_empty() && text.is_ascii();
        let mut text = Cow::Borrowed(text);
        for step in self.steps.iter().filter(|step| !(ascii && step.leaves_ascii())) {
            let (changed, characters) = step.run(&text);
            if characters > 0 {
                let changed = changed.into_owned();
                text = Cow::Owned(changed);
            }
            counts.normalized_by(*step, characters);
        }
        text
    }
}

/// Each character by itself: another where `map` has one.
fn each(text: &str, map: impl Fn(char) -> Option<char>) -> (Cow<'_, str>, u64) {
    let Some(first) = text.char_indices().find_map(|(at, c)| map(c).map(|_| at)) else {
        return (text.into(), 0);
    };
    let (mut out, mut changed) = (String::with_capacity(text.len()), 0);
    out.push_str(&text[..first]);
    for c in text[first..].chars() {
        let mapped = map(c);
        changed += u64::from(mapped.is_some());
        out.push(mapped.unwrap_or(c));
    }
    (out.into(), changed)
}

fn without(text: &str, goes: impl Fn(char) -> bool) -> (Cow<'_, str>, u64) {
    let gone = text.chars().filter(|c| goes(*c)).count() as u64;
    if gone == 0 {
        return (text.into(), 0);
    }
    (text.chars().filter(|c| !goes(*c)).collect::<String>().into(), gone)
}

fn line_ends(text: &str) -> (Cow<'_, str>, u64) {
    let returns = text.bytes().filter(|byte| *byte == b'\r').count() as u64;
    if returns == 0 {
        return (text.into(), 0);
    }
    (text.replace("\r\n", "\n").replace('\r', "\n").into(), returns)
}

/// NFC, piece by piece. A piece begins with a character that joins nothing before it; a piece of one such character is as
/// it should be, which is nearly all of a text. The characters of pieces that change are counted.
fn nfc(text: &str) -> (Cow<'_, str>, u64) {
    if is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return (text.into(), 0);
    }
    let (mut out, mut changed) = (String::with_capacity(text.len()), 0);
    let (mut start, mut single) = (0, true);
    let mut push = |piece: &str, single: bool| {
        let kept = out.len();
        if single {
            out.push_str(piece);
            return;
        }
        out.extend(piece.nfc());
        if out[kept..] != *piece {
            changed += piece.chars().count() as u64;
        }
    };
    for (at, c) in text.char_indices() {
        if is_boundary(c) {
            push(&text[start..at], single);
            (start, single) = (at, true);
        } else {
            single = false;
        }
    }
    push(&text[start..], single);
    if changed == 0 { (text.into(), 0) } else { (out.into(), changed) }
}

/// Whether a character is a starter that NFC leaves and that never joins what stands before it.
fn is_boundary(c: char) -> bool {
    c.is_ascii() || canonical_combining_class(c) == 0 && is_nfc_quick(std::iter::once(c)) == IsNormalized::Yes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(steps: &[Step], text: &str) -> (String, CleanCounts) {
        let mut counts = CleanCounts::default();
        let text = Normalizer::new(steps).normalize(text, &mut counts).into_owned();
        (text, counts)
    }

    fn alone(step: Step, text: &str) -> String {
        run(&[step], text).0
    }

    #[test]
    fn each_step_by_itself() {
        for (step, from, to) in [
            (Step::Crlf, "一\r\n\r二\r\r\n三\n", "一\n\n二\n\n三\n"),
            (Step::PrivateUse, "\u{E81E}\u{E864}\u{E78D}\u{E7C7}\u{E000}", "\u{9FB4}\u{9FBB}\u{FE10}ḿ\u{E000}"),
            (Step::Radicals, "⼀⿕⺟⻓⺀，", "一龠母长⺀，"),
            (Step::CompatibilityIdeographs, "\u{F900}\u{2F81A}\u{FA0E}", "\u{8C48}\u{51AC}\u{FA0E}"),
            // 1 stays 1: a peer makes `"` of it.
            (Step::FullWidth, "Ａｚ０１９！，（～￥　", "Az019！，（～￥　"),
            (Step::IdeographicSpace, "\u{3000}词　元 ", " 词 元 "),
            (Step::ZeroWidth, "\u{FEFF}词\u{200B}元\u{AD}👨\u{200D}👩", "词元👨\u{200D}👩"),
            (Step::Nfc, "e\u{301}\u{F900}中か\u{3099}", "é\u{8C48}中が"),
        ] {
            assert_eq!(alone(step, from), to, "{step:?}");
        }
    }

    #[test]
    fn what_was_done_is_counted() {
        let (text, counts) = run(&[Step::Nfc, Step::FullWidth, Step::FullWidth], "Ａe\u{301}１e");
        assert_eq!(text, "Aé1e");
        let counted: Vec<(Step, u64, u64)> =
            counts.normalized.iter().map(|(step, changed)| (*step, changed.documents, changed.characters)).collect();
        assert_eq!(counted, [(Step::FullWidth, 1, 2), (Step::Nfc, 1, 2)]);
        assert!(run(&Step::ALL, "词元 tokens，").1.is_empty());
        let lines =
            ["normalized by full-width: 2 characters in 1 documents", "normalized by nfc: 2 characters in 1 documents"];
        assert_eq!(counts.lines(), lines);
        assert!(Step::ALL.iter().all(|step| serde_json::to_value(step).unwrap() == step.name()));
        assert!(Step::ALL.is_sorted());
    }

    /// Over every character: each step and all together leave alone what they have made.
    #[test]
    fn what_is_normal_stays() {
        let all = Normalizer::new(&Step::ALL);
        for c in (0..=0x10_FFFF).filter_map(char::from_u32) {
            let text = c.to_string();
            for step in Step::ALL {
                let once = alone(step, &text);
                assert_eq!(alone(step, &once), once, "{step:?} of {c:?}");
            }
            let mut counts = CleanCounts::default();
            let once = all.normalize(&text, &mut counts).into_owned();
            assert_eq!(all.normalize(&once, &mut counts), once, "{c:?}");
            assert_eq!(alone(Step::Nfc, &text), text.nfc().collect::<String>(), "{c:?}");
        }
    }

    /// Texts of characters that steps are about, and their neighbours.
    fn texts() -> impl Strategy<Value = String> {
        let alphabet = "ab\r\n\u{301}\u{323}e가\u{1100}\u{1161}\u{11A8}\u{F900}⼀⻓\u{E81E}\u{E7C8}Ａ１，\u{3000}\u{200B}\u{200D}\
                        \u{FEFF}\u{AD}か\u{3099}\u{212A}\u{2126}中文\u{1E2AE}\u{0F73}\u{0344}\u{0958}";
        let alphabet: Vec<char> = alphabet.chars().collect();
        prop_oneof![
            proptest::collection::vec(proptest::sample::select(alphabet), 0..24).prop_map(|text| text.iter().collect()),
            any::<String>(),
        ]
    }

    proptest! {
        #[test]
        fn nfc_is_that_of_unicode(text in texts()) {
            prop_assert_eq!(alone(Step::Nfc, &text), text.nfc().collect::<String>());
        }

        #[test]
        fn a_normal_text_is_left(text in texts(), chosen in proptest::collection::vec(any::<bool>(), 8)) {
            let steps: Vec<Step> = Step::ALL.into_iter().zip(chosen).filter(|(_, is)| *is).map(|(step, _)| step).collect();
            let (once, counts) = run(&steps, &text);
            let (twice, none) = run(&steps, &once);
            prop_assert_eq!(&twice, &once);
            prop_assert!(none.is_empty());
            prop_assert_eq!(counts.is_empty(), once == text);
        }
    }
}
