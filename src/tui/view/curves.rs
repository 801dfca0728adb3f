//! Loss and score curves.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use ratatui::widgets::canvas::{Canvas, Line as Stroke};

use super::super::app::{App, Workbench};
use super::super::history::Curve;
use super::super::theme::{Series, Theme};
use super::{pane, put, title_style};

/// Columns for the numbers on the left.
const GUTTER: u16 = 7;

/// A curve with its name and colour.
struct Drawn<'a> {
    name: &'static str,
    curve: &'a Curve,
    series: Series,
    /// Marks each point, since there are few of them.
    sparse: bool,
}

/// The loss pane.
pub fn loss(app: &App, workbench: &Workbench, focused: bool, area: Rect, buf: &mut Buffer) {
    let history = &workbench.history;
    let curves = [
        Drawn { name: "inter", curve: &history.inter, series: Series::Inter, sparse: false },
        Drawn { name: "intra", curve: &history.intra, series: Series::Intra, sparse: false },
        Drawn { name: "valid", curve: &history.validation, series: Series::Validation, sparse: true },
        Drawn { name: "train", curve: &history.loss, series: Series::Train, sparse: false },
    ];
    render(app, workbench, "loss", &curves, None, focused, area, buf);
}

/// The score pane, with the floor.
pub fn scores(app: &App, workbench: &Workbench, focused: bool, area: Rect, buf: &mut Buffer) {
    let history = &workbench.history;
    let curves = [
        Drawn { name: "ARI", curve: &history.ari, series: Series::Intra, sparse: false },
        Drawn { name: "valid AMI", curve: &history.validation_ami, series: Series::Validation, sparse: true },
        Drawn { name: "AMI", curve: &history.ami, series: Series::Train, sparse: false },
    ];
    let floor = workbench.info.floor.ami;
    render(app, workbench, "scores", &curves, Some(floor), focused, area, buf);
}

#[allow(clippy::too_many_arguments)] // one call site each, above
fn render(
    app: &App,
    workbench: &Workbench,
    title: &str,
    curves: &[Drawn],
    floor: Option<f64>,
    focused: bool,
    area: Rect,
    buf: &mut Buffer,
) {
    let theme = &app.theme;
    let inner = pane(legend(title, curves, floor, focused, theme), focused, theme, area, buf);
    if inner.width <= GUTTER + 4 || inner.height < 3 {
        return;
    }
    let plot = Rect::new(inner.x + GUTTER, inner.y, inner.width - GUTTER, inner.height - 1);
    let last = workbench.iteration().max(1) as f64;
    let first = curves.iter().filter_map(|c| c.curve.points().next()).map(|p| p.0).fold(last, f64::min);
    let (first, last) = (first.min(last - 1.0), last);
    let thin: Vec<Vec<(f64, f64)>> =
        curves.iter().map(|c| c.curve.thinned(first, last, usize::from(plot.width) * 2)).collect();
    let Some((low, high, clipped)) = range(&thin, floor) else {
        let waiting = Line::styled("the first iterations are being made…", theme.dim());
        put(&waiting, inner.x + 1, inner.y + inner.height / 2, inner.width, buf);
        return;
    };
    axis(theme, (low, high, clipped), (first, last), inner, plot, buf);
    Canvas::default()
        .marker(Marker::Braille)
        .x_bounds([first, last])
        .y_bounds([low, high])
        .paint(|context| {
            let ink = |series| theme.color(theme.series(series)).unwrap_or_default();
            for (x, _) in &workbench.history.changes {
                context.draw(&Stroke::new(*x, low, *x, high, ink(Series::Floor)));
            }
            if let Some(floor) = floor {
                // Dashed, so that it is no curve even without colours.
                let dash = (last - first) / 40.0;
                for i in (0..40).step_by(2) {
                    let x = first + f64::from(i) * dash;
                    context.draw(&Stroke::new(x, floor, x + dash, floor, ink(Series::Floor)));
                }
            }
            context.layer();
            for (drawn, points) in curves.iter().zip(&thin) {
                let inside = |y: f64| y.clamp(low, high);
                for pair in points.windows(2) {
                    let stroke = Stroke::new(
                        pair[0].0,
                        inside(pair[0].1),
                        pair[1].0,
                        inside(pair[1].1),
                        ink(drawn.series),
                    );
                    context.draw(&stroke);
                }
            }
            context.layer();
            for (drawn, points) in curves.iter().zip(&thin).filter(|(d, _)| d.sparse) {
                for (x, y) in points.iter().filter(|p| (low..=high).contains(&p.1)) {
                    context.print(*x, *y, Span::styled("•", theme.ink(theme.series(drawn.series))));
                }
            }
            // Labels take turns in three rows, since changes come in quick succession.
            let row = 1.001 * (high - low) / f64::from(plot.height - 1);
            for (i, (x, label)) in workbench.history.changes.iter().enumerate().rev().take(9) {
                let y = high - row * (i % 3) as f64;
                context.print(*x, y, Span::styled(label.clone(), theme.warning()));
            }
            if let Some(floor) = floor {
                context.print(first, floor, Span::styled(format!("floor {floor:.2}"), theme.dim()));
            }
            // Without colours, a name at each curve's end says which it is.
            if theme.color([1.0; 3]).is_none() {
                for (drawn, points) in curves.iter().zip(&thin) {
                    if let Some((x, y)) = points.last() {
                        let back = (last - first) / f64::from(plot.width) * drawn.name.len() as f64;
                        context.print((x - back).max(first), y.clamp(low, high), drawn.name);
                    }
                }
            }
        })
        .render(plot, buf);
}

fn legend(title: &str, curves: &[Drawn], floor: Option<f64>, focused: bool, theme: &Theme) -> Line<'static> {
    let mut spans = vec![Span::styled(format!(" {title} "), title_style(theme, focused))];
    for drawn in curves.iter().rev() {
        let value = drawn.curve.last().map_or(String::new(), |v| format!(" {}", number(v)));
        spans.push(Span::styled(format!("─ {}{value} ", drawn.name), theme.ink(theme.series(drawn.series))));
    }
    if let Some(floor) = floor {
        spans.push(Span::styled(format!("┄ floor {floor:.2} "), theme.dim()));
    }
    Line::from(spans)
}

/// The values to show: all but the few most extreme, so that a first huge loss does not flatten the
/// rest. True where something above is cut off.
fn range(curves: &[Vec<(f64, f64)>], floor: Option<f64>) -> Option<(f64, f64, bool)> {
    let mut values: Vec<f64> = curves.iter().flatten().map(|p| p.1).collect();
    if values.is_empty() {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let (least, most) = (values[0], values[values.len() - 1]);
    let typical = values[(values.len() - 1) * 97 / 100];
    let high = if most - least > 1.5 * (typical - least) && typical > least { typical } else { most };
    let (mut low, mut high) = (least, high);
    if floor.is_some() {
        // Scores have a scale of their own.
        (low, high) = (low.min(0.0), 1.0);
    }
    let clipped = high < most;
    if high - low < 1e-9 {
        (low, high) = (low - 0.5, high + 0.5);
    }
    Some((low, high, clipped))
}

fn axis(
    theme: &Theme,
    (low, high, clipped): (f64, f64, bool),
    (first, last): (f64, f64),
    inner: Rect,
    plot: Rect,
    buf: &mut Buffer,
) {
    let style: Style = theme.dim();
    let top = if clipped { format!("{}↑", number(high)) } else { number(high) };
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
        left(number((low + high) / 2.0), plot.y + plot.height / 2);
    }
    left(number(low), plot.bottom() - 1);
    let (from, to) = (format!("{first:.0}"), format!("{last:.0}"));
    put(&Line::styled(from, style), plot.x, plot.bottom(), plot.width, buf);
    let at = plot.right().saturating_sub(to.len() as u16).max(plot.x);
    put(&Line::styled(to, style), at, plot.bottom(), plot.width, buf);
}

/// A number in at most six characters.
pub fn number(value: f64) -> String {
    match value.abs() {
        v if !v.is_finite() => "?".into(),
        v if v >= 1e6 => format!("{value:.0e}"),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.001 || v == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.0e}"),
    }
}
