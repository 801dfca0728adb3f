//! Building blocks of the screen and the overlays: panes, lines, questions.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Block, BorderType, Clear, Widget};

use crate::tui::theme::Theme;
use crate::tui::width::width;

/// A picture and its place, for a terminal that draws pictures itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The cells that it covers.
    pub area: Rect,
    /// Its pixels.
    pub width: usize,
    /// Its rows of pixels.
    pub height: usize,
    /// Three bytes a pixel, row by row.
    pub rgb: Vec<u8>,
}

impl Placed {
    /// Inverts a pixel, to make it visible.
    pub fn mark(&mut self, x: usize, y: usize) {
        if let Some(pixel) = self.rgb.get_mut(3 * (y * self.width + x)..).and_then(|rgb| rgb.get_mut(..3)) {
            pixel.iter_mut().for_each(|byte| *byte = if *byte > 127 { 0 } else { 255 });
        }
    }
}

/// The drawing surface: cells, and the pictures placed on them.
pub struct Sheet<'a> {
    /// The cells.
    pub cells: &'a mut Buffer,
    /// The pictures, from the first drawn on.
    pub pictures: Vec<Placed>,
}

/// A pane with a title in its border; returns what is inside.
pub fn pane(title: Line, focused: bool, theme: &Theme, area: Rect, buf: &mut Buffer) -> Rect {
    let style = if focused { theme.accent() } else { theme.dim() };
    Block::bordered().border_type(BorderType::Rounded).border_style(style).render(area, buf);
    put(&title, area.x + 1, area.y, area.width.saturating_sub(2), buf);
    inside(area)
}

/// The area inside a pane's border.
pub fn inside(area: Rect) -> Rect {
    Block::bordered().inner(area)
}

/// Writes a line in at most `width` columns. One that is cut ends in an ellipsis.
pub fn put(line: &Line, x: u16, y: u16, width: u16, buf: &mut Buffer) {
    if y >= buf.area.bottom() || x >= buf.area.right() {
        return;
    }
    let width = width.min(buf.area.right() - x);
    if line.width() <= usize::from(width) {
        buf.set_line(x, y, line, width);
    } else if width > 0 {
        let (end, _) = buf.set_line(x, y, line, width - 1);
        let style = if end > x { buf[(end - 1, y)].style() } else { line.style };
        buf.set_string(end, y, "…", style);
    }
}

/// The line in parts of at most `room` columns, split between words, and within words that are longer.
pub fn wrapped(line: &str, room: usize) -> Vec<String> {
    if width(line) <= room {
        return vec![line.to_owned()];
    }
    line.split_whitespace().fold(Vec::new(), |mut parts: Vec<String>, word| {
        match parts.last_mut() {
            Some(part) if width(part) + 1 + width(word) <= room => {
                part.push(' ');
                part.push_str(word);
            }
            _ => parts.extend(broken(word, room)),
        }
        parts
    })
}

/// The word in parts of at most `room` columns; a character that is wider is a part of its own.
fn broken(word: &str, room: usize) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut left = room;
    for character in word.chars() {
        let columns = width(character.encode_utf8(&mut [0; 4]));
        if columns > left && left < room {
            parts.push(String::new());
            left = room;
        }
        left = left.saturating_sub(columns);
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts
}

/// Lines in a pane of their size, in the middle of the screen.
pub fn over<'a>(theme: &Theme, title: impl Into<Line<'a>>, lines: &[Line], area: Rect, buf: &mut Buffer) {
    let title = title.into().style(theme.accent());
    let columns = lines.iter().map(Line::width).max().unwrap_or(0).max(title.width()) as u16 + 4;
    let columns = columns.min(area.width);
    let height = (lines.len() as u16 + 2).min(area.height);
    let at =
        Rect::new(area.x + (area.width - columns) / 2, area.y + (area.height - height) / 2, columns, height);
    Clear.render(at, buf);
    let inner = pane(title, true, theme, at, buf);
    let room = usize::from(inner.height);
    for (line, y) in lines.iter().zip(inner.y..inner.bottom()) {
        put(line, inner.x, y, inner.width, buf);
    }
    if lines.len() > room && room > 0 {
        let note = format!(" +{} more; enlarge the terminal", lines.len() - room + 1);
        let blank = Line::raw(" ".repeat(usize::from(inner.width)));
        put(&blank, inner.x, inner.bottom() - 1, inner.width, buf);
        put(&Line::styled(note, theme.warning()), inner.x, inner.bottom() - 1, inner.width, buf);
    }
}

/// A question in the middle of the screen: a text, and the answers, with long lines wrapped. Where there is little room,
/// blank lines go first, then the end of the text: what can be answered is always shown.
pub fn question(theme: &Theme, title: &str, (text, answers): (&str, &str), area: Rect, buf: &mut Buffer) {
    let room = usize::from(area.width.saturating_sub(8)).max(1);
    let wrap = |text: &str| text.lines().flat_map(|line| wrapped(line, room)).collect::<Vec<_>>();
    let (mut text, answers) = (wrap(text), wrap(answers));
    let left = usize::from(area.height.saturating_sub(2)).saturating_sub(answers.len());
    if text.len() > left {
        text.truncate(left);
        text.iter_mut().next_back().into_iter().for_each(|line| *line += "…");
    }
    let spare = left - text.len();
    let between = usize::from(spare > 0 && !text.is_empty() && !answers.is_empty());
    let around = usize::from(spare >= between + 2);
    let blank = |lines: usize| vec![String::new(); lines];
    let lines = [blank(around), text, blank(between), answers, blank(around)].concat();
    let lines: Vec<Line> = lines.into_iter().map(|line| Line::raw(format!("  {line}  "))).collect();
    over(theme, format!(" {title} "), &lines, area, buf);
}

/// How many of `lines` lines are above the first on the screen: line `chosen` stays in view, with some of what follows.
pub fn lines_above(chosen: usize, lines: usize, height: usize) -> usize {
    (chosen + 1 + height / 3).min(lines).saturating_sub(height)
}

/// Splits off the first and the last line, if there is room for more.
pub fn frame_lines(area: Rect, first: u16, last: u16) -> [Rect; 3] {
    Layout::vertical([Constraint::Length(first), Constraint::Min(0), Constraint::Length(last)]).areas(area)
}

/// The style of a title's text.
pub fn title_style(theme: &Theme, focused: bool) -> Style {
    if focused { theme.accent() } else { theme.strong() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Depth;

    #[test]
    fn long_lines_are_parted_between_words() {
        assert_eq!(wrapped("y  save", 10), ["y  save"], "what fits stays as it is");
        assert_eq!(wrapped("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(wrapped("immeasurable", 4), ["imme", "asur", "able"]);
        assert_eq!(wrapped("it is immeasurable", 5), ["it is", "immea", "surab", "le"]);
    }

    #[test]
    fn wide_characters_are_parted_where_the_room_ends() {
        assert_eq!(wrapped("実験の記録", 5), ["実験", "の記", "録"]);
        assert_eq!(wrapped("a 実験の記録 b", 6), ["a", "実験の", "記録 b"]);
        assert_eq!(wrapped("e\u{301}e\u{301}e\u{301}", 2), ["e\u{301}e\u{301}", "e\u{301}"], "accents stay");
        assert_eq!(wrapped("実験", 1), ["実", "験"]);
        assert!(wrapped("", 0).concat().is_empty() && wrapped("ab", 0).concat() == "ab");
    }

    #[test]
    fn what_can_be_answered_is_shown_on_every_screen() {
        let text = "a run with a rather long name takes 12 MB on the disk";
        for (width, height, ends) in
            [(40, 12, "disk"), (40, 6, "disk"), (24, 5, "a run with a…"), (24, 4, "y")]
        {
            let area = Rect::new(0, 0, width, height);
            let mut buf = Buffer::empty(area);
            question(
                &Theme::new(Depth::Plain),
                "Delete?",
                (text, "y  delete it\nn  keep it"),
                area,
                &mut buf,
            );
            let row = |y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>();
            let rows = (0..height).map(row).collect::<Vec<_>>().join("|");
            assert!(rows.contains("y  delete it") && rows.contains("n  keep it"), "{width}x{height}: {rows}");
            assert!(rows.contains(ends) && !rows.contains("enlarge"), "{width}x{height}: {rows}");
        }
    }
}
