//! A tokenizer with its tables, as bytes: what takes long to make from a `tokenizer.json` is only copied.
//!
//! # Byte by byte
//!
//! All numbers are little endian.
//!
//! | offset | length | what |
//! |---|---|---|
//! | 0 | 8 | magic `89 43 49 59 54 4F 4B 0A` (`\x89CIYTOK\n`) |
//! | 8 | 4 | version of the tables, u32 |
//! | 12 | 4 | length of the fields that follow, u32: 104 |
//! | 16 | 104 | one bincode value of fixed width: fingerprint, xxh3-64 of the Unicode version, lengths of the sections |
//! | 120 | | the sections, each with zeros up to a multiple of 8 |
//! | end - 8 | 8 | xxh3-64 of all before it |
//!
//! The first section is a `tokenizer.json` of the 256 bytes alone: it says whatever is neither a token nor a merge. The
//! others are, in this order: bytes of tokens; where those of each id end; the table of ids by bytes; merges; tokens that
//! are reached; pairs, which are a filter, a table, and ranks of pairs of bytes; characters; the set and the masks of safe
//! cuts. A table that is empty is made when it is read: so are those of vocabularies that take none of the fixed forms.
//!
//! # What is checked
//!
//! Length, checksum and version; that each number which is an index lies inside what it is an index of; that a search in
//! each table ends. So no bytes make a look-up panic or go on for ever. That the tables are those of the tokens is not
//! checked, as that would take as long as making them: whoever can write files that the checksum fits can write one that
//! gives other ids, as with any tokenizer file. Tables that this version would make in another way have another version.

use bincode::{Decode, Encode};
use xxhash_rust::xxh3::xxh3_64;

use super::characters::Characters;
use super::pairs::Pairs;
use super::reached::Reached;
use super::tokenizer::Tokenizer;
use crate::codec;
use crate::error::{Error, Result, TokenizerFault};
use crate::segment::UNICODE_VERSION;
use crate::vocab::{Fingerprint, TokenId, TokenizerSpec};

const MAGIC: [u8; 8] = *b"\x89CIYTOK\n";
/// To be raised with every change of what a table holds.
const VERSION: u32 = 2;
const FIELDS_AT: usize = 16;
const SECTIONS: usize = 10;
const FIELDS_BYTES: usize = 16 + 8 + 8 * SECTIONS;

#[derive(Encode, Decode)]
struct Fields {
    fingerprint: [u8; 16],
    unicode: u64,
    lengths: [u64; SECTIONS],
}

fn fault(offset: usize, why: &'static str) -> Error {
    Error::Tokenizer(TokenizerFault::Prebuilt { offset: offset as u64, why })
}

impl Tokenizer {
    /// Whether bytes begin as those of [`Tokenizer::to_prebuilt`].
    #[must_use]
    pub fn is_prebuilt(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// This tokenizer with its tables, which [`Tokenizer::from_prebuilt`] reads in a fraction of the time that a
    /// `tokenizer.json` takes. Only the version that wrote it is sure to read it: keep the other file too.
    ///
    /// ```
    /// use ciyuan::encode::Tokenizer;
    /// # use ciyuan::segment::HanEdges;
    /// # use ciyuan::vocab::TokenizerSpec;
    /// # let spec = TokenizerSpec::from_learned(r"\w+|\W+".to_owned(), HanEdges::None, &[], &[])?;
    /// # let tokenizer = Tokenizer::new(spec)?;
    /// let bytes = tokenizer.to_prebuilt()?;
    /// let again = Tokenizer::from_prebuilt(&bytes)?;
    /// assert_eq!(again.encode("词元")?, tokenizer.encode("词元")?);
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TokenizerFault::Inexpressible`] for a vocabulary of characters, and for a tokenizer whose parts around the tokens
    /// cannot be read without them.
    pub fn to_prebuilt(&self) -> Result<Vec<u8>> {
        let inexpressible = |why| TokenizerFault::Inexpressible { format: "a prebuilt tokenizer", why };
        let spec = self.spec();
        if spec.characters().is_some() {
            return Err(inexpressible("it holds the tables of a vocabulary of bytes; this one is of characters").into());
        }
        let [bytes, ends, ids] = spec.vocab().to_tables();
        let [characters, set, masks] = self.characters().to_tables();
        let sections: [Vec<u8>; SECTIONS] = [
            spec.without_tokens().into_bytes(),
            bytes,
            ends,
            ids,
            spec.merges().to_table(),
            self.reached_tokens().to_table(),
            self.pairs().to_tables(),
            characters,
            set,
            masks,
        ];
        let lengths = std::array::from_fn(|at| sections[at].len() as u64);
        let fields =
            Fields { fingerprint: self.fingerprint().0, unicode: xxh3_64(UNICODE_VERSION.as_bytes()), lengths };
        let fields = codec::encode::<FIELDS_BYTES, _>(&fields).expect("the fields have a fixed length");
        let mut file = MAGIC.to_vec();
        file.extend(VERSION.to_le_bytes());
        file.extend((fields.len() as u32).to_le_bytes());
        file.extend(fields);
        for section in sections {
            file.extend(section);
            file.resize(file.len().next_multiple_of(8), 0);
        }
        file.extend(xxh3_64(&file).to_le_bytes());
        match Self::from_prebuilt(&file) {
            Ok(again) if again.spec().fingerprint() == self.fingerprint() => Ok(file),
            _ => {
                Err(inexpressible("what its file says of other tokens, as in its post-processor, needs all tokens")
                    .into())
            }
        }
    }

    /// The tokenizer of [`Tokenizer::to_prebuilt`].
    ///
    /// # Errors
    ///
    /// [`TokenizerFault::Prebuilt`] for bytes that are damaged, or written by another version; those of
    /// [`Tokenizer::new`].
    pub fn from_prebuilt(file: &[u8]) -> Result<Self> {
        let (fields, places, all) = open(file)?;
        // The checksum and the tables take a thread each: no bytes make reading them go wrong.
        let (sum, read) = rayon::join(|| check_sum(file, all), || Self::of_sections(file, &fields, &places));
        sum.and(read)
    }

    fn of_sections(file: &[u8], fields: &Fields, places: &[std::ops::Range<usize>]) -> Result<Self> {
        let section = |at: usize| &file[places[at].clone()];
        let wrong = |at: usize, why| fault(places[at].start, why);
        // One for each id.
        let id_end = u32::try_from(section(2).len() / 4).map_err(|_| wrong(2, "it is no list of places"))?;
        let (characters, rest) = rayon::join(
            || Characters::of_tables([section(7), section(8), section(9)], id_end),
            || Self::of_vocab_sections(file, places),
        );
        let (spec, byte_ids, pairs) = rest?;
        let reached = Reached::of_table(section(5), spec.vocab().id_end());
        let reached = reached.ok_or_else(|| wrong(5, "there is not a bit for each id"))?;
        let characters = characters.ok_or_else(|| wrong(7, "characters or cuts are not those of a vocabulary"))?;
        Self::of_parts(spec, Some(Fingerprint(fields.fingerprint)), byte_ids, pairs, reached, characters)
    }

    fn of_vocab_sections(
        file: &[u8],
        places: &[std::ops::Range<usize>],
    ) -> Result<(TokenizerSpec, [TokenId; 256], Pairs)> {
        let section = |at: usize| &file[places[at].clone()];
        let wrong = |at: usize, why| fault(places[at].start, why);
        // Twelve bytes a merge.
        let (vocab, pairs) = rayon::join(
            || crate::vocab::Vocab::of_tables([section(1), section(2), section(3)]),
            || Pairs::read_tables(section(6), section(4).len() / 12),
        );
        let vocab = vocab.map_err(|(table, why)| wrong(1 + table, why))?;
        let merges = crate::vocab::Merges::of_table(section(4), vocab.id_end());
        let merges = merges.ok_or_else(|| wrong(4, "a merge names an id that is not there"))?;
        let spec = TokenizerSpec::with_tokens(section(0), vocab, merges)?;
        let byte_ids = spec.vocab().byte_ids()?;
        let pairs = pairs.ok_or_else(|| {
            wrong(6, "a pair has the rank of no merge or joins what is no token, or the table is too full")
        })?;
        let pairs = Pairs::of_tables(pairs, spec.merges(), &byte_ids);
        Ok((spec, byte_ids, pairs))
    }
}

/// The fields, where the sections lie, and where they end.
fn open(file: &[u8]) -> Result<(Fields, Vec<std::ops::Range<usize>>, usize)> {
    if !Tokenizer::is_prebuilt(file) {
        return Err(fault(0, "its first bytes are others"));
    }
    let short = || fault(file.len(), "it is cut off");
    let word = |at: usize| file.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    if word(8).ok_or_else(short)? != VERSION {
        return Err(fault(8, "it was written by another version"));
    }
    let fields = file.get(FIELDS_AT..FIELDS_AT + FIELDS_BYTES).ok_or_else(short)?;
    let fields: Option<Fields> = codec::decode::<FIELDS_BYTES, _>(fields);
    let fields = fields.filter(|_| word(12) == Some(FIELDS_BYTES as u32));
    let fields = fields.ok_or_else(|| fault(12, "its fields have another length"))?;
    let mut places = Vec::with_capacity(SECTIONS);
    let mut at = FIELDS_AT + FIELDS_BYTES;
    for length in fields.lengths {
        let end =
            usize::try_from(length).ok().and_then(|length| at.checked_add(length)).filter(|end| *end <= file.len());
        let end = end.ok_or_else(short)?;
        places.push(at..end);
        at = end.next_multiple_of(8);
    }
    let (_, sum) = file.split_at_checked(at).ok_or_else(short)?;
    if sum.len() != 8 {
        return Err(fault(at, "it does not end where its fields say"));
    }
    if fields.unicode != xxh3_64(UNICODE_VERSION.as_bytes()) {
        check_sum(file, at)?;
        return Err(fault(FIELDS_AT, "it was written with another version of Unicode"));
    }
    Ok((fields, places, at))
}

/// The checksum stands behind all that it is of.
fn check_sum(file: &[u8], at: usize) -> Result<()> {
    let (all, sum) = file.split_at(at);
    if sum != xxh3_64(all).to_le_bytes() {
        return Err(fault(0, "its checksum is another: it is damaged"));
    }
    Ok(())
}
