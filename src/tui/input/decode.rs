//! What a terminal sends, as events. A sequence may arrive in pieces, be an answer that comes late, or be garbage.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

/// What a terminal sends.
#[derive(Clone, Debug, PartialEq)]
pub enum TerminalEvent {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse was moved or pressed.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// An answer to a question about the terminal, whenever it comes.
    Answer(Answer),
    /// The terminal has another size.
    Resized,
}

/// What a terminal says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It draws pictures in Kitty's way.
    Kitty,
    /// It draws Sixel pictures.
    Sixel,
    /// The size of its cells, in pixels.
    Cell {
        /// From left to right.
        width: u16,
        /// From top to bottom.
        height: u16,
    },
    /// It works; every terminal says this, and it was asked last.
    Status,
}

/// How long the rest of a sequence may take after its ESC; later, it was the Esc key.
const ESCAPE: Duration = Duration::from_millis(100);
/// The same after two bytes that may also be a key with Alt.
const INTRODUCED: Duration = Duration::from_millis(500);
/// The same after more bytes, which no key sends.
const BEGUN: Duration = Duration::from_secs(2);
/// How long a paste may pause. A paste without an end must not take all keys that follow.
const PASTE_PAUSE: Duration = Duration::from_secs(5);
/// The longest sequence that is kept, in bytes; the rest of a longer one is dropped.
const LONGEST: usize = 256;
/// The longest text that is pasted, in bytes; the rest is dropped.
const LONGEST_PASTE: usize = 64 << 10;

const CONTROL_C: u8 = 3;
const ESC: u8 = 0x1b;
const PASTE_END: &[u8] = b"\x1b[201~";

/// Collects bytes until they are an event.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    state: State,
    /// The sequence so far, without its introduction; in a paste, its text.
    held: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// The Esc key was reported. If the rest of a sequence follows after all, it is not keys.
    Told,
    Escape,
    /// After `ESC [`.
    Control,
    /// After `ESC O`.
    Function,
    /// After `ESC [ [`, which the Linux console sends for F1 to F5.
    Console,
    /// After `ESC [ M`: three bytes about the mouse follow.
    Mouse,
    /// An answer in a string, which this byte has introduced.
    Text(u8),
    /// The same, after an ESC that may end it.
    TextEscape(u8),
    /// Inside a character of several bytes, with Alt or without.
    Letter(KeyModifiers),
    /// Pasted text, of whose end this many bytes have come.
    Paste(usize),
}

impl Decoder {
    /// Takes in what one read has brought.
    pub fn read(&mut self, bytes: &[u8], events: &mut Vec<TerminalEvent>) {
        match self.state {
            State::Told => {
                self.state = State::Ground;
                // Nobody types two keys at once.
                let mut late = Decoder { state: State::Escape, held: Vec::new() };
                if let [b'[' | b'O', _, ..] = bytes {
                    let mut found = Vec::new();
                    bytes.iter().for_each(|byte| late.take(*byte, &mut found));
                    if late.state == State::Ground && found.len() == 1 {
                        return events.append(&mut found);
                    }
                }
            }
            State::Paste(_) if bytes == [CONTROL_C] => self.reset(),
            _ => {}
        }
        bytes.iter().for_each(|byte| self.take(*byte, events));
    }

    /// How long to wait for more bytes; `None` if none are expected.
    pub fn patience(&self) -> Option<Duration> {
        match self.state {
            State::Ground => None,
            State::Escape => Some(ESCAPE),
            State::Control | State::Function | State::Text(_) if self.held.is_empty() => Some(INTRODUCED),
            State::Paste(_) => Some(PASTE_PAUSE),
            _ => Some(BEGUN),
        }
    }

    /// No more bytes have come: tells what those so far mean.
    pub fn give_up(&mut self, events: &mut Vec<TerminalEvent>) {
        let state = self.state;
        let introduction = match state {
            State::Escape => {
                events.push(pressed(KeyCode::Esc, KeyModifiers::NONE));
                self.state = State::Told;
                return;
            }
            State::Paste(_) => return self.end_paste(events),
            State::Control => b'[',
            State::Function => b'O',
            State::Text(introduction) => introduction,
            _ => return self.reset(),
        };
        if self.held.is_empty() {
            events.push(typed(char::from(introduction), KeyModifiers::ALT));
        }
        self.reset();
    }

    fn reset(&mut self) {
        *self = Decoder::default();
    }

    fn hold(&mut self, byte: u8) {
        if self.held.len() < LONGEST {
            self.held.push(byte);
        }
    }

    fn enter(&mut self, state: State) {
        *self = Decoder { state, held: Vec::new() };
    }

    fn take(&mut self, byte: u8, events: &mut Vec<TerminalEvent>) {
        match self.state {
            State::Paste(matched) => self.paste(byte, matched, events),
            State::Text(kind) if byte == ESC => self.state = State::TextEscape(kind),
            State::Text(kind) if byte == 7 => self.end_text(kind, events),
            State::TextEscape(kind) if byte == b'\\' => self.end_text(kind, events),
            State::TextEscape(_) => {
                self.enter(State::Escape);
                self.take(byte, events);
            }
            State::Escape if byte == ESC => events.push(pressed(KeyCode::Esc, KeyModifiers::NONE)),
            State::Escape => self.escaped(byte, events),
            // Control bytes are not part of a sequence, so Ctrl-C works whatever came before.
            state if byte < 0x20 || (byte == 0x7f && state != State::Mouse) => {
                self.reset();
                match byte {
                    ESC => self.enter(State::Escape),
                    _ => events.push(control(byte, KeyModifiers::NONE)),
                }
            }
            State::Ground | State::Told => self.letter(byte, KeyModifiers::NONE, events),
            State::Letter(modifiers) => self.letter(byte, modifiers, events),
            State::Control => self.control(byte, events),
            State::Function | State::Console => {
                let code = match (self.state, byte) {
                    (State::Console, b'A'..=b'E') => Some(KeyCode::F(1 + byte - b'A')),
                    (State::Console, _) => None,
                    _ => named(byte),
                };
                self.reset();
                events.extend(code.map(|code| pressed(code, KeyModifiers::NONE)));
            }
            State::Mouse => {
                self.held.push(byte);
                if let [button, column, row] = self.held[..] {
                    self.reset();
                    let place = |byte: u8| u16::from(byte).checked_sub(33);
                    events.extend(mouse(button.checked_sub(32), place(column), place(row), false));
                }
            }
            State::Text(_) => self.hold(byte),
        }
    }

    fn escaped(&mut self, byte: u8, events: &mut Vec<TerminalEvent>) {
        match byte {
            b'[' => self.enter(State::Control),
            b'O' => self.enter(State::Function),
            b'P' | b']' | b'_' | b'^' | b'X' => self.enter(State::Text(byte)),
            0..0x20 | 0x7f => {
                self.reset();
                events.push(control(byte, KeyModifiers::ALT));
            }
            _ => {
                self.reset();
                self.letter(byte, KeyModifiers::ALT, events);
            }
        }
    }

    /// A byte of a character.
    fn letter(&mut self, byte: u8, modifiers: KeyModifiers, events: &mut Vec<TerminalEvent>) {
        self.held.push(byte);
        match str::from_utf8(&self.held) {
            Ok(text) => {
                events.extend(text.chars().map(|letter| typed(letter, modifiers)));
                self.reset();
            }
            Err(error) if error.error_len().is_none() => self.state = State::Letter(modifiers),
            Err(_) => {
                let begun = self.held.len() > 1;
                self.reset();
                // The byte may begin the next character.
                if begun {
                    self.take(byte, events);
                }
            }
        }
    }

    /// A byte after `ESC [`.
    fn control(&mut self, byte: u8, events: &mut Vec<TerminalEvent>) {
        match byte {
            b'[' if self.held.is_empty() => self.enter(State::Console),
            b'M' if self.held.is_empty() => self.enter(State::Mouse),
            // rxvt ends a key with Shift in this way.
            b'$' if !self.held.starts_with(b"?") => self.reset(),
            0x40..=0x7e => {
                let held = std::mem::take(&mut self.held);
                self.reset();
                match (held.as_slice(), byte) {
                    (b"200", b'~') => self.enter(State::Paste(0)),
                    (held, byte) => events.extend(sequence(held, byte)),
                }
            }
            0x20..=0x3f => self.hold(byte),
            _ => self.reset(),
        }
    }

    fn paste(&mut self, byte: u8, matched: usize, events: &mut Vec<TerminalEvent>) {
        if self.held.len() < LONGEST_PASTE {
            self.held.push(byte);
        }
        let matched = match byte {
            _ if byte == PASTE_END[matched] => matched + 1,
            ESC => 1,
            _ => 0,
        };
        self.state = State::Paste(matched);
        if matched == PASTE_END.len() {
            self.end_paste(events);
        }
    }

    fn end_paste(&mut self, events: &mut Vec<TerminalEvent>) {
        let text = self.held.strip_suffix(PASTE_END).unwrap_or(&self.held);
        events.push(TerminalEvent::Paste(String::from_utf8_lossy(text).into_owned()));
        self.reset();
    }

    fn end_text(&mut self, kind: u8, events: &mut Vec<TerminalEvent>) {
        if let (b'_', Some(answer)) = (kind, self.held.strip_prefix(b"Gi=31;")) {
            events.extend((answer == b"OK").then_some(TerminalEvent::Answer(Answer::Kitty)));
        }
        self.reset();
    }
}

fn pressed(code: KeyCode, modifiers: KeyModifiers) -> TerminalEvent {
    TerminalEvent::Key(KeyEvent::new(code, modifiers))
}

/// A character; a capital letter has Shift.
fn typed(letter: char, modifiers: KeyModifiers) -> TerminalEvent {
    let shift = if letter.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
    pressed(KeyCode::Char(letter), modifiers | shift)
}

/// The key that sends this control byte.
fn control(byte: u8, modifiers: KeyModifiers) -> TerminalEvent {
    let letter = match byte {
        b'\r' => return pressed(KeyCode::Enter, modifiers),
        b'\t' => return pressed(KeyCode::Tab, modifiers),
        0x7f => return pressed(KeyCode::Backspace, modifiers),
        0 => b' ',
        1..=26 => b'a' + byte - 1,
        // As terminals for VT220 keyboards count them.
        _ => (b'4' + byte).saturating_sub(0x1c),
    };
    pressed(KeyCode::Char(char::from(letter)), modifiers | KeyModifiers::CONTROL)
}

/// The key of a sequence's last byte.
fn named(last: u8) -> Option<KeyCode> {
    Some(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'F' => KeyCode::End,
        b'H' => KeyCode::Home,
        b'P'..=b'S' => KeyCode::F(1 + last - b'P'),
        _ => return None,
    })
}

/// The event of `ESC [`, these parameters and this last byte; `None` for an unknown one.
fn sequence(parameters: &[u8], last: u8) -> Option<TerminalEvent> {
    let text = str::from_utf8(parameters).ok()?;
    let (private, text) = match text.chars().next() {
        Some(sign @ ('<' | '=' | '>' | '?')) => (Some(sign), &text[1..]),
        _ => (None, text),
    };
    // A number may have parts, such as `5:3`: the modifiers, and whether the key is pressed or released.
    let parts: Vec<&str> = text.split(';').collect();
    if !parts.iter().flat_map(|part| part.split(':')).all(|n| n.is_empty() || n.parse::<u16>().is_ok()) {
        return None;
    }
    let whole = |at: usize| parts.get(at).and_then(|part| part.split(':').next()?.parse::<u16>().ok());
    let (first, second) = (whole(0), whole(1));
    let released = || parts.get(1).is_some_and(|part| part.ends_with(":3"));
    let modifiers = || modifiers(second.unwrap_or(1));
    let button = |number: Option<u16>| number.and_then(|number| u8::try_from(number).ok());
    let place = |at: usize| whole(at).and_then(|place| place.checked_sub(1));
    match (private, last) {
        (Some('<'), b'M' | b'm') => mouse(button(first), place(1), place(2), last == b'm'),
        (None, b'M') => mouse(button(first).and_then(|n| n.checked_sub(32)), place(1), place(2), false),
        (Some('?'), b'c') => parts.contains(&"4").then_some(TerminalEvent::Answer(Answer::Sixel)),
        (None, b't') if first == Some(6) => {
            let (height, width) = (second.filter(|n| *n > 0)?, whole(2).filter(|n| *n > 0)?);
            Some(TerminalEvent::Answer(Answer::Cell { width, height }))
        }
        (None, b'n') if first == Some(0) => Some(TerminalEvent::Answer(Answer::Status)),
        (None, _) if released() => None,
        (None, b'Z') => Some(pressed(KeyCode::BackTab, KeyModifiers::SHIFT)),
        (None, b'~') => tilde(first?).map(|code| pressed(code, modifiers())),
        (None, b'u') => {
            let code = match char::from_u32(first?.into())? {
                '\x1b' => KeyCode::Esc,
                '\r' => KeyCode::Enter,
                '\t' if modifiers().contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
                '\t' => KeyCode::Tab,
                '\x7f' => KeyCode::Backspace,
                letter => KeyCode::Char(letter),
            };
            Some(pressed(code, modifiers()))
        }
        // Some terminals send the modifiers alone. A report of the cursor's position is not a key.
        (None, _) => {
            let modifiers = match (first, second) {
                (first, Some(_)) if first.is_none_or(|first| first == 1) => modifiers(),
                (Some(_), Some(_)) => return None,
                (alone, _) => self::modifiers(alone.unwrap_or(1)),
            };
            named(last).map(|code| pressed(code, modifiers))
        }
        _ => None,
    }
}

/// The key of `ESC [ number ~`.
fn tilde(number: u16) -> Option<KeyCode> {
    let number = u8::try_from(number).ok()?;
    Some(match number {
        1 | 7 => KeyCode::Home,
        2 => KeyCode::Insert,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        11..=15 => KeyCode::F(number - 10),
        17..=21 => KeyCode::F(number - 11),
        23..=26 => KeyCode::F(number - 12),
        28..=29 => KeyCode::F(number - 15),
        31..=34 => KeyCode::F(number - 17),
        _ => return None,
    })
}

/// The modifiers of a key, which terminals count from 1.
fn modifiers(number: u16) -> KeyModifiers {
    let bits = number.saturating_sub(1);
    let all = [(1, KeyModifiers::SHIFT), (2, KeyModifiers::ALT), (4, KeyModifiers::CONTROL)];
    all.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, modifier)| modifier).collect()
}

/// An event of the mouse, from the button's number with its modifiers.
fn mouse(button: Option<u8>, column: Option<u16>, row: Option<u16>, released: bool) -> Option<TerminalEvent> {
    use MouseButton::{Left, Middle, Right};
    let (bits, column, row) = (button?, column?, row?);
    let moves = bits & 32 != 0;
    let kind = match ((bits & 3) | ((bits & 0xc0) >> 4), moves) {
        (n @ 0..=2, _) => {
            let button = [Left, Middle, Right][usize::from(n)];
            match (moves, released) {
                (true, _) => MouseEventKind::Drag(button),
                (false, true) => MouseEventKind::Up(button),
                (false, false) => MouseEventKind::Down(button),
            }
        }
        (3, false) => MouseEventKind::Up(Left),
        (3..=5, true) => MouseEventKind::Moved,
        (4, false) => MouseEventKind::ScrollUp,
        (5, false) => MouseEventKind::ScrollDown,
        _ => return None,
    };
    let all = [(4, KeyModifiers::SHIFT), (8, KeyModifiers::ALT), (16, KeyModifiers::CONTROL)];
    let modifiers =
        all.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, modifier)| modifier).collect();
    Some(TerminalEvent::Mouse(MouseEvent { kind, column, row, modifiers }))
}

#[cfg(test)]
mod tests;
