//! Tokens a second of training: `cargo bench --bench train -- C1 C2 default`.
//!
//! C1 and C2 are reference configurations (5.9 and 14 million parameters); `default` is what `prepare` trains; `-modern`
//! behind a name takes today's form. Ids are
//! drawn like words of a text (the n-th with a share of 1/n): what they are does not change the time. Rows give the
//! median and the fastest of `STEPS` steps behind `WARM`, and the loss of the last as a sign that all went well.
//! `RAYON_NUM_THREADS=1` for one core.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // a benchmark prints, and ends where it cannot go on

use std::sync::LazyLock;
use std::time::Instant;

use ciyuan::model::{Gpt, GptConfig, GptForm, Optimizer, TrainConfig, Trainer};

const WARM: usize = 1;

fn main() {
    // Cargo hands its own flag on.
    let mut names: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if names.is_empty() {
        names = ["default", "C1"].map(str::to_owned).into();
    }
    let steps = std::env::var("STEPS").map_or(5, |steps| steps.parse().unwrap());
    println!("| configuration | parameters | tokens/s | fastest | loss |");
    for name in names {
        let (gpt, batch) = configuration(&name);
        let optimizer = if std::env::var("OPTIMIZER").is_ok_and(|name| name == "adamw") { Optimizer::AdamW } else { Optimizer::Muon };
        let config = TrainConfig { batch, optimizer, ..TrainConfig::default() };
        let mut trainer = Trainer::new(Gpt::new(gpt, 1).unwrap(), config).unwrap();
        if std::env::var("PROFILE").is_ok() {
            trainer.measure(now);
        }
        let (mut seconds, mut loss) = (Vec::new(), 0.0);
        for step in 0..WARM + steps {
            let ids = ids(step as u64, batch * (gpt.context + 1), gpt.vocab_size);
            let start = Instant::now();
            loss = trainer.step(&ids).unwrap().loss;
            seconds.push(start.elapsed().as_secs_f64());
        }
        let seconds = &mut seconds[WARM..];
        seconds.sort_by(f64::total_cmp);
        let rate = |seconds: f64| (batch * gpt.context) as f64 / seconds;
        let [median, fastest] = [seconds[seconds.len() / 2], seconds[0]].map(rate);
        println!("| {name} | {} | {median:.0} | {fastest:.0} | {loss:.4} |", gpt.parameters());
        let profile = trainer.profile().parts();
        let all: f64 = profile.iter().map(|(_, seconds)| seconds).sum();
        if all > 0.0 {
            let row: Vec<String> = profile.iter().map(|(part, s)| format!("{part} {:.1} %", 100.0 * s / all)).collect();
            println!("| {name} | {} |", row.join(" | "));
        }
    }
}

/// Seconds since it was first asked.
fn now() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_secs_f64()
}

/// A model and its batch.
fn configuration(name: &str) -> (GptConfig, usize) {
    let (name, form) = match name.strip_suffix("-modern") {
        Some(name) => (name, GptForm::MODERN),
        None => (name, GptForm::GPT2),
    };
    let [vocab_size, context, layers, heads, width, batch] = match name {
        "C1" => [4096, 256, 6, 8, 256, 16],
        "C2" => [8192, 512, 6, 6, 384, 8],
        "default" => [2048, 128, 2, 4, 96, 8],
        other => panic!("`{other}` is no configuration: C1, C2, default"),
    };
    (GptConfig { vocab_size, context, layers, heads, width, form }, batch)
}

fn ids(seed: u64, count: usize, vocab_size: usize) -> Vec<u32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let uniform = (state >> 11) as f64 / (1u64 << 53) as f64;
        (((vocab_size as f64).powf(uniform) - 1.0) as u32).min(vocab_size as u32 - 1)
    };
    (0..count).map(|_| draw()).collect()
}
