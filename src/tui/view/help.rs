//! What lies over the screen: the keys, and questions.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::super::app::App;
use super::super::theme::Theme;
use super::{pane, put};

/// All keys of the context, from the key table; where they do not fit, from line `from` on.
pub fn render(app: &App, from: usize, area: Rect, buf: &mut Buffer) {
    let (theme, keymap, context) = (&app.theme, &app.config.keymap, app.context());
    let keys = keymap.of(context).count();
    let room = usize::from(area.height.saturating_sub(6)).max(1);
    let from = from.min(keys.saturating_sub(room));
    let lines: Vec<Line> = keymap
        .of(context)
        .skip(from)
        .take(room)
        .map(|bound| {
            let label = format!(" {:<9} ", bound.all_keys());
            Line::from(vec![Span::styled(label, theme.strong()), Span::raw(bound.binding.help)])
        })
        .collect();
    let more = if room < keys { "↑ ↓ the other keys. " } else { "" };
    let rest = [
        Line::raw(""),
        Line::styled(" A lower-case letter lowers its value, upper case raises it.", theme.dim()),
        Line::styled(" Ctrl-C saves and leaves at once. Ctrl-Z suspends, the training too.", theme.dim()),
        Line::styled(format!(" {more}Any key closes this."), theme.dim()),
    ];
    let title = match room < keys {
        true => format!(" keys {} to {} of {keys} ", from + 1, from + lines.len()),
        false => " keys ".to_owned(),
    };
    over(theme, &title, &[lines.as_slice(), &rest].concat(), area, buf);
}

/// A question, or a notice, in the middle of the screen; lines that are too long for it go on in the next.
pub fn question(theme: &Theme, title: &str, text: &str, area: Rect, buf: &mut Buffer) {
    let room = usize::from(area.width.saturating_sub(8)).max(1);
    let text = text.lines().flat_map(|line| wrapped(line, room));
    let text = text.map(|line| Line::raw(format!("  {line}  ")));
    let blank = std::iter::once(Line::raw(""));
    let lines: Vec<Line> = blank.clone().chain(text).chain(blank).collect();
    over(theme, &format!(" {title} "), &lines, area, buf);
}

/// The line in parts of at most `room` letters, parted between words; a longer word stays whole.
pub(super) fn wrapped(line: &str, room: usize) -> Vec<String> {
    if line.chars().count() <= room {
        return vec![line.to_owned()];
    }
    line.split_whitespace().fold(Vec::new(), |mut parts: Vec<String>, word| {
        match parts.last_mut() {
            Some(part) if part.chars().count() + 1 + word.chars().count() <= room => {
                part.push(' ');
                part.push_str(word);
            }
            _ => parts.push(word.to_owned()),
        }
        parts
    })
}

/// Lines in a pane of their size, in the middle of the screen.
pub fn over(theme: &Theme, title: &str, lines: &[Line], area: Rect, buf: &mut Buffer) {
    let width = lines.iter().map(Line::width).max().unwrap_or(0).max(title.chars().count()) as u16 + 4;
    let width = width.min(area.width);
    let height = (lines.len() as u16 + 2).min(area.height);
    let at = Rect::new(area.x + (area.width - width) / 2, area.y + (area.height - height) / 2, width, height);
    Clear.render(at, buf);
    let inner = pane(Line::styled(title.to_owned(), theme.accent()), true, theme, at, buf);
    let room = usize::from(inner.height);
    for (line, y) in lines.iter().zip(inner.y..inner.bottom()) {
        put(line, inner.x, y, inner.width, buf);
    }
    if lines.len() > room && room > 0 {
        let note = format!(" +{} more in a higher terminal", lines.len() - room + 1);
        let blank = Line::raw(" ".repeat(usize::from(inner.width)));
        put(&blank, inner.x, inner.bottom() - 1, inner.width, buf);
        put(&Line::styled(note, theme.warning()), inner.x, inner.bottom() - 1, inner.width, buf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_parted_between_words() {
        assert_eq!(wrapped("y  save", 10), ["y  save"], "what fits stays as it is");
        assert_eq!(wrapped("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(wrapped("immeasurable", 4), ["immeasurable"]);
    }
}
