//! Loss and score curves.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use ratatui::widgets::canvas::{Canvas, Line as Stroke, Points};

use super::format::{duration, number};
use super::parts::{pane, put, title_style};
use crate::axis::{self, AxisRange};
use crate::preset::Preset;
use crate::protocol::{UNSCORABLE, number_or_dash};
use crate::tui::album::LookBack;
use crate::tui::app::App;
use crate::tui::curve_view::{LossPlot, ScorePlot, Unit};
use crate::tui::history::{Curve, History, thinned};
use crate::tui::theme::{Rgb, Series, Theme};
use crate::tui::width::width;
use crate::tui::workbench::Workbench;
use crate::tui::workbench::short_names;

/// Columns for the numbers on the left.
const GUTTER: u16 = 7;
/// The rows of a plot for each of which one may be taken by labels.
const ROWS_PER_LABEL: u16 = 5;

/// A curve with its name and colour.
struct Drawn<'a> {
    name: Cow<'static, str>,
    /// For where there is little room.
    short: Cow<'static, str>,
    curve: &'a Curve,
    colour: Rgb,
    /// Marks each point, since there are few of them.
    sparse: bool,
    /// Its run.
    of: Run<'a>,
}

/// Data for the units of the horizontal axis.
#[derive(Clone, Copy)]
struct Run<'a> {
    history: &'a History,
    /// Iterations in an epoch.
    epoch: f64,
}

impl<'a> Run<'a> {
    fn new(history: &'a History, preset: &Preset) -> Run<'a> {
        Run { history, epoch: preset.iterations_per_epoch().max(1) as f64 }
    }
}

/// A curve of a run.
type Of = fn(&History) -> &Curve;
/// A curve of the run on the screen: its name, a short one, data and colour, and whether it has few points.
type Own = (&'static str, &'static str, Of, Series, bool);

/// The content of a pane: its curves, the last in front.
struct Plot<'a> {
    title: &'static str,
    curves: Vec<Drawn<'a>>,
    /// The floor, if scores are shown.
    floor: Option<f64>,
    /// Whether the values are shares, on a scale from 0 to 1.
    shares: bool,
}

/// The loss pane.
pub fn loss(app: &App, workbench: &Workbench, focused: bool, area: Rect, buf: &mut Buffer) {
    use Series::{Inter, Intra, Train, Validation};
    let (title, own, main): (_, &[Own], Of) = match workbench.curves.losses {
        LossPlot::Loss => (
            "loss",
            &[
                ("inter", "inter", |h| &h.inter, Inter, false),
                ("intra", "intra", |h| &h.intra, Intra, false),
                ("valid", "valid", |h| &h.validation, Validation, true),
                ("train", "train", |h| &h.loss, Train, false),
            ],
            |h| if h.validation.last().is_some() { &h.validation } else { &h.loss },
        ),
        LossPlot::UpperBound => {
            ("upper bound", &[("valid", "valid", |h| &h.upper_bound, Validation, true)], |h| &h.upper_bound)
        }
        LossPlot::Gradient => {
            ("gradient norm", &[("train", "train", |h| &h.gradient, Train, false)], |h| &h.gradient)
        }
        LossPlot::Speed => ("speed", &[("it/s", "it/s", |h| &h.speed, Train, false)], |h| &h.speed),
    };
    let curves = drawn(app, workbench, own, main);
    render(app, workbench, &Plot { title, curves, floor: None, shares: false }, focused, area, buf);
}

/// The score pane, with the floor.
pub fn scores(app: &App, workbench: &Workbench, focused: bool, area: Rect, buf: &mut Buffer) {
    use Series::{Intra, Train, Validation};
    let floor = workbench.info.floor;
    let (title, own, main, floor): (_, &[Own], Of, _) = match workbench.curves.scores {
        ScorePlot::Ami => (
            "AMI",
            &[
                ("valid AMI (all steps)", "valid all", |h| &h.validation_ami_all_steps, Intra, true),
                ("train AMI (last step)", "train last", |h| &h.ami, Train, false),
                ("valid AMI (last step)", "valid last", |h| &h.validation_ami, Validation, true),
            ],
            |h| &h.validation_ami,
            floor.ami,
        ),
        ScorePlot::Ari => (
            "ARI",
            &[
                ("valid ARI (all steps)", "valid all", |h| &h.validation_ari_all_steps, Intra, true),
                ("train ARI (last step)", "train last", |h| &h.ari, Train, false),
                ("valid ARI (last step)", "valid last", |h| &h.validation_ari, Validation, true),
            ],
            |h| &h.validation_ari,
            floor.ari,
        ),
        ScorePlot::Confidence => {
            let own: &[Own] = &[("valid", "valid", |h| &h.confidence, Validation, true)];
            ("confidence", own, |h| &h.confidence, None)
        }
    };
    let curves = drawn(app, workbench, own, main);
    render(app, workbench, &Plot { title, curves, floor, shares: true }, focused, area, buf);
}

/// The run's own curves, and `main` of every compared run, behind them.
fn drawn<'a>(app: &App, workbench: &'a Workbench, own: &[Own], main: Of) -> Vec<Drawn<'a>> {
    let names = short_names(workbench.compared.iter().map(|run| run.directory.as_path()));
    let compared = workbench.compared.iter().zip(names).enumerate().map(|(i, (run, name))| Drawn {
        short: name.clone().into(),
        name: name.into(),
        curve: main(&run.history),
        colour: app.theme.compared(i),
        sparse: true,
        of: Run::new(&run.history, &run.preset),
    });
    let of = Run::new(&workbench.history, &workbench.preset);
    let own = own.iter().map(|(name, short, curve, series, sparse)| Drawn {
        name: (*name).into(),
        short: (*short).into(),
        curve: curve(&workbench.history),
        colour: app.theme.series(*series),
        sparse: *sparse,
        of,
    });
    compared.chain(own).collect()
}

/// The unit of the horizontal axis.
struct Axis<'a> {
    unit: Unit,
    own: Run<'a>,
}

impl Axis<'_> {
    /// The place of a run's iteration on the axis.
    fn place(&self, iteration: f64, of: Run) -> f64 {
        match self.unit {
            Unit::Iterations => iteration,
            Unit::Epochs => iteration / of.epoch,
            Unit::Time => of.history.seconds_at(iteration),
        }
    }

    /// The part of the axis that is shown: as zoomed, else all of every run. Runs whose epochs or iterations take longer
    /// reach farther.
    fn edges(&self, workbench: &Workbench) -> (f64, f64) {
        let (first, last) = workbench.span();
        let (from, to) = workbench.curves.window(first, last);
        let (from, to) = if workbench.curves.is_zoomed() {
            (self.place(from, self.own), self.place(to, self.own))
        } else {
            let compared = workbench.compared.iter().map(|run| Run::new(&run.history, &run.preset));
            let spans = std::iter::once(self.own).chain(compared).map(|run| {
                let (first, last) = run.history.span();
                (self.place(first, run), self.place(last, run))
            });
            spans.fold((f64::INFINITY, f64::NEG_INFINITY), |all, span| (all.0.min(span.0), all.1.max(span.1)))
        };
        if to > from { (from, to) } else { (from, from + 1.0) }
    }

    /// The iteration of the run on the screen, in this unit.
    fn label(&self, iteration: f64) -> String {
        self.written(self.place(iteration, self.own))
    }

    fn written(&self, place: f64) -> String {
        match self.unit {
            Unit::Iterations => format!("{place:.0}"),
            Unit::Epochs => format!("epoch {place:.1}"),
            Unit::Time => duration(place),
        }
    }
}

fn render(app: &App, workbench: &Workbench, plot: &Plot, focused: bool, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    let view = &workbench.curves;
    let Plot { curves, floor, .. } = plot;
    let floor = *floor;
    let (first, last) = workbench.span();
    let own = Run::new(&workbench.history, &workbench.preset);
    let axis = Axis { unit: view.unit, own };
    let cursor = view.cursor(first, last).filter(|_| focused);
    // A logarithm has no zero; scores have a scale of their own.
    let log = view.log && !plot.shares;
    let smoothing = view.smoothing();
    let mut title = plot.title.to_owned();
    title += if log { ", log" } else { "" };
    if smoothing > 0.0 {
        title += &format!(", smoothed {smoothing}");
    }
    let at = cursor.map(|at| (at, axis.label(at)));
    let legend = legend(plot, &title, at, focused, theme, usize::from(area.width.saturating_sub(2)));
    let inner = pane(legend, focused, theme, area, buf);
    if inner.width <= GUTTER + 4 || inner.height < 3 {
        return;
    }
    let shares = plot.shares;
    let plot = Rect::new(inner.x + GUTTER, inner.y, inner.width - GUTTER, inner.height - 1);
    let (from, to) = axis.edges(workbench);
    let changes: Vec<(f64, &str)> = workbench
        .history
        .changes
        .iter()
        .map(|(x, label)| (axis.place(*x, own), label.as_str()))
        .filter(|(x, _)| (from..=to).contains(x))
        .collect();
    let plot = labels(theme, &changes, (from, to), plot, buf);
    let scaled = |y: f64| if log { y.max(f64::MIN_POSITIVE).log10() } else { y };
    let columns = usize::from(plot.width) * 2;
    let raw = |drawn: &Drawn| {
        let points = drawn.curve.points().filter(|p| !log || p.1 > 0.0);
        thinned(points.map(|(x, y)| (axis.place(x, drawn.of), scaled(y))), from, to, columns)
    };
    let thin: Vec<Vec<(f64, f64)>> = curves.iter().map(raw).collect();
    let Some((low, high, clipped)) = range(&thin, shares) else {
        let waiting = match workbench.history.loss.last() {
            None => "waiting for the first iteration…",
            Some(_) if shares && !workbench.preset.is_scorable() => UNSCORABLE,
            Some(_) if shares => workbench.why_unscored().unwrap_or("no values here"),
            Some(_) => "no values here",
        };
        let waiting = Line::styled(waiting, theme.dim());
        put(&waiting, inner.x + 1, inner.y + inner.height / 2, inner.width, buf);
        return;
    };
    let ends = (axis.written(from), axis.written(to));
    let value = |y: f64| written(if log { 10f64.powf(y) } else { y }, shares);
    scale(theme, (low, high, clipped), &value, ends, inner, plot, buf);
    let smooth: Vec<Vec<(f64, f64)>> = thin.iter().map(|points| smoothed(points, smoothing)).collect();
    Canvas::default()
        .marker(Marker::Braille)
        .x_bounds([from, to])
        .y_bounds([low, high])
        .paint(|context| {
            let colour = |rgb| theme.ink_color(rgb).unwrap_or_default();
            let ink = |series| colour(theme.series(series));
            for (x, _) in &changes {
                context.draw(&Stroke::new(*x, low, *x, high, ink(Series::Floor)));
            }
            if let Some(floor) = floor {
                // Dashed, to tell it from a curve even without colours.
                let dash = (to - from) / 40.0;
                for i in (0..40).step_by(2) {
                    let x = from + f64::from(i) * dash;
                    context.draw(&Stroke::new(x, floor, x + dash, floor, ink(Series::Floor)));
                }
            }
            context.layer();
            let inside = |y: f64| y.clamp(low, high);
            for ((drawn, points), smooth) in curves.iter().zip(&thin).zip(&smooth) {
                if smoothing > 0.0 {
                    // Smoothing hides nothing: the measured points stay.
                    let inside: Vec<(f64, f64)> = points.iter().map(|p| (p.0, inside(p.1))).collect();
                    context.draw(&Points { coords: &inside, color: ink(Series::Floor) });
                }
                for pair in smooth.windows(2) {
                    context.draw(&Stroke::new(
                        pair[0].0,
                        inside(pair[0].1),
                        pair[1].0,
                        inside(pair[1].1),
                        colour(drawn.colour),
                    ));
                }
            }
            context.layer();
            for (drawn, points) in curves.iter().zip(&thin).filter(|(d, _)| d.sparse) {
                for (x, y) in points.iter().filter(|p| (low..=high).contains(&p.1)) {
                    context.print(*x, *y, Span::styled("•", theme.ink(drawn.colour)));
                }
            }
            if let Some(floor) = floor {
                context.print(from, floor, Span::styled(format!("floor {floor:.2}"), theme.dim()));
            }
            if let Some(cursor) = cursor {
                let x = axis.place(cursor, own);
                context.draw(&Stroke::new(x, low, x, high, ink(Series::Cursor)));
            }
            // The past moment on the screen.
            if let Some(moment) = workbench.album.as_ref().and_then(LookBack::moment) {
                let x = axis.place(moment as f64, own);
                context.draw(&Stroke::new(x, low, x, high, ink(Series::Cursor)));
                context.print(x, low, Span::styled("▲", theme.warning()));
            }
            // Without colours, a name at each curve's end says which it is.
            if theme.color([1.0; 3]).is_none() {
                // Each in its own row, as near as it gets.
                let height = i32::from(plot.height);
                let row = |y: f64| ((high - y) / (high - low) * f64::from(height - 1)).floor() as i32;
                let mut taken: Vec<i32> = floor.map(row).into_iter().collect();
                for (drawn, points) in curves.iter().zip(&thin).rev() {
                    let Some((x, y)) = points.last() else { continue };
                    let at = row(y.clamp(low, high));
                    let free = (0..height).filter(|row| !taken.contains(row));
                    let Some(free) = free.min_by_key(|row| (row - at).abs()) else { continue };
                    taken.push(free);
                    let back = (to - from) / f64::from(plot.width) * width(&drawn.short) as f64;
                    let below = (f64::from(free) + 0.01) / f64::from(height - 1).max(1.0);
                    let y = (high - below * (high - low)).max(low);
                    context.print((x - back).max(from), y, drawn.short.to_string());
                }
            }
        })
        .render(plot, buf);
}

/// A value; shares have two decimals, and no sign where they are 0.
fn written(value: f64, is_share: bool) -> String {
    match is_share {
        true => number_or_dash(Some(value), 2),
        false => number(value),
    }
}

/// Exponential means, in which the mean so far has this weight.
fn smoothed(points: &[(f64, f64)], weight: f64) -> Vec<(f64, f64)> {
    let mut mean: Option<f64> = None;
    let smooth = |&(x, y): &(f64, f64)| {
        let now = mean.map_or(y, |mean| weight * mean + (1.0 - weight) * y);
        mean = Some(now);
        (x, now)
    };
    points.iter().map(smooth).collect()
}

/// Draws the labels of changes in rows above the curves, as far as there is room, the latest first. Returns what is left
/// for the curves.
fn labels(
    theme: &Theme,
    changes: &[(f64, &str)],
    (from, to): (f64, f64),
    plot: Rect,
    buf: &mut Buffer,
) -> Rect {
    let columns = f64::from(plot.width);
    let column = |x: f64| ((x - from) / (to - from) * (columns - 1.0)).round();
    let places: Vec<_> = changes.iter().map(|(x, label)| (column(*x), width(label) as f64 + 1.0)).collect();
    // A space follows each label, but not the last one of a row.
    let most = usize::from(plot.height / ROWS_PER_LABEL).min(3);
    let placed = axis::rows(&places, columns + 1.0, most);
    let rows = placed.iter().flatten().map(|(row, _)| *row as u16 + 1).max().unwrap_or(0);
    for ((_, label), place) in changes.iter().zip(placed) {
        if let Some((row, at)) = place.filter(|(_, at)| *at >= 0.0) {
            let label = Line::styled((*label).to_owned(), theme.warning());
            put(&label, plot.x + at as u16, plot.y + row as u16, plot.width, buf);
        }
    }
    Rect { y: plot.y + rows, height: plot.height - rows, ..plot }
}

/// The title, the names of the curves, and their values: at the cursor if there is one, else the newest. Where that is
/// too long for `room` columns, names are short, then values are left out, then curves, which "…" stands for.
fn legend(
    plot: &Plot,
    title: &str,
    cursor: Option<(f64, String)>,
    focused: bool,
    theme: &Theme,
    room: usize,
) -> Line<'static> {
    let Plot { curves, floor, .. } = plot;
    let mut first = vec![Span::styled(format!(" {title} "), title_style(theme, focused))];
    if let Some((_, label)) = &cursor {
        first.push(Span::styled(format!("at {label} "), theme.warning()));
    }
    let entries = |long: bool, values: bool| {
        let of = |drawn: &Drawn| {
            let name = if long { &drawn.name } else { &drawn.short };
            let value = match &cursor {
                Some((at, _)) => drawn.curve.nearest(*at).map(|point| point.1),
                None => drawn.curve.last(),
            };
            let value =
                value.filter(|_| values).map_or(String::new(), |v| format!(" {}", written(v, plot.shares)));
            Span::styled(format!("─ {name}{value} "), theme.ink(drawn.colour))
        };
        let floor = floor.map(|floor| Span::styled(format!("┄ floor {floor:.2} "), theme.dim()));
        curves.iter().rev().map(of).chain(floor).collect::<Vec<_>>()
    };
    let length = |spans: &[Span]| spans.iter().map(|span| width(&span.content)).sum::<usize>();
    // What is read at the cursor comes before how the curves are drawn.
    if cursor.is_some() && length(&first) >= room {
        first[0] = Span::styled(format!(" {}… ", plot.title), title_style(theme, focused));
    }
    let room = room.saturating_sub(length(&first));
    let fitting = [(true, true), (false, true), (false, false)].into_iter();
    let mut fitting = fitting.map(|(long, values)| entries(long, values));
    let spans = fitting.find(|spans| length(spans) <= room).unwrap_or_else(|| {
        let mut spans = entries(false, true);
        if spans.first().is_some_and(|first| width(&first.content) >= room) {
            spans = entries(false, false);
        }
        while !spans.is_empty() && length(&spans) >= room {
            spans.pop();
        }
        spans.push(Span::styled("…", theme.dim()));
        spans
    });
    first.extend(spans);
    Line::from(first)
}

/// The values to show: each curve without the few extreme ones that would flatten it. True if something above is cut
/// off.
fn range(curves: &[Vec<(f64, f64)>], shares: bool) -> Option<(f64, f64, bool)> {
    let shown = curves.iter().filter_map(|points| axis::range(points.iter().map(|point| point.1)));
    let widest =
        |a: AxisRange, b: AxisRange| AxisRange { low: a.low.min(b.low), high: a.high.max(b.high), cut: 0 };
    let AxisRange { mut low, mut high, .. } = shown.reduce(widest)?;
    if shares {
        (low, high) = (low.min(0.0), 1.0);
    }
    let clipped = curves.iter().flatten().any(|point| point.1 > high);
    if high - low < 1e-9 {
        (low, high) = (low - 0.5, high + 0.5);
    }
    Some((low, high, clipped))
}

/// The numbers beside and below the plot.
fn scale(
    theme: &Theme,
    (low, high, clipped): (f64, f64, bool),
    value: &dyn Fn(f64) -> String,
    (from, to): (String, String),
    inner: Rect,
    plot: Rect,
    buf: &mut Buffer,
) {
    let style: Style = theme.dim();
    let top = if clipped { format!("{}↑", value(high)) } else { value(high) };
    let mut left = |text: String, y: u16| {
        put(
            &Line::styled(format!("{text:>width$}", width = usize::from(GUTTER) - 1), style),
            inner.x,
            y,
            GUTTER,
            buf,
        );
    };
    left(top, plot.y);
    if plot.height > 4 {
        left(value((low + high) / 2.0), plot.y + plot.height / 2);
    }
    left(value(low), plot.bottom() - 1);
    // The end counts more than the beginning.
    if width(&from) + width(&to) < usize::from(plot.width) {
        put(&Line::styled(from, style), plot.x, plot.bottom(), plot.width, buf);
    }
    let at = plot.right().saturating_sub(width(&to) as u16).max(plot.x);
    put(&Line::styled(to, style), at, plot.bottom(), plot.width, buf);
}
