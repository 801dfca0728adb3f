//! Pictures in the terminal's own graphics, finer than cells: the protocols of Kitty, Sixel and iTerm2.
//!
//! The view places the pictures, and the gallery encodes them after the cells are drawn. Other terminals show the
//! half-blocks, which are always drawn.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use crossterm::style::Print;
use image::imageops::{FilterType, resize};
use image::{DynamicImage, RgbImage};
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::widgets::Widget;
use ratatui_image::FontSize;
use ratatui_image::picker::{Picker, ProtocolType};
use ratatui_image::protocol::Protocol;
use ratatui_image::{Image, Resize};

use super::input::Answer;
use super::terminal;
use super::view::Placed;

/// A picture stays at least this long, because every change sends a whole picture to the terminal.
const STAYS: Duration = Duration::from_millis(300);

/// Environment variables and values that suggest a terminal with graphics.
const BY_VARIABLE: [&str; 5] =
    ["KITTY_WINDOW_ID", "KONSOLE_VERSION", "WEZTERM_EXECUTABLE", "ITERM_SESSION_ID", "XTERM_VERSION"];
const BY_TERM: [&str; 4] = ["kitty", "foot", "wezterm", "ghostty"];
const BY_PROGRAM: [&str; 6] = ["iTerm", "WezTerm", "ghostty", "vscode", "mintty", "rio"];

/// Asks whether the terminal draws pictures in Kitty's way or Sixel's, how large its cells are, and, because every
/// terminal answers that, whether it works.
const QUESTIONS: &str = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[c\x1b[16t\x1b[5n";

/// Answers that would reach the shell are waited for after the questions, for this long.
const ANSWERS: Duration = Duration::from_millis(500);

/// Whether the environment, read through `variable`, suggests a terminal with graphics. Only such a terminal is asked,
/// because others may print the questions.
pub fn is_likely(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let (term, program) = (set("TERM").unwrap_or_default(), set("TERM_PROGRAM").unwrap_or_default());
    // Inside tmux or screen these variables describe the outer terminal, which pictures may not reach.
    let inside = term.starts_with("screen") || term.starts_with("tmux") || program == "tmux";
    !inside
        && (BY_VARIABLE.iter().any(|name| set(name).is_some())
            || BY_TERM.iter().any(|name| term.contains(name))
            || BY_PROGRAM.iter().any(|name| program.contains(name)))
}

/// The pictures on the screen.
pub struct Gallery {
    /// How they are encoded, once the terminal has answered that it can draw them.
    picker: Option<Picker>,
    answers: Vec<Answer>,
    asked: Instant,
    shown: Vec<ShownPicture>,
}

/// An encoded picture on the screen.
struct ShownPicture {
    area: Rect,
    /// The hash of its pixels.
    hash: u64,
    since: Instant,
    protocol: Protocol,
}

impl Gallery {
    /// Asks the terminal, which must be in raw mode, for its protocol. Nobody waits for its answers: it may give none.
    pub fn ask() -> Gallery {
        terminal::send(Print(QUESTIONS));
        Gallery { picker: None, answers: Vec::new(), asked: Instant::now(), shown: Vec::new() }
    }

    /// Hears an answer. True if pictures can be drawn from now on.
    pub fn hear(&mut self, answer: Answer) -> bool {
        self.answers.push(answer);
        if answer == Answer::Status && self.picker.is_none() {
            self.picker = picker(&self.answers, |name| std::env::var(name).ok());
        }
        answer == Answer::Status && self.picker.is_some()
    }

    /// How long to wait for answers that may still come.
    pub fn awaits(&self) -> Duration {
        match self.answers.contains(&Answer::Status) {
            true => Duration::ZERO,
            false => ANSWERS.saturating_sub(self.asked.elapsed()),
        }
    }

    /// Draws the pictures over the cells of `buf`. True if an older picture was kept for now, so that another frame is
    /// needed.
    pub fn draw(&mut self, placed: &[Placed], buf: &mut Buffer) -> bool {
        let mut before = std::mem::take(&mut self.shown);
        let mut late = false;
        for picture in placed.iter().filter(|picture| !picture.area.is_empty()) {
            let hash = hash(picture);
            let old = before.iter().position(|shown| shown.area == picture.area);
            let shown = match old.map(|at| before.swap_remove(at)) {
                Some(shown) if shown.hash == hash => shown,
                Some(shown) if shown.since.elapsed() < STAYS => {
                    late = true;
                    shown
                }
                _ => match self.encode(picture) {
                    Some(protocol) => {
                        ShownPicture { area: picture.area, hash, since: Instant::now(), protocol }
                    }
                    // Keep the half-blocks.
                    None => continue,
                },
            };
            Image::new(&shown.protocol).render(shown.area, buf);
            self.shown.push(shown);
        }
        late
    }

    /// Forgets all pictures, after the terminal has lost them.
    pub fn forget(&mut self) {
        self.shown.clear();
    }

    fn encode(&self, picture: &Placed) -> Option<Protocol> {
        let picker = self.picker.as_ref()?;
        let (cell, area) = (picker.font_size(), picture.area);
        let [width, height] = [picture.width, picture.height].map(|n| u32::try_from(n).ok());
        let image = RgbImage::from_raw(width?, height?, picture.rgb.clone())?;
        let (across, down) =
            (u32::from(area.width) * u32::from(cell.width), u32::from(area.height) * u32::from(cell.height));
        let image = resize(&image, across, down, FilterType::Nearest);
        let size = Size::new(area.width, area.height);
        picker.new_protocol(DynamicImage::ImageRgb8(image), size, Resize::Fit(None)).ok()
    }
}

/// How to encode pictures for a terminal that has given these answers; `None` if it can only show cells.
#[expect(deprecated, reason = "the other constructor reads the answers itself, and with them the keys")]
fn picker(answers: &[Answer], variable: impl Fn(&str) -> Option<String>) -> Option<Picker> {
    let cell = answers.iter().find_map(|answer| match answer {
        Answer::Cell { width, height } => Some(FontSize::new(*width, *height)),
        _ => None,
    });
    let measured = || {
        let size = crossterm::terminal::window_size().ok()?;
        let cell = |pixels: u16, cells: u16| pixels.checked_div(cells).filter(|cell| *cell > 0);
        Some(FontSize::new(cell(size.width, size.columns)?, cell(size.height, size.rows)?))
    };
    // Knows from the environment which terminals draw in iTerm2's way.
    let mut picker = Picker::from_fontsize(cell.or_else(measured)?);
    // These two draw the other ways incompletely.
    let other = ["WEZTERM_EXECUTABLE", "KONSOLE_VERSION"];
    if !other.iter().any(|name| variable(name).is_some_and(|value| !value.is_empty())) {
        if answers.contains(&Answer::Kitty) {
            picker.set_protocol_type(ProtocolType::Kitty);
        } else if answers.contains(&Answer::Sixel) {
            picker.set_protocol_type(ProtocolType::Sixel);
        }
    }
    (picker.protocol_type() != ProtocolType::Halfblocks).then_some(picker)
}

fn hash(picture: &Placed) -> u64 {
    let mut hasher = DefaultHasher::new();
    (picture.width, &picture.rgb).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gallery(kind: ProtocolType) -> Gallery {
        let mut picker = Picker::halfblocks();
        picker.set_protocol_type(kind);
        Gallery { picker: Some(picker), answers: Vec::new(), asked: Instant::now(), shown: Vec::new() }
    }

    fn placed(x: u16, value: u8) -> Placed {
        Placed { area: Rect::new(x, 0, 4, 2), width: 2, height: 2, rgb: vec![value; 12] }
    }

    fn drawn(gallery: &mut Gallery, placed: &[Placed]) -> (String, bool) {
        let mut buf = Buffer::empty(Rect::new(0, 0, 10, 2));
        let late = gallery.draw(placed, &mut buf);
        (buf.content.iter().map(|cell| cell.symbol()).collect(), late)
    }

    #[test]
    fn each_way_of_drawing_says_so() {
        for (kind, words) in [
            (ProtocolType::Kitty, "\u{1b}_G"),
            (ProtocolType::Sixel, "\u{1b}P"),
            (ProtocolType::Iterm2, "\u{1b}]1337;File="),
        ] {
            let (text, late) = drawn(&mut gallery(kind), &[placed(0, 200)]);
            assert!(text.contains(words) && !late, "{kind:?}: {text:?}");
        }
    }

    /// An unchanged picture is not sent again, and one that changes soon is delayed.
    #[test]
    fn a_picture_is_sent_once_and_then_no_sooner_than_it_may() {
        let mut gallery = gallery(ProtocolType::Kitty);
        let sent = |text: &str| text.matches("\u{1b}_G").count();
        assert!(sent(&drawn(&mut gallery, &[placed(0, 1), placed(5, 2)]).0) >= 2);
        let (text, late) = drawn(&mut gallery, &[placed(0, 1), placed(5, 2)]);
        assert_eq!((sent(&text), late), (0, false));
        let (text, late) = drawn(&mut gallery, &[placed(0, 9)]);
        assert_eq!((sent(&text), late, gallery.shown.len()), (0, true, 1));
        gallery.shown[0].since -= STAYS;
        assert!(sent(&drawn(&mut gallery, &[placed(0, 9)]).0) >= 1);
        // A picture in another place is another picture.
        assert!(sent(&drawn(&mut gallery, &[placed(5, 9)]).0) >= 1);
    }

    #[test]
    fn the_answers_say_how_pictures_are_drawn_and_the_last_one_that_all_have_come() {
        let cell = Answer::Cell { width: 8, height: 16 };
        let kind = |answers: &[Answer], variables: &[&str]| {
            let variable = |name: &str| variables.contains(&name).then(|| "1".to_owned());
            picker(answers, variable).map(|picker| picker.protocol_type())
        };
        assert_eq!(kind(&[Answer::Sixel, cell, Answer::Kitty], &[]), Some(ProtocolType::Kitty));
        assert_eq!(kind(&[Answer::Sixel, cell], &[]), Some(ProtocolType::Sixel));
        assert_eq!(kind(&[cell], &[]), None);
        assert_ne!(kind(&[Answer::Kitty, cell], &["KONSOLE_VERSION"]), Some(ProtocolType::Kitty));
        let mut gallery = Gallery { picker: None, ..gallery(ProtocolType::Kitty) };
        assert_eq!(drawn(&mut gallery, &[placed(0, 1)]).0.trim(), "", "it has not answered");
        assert_eq!(
            [Answer::Kitty, cell, Answer::Status].map(|answer| gallery.hear(answer)),
            [false, false, true]
        );
        assert!(gallery.awaits().is_zero());
        assert!(drawn(&mut gallery, &[placed(0, 1)]).0.contains("\u{1b}_G"));
    }

    #[test]
    fn only_terminals_that_may_know_are_asked() {
        let likely = |pairs: &[(&str, &str)]| {
            is_likely(|name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned()))
        };
        assert!(likely(&[("TERM", "xterm-kitty")]));
        assert!(likely(&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "iTerm.app")]));
        assert!(likely(&[("TERM", "xterm-256color"), ("KONSOLE_VERSION", "230804")]));
        assert!(likely(&[("TERM", "xterm"), ("XTERM_VERSION", "XTerm(379)")]));
        assert!(!likely(&[("TERM", "xterm-256color")]));
        assert!(!likely(&[("TERM", "tmux-256color"), ("KITTY_WINDOW_ID", "1")]));
    }
}
