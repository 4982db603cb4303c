//! Plots as SVG, drawn by `plotters`.

use plotters::chart::MeshStyle;
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;

use super::report::TokenizerReport;
use crate::model::StepReport;

const SIZE: (u32, u32) = (720, 300);
pub(super) const INK: RGBColor = RGBColor(96, 105, 120);
pub(super) const LINE: RGBColor = RGBColor(37, 99, 190);
/// Lines of a plot, told apart by people who do not see red and green apart, too (Okabe and Ito 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(120, 120, 120),
];
pub(super) const WIDTH: u32 = 720;
const BAND: RGBColor = RGBColor(160, 190, 230);
pub(super) const FONT: (&str, i32) = ("sans-serif", 13);

pub(super) type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Loss by step as an SVG: each step, and a running mean.
#[must_use]
pub fn loss_curve(steps: &[StepReport]) -> String {
    let losses: Vec<(f64, f64)> = steps.iter().map(|step| (step.step as f64, step.loss)).collect();
    let mut mean = losses.first().map_or(0.0, |(_, loss)| *loss);
    let smooth: Vec<(f64, f64)> = losses
        .iter()
        .map(|&(step, loss)| {
            mean += 0.1 * (loss - mean);
            (step, mean)
        })
        .collect();
    let last = losses.last().map_or(1.0, |(step, _)| *step).max(2.0);
    let top = losses.iter().map(|(_, loss)| *loss).fold(0.1, f64::max) * 1.05;
    svg(SIZE, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(44)
            .build_cartesian_2d(1.0..last, 0.0..top)?;
        let whole = |step: &f64| format!("{step:.0}");
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh().x_desc("step").y_desc("loss, nats a token").x_label_formatter(&whole);
        quiet(&mut mesh).draw()?;
        chart.draw_series(LineSeries::new(losses.iter().copied(), BAND))?;
        chart.draw_series(LineSeries::new(smooth.iter().copied(), LINE.stroke_width(2)))?;
        Ok(())
    })
}

/// How many tokens of each length there are.
pub(super) fn token_lengths(tokenizer: &TokenizerReport) -> String {
    let longest = tokenizer.lengths.keys().copied().max().unwrap_or(1).min(40);
    let mut bars: Vec<u64> = vec![0; longest as usize + 1];
    for (&length, &count) in &tokenizer.lengths {
        bars[length.min(longest) as usize] += count;
    }
    let top = bars.iter().copied().max().unwrap_or(1) as f64 * 1.05;
    svg(SIZE, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .build_cartesian_2d(0.5..f64::from(longest) + 0.5, 0.0..top)?;
        let whole = |value: &f64| format!("{value:.0}");
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh()
            .x_desc("length of the token in bytes")
            .y_desc("tokens")
            .x_label_formatter(&whole)
            .y_label_formatter(&whole);
        quiet(&mut mesh).draw()?;
        let bar = |(length, &count): (usize, &u64)| {
            Rectangle::new([(length as f64 - 0.4, 0.0), (length as f64 + 0.4, count as f64)], LINE.filled())
        };
        chart.draw_series(bars.iter().enumerate().skip(1).map(bar))?;
        Ok(())
    })
}

/// Labels and grid of a plot stay behind what it shows.
pub(super) fn quiet<'m, 'a, 'b, X: Ranged, Y: Ranged, B: DrawingBackend>(
    mesh: &'m mut MeshStyle<'a, 'b, X, Y, B>,
) -> &'m mut MeshStyle<'a, 'b, X, Y, B> {
    mesh.label_style(FONT.into_font().color(&INK))
        .axis_style(INK)
        .light_line_style(INK.mix(0.08))
        .bold_line_style(INK.mix(0.2))
}

/// Draws lines of a colour each, and their names in a corner.
pub(super) fn named_lines<'a, 's: 'a, X: Ranged<ValueType = f64>, Y: Ranged<ValueType = f64>>(
    chart: &mut ChartContext<'a, SVGBackend<'s>, Cartesian2d<X, Y>>,
    lines: impl IntoIterator<Item = (String, Vec<(f64, f64)>)>,
    corner: SeriesLabelPosition,
) -> Drawn {
    for ((name, line), colour) in lines.into_iter().zip(COLOURS.into_iter().cycle()) {
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(corner)
        .label_font(FONT.into_font().color(&INK))
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(())
}

pub(super) fn svg(
    size: (u32, u32),
    draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Drawn,
) -> String {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
    // Drawing into a string fails only for impossible ranges, and those above are never empty.
    let drawn = draw(&area).and_then(|()| area.present().map_err(Into::into));
    drop(area);
    match drawn {
        Ok(()) => text,
        Err(error) => format!("<p>no plot: {error}</p>"),
    }
}
