//! The comparisons are the programs in `src/bin`.
