//! What each fuzz target checks: that a fast path equals its oracle, or that hostile bytes are answered by an error.
//!
//! The functions panic when something is wrong. `cargo fuzz run TARGET` drives them, and the integration tests replay
//! `seeds/` and `regressions/` through them.

mod documents;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use ciyuan::Error;
use ciyuan::encode::{Tokenizer, naive_encode};
use ciyuan::learn::{
    CountStream, Counts, CountsHead, CountsReader, CountsSettings, CountsWriter, FilesInMemory, LearnConfig, Learned,
    SortedCounts, TieRule, VocabSize, WordRoom,
};
use ciyuan::segment::{
    Dictionary, Fold, HanEdges, Instructions, NAMED_PATTERNS, NaivePattern, Pattern, SUPERWORD_PATTERN, Segmenter,
    WordMode,
};
use ciyuan::shard::{
    Corpus, ExportSettings, ImportSettings, Layout, Manifest, Piece, Shard, ShardWriter, export, import as read_foreign,
};
use ciyuan::vocab::{Fingerprint, TokenizerSpec};
use xxhash_rust::xxh3::xxh3_64;

pub use documents::documents;

/// Each pattern with a scanner and its oracle. Cloning a pattern would throw its lazily built automaton away.
static PATTERNS: LazyLock<Vec<(Segmenter, NaivePattern)>> = LazyLock::new(|| {
    let both = |regex: &str| (segmenter(Pattern::from_regex(regex).unwrap()), NaivePattern::new(regex).unwrap());
    NAMED_PATTERNS.iter().map(|(_, regex)| *regex).chain([SUPERWORD_PATTERN]).map(both).collect()
});

fn segmenter(pattern: Pattern) -> Segmenter {
    Segmenter::new(pattern, HanEdges::None).unwrap()
}

/// Spans of every named pattern equal those of its regex, and words those of jieba-rs; a pattern made of the first line covers the rest.
pub fn segment(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for (fast, naive) in &*PATTERNS {
        let wanted = naive.spans(&text).unwrap();
        let mut ends = Vec::new();
        for instructions in Instructions::all() {
            fast.spans_with(instructions, &text, &mut ends).unwrap();
            assert_eq!(ends, wanted, "{}, {}", fast.pattern().source(), instructions.name());
        }
    }
    spans_of_bytes(TOKENIZERS[0].segmenter(), data);
    let dictionary = Dictionary::built_in();
    assert_eq!(dictionary.words(&text, WordMode::Words), dictionary.naive_words(&text));
    user_words(data, &text);
    let (regex, rest) = text.split_once('\n').unwrap_or((&text, ""));
    // A short pattern may still ask for a large machine; that is refused, and takes its time to be.
    if regex.len() > if regex.starts_with('{') { 400 } else { 80 } {
        return;
    }
    if let Ok(pattern) = Pattern::from_source(regex) {
        // Backtracking over a long text is slow on purpose; the unit tests reach its limit.
        let rest = if pattern.is_linear() { rest } else { &rest[..rest.floor_char_boundary(16)] };
        match spans(&segmenter(pattern), rest) {
            Ok(ends) => {
                assert!(ends.windows(2).all(|pair| pair[0] < pair[1]), "{regex:?}");
                assert!(ends.iter().all(|&end| rest.is_char_boundary(end as usize)), "{regex:?}");
                assert_eq!(ends.last().map_or(0, |&end| end as usize), rest.len(), "{regex:?}");
            }
            Err(error) => assert!(matches!(error, Error::PatternLimit { .. }), "{error}"),
        }
    }
}

/// What stands before the first blank line is a user dictionary: it is refused with its line, or its words cover the text.
fn user_words(data: &[u8], text: &str) {
    let Some(end) = data.windows(2).position(|pair| pair == b"\n\n") else { return };
    let lines = &data[..end];
    for fold in [Fold::Simplified, Fold::None] {
        let dictionary = match Dictionary::with_user_words(fold, lines) {
            Ok(dictionary) => dictionary,
            Err(Error::UserWord { line, .. }) => {
                assert!(line >= 1 && line as usize <= lines.split(|&byte| byte == b'\n').count());
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let mut ends = Vec::new();
        dictionary.word_ends(text, &mut ends);
        assert!(ends.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ends.iter().all(|&end| text.is_char_boundary(end as usize)));
        assert_eq!(ends.last().map_or(0, |&end| end as usize), text.len());
    }
}

fn spans(segmenter: &Segmenter, text: &str) -> ciyuan::Result<Vec<u32>> {
    let mut ends = Vec::new();
    segmenter.spans(text, &mut ends).map(|()| ends)
}

/// Stretches of valid text are cut by themselves, what is between them is left whole.
fn spans_of_bytes(segmenter: &Segmenter, bytes: &[u8]) {
    let (mut ends, mut dropped) = (Vec::new(), Vec::new());
    segmenter.byte_spans(bytes, &mut ends, &mut dropped).unwrap();
    // Whether each byte is in valid text.
    let valid: Vec<bool> = bytes
        .utf8_chunks()
        .flat_map(|chunk| [vec![true; chunk.valid().len()], vec![false; chunk.invalid().len()]])
        .flatten()
        .collect();
    let mut start = 0;
    let wanted = valid.chunk_by(|left, right| left == right).flat_map(|stretch| {
        let from = start;
        start += stretch.len();
        let stretch = &bytes[from..start];
        let ends =
            std::str::from_utf8(stretch).map_or(vec![stretch.len() as u32], |text| spans(segmenter, text).unwrap());
        ends.into_iter().map(move |end| from as u32 + end)
    });
    assert_eq!(ends, wanted.collect::<Vec<_>>());
}

/// Tokenizers learned from a few lines: one with the default pattern, one with a single span a text, one of many words of
/// Chinese, and one whose last merges are superwords.
static TOKENIZERS: LazyLock<[Tokenizer; 4]> = LazyLock::new(|| {
    let chinese = include_str!("../../corpora/zh/bicycle-repair.txt");
    let lines: String = chinese.split_inclusive(['。', '，', '\n']).flat_map(|part| [part, part, "\n"]).collect();
    let text = "词元是语言模型的单位，语言模型学习词元。the cat sat on the mat, the cat's hat; aaaa abab 1234 12 \n\n";
    let config = |size| LearnConfig { vocab_size: VocabSize::Tokens(size), min_count: 1, ..LearnConfig::default() };
    let pattern = |name| Pattern::parse(name).unwrap();
    let counts = |name, text| Counts::of_texts(&segmenter(pattern(name)), &[text]).unwrap();
    let spec_with = |name, pairs: &[_], special: &[String]| {
        TokenizerSpec::from_learned(pattern(name).source().to_owned(), HanEdges::None, pairs, special).unwrap()
    };
    let spec = |name, pairs: &[_]| spec_with(name, pairs, &config(0).special);
    let learn = |name, text, size| {
        ciyuan::learn::learn(counts(name, text), &config(size), &mut |_, _| ControlFlow::Continue(())).unwrap().pairs
    };
    let words = learn("ciyuan", text, 300);
    // Special tokens get their ids behind the superwords.
    let base = spec_with(SUPERWORD_PATTERN, &words, &[]);
    let pieces = counts(SUPERWORD_PATTERN, text);
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let more = ciyuan::learn::learn_more(pieces, &base, &config(360), go_on).unwrap().pairs;
    let specs = [
        spec("ciyuan", &learn("ciyuan", text, 320)),
        spec("regex:(?s).+", &learn("regex:(?s).+", text, 320)),
        spec("ciyuan", &learn("ciyuan", &lines, 2800)),
        spec(SUPERWORD_PATTERN, &[words, more].concat()),
    ];
    specs.map(|spec| Tokenizer::new(spec).unwrap())
});

/// Ids equal those of the plain merge loop, and give the text back.
pub fn encode(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for tokenizer in &*TOKENIZERS {
        let ids = tokenizer.encode(&text).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), text.as_bytes());
        // The plain loop takes time in the square of the length.
        if text.len() < 400 {
            assert_eq!(ids, naive_encode(tokenizer, &text).unwrap());
        }
        // Bytes come back, and bytes of text have its ids.
        let of_bytes = tokenizer.encode_bytes(data).unwrap();
        assert_eq!(tokenizer.decode(&of_bytes).unwrap(), data);
        assert_eq!(tokenizer.encode_bytes(text.as_bytes()).unwrap(), ids);
        assert_eq!(tokenizer.count(&text).unwrap(), ids.len());
        // A text that is cut where its pattern may be cut has the same ids.
        if let Some(cut) = tokenizer.segmenter().pattern().safe_cut(&text, 0..text.len() / 2 + 1) {
            let parts = [&text[..cut], &text[cut..]].map(|part| tokenizer.encode(part).unwrap());
            assert_eq!(parts.concat(), ids);
        }
        let with = tokenizer.encode_with(&text, &["<|endoftext|>"]).unwrap();
        assert_eq!(tokenizer.decode(&with).unwrap(), text.as_bytes());
    }
}

/// Any ids are decoded to the bytes of their tokens, or the first unknown one is named.
pub fn decode(data: &[u8]) {
    let tokenizer = &TOKENIZERS[0];
    let ids: Vec<u32> =
        data.chunks(2).map(|pair| u32::from(pair[0]) | u32::from(pair.get(1).copied().unwrap_or(0)) << 8).collect();
    let known = ids.iter().position(|&id| tokenizer.token_bytes(id).is_none());
    match (tokenizer.decode(&ids), known) {
        (Ok(bytes), None) => {
            let parts: Vec<&[u8]> = ids.iter().filter_map(|&id| tokenizer.token_bytes(id)).collect();
            assert_eq!(bytes, parts.concat());
        }
        (Err(Error::UnknownToken { id, position, .. }), Some(first)) => assert_eq!((id, position), (ids[first], first)),
        (result, known) => panic!("{result:?} with the first unknown id at {known:?}"),
    }
}

/// Merges equal those found by recounting, under rules that the first byte chooses, and at once or with a stop. A line is
/// a span, its first byte its count.
pub fn learn(data: &[u8]) {
    let mut counts = Counts::default();
    for line in data.split(|&byte| byte == b'\n').take(40) {
        if let [count, span @ ..] = line {
            let span = &span[..span.len().min(60)];
            counts.add(span, u64::from(*count % 16)).unwrap();
        }
    }
    let rules = data.first().copied().unwrap_or(0);
    let config = LearnConfig {
        vocab_size: VocabSize::Tokens(300),
        special: vec![],
        min_count: 1,
        ties: if rules & 1 == 0 { TieRule::HuggingFace } else { TieRule::RawBytes },
        character_boundaries: rules & 2 != 0,
        no_script_merges: rules & 32 != 0,
        max_token_bytes: (rules & 4 != 0).then_some(6),
        max_token_characters: (rules & 8 != 0).then_some(3),
        min_saved_per_million: (rules & 16 != 0).then_some(50_000),
    };
    let go_on = |_, _| ControlFlow::Continue(());
    let fast = ciyuan::learn::learn(&counts, &config, &mut { go_on }).unwrap();
    assert_eq!(fast, ciyuan::learn::naive_learn(&counts, &config).unwrap());
    let cut = fast.pairs.len() / 2;
    let (pairs, found) = (fast.pairs[..cut].to_vec(), fast.counts[..cut].to_vec());
    let so_far = Learned { pairs: pairs.clone(), counts: found, exhausted: false, interrupted: true };
    assert_eq!(ciyuan::learn::learn_from(&counts, &config, &so_far, &mut { go_on }).unwrap(), fast);
    // Within so little memory that most words wait in files, from the beginning.
    let files = FilesInMemory::default();
    let room = WordRoom { memory: u64::from(data.get(1).copied().unwrap_or(0)) * 8, files: &files };
    let stream = &mut SortedCounts::new(&counts);
    let within = ciyuan::learn::learn_within(stream, room, &config, &Learned::default(), &mut { go_on }).unwrap();
    assert_eq!(within, fast);
    // The half as a tokenizer that is extended, with a word that its merges do not reach.
    let word = [data.get(1..4).unwrap_or(b"abc").to_vec()];
    let Ok(base) = TokenizerSpec::from_words(".+".to_owned(), HanEdges::None, &pairs, &word, &[]) else { return };
    let config = LearnConfig { vocab_size: VocabSize::Tokens(base.vocab_size() + 20), ..config };
    let more = ciyuan::learn::learn_more(&counts, &base, &config, &mut { go_on }).unwrap();
    assert_eq!(more, ciyuan::learn::naive_learn_more(&counts, &base, &config).unwrap());
    let stream = &mut SortedCounts::new(&counts);
    let within = ciyuan::learn::learn_more_within(stream, room, &base, &config, &mut { go_on }).unwrap();
    assert_eq!(within, more);
    assert!(files.is_empty());
}

/// Bytes are refused as a file of counts, or give counts that are written and read again as they were; as entries of a block
/// under a checksum that fits they are refused too, or ascend.
pub fn counts_open(data: &[u8]) {
    if let Ok(counts) = read_counts(data) {
        let written = write_counts(&counts);
        assert!(read_counts(&written).unwrap() == counts);
    }
    let Some((entries, block)) = data.split_first().filter(|(_, block)| !block.is_empty()) else { return };
    let mut file = write_counts(&Counts::default());
    // The end of a file without entries: zero, sums, fingerprint, checksum.
    file.truncate(file.len() - 56);
    for number in [block.len() as u64, block.len() as u64, u64::from(*entries), xxh3_64(block)] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    file.extend_from_slice(block);
    let mut reader = reader(&file).unwrap();
    let mut last: Option<Vec<u8>> = None;
    while let Ok(true) = reader.advance() {
        assert!(last.as_deref().is_none_or(|last| last < reader.span()) && reader.count() > 0);
        last = Some(reader.span().to_vec());
    }
    assert_eq!(reader.totals(), None);
}

fn write_counts(counts: &Counts) -> Vec<u8> {
    let settings = CountsSettings::new("pattern", HanEdges::Words, 1);
    let mut file = Vec::new();
    let sink = |bytes: &[u8]| {
        file.extend_from_slice(bytes);
        Ok(())
    };
    let mut writer = CountsWriter::new(&CountsHead { settings, documents: 1, bytes: 2 }, sink).unwrap();
    writer.push_all(&mut SortedCounts::new(counts)).unwrap();
    assert_eq!(writer.finish().unwrap(), counts.totals());
    file
}

fn reader(mut file: &[u8]) -> ciyuan::Result<CountsReader<impl FnMut(&mut [u8]) -> ciyuan::Result<usize>>> {
    CountsReader::open(Path::new("file"), move |buffer: &mut [u8]| {
        let length = buffer.len().min(file.len());
        buffer[..length].copy_from_slice(&file[..length]);
        file = &file[length..];
        Ok(length)
    })
}

fn read_counts(file: &[u8]) -> ciyuan::Result<Counts> {
    Counts::of_stream(&mut reader(file)?)
}

/// A tokenizer file is refused, or gives a tokenizer that survives writing and reading and returns every text that it does
/// not change. A prebuilt one, changed under a checksum that fits, is refused too, or gives some ids.
pub fn vocab_load(data: &[u8]) {
    changed_prebuilt(data);
    let specs = [TokenizerSpec::from_json(data), TokenizerSpec::from_tiktoken(data, r"\w+|\W", vec![])];
    for spec in specs.into_iter().flatten() {
        assert_eq!(TokenizerSpec::from_json(spec.to_json().as_bytes()).unwrap(), spec);
        if let Ok(file) = spec.to_tiktoken() {
            let back = TokenizerSpec::from_tiktoken(file.as_bytes(), spec.pattern(), vec![]).unwrap();
            assert_eq!((back.vocab(), back.merges()), (spec.vocab(), spec.merges()));
        }
        // The pattern may not compile, or need what this build lacks.
        let Ok(tokenizer) = Tokenizer::new(spec) else { continue };
        let text = "the cat 词元 <|endoftext|>\0\u{10FFFF}";
        match tokenizer.encode(text) {
            Ok(ids) => {
                let back = tokenizer.decode(&ids).unwrap();
                let kept = !tokenizer.changes_text() && !tokenizer.segmenter().pattern().drops_text();
                assert!(!kept || back == text.as_bytes());
                assert_eq!(ids, naive_encode(&tokenizer, text).unwrap());
                if let Ok(file) = tokenizer.to_prebuilt() {
                    assert_eq!(Tokenizer::from_prebuilt(&file).unwrap().encode(text).unwrap(), ids);
                }
            }
            Err(error) => assert!(matches!(error, Error::PatternLimit { .. } | Error::Limit { .. }), "{error}"),
        }
    }
}

/// Four bytes are a change: a place, and what is put there.
fn changed_prebuilt(data: &[u8]) {
    static VALID: LazyLock<Vec<u8>> = LazyLock::new(|| TOKENIZERS[0].to_prebuilt().unwrap());
    let mut changed = VALID.clone();
    let (all, sum) = changed.split_last_chunk_mut::<8>().unwrap();
    let length = all.len();
    for change in data.chunks_exact(4).take(64) {
        let place = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize;
        all[place % length] = change[3];
    }
    *sum = xxh3_64(all).to_le_bytes();
    assert!(Tokenizer::from_prebuilt(data).is_err());
    if let Ok(tokenizer) = Tokenizer::from_prebuilt(&changed) {
        let ids = tokenizer.encode("the cat 词元是语言 aaaa 1234\n\u{10FFFF}").unwrap_or_default();
        let _ = tokenizer.decode(&ids);
    }
}

/// A file that is only this process's.
fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ciyuan-fuzz-{}-{:?}-{name}", std::process::id(), std::thread::current().id()))
}

/// A small shard, as bytes.
fn valid_shard() -> Vec<u8> {
    let path = scratch("valid.shard");
    let mut writer = ShardWriter::create(&path, 400, Some(399), Fingerprint([7; 16])).unwrap();
    for document in [&[1, 2, 3][..], &[300, 301], &[5]] {
        writer.push(document, 10).unwrap();
    }
    writer.finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    bytes
}

/// Arbitrary bytes are no shard; a valid one with changes is refused, unless nothing changed.
pub fn shard_open(data: &[u8]) {
    static VALID: LazyLock<Vec<u8>> = LazyLock::new(valid_shard);
    // Three bytes are a change: a place, counted from the header's end backwards or onwards, and what is put there.
    let mut changed = VALID.clone();
    for change in data.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % changed.len();
        changed[at] = change[2];
    }
    let cut = data.len() % 5 == 4;
    if cut {
        changed.truncate(data.iter().map(|&byte| usize::from(byte)).sum::<usize>() % changed.len());
    }
    assert_eq!(whole(&changed), changed == *VALID);
    assert!(!whole(data) || data == *VALID);
}

/// Whether these bytes are a shard; if so, all of it is read.
fn whole(bytes: &[u8]) -> bool {
    let path = scratch("changed.shard");
    std::fs::write(&path, bytes).unwrap();
    let opened = Shard::open(&path);
    std::fs::remove_file(&path).unwrap();
    let Ok(shard) = opened else { return false };
    // Damage that only the full check finds must still not panic when documents are read.
    let mut ids = Vec::new();
    let verified = shard.verify().is_ok();
    for number in 0..shard.info().documents.min(1000) {
        if let Ok(range) = shard.document(number) {
            let read = shard.read(range, &mut ids);
            assert!(read.is_ok() || !verified);
        }
    }
    assert!(ids.iter().all(|&id| id < shard.info().vocab_size));
    verified
}

/// A manifest is refused, or survives writing and reading.
pub fn manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::from_json(data) {
        assert_eq!(Manifest::from_json(manifest.to_json().as_bytes()).unwrap(), manifest);
    }
    // The checksum keeps most changes out; without it the rest is reached too.
    let sealed = serde_json::from_slice::<Manifest>(data).map(|manifest| manifest.to_json());
    if let Some(manifest) = sealed.ok().and_then(|json| Manifest::from_json(json.as_bytes()).ok()) {
        manifest.documents.check("documents").unwrap();
    }
}

/// Files by name.
type Files = Vec<(String, Vec<u8>)>;

/// The files of each layout that is read, as `export` writes them: names and bytes, the file that is named first.
static FOREIGN: LazyLock<Vec<(Layout, Files)>> = LazyLock::new(|| {
    let folder = scratch("foreign");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("valid.shard");
    std::fs::write(&path, valid_shard()).unwrap();
    let corpus = Corpus::from_paths(&[path]).unwrap().unwrap();
    let files = Layout::READ.map(|layout| {
        let settings = ExportSettings { file_bytes: Some(1024 + 6), ..ExportSettings::new(layout) };
        let prefix = folder.join(layout.name());
        let written = export(&corpus, &prefix, &settings, &mut |_| ControlFlow::Continue(())).unwrap();
        let file =
            |path: &PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap());
        (layout, written.files.iter().map(file).collect())
    });
    std::fs::remove_dir_all(folder).unwrap();
    files.into()
});

/// Files of other programs, changed or made up: refused, or read as the ids that stand there. The first byte chooses the
/// layout, the second whether three bytes at a time change files that are valid, or stand in their place.
pub fn import(data: &[u8]) {
    let [choice, made_up, rest @ ..] = data else { return };
    let (layout, files) = &FOREIGN[usize::from(*choice) % FOREIGN.len()];
    let mut files = files.clone();
    if made_up % 2 == 1 {
        let count = files.len();
        for (number, (_, bytes)) in files.iter_mut().enumerate() {
            *bytes = rest[rest.len() * number / count..rest.len() * (number + 1) / count].to_vec();
        }
    } else {
        for change in rest.chunks_exact(3) {
            let which = usize::from(change[0]) % files.len().min(2);
            let (_, bytes) = &mut files[which];
            match usize::from(change[1]) {
                255 => bytes.truncate(usize::from(change[2])),
                at if !bytes.is_empty() => {
                    let length = bytes.len();
                    bytes[at % length] = change[2];
                }
                _ => {}
            }
        }
    }
    let folder = scratch("import");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in &files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    let named = if *layout == Layout::LlmC { files.len() } else { 1 };
    let paths: Vec<PathBuf> = files[..named].iter().map(|(name, _)| folder.join(name)).collect();
    let settings = ImportSettings { layout: *layout, vocab_size: 400, end_of_text: Some(399) };
    let (mut ids, mut document, mut documents) = (Vec::new(), Vec::new(), 0);
    let result = read_foreign(&settings, &paths, &mut |piece| {
        match piece {
            Piece::File => {}
            Piece::Ids(more) => document.extend_from_slice(more),
            Piece::End(marked) => {
                let end = marked.then_some(399);
                let before = end.filter(|_| *layout == Layout::LlmC);
                let behind = end.filter(|_| *layout != Layout::LlmC);
                ids.extend(before.into_iter().chain(document.drain(..)).chain(behind));
                documents += 1;
            }
        }
        assert!(document.iter().all(|&id| id < 400));
        Ok(())
    });
    std::fs::remove_dir_all(&folder).unwrap();
    let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(ids.len() + document.len() <= bytes && documents <= bytes);
    if result.is_ok() {
        assert!(document.is_empty());
        assert_eq!(ids, foreign_ids(*layout, &files));
    }
}

/// The ids in valid files, one after the other, wherever documents end.
fn foreign_ids(layout: Layout, files: &Files) -> Vec<u32> {
    let of = |bytes: &[u8], width: usize| -> Vec<u32> {
        let number = |id: &[u8]| id.iter().rev().fold(0u64, |number, &byte| number << 8 | u64::from(byte)) as u32;
        bytes.chunks(width).map(number).collect()
    };
    let word = |bytes: &[u8]| of(bytes, 4)[0];
    match layout {
        Layout::LlmC => {
            let ids =
                |(_, bytes): &(String, Vec<u8>)| of(&bytes[1024..], if word(bytes) == 20_240_520 { 2 } else { 4 });
            files.iter().flat_map(ids).collect()
        }
        Layout::Megatron => {
            let width = [0, 1, 1, 2, 4, 8, 0, 0, 2][usize::from(files[1].1[17])];
            of(&files[0].1, width)
        }
        Layout::Datatrove => {
            let ids = files[1].1.len().checked_sub(8).map_or(0, |at| word(&files[1].1[at..]) as usize);
            files[0].1.len().checked_div(ids).map_or(Vec::new(), |width| of(&files[0].1, width))
        }
        _ => of(&files[0].1, 2),
    }
}
