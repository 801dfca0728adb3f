//! The line on which a command is typed after `:`, with completion and a history.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};
use tui_input::backend::crossterm::EventHandler;
use tui_input::{Input, InputRequest};

use crate::tui::theme::Theme;
use crate::tui::view::parts::put;
use crate::tui::width::skipped;

/// The number of lines kept in the history.
const REMEMBERED: usize = 100;

/// The longest line that a paste makes, in bytes: longer than any path.
const LONGEST: usize = 8192;

/// The largest number of completions shown.
const SHOWN: usize = 8;

/// A completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The completed line.
    pub line: String,
    /// The argument that follows.
    pub takes: &'static str,
    /// What it does.
    pub help: &'static str,
}

/// A directory to list, to complete a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The directory, as it was typed.
    pub directory: String,
    /// What it may hold besides directories.
    pub wants: Wanted,
}

/// What a name that is being typed may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// An image that can be opened.
    Image,
    /// A run, which is a directory.
    Run,
    /// A run, a checkpoint or the name of a model.
    Weights,
}

/// How a line is completed.
pub enum Completions {
    /// With one of these, best first.
    Offers(Vec<Offer>),
    /// With the names in a directory.
    Names {
        /// The directory.
        listing: Listing,
        /// The line up to the name.
        before: String,
        /// How the name begins.
        begun: String,
    },
}

/// Finds how a line is completed.
pub type Complete<'a> = &'a dyn Fn(&str) -> Completions;

/// The line that is being typed.
#[derive(Clone, Debug, Default)]
pub struct Palette {
    /// The text and the cursor.
    pub input: Input,
    /// What was typed before Tab, and the completion chosen since.
    completing: Option<(String, usize)>,
    /// How far back in the history the line comes from.
    back: usize,
    /// The directory being completed, and its entries.
    files: Option<(Listing, Vec<String>)>,
}

/// What a key did to the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is still being typed.
    Typing,
    /// It was cancelled.
    Closed,
    /// Run it.
    Entered(String),
}

impl Palette {
    /// With this line to be completed or changed.
    pub fn with(line: String) -> Palette {
        Palette { input: Input::new(line), ..Palette::default() }
    }

    /// Handles a key.
    pub fn press(&mut self, key: KeyEvent, complete: Complete, history: &[String]) -> Outcome {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => return Outcome::Closed,
            KeyCode::Char('g') if control => return Outcome::Closed,
            KeyCode::Backspace if self.input.value().is_empty() => return Outcome::Closed,
            KeyCode::Enter => return Outcome::Entered(self.input.value().trim().to_owned()),
            KeyCode::Tab => self.complete(1, complete),
            KeyCode::BackTab => self.complete(-1, complete),
            KeyCode::Up => self.recall(1, history),
            KeyCode::Down => self.recall(-1, history),
            _ => {
                self.completing = None;
                self.input.handle_event(&Event::Key(key));
            }
        }
        Outcome::Typing
    }

    /// Types a pasted text at the cursor, in one line.
    pub fn paste(&mut self, text: &str) {
        self.completing = None;
        let words: Vec<&str> = text.split(['\r', '\n', '\t']).filter(|line| !line.is_empty()).collect();
        let words = words.join(" ");
        let room = LONGEST.saturating_sub(self.input.value().len());
        for letter in words.chars().filter(|letter| !letter.is_control()).take(room) {
            self.input.handle(InputRequest::InsertChar(letter));
        }
    }

    /// The text to complete, as it was typed.
    fn typed(&self) -> &str {
        self.completing.as_ref().map_or(self.input.value(), |(typed, _)| typed)
    }

    /// The directory to list for completion, once for each.
    pub fn to_list(&mut self, complete: Complete) -> Option<Listing> {
        let Completions::Names { listing, .. } = complete(self.input.value()) else { return None };
        if self.files.as_ref().is_some_and(|(listed, _)| *listed == listing) {
            return None;
        }
        self.files = Some((listing.clone(), Vec::new()));
        Some(listing)
    }

    /// Stores the entries of a directory, if it is still the one being completed.
    pub fn list(&mut self, listing: &Listing, names: Vec<String>) {
        if let Some((listed, files)) = &mut self.files
            && listed == listing
        {
            *files = names;
        }
    }

    /// The completions of `typed`.
    fn all_offers(&self, typed: &str, complete: Complete) -> Vec<Offer> {
        match (complete(typed), &self.files) {
            (Completions::Offers(offers), _) => offers,
            (Completions::Names { listing, before, begun }, Some((listed, names))) if listing == *listed => {
                let names = names.iter().filter(|name| name.starts_with(&begun));
                names.map(|name| Offer { line: format!("{before}{name}"), takes: "", help: "" }).collect()
            }
            (Completions::Names { .. }, _) => vec![],
        }
    }

    /// The completions, the best first, and which of them the line holds.
    pub fn offers(&self, complete: Complete) -> (Vec<Offer>, Option<usize>) {
        (self.all_offers(self.typed(), complete), self.completing.as_ref().map(|(_, at)| *at))
    }

    fn complete(&mut self, by: i64, complete: Complete) {
        let typed = self.typed().to_owned();
        let offers = self.all_offers(&typed, complete);
        if offers.is_empty() {
            return;
        }
        let at = match &self.completing {
            Some((_, at)) => (*at as i64 + by).rem_euclid(offers.len() as i64) as usize,
            None if by > 0 => 0,
            None => offers.len() - 1,
        };
        self.input = Input::new(offers[at].line.clone());
        // The next Tab completes inside a chosen directory.
        self.completing = (!self.input.value().ends_with('/')).then_some((typed, at));
    }

    fn recall(&mut self, by: i64, history: &[String]) {
        let back = self.back.saturating_add_signed(by as isize).min(history.len());
        if back == self.back {
            return;
        }
        self.back = back;
        self.completing = None;
        let line = if back == 0 { "" } else { &history[history.len() - back] };
        self.input = Input::new(line.to_owned());
    }
}

/// Adds a line to the history; an earlier copy of it is removed.
pub fn remember(history: &mut Vec<String>, line: &str) {
    history.retain(|old| old != line);
    history.push(line.to_owned());
    let surplus = history.len().saturating_sub(REMEMBERED);
    history.drain(..surplus);
}

/// Draws it over the lowest lines.
pub fn render(theme: &Theme, palette: &Palette, complete: Complete, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let (offers, chosen) = palette.offers(complete);
    let most = usize::from(area.height - 1).min(SHOWN);
    // The last line says how many there are if they do not fit.
    let room = if offers.len() > most { most.saturating_sub(1) } else { most };
    // The chosen one stays visible.
    let from = chosen.map_or(0, |chosen| (chosen + 1).saturating_sub(room)).min(offers.len());
    let shown = &offers[from..offers.len().min(from + room)];
    let top = area.bottom() - 1 - offers.len().min(most) as u16;
    Clear.render(Rect { y: top, height: area.bottom() - top, ..area }, buf);
    for (i, (offer, y)) in shown.iter().zip(top..).enumerate() {
        let line = Line::from(vec![
            Span::styled(format!(" {} ", offer.line.trim_end()), theme.strong()),
            Span::styled(format!("{}  ", offer.takes), theme.dim()),
            Span::styled(offer.help, theme.dim()),
        ]);
        let line = if chosen == Some(from + i) { line.style(theme.selected()) } else { line };
        put(&line, area.x, y, area.width, buf);
    }
    let y = area.bottom() - 1;
    if shown.len() < offers.len() && y > top {
        let hidden = format!(" {} to {} of {}: tab", from + 1, from + shown.len(), offers.len());
        put(&Line::styled(hidden, theme.dim()), area.x, y - 1, area.width, buf);
    }
    let input = &palette.input;
    // The cursor stays visible at any width.
    let scroll = input.visual_scroll(usize::from(area.width.saturating_sub(2)));
    let text = skipped(input.value(), scroll);
    put(&Line::from(vec![Span::styled(":", theme.accent()), Span::raw(text)]), area.x, y, area.width, buf);
    let at = area.x + 1 + input.visual_cursor().saturating_sub(scroll) as u16;
    if let Some(cell) = buf.cell_mut((at.min(area.right() - 1), y)) {
        cell.modifier.insert(Modifier::REVERSED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Command;
    use crate::tui::app::Context;
    use crate::tui::command_line::{completions, offers};
    use crate::tui::testing;
    use crate::tui::testing::{own, sent, with_a_sample};
    use crate::tui::theme::Depth;
    use crate::tui::update::{Effect, Message, update};

    fn in_workbench(typed: &str) -> Completions {
        completions(typed, Context::Workbench)
    }

    fn press(palette: &mut Palette, keys: &str, history: &[String]) -> Outcome {
        let mut outcome = Outcome::Typing;
        for c in keys.chars() {
            let code = match c {
                '⇥' => KeyCode::Tab,
                '↑' => KeyCode::Up,
                '↓' => KeyCode::Down,
                '↵' => KeyCode::Enter,
                '⎋' => KeyCode::Esc,
                '⌫' => KeyCode::Backspace,
                '←' => KeyCode::Left,
                c => KeyCode::Char(c),
            };
            outcome = palette.press(KeyEvent::from(code), &in_workbench, history);
        }
        outcome
    }

    #[test]
    fn tab_completes_the_best_match_and_goes_on_through_the_others() {
        let mut palette = Palette::default();
        press(&mut palette, "noi⇥", &[]);
        assert_eq!(palette.input.value(), "noise ");
        let mut palette = Palette::default();
        press(&mut palette, "set sg⇥", &[]);
        assert_eq!(palette.input.value(), "set sigma ");
        assert_eq!(press(&mut palette, "0.3↵", &[]), Outcome::Entered("set sigma 0.3".into()));
        let mut palette = Palette::default();
        press(&mut palette, "fork b⇥", &[]);
        assert_eq!(press(&mut palette, "k=5↵", &[]), Outcome::Entered("fork best k=5".into()));
        assert!(offers("fork b", Context::Model).is_empty(), "a model is not trained");
        let mut palette = Palette::default();
        press(&mut palette, "fork he⇥noi⇥", &[]);
        assert_eq!(palette.input.value(), "fork here noise=");
        press(&mut palette, "Bitflip(probability: 0.2) tr.pat⇥", &[]);
        assert_eq!(palette.input.value(), "fork here noise=Bitflip(probability: 0.2) train.patience=");
        let all = |typed| offers(typed, Context::Workbench).len();
        assert_eq!(
            (all("fork noise=Bitflip(pro"), all("fork k=5 best")),
            (0, 0),
            "inside a value; not the first"
        );
        assert!(all("restart ") > 7 && all("fork ") == all("restart ") + 3);
        let mut palette = Palette::default();
        press(&mut palette, "s⇥", &[]);
        let first = palette.input.value().to_owned();
        press(&mut palette, "⇥", &[]);
        assert_ne!(palette.input.value(), first);
    }

    #[test]
    fn files_are_completed_directory_by_directory() {
        let mut palette = Palette::default();
        let value = |palette: &Palette| palette.input.value().to_owned();
        press(&mut palette, "open ", &[]);
        assert_eq!(
            palette.to_list(&|typed| completions(typed, Context::Picker)),
            None,
            "nothing is opened there"
        );
        let of = |directory: &str| Listing { directory: directory.into(), wants: Wanted::Image };
        assert_eq!(palette.to_list(&in_workbench), Some(of("")));
        assert_eq!(palette.to_list(&in_workbench), None, "once");
        palette.list(&of(""), ["a.png", "b.gif", "bees/", "c.npy"].map(String::from).to_vec());
        assert_eq!(palette.offers(&in_workbench).0.len(), 4);
        press(&mut palette, "b⇥", &[]);
        assert_eq!(value(&palette), "open b.gif");
        press(&mut palette, "⇥", &[]);
        assert_eq!(value(&palette), "open bees/");
        assert_eq!(palette.to_list(&in_workbench), Some(of("bees/")));
        palette.list(&of(""), vec!["late.png".into()]);
        assert!(palette.offers(&in_workbench).0.is_empty(), "that was another directory's");
        palette.list(&of("bees/"), vec!["one bee.png".into()]);
        press(&mut palette, "⇥", &[]);
        assert_eq!(press(&mut palette, "↵", &[]), Outcome::Entered("open bees/one bee.png".into()));
        let mut palette = Palette::default();
        press(&mut palette, "compare r", &[]);
        let runs = palette.to_list(&in_workbench).unwrap();
        assert_eq!(runs.wants, Wanted::Run, "a run is a directory");
        palette.list(&runs, vec!["runs/".into()]);
        press(&mut palette, "⇥", &[]);
        assert_eq!(value(&palette), "compare runs/");
        assert_eq!(
            palette.to_list(&|typed| completions(typed, Context::Model)),
            None,
            "a model has no curves"
        );
    }

    /// (state, keys, lines): what is hidden is said, and tab reaches it.
    #[test]
    fn completions_that_have_no_room_are_counted() {
        let mut palette = Palette::default();
        let screen = |palette: &Palette| {
            let area = Rect::new(0, 0, 40, 12);
            let mut buf = Buffer::empty(area);
            render(&Theme::new(Depth::Plain), palette, &in_workbench, area, &mut buf);
            let row = |y| (0..40).map(|x| buf[(x, y)].symbol()).collect::<String>();
            (0..12).map(row).collect::<Vec<_>>()
        };
        let all = offers("", Context::Workbench).len();
        let shown = screen(&palette);
        assert_eq!(shown[10].trim(), format!("1 to 7 of {all}: tab"));
        assert!(shown[3].starts_with(" set ") && shown[2].trim().is_empty(), "{shown:#?}");
        press(&mut palette, "⇥⇥⇥⇥⇥⇥⇥⇥⇥", &[]);
        assert_eq!(screen(&palette)[10].trim(), format!("3 to 9 of {all}: tab"));
        press(&mut palette, "⌫⌫⌫⌫⌫⌫⌫⌫⌫⌫⌫⌫⌫⌫noise", &[]);
        assert!(!screen(&palette).concat().contains(": tab"), "all of them fit");
    }

    #[test]
    fn the_history_is_walked_and_the_line_edited() {
        let history = vec!["k 4".to_owned(), "noise 0.1".to_owned()];
        let mut palette = Palette::default();
        press(&mut palette, "↑↑", &history);
        assert_eq!(palette.input.value(), "k 4");
        press(&mut palette, "↓", &history);
        assert_eq!(palette.input.value(), "noise 0.1");
        press(&mut palette, "⌫2", &history);
        assert_eq!(press(&mut palette, "↵", &history), Outcome::Entered("noise 0.2".into()));
        assert_eq!(press(&mut Palette::default(), "⌫", &[]), Outcome::Closed);
        assert_eq!(press(&mut palette, "⎋", &[]), Outcome::Closed);
    }

    #[test]
    fn the_history_holds_a_line_once() {
        let mut history = vec![];
        for line in ["a", "b", "a"] {
            remember(&mut history, line);
        }
        assert_eq!(history, ["b", "a"]);
    }

    #[test]
    fn a_file_that_is_being_named_is_completed() {
        let mut app = with_a_sample();
        let of = |directory: &str| Listing { directory: directory.into(), wants: Wanted::Image };
        assert_eq!(testing::press(&mut app, ":open "), [Effect::List("/here".into(), of(""))]);
        update(&mut app, Message::Listed(of(""), vec!["a.png".into(), "my/".into()]));
        assert_eq!(testing::press(&mut app, "m⇥"), [Effect::List("/here/my".into(), of("my/"))]);
        update(&mut app, Message::Listed(of("my/"), vec!["b.png".into()]));
        let image = own("/here/my/b.png", false, 1);
        assert_eq!(sent(&testing::press(&mut app, "⇥↵")), [Command::Input(Some(image))]);
        assert_eq!(
            testing::press(&mut app, ":open ~/").last(),
            Some(&Effect::List("/home/me".into(), of("~/")))
        );
        let runs = Listing { directory: "runs/".into(), wants: Wanted::Run };
        assert_eq!(
            testing::press(&mut app, "⎋:compare runs/").last(),
            Some(&Effect::List("/here/runs".into(), runs))
        );
    }
}
