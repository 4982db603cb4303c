//! Plots of a probe as SVG.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::bootstrap::{Estimate, Verdict};
use super::paired::PairedDifference;
use super::plots::{FONT, INK, LINE, WIDTH, named_lines, quiet, svg};
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
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh().x_desc("megabytes of text").y_desc("bits per byte");
        quiet(&mut mesh).draw()?;
        let lines = arms.iter().map(|arm| {
            let line = arm.curve.iter().map(|(bytes, bits)| (*bytes as f64 / 1e6, bits.min(1.02 * early)));
            (arm.name.clone(), line.collect())
        });
        named_lines(&mut chart, lines, SeriesLabelPosition::UpperRight)
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
    let count = rows.len().max(1);
    svg((WIDTH, 70 + 26 * count as u32), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(220)
            .build_cartesian_2d(-reach..reach, 0.0..count as f64)?;
        let mut mesh = chart.configure_mesh();
        quiet(mesh.disable_y_mesh().disable_y_axis().x_desc(x_desc)).draw()?;
        let margin = 100.0 * margin;
        chart.draw_series([Rectangle::new([(-margin, 0.0), (margin, count as f64)], INK.mix(0.1).filled())])?;
        chart.draw_series([PathElement::new([(0.0, 0.0), (0.0, count as f64)], INK.mix(0.6))])?;
        for (at, one) in rows.iter().enumerate() {
            let row = (count - at) as f64 - 0.5;
            let colour = if one.is_told { LINE } else { INK };
            let [low, high] = range(one).map(|end| 100.0 * end);
            chart.draw_series([PathElement::new([(low, row), (high, row)], colour.stroke_width(2))])?;
            chart.draw_series([Circle::new((100.0 * one.difference.value, row), 4, colour.filled())])?;
            // Not by the axis: its labels stand between the rows.
            let (left, height) = chart.backend_coord(&(-reach, row));
            let name = FONT.into_font().color(&INK).pos(Pos::new(HPos::Right, VPos::Center));
            area.draw(&Text::new(one.name.clone(), (left - 8, height), name))?;
        }
        Ok(())
    })
}
