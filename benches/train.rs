//! Tokens a second of training: `cargo bench --bench train -- C1 C2 default`.
//!
//! C1 and C2 are reference configurations (5.9 and 14 million parameters); `default` is what `prepare` trains, `probe-modern`
//! what `probe` does; `sizes` are seven from 0.5 to 98 million; `-modern` behind a name takes today's form. Ids are drawn
//! like words of a text (the n-th with a share of 1/n): what they are does not change the time. Rows give the median and the
//! fastest of `STEPS` steps behind `WARM`, the time of a token, the floating-point operations of the model (6 for each
//! parameter of a matrix, and those of attention's half square) as a share of what the processor can do on all threads, as a
//! loop of multiplications and additions in registers shows before and behind each row (the higher counts), and the loss of
//! the last step as a sign that all went well.
//!
//! `RAYON_NUM_THREADS=1` for one core, `OPTIMIZER=adamw` instead of Muon, `PROFILE=1` for a row of the time by part.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // a benchmark prints, and ends where it cannot go on

use std::sync::LazyLock;
use std::time::Instant;

use ciyuan::model::{Gpt, GptConfig, GptForm, Optimizer, Precision, TrainConfig, Trainer};

const WARM: usize = 1;
const SIZES: [&str; 7] = ["S0.5", "S2", "C1", "C2", "S36", "S57", "S98"];

fn main() {
    // Cargo hands its own flag on.
    let mut names: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if names.is_empty() {
        names = ["default", "C1"].map(str::to_owned).into();
    }
    if names == ["sizes"] {
        names = SIZES.map(str::to_owned).into();
    }
    println!(
        "| configuration | parameters | tokens/s | fastest | µs/token | MFLOP/token | GFLOP/s | of what is possible | loss |"
    );
    names.iter().for_each(|name| row(name));
}

fn row(name: &str) {
    let steps = std::env::var("STEPS").map_or(5, |steps| steps.parse().unwrap());
    let (gpt, batch) = configuration(name);
    let adamw = std::env::var("OPTIMIZER").is_ok_and(|name| name == "adamw");
    let optimizer = if adamw { Optimizer::AdamW } else { Optimizer::Muon };
    let bf16 = std::env::var("PRECISION").is_ok_and(|name| name == "bf16");
    let precision = if bf16 { Precision::Bf16 } else { Precision::F32 };
    let config = TrainConfig { batch, optimizer, precision, ..TrainConfig::default() };
    let mut trainer = Trainer::new(Gpt::new(gpt, 1).unwrap(), config).unwrap();
    if std::env::var("PROFILE").is_ok() {
        trainer.measure(now);
    }
    let before = possible();
    let (mut seconds, mut loss) = (Vec::new(), 0.0);
    for step in 0..WARM + steps {
        let ids = ids(step as u64, batch * (gpt.context + 1), gpt.vocab_size);
        let start = Instant::now();
        loss = trainer.step(&ids).unwrap().loss;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let most = before.max(possible());
    let seconds = &mut seconds[WARM..];
    seconds.sort_by(f64::total_cmp);
    let rate = |seconds: f64| (batch * gpt.context) as f64 / seconds;
    let [median, fastest] = [seconds[seconds.len() / 2], seconds[0]].map(rate);
    let (work, parameters) = (operations(&gpt), gpt.parameters());
    let (micro, mega, giga, share) = (1e6 / median, work / 1e6, work * median / 1e9, 100.0 * work * median / most);
    println!(
        "| {name} | {parameters} | {median:.0} | {fastest:.0} | {micro:.0} | {mega:.1} | {giga:.0} | {share:.0} % of {:.0} | {loss:.4} |",
        most / 1e9
    );
    let profile = trainer.profile().parts();
    let all: f64 = profile.iter().map(|(_, seconds)| seconds).sum();
    if all > 0.0 {
        let row: Vec<String> = profile.iter().map(|(part, s)| format!("{part} {:.1} %", 100.0 * s / all)).collect();
        println!("| {name} | {} |", row.join(" | "));
    }
}

/// Floating-point operations of the model for a token, forward and backward.
fn operations(gpt: &GptConfig) -> f64 {
    let [v, t, l, c] = [gpt.vocab_size, gpt.context, gpt.layers, gpt.width].map(|size| size as f64);
    6.0 * (12.0 * l * c * c + v * c) + 6.0 * l * c * t
}

/// Floating-point operations a second in registers alone, on all threads.
fn possible() -> f64 {
    rayon::broadcast(|_| {
        #[cfg(target_arch = "x86_64")]
        {
            // SAFETY: the processor was asked for what the loops take.
            #[allow(unsafe_code)]
            unsafe {
                if std::is_x86_feature_detected!("avx512f") {
                    return loops::avx512();
                }
                if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
                    return loops::avx2();
                }
            }
        }
        f64::NAN
    })
    .into_iter()
    .sum()
}

#[cfg(target_arch = "x86_64")]
mod loops {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_set1_ps};
    use std::hint::black_box;
    use std::time::Instant;

    const ROUNDS: u32 = 4_000_000;
    /// Sums at the same time: more than a processor's latency times its units.
    const SUMS: usize = 12;

    macro_rules! rate {
        ($name:ident, $feature:literal, $set:ident, $add:ident, $lanes:literal) => {
            /// Operations a second.
            #[target_feature(enable = $feature)]
            pub(crate) fn $name() -> f64 {
                let (mut sums, factor) = ([$set(0.0); SUMS], $set(black_box(1.0)));
                let start = Instant::now();
                for _ in 0..ROUNDS {
                    // No closure: it would be compiled without the feature.
                    for sum in &mut sums {
                        *sum = $add(factor, factor, *sum);
                    }
                    black_box(());
                }
                black_box(sums);
                f64::from(ROUNDS) * (SUMS * 2 * $lanes) as f64 / start.elapsed().as_secs_f64()
            }
        };
    }
    rate!(avx2, "avx2,fma", _mm256_set1_ps, _mm256_fmadd_ps, 8);
    rate!(avx512, "avx512f", _mm512_set1_ps, _mm512_fmadd_ps, 16);
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
        "probe" => [4096, 320, 2, 4, 128, 8],
        "S0.5" => [2048, 128, 3, 4, 96, 16],
        "S2" => [4096, 256, 4, 5, 160, 8],
        "S36" => [8192, 256, 10, 8, 512, 8],
        "S57" => [8192, 256, 10, 10, 640, 8],
        "S98" => [16384, 256, 12, 12, 768, 8],
        other => panic!("`{other}` is no configuration: C1, C2, default, probe, sizes, {}", SIZES.join(", ")),
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
