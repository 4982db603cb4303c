//! The sub-enums of [`Error`](super::Error): what can be wrong with a record, a user dictionary, a tokenizer, a
//! shard, a manifest, a file of counts, a model.

/// Why a record of the input is no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordFault {
    /// Bytes that are not UTF-8, with `--on-invalid-utf8 reject`.
    #[error("invalid UTF-8 (--on-invalid-utf8 replace or skip keeps the rest, --encoding reads other encodings)")]
    InvalidUtf8,
    /// More invalid bytes than `--max-invalid` allows.
    #[error("{invalid} of {bytes} bytes are invalid in its encoding, a larger share than --max-invalid")]
    TooManyInvalid {
        /// Bytes that were replaced or skipped.
        invalid: u64,
        /// All bytes of the record.
        bytes: u64,
    },
    /// A document that a filter refuses: the filter, what was measured, and the bound.
    #[error("{why}")]
    Filtered {
        /// All of that, in words.
        why: String,
    },
    /// A document whose text was there before.
    #[error("the same text stands earlier in the input (--deduplicate)")]
    Duplicate,
    /// A line that is no JSON.
    #[error("invalid JSON at column {column}: {reason}")]
    InvalidJson {
        /// Column of the fault, in bytes, counted from 1.
        column: usize,
        /// What the parser says.
        reason: String,
    },
    /// A JSON value that is not an object.
    #[error("the line is JSON, but not an object")]
    NotAnObject,
    /// The text field is not there.
    #[error("no field `{field}` (--field names the field of the text)")]
    MissingField {
        /// The field asked for.
        field: String,
    },
    /// The text field holds something else than a string.
    #[error("field `{field}` is {found}, not a string")]
    NotAString {
        /// The field.
        field: String,
        /// What it holds.
        found: &'static str,
    },
    /// A document without text.
    #[error("empty document")]
    Empty,
    /// A document above `--max-document`.
    #[error("document of more than {max} bytes (--max-document)")]
    TooLong {
        /// The limit in bytes.
        max: u64,
    },
    /// A member of an archive that is not read.
    #[error("a member of the archive that is not read: {why}")]
    Member {
        /// Why not, and what to do.
        why: &'static str,
    },
}

/// What is wrong with a line of a user dictionary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserWordFault {
    /// Bytes that are not UTF-8.
    #[error("invalid UTF-8 at byte {column} of the line; save the file as UTF-8")]
    InvalidUtf8 {
        /// Place of the fault in the line, counted from 1.
        column: usize,
    },
    /// A control character in the word.
    #[error(
        "`{}` holds the control character U+{:04X}; a line is `word [frequency] [tag]`, with single spaces between", word.escape_debug(), u32::from(*character)
    )]
    Control {
        /// What was taken for the word.
        word: String,
        /// The character.
        character: char,
    },
    /// A frequency beyond what can be stored.
    #[error("the frequency {found} is above the limit of {max}; give a smaller one, or none")]
    Frequency {
        /// The frequency as it stands there.
        found: String,
        /// The highest.
        max: u32,
    },
    /// A word above the limit.
    #[error("a word of {characters} characters, the limit is {max}; shorten or remove it")]
    TooLong {
        /// Its length.
        characters: usize,
        /// The longest allowed.
        max: usize,
    },
    /// More different characters than there are numbers for.
    #[error(
        "`{word}` has a character beyond the {max} different ones that words can be made of; remove words with rare characters"
    )]
    Characters {
        /// The word.
        word: String,
        /// How many there can be.
        max: usize,
    },
    /// More different frequencies than there are numbers for.
    #[error(
        "the frequency {frequency} is one beyond the {max} different ones that there can be; round the frequencies"
    )]
    Frequencies {
        /// The frequency, as given or as suggested.
        frequency: u64,
        /// How many there can be.
        max: usize,
    },
    /// The dictionary is full.
    #[error("no room for `{word}`; the words before it fill the dictionary, remove some")]
    Full {
        /// The word.
        word: String,
    },
}

/// What is wrong with a tokenizer or its file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerFault {
    /// Not JSON, or JSON of another shape.
    #[error("not a tokenizer.json: {reason}")]
    Json {
        /// What the parser says, with line and column.
        reason: String,
    },
    /// A line of a `.tiktoken` file that is not `base64 rank`.
    #[error("line {line} is not `base64 rank`: {reason}")]
    TiktokenLine {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A component of tokenizer.json that this version cannot honour exactly.
    #[error("{component} `{kind}` is not supported: {why}")]
    Unsupported {
        /// Where it stands: `model`, `normalizer`, ...
        component: &'static str,
        /// What stands there.
        kind: String,
        /// What would be supported.
        why: &'static str,
    },
    /// One of the 256 bytes has no token, so that some text could not be encoded.
    #[error("no token for byte 0x{byte:02x}; a byte-level vocabulary needs all 256")]
    MissingByte {
        /// The byte.
        byte: u8,
    },
    /// Two ids with the same bytes.
    #[error("ids {first} and {second} have the same bytes")]
    DuplicateToken {
        /// The lower id.
        first: u32,
        /// The higher id.
        second: u32,
    },
    /// A token that stands for no byte-level string.
    #[error("token {id} holds the character {character:?}, which stands for no byte in byte-level form")]
    NotByteLevel {
        /// The id.
        id: u32,
        /// The character.
        character: char,
    },
    /// A merge that cannot be: a part is no token, or the parts do not make a token.
    #[error("merge {rank} ({left} + {right}) {why}")]
    Merge {
        /// Its place in the list, counted from 0.
        rank: usize,
        /// The left part, as it stands in the file.
        left: String,
        /// The right part.
        right: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A special token whose id or text is taken.
    #[error("special token `{content}` (id {id}) {why}")]
    Special {
        /// Its text.
        content: String,
        /// Its id.
        id: u32,
        /// What is wrong.
        why: &'static str,
    },
    /// An id beyond what is allowed.
    #[error("id {id} is above the limit of {max}")]
    IdTooLarge {
        /// The id.
        id: u64,
        /// The highest id allowed.
        max: u32,
    },
    /// A vocabulary smaller than the bytes and the special tokens.
    #[error("a vocabulary of {asked} is too small: 256 bytes and {special} special tokens need {min}")]
    VocabTooSmall {
        /// What was asked for.
        asked: u32,
        /// How many special tokens there are.
        special: usize,
        /// The smallest size that works.
        min: u32,
    },
    /// A tokenizer whose vocabulary is larger than the one that is to be made of it.
    #[error("a vocabulary of {asked} is too small: the tokenizer to extend has {taken} ids already")]
    NotLarger {
        /// What was asked for.
        asked: u32,
        /// The ids that it has.
        taken: u32,
    },
    /// A tokenizer that cannot be extended by learned merges.
    #[error("cannot be extended: {why}")]
    NoBase {
        /// Why not.
        why: &'static str,
    },
    /// Bytes that are no prebuilt tokenizer of this version.
    #[error(
        "not a prebuilt tokenizer that this version can use, at byte {offset}: {why}; write it again from its tokenizer.json, with `ciyuan inspect tokenizer.json --prebuilt FILE`"
    )]
    Prebuilt {
        /// Where the fault lies.
        offset: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// A text that the tokenizer changed, where every byte is accounted for.
    #[error(
        "its ids stand for {of_ids} bytes of a text of {of_text}, as a normalizer, a space before the text or an added token changed it; shards account for every byte: normalize the text first, or take a tokenizer that leaves text as it is"
    )]
    ChangedText {
        /// Bytes of the text.
        of_text: u64,
        /// Bytes that the ids stand for.
        of_ids: u64,
    },
    /// A tokenizer that a format cannot express.
    #[error("cannot be written as {format}: {why}")]
    Inexpressible {
        /// The format.
        format: &'static str,
        /// Why not.
        why: &'static str,
    },
}

/// What is wrong with a shard file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardFault {
    /// Shorter than a header.
    #[error("{bytes} bytes are too few for a shard; it was cut off, encode again")]
    TooShort {
        /// Length of the file.
        bytes: u64,
    },
    /// Another kind of file.
    #[error("not a ciyuan shard (wrong first bytes)")]
    Magic,
    /// A shard of a later version.
    #[error("version {got}, this program reads up to {supported}; use a newer ciyuan")]
    Version {
        /// Version in the file.
        got: u32,
        /// Highest version that is known.
        supported: u32,
    },
    /// The header's checksum is wrong.
    #[error("damaged header (checksum {got:016x}, should be {expected:016x}); encode again")]
    Header {
        /// Checksum stored.
        expected: u64,
        /// Checksum of what is there.
        got: u64,
    },
    /// A header whose fields contradict each other.
    #[error("impossible header: {why}")]
    Impossible {
        /// What is impossible.
        why: &'static str,
    },
    /// The file has not the length that its header says.
    #[error("{got} bytes long, its header says {expected}; it was cut off or extended, encode again")]
    Length {
        /// Length by the header.
        expected: u64,
        /// Length of the file.
        got: u64,
    },
    /// The index of documents and blocks is damaged.
    #[error("damaged index (checksum {got:016x}, should be {expected:016x}); encode again")]
    Index {
        /// Checksum stored.
        expected: u64,
        /// Checksum of what is there.
        got: u64,
    },
    /// A block of ids is damaged.
    #[error("damaged ids in bytes {start}..{end} of the file; encode again")]
    Block {
        /// First byte of the block.
        start: u64,
        /// One past its last byte.
        end: u64,
    },
    /// An id outside the vocabulary.
    #[error("id {id} at token {index} is outside the vocabulary of {vocab_size}")]
    TokenOutOfRange {
        /// The id.
        id: u32,
        /// Its place in the shard.
        index: u64,
        /// Size of the vocabulary.
        vocab_size: u32,
    },
    /// More was asked for than the shard holds.
    #[error("{what} {index} asked for, but the shard holds {count}")]
    OutOfBounds {
        /// `token` or `document`.
        what: &'static str,
        /// What was asked for.
        index: u64,
        /// How many there are.
        count: u64,
    },
    /// Shards side by side that do not belong together.
    #[error("has another {what} than its neighbours; the folder mixes runs")]
    Mixed {
        /// What differs.
        what: &'static str,
    },
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestFault {
    /// Not JSON, or JSON of another shape.
    #[error("cannot be read: {reason}; encode again")]
    Json {
        /// What the parser says, with line and column.
        reason: String,
    },
    /// A manifest of a later version.
    #[error("version {got}, this program reads up to {supported}; use a newer ciyuan")]
    Version {
        /// Version in the file.
        got: u32,
        /// Highest version that is known.
        supported: u32,
    },
    /// Its own checksum is wrong.
    #[error("was changed after it was written (checksum {got}, should be {expected})")]
    Checksum {
        /// Checksum stored.
        expected: String,
        /// Checksum of what is there.
        got: String,
    },
    /// A name that is no plain file name below the folder.
    #[error("names `{name}`, which is no plain file of this folder")]
    Name {
        /// The name.
        name: String,
    },
    /// A sum that does not hold.
    #[error("says {what} = {stated}, but the files hold {found}")]
    Sum {
        /// What is summed.
        what: &'static str,
        /// The manifest's figure.
        stated: u64,
        /// The figure of the files.
        found: u64,
    },
    /// A file that is not the one it was.
    #[error("`{name}` is not the file that was written (checksum {got}, should be {expected})")]
    File {
        /// The file.
        name: String,
        /// Checksum stated.
        expected: String,
        /// Checksum found.
        got: String,
    },
}

/// What is wrong with a file of counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CountsFault {
    /// Another kind of file.
    #[error("not a file of counts (wrong first bytes); `ciyuan learn --save-counts` makes one")]
    Magic,
    /// A file of a later version.
    #[error("version {got}, this program reads up to {supported}; use a newer ciyuan")]
    Version {
        /// Version in the file.
        got: u32,
        /// Highest version that is known.
        supported: u32,
    },
    /// The file ends too early.
    #[error(
        "ends too early: {got} bytes at byte {offset}, where {expected} belong; it was cut off, count the text again"
    )]
    Truncated {
        /// Where the bytes that are missing would begin.
        offset: u64,
        /// Bytes that belong there.
        expected: u64,
        /// Bytes that are there.
        got: u64,
    },
    /// A checksum is wrong.
    #[error("damaged {what} at byte {offset} (checksum {got:016x}, should be {expected:016x}); count the text again")]
    Checksum {
        /// `head`, `block` or `whole file`.
        what: &'static str,
        /// Where the part begins; of the whole file where its checksum stands.
        offset: u64,
        /// Checksum stored.
        expected: u64,
        /// Checksum of what is there.
        got: u64,
    },
    /// Contents that no writer makes, under checksums that fit.
    #[error("impossible contents at byte {offset}: {why}; count the text again")]
    Impossible {
        /// Where.
        offset: u64,
        /// What is impossible.
        why: &'static str,
    },
}

/// What is wrong with a model checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointFault {
    /// config.json is not JSON, or lacks a field.
    #[error("config.json: {reason}")]
    Config {
        /// What the parser says.
        reason: String,
    },
    /// The safetensors file is not the one that was written.
    #[error("was changed after it was written (checksum {got}, should be {expected}); train again")]
    Checksum {
        /// Checksum stated in config.json.
        expected: String,
        /// Checksum of the file.
        got: String,
    },
    /// The safetensors file is damaged.
    #[error("cannot be read: {reason}; train again")]
    Safetensors {
        /// What the parser says.
        reason: String,
    },
    /// A tensor that is missing, or has another shape or type.
    #[error("tensor `{name}` {why}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
}
