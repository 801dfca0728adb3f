//! The offer to train a run further that is over.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::theme::Theme;
use crate::tui::view::parts::question;

/// The most epochs that can be chosen at once.
const MOST: u64 = 100_000;

/// How many epochs more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Further {
    /// The chosen number; 0 while it is being typed.
    pub epochs: u64,
    /// Whether it was typed.
    typed: bool,
    /// The epochs done, and how many were allowed.
    done: (u64, u64),
}

/// What a key decides.
#[derive(Debug, PartialEq, Eq)]
pub enum Chosen {
    /// The offer stays open.
    Open(Further),
    /// Train this many epochs.
    Train(u64),
    /// Only look.
    Look,
}

impl Further {
    /// For a run that has done `done` of the `of` epochs that its preset allows.
    pub fn new(done: u64, of: u64) -> Further {
        let epochs = ladder().take_while(|step| *step <= (of / 5).max(1)).last().unwrap_or(1);
        Further { epochs, typed: false, done: (done, of) }
    }

    /// Handles a key.
    pub fn press(mut self, key: KeyCode) -> Chosen {
        match key {
            KeyCode::Enter if self.epochs > 0 => return Chosen::Train(self.epochs),
            KeyCode::Enter => {}
            KeyCode::Up | KeyCode::Char('k' | '+') => {
                self.epochs = ladder().find(|step| *step > self.epochs).unwrap_or(MOST);
            }
            KeyCode::Down | KeyCode::Char('j' | '-') => {
                self.epochs = ladder().take_while(|step| *step < self.epochs).last().unwrap_or(1);
            }
            KeyCode::Char(digit @ '0'..='9') => {
                let before = if self.typed { self.epochs } else { 0 };
                self.epochs = (10 * before + u64::from(digit) - u64::from('0')).min(MOST);
                self.typed = true;
            }
            KeyCode::Backspace => {
                (self.epochs, self.typed) = (self.epochs / 10, true);
            }
            _ => return Chosen::Look,
        }
        Chosen::Open(self)
    }

    /// Draws the offer.
    pub fn render(&self, theme: &Theme, area: Rect, buf: &mut Buffer) {
        let (done, of) = self.done;
        let state = match done < of {
            true => format!("It has stopped early, after {done} of {of} epochs."),
            false => format!("It has done all its {of} epochs."),
        };
        let more = if self.epochs == 0 { "…".into() } else { self.epochs.to_string() };
        let answers = format!("↵    trains {more} more\n↑ ↓  another number, or type it\nesc  only looks");
        question(theme, "Train further?", (&state, &answers), area, buf);
    }
}

/// 1, 2, 5, 10, …
fn ladder() -> impl Iterator<Item = u64> {
    let rung = |n: u32| [1, 2, 5][n as usize % 3] * 10u64.pow(n / 3);
    (0..16).map(rung).filter(|rung| *rung <= MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_number_is_offered() {
        for (of, epochs) in [(1, 1), (5, 1), (30, 5), (150, 20), (500, 100), (u64::MAX, MOST)] {
            assert_eq!(Further::new(of, of).epochs, epochs, "{of}");
        }
    }

    #[test]
    fn another_number_is_walked_to_or_typed() {
        let after = |keys: &str| {
            let mut further = Further::new(150, 150);
            for key in keys.chars() {
                let code = match key {
                    '↑' => KeyCode::Up,
                    '↓' => KeyCode::Down,
                    '<' => KeyCode::Backspace,
                    key => KeyCode::Char(key),
                };
                further = match further.press(code) {
                    Chosen::Open(further) => further,
                    other => panic!("{keys}: {other:?}"),
                };
            }
            further
        };
        for (keys, epochs) in
            [("", 20), ("↑", 50), ("↓↓", 5), ("↓↓↓↓↓↓↓", 1), ("35", 35), ("35<", 3), ("35↑", 50), ("<<", 0)]
        {
            assert_eq!(after(keys).epochs, epochs, "{keys}");
        }
        assert_eq!(after("<<").press(KeyCode::Enter), Chosen::Open(after("<<")), "no number yet");
        assert_eq!(after("7").press(KeyCode::Enter), Chosen::Train(7));
        assert_eq!(after("7").press(KeyCode::Esc), Chosen::Look);
    }
}
