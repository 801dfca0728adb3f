//! The curves of a run as a table, a diagram, and event files for TensorBoard.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use plotters::element::DashedPathElement;
use plotters::prelude::*;

use super::chart::{self, Area, COLOURS, Chart, Failure, SIZE};
use super::directory::{self, RunFile};
use super::{metrics, tensorboard};
use crate::axis::{self, AxisRange};
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::files::has_extension;
use crate::files::output;
use crate::preset::{Preset, Setting};
use crate::protocol::{Epoch, Iteration, Metrics, RunFailure, Timed};
use crate::stop::Stop;
use crate::train::evaluate;

/// The most points of a curve in the diagram, about as many as a screen has columns.
const POINTS: usize = 700;
/// The rows of labels above the curves, and the height of one in pixels.
const ROWS: usize = 3;
const ROW: u32 = 13;
/// The width in pixels of a letter of a label, and of what is beside the curves.
const LETTER: f64 = 6.0;
const SIDES: u32 = 88;

/// The name of a score, and how to get it from an epoch.
type Score = (&'static str, fn(&Epoch) -> Option<f64>);

/// The columns of the table, in order. AMI and ARI are those of the last step where the name does not say otherwise.
const COLUMNS: [&str; 19] = [
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
    "validation_ami_all_steps",
    "validation_ari_all_steps",
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
    let text = match is_table(file) {
        true => csv(&metrics, &preset),
        false => svg(&metrics, &floors(run, &metrics, &preset))?,
    };
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
        let _ = write!(text, ",{},{}", cell(best), cell(ended.map(|e| e.seconds)));
        let [ami, ari] = [ended.and_then(|e| e.ami_all_steps), ended.and_then(|e| e.ari_all_steps)];
        let _ = writeln!(text, ",{},{}", cell(ami), cell(ari));
    }
    text
}

/// A diagram of the losses over the iterations, and one of the scores below it, with `floors` from their iterations on.
/// Live changes, stages and a failure are marked above the curves.
///
/// # Errors
/// [`crate::error::Error::Figure`] if the drawing library fails.
pub fn svg(metrics: &Metrics, floors: &[(u64, Option<f64>)]) -> Result<String> {
    chart::draw((SIZE.0, 2 * SIZE.1), |area| {
        let (upper, lower) = area.split_vertically(SIZE.1 as i32);
        let failed = metrics.failure.as_ref().map_or(1, |failure| failure.iteration);
        let last = metrics.last_iteration().max(failed).max(1) as f64;
        let x = 0.0..last;
        let marks = marks(metrics, last);
        let rows = marks.iter().filter_map(|mark| mark.label).map(|(row, _)| row as u32 + 1);
        let head = ROW * rows.max().unwrap_or(0);

        let train = thinned(metrics.iterations.iter().map(|i| (i.iteration, i.loss)));
        let validation = metrics.epochs.iter().map(|e| (e.iteration as f64, e.validation_loss));
        let validation: Vec<_> = validation.filter(|(_, loss)| loss.is_finite()).collect();
        let losses = train.iter().chain(&validation).map(|(_, loss)| *loss);
        let shown = axis::range(losses).unwrap_or(AxisRange { low: 0.0, high: 1.0, cut: 0 });
        let margin = 0.05 * (shown.high - shown.low).max(1e-3);
        let y = shown.low - margin..shown.high + margin;
        let name = match shown.cut {
            0 => "loss".to_owned(),
            _ => format!("loss (cut off above {:.0})", y.end),
        };
        let inside =
            |points: Vec<(f64, f64)>| points.into_iter().map(|(x, loss)| (x, loss.min(y.end))).collect();
        let mut chart = chart::over(&upper, head, (x.clone(), "iteration"), (y.clone(), &name))?;
        draw_marks(&marks, &upper, &mut chart, &y)?;
        curve(&mut chart, "train", COLOURS[0], inside(train))?;
        curve(&mut chart, "validation", COLOURS[1], inside(validation))?;
        chart::legend(&mut chart, SeriesLabelPosition::UpperRight)?;

        let mut chart = chart::over(&lower, head, (x, "iteration"), (0.0..1.0, "score"))?;
        draw_marks(&marks, &lower, &mut chart, &(0.0..1.0))?;
        let ends = floors.iter().skip(1).map(|(from, _)| *from as f64).chain([last]);
        let levels = floors.iter().zip(ends);
        let levels = levels.filter_map(|((from, floor), end)| Some(((*from as f64, end), (*floor)?)));
        for (i, (place, floor)) in levels.enumerate() {
            dashes(&mut chart, if i == 0 { "floor of AMI" } else { "" }, place, floor)?;
        }
        let scored = metrics.iterations.iter().filter_map(|i| Some((i.iteration, i.ami?)));
        curve(&mut chart, "AMI (last step), train", COLOURS[0], thinned(scored))?;
        let scores: [Score; 4] = [
            ("AMI (last step), validation", |e| e.ami),
            ("AMI (all steps), validation", |e| e.ami_all_steps),
            ("ARI (last step), validation", |e| e.ari),
            ("confidence, validation", |e| e.confidence),
        ];
        for ((name, value), colour) in scores.into_iter().zip(&COLOURS[1..]) {
            let points = metrics.epochs.iter().filter_map(|e| Some((e.iteration as f64, value(e)?)));
            curve(&mut chart, name, *colour, points.collect())?;
        }
        chart::legend(&mut chart, SeriesLabelPosition::LowerRight)
    })
}

/// The floor (AMI) on the validation split of the run in `run`: its values, each with the iteration from which it holds;
/// `None` where nothing can be scored. Empty if the run's data cannot be read here.
pub fn floors(run: &Path, metrics: &Metrics, preset: &Preset) -> Vec<(u64, Option<f64>)> {
    let Ok(begun) = RunFile::read(run) else { return Vec::new() };
    let kinds = Setting::KINDS.into_iter().filter(Setting::moves_floor);
    let values: Vec<_> = kinds.map(|kind| metrics.values_of(kind, preset)).collect();
    let starts: BTreeSet<u64> = values.iter().flatten().map(|(from, _)| *from).collect();
    let samples = preset.train.validation_size;
    let floor = |start: u64| -> Result<Option<f64>> {
        let in_force = values.iter().filter_map(|list| list.iter().rfind(|(from, _)| *from <= start));
        let preset = in_force.fold(preset.clone(), |preset, (_, setting)| preset.with(*setting));
        let data = Dataset::new(&preset, begun.seed)?;
        Ok(evaluate::floor(&preset, &data, Split::Validation, samples, &Stop::default())?.ami)
    };
    starts.into_iter().map_while(|start| Some((start, floor(start).ok()?))).collect()
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

/// A stage, a live change or a failure.
struct Mark {
    iteration: f64,
    what: String,
    /// The row of its label above the curves, and where it begins, in iterations; `None` without room for it.
    label: Option<(usize, f64)>,
}

/// What happened in the run, with a place for each label on an axis that ends at `last`.
fn marks(metrics: &Metrics, last: f64) -> Vec<Mark> {
    let stages = metrics.stages.iter().map(|start| (start.iteration, format!("stage {}", start.stage)));
    let changes = metrics
        .changes
        .iter()
        .map(|change| (change.iteration, format!("{} {}", change.to.field(), change.to.value())));
    let failure = metrics.failure.iter().map(|failure| (failure.iteration, failure.label()));
    let mut all: Vec<_> = stages.chain(changes).chain(failure).collect();
    all.sort_by_key(|(iteration, _)| *iteration);
    let letter = LETTER * last / f64::from(SIZE.0 - SIDES);
    let places = all.iter().map(|(i, what)| (*i as f64, letter * (what.len() + 1) as f64));
    let rows = axis::rows(&places.collect::<Vec<_>>(), last, ROWS);
    let mark = |((iteration, what), label)| Mark { iteration: iteration as f64, what, label };
    all.into_iter().zip(rows).map(mark).collect()
}

/// Draws a line at every mark, and its label above the curves.
fn draw_marks(
    marks: &[Mark],
    area: &Area,
    chart: &mut Chart,
    y: &std::ops::Range<f64>,
) -> Result<(), Failure> {
    let (left, top) = area.get_base_pixel();
    for mark in marks {
        let line = vec![(mark.iteration, y.start), (mark.iteration, y.end)];
        chart.draw_series([PathElement::new(line, BLACK.mix(0.3))])?;
        if let Some((row, from)) = mark.label {
            let (x, above) = chart.backend_coord(&(from, y.end));
            let at = (x - left, above - top - (ROW * (row as u32 + 1)) as i32);
            let style = ("sans-serif", 11).into_font().color(&BLACK.mix(0.6));
            area.draw(&Text::new(mark.what.clone(), at, style))?;
        }
    }
    Ok(())
}

/// A dashed level between two iterations, to tell it from a curve even without colours.
fn dashes(chart: &mut Chart, name: &str, (from, end): (f64, f64), level: f64) -> Result<(), Failure> {
    let style = BLACK.mix(0.5).stroke_width(1);
    let drawn = chart.draw_series(DashedLineSeries::new([(from, level), (end, level)], 6, 4, style))?;
    if !name.is_empty() {
        drawn.label(name).legend(move |(x, y)| DashedPathElement::new([(x, y), (x + 20, y)], 6, 4, style));
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

/// Averages groups of neighbouring points, so that at most [`POINTS`] are left. Points that are not finite are left out.
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
