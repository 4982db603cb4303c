//! How far back models learn, as a picture: the norm of the gradient by distance.

use plotters::prelude::*;

use super::plots::{named_lines, quiet, svg};

const SIZE: (u32, u32) = (720, 320);

/// The norms of each model by distance, counted from 1, on a scale of powers of ten, as an SVG; norms of 0 are left out.
#[must_use]
pub fn gradient_by_distance(models: &[(String, Vec<f64>)]) -> String {
    let points = |norms: &[f64]| -> Vec<(f64, f64)> {
        let above = norms.iter().enumerate().filter(|(_, norm)| **norm > 0.0 && norm.is_finite());
        above.map(|(at, norm)| (at as f64 + 1.0, norm.log10())).collect()
    };
    let lines: Vec<(String, Vec<(f64, f64)>)> =
        models.iter().map(|(name, norms)| (name.clone(), points(norms))).collect();
    let all = || lines.iter().flat_map(|(_, points)| points);
    let last = all().map(|(distance, _)| *distance).fold(2.0, f64::max);
    let low = all().map(|(_, power)| *power).fold(0.0, f64::min).floor() - 0.5;
    let high = all().map(|(_, power)| *power).fold(0.0, f64::max).ceil() + 0.5;
    svg(SIZE, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .build_cartesian_2d(1.0..last, low..high)?;
        let (whole, power) = (|at: &f64| format!("{at:.0}"), |power: &f64| format!("1e{power:.0}"));
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh().x_desc("tokens back").y_desc("norm of the gradient");
        mesh.x_label_formatter(&whole).y_label_formatter(&power);
        quiet(&mut mesh).draw()?;
        named_lines(&mut chart, lines, SeriesLabelPosition::LowerLeft)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_norms_give_a_picture() {
        for norms in [&[1.0, 0.1, 1e-9, 0.0][..], &[2.0], &[], &[f64::NAN, f64::INFINITY]] {
            let picture = gradient_by_distance(&[("a<b".to_owned(), norms.to_vec())]);
            assert!(picture.contains("<svg") && picture.contains("tokens back"), "{picture}");
            assert!(!picture.contains("a<b"), "a name is text");
        }
        assert!(gradient_by_distance(&[]).contains("<svg"));
    }

    #[test]
    fn each_model_has_its_line() {
        // Three norms are above 0, so the line has three points; the second model has another colour.
        let models = [("rnn".to_owned(), vec![1.0, 0.1, 1e-9, 0.0]), ("lstm".to_owned(), vec![1.0, 0.5])];
        let picture = gradient_by_distance(&models);
        let points = |colour: &str| -> Vec<usize> {
            let lines = picture.split("<polyline").filter(|part| part.contains(colour));
            let points = lines.filter_map(|part| part.split("points=\"").nth(1)?.split('"').next());
            points.map(|points| points.split_whitespace().count()).collect()
        };
        assert!(points("#0072B2").contains(&3), "{picture}");
        assert!(points("#E69F00").contains(&2), "{picture}");
        assert!(picture.contains("rnn") && picture.contains("lstm"));
    }
}
