//! The picker: models, presets and runs, with details of the chosen one.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Paragraph, Widget, Wrap};

use super::bars::footer;
use super::fields::Fields;
use super::format::number;
use super::parts::{Sheet, frame_lines, inside, lines_above, pane, put};
use super::picture::{Picture, sizes};
use crate::paths::shown;
use crate::preset::{Cell, Data, Layer, Noise, Preset, StepWeights};
use crate::protocol::{ModelCard, RunCard, RunDetails, RunState, number_or_dash};
use crate::tui::actions::key;
use crate::tui::app::{App, Entry, Overlay, Previewed};
use crate::tui::width::{bytes, cut, padded, width};

/// With at least this many lines, the shelf says how many more there are.
const ROOM_FOR_HINTS: usize = 9;

/// Draws the screen.
pub fn render(app: &App, area: Rect, sheet: &mut Sheet) {
    let theme = &app.theme;
    let buf = &mut *sheet.cells;
    let [top, list, about, bottom] = places(app, area);
    let what = match app.starting {
        true => Span::styled("starting…", theme.warning()),
        false => {
            Span::styled("pick a trained model to look at, or an experiment to watch learning", theme.dim())
        }
    };
    let title = Line::from(vec![Span::styled(" nem-tui  ", theme.accent()), what]);
    put(&title, top.x, top.y, top.width, buf);
    if top.height > 1 {
        let [open, up, help] = ["open", "up", "help"].map(|name| key(app, name));
        let hint = format!(
            " first time? {open} trains quickstart in a minute; {up} trained models; {help} all keys"
        );
        put(&Line::styled(hint, theme.good()), top.x, top.y + 1, top.width, buf);
    }
    footer(app, bottom, buf);
    shelf(app, list, buf);
    details(app, about, sheet);
}

/// The areas of the title, the shelf, the details and the hints.
fn places(app: &App, area: Rect) -> [Rect; 4] {
    // A newcomer is told what to press first, if there is a line to spare.
    let first = if app.is_new() && area.height >= 16 { 2 } else { 1 };
    let [top, body, bottom] = frame_lines(area, first, 1);
    let [list, about] = if body.width < 60 {
        Layout::vertical([Constraint::Percentage(50), Constraint::Min(0)]).areas(body)
    } else {
        // Wide enough for the names of runs, where there is room.
        let list = (body.width / 3).clamp(34, 50);
        Layout::horizontal([Constraint::Length(list), Constraint::Min(0)]).areas(body)
    };
    [top, list, about, bottom]
}

/// The entry at this place of the screen.
pub fn entry(app: &App, area: Rect, at: Position) -> Option<usize> {
    let [_, list, ..] = places(app, area);
    let inner = inside(list);
    let (lines, skip) = lines(app, inner);
    let line = inner.contains(at).then(|| skip + usize::from(at.y - inner.y))?;
    lines.get(line)?.1
}

/// The lines of the shelf with their entries, and how many of them lie above what is shown in this area.
fn lines(app: &App, inner: Rect) -> (Vec<(Line<'static>, Option<usize>)>, usize) {
    let theme = &app.theme;
    let (columns, height) = (usize::from(inner.width), usize::from(inner.height));
    let mut lines = Vec::new();
    let mut chosen_line = 0;
    let mut heading = "";
    for i in app.picker.listed() {
        let entry = &app.picker.entries[i];
        let kind = match entry {
            Entry::Model(_) => "Trained models",
            Entry::Preset(_) => "Train a preset",
            Entry::Run(_) => "Resume a run",
        };
        if kind != heading {
            heading = kind;
            if !lines.is_empty() {
                lines.push((Line::raw(""), None));
            }
            lines.push((Line::styled(format!(" {heading}"), theme.dim()), None));
        }
        let (mut trouble, mut trains) = (None, false);
        let score = |ami: Option<f64>| ami.map(|ami| format!("AMI {}", number_or_dash(Some(ami), 2)));
        let (name, fields) = match entry {
            Entry::Model(model) => (model.name.clone(), vec![score(model.ami.map(|(ami, _)| ami))]),
            Entry::Preset(preset) => (preset.name.clone(), vec![]),
            Entry::Run(run) => {
                trains = run.doing() == "running";
                trouble = run.trouble.as_deref().filter(|_| !trains);
                (run.name(), vec![Some(format!("it {}", run.iteration)), score(run.ami)])
            }
        };
        let room = columns.saturating_sub(if trains || trouble.is_some() { 5 } else { 3 });
        let text = fitted(name, fields, room);
        let chosen = i == app.picker.selected;
        if chosen {
            chosen_line = lines.len();
        }
        let marker = if chosen { '›' } else { ' ' };
        let line = match trouble {
            None if trains => Line::from(vec![
                Span::raw(format!(" {marker} ")),
                Span::styled("● ", theme.good()),
                Span::raw(format!("{text} ")),
            ]),
            None => Line::raw(format!(" {marker} {text} ")),
            Some(trouble) => Line::from(vec![
                Span::raw(format!(" {marker} ")),
                Span::styled("! ", theme.warning()),
                Span::raw(text.clone()),
                Span::styled(
                    format!("  {}", cut(trouble, room.saturating_sub(width(&text) + 2))),
                    theme.warning(),
                ),
            ]),
        };
        lines.push((if chosen { line.style(theme.selected()) } else { line }, Some(i)));
    }
    let trials = app.picker.runs().filter(|run| run.sweep.is_some()).count();
    if trials > 0 && app.picker.filter.is_empty() {
        let table = key(app, "table");
        let trials =
            if trials == 1 { "the trial of a sweep".into() } else { format!("{trials} trials of sweeps") };
        lines.push((Line::styled(format!("   {table} shows {trials}"), theme.dim()), None));
    }
    if lines.is_empty() && !app.picker.filter.is_empty() {
        let clear = key(app, "filter-clear");
        lines.push((Line::styled(format!(" nothing has these words; {clear} lists all"), theme.dim()), None));
    }
    // The chosen line stays in view, with some of what follows it.
    let skip = lines_above(chosen_line, lines.len(), height);
    (lines, skip)
}

/// A name and as many of the fields as fit, in their order.
fn fitted(name: String, fields: Vec<Option<String>>, room: usize) -> String {
    let mut text = cut(&name, room);
    for field in fields.into_iter().flatten() {
        if width(&text) + 2 + width(&field) > room {
            break;
        }
        text += &format!("  {field}");
    }
    text
}

fn shelf(app: &App, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    if area.is_empty() {
        return;
    }
    let typing = matches!(app.overlay, Some(Overlay::Filter));
    let mut title = Fields::new(" ─ ");
    match app.picker.filter.as_str() {
        "" if !typing => title.put(1, "models, presets, runs", theme.accent()),
        filter => {
            title.text(1, format!("/{filter}{}", if typing { "▏" } else { "" }), 1, theme.accent());
            title.put(0, format!("{} lists all", key(app, "filter-clear")), theme.dim());
        }
    }
    let inner = pane(title.title(area.width), true, theme, area, buf);
    let height = usize::from(inner.height);
    let (lines, skip) = lines(app, inner);
    for ((line, _), y) in lines.iter().skip(skip).zip(inner.y..inner.bottom()) {
        put(line, inner.x, y, inner.width, buf);
    }
    // How much is hidden, if there is a line to spare.
    if height >= ROOM_FOR_HINTS {
        let below = lines.len().saturating_sub(skip + height);
        let mut hint = |hidden: usize, arrow, y| {
            if hidden > 0 {
                let hint = padded(&format!(" {arrow} {} more", hidden + 1), inner.width.into());
                put(&Line::styled(hint, theme.dim()), inner.x, y, inner.width, buf);
            }
        };
        hint(skip, '↑', inner.y);
        hint(below, '↓', inner.bottom() - 1);
    }
}

/// Describes the chosen entry.
pub fn details(app: &App, area: Rect, sheet: &mut Sheet) {
    let theme = &app.theme;
    let Some(entry) = app.picker.chosen().filter(|_| !area.is_empty()) else { return };
    let preset = entry.preset();
    let name = match entry {
        Entry::Model(model) => model.name.clone(),
        Entry::Preset(preset) => preset.name.clone(),
        Entry::Run(run) => run.name(),
    };
    let inner = pane(Line::styled(format!(" {name} "), theme.strong()), false, theme, area, sheet.cells);
    let row = |(label, value): (&'static str, String)| {
        Line::from(vec![Span::styled(format!("{label:<9}"), theme.dim()), Span::raw(value)])
    };
    let mut lines = Vec::new();
    let own: Vec<Line> = match entry {
        Entry::Model(model) => vec![row(("trained", trained(app, model)))],
        Entry::Preset(preset) => {
            let expect = row(("expect", preset.expect.clone()));
            let takes = app.picker.seconds_of(preset).flatten();
            let takes = takes.map(|seconds| row(("takes", format!("about {} here", roughly(seconds)))));
            std::iter::once(expect).chain(takes).collect()
        }
        Entry::Run(run) => run_lines(app, run, usize::from(inner.width)),
    };
    match entry {
        // What the preset is about is known to those who have trained it.
        Entry::Run(_) => lines.extend(own),
        _ => {
            lines.extend([Line::raw(preset.about.clone()), Line::raw("")]);
            lines.extend(own);
        }
    }
    lines.extend(settings(preset).into_iter().map(row));
    lines.push(device(app));
    let text = Paragraph::new(Text::from(lines)).wrap(Wrap { trim: false });
    let lines = text.line_count(inner.width);
    let above = lines.min(inner.height.into()) as u16;
    text.render(Rect { height: above, ..inner }, sheet.cells);
    if lines > usize::from(above) && above > 0 {
        let note = Line::styled(format!(" +{} lines", lines - usize::from(above)), theme.warning());
        let x = inner.right().saturating_sub(note.width() as u16).max(inner.x);
        put(&note, x, inner.bottom() - 1, inner.right() - x, sheet.cells);
    }
    let below = Rect { y: inner.y + above, height: inner.height - above, ..inner };
    if let Some(preview) = app.picker.preview.as_ref().filter(|previewed| previewed.preset == *preset) {
        thumbnails(app, preview, below, sheet);
    }
}

/// What is known of a run: how far it is, its curve, where it began, and the user's note.
fn run_lines<'a>(app: &App, run: &RunCard, columns: usize) -> Vec<Line<'a>> {
    let theme = &app.theme;
    let row = |label: &str, value: Span<'a>| {
        Line::from(vec![Span::styled(format!("{label:<9}"), theme.dim()), value])
    };
    let all = run.preset.most_epochs().saturating_mul(run.preset.iterations_per_epoch());
    let far = format!("{} of at most {} iterations", grouped(run.iteration), grouped(all));
    let open = key(app, "open");
    let state = match &run.state {
        RunState::Running => Span::styled(format!("● running, {far}; {open} attaches"), theme.good()),
        RunState::Elsewhere(holder) => Span::styled(format!("● running: {holder}, {far}"), theme.good()),
        _ if run.trouble.is_some() => Span::raw(format!("stopped at {far}")),
        RunState::Finished => Span::raw(format!(
            "finished, {} iterations; {open} shows it and can train it further",
            grouped(run.iteration)
        )),
        RunState::Stopped => Span::raw(format!("stopped at {far}; {open} resumes")),
    };
    let mut lines = vec![row("state", state)];
    if let Some(trouble) = &run.trouble {
        lines.push(row("trouble", Span::styled(trouble.clone(), theme.warning())));
    }
    let details =
        app.picker.details.as_ref().filter(|(of, _)| *of == run.directory).map(|(_, details)| details);
    if let Some(RunDetails { curve, is_loss, .. }) = details.filter(|details| !details.curve.is_empty()) {
        let last = curve.last().copied().unwrap_or_default();
        let (label, last) =
            if *is_loss { ("loss", number(last)) } else { ("AMI last", number_or_dash(Some(last), 2)) };
        let room = columns.saturating_sub(10 + last.len()).min(60);
        lines.push(row(label, Span::raw(format!("{} {last}", sparkline(curve, room)))));
    }
    if let Some(parent) = &run.parent {
        lines.push(row("parent", Span::raw(parent.clone())));
    }
    if let Some(note) = &run.note {
        lines.push(row("note", Span::styled(note.clone(), theme.strong())));
    }
    let place = format!("{}, {}, seed {}", shown(&run.directory), run.preset.name, run.seed);
    lines.push(row("run", Span::raw(place)));
    if let Some(details) = details {
        let (disk, most) = (bytes(details.bytes), run.preset.train.history_mb);
        lines.push(row(
            "disk",
            Span::raw(format!("{disk}; checkpoints of the past take at most {most} MB of it")),
        ));
    }
    lines
}

/// A curve in one line of at most `room` characters, from its lowest to its highest value.
fn sparkline(curve: &[f64], room: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let columns = room.max(1).min(curve.len());
    let mean = |column: usize| {
        let part = &curve[column * curve.len() / columns..(column + 1) * curve.len() / columns];
        part.iter().sum::<f64>() / part.len() as f64
    };
    let means: Vec<f64> = (0..columns).map(mean).filter(|mean| mean.is_finite()).collect();
    let (low, high) =
        means.iter().fold((f64::MAX, f64::MIN), |(low, high), mean| (low.min(*mean), high.max(*mean)));
    let bar = |mean: &f64| {
        let height = (mean - low) / (high - low).max(f64::MIN_POSITIVE);
        BARS[((height * 7.99) as usize).min(7)]
    };
    means.iter().map(bar).collect()
}

/// A duration to be planned with: "40 s", "3 min", "2.5 h", "3 days".
fn roughly(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{} s", s.ceil().max(1.0)),
        s if s < 90.0 => format!("{} s", 5.0 * (s / 5.0).round()),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s if s < 36_000.0 => format!("{:.1} h", s / 3600.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

/// A whole number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let parts = digits.as_bytes().rchunks(3).rev();
    parts.map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
}

/// A description of a model.
fn trained(app: &App, model: &ModelCard) -> String {
    let score = model.ami.map_or(String::new(), |(ami, floor)| {
        format!(": AMI {ami:.3} (max) on images it never saw, where a split by position alone has {floor:.3}")
    });
    format!("{} iterations{score}; {} opens it at once", model.iteration, key(app, "open"))
}

/// The chosen device, and the others.
fn device(app: &App) -> Line<'_> {
    let theme = &app.theme;
    let others = app.picker.devices.iter().filter(|name| *name != app.picker.device());
    let others: String = others.map(|name| format!(" · {name}")).collect();
    Line::from(vec![
        Span::styled("device   ", theme.dim()),
        Span::raw(app.picker.device()),
        Span::styled(others, theme.dim()),
    ])
}

/// The image, the noisy input, and the objects.
fn thumbnails(app: &App, previewed: &Previewed, area: Rect, sheet: &mut Sheet) {
    let Previewed { preview, sample, .. } = previewed;
    let (width, height) = (preview.image.width, preview.image.height);
    let fits = |(w, h): &(usize, usize)| {
        3 * (w + 2) - 2 <= usize::from(area.width) && h + 2 <= usize::from(area.height)
    };
    // At whole cells a pixel if that leaves room, in the middle.
    let mut sizes = sizes(preview.image, usize::from(area.width) / width.max(1), 4);
    let Some((w, h)) = sizes.find(fits) else { return };
    let white = [1.0; 3];
    let pictures = [
        (format!("sample {}", sample + 1), Picture::shades(&preview.clean, width, height, white)),
        ("with noise".to_owned(), Picture::shades(&preview.noisy, width, height, white)),
        ("objects".to_owned(), Picture::groups(&preview.groups, width, height, &app.theme)),
    ];
    let left = area.x + (area.width + 2 - 3 * (w as u16 + 2)) / 2;
    // Under narrow pictures only the first label has room.
    let is_narrow = pictures.iter().any(|(label, _)| label.chars().count() > w);
    for (i, (label, picture)) in pictures.iter().enumerate() {
        let x = left + i as u16 * (w as u16 + 2);
        let label = Line::styled(label.as_str(), app.theme.dim());
        if !is_narrow || i == 0 {
            put(&label, x, area.y + 1, if is_narrow { 3 * w as u16 + 4 } else { w as u16 }, sheet.cells);
        }
        picture.render(&app.theme, Rect::new(x, area.y + 2, w as u16, h as u16), sheet);
    }
}

fn settings(preset: &Preset) -> Vec<(&'static str, String)> {
    let image = preset.data.image();
    let things = match &preset.data {
        Data::Shapes { .. } => "shapes",
        Data::FlyingShapes { .. } => "flying shapes",
        Data::Mnist { .. } => "digits",
        Data::FlyingMnist { .. } => "flying digits",
        Data::Hdf5 { .. } | Data::Tensors { .. } => "objects",
    };
    let objects = preset.data.objects().map_or(String::new(), |n| format!(", {n} {things}"));
    let noise = match preset.noise {
        Noise::Bitflip { probability } => format!("bitflip {probability}"),
        Noise::MaskedUniform { probability } => format!("masked uniform {probability}"),
        Noise::None => "none".to_owned(),
    };
    let network = match &preset.model.cell {
        Cell::Nem { units } => format!("N-EM, {units} units, tied weights"),
        Cell::RnnEm { layers } => {
            let units = layers.iter().find_map(|l| match l {
                Layer::Recurrent { units, .. } => Some(*units),
                _ => None,
            });
            format!("RNN-EM, {} recurrent units, {} layers", units.unwrap_or(0), layers.len())
        }
    };
    let steps = match preset.loss.steps {
        StepWeights::Last => "loss on the last".to_owned(),
        StepWeights::All => "loss on all".to_owned(),
        StepWeights::LastSteps(count) => format!("loss on the last {count}"),
        StepWeights::List(_) => "loss weighted by step".to_owned(),
    };
    vec![
        ("data", format!("{}x{}{objects}, noise {noise}", image.height, image.width)),
        ("model", format!("K {}, {network}", preset.k)),
        ("EM steps", format!("{}, {steps}", preset.steps)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_fits_a_line() {
        assert_eq!(sparkline(&[], 9), "");
        assert_eq!(sparkline(&[0.5], 9), "▁");
        assert_eq!(sparkline(&[0.0, 1.0, 0.5], 9), "▁█▄");
        let curve: Vec<f64> = (0..1000).map(f64::from).collect();
        assert_eq!(sparkline(&curve, 8), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[f64::NAN, 1.0], 0), "", "what is not a number has no bar");
    }

    #[test]
    fn durations_and_numbers_are_read_at_a_glance() {
        let told = [0.2, 38.0, 200.0, 9000.0, 50_000.0, 400_000.0].map(roughly);
        assert_eq!(told, ["1 s", "40 s", "3 min", "2.5 h", "14 h", "5 days"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
