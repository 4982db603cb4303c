//! Shards, corpora, batches, manifests: what is written is read, and damage is found.

use std::path::Path;

use ciyuan::Error;
use ciyuan::error::{ManifestFault, ShardFault};
use ciyuan::shard::{Batches, Corpus, HEADER_BYTES, Manifest, Shard, ShardWriter, Split, Tally};
use ciyuan::vocab::Fingerprint;

use super::common::{Random, root};

const FINGERPRINT: Fingerprint = Fingerprint([0xC1; 16]);

/// Writes a shard and gives its bytes.
fn write(path: &Path, vocab_size: u32, end: Option<u32>, documents: &[Vec<u32>]) -> Vec<u8> {
    let mut writer = ShardWriter::create(path, vocab_size, end, FINGERPRINT).unwrap();
    for ids in documents {
        writer.push(ids, 3 * ids.len() as u64).unwrap();
    }
    assert!(!path.exists(), "nothing is under the final name before the end");
    let written = writer.finish().unwrap();
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(written.file_bytes, bytes.len() as u64);
    bytes
}

fn documents(seed: u64, count: usize, vocab_size: usize) -> Vec<Vec<u32>> {
    let mut random = Random(seed);
    (0..count).map(|_| (0..1 + random.below(60)).map(|_| random.below(vocab_size) as u32).collect()).collect()
}

#[test]
fn round_trip_at_both_widths() {
    let folder = tempfile::tempdir().unwrap();
    for (vocab_size, end) in [(300, Some(299)), (65_536, None), (65_537, Some(65_536)), (200_000, None)] {
        let path = folder.path().join("a.shard");
        let documents = documents(1, 500, vocab_size as usize);
        let bytes = write(&path, vocab_size, end, &documents);
        let shard = Shard::open(&path).unwrap();
        shard.verify().unwrap();
        let info = *shard.info();
        assert_eq!(
            (info.vocab_size, info.end_of_text, info.fingerprint, info.documents),
            (vocab_size, end, FINGERPRINT, 500)
        );
        assert_eq!(info.text_bytes, documents.iter().map(|ids| 3 * ids.len() as u64).sum::<u64>());
        // As numpy.memmap reads it: ids one after the other from byte 4,096.
        let width = if vocab_size <= 65_536 { 2 } else { 4 };
        let mut at = HEADER_BYTES as usize;
        for (number, ids) in documents.iter().enumerate() {
            let expected: Vec<u32> = ids.iter().copied().chain(end).collect();
            let mut read = Vec::new();
            shard.read(shard.document(number as u64).unwrap(), &mut read).unwrap();
            assert_eq!(read, expected);
            for id in expected {
                assert_eq!(bytes[at..at + width], id.to_le_bytes()[..width]);
                at += width;
            }
        }
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn many_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.shard");
    // Three blocks of 1 MiB and a piece, at four bytes an id.
    let ids: Vec<u32> = (0..800_000).map(|n| n % 70_000).collect();
    write(&path, 70_001, Some(70_000), &[ids.clone(), vec![5]]);
    let shard = Shard::open(&path).unwrap();
    shard.verify().unwrap();
    let mut read = Vec::new();
    shard.read(0..800_000, &mut read).unwrap();
    assert_eq!(read, ids);
    // A flip in the second block names its bytes.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096 + (1 << 20) + 77] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let error = Shard::open(&path).unwrap().verify().unwrap_err();
    let expected = ShardFault::Block { start: 4096 + (1 << 20), end: 4096 + (2 << 20) };
    assert!(matches!(error, Error::Shard { fault, .. } if fault == expected));
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.shard");
    let bytes = write(&path, 300, Some(299), &documents(2, 12, 299));
    let check = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Shard::open(&path).and_then(|shard| shard.verify())
    };
    check(&bytes).unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(check(&flipped).is_err(), "bit {bit} of byte {at}");
        }
        assert!(check(&bytes[..at]).is_err(), "cut at {at}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(check(&longer).is_err());
}

/// A file that version 1 wrote, which every later version must read. Made by this test's own `write` with these
/// documents; its layout was checked by hand against the table in the room's head.
#[test]
fn golden_file_of_version_1() {
    let golden = root().join("tests/golden/v1.shard");
    let documents = [vec![1, 2, 3], vec![256, 65_535], vec![7]];
    let folder = tempfile::tempdir().unwrap();
    let bytes = write(&folder.path().join("v1.shard"), 65_536, Some(0), &documents);
    assert_eq!(std::fs::read(&golden).unwrap(), bytes, "the writer has changed: give it a new version");
    let shard = Shard::open(&golden).unwrap();
    shard.verify().unwrap();
    assert_eq!((shard.info().tokens, shard.info().documents, shard.info().text_bytes), (9, 3, 18));
    let mut ids = Vec::new();
    shard.read(0..9, &mut ids).unwrap();
    assert_eq!(ids, [1, 2, 3, 0, 256, 65_535, 0, 7, 0]);
    // The table of the room's head, by hand.
    assert_eq!(&bytes[..16], b"\x89CIYUAN\n\x01\0\0\0\x41\0\0\0");
    assert_eq!(&bytes[16..25], [2, 0, 0, 1, 0, 0, 0, 0, 0]);
    assert_eq!(&bytes[25..41], [0xC1; 16]);
    assert_eq!(&bytes[41..73], [9u64, 3, 18, 1 << 20].map(u64::to_le_bytes).concat());
    assert_eq!(&bytes[4096..4120], b"\x01\0\x02\0\x03\0\0\0\0\x01\xFF\xFF\0\0\x07\0\0\0\0\0\0\0\0\0");
    assert_eq!(&bytes[4120..4144], [4u64, 7, 9].map(u64::to_le_bytes).concat());
    assert_eq!(bytes.len(), 4144 + 16);
}

#[test]
fn ids_outside_the_vocabulary_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.shard");
    let mut writer = ShardWriter::create(&path, 300, None, FINGERPRINT).unwrap();
    writer.push(&[1, 299], 2).unwrap();
    let error = writer.push(&[1, 300, 400], 2).unwrap_err();
    let wanted = ShardFault::TokenOutOfRange { id: 300, index: 3, vocab_size: 300 };
    assert!(matches!(&error, Error::Shard { fault, .. } if *fault == wanted), "{error}");
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a dropped writer leaves nothing");
}

#[test]
fn beyond_the_end_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.shard");
    write(&path, 300, None, &[vec![1, 2], vec![3]]);
    let shard = Shard::open(&path).unwrap();
    assert!(shard.document(2).is_err());
    for range in [0..4, 4..4, u64::MAX - 1..u64::MAX] {
        assert!(shard.read(range, &mut Vec::new()).is_err());
    }
    shard.read(3..3, &mut Vec::new()).unwrap();
}

/// A folder with two shards for training.
fn corpus_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("train")).unwrap();
    for (number, seed) in [(0, 3), (1, 4)] {
        write(&folder.path().join(format!("train/{number:06}.shard")), 300, Some(299), &documents(seed, 40, 299));
    }
    folder
}

#[test]
fn corpora_are_shards_in_order() {
    let folder = corpus_folder();
    let corpus = Corpus::open(folder.path(), Split::Train).unwrap();
    let expected = [documents(3, 40, 299), documents(4, 40, 299)].concat();
    let read: Vec<Vec<u32>> = corpus.documents().collect::<Result<_, _>>().unwrap();
    assert_eq!(read, expected);
    assert_eq!(corpus.document(41).unwrap(), expected[41]);
    assert!(corpus.document(80).is_err());
    assert_eq!(corpus.info().documents, 80);
    assert!(matches!(Corpus::open(folder.path(), Split::Val), Err(Error::Missing { .. })));
}

#[test]
fn shards_of_two_tokenizers_are_not_mixed() {
    let folder = corpus_folder();
    let path = folder.path().join("train/000002.shard");
    let mut writer = ShardWriter::create(&path, 300, Some(299), Fingerprint([1; 16])).unwrap();
    writer.push(&[1], 1).unwrap();
    writer.finish().unwrap();
    let error = Corpus::open(folder.path(), Split::Train).unwrap_err();
    assert!(matches!(error, Error::Shard { fault: ShardFault::Mixed { what: "tokenizer" }, .. }), "{error}");
}

#[test]
fn batches_are_windows_of_the_shards() {
    let folder = corpus_folder();
    let corpus = Corpus::open(folder.path(), Split::Train).unwrap();
    let mut streams = Vec::new();
    for shard in corpus.shards() {
        let mut ids = Vec::new();
        shard.read(0..shard.info().tokens, &mut ids).unwrap();
        streams.push(ids);
    }
    let batches = Batches::new(&corpus, 7, 5, 42).unwrap();
    let mut seen = [0, 0];
    for step in 0..200 {
        let batch = batches.batch(step).unwrap();
        assert_eq!(batch.len(), 5 * 8);
        assert_eq!(batch, batches.batch(step).unwrap(), "a step is always the same");
        for window in batch.chunks(8) {
            let from = streams.iter().position(|stream| stream.windows(8).any(|other| other == window));
            seen[from.expect("a window lies in one shard")] += 1;
        }
    }
    assert_ne!(batches.batch(0).unwrap(), batches.batch(1).unwrap());
    assert_ne!(batches.batch(0).unwrap(), Batches::new(&corpus, 7, 5, 43).unwrap().batch(0).unwrap());
    assert!(seen.iter().all(|&count| count > 300), "{seen:?}");
    let error = Batches::new(&corpus, 100_000, 1, 0).unwrap_err();
    assert!(matches!(error, Error::TooShort { needed: 100_001, .. }));
}

fn manifest() -> Manifest {
    let json = std::fs::read(root().join("tests/golden/manifest.json")).unwrap();
    Manifest::from_json(&json).unwrap()
}

/// The second version, which says what was read of each file: made by `ciyuan encode` from a file of two documents and a
/// bad line, and a file of one document.
fn manifest_of_version_2() -> Manifest {
    let json = std::fs::read(root().join("tests/golden/v2.manifest.json")).unwrap();
    Manifest::from_json(&json).unwrap()
}

#[test]
fn manifests_round_trip() {
    for (name, version, manifest) in
        [("manifest.json", 1, manifest()), ("v2.manifest.json", 2, manifest_of_version_2())]
    {
        assert_eq!(manifest.version, version);
        assert_eq!(Manifest::from_json(manifest.to_json().as_bytes()).unwrap(), manifest);
        let golden = std::fs::read_to_string(root().join("tests/golden").join(name)).unwrap();
        assert_eq!(manifest.to_json(), golden);
    }
}

#[test]
fn manifests_account_for_each_file() {
    let fault = |change: fn(&mut Manifest)| {
        let mut manifest = manifest_of_version_2();
        change(&mut manifest);
        Manifest::from_json(manifest.to_json().as_bytes())
    };
    assert!(fault(|_| ()).is_ok());
    let changes: [fn(&mut Manifest); 6] = [
        |m| m.inputs[0].documents = None,
        |m| m.inputs[0].documents.as_mut().unwrap().entered += 1,
        |m| m.inputs[1].text_bytes.as_mut().unwrap().left = u64::MAX,
        |m| m.inputs[1].text_bytes.as_mut().unwrap().filtered = 1,
        // Each file holds, but not the whole.
        |m| {
            let documents = m.inputs[1].documents.as_mut().unwrap();
            (documents.entered, documents.left) = (documents.entered + 1, documents.left + 1);
        },
        // The whole holds, but not each file.
        |m| {
            m.inputs[0].documents.as_mut().unwrap().left += 1;
            m.inputs[1].documents.as_mut().unwrap().left -= 1;
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(matches!(fault(change), Err(ManifestFault::Sum { .. })), "change {number}");
    }
}

#[test]
fn a_changed_manifest_is_found() {
    let json = manifest().to_json().into_bytes();
    let mut harmless = 0;
    for at in 0..json.len() {
        let mut flipped = json.clone();
        flipped[at] ^= 1;
        if let Ok(same) = Manifest::from_json(&flipped) {
            assert_eq!(same, manifest(), "byte {at}");
            harmless += 1;
        }
    }
    assert!(harmless < json.len() / 10, "{harmless} flips changed nothing");
    for end in 0..json.len() - 2 {
        assert!(Manifest::from_json(&json[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn manifests_that_lie_are_found() {
    let fault = |change: fn(&mut Manifest)| {
        let mut manifest = manifest();
        change(&mut manifest);
        Manifest::from_json(manifest.to_json().as_bytes()).unwrap_err()
    };
    assert!(matches!(fault(|m| m.tokens += 1), ManifestFault::Sum { what: "tokens", .. }));
    assert!(matches!(fault(|m| m.documents.entered += 1), ManifestFault::Sum { what: "documents in", .. }));
    assert!(matches!(fault(|m| m.bytes.left = u64::MAX), ManifestFault::Sum { .. }));
    assert!(matches!(fault(|m| m.version = 3), ManifestFault::Version { got: 3, supported: 2 }));
    for name in ["../x.shard", "/x.shard", "train/../../x.shard", ""] {
        let mut manifest = manifest();
        manifest.shards[0].name = name.to_owned();
        let fault = Manifest::from_json(manifest.to_json().as_bytes()).unwrap_err();
        assert!(matches!(fault, ManifestFault::Name { .. }), "{name}");
    }
    assert!(Tally { entered: 3, left: 1, rejected: 1, ..Tally::default() }.check("documents").is_err());
    assert!(Tally { entered: 3, left: 2, rejected: 1, ..Tally::default() }.check("documents").is_ok());
}
