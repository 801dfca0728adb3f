//! The workbench: status, curves, pictures, values, keys.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::Span;

use super::bars::{footer, room};
use super::fields::{Fields, labelled};
use super::format::{duration, number, rate, speed};
use super::parts::{Sheet, frame_lines, put};
use super::{components, curves, inspector, profile};
use crate::paths::shown;
use crate::preset::{Preset, Setting};
use crate::protocol::{Finish, number_or_dash};
use crate::tui::actions::key;
use crate::tui::app::App;
use crate::tui::health;
use crate::tui::workbench::{Pane, Workbench};

/// Curves need no more columns than these, if pictures need the others.
const CURVES: u16 = 54;

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
    // Pictures get what three rows of five tiles and a border need at whole cells a pixel, if that leaves room for the
    // curves.
    let (image, most) =
        (workbench.preset.data.image(), (body.width * 64 / 100).max(body.width.saturating_sub(CURVES)));
    let wide = |times: usize| image.width * times * 5 + 6;
    let fits = |times: &usize| {
        let high = 3 * ((image.height * times).div_ceil(2) + 1) + 2;
        wide(*times) <= most.into() && high <= body.height.into()
    };
    let times = (1..=usize::from(most)).take_while(fits).last().unwrap_or(1);
    let wide = wide(times).min(most.into()) as u16;
    let right = wide.clamp(body.width / 2, most.max(body.width / 2));
    let [left, right] = Layout::horizontal([Constraint::Min(0), Constraint::Length(right)]).areas(body);
    let [upper, lower] =
        Layout::vertical([Constraint::Percentage(55), Constraint::Percentage(45)]).areas(left);
    vec![(Pane::Loss, upper), (Pane::Scores, lower), (Pane::Components, right)]
}

fn status_line(app: &App, workbench: &Workbench, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    let (dim, strong) = (theme.dim(), theme.strong());
    let name = workbench
        .info
        .directory
        .file_name()
        .map_or_else(|| workbench.preset.name.clone(), |name| shown(name).to_string());
    let mut fields = Fields::new("  ");
    fields.put(1, "nem-tui", theme.accent());
    fields.text(8, name, 20, strong);
    fields.put(3, workbench.info.device.as_str(), dim);
    fields.add(2, [labelled("seed", workbench.info.seed.to_string(), dim, dim)]);
    let (forms, style) = state(app, workbench);
    fields.add(12, forms.map(|form| vec![Span::styled(form, style)]));
    if let Some(Finish::Failed(sentence)) = &workbench.finish {
        fields.text(11, sentence.as_str(), 20, theme.warning());
    }
    let warnings = health::warnings(workbench).len();
    if warnings > 0 {
        let warnings = format!("{warnings} {}", if warnings == 1 { "warning" } else { "warnings" });
        let with_key = format!("{warnings} ({})", key(app, "health"));
        fields.add(10, [with_key, warnings].map(|form| vec![Span::styled(form, theme.warning())]));
    }
    if app.attached {
        fields.put(4, "attached", dim);
    }
    let iteration = |label| labelled(label, workbench.iteration().to_string(), dim, strong);
    fields.add(9, [iteration("iteration"), iteration("it")]);
    if !workbench.is_model() {
        let epochs = workbench.epoch.map_or(0, |e| e.epoch) + u64::from(workbench.is_running());
        let epochs = format!("{epochs}/{}", workbench.preset.most_epochs());
        fields.add(7, [labelled("epoch", epochs, dim, strong)]);
    }
    if let Some(stage) = workbench.stage() {
        // What a stage trains on counts more than the program's name.
        let short = match area.width >= 100 {
            true => stage.to_string(),
            false => format!("stage {}/{}", stage.number, stage.count),
        };
        fields.add(7, [stage.to_string(), short].map(|form| vec![Span::styled(form, strong)]));
    }
    if let Some(per_second) = workbench.speed() {
        fields.add(5, speed(per_second).map(|form| vec![Span::styled(form, dim)]));
    }
    if let (Some(eta), true) = (workbench.eta(), workbench.is_running()) {
        fields.add(6, [labelled("ETA", duration(eta), dim, dim)]);
    }
    put(&fields.line(room(area)), area.x + 1, area.y, area.width.saturating_sub(1), buf);
}

/// What the run is doing, in words and in short.
fn state(app: &App, workbench: &Workbench) -> ([&'static str; 2], Style) {
    let theme = &app.theme;
    let (warning, good) = (theme.warning(), theme.good());
    match &workbench.finish {
        _ if app.starting => (["starting…"; 2], warning),
        _ if app.leaving.is_some() => (["saving…"; 2], warning),
        _ if workbench.is_model() => (["◆ trained model", "◆ model"], good),
        None if workbench.paused => (["‖ paused"; 2], warning),
        None => (["● training"; 2], good),
        Some(Finish::Failed(_)) => (["✗ failed"; 2], warning),
        Some(Finish::EarlyStop) => (["✓ stopped early: no better validation loss", "✓ stopped early"], good),
        Some(Finish::MaxEpochs) => (["✓ all epochs done", "✓ done"], good),
        Some(Finish::MaxIterations) => (["✓ all iterations done", "✓ done"], good),
        Some(Finish::Stopped) => (["✓ stopped"; 2], good),
    }
}

fn value_line(app: &App, workbench: &Workbench, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    let (dim, strong) = (theme.dim(), theme.strong());
    let mut fields = Fields::new("  ");
    let mut dial = |worth, labels: [&'static str; 2], setting: Setting, text: &dyn Fn(f64) -> String| {
        let value = |preset: &Preset| setting.current(preset).map(|setting| text(setting.value()));
        let Some(now) = value(&workbench.preset) else { return };
        // Whoever changes a value wants to see it.
        let is_latest = workbench.undo.last().is_some_and(|latest| latest.field() == setting.field());
        let worth = if is_latest { 13 } else { worth };
        // What is asked for stands beside what is in force until the run has confirmed it.
        let value = match value(&workbench.wanted).filter(|wanted| *wanted != now) {
            Some(wanted) => format!("{now}→{wanted}"),
            None => now,
        };
        fields.add(worth, labels.map(|label| labelled(label, value.clone(), dim, strong)));
    };
    let whole = |value: f64| value.to_string();
    dial(9, ["K"; 2], Setting::K(0), &whole);
    dial(7, ["noise"; 2], Setting::Noise(0.0), &|value| format!("{value:.2}"));
    if !workbench.is_model() {
        dial(8, ["learning rate", "lr"], Setting::LearningRate(0.0), &rate);
    }
    dial(6, ["sigma"; 2], Setting::ESigma(0.0), &|value| format!("{value:.2}"));
    dial(8, ["EM steps", "steps"], Setting::Steps(0), &whole);
    dial(5, ["objects"; 2], Setting::Objects(0), &whole);
    if !workbench.is_model() {
        dial(3, ["inter-cluster weight", "inter"], Setting::InterWeight(0.0), &|value| format!("{value:.1}"));
    }
    let mut score = |worth, labels: [&'static str; 3], value: String| {
        fields.add(worth, labels.map(|label| labelled(label, value.clone(), dim, strong)));
    };
    if let Some(latest) = &workbench.latest {
        score(11, ["loss"; 3], number(latest.loss));
    }
    if let Some(epoch) = &workbench.epoch {
        let ami = number_or_dash(epoch.ami, 2);
        score(12, ["validation AMI (last step)", "AMI (last step)", "valid AMI"], ami);
        score(4, ["ARI"; 3], number_or_dash(epoch.ari, 2));
    } else if let Some(ami) = workbench.history.ami.last() {
        score(12, ["training AMI (last step)", "AMI (last step)", "AMI"], number_or_dash(Some(ami), 2));
    }
    score(10, ["floor"; 3], number_or_dash(workbench.info.floor.ami, 2));
    if let (Some(saved), false) = (workbench.saved, workbench.is_model()) {
        score(2, ["last checkpoint at", "saved at", "saved at"], saved.to_string());
    }
    put(&fields.line(room(area)), area.x + 1, area.y, area.width.saturating_sub(1), buf);
}
