//! Inputs of the fuzz targets, replayed: the seeds, and whatever once went wrong.

use super::common::{Random, root};

#[path = "../fuzz/src/lib.rs"]
mod checks;

fn replay(target: &str, check: fn(&[u8])) {
    let mut count = 0;
    for folder in ["seeds", "regressions"] {
        let folder = root().join("fuzz").join(folder).join(target);
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            check(&std::fs::read(&path).unwrap());
            count += 1;
        }
    }
    assert!(count > 0, "no inputs for {target}");
}

#[test]
fn segment() {
    replay("segment", checks::segment);
}

#[test]
fn encode() {
    replay("encode", checks::encode);
}

#[test]
fn decode() {
    replay("decode", checks::decode);
}

#[test]
fn learn() {
    replay("learn", checks::learn);
}

#[test]
fn vocab_load() {
    replay("vocab_load", checks::vocab_load);
}

#[test]
fn shard_open() {
    replay("shard_open", checks::shard_open);
}

#[test]
fn manifest() {
    replay("manifest", checks::manifest);
}

#[test]
fn documents() {
    replay("documents", checks::documents);
}

#[test]
fn counts_open() {
    replay("counts_open", checks::counts_open);
}

#[test]
fn import() {
    replay("import", checks::import);
}

/// A little of what the fuzzer does, in every run of the tests.
#[test]
fn import_of_random_changes() {
    let mut random = Random(1);
    for _ in 0..3000 {
        let data: Vec<u8> = (0..random.below(24)).map(|_| random.next() as u8).collect();
        checks::import(&data);
    }
}
