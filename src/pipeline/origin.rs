//! What the units of a folder are made from, and inputs that are others than when its run began.
//!
//! What a unit gives depends on the settings, which no run changes, on its parts, on the bytes of their files, on the other
//! files where duplicates are left out, and on the share that is held out, which may follow the bytes of all files. A unit
//! that is done stands for as long as all of these are as they were, whatever else is: so a run that ended at a damaged
//! file goes on when the file was got again, and gives the bytes of a run that never saw the damaged one.

use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::split::ValFraction;
use super::units::{Plan, UnitRecord};
use crate::error::Error;
use crate::shard::InputEntry;

/// What decides what units give, beside settings and their own parts.
#[derive(Debug)]
pub(super) struct Origin {
    /// Hashes of name, length and checksum of each file.
    files: Vec<u64>,
    /// That of all files, where all of them decide what each unit gives.
    all: Option<u64>,
    /// The share that is held out.
    share: f64,
}

impl Origin {
    pub(super) fn of(plan: &Plan) -> Self {
        let files: Vec<u64> = plan.inputs.iter().map(hash).collect();
        let setting = |key: &str| plan.settings.get(key).cloned();
        let deduplicates = setting("deduplicate").is_some_and(|value| value == true);
        let all = deduplicates.then(|| hash_of(files.iter().copied()));
        let val = setting("val").and_then(|val| serde_json::from_value::<ValFraction>(val).ok());
        let share = val.map_or(0.0, |val| val.share(plan.inputs.iter().map(|input| input.bytes).sum()));
        Self { files, all, share }
    }

    /// A name for the files that a unit is made from; two with the same name are made from the same.
    pub(super) fn name(&self, unit: &UnitRecord) -> String {
        // A file that is not there any more is no file that was.
        let of_parts = unit.parts.iter().map(|part| self.files.get(part.file).copied().unwrap_or_default());
        format!("{:016x}", hash_of(of_parts.chain(self.all)))
    }

    /// Whether a unit that was made from files of this name would be made again as it is.
    pub(super) fn holds(&self, unit: &UnitRecord, name: &str) -> bool {
        self.name(unit) == name && unit.split.is_of(self.share)
    }
}

fn hash(input: &InputEntry) -> u64 {
    let InputEntry { path, bytes, checksum, .. } = input;
    xxh3_64(format!("{checksum} {bytes} {path}").as_bytes())
}

fn hash_of(hashes: impl Iterator<Item = u64>) -> u64 {
    xxh3_64(&hashes.flat_map(u64::to_le_bytes).collect::<Vec<u8>>())
}

/// An input as it was, and as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InputChange {
    file: String,
    there: String,
    here: String,
}

impl InputChange {
    /// The first input that differs between two plans.
    pub(super) fn between(there: &[InputEntry], here: &[InputEntry]) -> Option<Self> {
        let is_same = |at: usize| match (there.get(at), here.get(at)) {
            (Some(there), Some(here)) => hash(there) == hash(here),
            (there, here) => there.is_none() && here.is_none(),
        };
        let at = (0..there.len().max(here.len())).find(|at| !is_same(*at))?;
        let place_in = |inputs: &[InputEntry], path: &str| inputs.iter().position(|input| input.path == path);
        let text = |inputs: &[InputEntry], path: &str| match place_in(inputs, path) {
            Some(at) => format!("{} bytes (checksum {})", inputs[at].bytes, inputs[at].checksum),
            None => "no input".to_owned(),
        };
        let (old, new) = (there.get(at).map(|input| &input.path), here.get(at).map(|input| &input.path));
        // One that is gone or new moves all behind it, and says more than they.
        let is_moved = |path: &&String| place_in(there, path).is_some() && place_in(here, path).is_some();
        let path = [old, new].into_iter().flatten().find(|path| old == new || !is_moved(path));
        Some(match path {
            Some(path) => Self { file: path.clone(), there: text(there, path), here: text(here, path) },
            None => {
                let path = old.or(new)?;
                let number = |inputs| format!("input {}", place_in(inputs, path).map_or(0, |at| at + 1));
                Self { file: path.clone(), there: number(there), here: number(here) }
            }
        })
    }

    /// The error where units that are done belong to the input as it was.
    pub(super) fn error(self, folder: &Path) -> Error {
        let Self { file, there, here } = self;
        Error::InputChanged { path: folder.to_owned(), file, there, here }
    }

    /// What is said where the run goes on, doing `again` units that were done.
    pub(super) fn note(&self, again: usize) -> String {
        let Self { file, there, here } = self;
        let again = match again {
            0 => "nothing that is done was made from it".to_owned(),
            1 => "1 unit that was done is done again".to_owned(),
            again => format!("{again} units that were done are done again"),
        };
        format!("`{file}` was {there} when this run began, now it is {here}: {again}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::super::split::{SplitBounds, hash_of_text, split_by, split_of};
    use super::*;
    use crate::text::{Extent, Part};
    use serde_json::json;

    fn inputs(files: &[(&str, u64)]) -> Vec<InputEntry> {
        let input = |&(path, bytes): &(&str, u64)| InputEntry {
            path: path.to_owned(),
            bytes,
            checksum: format!("{bytes:x}"),
            ..InputEntry::default()
        };
        files.iter().map(input).collect()
    }

    fn origin(files: &[(&str, u64)], settings: serde_json::Value) -> Origin {
        let settings: Settings = serde_json::from_value(settings).unwrap();
        Origin::of(&Plan { settings, inputs: inputs(files), tokenizer: None })
    }

    fn unit(files: &[usize]) -> UnitRecord {
        let part = |&file: &usize| Part { file, extent: Extent::Whole, bytes: 1 };
        UnitRecord { parts: files.iter().map(part).collect(), ..UnitRecord::default() }
    }

    #[test]
    fn a_unit_stands_while_its_files_do() {
        let before = origin(&[("a", 1), ("b", 2), ("c", 3)], json!({}));
        let mended = origin(&[("a", 1), ("b", 20), ("c", 3)], json!({}));
        let holds = |files: &[usize], now: &Origin| now.holds(&unit(files), &before.name(&unit(files)));
        assert!(holds(&[0], &mended) && holds(&[0, 2], &mended) && holds(&[], &mended));
        assert!(!holds(&[1], &mended) && !holds(&[0, 1], &mended) && !holds(&[1, 2], &mended));
        // One that is left out moves the numbers of those behind it.
        let without = origin(&[("a", 1), ("c", 3)], json!({}));
        assert!(holds(&[0], &without) && !holds(&[1], &without) && !holds(&[2], &without));
        let renamed = origin(&[("x", 1), ("b", 2), ("c", 3)], json!({}));
        assert!(!holds(&[0], &renamed) && holds(&[1], &renamed));
    }

    #[test]
    fn where_duplicates_are_left_out_all_files_decide() {
        let of = |files: &[(&str, u64)], on: bool| origin(files, json!({"deduplicate": on}));
        let (there, here) = ([("a", 1), ("b", 2)], [("a", 1), ("b", 3)]);
        for (on, stands) in [(false, true), (true, false)] {
            assert_eq!(of(&here, on).holds(&unit(&[0]), &of(&there, on).name(&unit(&[0]))), stands);
            assert!(of(&there, on).holds(&unit(&[0]), &of(&there, on).name(&unit(&[0]))));
        }
    }

    /// A share that follows the bytes of all files holds while no document of the unit changes sides.
    #[test]
    fn a_share_that_follows_the_size_of_the_corpus() {
        let of = |bytes: u64| origin(&[("a", 40_000_000), ("b", bytes)], json!({"val": "auto"}));
        let before = of(60_000_000);
        let mut record = unit(&[0]);
        for n in 0..2000 {
            let hash = hash_of_text(&n.to_string());
            record.split.add(hash, split_by(hash, before.share));
        }
        let sides = |origin: &Origin| -> Vec<_> { (0..2000).map(|n| split_of(&n.to_string(), origin.share)).collect() };
        let name = before.name(&record);
        let mut seen = [0, 0];
        for bytes in (0..200).map(|n| n * 1_000_000) {
            let now = of(bytes);
            let same = sides(&now) == sides(&before);
            assert_eq!(now.holds(&record, &name), same, "{bytes}");
            seen[usize::from(same)] += 1;
        }
        assert!(seen[0] > 10 && seen[1] > 10, "{seen:?}");
        assert!(SplitBounds::default().is_of(0.0) && SplitBounds::default().is_of(0.999));
    }

    #[test]
    fn what_has_changed_is_named() {
        let files = [("a", 1), ("b", 2), ("c", 3)];
        let change = |here: &[(&str, u64)]| InputChange::between(&inputs(&files), &inputs(here)).map(|c| c.note(2));
        let says = |here: &[(&str, u64)], text: &str| {
            let note = change(here).unwrap();
            assert!(note.starts_with(text), "{note}");
        };
        assert_eq!(change(&files), None);
        says(&[("a", 1), ("b", 7), ("c", 3)], "`b` was 2 bytes (checksum 2) when this run began, now it is 7 bytes");
        says(&[("a", 1), ("c", 3)], "`b` was 2 bytes (checksum 2) when this run began, now it is no input");
        says(&[("a", 1), ("b", 2)], "`c` was 3 bytes");
        says(&[("a", 1), ("aa", 9), ("b", 2), ("c", 3)], "`aa` was no input when this run began, now it is 9 bytes");
        says(&[("a", 1), ("b", 2), ("c", 3), ("d", 4)], "`d` was no input");
        says(&[("b", 2), ("a", 1), ("c", 3)], "`a` was input 1 when this run began, now it is input 2");
    }
}
