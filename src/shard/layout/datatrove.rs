//! datatrove and nanotron: `P.ds`, ids of two bytes (up to 65,536 tokens) or four, `P.ds.index`, where each document ends
//! in ids, u64, and `P.ds.metadata`, three lines: `tokenizer|bytes of an id`, the number of ids, and the same for people
//! (`TokenizedFile` of datatrove 0.10.1).

use std::path::{Path, PathBuf};

use super::export::Export;
use super::foreign::{IdType, Stream, words};
use super::import::Reading;
use super::push_ids;
use crate::error::{Error, ForeignFault, Result};
use crate::shard::AtomicFile;

pub(super) fn write(export: &mut Export<'_>) -> Result<()> {
    let info = export.corpus.info();
    let width = info.width();
    let name = export.settings.tokenizer.clone().unwrap_or_else(|| info.fingerprint.to_string());
    if name.contains(['\n', '\r', '|']) {
        return Err(export.refuse("the tokenizer's name holds a line end or `|`, which end it in the metadata"));
    }
    export.claim(&[".ds"])?;
    let mut data = AtomicFile::create(&export.path(".ds"))?;
    let (mut ids, mut bytes) = (Vec::new(), Vec::new());
    while export.next(&mut ids)? {
        bytes.clear();
        push_ids(&mut bytes, &ids, width);
        data.write(&bytes)?;
    }
    let mut index = AtomicFile::create(&export.path(".ds.index"))?;
    let mut end = 0;
    for length in export.lengths() {
        end += length?;
        index.write(&end.to_le_bytes())?;
    }
    let mut metadata = AtomicFile::create(&export.path(".ds.metadata"))?;
    metadata.write(format!("{name}|{width}\n{end}\n{}", metric(end)).as_bytes())?;
    [data, index, metadata].into_iter().try_for_each(|file| export.publish(file))
}

/// A number of tokens in three digits, as `humanize.metric(count, unit="T")` of humanize 4 gives it.
fn metric(count: u64) -> String {
    let mut value = count as f64;
    // As there in floating point, for the same answer beside powers of ten.
    let mut exponent = if count == 0 { 0 } else { value.log10().floor() as usize };
    let bucket = exponent / 3 * 3;
    value /= 10f64.powi(bucket as i32);
    let digits = |exponent: usize| 2 - exponent % 3;
    let rounded: f64 = format!("{value:.*}", digits(exponent)).parse().unwrap_or(value);
    if rounded >= 10f64.powi(exponent as i32 % 3 + 1) {
        exponent += 1;
        value /= 10f64.powi((exponent / 3 * 3 - bucket) as i32);
    }
    let prefix = ["", "k", "M", "G", "T", "P", "E"][(exponent / 3).min(6)];
    format!("{value:.*} {prefix}T", digits(exponent))
}

/// Reads the `.ds` file and the index beside it. How wide an id is follows from both, so the metadata is not needed.
pub(super) fn read(path: &Path, reading: &mut Reading<'_>) -> Result<()> {
    let index_path = beside(path, ".index");
    let index = reading.all(&index_path)?;
    let ends = || words::<8>(&index).map(u64::from_le_bytes);
    let whole = index.len() as u64 / 8 * 8;
    if whole != index.len() as u64 {
        let fault = ForeignFault::Length { what: "the length in bytes", expected: whole, got: index.len() as u64 };
        return Err(reading.fault(&index_path, fault));
    }
    let total = ends().last().unwrap_or(0);
    if ends().zip(ends().skip(1)).any(|(end, next)| end > next) {
        let fault = ForeignFault::Impossible { why: "its documents are not in order" };
        return Err(reading.fault(&index_path, fault));
    }
    let bytes = reading.length(path)?;
    let kind = if Some(bytes) == total.checked_mul(4) { IdType::U32 } else { IdType::U16 };
    let mut stream = Stream::open(path, 0, kind, reading)?;
    stream.require(total, reading)?;
    check_metadata(path, kind, reading)?;
    let mut start = 0;
    for end in ends() {
        stream.take(end - start, &mut |ids| reading.ids(ids))?;
        reading.end()?;
        start = end;
    }
    Ok(())
}

/// Where there is metadata it must agree about the width of an id.
fn check_metadata(path: &Path, kind: IdType, reading: &Reading<'_>) -> Result<()> {
    let metadata = beside(path, ".metadata");
    let text = match reading.all(&metadata) {
        Ok(text) => text,
        Err(Error::Missing { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let first = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if first.ends_with(format!("|{}", kind.bytes()).as_bytes()) {
        return Ok(());
    }
    let fault = ForeignFault::Impossible { why: "it states another width of ids than the files have" };
    Err(reading.fault(&metadata, fault))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::metric;

    /// What humanize 4.16 gives.
    #[test]
    fn counts_for_people() {
        for (count, expected) in [
            (0, "0.00 T"),
            (7, "7.00 T"),
            (42, "42.0 T"),
            (999, "999 T"),
            (1000, "1.00 kT"),
            (1234, "1.23 kT"),
            (9_999, "10.0 kT"),
            (99_949, "99.9 kT"),
            (99_951, "100 kT"),
            (999_499, "999 kT"),
            (999_999, "1.00 MT"),
            (1_234_567, "1.23 MT"),
            (12_345_678_901, "12.3 GT"),
            (15_000_000_000_000, "15.0 TT"),
        ] {
            assert_eq!(metric(count), expected, "{count}");
        }
    }
}
