//! Room `evaluate`: how good a tokenization is, in figures, and the report that shows them.
//!
//! **Takes** a tokenizer, held-out ids and a trained model; **gives** bits per byte and what they are to be compared
//! with, by language, and the report as data, text and page; of texts, how many tokens each script takes; of spans and
//! words, how they agree with a gold segmentation and how often they repeat; of a vocabulary, what it is made of and
//! what of it texts use; of several tokenizers, how they compare, with intervals. **Promises** that every byte of every
//! held-out document is scored once and that the bytes of the scored tokens are the bytes of the documents, or the
//! evaluation fails; sums are in f64. **Does not know** files: it gives strings.
//!
//! Bits per byte make different tokenizers comparable: nats of all text tokens / (ln 2 x raw UTF-8 bytes). The
//! end-of-text token stands for no bytes; what it costs is given apart.

mod anchors;
mod attention_page;
mod bootstrap;
mod boundaries;
mod compare_page;
mod compare_plots;
mod comparison;
mod distribution;
mod emoji;
mod findings;
mod forms;
mod held_out;
mod html;
mod language;
mod measures;
mod numbers;
mod page_pattern;
mod page_tokenizer;
mod paired;
mod plots;
mod probe;
mod probe_page;
mod probe_plots;
mod reach_plot;
mod report;
mod scripts;
mod segmentation;
mod spans;
mod summary;
mod token_figures;
mod vocabulary;

pub use crate::segment::Script;
pub use anchors::Anchors;
pub use attention_page::attention_to_html;
pub use bootstrap::{Estimate, Verdict};
pub use compare_page::comparison_to_html;
pub use comparison::{
    CompareConfig, ComparedCorpus, ComparedText, ComparedTokenizer, Comparison, CorpusComparison, DifferenceReport,
    MeasureComparison, ParallelTexts, TokenFigures, WorstDocument, compare,
};
pub use emoji::EmojiReport;
pub use findings::{Finding, FindingKind};
pub use held_out::{HeldOut, evaluate};
pub use html::to_html;
pub use language::Language;
pub use measures::Better;
pub use numbers::{Grouping, NumberLength, NumberReport};
pub use paired::{OverSeeds, PairedDifference, smallest_visible};
pub use plots::loss_curve;
pub(crate) use probe::over_documents;
pub use probe::{ArmReport, ProbeDifference, ProbeReport, ProbedArm, ProbedCorpus};
pub use probe_page::probe_to_html;
pub use reach_plot::gradient_by_distance;
pub use report::{
    ColouredPage, ColouredPiece, CorpusReport, FileReport, InputReport, LanguageReport, ModelReport, Report,
    SampleReport, TokenizerReport,
};
pub use scripts::{ScriptCounter, ScriptReport};
pub use segmentation::{SegmentationScore, SentenceScore};
pub use spans::{SpanCounter, SpanFigures, SpanReport};
pub use summary::{shortened, to_text};
pub use vocabulary::{ClassAudit, TokenAudit, TokenClass, UseCounter, UseReport, VocabularyAudit};
