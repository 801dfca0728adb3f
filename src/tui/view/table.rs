//! The table of runs, with details of the chosen one below it.

use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::{Line, Span};

use super::bars::footer;
use super::parts::{Sheet, frame_lines, inside, lines_above, pane, put};
use super::picker::details;
use crate::protocol::RunState;
use crate::tui::app::{App, Overlay};
use crate::tui::table::{Column, NOTHING, RunTable};
use crate::tui::width::{cut, padded, width};

/// The most columns of the screen for a heading or a setting.
const WIDEST: usize = 24;
/// With at least this many lines, the chosen run is described below the table.
const ROOM_FOR_DETAILS: u16 = 18;
/// The lines of that description.
const DETAILS: u16 = 10;

/// Draws the screen.
pub fn render(app: &App, table: &RunTable, area: Rect, sheet: &mut Sheet) {
    let theme = &app.theme;
    let [top, rows, about, bottom] = places(area);
    let title = Line::from(vec![
        Span::styled(" nem-tui  ", theme.accent()),
        match app.starting {
            true => Span::styled("starting…", theme.warning()),
            false => Span::styled("all runs, and the trials of sweeps", theme.dim()),
        },
    ]);
    put(&title, top.x, top.y, top.width, sheet.cells);
    footer(app, bottom, sheet.cells);
    draw_rows(app, table, rows, sheet);
    details(app, about, sheet);
}

/// The areas of the title, the table, the details and the hints.
fn places(area: Rect) -> [Rect; 4] {
    let [top, body, bottom] = frame_lines(area, 1, 1);
    let about = if body.height >= ROOM_FOR_DETAILS { DETAILS } else { 0 };
    let [rows, about] = Layout::vertical([Constraint::Min(0), Constraint::Length(about)]).areas(body);
    [top, rows, about, bottom]
}

/// The listed runs that are above the first row on the screen, so that the chosen one is in view.
fn skipped(app: &App, listed: &[usize], height: usize) -> usize {
    let chosen = listed.iter().position(|at| *at == app.picker.selected).unwrap_or(0);
    lines_above(chosen, listed.len(), height)
}

/// The entry at this place of the screen.
pub fn entry(app: &App, area: Rect, at: Position) -> Option<usize> {
    let [_, rows, ..] = places(area);
    let inner = inside(rows);
    let listed: Vec<usize> = app.picker.listed().collect();
    // The first line has the headings.
    let height = usize::from(inner.height.saturating_sub(1));
    let row = usize::from(at.y.checked_sub(inner.y + 1)?);
    inner.contains(at).then(|| listed.get(skipped(app, &listed, height) + row).copied()).flatten()
}

/// A column as it is drawn.
struct Drawn {
    heading: String,
    cells: Vec<String>,
    width: usize,
    /// Numbers end at the right.
    is_right: bool,
}

impl Drawn {
    fn new(heading: String, cells: Vec<String>, most: usize) -> Drawn {
        let is_right = cells.iter().all(|cell| cell == NOTHING || cell.parse::<f64>().is_ok());
        let widest = cells.iter().map(|cell| width(cell)).max().unwrap_or(0).max(width(&heading));
        Drawn { heading, cells, width: widest.min(most), is_right }
    }

    fn fitted(&self, text: &str) -> String {
        let text = cut(text, self.width);
        match self.is_right {
            true => " ".repeat(self.width - width(&text).min(self.width)) + &text,
            false => padded(&text, self.width),
        }
    }
}

/// The name of a column in as few words as tell it from the others.
fn heading(column: &Column, columns: &[Column]) -> String {
    let last = |column: &Column| column.heading().rsplit('.').next().unwrap_or_default().to_owned();
    let is_alone = columns.iter().filter(|other| last(other) == last(column)).count() == 1;
    if is_alone { last(column) } else { column.heading().to_owned() }
}

fn draw_rows(app: &App, table: &RunTable, area: Rect, sheet: &mut Sheet) {
    let theme = &app.theme;
    if area.is_empty() {
        return;
    }
    let picker = &app.picker;
    let listed: Vec<usize> = picker.listed().collect();
    let columns = table.columns();
    let arrow = if table.reversed { "↑" } else { "↓" };
    let drawn = |column: &Column, most: usize| {
        let sorted = table.by.as_ref() == Some(column);
        let heading =
            heading(column, &columns) + if sorted { " " } else { "" } + if sorted { arrow } else { "" };
        let cells = listed.iter().filter_map(|at| Some(table.cell(picker.run_at(*at)?, column))).collect();
        Drawn::new(heading, cells, most)
    };
    let inside = usize::from(inside(area).width);
    // Three columns are for the marks before the name.
    let name = drawn(&columns[0], (inside / 2).saturating_sub(3).max(8));
    let mut room = inside.saturating_sub(3 + name.width);
    let mut shown = vec![name];
    for column in &columns[1 + table.skipped.min(columns.len() - 1)..] {
        let column = drawn(column, WIDEST);
        if column.width + 2 > room {
            break;
        }
        room -= column.width + 2;
        shown.push(column);
    }
    let hidden = columns.len() - shown.len() - table.skipped.min(columns.len() - 1);
    let typing = matches!(app.overlay, Some(Overlay::Filter));
    let runs = picker.runs().count();
    let mut title = match listed.len() {
        all if all == runs => format!(" {runs} runs"),
        some => format!(" {some} of {runs} runs"),
    };
    if !picker.filter.is_empty() || typing {
        title += &format!("  /{}{}", picker.filter, if typing { "▏" } else { "" });
    }
    if !table.marked.is_empty() {
        title += &format!("  {} marked", table.marked.len());
    }
    for (count, way) in [(table.skipped, "left"), (hidden, "right")] {
        if count > 0 {
            title += &format!("  +{count} column{} {way}", if count == 1 { "" } else { "s" });
        }
    }
    let inner = pane(Line::styled(title + " ", theme.accent()), true, theme, area, sheet.cells);
    let headings: Vec<String> = shown.iter().map(|column| column.fitted(&column.heading)).collect();
    let headings = format!("   {}", headings.join("  "));
    put(&Line::styled(headings, theme.dim()), inner.x, inner.y, inner.width, sheet.cells);
    let height = usize::from(inner.height.saturating_sub(1));
    let first = skipped(app, &listed, height);
    for (line, (row, at)) in listed.iter().enumerate().skip(first).take(height).enumerate() {
        let Some(run) = picker.run_at(*at) else { continue };
        let trains = matches!(run.state, RunState::Running | RunState::Elsewhere(_));
        let mark = if table.is_marked(&run.directory) { "✓" } else { " " };
        let dot = match (trains, &run.trouble) {
            (true, _) => Span::styled("● ", theme.good()),
            (false, Some(_)) => Span::styled("! ", theme.warning()),
            (false, None) => Span::raw("  "),
        };
        let cells: Vec<String> = shown.iter().map(|column| column.fitted(&column.cells[row])).collect();
        let cells = padded(&cells.join("  "), usize::from(inner.width).saturating_sub(3));
        let text = Line::from(vec![Span::styled(mark, theme.accent()), dot, Span::raw(cells)]);
        let text = if *at == picker.selected { text.style(theme.selected()) } else { text };
        put(&text, inner.x, inner.y + 1 + line as u16, inner.width, sheet.cells);
    }
    if listed.is_empty() {
        let why = match (picker.filter.is_empty(), picker.reading) {
            (false, _) => " nothing has these words",
            (true, true) => " looking for runs in runs and sweeps…",
            (true, false) => " there is no run in runs or sweeps yet",
        };
        put(&Line::styled(why, theme.dim()), inner.x, inner.y + 1, inner.width, sheet.cells);
    }
}
