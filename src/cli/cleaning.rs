//! Arguments on encodings and cleaning, for all commands that read documents.

use ciyuan::clean::{CleanSettings, Conversion, Filters, PersonalData, Step};
use ciyuan::text::Encoding;

use super::args::word;

fn share(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    if (0.0..=1.0).contains(&number) { Ok(number) } else { Err("write a share, from 0 to 1".to_owned()) }
}

/// What text is encoded in, and what is done to it before it is used.
#[derive(clap::Args)]
pub(super) struct CleaningArgs {
    /// What text is encoded in; `auto`: detected for each file, and for documents that differ
    #[arg(long, default_value = "utf-8", value_parser = word::<Encoding>(&["auto", "utf-8", "gb18030", "big5", "utf-16"]), help_heading = "Reading")]
    pub(super) encoding: Encoding,
    /// Largest share of a document's bytes that may be invalid, where invalid bytes are replaced or skipped
    #[arg(long, value_parser = share, value_name = "SHARE", help_heading = "Reading")]
    pub(super) max_invalid: Option<f64>,
    /// Steps of normalisation, by commas; without, text is used byte for byte
    #[arg(long, value_delimiter = ',', value_name = "LIST", help_heading = "Cleaning", value_parser = word::<Step>(&["crlf", "private-use", "radicals", "compatibility-ideographs", "full-width", "ideographic-space", "zero-width", "nfc"]))]
    normalize: Vec<Step>,
    /// Convert between simplified (s) and traditional (t) Chinese, as in Taiwan (tw) or Hong Kong (hk), with the words of the place (p); needs a build with the feature `opencc`
    #[arg(long, value_name = "NAME", help_heading = "Cleaning", value_parser = word::<Conversion>(&["s2t", "t2s", "s2tw", "tw2s", "s2twp", "tw2sp", "s2hk", "hk2s", "t2tw", "tw2t", "t2hk", "hk2t"]))]
    convert: Option<Conversion>,
    /// What to do with numbers of mobile telephones and identity cards: mask their digits, or leave the document out
    #[arg(long, default_value = "keep", value_parser = word::<PersonalData>(&["keep", "mask", "reject"]), help_heading = "Cleaning")]
    personal_data: PersonalData,
    /// Leave out documents of fewer characters
    #[arg(long, value_name = "N", help_heading = "Cleaning")]
    min_characters: Option<u64>,
    /// Leave out documents of more characters
    #[arg(long, value_name = "N", help_heading = "Cleaning")]
    max_characters: Option<u64>,
    /// Leave out documents with a smaller share of Han characters
    #[arg(long, value_parser = share, value_name = "SHARE", help_heading = "Cleaning")]
    min_han: Option<f64>,
    /// Leave out documents with a larger share of letters that are neither Han nor Latin
    #[arg(long, value_parser = share, value_name = "SHARE", help_heading = "Cleaning")]
    max_other_scripts: Option<f64>,
    /// Leave out documents with a larger share of symbols
    #[arg(long, value_parser = share, value_name = "SHARE", help_heading = "Cleaning")]
    max_symbols: Option<f64>,
    /// Leave out documents with a larger share of lines that stand there before
    #[arg(long, value_parser = share, value_name = "SHARE", help_heading = "Cleaning")]
    max_repeated_lines: Option<f64>,
    /// Leave out documents with a larger share of characters in runs of ten that stand there before
    #[arg(long, value_parser = share, value_name = "SHARE", help_heading = "Cleaning")]
    max_repeated_ngrams: Option<f64>,
    /// Leave out documents with a smaller share of lines that end as sentences do, in Chinese or Latin punctuation
    #[arg(long, value_parser = share, value_name = "SHARE", help_heading = "Cleaning")]
    min_line_ends: Option<f64>,
    /// Leave out documents that were once decoded wrongly
    #[arg(long, help_heading = "Cleaning")]
    reject_mojibake: bool,
    /// Leave out documents whose text, as it would be used, stands earlier in the input
    #[arg(long, help_heading = "Cleaning")]
    deduplicate: bool,
}

impl CleaningArgs {
    pub(super) fn settings(&self) -> CleanSettings {
        let mut normalize = self.normalize.clone();
        normalize.sort_unstable();
        normalize.dedup();
        let filters = Filters {
            min_characters: self.min_characters,
            max_characters: self.max_characters,
            min_han: self.min_han,
            max_other_scripts: self.max_other_scripts,
            max_symbols: self.max_symbols,
            max_repeated_lines: self.max_repeated_lines,
            max_repeated_ngrams: self.max_repeated_ngrams,
            min_line_ends: self.min_line_ends,
            reject_mojibake: self.reject_mojibake,
        };
        let Self { convert, personal_data, deduplicate, .. } = *self;
        CleanSettings { normalize, convert, personal_data, filters, deduplicate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        assert_eq!([share("0"), share("0.25"), share("1")], [Ok(0.0), Ok(0.25), Ok(1.0)]);
        assert!(["", "x", "-0.1", "1.01", "NaN", "inf"].iter().all(|text| share(text).is_err()));
    }
}
