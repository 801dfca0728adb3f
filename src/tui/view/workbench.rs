//! The workbench: status, curves, pictures, values, keys.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::bars::footer;
use super::format::{duration, number};
use super::parts::{Sheet, frame_lines, labelled, put};
use super::{components, curves, inspector, profile};
use crate::paths::shown;
use crate::preset::{Preset, Setting};
use crate::protocol::{Finish, number_or_dash};
use crate::tui::actions::key;
use crate::tui::app::App;
use crate::tui::health;
use crate::tui::workbench::{Pane, Workbench};

/// Draws the screen.
pub fn render(app: &App, workbench: &Workbench, area: Rect, sheet: &mut Sheet) {
    if let Some(inspected) = &workbench.inspector {
        return inspector::render(app, workbench, inspected, area, sheet);
    }
    let [status, _, bottom] = lines(area);
    status_line(app, workbench, status, sheet.cells);
    for (which, area) in panes(area, workbench) {
        pane(app, workbench, which, area, sheet);
    }
    let buf = &mut *sheet.cells;
    value_line(app, workbench, Rect { height: 1.min(bottom.height), ..bottom }, buf);
    if bottom.height > 1 {
        footer(app, Rect { y: bottom.y + 1, height: 1, ..bottom }, buf);
    }
}

/// The areas of the status, the panes, and the values with the hints.
fn lines(area: Rect) -> [Rect; 3] {
    frame_lines(area, 1, if area.height > 4 { 2 } else { 1 })
}

/// The panes on a screen of this size.
pub fn panes(area: Rect, workbench: &Workbench) -> Vec<(Pane, Rect)> {
    let [_, body, _] = lines(area);
    if workbench.zoomed { vec![(workbench.focus, body)] } else { arrange(body, workbench) }
}

fn pane(app: &App, workbench: &Workbench, which: Pane, area: Rect, sheet: &mut Sheet) {
    if area.is_empty() {
        return;
    }
    let focused = workbench.focus == which;
    match which {
        Pane::Loss => curves::loss(app, workbench, focused, area, sheet.cells),
        Pane::Scores => match &workbench.profiles {
            Some(profiles) => profile::render(app, profiles, focused, area, sheet.cells),
            None => curves::scores(app, workbench, focused, area, sheet.cells),
        },
        Pane::Components => components::render(app, workbench, focused, area, sheet),
    }
}

/// Curves on the left, pictures on the right; if there is no room for both, only the pane with
/// the focus.
fn arrange(body: Rect, workbench: &Workbench) -> Vec<(Pane, Rect)> {
    // A model has no curves.
    if workbench.is_model() {
        return vec![(Pane::Components, body)];
    }
    if body.width < 60 || body.height < 12 {
        return vec![(workbench.focus, body)];
    }
    // Pictures get what five tiles and a border need at a cell a pixel, if that leaves room.
    let wide = workbench.preset.data.image().width as u16 * 5 + 6;
    let most = body.width * 64 / 100;
    let right = wide.clamp(body.width / 2, most.max(body.width / 2));
    let [left, right] = Layout::horizontal([Constraint::Min(0), Constraint::Length(right)]).areas(body);
    let [upper, lower] =
        Layout::vertical([Constraint::Percentage(55), Constraint::Percentage(45)]).areas(left);
    vec![(Pane::Loss, upper), (Pane::Scores, lower), (Pane::Components, right)]
}

fn status_line(app: &App, workbench: &Workbench, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    let (state, style) = match &workbench.finish {
        _ if app.starting => ("starting…".to_owned(), theme.warning()),
        _ if app.leaving.is_some() => ("saving…".to_owned(), theme.warning()),
        Some(Finish::Failed(_)) => ("✗ failed".to_owned(), theme.warning()),
        _ if workbench.is_model() => ("◆ trained model".to_owned(), theme.good()),
        Some(finish) => (format!("✓ {}", why(finish)), theme.good()),
        None if workbench.paused => ("‖ paused".to_owned(), theme.warning()),
        None => ("● training".to_owned(), theme.good()),
    };
    let epochs = workbench.epoch.map_or(0, |e| e.epoch) + u64::from(workbench.is_running());
    let name = workbench
        .info
        .directory
        .file_name()
        .map_or_else(|| workbench.preset.name.clone(), |name| shown(name).to_string());
    let mut spans = vec![
        Span::styled(" nem-tui  ", theme.accent()),
        Span::styled(name, theme.strong()),
        Span::styled(format!("  {}  seed {}  ", workbench.info.device, workbench.info.seed), theme.dim()),
        Span::styled(state, style),
        Span::styled(if app.attached { "  attached" } else { "" }, theme.dim()),
        Span::styled("  it ", theme.dim()),
        Span::styled(workbench.iteration().to_string(), theme.strong()),
    ];
    if !workbench.is_model() {
        spans.push(Span::styled("  epoch ", theme.dim()));
        spans.push(Span::styled(format!("{epochs}/{}", workbench.preset.most_epochs()), theme.strong()));
    }
    if let Some(speed) = workbench.speed() {
        spans.push(Span::styled(format!("  {} it/s", number(speed)), theme.dim()));
    }
    if let (Some(eta), true) = (workbench.eta(), workbench.is_running()) {
        spans.push(Span::styled(format!("  ETA {}", duration(eta)), theme.dim()));
    }
    let warnings = health::warnings(workbench).len();
    if warnings > 0 {
        spans.push(Span::styled(format!("  ! {warnings} ({})", key(app, "health")), theme.warning()));
    }
    if let Some(Finish::Failed(sentence)) = &workbench.finish {
        spans.push(Span::styled(format!("  {sentence}"), theme.warning()));
    }
    put(&Line::from(spans), area.x, area.y, area.width, buf);
}

fn why(finish: &Finish) -> &'static str {
    match finish {
        Finish::EarlyStop => "stopped early: no better validation loss",
        Finish::MaxEpochs => "all epochs done",
        Finish::MaxIterations => "all iterations done",
        Finish::Stopped => "stopped",
        Finish::Failed(_) => "failed",
    }
}

fn value_line(app: &App, workbench: &Workbench, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    let (wanted, preset) = (&workbench.wanted, &workbench.preset);
    let dial = |label: &'static str, text: fn(&Preset) -> String, probe: Setting| {
        // A value is marked until the worker has confirmed it.
        let mark = if probe.current(wanted) == probe.current(preset) { "" } else { "…" };
        labelled(label, format!("{}{mark}", text(wanted)), theme)
    };
    let mut spans = vec![Span::raw(" ")];
    spans.extend(dial("k ", |p| p.k.to_string(), Setting::K(0)));
    if preset.noise.probability().is_some() {
        let noise = |p: &Preset| p.noise.probability().map_or(String::new(), |p| format!("{p:.2}"));
        spans.extend(dial("  noise ", noise, Setting::Noise(0.0)));
    }
    if !workbench.is_model() {
        spans.extend(dial("  lr ", |p| format!("{:.0e}", p.train.learning_rate), Setting::LearningRate(0.0)));
    }
    if Setting::ESigma(0.0).current(preset).is_some() {
        let sigma = |p: &Preset| {
            Setting::ESigma(0.0).current(p).map_or(String::new(), |sigma| format!("{:.2}", sigma.value()))
        };
        spans.extend(dial("  sigma ", sigma, Setting::ESigma(0.0)));
    }
    spans.extend(dial("  steps ", |p| p.steps.to_string(), Setting::Steps(0)));
    spans.push(Span::styled("  │", theme.dim()));
    if let Some(latest) = &workbench.latest {
        spans.extend(labelled("  loss ", number(latest.loss), theme));
    }
    if let Some(epoch) = &workbench.epoch {
        spans.extend(labelled("  valid AMI ", number_or_dash(epoch.ami, 2), theme));
        spans.extend(labelled("  ARI ", number_or_dash(epoch.ari, 2), theme));
    } else if let Some(ami) = workbench.history.ami.last() {
        spans.extend(labelled("  AMI ", format!("{ami:.2}"), theme));
    }
    spans.extend(labelled("  floor ", number_or_dash(workbench.info.floor.ami, 2), theme));
    if !workbench.is_model() {
        if let Some(saved) = workbench.saved {
            spans.extend(labelled("  saved at ", saved.to_string(), theme));
        }
        spans.extend(dial("  inter ", |p| format!("{:.1}", p.loss.inter_weight), Setting::InterWeight(0.0)));
    }
    if preset.data.objects().is_some() {
        let objects = |p: &Preset| p.data.objects().map_or(String::new(), |n| n.to_string());
        spans.extend(dial("  objects ", objects, Setting::Objects(0)));
    }
    put(&Line::from(spans), area.x, area.y, area.width, buf);
}
