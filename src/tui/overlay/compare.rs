//! Other runs, drawn beside the one on the screen, and how their settings differ.

use std::path::PathBuf;

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Overlay, PAGE, over};
use crate::preset::{Preset, differences};
use crate::protocol::{Rival, RunCard};
use crate::tui::app::{App, Workbench};
use crate::tui::history::History;
use crate::tui::theme::Series;
use crate::tui::update::Effect;

/// Runs that are listed at once at most.
const LISTED: usize = 8;

/// Columns of a value at most.
const VALUE: usize = 18;

/// A run whose curves are drawn beside those of the one on the screen.
#[derive(Clone, Debug)]
pub struct Against {
    /// Its name.
    pub name: String,
    /// The preset it began with.
    pub preset: Preset,
    /// Everything random follows from it.
    pub seed: u64,
    /// Its curves.
    pub history: History,
}

impl From<Rival> for Against {
    fn from(rival: Rival) -> Against {
        let history = History::of(&rival.past);
        Against { name: rival.name, preset: rival.preset, seed: rival.seed, history }
    }
}

/// The choice of runs to compare with.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The runs there are, but for the one on the screen.
    pub runs: Vec<RunCard>,
    /// The line that the choice stands at.
    pub selected: usize,
}

/// A setting in which runs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it stands in the preset.
    pub path: String,
    /// Its value in the run on the screen, then in the others.
    pub values: Vec<String>,
}

/// The settings in which any of `others` differs from `own` (each a preset and a seed), in the order of their names.
/// What is only said about a preset is no setting.
pub fn table(own: (&Preset, u64), others: &[Against]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (column, other) in others.iter().enumerate() {
        for difference in differences(own.0, &other.preset) {
            if ["about", "expect"].contains(&difference.path.as_str()) {
                continue;
            }
            let at = rows.partition_point(|row| row.path < difference.path);
            if rows.get(at).is_none_or(|row| row.path != difference.path) {
                let values = vec![difference.before; 1 + others.len()];
                rows.insert(at, Row { path: difference.path, values });
            }
            rows[at].values[1 + column] = difference.after;
        }
    }
    if others.iter().any(|other| other.seed != own.1) {
        let seeds = std::iter::once(own.1).chain(others.iter().map(|other| other.seed));
        rows.push(Row { path: "seed".into(), values: seeds.map(|seed| seed.to_string()).collect() });
    }
    rows
}

/// A key while runs to compare with are chosen.
pub fn press(app: &mut App, mut choice: Choice, key: KeyCode) -> Vec<Effect> {
    let last = choice.runs.len().saturating_sub(1);
    let mut effects = vec![];
    match key {
        KeyCode::Up => choice.selected = choice.selected.saturating_sub(1),
        KeyCode::Down => choice.selected = (choice.selected + 1).min(last),
        KeyCode::PageUp => choice.selected = choice.selected.saturating_sub(PAGE),
        KeyCode::PageDown => choice.selected = (choice.selected + PAGE).min(last),
        KeyCode::Home => choice.selected = 0,
        KeyCode::End => choice.selected = last,
        KeyCode::Enter | KeyCode::Char(' ') => {
            if let (Some(run), Some(workbench)) = (choice.runs.get(choice.selected), &mut app.workbench) {
                effects = compare_with(workbench, run.directory.clone());
            }
        }
        _ => return vec![],
    }
    app.overlay = Some(Overlay::Compare(choice));
    effects
}

/// Draws the run's curves beside this one's, or no longer.
pub fn compare_with(workbench: &mut Workbench, run: PathBuf) -> Vec<Effect> {
    let name = run.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let before = workbench.rivals.len();
    workbench.rivals.retain(|rival| rival.name != name);
    if workbench.rivals.len() < before { vec![] } else { vec![Effect::Rival(run)] }
}

/// The list, and below it the table.
pub fn render(app: &App, choice: &Choice, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    let Some(workbench) = &app.workbench else { return };
    let mut lines = Vec::new();
    if choice.runs.is_empty() {
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
        let here = ("this run".to_owned(), theme.series(Series::Validation));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Past;
    use crate::tui::testing::{preset, press, workbench};
    use crate::tui::update::{Message, update};

    fn against(preset: Preset, seed: u64) -> Against {
        Rival { name: "other".into(), preset, seed, past: Past::default() }.into()
    }

    #[test]
    fn only_what_differs_is_in_the_table() {
        let own = Preset::load("quickstart").unwrap();
        let set = |sets: &[&str]| own.set(&sets.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).unwrap();
        let (many, fast) = (set(&["k=6"]), set(&["train.learning_rate=0.01", "k=7"]));
        let rows = table((&own, 1), &[against(many, 1), against(fast, 1)]);
        let k = own.k.to_string();
        assert_eq!(rows[0], Row { path: "k".into(), values: vec![k, "6".into(), "7".into()] });
        assert_eq!((rows.len(), rows[1].path.as_str()), (2, "train.learning_rate"));
        assert_eq!(rows[1].values[0], rows[1].values[1], "the second run has the first's rate");
        assert!(table((&own, 1), &[against(own.clone(), 1)]).is_empty());
        assert_eq!(table((&own, 1), &[against(own.clone(), 2)])[0].values, ["1", "2"]);
    }

    #[test]
    fn runs_are_drawn_beside_and_taken_away() {
        let mut app = workbench();
        assert_eq!(press(&mut app, "r"), [Effect::Runs]);
        let card = |name: &str| RunCard {
            directory: PathBuf::from("runs").join(name),
            preset: preset(),
            seed: 2,
            iteration: 9,
            ami: None,
        };
        update(&mut app, Message::Runs(["quickstart-s1", "a", "b"].map(card).into()));
        assert_eq!(press(&mut app, "↓ "), [Effect::Rival("runs/b".into())], "the run itself is not offered");
        let rival = Rival { name: "b".into(), preset: preset(), seed: 2, past: Past::default() };
        update(&mut app, Message::Rival(Box::new(rival)));
        assert_eq!(app.workbench.as_ref().unwrap().rivals.len(), 1);
        assert!(press(&mut app, "↵").is_empty());
        assert!(app.workbench.as_ref().unwrap().rivals.is_empty(), "chosen again, it goes");
        press(&mut app, "q");
        assert!(app.overlay.is_none() && app.leaving.is_none());
        let named = press(&mut app, ":compare docs/runs/x↵");
        assert_eq!(named.last(), Some(&Effect::Rival("docs/runs/x".into())));
    }
}
