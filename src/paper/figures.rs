//! The paper's Fig. 6 as SVG, from stored scores, and learning curves, from the epochs of archived runs. In the paper's
//! figures finished and unfinished runs have separate curves; those of unfinished runs are dashed and labelled.

use std::collections::BTreeMap;

use plotters::element::DashedPathElement;
use plotters::prelude::*;

use super::archived::ArchivedRun;
use super::experiments::{Experiment, Measure, Section};
use super::runs::ScoredRun;
use crate::error::Result;
use crate::run::chart::{self, COLOURS, Chart, SIZE};
use crate::scores::mean_and_deviation;
use crate::train::evaluate::StepScores;

/// The score that the figures are about.
const AMI: &str = "AMI (max)";

/// A figure of the document.
pub struct Figure {
    /// Its section.
    pub section: Section,
    /// What it shows.
    pub caption: &'static str,
    /// The name of its file.
    pub file: &'static str,
    /// The picture.
    pub svg: String,
}

/// The figures that can be drawn from `scored` and the epochs of `archived`.
///
/// # Errors
/// [`crate::error::Error::Figure`] if the drawing library fails.
pub fn figures(scored: &[ScoredRun], archived: &[ArchivedRun]) -> Result<Vec<Figure>> {
    let learning = |section, file| -> Result<Option<Figure>> {
        let caption = "Validation AMI (last step) over the hours of training";
        Ok(learning(archived, section)?.map(|svg| Figure { section, caption, file, svg }))
    };
    let drawn = [
        learning(Section::Static, "static-learning.svg")?,
        learning(Section::Table1, "table1-learning.svg")?,
        learning(Section::Faster, "faster-learning.svg")?,
        learning(Section::Mnist, "mnist-learning.svg")?,
        bounds(scored)?.map(|svg| Figure {
            section: Section::Figure6,
            caption: "Upper bound of the next-step loss over the number of objects, with one component and with one for each object, after the iterations in the table",
            file: "figure6-bounds.svg",
            svg,
        }),
        per_step(scored, Section::Figure6)?.map(|svg| Figure {
            section: Section::Figure6,
            caption: "AMI at every EM step, with quartiles, on sequences longer than trained",
            file: "figure6-steps.svg",
            svg,
        }),
        per_step(scored, Section::Mnist)?.map(|svg| Figure {
            section: Section::Mnist,
            caption: "AMI at every EM step, with quartiles, on sequences longer than trained",
            file: "mnist-steps.svg",
            svg,
        }),
    ];
    Ok(drawn.into_iter().flatten().collect())
}

fn of<'a>(scored: &'a [ScoredRun], experiment: &Experiment) -> Vec<&'a ScoredRun> {
    let (preset, test) = (experiment.preset, experiment.test.name);
    scored.iter().filter(|s| s.training.preset == preset && s.test == test).collect()
}

/// The runs that a curve is the mean of: all finished or none, on real digits or on synthetic ones.
struct MeanCurve<'a> {
    name: &'static str,
    colour: RGBColor,
    finished: bool,
    runs: Vec<&'a ScoredRun>,
}

impl<'a> MeanCurve<'a> {
    /// The curves of `runs`, one for each kind of run.
    fn of(name: &'static str, colour: RGBColor, runs: Vec<&'a ScoredRun>) -> Vec<MeanCurve<'a>> {
        let curve = |kind: (bool, bool)| {
            let is_one = |run: &&&ScoredRun| (run.training.is_complete(), run.report.synthetic) == kind;
            MeanCurve { name, colour, finished: kind.0, runs: runs.iter().filter(is_one).copied().collect() }
        };
        let kinds = [(true, false), (false, false), (true, true), (false, true)];
        kinds.into_iter().map(curve).filter(|curve| !curve.runs.is_empty()).collect()
    }

    /// Its name, and whether its runs are unfinished or saw synthetic digits.
    fn label(&self) -> String {
        let unfinished = if self.finished { "" } else { " (unfinished)" };
        let synthetic = self.runs.iter().any(|s| s.report.synthetic);
        format!("{}{unfinished}{}", self.name, if synthetic { " (synthetic digits)" } else { "" })
    }

    /// Draws it through `points`, dashed for unfinished runs.
    fn draw<'c>(&self, chart: &mut Chart<'c>, points: Vec<(f64, f64)>) -> Result<(), chart::Failure> {
        let style = self.colour.stroke_width(2);
        let (dash, gap) = if self.finished { (20, 0) } else { (5, 4) };
        let series = if self.finished {
            chart.draw_series(LineSeries::new(points, style))?
        } else {
            chart.draw_series(DashedLineSeries::new(points, dash, gap, style))?
        };
        series
            .label(self.label())
            .legend(move |(x, y)| DashedPathElement::new([(x, y), (x + 20, y)], dash, gap, style));
        Ok(())
    }

    /// The number of objects, and the mean and deviation of the upper bound over the runs.
    fn bounds(&self) -> Vec<(f64, f64, f64)> {
        let mut bounds: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for report in self.runs.iter().map(|s| &s.report) {
            bounds.entry(report.objects.unwrap_or(0)).or_default().extend(Measure::UpperBound.of(report));
        }
        let point = |(objects, bounds): (usize, Vec<f64>)| {
            let (mean, deviation) = mean_and_deviation(&bounds);
            Some((objects as f64, mean?, deviation.unwrap_or(0.0)))
        };
        bounds.into_iter().filter_map(point).collect()
    }

    /// The mean of a value over the runs that have it, step by step.
    fn steps(&self, value: fn(&StepScores) -> Option<f64>) -> Vec<(f64, f64)> {
        let steps = self.runs.iter().map(|s| s.report.per_step.len()).max().unwrap_or(0);
        let at = |t: usize| {
            let values: Vec<f64> =
                self.runs.iter().filter_map(|s| s.report.per_step.get(t)).filter_map(value).collect();
            Some(((t + 1) as f64, mean_and_deviation(&values).0?))
        };
        (0..steps).filter_map(at).collect()
    }
}

/// The upper bound over the number of objects: K = 1 and K = objects. `None` without scores.
fn bounds(scored: &[ScoredRun]) -> Result<Option<String>> {
    let mut kinds = [("K 1", Vec::new()), ("K = objects", Vec::new())];
    for bound in Section::Figure6.experiments().filter(|of| of.measure == Measure::UpperBound) {
        for one in of(scored, bound).into_iter().filter(|one| one.report.objects.is_some()) {
            kinds[usize::from(one.report.k > 1)].1.push(one);
        }
    }
    let coloured = kinds.into_iter().zip(COLOURS);
    let curves: Vec<MeanCurve> =
        coloured.flat_map(|((name, runs), colour)| MeanCurve::of(name, colour, runs)).collect();
    let all = curves.iter().flat_map(|curve| &curve.runs).filter_map(|s| Measure::UpperBound.of(&s.report));
    let (low, high) = all.fold((f64::MAX, 0.0f64), |(low, high), bound| (low.min(bound), high.max(bound)));
    if low == f64::MAX {
        return Ok(None);
    }
    let margin = 0.1 * (high - low).max(1.0);
    chart::draw(SIZE, |area| {
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
        for curve in &curves {
            let (colour, points) = (curve.colour, curve.bounds());
            let line: Vec<_> = points.iter().map(|(x, mean, _)| (*x, *mean)).collect();
            curve.draw(&mut chart, line.clone())?;
            chart.draw_series(line.into_iter().map(|point| Circle::new(point, 4, colour.filled())))?;
            chart.draw_series(points.iter().map(|(x, mean, deviation)| {
                PathElement::new(vec![(*x, mean - deviation), (*x, mean + deviation)], colour.stroke_width(1))
            }))?;
        }
        chart::legend(&mut chart, SeriesLabelPosition::LowerRight)
    })
    .map(Some)
}

/// AMI step by step where sequences are longer than trained, with a band from the lower to the upper
/// quartile. `None` without scores.
fn per_step(scored: &[ScoredRun], section: Section) -> Result<Option<String>> {
    let longer = section.experiments().filter(|experiment| experiment.test.name == "steps50");
    let curves: Vec<MeanCurve> = longer
        .zip(COLOURS.iter().cycle())
        .flat_map(|(experiment, colour)| MeanCurve::of(experiment.title, *colour, of(scored, experiment)))
        .collect();
    let Some(steps) = curves.iter().flat_map(|curve| &curve.runs).map(|s| s.report.steps).max() else {
        return Ok(None);
    };
    chart::draw(SIZE, |area| {
        let mut chart = chart::scores(area, 1.0..steps as f64, "EM step", AMI)?;
        for curve in &curves {
            let mut band = curve.steps(|step| Some(step.quartiles?.lower));
            band.extend(curve.steps(|step| Some(step.quartiles?.upper)).into_iter().rev());
            chart.draw_series([Polygon::new(band, curve.colour.mix(0.15).filled())])?;
            curve.draw(&mut chart, curve.steps(|step| step.ami))?;
        }
        chart::legend(&mut chart, SeriesLabelPosition::LowerRight)
    })
    .map(Some)
}

/// AMI over time, a line for each run of `section`; `None` without runs.
fn learning(archived: &[ArchivedRun], section: Section) -> Result<Option<String>> {
    let runs = archived.iter().filter(|run| run.section() == Some(section));
    // Runs of one component have no AMI.
    let lines: Vec<_> =
        runs.map(|run| (run, run.ami_by_hours())).filter(|(_, line)| !line.is_empty()).collect();
    let ends = lines.iter().filter_map(|(_, line)| line.last());
    let hours = ends.fold(0.0f64, |most, (hours, _)| most.max(*hours));
    if lines.is_empty() {
        return Ok(None);
    }
    chart::draw(SIZE, |area| {
        let mut chart = chart::scores(area, 0.0..hours.max(0.01), "hours", "AMI (last step)")?;
        for ((run, line), colour) in lines.into_iter().zip(COLOURS.iter().cycle()) {
            let style = colour.stroke_width(2);
            chart
                .draw_series(LineSeries::new(line, style))?
                .label(format!("{}{}", run.name, if run.synthetic { " (synthetic digits)" } else { "" }))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
        }
        chart::legend(&mut chart, SeriesLabelPosition::LowerRight)
    })
    .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::runs::tests::scored;

    /// A run of flying-shapes-3 under the test `steps50`, or as it was trained.
    fn run(seed: u64, finished: bool, ami: f64, bound: f64) -> [ScoredRun; 2] {
        ["steps50", "as-trained"].map(|test| {
            let mut run = scored("flying-shapes-3", seed, test, finished);
            run.report.objects = Some(3);
            run.report.upper_bound = bound;
            run.report.steps = run.report.per_step.len();
            run.report.per_step.iter_mut().for_each(|step| step.ami = Some(ami));
            run
        })
    }

    #[test]
    fn finished_and_unfinished_runs_are_never_averaged() {
        let runs: Vec<ScoredRun> =
            [run(1, true, 0.8, 100.0), run(2, true, 0.9, 120.0), run(3, false, 0.2, 400.0)].concat();
        let longer = runs.iter().filter(|run| run.test == "steps50").collect();
        let curves = MeanCurve::of("c", BLACK, longer);
        assert_eq!(curves.iter().map(MeanCurve::label).collect::<Vec<_>>(), ["c", "c (unfinished)"]);
        for (curve, ami, bound) in [(&curves[0], 0.85, 110.0), (&curves[1], 0.2, 400.0)] {
            assert!(curve.steps(|step| step.ami).iter().all(|(_, value)| (value - ami).abs() < 1e-12));
            let [(objects, mean, _)] = curve.bounds()[..] else { panic!("three objects only") };
            assert_eq!((objects, mean), (3.0, bound));
        }
        for figure in figures(&runs, &[]).unwrap() {
            let named = |name: &str| figure.svg.lines().any(|line| line.trim() == name);
            let name = if figure.file == "figure6-bounds.svg" {
                "K = objects"
            } else {
                "3 objects K 3, sequences of 50 steps"
            };
            assert!(named(name) && named(&format!("{name} (unfinished)")), "{}", figure.file);
        }
    }

    #[test]
    fn only_unfinished_runs_are_dashed() {
        let strokes = |finished| {
            let svg = figures(&run(1, finished, 0.5, 100.0)[..1], &[]).unwrap().remove(0).svg;
            let colour = "stroke=\"#0072B2\"";
            svg.lines().filter(|line| line.contains("<polyline") && line.contains(colour)).count()
        };
        // One for the curve and one in the legend; a dash is a line of its own.
        assert_eq!(strokes(true), 2);
        assert!(strokes(false) > 10, "{}", strokes(false));
    }

    #[test]
    fn curves_on_synthetic_digits_say_so() {
        let mut run = scored("flying-mnist-2", 1, "steps50", true);
        run.report.synthetic = true;
        let figure = figures(&[run], &[]).unwrap().remove(0);
        assert!(figure.svg.contains("direct, sequences of 50 steps (synthetic digits)"), "{}", figure.svg);
    }
}
