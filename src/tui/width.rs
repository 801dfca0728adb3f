//! The width of text on the screen: a wide character takes two columns, a combining one none.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns of a text.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The beginning of a text that is wider than `columns`, with an ellipsis.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let (mut end, mut taken) = (0, 0);
    for (at, character) in text.char_indices() {
        taken += character.width().unwrap_or(0);
        if taken >= columns {
            break;
        }
        end = at + character.len_utf8();
    }
    text[..end].to_owned() + "…"
}

/// A text with spaces up to `columns`.
pub fn padded(text: &str, columns: usize) -> String {
    text.to_owned() + &" ".repeat(columns.saturating_sub(width(text)))
}

/// A text without its first `columns`.
pub fn skipped(text: &str, columns: usize) -> &str {
    let mut left = columns;
    let mut rest = text.char_indices();
    for (at, character) in rest.by_ref() {
        if left == 0 && character.width() != Some(0) {
            return &text[at..];
        }
        left = left.saturating_sub(character.width().unwrap_or(0));
    }
    ""
}

/// A number of bytes: "12 MB".
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_and_combining_characters_are_measured_as_they_are_shown() {
        let decomposed = "e\u{301}";
        assert_eq!([width("abc"), width("実験"), width("🦀"), width(decomposed)], [3, 4, 2, 1]);
        assert_eq!(
            [padded("実験", 6), padded("abcd", 3), padded(decomposed, 2)],
            ["実験  ", "abcd", "e\u{301} "]
        );
    }

    #[test]
    fn no_cut_goes_through_a_character() {
        assert_eq!(["ab", "abc", "abcd"].map(|text| cut(text, 3)), ["ab", "abc", "ab…"]);
        assert_eq!([cut("実験a", 5), cut("実験ab", 5), cut("実験ab", 4)], ["実験a", "実験…", "実…"]);
        assert_eq!([cut("e\u{301}abc", 3), cut("abc", 0)], ["e\u{301}a…", "…"]);
        assert_eq!(
            [skipped("実験ab", 2), skipped("実験ab", 3), skipped("e\u{301}a", 1)],
            ["験ab", "ab", "a"]
        );
        assert_eq!([skipped("ab", 0), skipped("ab", 5)], ["ab", ""]);
    }
}
