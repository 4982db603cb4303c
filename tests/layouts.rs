//! Shards in the layouts of other programs: as their own writers make them, and within their limits.
//!
//! The golden files were made by `tests/readers/golden.py` with megatron-core 0.16.1, datatrove 0.10.1, dolma 1.2.1,
//! mosaicml-streaming 0.13.0 and litdata 0.2.76; those of nanoGPT and llm.c, which are no packages, with numpy.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use ciyuan::Error;
use ciyuan::shard::{Corpus, ExportSettings, Exported, Layout, ShardWriter, Split, export};
use ciyuan::vocab::Fingerprint;

use super::common::{Workshop, root};

/// Vocabulary, end-of-text token, step between documents, step between ids, bytes of an id: as in
/// tests/readers/documents.py.
const CASES: [(&str, u32, u32, u32, u32, u64); 2] =
    [("narrow", 300, 299, 131, 17, 2), ("wide", 70_000, 69_999, 13_131, 1_717, 4)];

/// The documents of a case, without their end-of-text token.
pub(crate) fn documents(end: u32, across: u32, along: u32) -> Vec<Vec<u32>> {
    let length = |document: u32| if document == 13 { 260 } else { document * 7 % 11 + 1 };
    (0..30).map(|d| (0..length(d)).map(|i| (d * across + i * along) % end).collect()).collect()
}

/// Writes shards with these documents, the first twelve in a shard of their own.
pub(crate) fn corpus(folder: &Path, vocab_size: u32, end: Option<u32>, documents: &[Vec<u32>]) -> Corpus {
    let mut paths = Vec::new();
    let (first, second) = documents.split_at(documents.len().min(12));
    for (number, documents) in [first, second].into_iter().enumerate().filter(|(_, documents)| !documents.is_empty()) {
        let path = folder.join(format!("{number:06}.shard"));
        let mut writer = ShardWriter::create(&path, vocab_size, end, Fingerprint([7; 16])).unwrap();
        for document in documents {
            writer.push(document, 0).unwrap();
        }
        writer.finish().unwrap();
        paths.push(path);
    }
    Corpus::from_paths(&paths).unwrap().unwrap()
}

fn go_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

pub(crate) fn exported(corpus: &Corpus, prefix: &Path, settings: &ExportSettings) -> ciyuan::Result<Exported> {
    export(corpus, prefix, settings, &mut go_on)
}

/// All files below a folder by their paths; what is compressed is unpacked.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let bytes = std::fs::read(&path).unwrap();
            match name.strip_suffix(".gz") {
                Some(name) => {
                    let mut text = Vec::new();
                    flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut text).unwrap();
                    found.insert(name.to_owned(), text);
                }
                None => drop(found.insert(name, bytes)),
            }
        }
    }
    found
}

#[test]
fn as_their_own_writers_make_them() {
    for (case, vocab_size, end, across, along, width) in CASES {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), vocab_size, Some(end), &documents(end, across, along));
        let out = folder.path().join("new/out");
        for layout in Layout::ALL {
            if width == 4 && matches!(layout, Layout::NanoGpt | Layout::LlmC) {
                continue;
            }
            let file_bytes = if layout == Layout::LlmC { 1024 + 2 * 150 } else { 400 * width };
            let tokenizer = Some("golden".to_owned());
            let settings = ExportSettings { file_bytes: Some(file_bytes), tokenizer, ..ExportSettings::new(layout) };
            let exported = exported(&corpus, &out.join(layout.name()), &settings).unwrap();
            assert_eq!((exported.documents, exported.tokens), (30, corpus.info().tokens));
            let there: u64 = exported.files.iter().map(|file| file.metadata().unwrap().len()).sum();
            assert_eq!(exported.bytes, there, "{layout:?}");
        }
        let (got, expected) = (files(&out), files(&root().join("tests/golden/layouts").join(case)));
        assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{case}");
        for (name, bytes) in expected {
            assert!(got[&name] == bytes, "{case}/{name} differs");
        }
    }
}

/// Megatron's own rule, which is not 65,536.
#[test]
fn megatron_takes_two_bytes_below_65500_tokens() {
    for (vocab_size, code, bytes) in [(65_499, 8, 2), (65_500, 4, 4)] {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), vocab_size, None, &[vec![1, 2, 3]]);
        let prefix = folder.path().join("m");
        let exported = exported(&corpus, &prefix, &ExportSettings::new(Layout::Megatron)).unwrap();
        assert_eq!(exported.files, [prefix.with_extension("bin"), prefix.with_extension("idx")]);
        assert_eq!(std::fs::read(&exported.files[1]).unwrap()[17], code);
        assert_eq!(std::fs::metadata(&exported.files[0]).unwrap().len(), 3 * bytes);
    }
}

#[test]
fn what_a_layout_cannot_hold_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let wide = corpus(folder.path(), 65_537, Some(0), &[vec![1]]);
    let narrow_folder = tempfile::tempdir().unwrap();
    let narrow = corpus(narrow_folder.path(), 300, None, &[vec![1]]);
    let out = tempfile::tempdir().unwrap();
    let refused = |corpus: &Corpus, layout, file_bytes| {
        let settings = ExportSettings { file_bytes, ..ExportSettings::new(layout) };
        let error = exported(corpus, &out.path().join("x"), &settings).unwrap_err();
        assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0, "{layout:?}: {error}");
        error
    };
    for layout in [Layout::NanoGpt, Layout::LlmC] {
        let error = refused(&wide, layout, None);
        assert!(matches!(error, Error::Limit { value: 65_537, max: 65_536, .. }), "{error}");
    }
    let error = refused(&narrow, Layout::LlmC, None);
    assert!(matches!(error, Error::Layout { layout: "llmc", .. }) && error.to_string().contains("end-of-text"));
    for (layout, limit) in [(Layout::LlmC, 1 << 31), (Layout::Mds, 1 << 32), (Layout::LitData, 1 << 32)] {
        let error = refused(&narrow, layout, Some(limit));
        assert!(matches!(error, Error::Limit { value, max, .. } if value == limit && max == limit - 1), "{error}");
    }
    let huge_folder = tempfile::tempdir().unwrap();
    let huge = corpus(huge_folder.path(), u32::MAX, None, &[vec![1]]);
    let error = refused(&huge, Layout::Megatron, None);
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    let settings = ExportSettings { tokenizer: Some("a|b".to_owned()), ..ExportSettings::new(Layout::Datatrove) };
    assert!(matches!(exported(&narrow, &out.path().join("x"), &settings), Err(Error::Layout { .. })));
}

#[test]
fn nothing_is_overwritten_or_mixed() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), 300, Some(0), &[vec![1], vec![2]]);
    let out = tempfile::tempdir().unwrap();
    for layout in Layout::ALL {
        let prefix = out.path().join(layout.name());
        exported(&corpus, &prefix, &ExportSettings::new(layout)).unwrap();
        let before = files(out.path());
        let error = exported(&corpus, &prefix, &ExportSettings::new(layout)).unwrap_err();
        assert!(matches!(error, Error::Output { .. }), "{error}");
        assert_eq!(files(out.path()), before);
    }
    // A file that an earlier, longer export left would be read along.
    std::fs::write(out.path().join("y_train_000009.bin"), "").unwrap();
    let error = exported(&corpus, &out.path().join("y"), &ExportSettings::new(Layout::LlmC)).unwrap_err();
    assert!(error.to_string().contains("choose another name"), "{error}");
    // Held-out files have names of their own.
    let settings = ExportSettings { split: Split::Val, ..ExportSettings::new(Layout::LlmC) };
    let exported = exported(&corpus, &out.path().join("y"), &settings).unwrap();
    assert_eq!(exported.files, [out.path().join("y_val_000000.bin")]);
}

#[test]
fn a_stopped_export_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_, vocab_size, end, across, along, _) = CASES[0];
    let corpus = corpus(folder.path(), vocab_size, Some(end), &documents(end, across, along));
    for layout in Layout::ALL {
        let out = tempfile::tempdir().unwrap();
        let settings = ExportSettings { file_bytes: Some(1324), ..ExportSettings::new(layout) };
        let stop = &mut |done| if done == 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let error = export(&corpus, &out.path().join("x"), &settings, stop).unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }), "{error}");
        assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0, "{layout:?}");
    }
}

/// Shards that lie in their index, under checksums that fit: sizes follow from the index, so they must not be believed.
#[test]
fn documents_that_do_not_cover_the_ids_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(corpus(folder.path(), 300, Some(0), &[vec![1], vec![2], vec![3]]));
    let path = folder.path().join("000000.shard");
    let bytes = std::fs::read(&path).unwrap();
    // Three documents of two ids; their ends stand behind 12 bytes of ids and 4 of padding.
    for ends in [[2u64, 4, 5], [2, 2, 6], [0, 4, 6]] {
        let mut changed = bytes.clone();
        changed[4096 + 16..4096 + 40].copy_from_slice(&ends.map(u64::to_le_bytes).concat());
        std::fs::write(&path, changed).unwrap();
        let corpus = Corpus::from_paths(std::slice::from_ref(&path)).unwrap().unwrap();
        for layout in Layout::ALL {
            let out = tempfile::tempdir().unwrap();
            let error = exported(&corpus, &out.path().join("x"), &ExportSettings::new(layout)).unwrap_err();
            assert!(matches!(error, Error::Shard { .. }), "{ends:?}: {error}");
        }
    }
}

#[test]
fn the_command_writes_each_split() {
    let workshop = Workshop::new();
    for split in ["train", "val"] {
        std::fs::create_dir_all(workshop.path("out").join(split)).unwrap();
        drop(corpus(&workshop.path("out").join(split), 300, Some(299), &[vec![1, 2], vec![3]]));
    }
    let told = workshop.run(&["export", "out", "--layout", "llmc", "-o", "data/c"]).ok();
    assert!(told.starts_with("documents    2\ntokens       5\nfiles        1, 1034 bytes"), "{told}");
    let told = workshop.run(&["export", "out", "--layout", "llmc", "-o", "data/c", "--split", "val", "--json"]).json();
    assert_eq!((&told["layout"], &told["tokens"]), (&"llmc".into(), &5.into()));
    assert!(workshop.path("data/c_train_000001.bin").exists() && workshop.path("data/c_val_000000.bin").exists());
    workshop.run(&["export", "out", "--layout", "llmc", "-o", "data/c"]).fails(1, &["already", "choose another name"]);
    workshop.run(&["export", "nothing", "--layout", "mds", "-o", "data/m"]).fails(1, &["no such file"]);
    workshop.run(&["export", "out", "--layout", "numpy", "-o", "data/m"]).fails(2, &["megatron"]);
    // Damage is found before anything is written.
    let shard = workshop.path("out/train/000000.shard");
    let mut bytes = std::fs::read(&shard).unwrap();
    bytes[4096] ^= 1;
    std::fs::write(&shard, bytes).unwrap();
    workshop.run(&["export", "out", "--layout", "nanogpt", "-o", "data/n"]).fails(3, &["damaged ids"]);
    assert!(!workshop.path("data/n.bin").exists());
}
