//! What several tests need: the project's corpora, hostile strings, a folder with the command.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ciyuan::encode::Tokenizer;
use ciyuan::learn::{Counts, LearnConfig, VocabSize, learn};
use ciyuan::segment::{Han, Pattern, Segmenter};
use ciyuan::text::{ReadOptions, Record, Source, records};
use ciyuan::vocab::TokenizerSpec;

pub(crate) const CORPORA: [&str; 4] = ["corpora/en", "corpora/mixed", "corpora/zh", "corpora/zh_trad"];

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The texts of corpora/, document by document.
pub(crate) fn corpus() -> Vec<String> {
    let source = Source::find(&CORPORA.map(|folder| root().join(folder)), None).unwrap();
    let options = ReadOptions::default();
    let mut texts = Vec::new();
    for file in &source.files {
        for record in records(file, &options).unwrap() {
            match record.unwrap() {
                Record::Document(document) => texts.push(document.text),
                Record::Reject(reject) => panic!("{reject:?}"),
            }
        }
    }
    texts
}

/// A tokenizer learned from texts.
pub(crate) fn learned(texts: &[String], pattern: &str, han: Han, size: u32) -> Tokenizer {
    let segmenter = Segmenter::new(Pattern::parse(pattern).unwrap(), han.learning()).unwrap();
    let counts = Counts::of_texts(&segmenter, texts).unwrap();
    let config = LearnConfig { vocab_size: VocabSize::Tokens(size), ..LearnConfig::default() };
    let merges = learn(&counts, &config, &mut |_, _| ControlFlow::Continue(())).unwrap();
    let regex = segmenter.pattern().source().to_owned();
    let spec = TokenizerSpec::from_learned(regex, han.encoding(), &merges.pairs, &config.special).unwrap();
    Tokenizer::new(spec).unwrap()
}

/// The files below a folder, and what is in them.
pub(crate) fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|e| e.file_type().is_file());
    files
        .map(|entry| {
            let name = entry.path().strip_prefix(folder).unwrap().display().to_string();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// Random numbers for tests: SplitMix64.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Pieces that patterns and merges stumble over.
const PIECES: &[&str] = &[
    " ",
    "  ",
    "   ",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\t",
    "\u{A0}",
    "\u{3000}",
    "\u{2028}",
    "\u{85}",
    "\u{200B}",
    "\u{FEFF}",
    "\0",
    "'s",
    "'S",
    "'\u{17F}",
    "'ll",
    "'LL",
    "'ve",
    "'re",
    "'d",
    "'",
    "''",
    "\u{2019}s",
    "a",
    "the",
    " The",
    "HELLO",
    "hElLo",
    "ǅ",
    "ß",
    "é",
    "e\u{301}",
    "\u{301}",
    "İ",
    "\u{212A}",
    "ſ",
    "中",
    "词元",
    "，我们",
    "的",
    "〇",
    "々",
    "𠮷",
    "\u{F900}",
    "⼀",
    "，",
    "。",
    "“",
    "……",
    "——",
    "《",
    "１２",
    "ＡＢ",
    "1",
    "22",
    "333",
    "4444",
    "½",
    "Ⅷ",
    "٣",
    "²",
    "!",
    "?!",
    "...",
    "/",
    "//",
    "\\",
    "=",
    "====",
    "-->",
    "_",
    "snake_case",
    "camelCase",
    "#",
    "カタカナ",
    "ひらがな",
    "한국어",
    "ไทย",
    "हिन्दी",
    "العربية",
    "😀",
    "👩\u{200D}👩\u{200D}👧",
    "🇨🇳",
    "𝒳",
    "\u{10FFFF}",
    "\u{E000}",
    "<|endoftext|>",
    "<|im_start|>",
    "aaaaaaaa",
    "ababab",
];

/// Strings of a few hostile pieces and random characters.
pub(crate) fn hostile(count: usize, seed: u64) -> Vec<String> {
    let mut random = Random(seed);
    let mut strings = Vec::new();
    for _ in 0..count {
        let mut text = String::new();
        for _ in 0..random.below(16) {
            match random.below(8) {
                0 => text.extend(char::from_u32(random.below(0x11_0000) as u32)),
                1 => text.extend(char::from_u32(0x4E00 + random.below(0x5200) as u32)),
                _ => text.push_str(PIECES[random.below(PIECES.len())]),
            }
        }
        strings.push(text);
    }
    strings
}

/// A folder of its own for a test, in which the command is run.
pub(crate) struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders that lead to it.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ciyuan"));
        command.current_dir(self.folder.path()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the command with an empty input (a pipe of our own: a machine whose `/dev/null` is broken gives a text).
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::new(self.command(arguments).stdin(Stdio::piped()).output().unwrap())
    }

    /// Runs the command with an input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        use std::io::Write;
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // From a thread: a command that answers while it reads would wait for its answer to be taken.
        let writer = std::thread::spawn(move || {
            // The command may end before it has read all, and that may be what is tested.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ran::new(output)
    }
}

/// How a command ended.
pub(crate) struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    fn new(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Its output, if it succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "stderr: {}", self.stderr);
        self.stdout
    }

    /// Its output as JSON, if it succeeded.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// Its message, if it failed with this code and the message says all this.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, says: &[&str]) -> String {
        assert_eq!(self.code, Some(code), "stdout: {} stderr: {}", self.stdout, self.stderr);
        for part in says {
            assert!(self.stderr.contains(part), "{part:?} is not in {:?}", self.stderr);
        }
        self.stderr
    }
}
