//! Other runs, drawn beside the one on the screen, and how their settings differ.

use std::path::{Path, PathBuf};

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::log::PAGE;
use crate::preset::{Preset, Setting, differences, is_description};
use crate::protocol::{Change, RunCard, number_or_dash};
use crate::tui::theme::{Series, Theme};
use crate::tui::view::fields::Fields;
use crate::tui::view::parts::over;
use crate::tui::width::{cut, padded, width};
use crate::tui::workbench::{ComparedRun, Workbench, is_same, short_names};

/// The largest number of runs listed at once.
const LISTED: usize = 8;

/// The largest width of a value, in columns.
const VALUE: usize = 28;

/// What the table's values are.
const AT_END: &str = "at the end";

/// The choice of runs to compare with.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// All runs except the one on the screen.
    pub runs: Vec<RunCard>,
    /// The chosen line.
    pub selected: usize,
    /// Whether there may be more runs to find.
    pub reading: bool,
    /// The first row of the table that is shown, where not all have room.
    pub row: usize,
}

/// What a key decides.
pub enum Pressed {
    /// The list stays open.
    Stay,
    /// It closes.
    Close,
    /// It stays open, and the run in this directory is added to the comparison, or removed.
    Toggle(PathBuf),
    /// It closes, and the run in this directory is shown beside the one on the screen.
    Beside(PathBuf),
}

impl Choice {
    /// How many runs and how many of `rows` rows of the table are shown on a screen of this height.
    fn room(&self, rows: usize, height: u16) -> (usize, usize) {
        let height = usize::from(height);
        let listed = self.runs.len().clamp(1, LISTED.min(height / 3).max(1));
        // Besides these there are the line about hidden runs, the head, a blank line, the keys and the border.
        let room = height.saturating_sub(listed + 6);
        (listed, if rows > room { room.saturating_sub(1).max(1) } else { rows })
    }

    /// Handles a key on a screen of this height, with `rows` rows in the table.
    pub fn press(&mut self, key: KeyCode, rows: usize, height: u16) -> Pressed {
        let last = self.runs.len().saturating_sub(1);
        match key {
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.selected = (self.selected + 1).min(last),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(PAGE),
            KeyCode::PageDown => self.selected = (self.selected + PAGE).min(last),
            KeyCode::Home | KeyCode::Char('g') => self.selected = 0,
            KeyCode::End | KeyCode::Char('G') => self.selected = last,
            KeyCode::Char('K') => self.row = self.row.saturating_sub(1),
            KeyCode::Char('J') => self.row = (self.row + 1).min(rows - self.room(rows, height).1),
            KeyCode::Enter | KeyCode::Char(' ') => {
                if let Some(run) = self.runs.get(self.selected) {
                    return Pressed::Toggle(run.directory.clone());
                }
            }
            KeyCode::Char('b') => {
                if let Some(run) = self.runs.get(self.selected) {
                    return Pressed::Beside(run.directory.clone());
                }
            }
            _ => return Pressed::Close,
        }
        Pressed::Stay
    }

    /// Adds a run below those that are newer. What is chosen stays chosen.
    pub fn add(&mut self, run: RunCard) {
        if self.runs.iter().any(|known| is_same(&known.directory, &run.directory)) {
            return;
        }
        let at = self.runs.partition_point(|other| other.changed >= run.changed);
        if at <= self.selected && !self.runs.is_empty() {
            self.selected += 1;
        }
        self.runs.insert(at, run);
    }
}

/// A setting in which runs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingRow {
    /// Its path in the preset.
    pub path: String,
    /// Its value in the run on the screen, then in the others.
    pub values: Vec<String>,
}

/// What the table needs of a run: its settings at the end, its seed and its live changes.
pub type Settings<'a> = (&'a Preset, u64, &'a [Change]);

/// The table of the run on the screen and those that it is compared with.
pub fn rows(workbench: &Workbench) -> Vec<SettingRow> {
    table((&workbench.preset, workbench.info.seed, &workbench.changes), &workbench.compared)
}

/// The settings in which any of `others` differs from `own` at the end or was changed otherwise, in the order of their
/// names. What a preset says about itself is left out.
pub fn table(own: Settings, others: &[ComparedRun]) -> Vec<SettingRow> {
    let mut rows = std::collections::BTreeMap::new();
    for (column, other) in others.iter().enumerate() {
        for difference in differences(own.0, &other.preset) {
            if is_description(&difference.path) {
                continue;
            }
            let values =
                rows.entry(difference.path).or_insert_with(|| vec![difference.before; 1 + others.len()]);
            values[1 + column] = difference.after;
        }
    }
    let all = || {
        let others = others.iter().map(|other| (&other.preset, other.seed, &other.changes[..]));
        std::iter::once(own).chain(others)
    };
    for kind in Setting::KINDS {
        let values: Vec<_> = all().map(|(preset, _, changes)| changed(kind, preset, changes)).collect();
        if values.iter().any(|value| *value != values[0]) {
            rows.insert(kind.field().to_owned(), values);
        }
    }
    let seeds = all().map(|(_, seed, _)| seed.to_string()).collect();
    let seeds = others.iter().any(|other| other.seed != own.1).then_some(("seed".to_owned(), seeds));
    rows.into_iter().chain(seeds).map(|(path, values)| SettingRow { path, values }).collect()
}

/// The value of a live setting at the end, and how it came to that: "0.1 → 0.3 at 500".
fn changed(kind: Setting, preset: &Preset, changes: &[Change]) -> String {
    let Some(now) = kind.current(preset).map(|setting| setting.value()) else { return "–".into() };
    let own: Vec<_> = changes.iter().filter(|change| change.to.field() == kind.field()).collect();
    match own[..] {
        [] => now.to_string(),
        [change] => format!("{} → {now} at {}", change.from.value(), change.iteration),
        [first, .., last] => format!("{} → … → {now} at {}", first.from.value(), last.iteration),
    }
}

/// Draws the list, and the table below it. `located` makes a run's path absolute.
pub fn render(
    theme: &Theme,
    choice: &Choice,
    workbench: &Workbench,
    located: &dyn Fn(&Path) -> PathBuf,
    area: Rect,
    buf: &mut Buffer,
) {
    let mut lines = Vec::new();
    if choice.runs.is_empty() && choice.reading {
        lines.push(Line::raw(" looking for runs in runs…"));
    } else if choice.runs.is_empty() {
        lines.push(Line::raw(" there is no other run in runs; :compare takes one from elsewhere"));
    }
    let rows = rows(workbench);
    let (listed, shown) = choice.room(rows.len(), area.height);
    // The chosen one stays visible.
    let first = choice.selected.saturating_sub(listed - 1);
    let names = short_names(choice.runs.iter().map(|run| run.directory.as_path()));
    for (i, (run, name)) in choice.runs.iter().zip(names).enumerate().skip(first).take(listed) {
        let directory = located(&run.directory);
        let mark = if workbench.compared.iter().any(|run| run.is_in(&directory)) { "✓" } else { " " };
        let ami = run.ami.map_or(String::new(), |ami| format!("  AMI {}", number_or_dash(Some(ami), 2)));
        let trouble = run.trouble.as_ref().map_or(String::new(), |trouble| format!("  ! {trouble}"));
        let text = format!(" {mark} {name}  it {}{ami}{trouble} ", run.iteration);
        let style = if i == choice.selected { theme.selected() } else { theme.strong() };
        lines.push(Line::styled(text, style));
    }
    let below = choice.runs.len().saturating_sub(first + listed);
    let hidden = [(first, '↑'), (below, '↓')].into_iter().filter(|(count, _)| *count > 0);
    let hidden: String = hidden.map(|(count, arrow)| format!(" {arrow} {count} more ")).collect();
    lines.push(Line::styled(hidden, theme.dim()));
    if !workbench.compared.is_empty() {
        let here = ("this run".to_owned(), theme.series(Series::Validation));
        let names = short_names(workbench.compared.iter().map(|run| run.directory.as_path()));
        let names = names.into_iter().enumerate().map(|(i, name)| (name, theme.compared(i)));
        let heads: Vec<_> = std::iter::once(here).chain(names).collect();
        let wide = rows.iter().map(|row| width(&row.path)).max().unwrap_or(0).max(AT_END.len());
        // Each column is as wide as its longest entry, up to a limit.
        let room = usize::from(area.width).saturating_sub(4 + wide) / heads.len();
        let most = VALUE.min(room.saturating_sub(2)).max(8);
        let columns = |column: usize| {
            let values = rows.iter().map(|row| width(&row.values[column]));
            values.chain([width(&heads[column].0)]).max().unwrap_or(0).min(most)
        };
        let cell = |text: &str, column: usize| {
            let columns = columns(column);
            format!("  {}", padded(&cut(text, columns), columns))
        };
        let mut head = vec![Span::styled(format!(" {}", padded(AT_END, wide)), theme.dim())];
        head.extend(
            heads.iter().enumerate().map(|(c, (name, ink))| Span::styled(cell(name, c), theme.ink(*ink))),
        );
        lines.push(Line::from(head));
        let from = choice.row.min(rows.len() - shown);
        for row in &rows[from..from + shown] {
            let mut spans = vec![Span::styled(format!(" {}", padded(&row.path, wide)), theme.dim())];
            spans.extend(row.values.iter().enumerate().map(|(c, value)| Span::raw(cell(value, c))));
            lines.push(Line::from(spans));
        }
        if shown < rows.len() {
            let part = format!(" {} to {} of {}: J K", from + 1, from + shown, rows.len());
            lines.push(Line::styled(part, theme.warning()));
        }
        if rows.is_empty() {
            lines.push(Line::raw(" no setting differs"));
        }
        lines.push(Line::raw(""));
    }
    let mut keys = Fields::new("   ");
    for (worth, key) in
        [(2, "↑ ↓ choose"), (4, "space show, hide"), (3, "b side by side"), (1, "any other key closes")]
    {
        keys.put(worth, key, theme.dim());
    }
    let mut keys = keys.line(usize::from(area.width.saturating_sub(4)));
    keys.spans.insert(0, Span::raw(" "));
    lines.push(keys);
    over(theme, " other runs ", &lines, area, buf);
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::protocol::{Event, Metrics, RunToCompare};
    use crate::tui::app::{App, Overlay};
    use crate::tui::testing::{preset, press, workbench};
    use crate::tui::update::{Effect, Message, update};

    fn compared(preset: Preset, seed: u64) -> ComparedRun {
        let read = RunToCompare { directory: "other".into(), preset, seed, metrics: Metrics::default() };
        ComparedRun::new("other".into(), read)
    }

    fn compare(run: &str) -> Effect {
        Effect::Compare("runs/quickstart-s1".into(), run.into())
    }

    fn read(run: &str, real: &str) -> Message {
        let (directory, metrics) = (real.into(), Metrics::default());
        let read = RunToCompare { directory, preset: preset(), seed: 2, metrics };
        Message::Compared("runs/quickstart-s1".into(), run.into(), Box::new(read))
    }

    #[test]
    fn only_what_differs_is_in_the_table() {
        let own = Preset::load("quickstart").unwrap();
        let set = |sets: &[&str]| own.set(&sets.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).unwrap();
        let (many, fast) = (set(&["k=6"]), set(&["train.learning_rate=0.01", "k=7"]));
        let rows = table((&own, 1, &[]), &[compared(many, 1), compared(fast, 1)]);
        let k = own.k.to_string();
        assert_eq!(rows[0], SettingRow { path: "k".into(), values: vec![k, "6".into(), "7".into()] });
        assert_eq!((rows.len(), rows[1].path.as_str()), (2, "train.learning_rate"));
        assert_eq!(rows[1].values[0], rows[1].values[1], "the second run has the first's rate");
        assert!(table((&own, 1, &[]), &[compared(own.clone(), 1)]).is_empty());
        assert_eq!(table((&own, 1, &[]), &[compared(own.clone(), 2)])[0].values, ["1", "2"]);
    }

    /// (state, keys, table): the run on the screen is compared as it is now, and a change shows where it was made.
    #[test]
    fn settings_are_compared_as_they_are_at_the_end() {
        let change = |iteration, from, to| Change { iteration, from, to };
        let noise = |iteration, from, to| change(iteration, Setting::Noise(from), Setting::Noise(to));
        let mut app = workbench();
        press(&mut app, "KN");
        let heard = [change(7, Setting::K(4), Setting::K(5)), noise(500, 0.1, 0.15)];
        for change in heard {
            update(&mut app, Message::Run(Event::Changed(change)));
        }
        let rows = |other: ComparedRun| {
            let own = app.workbench.as_ref().unwrap();
            let rows = table((&own.preset, own.info.seed, &own.changes), &[other]);
            rows.into_iter().map(|row| (row.path, row.values.join(" | "))).collect::<Vec<_>>()
        };
        let row = |path: &str, values: &str| (path.to_owned(), values.to_owned());
        let preset = preset().set(&["k=5", "noise=0.3"]).unwrap();
        assert_eq!(
            rows(ComparedRun {
                changes: vec![noise(9, 0.0, 0.2), noise(40, 0.2, 0.3)],
                ..compared(preset, 1)
            }),
            [row("k", "4 → 5 at 7 | 5"), row("noise.probability", "0.1 → 0.15 at 500 | 0 → … → 0.3 at 40"),]
        );
        let same = app.workbench.as_ref().unwrap().preset.clone();
        assert!(rows(ComparedRun { changes: heard.to_vec(), ..compared(same, 1) }).is_empty());
    }

    #[test]
    fn runs_are_drawn_beside_and_taken_away() {
        let mut app = workbench();
        assert_eq!(press(&mut app, "r"), [Effect::Runs]);
        let card = |name: &str| RunCard {
            directory: Path::new("runs").join(name),
            preset: preset(),
            seed: 2,
            iteration: 9,
            ami: None,
            changed: SystemTime::UNIX_EPOCH,
            trouble: None,
            ..RunCard::new("runs".into(), preset())
        };
        update(&mut app, Message::Runs(["quickstart-s1", "a", "b"].map(card).into()));
        assert_eq!(
            press(&mut app, "↓ "),
            [Effect::Compare("runs/quickstart-s1".into(), "runs/b".into())],
            "the run itself is not offered"
        );
        update(&mut app, read("runs/b", "runs/b"));
        assert_eq!(app.workbench.as_ref().unwrap().compared.len(), 1);
        assert!(press(&mut app, "↵").is_empty());
        assert!(app.workbench.as_ref().unwrap().compared.is_empty(), "chosen again, it goes");
        press(&mut app, "q");
        assert!(app.overlay.is_none() && app.leaving.is_none());
        let named = press(&mut app, ":compare docs/runs/x↵");
        assert_eq!(named.last(), Some(&compare("docs/runs/x")));
    }

    /// Two runs with the same name are different runs; one run is the same however its path is written.
    #[test]
    fn runs_are_told_apart_by_their_directories() {
        let mut app = workbench();
        app.here = "/here".into();
        for run in ["runs/x", "docs/runs/x"] {
            let located = format!("/here/{run}");
            assert_eq!(press(&mut app, &format!(":compare {run}↵")).last(), Some(&compare(&located)));
            update(&mut app, read(&located, &located));
        }
        let directories = |app: &App| -> Vec<_> {
            let runs = &app.workbench.as_ref().unwrap().compared;
            runs.iter().map(|run| run.directory.clone()).collect()
        };
        let names = short_names(directories(&app).iter().map(|directory| directory.as_path()));
        assert_eq!(names, ["here/runs/x", "docs/runs/x"]);
        for (same, left) in [("./runs/../runs/x/", "/here/docs/runs/x"), ("/here/docs/runs/x", "")] {
            let effects = press(&mut app, &format!(":compare {same}↵"));
            assert!(
                !effects.iter().any(|effect| matches!(effect, Effect::Compare(..))),
                "{same}: {effects:?}"
            );
            let left: Vec<_> =
                [left].into_iter().filter(|left| !left.is_empty()).map(PathBuf::from).collect();
            assert_eq!(directories(&app), left);
        }
        press(&mut app, "r");
        let own = RunCard { directory: "/here/runs/quickstart-s1".into(), ..card("a") };
        update(&mut app, Message::Runs(vec![own, card("a")]));
        let Some(Overlay::Compare(choice)) = &app.overlay else { panic!("no list") };
        assert_eq!(choice.runs, [card("a")], "the run on the screen is not offered");
    }

    /// Where a path leads is known only when the run is read.
    #[test]
    fn a_run_reached_through_a_link_is_the_same_run() {
        let mut app = workbench();
        app.here = "/here".into();
        let count = |app: &App| app.workbench.as_ref().unwrap().compared.len();
        update(&mut app, read("/here/link/x", "/disk/runs/x"));
        assert_eq!(count(&app), 1);
        update(&mut app, read("/here/link/x", "/disk/runs/x"));
        assert_eq!(count(&app), 1, "chosen twice before it was read");
        assert!(!press(&mut app.clone(), ":compare /disk/runs/x↵").contains(&compare("/disk/runs/x")));
        assert!(!press(&mut app.clone(), ":compare link/x↵").contains(&compare("/here/link/x")));
        assert_eq!(press(&mut app, ":compare other/x↵").last(), Some(&compare("/here/other/x")));
        let mut elsewhere = app.clone();
        update(&mut app, read("/here/other/x", "/disk/runs/x"));
        assert_eq!(count(&app), 0, "chosen again, by another path, it goes");
        update(&mut elsewhere, read("/here/other/x", "/disk/others/x"));
        assert_eq!(count(&elsewhere), 2);
        press(&mut elsewhere, "r");
        update(
            &mut elsewhere,
            Message::Runs(vec![card("a"), RunCard { directory: "./runs/a".into(), ..card("a") }]),
        );
        assert!(matches!(&elsewhere.overlay, Some(Overlay::Compare(choice)) if choice.runs.len() == 1));
        elsewhere.workbench.as_mut().unwrap().info.directory = "runs/next".into();
        update(&mut elsewhere, read("/here/runs/y", "/here/runs/y"));
        assert_eq!(count(&elsewhere), 2, "asked for beside a run that has left the screen");
    }

    /// (state, keys, state): every row of a long table and every run can be reached on a small screen.
    #[test]
    fn long_tables_and_lists_are_scrolled() {
        let mut app = workbench();
        app.screen = Rect::new(0, 0, 60, 16);
        let many = [
            "k=5",
            "steps=7",
            "noise=0.3",
            "lr=0.1",
            "inter=2",
            "objects=2",
            "train.batch=8",
            "train.patience=3",
        ];
        let preset = preset().set(&many).unwrap();
        let metrics = Metrics::default();
        let read = RunToCompare { directory: "runs/b".into(), preset, seed: 2, metrics };
        press(&mut app, "r");
        let run = "runs/quickstart-s1".into();
        update(&mut app, Message::Compared(run, "runs/b".into(), Box::new(read)));
        update(&mut app, Message::Runs((0..20).map(|n| card(&format!("r{n}"))).collect()));
        let screen = |app: &App| {
            let area = app.screen;
            let mut buf = Buffer::empty(area);
            let Some(Overlay::Compare(choice)) = &app.overlay else { panic!("closed") };
            let shown = app.workbench.as_ref().unwrap();
            render(&app.theme, choice, shown, &|run| app.located(run), area, &mut buf);
            buf.content().iter().map(|cell| cell.symbol()).collect::<String>()
        };
        let first = screen(&app);
        assert!(first.contains("↓ 15 more") && first.contains(" of 9: J K") && !first.contains("enlarge"));
        assert!(first.contains("data.objects") && !first.contains(" train.patience "), "{first}");
        press(&mut app, "JJJJJJJJJJJJJJJ");
        let last = screen(&app);
        assert!(last.contains("to 9 of 9") && last.contains(" train.patience "), "{last}");
        press(&mut app, "K");
        assert!(screen(&app).contains("to 8 of 9"), "the way back begins at once");
        press(&mut app, "KKKKKKKKK");
        assert_eq!(screen(&app), first);
        press(&mut app, "G");
        assert!(screen(&app).contains("↑ 15 more"));
    }

    /// A name in wide characters moves no column of the table.
    #[test]
    fn columns_are_aligned_under_wide_names() {
        let mut app = workbench();
        for (run, k) in [("runs/実験のとても長い名前です", "k=6"), ("runs/ab", "k=7")] {
            let preset = preset().set(&[k]).unwrap();
            let read = RunToCompare { directory: run.into(), preset, seed: 1, metrics: Metrics::default() };
            update(&mut app, Message::Compared("runs/quickstart-s1".into(), run.into(), Box::new(read)));
        }
        let area = Rect::new(0, 0, 80, 24);
        let mut buf = Buffer::empty(area);
        let shown = app.workbench.as_ref().unwrap();
        render(&app.theme, &Choice::default(), shown, &|run| app.located(run), area, &mut buf);
        let place = |text: &str| {
            area.positions().find(|at| {
                let cells = (at.x..area.right()).take(text.chars().count()).map(|x| buf[(x, at.y)].symbol());
                cells.collect::<String>() == text
            })
        };
        let (name, value) = (place("ab ").unwrap(), place("7 ").unwrap());
        assert_eq!((name.x, name.y + 1), (value.x, value.y));
        assert!(place("…").is_some(), "the long name is cut to its column");
    }

    fn card(name: &str) -> RunCard {
        let directory = Path::new("runs").join(name);
        RunCard {
            directory,
            preset: preset(),
            seed: 2,
            iteration: 9,
            ami: None,
            changed: SystemTime::UNIX_EPOCH,
            trouble: None,
            ..RunCard::new("runs".into(), preset())
        }
    }
}
