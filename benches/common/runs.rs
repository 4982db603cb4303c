//! Runs of one class of characters.

/// Units of runs of one class of characters, and of two by turns.
pub(crate) const RUNS_OF: [&str; 20] = [
    "a",
    "A",
    "é",
    "中",
    "龦",
    "カ",
    "1",
    "３",
    " ",
    "\u{3000}",
    "\n",
    " \n",
    "!",
    "，",
    "'",
    "'s",
    "\u{301}",
    "aB",
    "中A",
    "👩\u{200D}",
];
