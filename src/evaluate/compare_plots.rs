//! Plots of a comparison as SVG.

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::bootstrap::Verdict;
use super::comparison::{Comparison, CorpusComparison, MeasureComparison};
use super::plots::{WIDTH, named_lines, quiet, svg};
use super::probe_plots::{ForestRow, forest_of};

/// Tokens longer than this are counted with those of this length.
const LONGEST: u32 = 24;

/// What stands at an axis.
struct Axis<'a> {
    name: &'a str,
    label: &'a dyn Fn(&f64) -> String,
}

fn whole(value: &f64) -> String {
    format!("{value:.0}")
}

/// A power of ten, which is a hair beside it.
fn power(value: &f64) -> String {
    let power = value.log10().round();
    if power < -3.0 { format!("1e{power:.0}") } else { format!("{value:.*}", (-power).max(0.0) as usize) }
}

/// The tokens of a corpus by their length in bytes.
pub(super) fn lengths(comparison: &Comparison, corpus: &CorpusComparison) -> String {
    let series = corpus.tokens.iter().map(|figures| {
        let mut shares = vec![0.0; LONGEST as usize + 1];
        let all = figures.tokens.max(1) as f64;
        figures.lengths.iter().for_each(|(length, count)| {
            shares[(*length).min(LONGEST) as usize] += 100.0 * *count as f64 / all;
        });
        shares.into_iter().enumerate().skip(1).map(|(length, share)| (length as f64, share)).collect()
    });
    let series: Vec<Vec<(f64, f64)>> = series.collect();
    let top = series.iter().flatten().map(|(_, share)| *share).fold(1.0, f64::max);
    let name = format!("bytes of a token ({LONGEST}: or more)");
    let axes = [Axis { name: &name, label: &whole }, Axis { name: "percent of the tokens", label: &whole }];
    lines(comparison, series, axes, (1.0..f64::from(LONGEST), 0.0..1.05 * top))
}

/// How often tokens occur, by rank, both logarithmic.
pub(super) fn ranks(comparison: &Comparison, corpus: &CorpusComparison) -> String {
    let series = corpus.tokens.iter().map(|figures| {
        let all = figures.tokens.max(1) as f64;
        figures.ranks.iter().map(|[rank, count]| (*rank as f64, *count as f64 / all)).collect()
    });
    let series: Vec<Vec<(f64, f64)>> = series.collect();
    let last = series.iter().flatten().map(|(rank, _)| *rank).fold(2.0, f64::max);
    let least = series.iter().flatten().map(|(_, share)| *share).fold(0.5, f64::min);
    let axes =
        [Axis { name: "rank of a token", label: &whole }, Axis { name: "its share of the tokens", label: &power }];
    lines(comparison, series, axes, ((1.0..last).log_scale(), (0.5 * least..1.0).log_scale()))
}

/// A line for each tokenizer.
fn lines<X, Y>(comparison: &Comparison, series: Vec<Vec<(f64, f64)>>, [x, y]: [Axis<'_>; 2], ranges: (X, Y)) -> String
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    svg((WIDTH, 320), |area| {
        let mut builder = ChartBuilder::on(area);
        builder.margin(8).x_label_area_size(36).y_label_area_size(56);
        let mut chart = builder.build_cartesian_2d(ranges.0, ranges.1)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(x.name).y_desc(y.name).x_label_formatter(x.label).y_label_formatter(y.label);
        quiet(&mut mesh).draw()?;
        let names = comparison.tokenizers.iter().map(|tokenizer| tokenizer.name.clone());
        named_lines(&mut chart, names.zip(series), SeriesLabelPosition::UpperRight)
    })
}

/// The differences of each two tokenizers in a figure.
pub(super) fn differences(comparison: &Comparison, measure: &MeasureComparison) -> String {
    let rows = measure.differences.iter().map(|one| {
        let [first, second] = [one.first, one.second].map(|at| &comparison.tokenizers[at].name);
        ForestRow {
            name: format!("{second} to {first}"),
            difference: one.difference,
            is_told: matches!(one.verdict, Verdict::Less | Verdict::More),
        }
    });
    forest_of(&rows.collect::<Vec<_>>(), comparison.config.margin, "difference in percent")
}
