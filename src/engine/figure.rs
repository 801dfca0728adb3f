//! The paper's Fig. 6 as SVG, from the scores that are stored.

use std::collections::BTreeMap;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::experiments::{Cell, Measure, Part};
use super::results::Scored;
use crate::error::{Error, Result};
use crate::metrics::mean_and_deviation;

/// Width and height in pixels.
const SIZE: (u32, u32) = (720, 440);
/// Told apart by readers who see few colours (Okabe and Ito).
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];

/// A figure: its part, its caption, the name of its file, and the SVG.
pub struct Figure {
    /// Where it belongs.
    pub part: Part,
    /// What it shows.
    pub caption: &'static str,
    /// The name of its file.
    pub file: &'static str,
    /// The picture.
    pub svg: String,
}

/// What can be drawn of `scored`.
///
/// # Errors
/// [`Error::Figure`], where the drawing library refuses.
pub fn figures(scored: &[Scored]) -> Result<Vec<Figure>> {
    let drawn = [
        bounds(scored)?.map(|svg| Figure {
            part: Part::Figure6,
            caption: "Upper bound of the next-step loss over the number of objects, with one component and with one for each object",
            file: "figure6-bounds.svg",
            svg,
        }),
        per_step(scored, Part::Figure6)?.map(|svg| Figure {
            part: Part::Figure6,
            caption: "AMI at every EM step, with quartiles, on sequences longer than trained",
            file: "figure6-steps.svg",
            svg,
        }),
        per_step(scored, Part::Mnist)?.map(|svg| Figure {
            part: Part::Mnist,
            caption: "AMI at every EM step, with quartiles, on sequences longer than trained",
            file: "mnist-steps.svg",
            svg,
        }),
    ];
    Ok(drawn.into_iter().flatten().collect())
}

/// What a curve is called: unfinished runs say that they are.
fn label(name: &str, scored: &[&Scored]) -> String {
    let mark = if scored.iter().all(|s| s.training.finished) { "" } else { " (unfinished)" };
    format!("{name}{mark}")
}

fn of<'a>(scored: &'a [Scored], cell: &Cell) -> Vec<&'a Scored> {
    scored.iter().filter(|s| s.training.preset == cell.preset && s.test == cell.test.name).collect()
}

/// The bounds of the seeds by the number of objects, and the runs they are of.
#[derive(Default)]
struct Curve<'a> {
    runs: Vec<&'a Scored>,
    bounds: BTreeMap<usize, Vec<f64>>,
}

/// The upper bound over the number of objects: K = 1 and K = objects. `None` where nothing is stored.
fn bounds(scored: &[Scored]) -> Result<Option<String>> {
    let mut curves = [Curve::default(), Curve::default()];
    for cell in Part::Figure6.cells().filter(|cell| cell.measure == Measure::UpperBound) {
        for one in of(scored, cell) {
            let Some(objects) = one.report.objects else { continue };
            let curve = &mut curves[usize::from(one.report.k > 1)];
            curve.runs.push(one);
            curve.bounds.entry(objects).or_default().push(one.report.upper_bound);
        }
    }
    let all: Vec<f64> = curves.iter().flat_map(|curve| curve.bounds.values().flatten().copied()).collect();
    if all.is_empty() {
        return Ok(None);
    }
    let (low, high) = (all.iter().copied().fold(f64::MAX, f64::min), all.iter().copied().fold(0.0, f64::max));
    let margin = 0.1 * (high - low).max(1.0);
    draw(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(2.7f64..5.3, low - margin..high + margin)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(6)
            .x_label_formatter(&|x| if x.fract() == 0.0 { format!("{x}") } else { String::new() })
            .x_desc("objects")
            .y_desc("upper bound of the next-step loss, nats a sequence")
            .draw()?;
        for (i, curve) in curves.iter().enumerate().filter(|(_, curve)| !curve.runs.is_empty()) {
            let colour = COLOURS[i];
            let points: Vec<(f64, f64, f64)> = curve
                .bounds
                .iter()
                .map(|(objects, bounds)| {
                    let (mean, deviation) = mean_and_deviation(bounds);
                    (*objects as f64, mean, deviation)
                })
                .collect();
            let line = points.iter().map(|(x, mean, _)| (*x, *mean));
            chart
                .draw_series(LineSeries::new(line.clone(), colour.stroke_width(2)))?
                .label(label(["K 1", "K = objects"][i], &curve.runs))
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], colour.stroke_width(2)));
            chart.draw_series(line.map(|point| Circle::new(point, 4, colour.filled())))?;
            chart.draw_series(points.iter().map(|(x, mean, deviation)| {
                PathElement::new(vec![(*x, mean - deviation), (*x, mean + deviation)], colour.stroke_width(1))
            }))?;
        }
        legend(&mut chart)
    })
    .map(Some)
}

/// AMI step by step where sequences are longer than trained, with a band from the lower to the upper
/// quartile. `None` where nothing is stored.
fn per_step(scored: &[Scored], part: Part) -> Result<Option<String>> {
    let curves: Vec<(&Cell, Vec<&Scored>)> = part
        .cells()
        .filter(|cell| cell.test.name == "steps50")
        .map(|cell| (cell, of(scored, cell)))
        .filter(|(_, runs)| !runs.is_empty())
        .collect();
    let Some(steps) = curves.iter().flat_map(|(_, runs)| runs).map(|s| s.report.steps).max() else {
        return Ok(None);
    };
    draw(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(1.0..steps as f64, 0.0..1.0f64)?;
        chart.configure_mesh().x_desc("EM step").y_desc("AMI (max)").light_line_style(WHITE).draw()?;
        for (i, (cell, runs)) in curves.iter().enumerate() {
            let colour = COLOURS[i % COLOURS.len()];
            // The mean over the seeds of a step's AMI and quartiles.
            let at = |t: usize, value: fn(&super::evaluate::Step) -> f64| {
                mean_and_deviation(
                    &runs.iter().filter_map(|s| s.report.per_step.get(t)).map(value).collect::<Vec<_>>(),
                )
                .0
            };
            let line = |value: fn(&super::evaluate::Step) -> f64| {
                (0..steps).map(move |t| ((t + 1) as f64, at(t, value))).collect::<Vec<_>>()
            };
            let mut band = line(|step| step.quartiles.lower);
            band.extend(line(|step| step.quartiles.upper).into_iter().rev());
            chart.draw_series([Polygon::new(band, colour.mix(0.15).filled())])?;
            chart
                .draw_series(LineSeries::new(line(|step| step.ami), colour.stroke_width(2)))?
                .label(label(cell.row, runs))
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], colour.stroke_width(2)));
        }
        legend(&mut chart)
    })
    .map(Some)
}

/// What drawing may fail of.
type Failure = Box<dyn std::error::Error>;
/// A canvas.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw(on: impl FnOnce(&Area) -> Result<(), Failure>) -> Result<String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    area.fill(&WHITE)
        .map_err(Failure::from)
        .and_then(|()| on(&area))
        .and_then(|()| area.present().map_err(Failure::from))
        .map_err(|e| Error::Figure(e.to_string()))?;
    drop(area);
    Ok(svg)
}

fn legend<'a, X: Ranged, Y: Ranged>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
) -> Result<(), Failure> {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
