//! What can be wrong with a file in the layout of another program.

/// What is wrong with a file that another program wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignFault {
    /// A folder, a device or a pipe, whose length says nothing.
    #[error("it is no regular file")]
    NotAFile,
    /// Other first bytes.
    #[error("it begins with other bytes; is it of another layout?")]
    Magic,
    /// A version that is not known.
    #[error("version {got}, only {known} is known")]
    Version {
        /// Version in the file.
        got: u64,
        /// The version that is known.
        known: u64,
    },
    /// Ids of a type that is not known.
    #[error("the type of its ids has the code {code}, which is no whole number")]
    IdType {
        /// The code in the file.
        code: u8,
    },
    /// A length that is not the one that follows from what the file, or the one beside it, says.
    #[error("{what} is {got}, but should be {expected}; was a file cut off, or one of another pair taken?")]
    Length {
        /// What has the length, with its unit.
        what: &'static str,
        /// The length that follows.
        expected: u64,
        /// The length found.
        got: u64,
    },
    /// Numbers that contradict each other.
    #[error("{why}")]
    Impossible {
        /// What is impossible.
        why: &'static str,
    },
    /// An id outside the vocabulary.
    #[error("id {id} at token {index} is outside the vocabulary of {vocab_size}; was it made with another tokenizer?")]
    TokenOutOfRange {
        /// The id.
        id: i64,
        /// Its place in the file.
        index: u64,
        /// Size of the vocabulary.
        vocab_size: u32,
    },
}
