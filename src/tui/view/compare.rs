//! Runs to compare with, and how their settings differ.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::app::Workbench;
use super::super::compare::{Choice, table};
use super::super::theme::Theme;
use super::help::over;

/// Runs that are listed at once at most.
const LISTED: usize = 8;
/// Columns of a value at most.
const VALUE: usize = 18;

/// The list, and below it the table.
pub fn render(theme: &Theme, workbench: &Workbench, choice: &Choice, area: Rect, buf: &mut Buffer) {
    let mut lines = Vec::new();
    if choice.runs.is_empty() && choice.reading {
        lines.push(Line::raw(" looking for runs under runs…"));
    } else if choice.runs.is_empty() {
        lines.push(Line::raw(" there is no other run under runs; :compare takes one from elsewhere"));
    }
    // The chosen one stays in sight.
    let first = choice.selected.saturating_sub(LISTED - 1);
    for (i, run) in choice.runs.iter().enumerate().skip(first).take(LISTED) {
        let name = run.directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mark = if workbench.rivals.iter().any(|rival| rival.name == name) { "✓" } else { " " };
        let ami = run.ami.map_or(String::new(), |ami| format!("  AMI {ami:.2}"));
        let text = format!(" {mark} {name}  it {}{ami} ", run.iteration);
        let style = if i == choice.selected { theme.selected() } else { theme.strong() };
        lines.push(Line::styled(text, style));
    }
    lines.push(Line::raw(""));
    let rows = table((&workbench.info.preset, workbench.info.seed), &workbench.rivals);
    if !workbench.rivals.is_empty() {
        let here = ("this run".to_owned(), theme.series(super::super::theme::Series::Validation));
        let names = workbench.rivals.iter().enumerate().map(|(i, r)| (r.name.clone(), theme.rival(i)));
        let heads: Vec<_> = std::iter::once(here).chain(names).collect();
        let wide = rows.iter().map(|row| row.path.chars().count()).max().unwrap_or(0);
        // Names and values get what the longest of their column needs, up to a bound.
        let width = |column: usize| {
            let values = rows.iter().map(|row| row.values[column].chars().count());
            values.chain([heads[column].0.chars().count()]).max().unwrap_or(0).min(VALUE)
        };
        let cell = |text: &str, column: usize| {
            format!("  {:<width$}", cut(text, width(column)), width = width(column))
        };
        let mut head = vec![Span::raw(format!(" {:wide$}", ""))];
        head.extend(
            heads.iter().enumerate().map(|(c, (name, ink))| Span::styled(cell(name, c), theme.ink(*ink))),
        );
        lines.push(Line::from(head));
        for row in &rows {
            let mut spans = vec![Span::styled(format!(" {:<wide$}", row.path), theme.dim())];
            spans.extend(row.values.iter().enumerate().map(|(c, value)| Span::raw(cell(value, c))));
            lines.push(Line::from(spans));
        }
        if rows.is_empty() {
            lines.push(Line::raw(" no setting differs"));
        }
        lines.push(Line::raw(""));
    }
    lines.push(Line::styled(
        " ↑ ↓ choose   space draw it or no longer   any other key closes this",
        theme.dim(),
    ));
    over(theme, " other runs ", &lines, area, buf);
}

/// The beginning of a text that is longer than `width`.
fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}
