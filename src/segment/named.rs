//! The named patterns: their regular expressions as published, and the scanner of each.

use super::lanes::{Instructions, Lanes, Work};
use super::oniguruma;
use super::phrases::{self, SUPERWORD_PATTERN};
use super::rules::{Ciyuan, Cl100k, Cl100kTiktoken, DeepSeekV3, Gpt2, O200k, Qwen2, Qwen35, Rules, SeedCoder};
use super::scanner::scan;

/// The name of the default pattern.
pub const DEFAULT_PATTERN: &str = "ciyuan";

const CIYUAN: &str = concat!(
    r"[\p{Han}]+",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
pub(super) const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const GPT2_TIKTOKEN: &str = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s";
const CL100K: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const CL100K_TIKTOKEN: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s";
const O200K: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const SEED_CODER: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+";
const BAILING: &str =
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";

/// DeepSeek's three patterns in one. There each cuts what the one before left, matched or not: digits in threes, then
/// runs of ideographs and kana, then the words, marks and white space of each piece. So nothing here reaches over the
/// edge of such a run, and white space before it or before digits has nothing behind it.
const DEEPSEEK_V3: &str = concat!(
    r"\p{N}{1,3}",
    "|[\u{3040}\u{3097}\u{3098}]?[一-龥\u{3041}-\u{3096}\u{3099}\u{309A}\u{309D}-\u{309F}\u{30A1}-\u{30FA}\u{30FC}-\u{30FF}]+",
    "|[\u{309B}\u{309C}\u{30A0}\u{30FB}]+",
    "|[\u{3040}\u{3097}\u{3098}]+(?=[\u{3040}\u{3097}\u{3098}][一-龥\u{3041}-\u{3096}\u{3099}\u{309A}\u{309D}-\u{309F}\u{30A1}-\u{30FA}\u{30FC}-\u{30FF}])",
    "|[\u{3040}\u{3097}\u{3098}]+",
    r##"|[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"##,
    "|[^\\r\\n\\p{L}\\p{P}\\p{S}\\p{N}\u{3040}-\u{30FF}]?[\\p{L}\\p{M}&&[^一-龥\u{3040}-\u{30FF}]]+",
    "| ?[\\p{P}\\p{S}&&[^\u{3040}-\u{30FF}]]+[\\r\\n]*",
    "|\\s*[\\r\\n]+|\\s+(?![^\\s\\p{N}一-龥\u{3040}-\u{30FF}])|\\s+"
);

/// Each character by itself.
pub(super) const CHARACTERS: &str = "(?s:.)";

/// The sequence of patterns in DeepSeek's tokenizer.json, for which `deepseek-v3` stands.
const DEEPSEEK_V3_SEQUENCE: [&str; 3] = [
    r"\p{N}{1,3}",
    "[一-龥\u{3040}-\u{309F}\u{30A0}-\u{30FF}]+",
    concat!(
        r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"##,
        r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
];

/// The named patterns and their regular expressions. A name whose expression stands before under another name, as
/// `kimi-k2`, is a second name of that pattern.
///
/// * `ciyuan`, the default: Han runs stand apart, because a mark glued to them fills the vocabulary with marks glued to
///   characters; other letters in words by case, so that `iPhone` and `HTMLParser` fall into their parts, with at most
///   one leading mark (mostly the space) and an English contraction behind; digits in threes, which keeps numbers few;
///   punctuation with the newlines behind it, because the two mostly come together; newlines with the white space
///   before them; other white space, the last character of which leads the next word.
/// * `gpt2`: OpenAI's GPT-2 (`encoder.py`, tokenizer.json files).
/// * `cl100k`: OpenAI's GPT-4, in the form of tokenizer.json files.
/// * `cl100k-tiktoken`: the same in `tiktoken_ext/openai_public.py`; it differs in white space with a newline at the
///   end of a text, which is one span.
/// * `o200k`: OpenAI's GPT-4o (`tiktoken_ext/openai_public.py`).
/// * `llama3`: Meta's Llama 3 (tokenizer.json): `cl100k`.
/// * `qwen2`: Alibaba's Qwen 2 and 3 (tokenizer.json): `cl100k` with single digits.
/// * `qwen3.5`: Alibaba's Qwen 3.5 (tokenizer.json): `qwen2` with marks in words.
/// * `deepseek-v3`: DeepSeek V3 and R1 (tokenizer.json): digits in threes, then ideographs and kana, then words, marks
///   and white space, as one expression in place of a sequence of three.
/// * `kimi-k2`: Moonshot's Kimi K2 (`tokenization_kimi.py`): `ciyuan`.
/// * `seed-coder`: ByteDance's Seed-Coder (tokenizer.json): `qwen2` without newlines behind punctuation.
/// * `bailing`: Ant Group's Ling (tokenizer.json): cuts as `qwen2` does.
pub const NAMED_PATTERNS: [(&str, &str); 12] = [
    (DEFAULT_PATTERN, CIYUAN),
    ("gpt2", GPT2),
    ("cl100k", CL100K),
    ("cl100k-tiktoken", CL100K_TIKTOKEN),
    ("o200k", O200K),
    ("llama3", CL100K),
    ("qwen2", QWEN2),
    ("qwen3.5", QWEN35),
    ("deepseek-v3", DEEPSEEK_V3),
    ("kimi-k2", CIYUAN),
    ("seed-coder", SEED_CODER),
    ("bailing", BAILING),
];

/// The pattern that a sequence of splits stands for, each of which cuts what the one before left.
pub(super) fn pattern_of_sequence(regexes: &[&str]) -> Option<&'static str> {
    let same = regexes.len() == DEEPSEEK_V3_SEQUENCE.len()
        && regexes.iter().zip(DEEPSEEK_V3_SEQUENCE).all(|(regex, known)| is_spelling(regex, known));
    same.then_some(DEEPSEEK_V3)
}

/// The known regular expression that one in the spelling of a tokenizer.json stands for.
pub(super) fn known_spelling(regex: &str) -> Option<&'static str> {
    let known = NamedScanner::KNOWN.iter().map(|(known, _)| *known);
    known.into_iter().find(|known| is_spelling(regex, known) || regex == oniguruma::from_rust(known))
}

/// Whether a regular expression is the known one; some files have line breaks themselves in place of `\r` and `\n`.
fn is_spelling(regex: &str, known: &str) -> bool {
    regex == known || regex.replace('\r', r"\r").replace('\n', r"\n") == known
}

/// Cuts as one of the named patterns does, without a regex engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedScanner {
    Ciyuan,
    Gpt2,
    Cl100k,
    Cl100kTiktoken,
    O200k,
    Qwen2,
    Qwen35,
    SeedCoder,
    DeepSeekV3,
    Characters,
    Superwords,
}

impl NamedScanner {
    /// The regular expressions that are known, and the scanner that cuts as they do.
    pub(super) const KNOWN: [(&str, Self); 13] = [
        (CIYUAN, Self::Ciyuan),
        (GPT2, Self::Gpt2),
        (GPT2_TIKTOKEN, Self::Gpt2),
        (CL100K, Self::Cl100k),
        (CL100K_TIKTOKEN, Self::Cl100kTiktoken),
        (O200K, Self::O200k),
        (QWEN2, Self::Qwen2),
        (QWEN35, Self::Qwen35),
        (SEED_CODER, Self::SeedCoder),
        (BAILING, Self::Qwen2),
        (DEEPSEEK_V3, Self::DeepSeekV3),
        (CHARACTERS, Self::Characters),
        (SUPERWORD_PATTERN, Self::Superwords),
    ];

    /// The scanner for a regular expression, if it is a known one.
    pub(super) fn of(regex: &str) -> Option<Self> {
        Self::KNOWN.iter().find(|(known, _)| is_spelling(regex, known)).map(|(_, scanner)| *scanner)
    }

    /// Pushes the end of each span of `text`, which is shorter than 4 GiB.
    pub(super) fn spans(self, instructions: Instructions, text: &str, ends: &mut Vec<u32>) {
        match self {
            Self::Ciyuan => instructions.run(Scan::<Ciyuan>::new(text, ends)),
            Self::Gpt2 => instructions.run(Scan::<Gpt2>::new(text, ends)),
            Self::Cl100k => instructions.run(Scan::<Cl100k>::new(text, ends)),
            Self::Cl100kTiktoken => instructions.run(Scan::<Cl100kTiktoken>::new(text, ends)),
            Self::O200k => instructions.run(Scan::<O200k>::new(text, ends)),
            Self::Qwen2 => instructions.run(Scan::<Qwen2>::new(text, ends)),
            Self::Qwen35 => instructions.run(Scan::<Qwen35>::new(text, ends)),
            Self::DeepSeekV3 => instructions.run(Scan::<DeepSeekV3>::new(text, ends)),
            Self::Characters => ends.extend(text.char_indices().skip(1).map(|(at, _)| at as u32).chain(last(text))),
            Self::SeedCoder => instructions.run(Scan::<SeedCoder>::new(text, ends)),
            Self::Superwords => phrases::push_ends(text, ends),
        }
    }
}

/// The end of the last span.
fn last(text: &str) -> Option<u32> {
    (!text.is_empty()).then_some(text.len() as u32)
}

/// The scan of a text by the rules `R`.
struct Scan<'a, R> {
    text: &'a str,
    ends: &'a mut Vec<u32>,
    rules: std::marker::PhantomData<R>,
}

impl<'a, R> Scan<'a, R> {
    fn new(text: &'a str, ends: &'a mut Vec<u32>) -> Self {
        Self { text, ends, rules: std::marker::PhantomData }
    }
}

impl<R: Rules> Work for Scan<'_, R> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        scan::<R, L>(lanes, self.text, self.ends);
    }
}

#[cfg(test)]
mod tests {
    use super::super::NaivePattern;
    use super::super::class_runs::RUNS;
    use super::super::testing::{hostile, in_contexts};
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static NAIVE: LazyLock<Vec<NaivePattern>> =
        LazyLock::new(|| NamedScanner::KNOWN.iter().map(|(regex, _)| NaivePattern::new(regex).unwrap()).collect());

    /// Every scanner, with every instruction set that this machine has, beside its regex.
    fn check(text: &str) {
        for ((regex, scanner), naive) in NamedScanner::KNOWN.iter().zip(&*NAIVE) {
            let wanted = naive.spans(text).unwrap();
            for instructions in Instructions::all() {
                let mut ends = Vec::new();
                scanner.spans(instructions, text, &mut ends);
                assert_eq!(ends, wanted, "{regex}, {}: {text:?}", instructions.name());
            }
        }
    }

    #[test]
    fn line_breaks_may_be_written_out() {
        let regex = CL100K.replace(r"\r", "\r").replace(r"\n", "\n");
        assert_eq!(NamedScanner::of(&regex), Some(NamedScanner::Cl100k));
        let sequence = DEEPSEEK_V3_SEQUENCE.map(|regex| regex.replace(r"\r", "\r").replace(r"\n", "\n"));
        let sequence: Vec<&str> = sequence.iter().map(String::as_str).collect();
        assert_eq!(pattern_of_sequence(&sequence), Some(DEEPSEEK_V3));
        assert_eq!(pattern_of_sequence(&sequence[1..]), None);
    }

    #[test]
    fn the_portable_instructions_come_last() {
        let names: Vec<&str> = Instructions::all().map(Instructions::name).collect();
        assert_eq!((names.first(), names.last()), (Some(&Instructions::best().name()), Some(&"portable")));
    }

    /// Spans of a sequence of patterns: each cuts the spans of the one before.
    fn in_sequence(patterns: &[NaivePattern], text: &str) -> Vec<u32> {
        let mut ends = vec![text.len() as u32];
        for pattern in patterns {
            let mut start = 0;
            let mut finer = Vec::new();
            for end in ends {
                let piece = &text[start as usize..end as usize];
                finer.extend(pattern.spans(piece).unwrap().iter().map(|at| start + at));
                start = end;
            }
            ends = finer;
        }
        ends
    }

    #[test]
    fn nothing_in_nothing_out() {
        check("");
    }

    /// Runs of what could make a scanner look far ahead, at every length around a block.
    #[test]
    fn runs_around_the_block() {
        let runs =
            ["a", "A", "aB", " ", "\n", " \n", "=", "/", "1", "'", "'s", "中", "，", "é", "\u{301}", "\t", "a ", "\0"];
        for run in runs {
            for count in (0..70).chain([127, 128, 129]) {
                for (before, behind) in [("", ""), ("x", "y"), (" ", "中"), ("中", "'s"), ("A", "é"), ("\n", "1")] {
                    check(&format!("{before}{}{behind}", run.repeat(count)));
                }
            }
        }
    }

    /// The first and the last character of each run of one class, in contexts that reach over it from both sides.
    #[test]
    fn the_edges_of_every_class() {
        let edges = RUNS.windows(2).flat_map(|pair| [pair[0] >> 5, (pair[1] >> 5) - 1]);
        let characters: Vec<char> = edges.filter_map(char::from_u32).collect();
        assert!(characters.len() > 7000);
        for some in characters.chunks(50) {
            check(&some.iter().map(|c| in_contexts(*c)).collect::<String>());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn equals_the_plain_regex(text in hostile()) {
            check(&text);
        }

        #[test]
        fn one_expression_equals_the_sequence_of_deepseek(text in hostile()) {
            static SEQUENCE: LazyLock<Vec<NaivePattern>> =
                LazyLock::new(|| DEEPSEEK_V3_SEQUENCE.map(|regex| NaivePattern::new(regex).unwrap()).into());
            let mut ends = Vec::new();
            NamedScanner::DeepSeekV3.spans(Instructions::best(), &text, &mut ends);
            prop_assert_eq!(ends, in_sequence(&SEQUENCE, &text));
        }
    }
}
