//! Training that is stopped, resumed and evaluated on the way; sampling.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ciyuan::Error;
use ciyuan::model::{GptForm, Precision, StepReport, TrainConfig};
use ciyuan::pipeline::{
    CHECKPOINT_CONFIG_FILE, CHECKPOINT_FILE, Event, METRICS_FILE, ModelSettings, Progress, TrainRun, load_tokenizer,
    train_run,
};
use ciyuan::shard::{Corpus, Split};

use super::common::Workshop;

const SETTINGS: [&str; 8] = ["--steps", "3", "--context", "16", "--width", "16", "--heads", "2"];

/// Shards in `out`, some held out.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    for number in 0..12 {
        let text = format!("词元是语言模型的单位，第{number}篇。The model learns {number} tokens. ").repeat(12);
        workshop.write(&format!("texts/{number:02}.txt"), &text);
    }
    let prepare = ["prepare", "texts", "-o", "out", "--vocab-size", "300", "--val", "0.3"];
    workshop.run(&[&prepare[..], &SETTINGS].concat()).ok();
    workshop
}

fn settings() -> ModelSettings {
    let training = TrainConfig { steps: 20, batch: 4, ..TrainConfig::default() };
    ModelSettings { layers: 1, heads: 2, width: 16, context: 16, form: GptForm::GPT2, seed: 1, training }
}

/// Of both kinds of files; a byte of the weights, and the tokenizer beside them.
#[test]
fn a_folder_of_a_model_is_verified() {
    let workshop = workshop();
    workshop.run(&["learn", "texts", "-o", "other.json", "--vocab-size", "301"]).ok();
    let other = std::fs::read(workshop.path("other.json")).unwrap();
    for kind in ["gpt", "lstm"] {
        workshop.run(&[&["train", "out", "-o", kind, "--model", kind][..], &SETTINGS].concat()).ok();
        let inner = format!("{kind}/model");
        let whole = workshop.run(&["verify", kind, &inner]).ok();
        assert_eq!(whole, format!("{kind}: whole; the model\n{inner}: whole; the model\n"));
        assert_eq!(workshop.run(&["verify", kind, "--json"]).json()["verified"][0]["model"], true);
        let export = ["export", kind, "--layout", "megatron", "-o", "data/c"];
        workshop.run(&export).fails(2, &["holds a model and no shards", "--layout hf"]);
        let weights = workshop.path(&format!("{inner}/model.safetensors"));
        let good = std::fs::read(&weights).unwrap();
        let mut damaged = good.clone();
        *damaged.last_mut().unwrap() ^= 1;
        std::fs::write(&weights, damaged).unwrap();
        workshop.run(&["verify", kind]).fails(3, &["model.safetensors"]);
        std::fs::write(&weights, good).unwrap();
        std::fs::write(workshop.path(&format!("{kind}/tokenizer.json")), &other).unwrap();
        workshop.run(&["verify", kind]).fails(3, &[kind, "was made with tokenizer"]);
    }
    workshop.run(&["verify", "texts"]).fails(1, &["texts/manifest.json"]);
    // Shards without their manifest are not passed over for the model beside them.
    std::fs::remove_file(workshop.path("out/manifest.json")).unwrap();
    workshop.run(&["verify", "out"]).fails(1, &["out/manifest.json"]);
}

/// Settings of a training in bf16 are those of f32 with one more; a checkpoint of one is not that of the other.
#[test]
fn a_training_in_bf16_goes_on_bit_for_bit() {
    let workshop = workshop();
    let folder = workshop.path("out");
    let of = |precision| {
        let training = TrainConfig { precision, ..settings().training };
        ModelSettings { training, ..settings() }
    };
    let train = |output: &Path, resume, last: u64, precision| {
        std::fs::create_dir_all(output).unwrap();
        let run = TrainRun { output: Some(output), resume, ..TrainRun::default() };
        let stop = AtomicBool::new(false);
        let tell = |event| {
            if event == Event::Done(last) {
                stop.store(true, Ordering::Relaxed);
            }
        };
        train_run(&folder, &of(precision), &run, &Progress::new(&tell, &stop))
    };
    let whole = train(&workshop.path("whole"), false, 99, Precision::Bf16).unwrap();
    let cut = workshop.path("cut");
    assert!(matches!(train(&cut, false, 9, Precision::Bf16), Err(Error::Interrupted { .. })));
    let config = std::fs::read_to_string(cut.join(CHECKPOINT_CONFIG_FILE)).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["settings"]["precision"], "bf16");
    assert!(
        matches!(train(&cut, true, 99, Precision::F32), Err(Error::OtherSettings { key, .. }) if key == "precision")
    );
    let resumed = train(&cut, true, 99, Precision::Bf16).unwrap();
    assert_eq!((&resumed.steps, resumed.gpt.to_safetensors()), (&whole.steps, whole.gpt.to_safetensors()));
    let single = train(&workshop.path("single"), false, 99, Precision::F32).unwrap();
    assert_ne!(single.steps, whole.steps);
    for (half, single) in whole.steps.iter().zip(&single.steps) {
        assert!((half.loss - single.loss).abs() < 0.05, "{half:?} {single:?}");
    }
}

#[test]
fn a_stopped_training_goes_on_bit_for_bit() {
    let workshop = workshop();
    let folder = workshop.path("out");
    let tokenizer = load_tokenizer(&folder, None, &[]).unwrap();
    // Runs until `last` steps are done, or to the end.
    let train = |output: &Path, resume, last: u64| {
        std::fs::create_dir_all(output).unwrap();
        let run = TrainRun {
            output: Some(output),
            checkpoint_every: 4,
            resume,
            tokenizer: Some(&tokenizer),
            eval_every: 5,
            patience: 0,
            profile: resume,
        };
        let stop = AtomicBool::new(false);
        let tell = |event| {
            if event == Event::Done(last) {
                stop.store(true, Ordering::Relaxed);
            }
        };
        train_run(&folder, &settings(), &run, &Progress::new(&tell, &stop))
    };
    let whole = train(&workshop.path("whole"), false, 99).unwrap();
    assert_eq!((whole.steps.len(), whole.evaluations.len()), (20, 4));
    let cut = workshop.path("cut");
    for (resume, last) in [(false, 7), (true, 13)] {
        assert!(matches!(train(&cut, resume, last), Err(Error::Interrupted { .. })));
        assert!(cut.join(CHECKPOINT_FILE).exists());
    }
    let config = std::fs::read_to_string(cut.join(CHECKPOINT_CONFIG_FILE)).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!((&config["model"]["width"], &config["settings"]["batch"]), (&16.into(), &4.into()));
    // Those of older versions have none.
    std::fs::remove_file(cut.join(CHECKPOINT_CONFIG_FILE)).unwrap();
    let resumed = train(&cut, true, 99).unwrap();
    assert_eq!((&resumed.steps, &resumed.evaluations), (&whole.steps, &whole.evaluations));
    assert_eq!(resumed.gpt.to_safetensors(), whole.gpt.to_safetensors());
    // Measured or not, it is the same; the parts come to the whole.
    assert!(whole.profile.is_none());
    let parts = resumed.profile.unwrap().parts();
    let sum: f64 = parts.iter().map(|(_, seconds)| seconds).sum();
    assert!(parts.len() == 7 && parts[..5].iter().all(|part| part.1 > 0.0), "{parts:?}");
    assert!((sum - resumed.seconds).abs() < 1e-3 * resumed.seconds + 1e-3, "{parts:?} of {}", resumed.seconds);
    let read = |output: &Path| std::fs::read_to_string(output.join(METRICS_FILE)).unwrap();
    assert_eq!(read(&cut), read(&workshop.path("whole")));
    assert_eq!(read(&cut).lines().count(), 24);
    let first: StepReport = serde_json::from_str(read(&cut).lines().next().unwrap()).unwrap();
    assert_eq!(first.step, 1);

    // A checkpoint of another training, and damage.
    let other = ModelSettings { seed: 2, ..settings() };
    let run = TrainRun { output: Some(&cut), resume: true, ..TrainRun::default() };
    let error = train_run(&folder, &other, &run, &Progress::silent()).unwrap_err();
    assert!(matches!(error, Error::OtherSettings { .. }), "{error}");
    let path = cut.join(CHECKPOINT_FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() - 9;
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(train(&cut, true, 99), Err(Error::Checkpoint { .. })));
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(train(&cut, true, 99), Err(Error::Checkpoint { .. })));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(train(&cut, true, 99), Err(Error::Missing { .. })));
}

/// A rate so high that nothing gets better ends early.
#[test]
fn patience_ends() {
    let workshop = workshop();
    let folder = workshop.path("out");
    let tokenizer = load_tokenizer(&folder, None, &[]).unwrap();
    let training = TrainConfig { steps: 200, learning_rate: 0.9, ..settings().training };
    let run = TrainRun { tokenizer: Some(&tokenizer), eval_every: 1, patience: 3, ..TrainRun::default() };
    let trained = train_run(&folder, &ModelSettings { training, ..settings() }, &run, &Progress::silent()).unwrap();
    let best = trained.evaluations.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    assert_eq!(trained.steps.len() as u64, best.0 + 3);
    assert!(trained.steps.len() < 200);
}

#[test]
fn the_command_trains_and_samples() {
    let workshop = workshop();
    let train = [&["train", "out", "-o", "model2", "--eval-every", "2"][..], &SETTINGS].concat();
    assert!(workshop.run(&train).ok().contains("bits per byte"));
    for (file, begins) in [("metrics.jsonl", "{\"step\":1"), ("loss.svg", "<svg"), ("model/config.json", "{")] {
        let text = std::fs::read_to_string(workshop.path("model2").join(file)).unwrap();
        assert!(text.trim_start().starts_with(begins), "{file}: {text}");
    }
    assert!(!workshop.path("model2").join(CHECKPOINT_FILE).exists());
    assert!(!workshop.path("model2").join(CHECKPOINT_CONFIG_FILE).exists());
    workshop.run(&["train", "out", "-o", "m3", "--patience", "2"]).fails(2, &["--eval-every"]);
    workshop.run(&["train", "out", "-o", "m3", "--resume"]).fails(1, &["checkpoint.safetensors"]);
    workshop.write("m4/checkpoint.safetensors", "x");
    workshop.run(&["train", "out", "-o", "m4"]).fails(1, &["--resume"]);

    batches_in_tokens_and_bytes(&workshop);
    windows_with_a_stride(&workshop);

    // For Hugging Face's transformers, whole and once; tests/readers/model.py loads it there.
    let export = ["export", "model2", "--layout", "hf", "-o", "there"];
    assert_eq!(workshop.run(&export).ok().lines().count(), 4);
    let config = std::fs::read_to_string(workshop.path("there/config.json")).unwrap();
    assert!(config.contains("GPT2LMHeadModel") && workshop.path("there/model.safetensors").exists());
    let tokenizer = |folder: &str| std::fs::read(workshop.path(folder).join("tokenizer.json")).unwrap();
    assert!(tokenizer("there") == tokenizer("model2"));
    workshop.run(&export).fails(1, &["there", "holds a model already"]);
    workshop.run(&["export", "out", "--layout", "tensorflow", "-o", "x"]).fails(2, &["tensorflow"]);

    // Several prompts are what each is by itself.
    let options = ["--max-tokens", "9", "--top-p", "0.9", "--repetition-penalty", "1.2"];
    let one = |prompt| workshop.run(&[&["sample", "model2", "--prompt", prompt][..], &options].concat()).ok();
    let alone = one("词元") + &one("The");
    let both = [&["sample", "model2", "--prompt", "词元", "--prompt", "The"][..], &options].concat();
    assert_eq!(workshop.run(&both).ok(), alone);
    workshop.write("prompts.txt", "词元\nThe\n");
    let file = [&["sample", "model2", "--prompts", "prompts.txt"][..], &options].concat();
    assert_eq!(workshop.run(&file).ok(), alone);
    let json = workshop.run(&[&both[..], &["--json"]].concat()).json();
    assert_eq!(json["samples"][1]["prompt"], "The");
    let show = workshop.run(&["sample", "model2", "--max-tokens", "2", "--temperature", "1", "--show", "3"]).ok();
    let first = show.lines().next().unwrap();
    assert!(first.split_whitespace().count() >= 7 && show.lines().count() <= 3, "{show}");
    workshop.run(&["sample", "model2", "--top-p", "0"]).fails(2, &["top-p"]);
}

/// The first loss is that of the same batch, told in another measure.
fn batches_in_tokens_and_bytes(workshop: &Workshop) {
    let train = |output: &str, more: &[&str]| {
        let settings = ["--steps", "1", "--context", "16", "--width", "16", "--heads", "2", "--json"];
        workshop.run(&[&["train", "out", "-o", output][..], &settings, more].concat())
    };
    let loss = |output: &str, more: &[&str]| train(output, more).json()["steps"][0]["loss"].clone();
    let expected = loss("b1", &["--batch", "3"]);
    // A window is 16 tokens: 3 of them are in 48 tokens and in 63, not in 47.
    assert_eq!(loss("b2", &["--batch-tokens", "63"]), expected);
    assert_ne!(loss("b3", &["--batch-tokens", "47"]), expected);
    let corpus = Corpus::open(&workshop.path("out"), Split::Train).unwrap().info();
    let bytes = |tokens: u64| (tokens * corpus.text_bytes).div_ceil(corpus.tokens).to_string();
    assert_eq!(loss("b4", &["--batch-bytes", &bytes(48)]), expected);
    assert_ne!(loss("b5", &["--batch-bytes", &bytes(46)]), expected);
    train("b6", &["--batch-tokens", "15"]).fails(2, &["batch-tokens", "16"]);
    train("b6", &["--batch-tokens", "64", "--batch", "4"]).fails(2, &["--batch"]);

    let profile = &["--profile", "--batch", "3"];
    let json = train("b7", profile).json();
    assert!(json["profile"]["matrix_multiply"].as_f64().unwrap() > 0.0 && json["steps"][0]["loss"] == expected);
    let text = workshop.run(&["train", "out", "-o", "b8", "--profile", "--steps", "1", "--context", "16"]).ok();
    for part in ["matrix multiply", "attention", "elementwise", "head", "optimizer", "data", "other"] {
        assert!(text.lines().any(|line| line.starts_with(part) && line.ends_with('%')), "{part}: {text}");
    }
}

/// Every byte is counted whatever the stride.
fn windows_with_a_stride(workshop: &Workshop) {
    let eval = |more: &[&str]| workshop.run(&[&["eval", "out", "--model", "model2", "--json"][..], more].concat());
    let json = |more: &[&str]| {
        let json = eval(more).json();
        [&json["all"]["bytes"], &json["all"]["bits_per_byte"]].map(|value| value.as_f64().unwrap())
    };
    let half = json(&[]);
    assert_eq!(json(&["--stride", "8"]), half);
    for stride in ["1", "16"] {
        let [bytes, bits] = json(&["--stride", stride]);
        assert!(bytes == half[0] && bits != half[1] && (bits - half[1]).abs() < 1.0, "{stride}: {bits} and {half:?}");
    }
    eval(&["--stride", "0"]).fails(2, &["stride", "16"]);
    eval(&["--stride", "17"]).fails(2, &["stride", "16"]);
}
