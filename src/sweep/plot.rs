//! Diagrams of a sweep: a score over one or two fields, and learning curves with the quartiles over seeds.

use plotters::prelude::*;

use super::plan::Plan;
use super::state::{State, TrialState};
use super::table::{Measure, Row, Table, split};
use crate::error::{Error, Result};
use crate::protocol::Epoch;
use crate::run::chart::{self, COLOURS, Chart, SIZE};
use crate::run::metrics;
use crate::scores::Quartiles;

/// Values over a wider range than this are drawn on a logarithmic axis.
const WIDE: f64 = 50.0;
/// More positions than these are not joined by a line.
const JOINED: usize = 12;

/// The values of a field on an axis.
struct Axis {
    name: String,
    /// The values as text, in the order of the axis.
    values: Vec<String>,
    /// Where they are.
    places: Vec<f64>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Numbers,
    Logarithms,
    Words,
}

impl Axis {
    fn of(table: &Table, field: &str) -> Axis {
        let mut values: Vec<String> = Vec::new();
        for value in table.rows.iter().filter_map(|row| value_of(row, field)) {
            if !values.iter().any(|known| known == value) {
                values.push(value.to_owned());
            }
        }
        let numbers: Option<Vec<f64>> = values.iter().map(|value| value.parse().ok()).collect();
        let finite = numbers.filter(|all| all.iter().all(|number: &f64| number.is_finite()));
        let (places, kind) = match finite {
            Some(mut numbers) => {
                let mut both: Vec<_> = numbers.drain(..).zip(values.drain(..)).collect();
                both.sort_by(|(a, _), (b, _)| a.total_cmp(b));
                let (low, high) = (both.first().map_or(0.0, |v| v.0), both.last().map_or(0.0, |v| v.0));
                let is_wide = low > 0.0 && high / low > WIDE;
                (numbers, values) = both.into_iter().unzip();
                match is_wide {
                    true => (numbers.iter().map(|number| number.log10()).collect(), Kind::Logarithms),
                    false => (numbers, Kind::Numbers),
                }
            }
            None => ((0..values.len()).map(|i| i as f64).collect(), Kind::Words),
        };
        Axis { name: field.to_owned(), values, places, kind }
    }

    fn place(&self, row: &Row) -> Option<f64> {
        let value = value_of(row, &self.name)?;
        let at = self.values.iter().position(|known| known == value)?;
        self.places.get(at).copied()
    }

    /// Its range, with some room at both ends.
    fn range(&self) -> std::ops::Range<f64> {
        let (low, high) = (self.places.first().copied(), self.places.last().copied());
        let (low, high) = (low.unwrap_or(0.0), high.unwrap_or(1.0));
        let room = if high > low { 0.06 * (high - low) } else { 0.5 };
        low - room..high + room
    }

    fn label(&self, at: f64) -> String {
        match self.kind {
            // Between whole numbers there is nothing.
            Kind::Numbers if at.fract() != 0.0 && self.places.iter().all(|place| place.fract() == 0.0) => {
                String::new()
            }
            Kind::Numbers => format!("{:.4}", at).trim_end_matches('0').trim_end_matches('.').to_owned(),
            Kind::Logarithms => format!("{:.1e}", 10f64.powf(at)),
            Kind::Words if at.fract() == 0.0 && at >= 0.0 => {
                self.values.get(at as usize).cloned().unwrap_or_default()
            }
            Kind::Words => String::new(),
        }
    }
}

fn value_of<'a>(row: &'a Row, field: &str) -> Option<&'a str> {
    row.set.iter().map(|set| split(set)).find(|(name, _)| *name == field).map(|(_, value)| value)
}

/// The fields that vary, in their order.
fn fields(table: &Table) -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    for (field, _) in table.rows.iter().flat_map(|row| row.set.iter().map(|set| split(set))) {
        if !fields.iter().any(|known| known == field) {
            fields.push(field.to_owned());
        }
    }
    fields
}

/// A field that the user has named.
fn known(fields: &[String], name: &str, option: &str) -> Result<String> {
    let found = fields.iter().find(|field| *field == name).cloned();
    found.ok_or_else(|| {
        Error::Usage(format!("{option} {name}: this sweep varies {}; name one of them", fields.join(", ")))
    })
}

/// The mean of a measure with its deviation over `x`, a curve for each value of `series`. Without names, the first field
/// that varies is `x`, and the second is `series` if it has few values.
///
/// # Errors
/// A field that does not vary; a sweep of which nothing has ended; [`Error::Figure`].
pub fn scores(table: &Table, measure: Measure, x: Option<&str>, series: Option<&str>) -> Result<String> {
    let fields = fields(table);
    let x = match (x, fields.first()) {
        (Some(x), _) => known(&fields, x, "--x")?,
        (None, Some(first)) => first.clone(),
        (None, None) => {
            return Err(Error::Usage(
                "only seeds vary in this sweep; draw its learning curves with --curves".into(),
            ));
        }
    };
    let x = Axis::of(table, &x);
    let series = match series {
        Some(series) => Some(Axis::of(table, &known(&fields, series, "--series")?)),
        None => {
            let other = fields.iter().find(|field| **field != x.name);
            other.map(|other| Axis::of(table, other)).filter(|other| other.values.len() <= COLOURS.len())
        }
    };
    let scored = |row: &&Row| row.measure(measure).mean.is_some();
    let rows: Vec<&Row> = table.rows.iter().filter(scored).collect();
    let ends = rows.iter().flat_map(|row| {
        let of = row.measure(measure);
        let (mean, deviation) = (of.mean.unwrap_or(0.0), of.deviation.unwrap_or(0.0));
        [mean - deviation, mean + deviation]
    });
    let y = range(ends, measure).ok_or_else(nothing)?;
    chart::draw(SIZE, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(x.range(), y)?;
        let label = |at: &f64| x.label(*at);
        let mut mesh = chart.configure_mesh();
        if x.kind == Kind::Words {
            mesh.x_labels(2 * x.values.len() + 1);
        }
        mesh.x_label_formatter(&label)
            .x_desc(&x.name)
            .y_desc(measure.name())
            .light_line_style(WHITE)
            .draw()?;
        let one = Vec::from([String::new()]);
        let values = series.as_ref().map_or(&one, |series| &series.values);
        for (value, colour) in values.iter().zip(COLOURS.iter().cycle()) {
            let of_series = |row: &&&Row| match &series {
                Some(series) => value_of(row, &series.name) == Some(value.as_str()),
                None => true,
            };
            let mut points: Vec<(f64, f64, f64)> = rows
                .iter()
                .filter(of_series)
                .filter_map(|row| {
                    let of = row.measure(measure);
                    Some((x.place(row)?, of.mean?, of.deviation.unwrap_or(0.0)))
                })
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            if x.values.len() <= JOINED {
                let joined = points.chunk_by(|a, b| a.0 == b.0).map(|same| {
                    (same[0].0, same.iter().map(|point| point.1).sum::<f64>() / same.len() as f64)
                });
                chart.draw_series(LineSeries::new(joined, colour.stroke_width(2)))?;
            }
            chart.draw_series(points.iter().map(|(x, mean, deviation)| {
                PathElement::new([(*x, mean - deviation), (*x, mean + deviation)], colour.stroke_width(1))
            }))?;
            let drawn = chart.draw_series(
                points.iter().map(|(x, mean, _)| Circle::new((*x, *mean), 4, colour.filled())),
            )?;
            if let Some(series) = &series {
                let colour = *colour;
                drawn
                    .label(format!("{} {value}", series.name))
                    .legend(move |(x, y)| Circle::new((x + 10, y), 4, colour.filled()));
            }
        }
        if series.is_some() { chart::legend(&mut chart, SeriesLabelPosition::UpperRight) } else { Ok(()) }
    })
}

/// The validation's measure over the iterations, for each combination: the median over its seeds, with a band from the
/// lower to the upper quartile. Of many combinations the best are drawn.
///
/// # Errors
/// Metrics that cannot be read; a sweep of which nothing was validated; [`Error::Figure`].
pub fn curves(plan: &Plan, states: &[TrialState], table: &Table, measure: Measure) -> Result<String> {
    let begun: Vec<_> = plan.trials.iter().zip(states).filter(|(_, of)| of.state != State::Waiting).collect();
    let sign = if measure == Measure::Loss { 1.0 } else { -1.0 };
    let rank = |row: &Row| row.measure(measure).mean.map_or(f64::INFINITY, |mean| sign * mean);
    let mut rows: Vec<&Row> = table.rows.iter().collect();
    rows.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
    let left_out = rows.len().saturating_sub(COLOURS.len());
    rows.truncate(COLOURS.len());
    let mut lines: Vec<(String, Vec<(f64, Quartiles)>)> = Vec::new();
    for row in rows {
        let mut seeds: Vec<Vec<Epoch>> = Vec::new();
        for (trial, _) in begun.iter().filter(|(trial, _)| trial.set == row.set) {
            seeds.extend(metrics::epochs(&plan.run(trial)));
        }
        let longest = seeds.iter().map(Vec::len).max().unwrap_or(0);
        let at = |i: usize| {
            let epochs: Vec<&Epoch> = seeds.iter().filter_map(|epochs| epochs.get(i)).collect();
            let values = epochs.iter().filter_map(|epoch| value(epoch, measure)).collect();
            Some((epochs.first()?.iteration as f64, Quartiles::of(values)?))
        };
        let name = if row.set.is_empty() { "all".into() } else { row.set.join(" ") };
        lines.push((name, (0..longest).filter_map(at).collect()));
    }
    let points = || lines.iter().flat_map(|(_, line)| line);
    let y = range(points().flat_map(|(_, of)| [of.lower, of.upper]), measure).ok_or_else(nothing)?;
    let most = points().map(|(x, _)| *x).fold(1.0, f64::max);
    chart::draw(SIZE, |area| {
        let desc = match left_out {
            0 => "iteration".to_owned(),
            more => format!("iteration (without the {more} other combinations)"),
        };
        let mut chart = chart::over(area, 0, (0.0..most, &desc), (y, measure.name()))?;
        for ((name, line), colour) in lines.iter().zip(COLOURS.iter().cycle()) {
            curve(&mut chart, name, line, *colour)?;
        }
        let corner = match measure {
            Measure::Loss => SeriesLabelPosition::UpperRight,
            Measure::Ami | Measure::Ari => SeriesLabelPosition::LowerRight,
        };
        chart::legend(&mut chart, corner)
    })
}

fn curve(
    chart: &mut Chart,
    name: &str,
    line: &[(f64, Quartiles)],
    colour: RGBColor,
) -> Result<(), chart::Failure> {
    if line.is_empty() {
        return Ok(());
    }
    let mut band: Vec<(f64, f64)> = line.iter().map(|(x, of)| (*x, of.lower)).collect();
    band.extend(line.iter().rev().map(|(x, of)| (*x, of.upper)));
    chart.draw_series([Polygon::new(band, colour.mix(0.15).filled())])?;
    let median: Vec<(f64, f64)> = line.iter().map(|(x, of)| (*x, of.median)).collect();
    if let [point] = median[..] {
        chart.draw_series([Circle::new(point, 3, colour.filled())])?;
    }
    let style = colour.stroke_width(2);
    chart
        .draw_series(LineSeries::new(median, style))?
        .label(name)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    Ok(())
}

fn value(epoch: &Epoch, measure: Measure) -> Option<f64> {
    let value = match measure {
        Measure::Loss => Some(epoch.validation_loss),
        Measure::Ami => epoch.ami,
        Measure::Ari => epoch.ari,
    };
    value.filter(|value| value.is_finite())
}

/// The range of an axis of values: that of a score is from 0 to 1.
fn range(values: impl Iterator<Item = f64>, measure: Measure) -> Option<std::ops::Range<f64>> {
    let (low, high) =
        values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return None;
    }
    Some(match measure {
        Measure::Ami | Measure::Ari => low.min(0.0)..1.0,
        Measure::Loss => {
            let room = 0.05 * (high - low).max(1e-3 * high.abs()).max(1e-6);
            low - room..high + room
        }
    })
}

fn nothing() -> Error {
    Error::Usage(
        "there is nothing to draw yet: no trial has this score; sweep status shows how far they are".into(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::sweep;
    use super::*;

    #[test]
    fn a_score_is_drawn_over_one_field_or_two() {
        let (trials, states) = sweep(&[(3, Some(2.0)), (4, Some(3.0)), (3, Some(4.0)), (4, None)]);
        let table = Table::new(&trials, &states, Measure::Loss);
        let svg = scores(&table, Measure::Loss, None, None).unwrap();
        let named = |svg: &str, text: &str| svg.lines().any(|line| line.trim() == text);
        assert!(named(&svg, "k") && named(&svg, "validation loss"), "{svg}");
        assert!(named(&svg, "noise Bitflip(probability: 0.1, x|y)"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 3);
        let svg = scores(&table, Measure::Ami, Some("noise"), Some("k")).unwrap();
        assert!(
            named(&svg, "k 3") && named(&svg, "k 4") && named(&svg, "Bitflip(probability: 0.1, x|y)"),
            "{svg}"
        );
        let told = scores(&table, Measure::Loss, Some("kk"), None).unwrap_err().to_string();
        assert_eq!(told, "--x kk: this sweep varies k, noise; name one of them");
        let told = scores(&table, Measure::Ari, None, None).unwrap_err().to_string();
        assert!(told.contains("nothing to draw yet"), "{told}");
    }

    #[test]
    fn values_far_apart_have_a_logarithmic_axis() {
        let (mut trials, states) = sweep(&[(3, Some(2.0)), (4, Some(3.0)), (5, Some(4.0))]);
        for (trial, rate) in trials.iter_mut().zip(["0.01", "1e-4", "0.001"]) {
            trial.set = vec![format!("train.learning_rate={rate}")];
        }
        let table = Table::new(&trials, &states, Measure::Loss);
        let axis = Axis::of(&table, "train.learning_rate");
        assert_eq!(
            (axis.values, axis.places),
            (["1e-4", "0.001", "0.01"].map(String::from).to_vec(), vec![-4.0, -3.0, -2.0])
        );
        let svg = scores(&table, Measure::Loss, None, None).unwrap();
        assert!(svg.contains("1.0e-3"), "{svg}");
    }
}
