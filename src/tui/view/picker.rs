//! The picker: models, presets and runs, with details of the chosen one.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Paragraph, Widget, Wrap};

use super::bars::footer;
use super::parts::{Sheet, frame_lines, inside, pane, put};
use super::picture::Picture;
use crate::paths::shown;
use crate::preset::{Cell, Data, Layer, Noise, Preset, StepWeights};
use crate::protocol::ModelCard;
use crate::tui::actions::key;
use crate::tui::app::{App, Entry, Previewed};
use crate::tui::width::padded;

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
        Layout::horizontal([Constraint::Length(34), Constraint::Min(0)]).areas(body)
    };
    [top, list, about, bottom]
}

/// The entry at this place of the screen.
pub fn entry(app: &App, area: Rect, at: Position) -> Option<usize> {
    let [_, list, ..] = places(app, area);
    let inner = inside(list);
    let (lines, skip) = lines(app, usize::from(inner.height));
    let line = inner.contains(at).then(|| skip + usize::from(at.y - inner.y))?;
    lines.get(line)?.1
}

/// The lines of the shelf with their entries, and how many of them lie above what is shown in `height` lines.
fn lines(app: &App, height: usize) -> (Vec<(Line<'static>, Option<usize>)>, usize) {
    let theme = &app.theme;
    let mut lines = Vec::new();
    let mut chosen_line = 0;
    let mut heading = "";
    for (i, entry) in app.picker.entries.iter().enumerate() {
        let kind = match entry {
            Entry::Model(_) => "Trained models",
            Entry::Preset(_) => "Train a preset",
            Entry::Run(_) => "Resume a run",
        };
        if kind != heading {
            heading = kind;
            if i > 0 {
                lines.push((Line::raw(""), None));
            }
            lines.push((Line::styled(format!(" {heading}"), theme.dim()), None));
        }
        let mut trouble = None;
        let text = match entry {
            Entry::Model(model) => match model.ami {
                Some((ami, _)) => format!("{}  AMI {ami:.2}", model.name),
                None => model.name.clone(),
            },
            Entry::Preset(preset) => preset.name.clone(),
            Entry::Run(run) => {
                let name = shown(run.directory.file_name().unwrap_or(run.directory.as_os_str()));
                let ami = run.ami.map_or(String::new(), |ami| format!("  AMI {ami:.2}"));
                trouble = run.trouble.as_deref();
                format!("{name}  it {}{ami}", run.iteration)
            }
        };
        let chosen = i == app.picker.selected;
        if chosen {
            chosen_line = lines.len();
        }
        let marker = if chosen { '›' } else { ' ' };
        let line = match trouble {
            None => Line::raw(format!(" {marker} {text} ")),
            Some(trouble) => Line::from(vec![
                Span::raw(format!(" {marker} ")),
                Span::styled("! ", theme.warning()),
                Span::raw(text),
                Span::styled(format!("  {trouble} "), theme.warning()),
            ]),
        };
        lines.push((if chosen { line.style(theme.selected()) } else { line }, Some(i)));
    }
    // The chosen line stays in view, with some of what follows it.
    let skip = (chosen_line + 1 + height / 3).min(lines.len()).saturating_sub(height);
    (lines, skip)
}

fn shelf(app: &App, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    if area.is_empty() {
        return;
    }
    let inner = pane(Line::styled(" models, presets, runs ", theme.accent()), true, theme, area, buf);
    let height = usize::from(inner.height);
    let (lines, skip) = lines(app, height);
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

fn details(app: &App, area: Rect, sheet: &mut Sheet) {
    let theme = &app.theme;
    let Some(entry) = app.picker.entries.get(app.picker.selected).filter(|_| !area.is_empty()) else {
        return;
    };
    let preset = entry.preset();
    let name = match entry {
        Entry::Model(model) => &model.name,
        _ => &preset.name,
    };
    let inner = pane(Line::styled(format!(" {name} "), theme.strong()), false, theme, area, sheet.cells);
    let settings = settings(preset).into_iter().map(|(label, value)| {
        Line::from(vec![Span::styled(format!("{label:<9}"), theme.dim()), Span::raw(value)])
    });
    let mut lines = vec![Line::raw(preset.about.clone()), Line::raw("")];
    let (label, text) = match entry {
        Entry::Model(model) => ("trained  ", trained(app, model)),
        _ => ("expect   ", preset.expect.clone()),
    };
    lines.push(Line::from(vec![Span::styled(label, theme.dim()), Span::raw(text)]));
    lines.extend(settings);
    lines.push(device(app));
    if let Entry::Run(run) = entry {
        let at = format!("{}, seed {}, {} iterations so far", shown(&run.directory), run.seed, run.iteration);
        lines.push(Line::from(vec![Span::styled("run      ", theme.dim()), Span::raw(at)]));
        if let Some(trouble) = &run.trouble {
            lines.push(Line::from(vec![
                Span::styled("trouble  ", theme.dim()),
                Span::styled(trouble.as_str(), theme.warning()),
            ]));
        }
    }
    let text = Paragraph::new(Text::from(lines)).wrap(Wrap { trim: false });
    let above = (text.line_count(inner.width) as u16).min(inner.height);
    text.render(Rect { height: above, ..inner }, sheet.cells);
    let below = Rect { y: inner.y + above, height: inner.height - above, ..inner };
    if let Some(preview) = app.picker.preview.as_ref().filter(|previewed| previewed.preset == *preset) {
        thumbnails(app, preview, below, sheet);
    }
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
    let fits = |w: usize| {
        let h = (w * height).div_ceil(2 * width.max(1));
        3 * (w + 2) - 2 <= usize::from(area.width) && h + 2 <= usize::from(area.height)
    };
    // At whole cells a pixel if that leaves room, in the middle.
    let whole = (1..=usize::from(area.width) / width.max(1)).rev().map(|factor| factor * width);
    let Some(w) = whole.chain((4..width).rev()).find(|w| fits(*w)) else { return };
    let h = (w * height).div_ceil(2 * width.max(1)) as u16;
    let white = [1.0; 3];
    let pictures = [
        (format!("sample {sample}"), Picture::shades(&preview.clean, width, height, white)),
        ("with noise".to_owned(), Picture::shades(&preview.noisy, width, height, white)),
        ("objects".to_owned(), Picture::groups(&preview.groups, width, height, &app.theme)),
    ];
    let left = area.x + (area.width + 2 - 3 * (w as u16 + 2)) / 2;
    for (i, (label, picture)) in pictures.iter().enumerate() {
        let x = left + i as u16 * (w as u16 + 2);
        put(&Line::styled(label.as_str(), app.theme.dim()), x, area.y + 1, w as u16, sheet.cells);
        picture.render(&app.theme, Rect::new(x, area.y + 2, w as u16, h), sheet);
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
        StepWeights::Last => "loss on the last",
        StepWeights::All => "loss on all",
        StepWeights::List(_) => "loss weighted by step",
    };
    vec![
        ("data", format!("{}x{}{objects}, noise {noise}", image.height, image.width)),
        ("model", format!("K {}, {network}", preset.k)),
        ("EM steps", format!("{}, {steps}", preset.steps)),
    ]
}
