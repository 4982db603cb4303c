//! Plots of a comparison as SVG.

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::bootstrap::Verdict;
use super::comparison::{Comparison, CorpusComparison, MeasureComparison};
use super::plots::{COLOURS, FONT, INK, WIDTH, svg};
use super::probe_plots::{ForestRow, forest_of};

/// Tokens longer than this are counted with those of this length.
const LONGEST: u32 = 24;

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
    let labels = [format!("bytes of a token ({LONGEST}: or more)"), "percent of the tokens".to_owned()];
    lines(comparison, &series, 1.0..f64::from(LONGEST), 0.0..1.05 * top, &labels)
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
    let labels = ["rank of a token".to_owned(), "its share of the tokens".to_owned()];
    lines(comparison, &series, (1.0..last).log_scale(), (0.5 * least..1.0).log_scale(), &labels)
}

/// A line for each tokenizer.
fn lines<X, Y>(
    comparison: &Comparison,
    series: &[Vec<(f64, f64)>],
    x: X,
    y: Y,
    [x_desc, y_desc]: &[String; 2],
) -> String
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    svg((WIDTH, 320), |area| {
        let mut chart =
            ChartBuilder::on(area).margin(8).x_label_area_size(36).y_label_area_size(56).build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .x_desc(x_desc)
            .y_desc(y_desc)
            .label_style(FONT.into_font().color(&INK))
            .axis_style(INK)
            .light_line_style(INK.mix(0.04))
            .bold_line_style(INK.mix(0.15))
            .draw()?;
        for ((tokenizer, line), colour) in comparison.tokenizers.iter().zip(series).zip(COLOURS.into_iter().cycle()) {
            chart
                .draw_series(LineSeries::new(line.iter().copied(), colour.stroke_width(2)))?
                .label(tokenizer.name.clone())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .label_font(FONT.into_font().color(&INK))
            .background_style(WHITE.mix(0.8))
            .draw()?;
        Ok(())
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
