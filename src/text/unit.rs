//! Work units: the parts of the input that are worked on, written and resumed as a whole.

use std::ops::Range;

use super::source::InputFile;

/// A run of consecutive input files, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Place in the plan, from 0; output files are named by it.
    pub number: usize,
    /// Which of the files, in the order of the source.
    pub files: Range<usize>,
}

/// Cuts `files` into units of at most `unit_size` bytes as they lie on disk; a larger file is a unit of its own.
///
/// Units depend on the files and on `unit_size` alone, never on threads, so that outputs do not either.
///
/// ```
/// use ciyuan::text::{Compression, Form, InputFile, plan_units};
/// let file = |bytes| InputFile { path: "x.txt".into(), form: Form::Txt, compression: Compression::None, bytes };
/// let units = plan_units(&[file(3), file(4), file(9), file(1)], 8);
/// assert_eq!(units.iter().map(|unit| unit.files.clone()).collect::<Vec<_>>(), [0..2, 2..3, 3..4]);
/// ```
#[must_use]
pub fn plan_units(files: &[InputFile], unit_size: u64) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut start = 0;
    while start < files.len() {
        let mut end = start + 1;
        let mut bytes = files[start].bytes;
        while end < files.len() && bytes.saturating_add(files[end].bytes) <= unit_size {
            bytes += files[end].bytes;
            end += 1;
        }
        units.push(Unit { number: units.len(), files: start..end });
        start = end;
    }
    units
}
