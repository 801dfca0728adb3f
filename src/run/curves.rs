//! The curves of a run as a table, a diagram, and event files for TensorBoard.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use plotters::prelude::*;

use super::chart::{self, COLOURS, Chart, Failure, SIZE};
use super::directory::{self, RunFile};
use super::{metrics, tensorboard};
use crate::error::{Error, Result};
use crate::files::has_extension;
use crate::files::output;
use crate::preset::Preset;
use crate::protocol::{Epoch, Iteration, Metrics, RunFailure, Timed};

/// The most points of a curve in the diagram, about as many as a screen has columns.
const POINTS: usize = 700;

/// The name of a score, and how to get it from an epoch.
type Score = (&'static str, fn(&Epoch) -> Option<f64>);

/// The columns of the table, in order.
const COLUMNS: [&str; 17] = [
    "iteration",
    "epoch",
    "learning_rate",
    "loss",
    "intra",
    "inter",
    "ami",
    "ari",
    "seconds",
    "epoch_loss",
    "validation_loss",
    "validation_ami",
    "validation_ami_arithmetic",
    "validation_ari",
    "validation_confidence",
    "best",
    "epoch_seconds",
];

fn is_table(file: &Path) -> bool {
    has_extension(file, "csv")
}

/// Reads the metrics of the run in `run`, and the preset it began with.
///
/// # Errors
/// A directory that is not a run, is damaged, or has no metrics.
pub fn read(run: &Path) -> Result<(Metrics, Preset)> {
    RunFile::read(run)?;
    let preset = directory::preset(run)?;
    let metrics = if metrics::exist(run) { metrics::read(run)? } else { Metrics::default() };
    if metrics.iterations.is_empty() && metrics.epochs.is_empty() && metrics.failure.is_none() {
        return Err(Error::content(
            run,
            "this run has no metrics because it has not been trained yet; resume it with train --resume",
        ));
    }
    Ok((metrics, preset))
}

/// Writes the curves of the run in `run`: a table if the file's name ends in .csv, else a diagram.
///
/// # Errors
/// What [`read`] and [`svg`] refuse, and a place that cannot be written.
pub fn save(run: &Path, file: &Path) -> Result<()> {
    let (metrics, preset) = read(run)?;
    let text = if is_table(file) { csv(&metrics, &preset) } else { svg(&metrics)? };
    output::write(file, text.as_bytes())
}

/// Comma-separated values with a header and a row for each iteration. The columns from `epoch_loss` on describe the
/// epoch that ended with the iteration, if one did. A cell is empty if its value was not measured, or nothing could be
/// scored; a loss that broke is NaN or inf. `preset` is the one the run began with.
pub fn csv(metrics: &Metrics, preset: &Preset) -> String {
    let rates = metrics.learning_rates(preset);
    let mut text = COLUMNS.join(",") + "\n";
    for (iteration, row) in rows(metrics) {
        let done = row.iteration;
        let ended = row.epoch;
        let failed = row.failure;
        let epoch = done.map(|d| d.epoch).or(ended.map(|e| e.epoch)).or(failed.map(|f| f.epoch));
        // Writing to a string cannot fail.
        let _ = write!(text, "{iteration},{}", cell(epoch));
        let _ = write!(text, ",{}", rate_at(&rates, iteration));
        for value in [
            done.map(|d| d.loss).or(failed.and_then(RunFailure::train_loss)),
            done.map(|d| d.intra),
            done.map(|d| d.inter),
            done.and_then(|d| d.ami),
            done.and_then(|d| d.ari),
            done.map(|d| d.seconds),
            ended.map(|e| e.train_loss),
            ended.map(|e| e.validation_loss).or(failed.and_then(RunFailure::validation_loss)),
            ended.and_then(|e| e.ami),
            ended.and_then(|e| e.ami_arithmetic),
            ended.and_then(|e| e.ari),
            ended.and_then(|e| e.confidence),
        ] {
            let _ = write!(text, ",{}", cell(value));
        }
        let best = ended.map(|e| u8::from(e.best));
        let _ = writeln!(text, ",{},{}", cell(best), cell(ended.map(|e| e.seconds)));
    }
    text
}

/// A diagram of the losses over the iterations, and one of the scores below it; live changes, stages and a failure are
/// marked.
///
/// # Errors
/// [`crate::error::Error::Figure`] if the drawing library fails.
pub fn svg(metrics: &Metrics) -> Result<String> {
    chart::draw((SIZE.0, 2 * SIZE.1), |area| {
        let (upper, lower) = area.split_vertically(SIZE.1 as i32);
        let failed = metrics.failure.as_ref().map_or(1, |failure| failure.iteration);
        let x = 0.0..metrics.last_iteration().max(failed).max(1) as f64;
        let train = thinned(metrics.iterations.iter().map(|i| (i.iteration, i.loss)));
        let validation = metrics.epochs.iter().map(|e| (e.iteration as f64, e.validation_loss));
        let validation: Vec<_> = validation.filter(|(_, loss)| loss.is_finite()).collect();
        let losses = || train.iter().chain(&validation).map(|(_, loss)| *loss);
        let (low, high) = match losses().next() {
            Some(one) => (losses().fold(one, f64::min), losses().fold(one, f64::max)),
            None => (0.0, 1.0),
        };
        let margin = 0.05 * (high - low).max(1e-3);
        let y = low - margin..high + margin;
        let mut chart = chart::over(&upper, (x.clone(), "iteration"), (y.clone(), "loss"))?;
        mark(metrics, &mut chart, &y)?;
        curve(&mut chart, "train", COLOURS[0], train)?;
        curve(&mut chart, "validation", COLOURS[1], validation)?;
        chart::legend(&mut chart, SeriesLabelPosition::UpperRight)?;
        let mut chart = chart::scores(&lower, x, "iteration", "score of the last EM step")?;
        mark(metrics, &mut chart, &(0.0..1.0))?;
        let scored = metrics.iterations.iter().filter_map(|i| Some((i.iteration, i.ami?)));
        curve(&mut chart, "AMI (max), train", COLOURS[0], thinned(scored))?;
        let scores: [Score; 3] = [
            ("AMI (max), validation", |e| e.ami),
            ("ARI, validation", |e| e.ari),
            ("confidence, validation", |e| e.confidence),
        ];
        for ((name, value), colour) in scores.into_iter().zip(&COLOURS[1..]) {
            let points = metrics.epochs.iter().filter_map(|e| Some((e.iteration as f64, value(e)?)));
            curve(&mut chart, name, *colour, points.collect())?;
        }
        chart::legend(&mut chart, SeriesLabelPosition::LowerRight)
    })
}

/// The bytes of an event file for TensorBoard, for a run that began with `preset` at `began` since 1970.
pub fn events(metrics: &Metrics, preset: &Preset, began: Duration) -> Vec<u8> {
    let rates = metrics.learning_rates(preset);
    let mut bytes = tensorboard::beginning(began, 1);
    for (clock, timed) in metrics.timeline() {
        let at = began + Duration::try_from_secs_f64(clock.seconds).unwrap_or_default();
        bytes.extend(match timed {
            Timed::Iteration(done) => tensorboard::iteration(at, done, rate_at(&rates, done.iteration)),
            Timed::Epoch(ended) => tensorboard::epoch(at, ended),
        });
    }
    if let Some(failure) = &metrics.failure {
        let ended = metrics.timeline().last().map_or(0.0, |(clock, _)| clock.seconds);
        let at = began + Duration::try_from_secs_f64(ended).unwrap_or_default();
        bytes.extend(tensorboard::failure(at, failure));
    }
    bytes
}

/// The learning rate of an iteration.
fn rate_at(rates: &[(u64, f64)], iteration: u64) -> f64 {
    rates.iter().rfind(|(from, _)| *from <= iteration).map_or(f64::NAN, |(_, rate)| *rate)
}

fn rows(metrics: &Metrics) -> BTreeMap<u64, Row<'_>> {
    let mut rows: BTreeMap<u64, Row> = BTreeMap::new();
    for iteration in &metrics.iterations {
        rows.entry(iteration.iteration).or_default().iteration = Some(iteration);
    }
    for epoch in &metrics.epochs {
        rows.entry(epoch.iteration).or_default().epoch = Some(epoch);
    }
    if let Some(failure) = metrics.failure.as_ref().filter(|failure| failure.loss.is_some()) {
        rows.entry(failure.iteration).or_default().failure = Some(failure);
    }
    rows
}

/// Draws a labelled line at every stage and live change.
fn mark(metrics: &Metrics, chart: &mut Chart, y: &std::ops::Range<f64>) -> Result<(), Failure> {
    let stages = metrics.stages.iter().map(|start| (start.iteration, format!("stage {}", start.stage)));
    let changes = metrics
        .changes
        .iter()
        .map(|change| (change.iteration, format!("{} {}", change.to.field(), change.to.value())));
    let failure = metrics.failure.iter().map(|failure| (failure.iteration, failure.label()));
    for (iteration, what) in stages.chain(changes).chain(failure) {
        let x = iteration as f64;
        let line = vec![(x, y.start), (x, y.end)];
        chart.draw_series([PathElement::new(line, BLACK.mix(0.3))])?;
        let style = ("sans-serif", 11).into_font().transform(FontTransform::Rotate90).color(&BLACK.mix(0.6));
        chart.draw_series([Text::new(what, (x, y.end), style)])?;
    }
    Ok(())
}

/// What was recorded at an iteration.
#[derive(Clone, Copy, Default)]
struct Row<'a> {
    iteration: Option<&'a Iteration>,
    epoch: Option<&'a Epoch>,
    failure: Option<&'a RunFailure>,
}

fn cell(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// Averages groups of neighbouring points, so that at most [`POINTS`] are left, without those that are no number.
fn thinned(points: impl Iterator<Item = (u64, f64)>) -> Vec<(f64, f64)> {
    let points: Vec<(f64, f64)> = points.filter(|(_, y)| y.is_finite()).map(|(x, y)| (x as f64, y)).collect();
    let mean = |some: &[(f64, f64)]| {
        let (x, y) = some.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (x / some.len() as f64, y / some.len() as f64)
    };
    points.chunks(points.len().div_ceil(POINTS).max(1)).map(mean).collect()
}

fn curve(chart: &mut Chart, name: &str, colour: RGBColor, points: Vec<(f64, f64)>) -> Result<(), Failure> {
    if points.is_empty() {
        return Ok(());
    }
    let style = colour.stroke_width(2);
    // A line through a single point would be invisible.
    if let [point] = points[..] {
        chart.draw_series([Circle::new(point, 3, colour.filled())])?;
    }
    chart
        .draw_series(LineSeries::new(points, style))?
        .label(name)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    Ok(())
}
