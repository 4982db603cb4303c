//! How much text there is, and how many tokens it comes to: by file, in all, and by script.
//!
//! Documents are treated as the stages that use them would do it, and counted on all threads. Figures are sums in the
//! order of the documents, so that they depend on the input alone.

use std::ops::Range;
use std::path::Path;

use serde::Serialize;

use super::documents::{RejectSink, sum_of};
use super::progress::{Progress, Unit};
use super::reading::{LinesBefore, Reading, readers};
use super::shares::{Part, Share, Work, in_part_of};
use super::treatment::Treatment;
use crate::clean::CleanSettings;
use crate::encode::{Encoder, Tokenizer};
use crate::error::Result;
use crate::evaluate::{ScriptCounter, ScriptReport};
use crate::segment::kept_pieces;
use crate::text::{Document, ReadOptions, Source, whole_files};

/// The figures of a file, or of all.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct FileCount {
    /// The file as it was named; `total` of all.
    pub file: String,
    /// Documents that would be used.
    pub documents: u64,
    /// Records that are no documents.
    pub rejected: u64,
    /// Documents that filters refuse or that stand there twice; `None` where the settings leave none out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<u64>,
    /// Bytes of their text.
    pub bytes: u64,
    /// Characters.
    pub characters: u64,
    /// Tokens; `None` without a tokenizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Bytes for each of them; 0 where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_token: Option<f64>,
}

/// What a corpus comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct CorpusCount {
    /// Each file.
    pub files: Vec<FileCount>,
    /// Their sum.
    pub total: FileCount,
    /// The sum by script; without a tokenizer, tokens are 0.
    pub scripts: Vec<ScriptReport>,
    /// Seconds of counting characters and tokens.
    pub encode_seconds: f64,
}

/// What a document comes to.
struct Counted {
    characters: u64,
    tokens: u64,
    scripts: ScriptCounter,
}

impl CorpusCount {
    /// Counts the documents of `source`. What finding duplicates has no room for waits in the folder `scratch`.
    ///
    /// ```
    /// use ciyuan::pipeline::{CorpusCount, Progress};
    /// use ciyuan::text::{ReadOptions, Source};
    /// # fn main() -> ciyuan::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("a.jsonl");
    /// std::fs::write(&path, "{\"text\": \"词元 a\"}\nno record\n{\"text\": \"词\"}\n").unwrap();
    /// let source = Source::find(&[path], None)?;
    /// let count = CorpusCount::of(&source, &ReadOptions::default(), None, folder.path(), &Progress::silent())?;
    /// let total = &count.total;
    /// assert_eq!((total.documents, total.rejected, total.bytes, total.characters), (2, 1, 11, 5));
    /// assert_eq!((count.scripts[0].characters, count.scripts[0].bytes), (3, 9));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of reading, of [`Treatment::new`] and of encoding, [`Error::Accounting`](crate::Error::Accounting), [`Error::Interrupted`](crate::Error::Interrupted).
    pub fn of(
        source: &Source,
        options: &ReadOptions,
        tokenizer: Option<&Tokenizer>,
        scratch: &Path,
        progress: &Progress<'_>,
    ) -> Result<Self> {
        let counter = tokenizer.map(TokenCounter::new);
        let treatment = Treatment::new(&source.files, options, scratch, progress)?;
        let left_out = (options.clean != CleanSettings::default()).then_some(0);
        let tokens = tokenizer.map(|_| 0);
        let row = |file: String| FileCount { file, left_out, tokens, ..FileCount::default() };
        let mut files: Vec<FileCount> = source.files.iter().map(|file| row(file.path.display().to_string())).collect();
        let mut scripts = ScriptCounter::default();
        progress.stage("counting", source.bytes(), Unit::Bytes);
        let reading = Reading { files: &source.files, options, treatment: &treatment, progress, readers: readers() };
        let (parts, lines) = (whole_files(&source.files), &mut LinesBefore::default());
        let mut take = |counted: Vec<(Counted, usize)>| {
            for (counted, file) in counted {
                let row: &mut FileCount = &mut files[file];
                row.characters += counted.characters;
                row.tokens = row.tokens.map(|tokens| tokens + counted.tokens);
                scripts.merge(&counted.scripts);
            }
            Ok(())
        };
        let (tallies, passed) =
            reading.work_on(&Counting { counter }, &parts, lines, RejectSink::Count, 0, &mut take)?;
        sum_of(&tallies)?;
        let mut total = row("total".to_owned());
        for (number, row) in files.iter_mut().enumerate() {
            if let Some(read) = tallies.get(&number) {
                row.documents = read.documents.left;
                row.rejected = read.documents.rejected;
                row.left_out = row.left_out.map(|_| read.documents.filtered + read.documents.deduplicated);
                row.bytes = read.bytes.left;
            }
            total.add(row);
            row.close();
        }
        total.close();
        Ok(Self { files, total, scripts: scripts.report(), encode_seconds: passed.working })
    }
}

impl FileCount {
    fn add(&mut self, more: &Self) {
        let sum = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a + b);
        self.documents += more.documents;
        self.rejected += more.rejected;
        self.left_out = sum(self.left_out, more.left_out);
        self.bytes += more.bytes;
        self.characters += more.characters;
        self.tokens = sum(self.tokens, more.tokens);
    }

    fn close(&mut self) {
        let ratio = |tokens: u64| if tokens > 0 { self.bytes as f64 / tokens as f64 } else { 0.0 };
        self.bytes_per_token = self.tokens.map(ratio);
    }
}

/// The work of counting: of tokens, or of characters alone.
struct Counting<'t> {
    counter: Option<TokenCounter<'t>>,
}

impl Work for Counting<'_> {
    /// What each text comes to, and the number of its file.
    type Result = Vec<(Counted, usize)>;

    /// Where a tokenizer changes its texts, which bytes of a text its ids stand for is told of whole documents.
    fn parts(&self, document: &Document, bytes: usize) -> Vec<Range<usize>> {
        match &self.counter {
            Some(counter) if counter.drops_text || counter.tokenizer.changes_text() => {
                std::iter::once(0..document.text.len()).collect()
            }
            Some(counter) => counter.tokenizer.parts(&document.text, bytes).collect(),
            None => parts_of_characters(&document.text, bytes),
        }
    }

    fn worker(&self) -> impl FnMut(Share) -> Result<Self::Result> + Send {
        let mut encoder = self.counter.as_ref().map(|counter| Encoder::new(counter.tokenizer));
        let mut count = move |document: &Document, text: Range<usize>| match (&self.counter, &mut encoder) {
            (Some(counter), Some(encoder)) => {
                let place = in_part_of(document, text.start);
                counter.count(encoder, &document.text[text]).map_err(place)
            }
            _ => Ok(characters(&document.text[text])),
        };
        move |share| match share {
            Share::Documents(batch) => {
                let documents = batch.documents.iter().zip(batch.files);
                documents.map(|(document, file)| Ok((count(document, 0..document.text.len())?, file))).collect()
            }
            Share::Part(Part { document, file, bytes }) => Ok(vec![(count(&document, bytes)?, file)]),
        }
    }
}

/// Without a tokenizer.
fn characters(text: &str) -> Counted {
    let mut scripts = ScriptCounter::default();
    let characters = scripts.add_characters(text);
    Counted { characters, tokens: 0, scripts }
}

/// Characters are counted by themselves, wherever a text is cut between them.
fn parts_of_characters(text: &str, bytes: usize) -> Vec<Range<usize>> {
    let cuts = (0..text.len()).step_by(bytes).skip(1).map(|cut| text.floor_char_boundary(cut));
    let cuts: Vec<usize> = std::iter::once(0).chain(cuts).chain([text.len()]).collect();
    cuts.windows(2).map(|two| two[0]..two[1]).collect()
}

/// Counts the tokens of texts.
struct TokenCounter<'t> {
    tokenizer: &'t Tokenizer,
    /// Bytes of each token.
    lengths: Vec<u32>,
    drops_text: bool,
}

impl<'t> TokenCounter<'t> {
    fn new(tokenizer: &'t Tokenizer) -> Self {
        let drops_text = tokenizer.segmenter().pattern().drops_text();
        Self { tokenizer, lengths: tokenizer.text_lengths(), drops_text }
    }

    fn count(&self, encoder: &mut Encoder<'_>, text: &str) -> Result<Counted> {
        let (mut ids, mut scripts) = (Vec::new(), ScriptCounter::default());
        encoder.encode_into(text, &mut ids)?;
        let lengths = ids.iter().map(|id| self.lengths[*id as usize]);
        if self.drops_text {
            // No token stands for what the pattern takes out.
            let (mut ends, mut dropped) = (Vec::new(), Vec::new());
            self.tokenizer.segmenter().spans_and_dropped(text, &mut ends, &mut dropped)?;
            scripts.add(&kept_pieces(text, &ends, &dropped).collect::<String>(), lengths);
        } else {
            scripts.add(text, lengths);
        }
        Ok(Counted { characters: text.chars().count() as u64, tokens: ids.len() as u64, scripts })
    }
}
