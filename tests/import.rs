//! The shards of other programs as input: read as they were written, refused when they are damaged.

use std::path::{Path, PathBuf};

use ciyuan::Error;
use ciyuan::error::ForeignFault;
use ciyuan::shard::{ExportSettings, ImportSettings, Layout, Piece, import};
use proptest::prelude::*;

use super::common::{Workshop, corpus as texts, learned, root};
use super::layouts::{corpus, documents, exported};

/// Documents, and whether each had an end-of-text token.
type Documents = Vec<(Vec<u32>, bool)>;

fn read(layout: Layout, files: &[PathBuf], vocab_size: u32, end: Option<u32>) -> ciyuan::Result<Documents> {
    let settings = ImportSettings { layout, vocab_size, end_of_text: end };
    let (mut documents, mut ids) = (Vec::new(), Vec::new());
    import(&settings, files, &mut |piece| {
        match piece {
            Piece::File => {}
            Piece::Ids(more) => ids.extend(more),
            Piece::End(marked) => documents.push((std::mem::take(&mut ids), marked)),
        }
        Ok(())
    })?;
    assert!(ids.is_empty(), "every document is ended");
    Ok(documents)
}

fn fault(result: ciyuan::Result<Documents>) -> ForeignFault {
    match result {
        Err(Error::Foreign { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

fn golden(name: &str) -> PathBuf {
    root().join("tests/golden/layouts").join(name)
}

#[test]
fn golden_files_of_the_real_writers() {
    let marked = |documents: Vec<Vec<u32>>| documents.into_iter().map(|ids| (ids, true)).collect::<Documents>();
    let narrow = marked(documents(299, 131, 17));
    let wide = marked(documents(69_999, 13_131, 1_717));
    for (name, layout) in [("megatron.idx", Layout::Megatron), ("datatrove.ds", Layout::Datatrove)] {
        assert_eq!(read(layout, &[golden("narrow").join(name)], 300, Some(299)).unwrap(), narrow);
        assert_eq!(read(layout, &[golden("wide").join(name)], 70_000, Some(69_999)).unwrap(), wide);
    }
    for name in ["megatron", "megatron.bin"] {
        assert_eq!(read(Layout::Megatron, &[golden("narrow").join(name)], 300, Some(299)).unwrap(), narrow);
    }
    assert_eq!(read(Layout::NanoGpt, &[golden("narrow/nanogpt.bin")], 300, Some(299)).unwrap(), narrow);
    // The documents cut at the ends of files are whole again.
    let files: Vec<PathBuf> = (1..=4).map(|number| golden(&format!("narrow/llmc_train_{number:06}.bin"))).collect();
    assert_eq!(read(Layout::LlmC, &files, 300, Some(299)).unwrap(), narrow);
    let from_the_second = read(Layout::LlmC, &files[1..], 300, Some(299)).unwrap();
    assert!(!from_the_second[0].1 && from_the_second[1].1, "a rest of a document had no token before it");
    // Without its end-of-text token a file is one document, and ids beyond the vocabulary are named.
    assert_eq!(read(Layout::NanoGpt, &[golden("narrow/nanogpt.bin")], 300, None).unwrap().len(), 1);
    let fault = fault(read(Layout::NanoGpt, &[golden("narrow/nanogpt.bin")], 299, None));
    assert_eq!(fault, ForeignFault::TokenOutOfRange { id: 299, index: 1, vocab_size: 299 });
}

#[test]
fn layouts_that_are_not_read() {
    for layout in [Layout::Olmo, Layout::Mds, Layout::LitData] {
        let error = read(layout, &[golden("narrow/nanogpt.bin")], 300, None).unwrap_err();
        assert!(matches!(error, Error::Setting { name: "layout", .. }), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What is written is read again, over several files, with documents that are empty but for their token, and with the
    /// token inside a document where the layout has an index.
    #[test]
    fn round_trip(
        lists in prop::collection::vec(prop::collection::vec(1u32..40, 0..20), 1..20),
        inside: bool,
        file_ids in 1u64..30,
    ) {
        let folder = tempfile::tempdir().unwrap();
        for layout in Layout::READ {
            let mut documents = lists.clone();
            if inside && matches!(layout, Layout::Megatron | Layout::Datatrove) {
                documents[0].extend([0, 0, 5]);
            }
            let shards = tempfile::tempdir().unwrap();
            let corpus = corpus(shards.path(), 40, Some(0), &documents);
            let file_bytes = Some(1024 + 2 * file_ids);
            let prefix = folder.path().join(layout.name());
            let written = exported(&corpus, &prefix, &ExportSettings { file_bytes, ..ExportSettings::new(layout) }).unwrap();
            let files = match layout {
                Layout::LlmC => written.files,
                _ => written.files[..1].to_vec(),
            };
            let read = read(layout, &files, 40, Some(0)).unwrap();
            prop_assert!(read.iter().all(|(_, marked)| *marked));
            let read: Vec<Vec<u32>> = read.into_iter().map(|(ids, _)| ids).collect();
            prop_assert_eq!(&read, &documents);
        }
    }
}

/// A Megatron index of four-byte ids, with any numbers.
fn megatron_index(code: u8, lengths: &[u32], starts: &[u64], documents: &[u64]) -> Vec<u8> {
    let mut index = b"MMIDIDX\0\0".to_vec();
    index.extend(1u64.to_le_bytes());
    index.push(code);
    index.extend((lengths.len() as u64).to_le_bytes());
    index.extend((documents.len() as u64).to_le_bytes());
    index.extend(lengths.iter().flat_map(|length| length.to_le_bytes()));
    index.extend(starts.iter().flat_map(|start| start.to_le_bytes()));
    index.extend(documents.iter().flat_map(|document| document.to_le_bytes()));
    index
}

fn megatron(folder: &Path, index: &[u8], data: &[u8]) -> ciyuan::Result<Documents> {
    std::fs::write(folder.join("m.idx"), index).unwrap();
    std::fs::write(folder.join("m.bin"), data).unwrap();
    read(Layout::Megatron, &[folder.join("m")], 10, Some(0))
}

#[test]
fn megatron_of_other_writers() {
    let folder = tempfile::tempdir().unwrap();
    let words = |words: &[i32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    // Two sequences in one document, an empty document, an empty sequence, a document without an end-of-text token.
    let index = megatron_index(4, &[2, 1, 0, 2], &[0, 8, 12, 12], &[0, 2, 2, 3, 4]);
    let read = megatron(folder.path(), &index, &words(&[1, 2, 0, 3, 4])).unwrap();
    assert_eq!(read, [(vec![1, 2], true), (vec![], false), (vec![], false), (vec![3, 4], false)]);
    // A byte for each sequence's mode, and ids of eight bytes and of one.
    let mut index = megatron_index(5, &[1], &[0], &[0, 1]);
    index.push(0);
    assert_eq!(megatron(folder.path(), &index, &7i64.to_le_bytes()).unwrap(), [(vec![7], false)]);
    assert_eq!(megatron(folder.path(), &megatron_index(1, &[1], &[0], &[0, 1]), &[7]).unwrap(), [(vec![7], false)]);
    let fault = |code, data: &[u8]| fault(megatron(folder.path(), &megatron_index(code, &[1], &[0], &[0, 1]), data));
    let beyond = |id| ForeignFault::TokenOutOfRange { id, index: 0, vocab_size: 10 };
    assert_eq!(fault(4, &words(&[-1])), beyond(-1));
    assert_eq!(fault(2, &[0xFF]), beyond(-1));
    assert_eq!(fault(3, &10i16.to_le_bytes()), beyond(10));
    assert_eq!(fault(5, &(1i64 << 32).to_le_bytes()), beyond(1 << 32));
    assert_eq!(fault(6, &[0; 8]), ForeignFault::IdType { code: 6 });
}

#[test]
fn hostile_megatron_indexes() {
    let folder = tempfile::tempdir().unwrap();
    let good = megatron_index(1, &[2, 1], &[0, 2], &[0, 1, 2]);
    megatron(folder.path(), &good, &[1, 2, 3]).unwrap();
    let fault_of = |index: &[u8], data: &[u8]| fault(megatron(folder.path(), index, data));
    for data in [&[][..], &[1, 2], &[1, 2, 3, 4]] {
        assert!(matches!(fault_of(&good, data), ForeignFault::Length { expected: 3, .. }));
    }
    for end in 0..good.len() {
        assert!(matches!(fault_of(&good[..end], &[1, 2, 3]), ForeignFault::Length { .. }), "cut at {end}");
    }
    for (at, number) in [(18, u64::MAX), (18, 1 << 40), (18, 3), (26, u64::MAX), (26, u64::MAX / 8), (26, 0)] {
        let mut index = good.clone();
        index[at..at + 8].copy_from_slice(&number.to_le_bytes());
        assert!(matches!(fault_of(&index, &[1, 2, 3]), ForeignFault::Length { .. }), "{number} at {at}");
    }
    let mut other = good.clone();
    other[0] = b'N';
    assert_eq!(fault_of(&other, &[1, 2, 3]), ForeignFault::Magic);
    other[0] = b'M';
    other[9] = 2;
    assert_eq!(fault_of(&other, &[1, 2, 3]), ForeignFault::Version { got: 2, known: 1 });
    for (lengths, starts, documents) in [
        // Sequences that lie over each other would come out longer than the file.
        ([2, 1], [0, 0], [0, 1, 2]),
        ([2, 1], [0, 3], [0, 1, 2]),
        ([1 << 31, 1], [0, 2], [0, 1, 2]),
        ([2, 1], [0, 2], [1, 1, 2]),
        ([2, 1], [0, 2], [0, 1, 1]),
        ([2, 1], [0, 2], [0, 3, 2]),
        ([2, 1], [0, 2], [0, 1, u64::MAX]),
    ] {
        let index = megatron_index(1, &lengths, &starts, &documents);
        assert!(matches!(fault_of(&index, &[1, 2, 3]), ForeignFault::Impossible { .. }), "{lengths:?} {starts:?}");
    }
    let index = megatron_index(1, &[], &[], &[]);
    assert!(matches!(fault_of(&index, &[]), ForeignFault::Impossible { .. }), "a list of documents begins with 0");
}

#[test]
fn hostile_files_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.bin");
    let write = |bytes: &[u8]| std::fs::write(&path, bytes).unwrap();
    let fault_of = |layout| fault(read(layout, std::slice::from_ref(&path), 10, Some(0)));
    write(&[1, 0, 2]);
    assert!(matches!(fault_of(Layout::NanoGpt), ForeignFault::Length { expected: 2, got: 3, .. }));
    // llm.c: a header that is cut, another magic, another version, a count that is not the file's.
    write(&[0; 1023]);
    assert!(matches!(fault_of(Layout::LlmC), ForeignFault::Length { expected: 1024, got: 1023, .. }));
    let file = |magic: u32, version: u32, tokens: u32, ids: &[u8]| {
        let mut bytes = [magic, version, tokens].map(u32::to_le_bytes).concat();
        bytes.resize(1024, 0);
        bytes.extend(ids);
        bytes
    };
    write(&file(20_240_522, 1, 1, &[1, 0]));
    assert_eq!(fault_of(Layout::LlmC), ForeignFault::Magic);
    write(&file(20_240_520, 2, 1, &[1, 0]));
    assert_eq!(fault_of(Layout::LlmC), ForeignFault::Version { got: 2, known: 1 });
    for count in [0, 2, u32::MAX] {
        write(&file(20_240_520, 1, count, &[1, 0]));
        assert!(matches!(fault_of(Layout::LlmC), ForeignFault::Length { got: 1, .. }));
    }
    // Its other kind of file, with ids of four bytes.
    write(&file(20_240_801, 7, 3, &[0, 1, 2].map(u32::to_le_bytes).concat()));
    assert_eq!(read(Layout::LlmC, std::slice::from_ref(&path), 10, Some(0)).unwrap(), [(vec![1, 2], true)]);
    // datatrove: an index that is cut, goes back, or ends elsewhere; metadata of another width.
    let index = |ends: &[u64]| ends.iter().flat_map(|end| end.to_le_bytes()).collect::<Vec<_>>();
    let beside = |ending: &str| PathBuf::from(format!("{}{ending}", path.display()));
    write(&[1, 0, 2, 0, 0, 0]);
    assert!(matches!(read(Layout::Datatrove, std::slice::from_ref(&path), 10, Some(0)), Err(Error::Missing { .. })));
    std::fs::write(beside(".index"), index(&[1, 3])).unwrap();
    let good = read(Layout::Datatrove, std::slice::from_ref(&path), 10, Some(0)).unwrap();
    assert_eq!(good, [(vec![1], false), (vec![2], true)]);
    std::fs::write(beside(".metadata"), "some/tokenizer|2\n3\n3.00 T").unwrap();
    assert_eq!(read(Layout::Datatrove, std::slice::from_ref(&path), 10, Some(0)).unwrap(), good);
    std::fs::write(beside(".metadata"), "some/tokenizer|4\n3\n3.00 T").unwrap();
    assert!(matches!(fault_of(Layout::Datatrove), ForeignFault::Impossible { .. }));
    std::fs::remove_file(beside(".metadata")).unwrap();
    for ends in [&[1, 4][..], &[1, 2], &[3, 1], &[], &[u64::MAX], &[u64::MAX / 2 + 2]] {
        std::fs::write(beside(".index"), index(ends)).unwrap();
        let fault = fault_of(Layout::Datatrove);
        assert!(matches!(fault, ForeignFault::Length { .. } | ForeignFault::Impossible { .. }), "{ends:?}: {fault}");
    }
    std::fs::write(beside(".index"), [0; 9]).unwrap();
    assert!(matches!(fault_of(Layout::Datatrove), ForeignFault::Length { expected: 8, got: 9, .. }));
    // No regular file at all.
    for layout in Layout::READ {
        let result = read(layout, &[folder.path().to_owned()], 10, None);
        assert!(matches!(result, Err(Error::Foreign { .. } | Error::Missing { .. })), "{result:?}");
        assert!(matches!(read(layout, &[folder.path().join("none")], 10, None), Err(Error::Missing { .. })));
    }
}

#[test]
fn the_command_makes_a_folder_like_that_of_encode() {
    let workshop = Workshop::new();
    let tokenizer = learned(&texts(), "ciyuan", ciyuan::segment::Han::Runs, 400);
    workshop.write("t.json", tokenizer.spec().to_json());
    for (name, text) in [("a", "词元是语言模型的单位。"), ("b", "a token is a unit"), ("c", "held out")] {
        workshop.write(&format!("in/{name}.txt"), text);
    }
    workshop.run(&["encode", "in", "-t", "t.json", "-o", "out", "--val", "0.3", "--quiet"]).ok();
    for split in ["train", "val"] {
        for layout in Layout::READ {
            let output = format!("data/{split}-{}", layout.name());
            workshop.run(&["export", "out", "--layout", layout.name(), "--split", split, "-o", &output]).ok();
        }
    }
    let shard = |folder: &str, split: &str| {
        std::fs::read(workshop.path(&format!("{folder}/{split}/000000.shard"))).unwrap_or_default()
    };
    assert!(!shard("out", "val").is_empty(), "a document is held out");
    for (layout, [train, val]) in [
        ("megatron", ["train-megatron", "val-megatron.idx"]),
        ("nanogpt", ["train-nanogpt.bin", "val-nanogpt.bin"]),
        ("llmc", ["train-llmc_train_000001.bin", "val-llmc_val_000000.bin"]),
        ("datatrove", ["train-datatrove.ds", "val-datatrove.ds"]),
    ] {
        let [train, val] = [train, val].map(|name| format!("data/{name}"));
        let again = format!("again-{layout}");
        let import =
            ["import", "--layout", layout, &train, "--val-files", &val, "-t", "t.json", "-o", &again, "--json"];
        let told = workshop.run(&import).json();
        assert_eq!(
            (&told["documents"]["in"], &told["documents"]["out"], &told["ended"]),
            (&3.into(), &3.into(), &0.into())
        );
        // The same shards, byte for byte.
        for split in ["train", "val"] {
            assert!(shard(&again, split) == shard("out", split), "{layout} {split}");
        }
        workshop.run(&["verify", &again]).ok();
        // What each file held; an index beside it holds no documents of its own.
        let manifest: serde_json::Value =
            serde_json::from_slice(&std::fs::read(workshop.path(&format!("{again}/manifest.json"))).unwrap()).unwrap();
        let of = |split: &str| {
            let shards = manifest["shards"].as_array().unwrap();
            shards.iter().find(|shard| shard["split"] == split).map(|shard| shard["documents"].clone()).unwrap()
        };
        let inputs = manifest["inputs"].as_array().unwrap().iter();
        let held: Vec<_> = inputs.filter(|input| input["documents"] != serde_json::Value::Null).collect();
        assert_eq!(held.len(), 2, "{layout}");
        for (input, split) in held.into_iter().zip(["train", "val"]) {
            assert_eq!(input["documents"]["in"], of(split), "{layout} {split}");
            assert_eq!(input["documents"]["out"], of(split), "{layout} {split}");
        }
        let text = workshop.run(&["inspect", &again, "--document", "0"]).ok();
        assert_eq!(text, workshop.run(&["inspect", "out", "--document", "0"]).ok());
        workshop.run(&import).fails(1, &["holds shards already"]);
    }
    let small = ["--steps", "1", "--context", "4", "--width", "8", "--heads", "1", "--layers", "1"];
    workshop.run(&[&["train", "again-nanogpt", "-o", "model"][..], &small].concat()).ok();
    // Ids whose tokenizer nobody knows.
    let size = ["--vocab-size", "400", "-o", "ids"];
    workshop.run(&[&["import", "--layout", "megatron", "data/train-megatron"][..], &size].concat()).ok();
    let told = workshop.run(&["verify", "ids"]).ok();
    assert!(told.contains(": whole; 1 shards, ") && told.contains(", 0 bytes of text"), "{told}");
    workshop.run(&["inspect", "ids"]).ok();
    // Damage, and arguments that do not fit.
    let mut bytes = std::fs::read(workshop.path("data/train-megatron.idx")).unwrap();
    bytes.pop();
    workshop.write("data/cut.idx", bytes);
    workshop.write("data/cut.bin", "");
    let cut = ["import", "--layout", "megatron", "data/cut", "-o", "cut", "--vocab-size", "400"];
    workshop.run(&cut).fails(3, &["cut.idx", "the length of the index"]);
    assert!(!workshop.path("cut/manifest.json").exists());
    workshop.run(&["import", "--layout", "nanogpt", "x", "-o", "x"]).fails(2, &["--tokenizer"]);
    let end = ["import", "--layout", "nanogpt", "x", "-o", "x", "--vocab-size", "4", "--end-of-text", "4"];
    workshop.run(&end).fails(2, &["vocab-size"]);
}
