//! Plots of a probe as SVG.

use plotters::prelude::*;

use super::bootstrap::{Estimate, Verdict};
use super::paired::PairedDifference;
use super::plots::{COLOURS, FONT, INK, LINE, WIDTH, svg};
use super::probe::{ArmReport, ProbeReport, ProbedCorpus};

/// Bits per byte while training, by bytes seen.
pub(super) fn bits_by_bytes(arms: &[ArmReport]) -> String {
    let points = || arms.iter().flat_map(|arm| &arm.curve).map(|(bytes, bits)| (*bytes as f64 / 1e6, *bits));
    let last = points().map(|(bytes, _)| bytes).fold(1e-3, f64::max);
    let least = points().map(|(_, bits)| bits).fold(f64::INFINITY, f64::min).min(8.0);
    // The first steps say nothing and would press the rest together.
    let early = points().filter(|(bytes, _)| *bytes > 0.05 * last).map(|(_, bits)| bits).fold(least + 0.1, f64::max);
    svg((WIDTH, 320), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(48)
            .build_cartesian_2d(0.0..last, 0.98 * least..1.02 * early)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_desc("megabytes of text")
            .y_desc("bits per byte")
            .label_style(FONT.into_font().color(&INK))
            .axis_style(INK)
            .light_line_style(INK.mix(0.08))
            .bold_line_style(INK.mix(0.2))
            .draw()?;
        for (arm, colour) in arms.iter().zip(COLOURS.into_iter().cycle()) {
            let line = arm.curve.iter().map(|(bytes, bits)| (*bytes as f64 / 1e6, bits.min(1.02 * early)));
            chart
                .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
                .label(arm.name.clone())
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

/// A row of a plot of differences.
pub(super) struct ForestRow {
    pub(super) name: String,
    pub(super) difference: Estimate,
    /// Whether it is called one.
    pub(super) is_told: bool,
}

/// Differences with their intervals, and the band inside which there is none.
pub(super) fn forest(report: &ProbeReport, corpus: &ProbedCorpus) -> String {
    let mut rows = Vec::new();
    let mut add = |name: String, paired: &PairedDifference, holds: bool| {
        let is_told = holds && matches!(paired.verdict, Verdict::Less | Verdict::More);
        rows.push(ForestRow { name, difference: paired.difference, is_told });
    };
    for one in &corpus.differences {
        let [first, second] = [one.first, one.second].map(|at| &report.arms[at].name);
        add(format!("{second} to {first}"), &one.equal_bytes, one.holds);
        if let Some(paired) = &one.equal_compute {
            add("at equal compute".to_owned(), paired, one.holds);
        }
    }
    if let Some(noise) = &corpus.noise {
        add(format!("{} with other seeds", report.arms[0].name), noise, true);
    }
    forest_of(&rows, report.margin, "percent of the bits per byte; less is better")
}

/// The same of any differences.
pub(super) fn forest_of(rows: &[ForestRow], margin: f64, x_desc: &str) -> String {
    let range = |row: &ForestRow| row.difference.interval.unwrap_or([row.difference.value; 2]);
    let reach = rows.iter().flat_map(range).map(f64::abs).fold(margin, f64::max);
    let reach = 110.0 * reach.max(1e-4);
    let count = rows.len().max(1) as i32;
    svg((WIDTH, 70 + 26 * count as u32), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(220)
            .build_cartesian_2d(-reach..reach, (0..count - 1).into_segmented())?;
        let names = |at: &SegmentValue<i32>| match at {
            SegmentValue::CenterOf(row) => {
                rows.get((count - 1 - row) as usize).map_or_else(String::new, |row| row.name.clone())
            }
            _ => String::new(),
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .x_desc(x_desc)
            .y_labels(count as usize)
            .y_label_formatter(&names)
            .label_style(FONT.into_font().color(&INK))
            .axis_style(INK)
            .light_line_style(INK.mix(0.08))
            .bold_line_style(INK.mix(0.2))
            .draw()?;
        let (bottom, top) = (|| SegmentValue::Exact(0), || SegmentValue::Last);
        let margin = 100.0 * margin;
        chart.draw_series([Rectangle::new([(-margin, bottom()), (margin, top())], INK.mix(0.1).filled())])?;
        chart.draw_series([PathElement::new([(0.0, bottom()), (0.0, top())], INK.mix(0.6))])?;
        for (at, one) in rows.iter().enumerate() {
            let row = || SegmentValue::CenterOf(count - 1 - at as i32);
            let colour = if one.is_told { LINE } else { INK };
            let [low, high] = range(one).map(|end| 100.0 * end);
            chart.draw_series([PathElement::new([(low, row()), (high, row())], colour.stroke_width(2))])?;
            chart.draw_series([Circle::new((100.0 * one.difference.value, row()), 4, colour.filled())])?;
        }
        Ok(())
    })
}
