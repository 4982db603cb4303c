//! Room `pipeline`: the stages, from files to a report. The only room that knows them all.
//!
//! **Takes** names of inputs, settings and an output folder; **gives** the files of that folder. **Promises** that what
//! went in is out or accounted for, that outputs are whole or absent, that the same inputs and settings give the same
//! bytes for any number of threads, that a run which was stopped goes on where it was when it is run again, and that
//! two runs never work on one folder. **Does not know** terminals: it tells a [`Progress`] what happens.
//!
//! Every stage that reads documents has them treated the same way ([`Treatment`]): cleaned, filtered, duplicates left out.
//! By default nothing is done to them.
//!
//! | stage | from | to |
//! |---|---|---|
//! | [`learn_tokenizer`] | files | a tokenizer |
//! | [`learn_from_counts`] | files, or counts that were saved | a tokenizer, counts |
//! | [`count`] | files, or counts that were saved | counts |
//! | [`encode`] | files, a tokenizer | `train/*.shard`, `val/*.shard`, `manifest.json`, `rejects.jsonl.zst` |
//! | [`plan_encoding`], [`run_rank`], [`merge_units`] | files, a tokenizer | the same, by many processes |
//! | [`plan_counting`], [`run_rank`], [`merge_units`] | files | counts, by many processes |
//! | [`shuffle`] | shards | the same documents in a random order |
//! | [`mix`] | shards of several sources | one folder, each source with its share |
//! | [`train`] | shards | a model |
//! | [`train_kind`] | shards | a model of another kind |
//! | [`evaluate_folder`] | held-out shards, a tokenizer, a model | bits per byte |
//! | [`prepare`] | files | all of that, and the report |
//! | [`compare_tokenizers`] | documents, tokenizers | their figures and differences, with intervals |
//! | [`Probe::run`] | documents, tokenizers | which is better for a small GPT, with intervals |
//! | [`export_folder`], [`export_inside`] | shards | the shards of another program |
//! | [`export_model`] | a model | a folder that Hugging Face's transformers loads |
//! | [`import_files`] | the shards of another program | `train/*.shard`, `val/*.shard`, `manifest.json` |
//! | [`CorpusCount::of`] | files, a tokenizer or none | documents, bytes, characters, scripts, tokens |
//! | [`Survey::of`] | files | what the corpus is like, and what would be left out |
//! | [`verify`] | a folder or a shard | whether it is as it was written |

mod boundaries;
mod checkpoint;
mod comparing;
mod corpus_count;
mod count_units;
mod counting;
mod counts;
mod dealing;
mod documents;
mod duplicates;
mod encoding;
mod estimate;
mod evaluating;
mod exporting;
mod files;
mod folding;
mod free_memory;
mod importing;
mod in_order;
mod learning;
mod lock;
mod merging;
mod mixing;
mod model_export;
mod model_kinds;
mod origin;
mod partial;
mod planning;
mod prepare;
mod probing;
mod progress;
mod queue;
mod rank_plan;
mod ranks;
mod reading;
mod scratch;
mod settings;
mod share_encoding;
mod shares;
mod shuffling;
mod sorter;
mod space;
mod split;
mod spool;
mod streaming;
mod superwords;
mod survey;
mod text_counting;
mod to_learn;
mod training;
mod travelling;
mod treatment;
mod unit_encoding;
mod units;
mod verify;

pub use boundaries::{Boundaries, EndOfText};
pub use checkpoint::{CHECKPOINT_CONFIG_FILE, CHECKPOINT_FILE, METRICS_FILE};
pub use comparing::compare_tokenizers;
pub use corpus_count::{CorpusCount, FileCount};
pub use count_units::{COUNTS_FILE, CountedFolder};
pub use counting::{CountInput, CountPlan};
pub use counts::{load_counts, save_counts};
pub use documents::{BadRecords, MaxBad};
pub use encoding::{EncodeSeconds, EncodeSettings, EncodedFolder, encode};
pub use estimate::{LearnEstimate, SAMPLE_BYTES};
pub use evaluating::evaluate_folder;
pub use exporting::{export_folder, export_inside};
#[cfg(feature = "chinese")]
pub use files::load_dictionary;
pub use files::{
    MAX_TOKENIZER_BYTES, MODEL_FOLDER, REJECTS_FILE, REPORT_FILE, REPORT_PAGE, TIKTOKEN_FILE, TOKENIZER_FILE,
    check_output, check_output_file, load_model, load_tokenizer, save_model, save_prebuilt, save_tokenizer,
};
pub use importing::{ImportFiles, Imported, NO_TOKENIZER, Vocabulary, import_files};
pub use learning::{Counted, LearnSettings, LearnedTokenizer, count, learn_from_counts, learn_tokenizer};
pub use lock::FolderLock;
pub use merging::{Merged, merge_units};
pub use mixing::{MixPart, MixSettings, MixSource, mix, plan_mix, training_tokens};
pub use model_export::export_model;
pub use model_kinds::{AnyModel, ModelKind, TrainedKind, train_kind};
pub use partial::partial_path;
pub use planning::{Planned, plan_counting, plan_encoding};
pub use prepare::{PrepareSettings, prepare};
pub use probing::{PlannedArm, Probe, ProbeArm, ProbeCorpus, ProbePlan, ProbeSettings};
pub use progress::{Event, Progress, Unit};
pub use ranks::{RankDone, run_rank};
pub use settings::Settings;
pub use shuffling::{ShuffleSettings, shuffle};
pub use split::ValFraction;
pub use streaming::encode_reader;
pub use superwords::SUPERWORD_SAMPLE;
pub use survey::{Lengths, Place, Sample, Survey};
pub use to_learn::{LEARN_MEMORY, LeftOut};
pub use training::{ModelSettings, TrainProfile, TrainRun, Trained, train, train_run};
pub use treatment::{Treated, Treatment};
pub use verify::{Verified, verify};
