//! Lines of fields. Each field is shown whole, in one of its forms, or not at all.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::tui::width::{cut, width};

/// A line of fields. Where they do not all fit, the least worthy are left out.
pub struct Fields<'a> {
    /// What lies between two of them.
    gap: Span<'a>,
    fields: Vec<Field<'a>>,
}

/// A label with its value, or a text.
struct Field<'a> {
    /// What it is worth to the reader; of two that are worth the same, the earlier counts more.
    worth: u16,
    /// The longest first.
    forms: Vec<Vec<Span<'a>>>,
    /// The columns that its last form, a text, may be cut to, with an ellipsis.
    least: Option<usize>,
}

impl<'a> Field<'a> {
    /// The columns it takes at least.
    fn least(&self) -> usize {
        let last = self.forms.last().map_or(0, |form| wide(form));
        self.least.map_or(last, |least| last.min(least))
    }

    /// Its longest form that fits.
    fn within(&self, columns: usize) -> Vec<Span<'a>> {
        let fits = self.forms.iter().find(|form| wide(form) <= columns);
        fits.or(self.forms.last()).map_or_else(Vec::new, |form| shortened(form, columns))
    }
}

fn wide(form: &[Span]) -> usize {
    form.iter().map(Span::width).sum()
}

/// The spans, cut where they are wider than `columns`.
fn shortened<'a>(form: &[Span<'a>], columns: usize) -> Vec<Span<'a>> {
    let mut left = columns;
    let mut spans = Vec::new();
    let mut rest = form.iter().peekable();
    while let Some(span) = rest.next() {
        let more = rest.peek().is_some();
        if span.width() + usize::from(more) > left && wide(form) > columns {
            // An ellipsis stands for this and for what follows.
            let text = if more { format!("{}…", span.content) } else { span.content.to_string() };
            spans.push(Span::styled(cut(&text, left), span.style));
            break;
        }
        left -= span.width().min(left);
        spans.push(span.clone());
    }
    spans
}

impl<'a> Fields<'a> {
    /// No fields yet, with `gap` between them.
    pub fn new(gap: impl Into<Span<'a>>) -> Fields<'a> {
        Fields { gap: gap.into(), fields: Vec::new() }
    }

    /// Adds a field, which has one or more forms, the longest first.
    pub fn add<const N: usize>(&mut self, worth: u16, forms: [Vec<Span<'a>>; N]) {
        self.fields.push(Field { worth, forms: forms.into(), least: None });
    }

    /// Adds a field in one form.
    pub fn put(&mut self, worth: u16, text: impl Into<String>, style: Style) {
        self.add(worth, [vec![Span::styled(text.into(), style)]]);
    }

    /// Adds a text, which may be cut to `least` columns: a name, a path, a sentence.
    pub fn text(&mut self, worth: u16, text: impl Into<String>, least: usize, style: Style) {
        let forms = vec![vec![Span::styled(text.into(), style)]];
        self.fields.push(Field { worth, forms, least: Some(least) });
    }

    /// The line in at most `columns`: as many fields as fit, the most worthy first, each as long as there is room.
    pub fn line(&self, columns: usize) -> Line<'a> {
        let gap = self.gap.width();
        let mut order: Vec<usize> = (0..self.fields.len()).collect();
        order.sort_by_key(|i| std::cmp::Reverse(self.fields[*i].worth));
        let mut taken = 0;
        let fits = |i: &usize| {
            let wider = taken + self.fields[*i].least() + if taken > 0 { gap } else { 0 };
            taken = if wider <= columns { wider } else { taken };
            wider <= columns
        };
        let kept: Vec<usize> = order.into_iter().take_while(fits).collect();
        let mut room = columns.saturating_sub(taken);
        let mut shown: Vec<(usize, Vec<Span>)> = Vec::new();
        for i in kept {
            let least = self.fields[i].least();
            let form = self.fields[i].within(least + room);
            room -= wide(&form).saturating_sub(least);
            shown.push((i, form));
        }
        shown.sort_by_key(|(i, _)| *i);
        let mut spans = Vec::new();
        for (at, (_, form)) in shown.into_iter().enumerate() {
            spans.extend((at > 0).then(|| self.gap.clone()));
            spans.extend(form);
        }
        Line::from(spans)
    }

    /// The line as the title of a pane of this width: inside its corners, with a space on both sides.
    pub fn title(&self, columns: u16) -> Line<'a> {
        let mut line = self.line(usize::from(columns).saturating_sub(4));
        if !line.spans.is_empty() {
            line.spans.insert(0, Span::raw(" "));
            line.spans.push(Span::raw(" "));
        }
        line
    }
}

/// A label and its value.
pub fn labelled<'a>(label: &'a str, value: String, label_style: Style, value_style: Style) -> Vec<Span<'a>> {
    let label = (width(label) > 0).then(|| Span::styled(format!("{label} "), label_style));
    label.into_iter().chain([Span::styled(value, value_style)]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(line: &Line) -> String {
        line.spans.iter().map(|span| span.content.as_ref()).collect()
    }

    #[test]
    fn the_least_worthy_go_first_and_the_rest_is_as_long_as_it_can_be() {
        let mut fields = Fields::new("  ");
        fields.text(2, "a-long-name", 4, Style::new());
        fields.put(3, "● training", Style::new());
        fields.add(1, ["iteration 620", "it 620"].map(|text| vec![Span::raw(text)]));
        let at = |columns| plain(&fields.line(columns));
        assert_eq!(at(38), "a-long-name  ● training  iteration 620");
        assert_eq!(at(31), "a-long-name  ● training  it 620", "the name counts more than a long label");
        assert_eq!(at(28), "a-long-…  ● training  it 620");
        assert_eq!(at(23), "a-long-name  ● training");
        assert_eq!([at(16), at(15), at(9)], ["a-l…  ● training", "● training", ""]);
        assert_eq!(plain(&fields.title(17)), " ● training ");
    }

    proptest! {
        /// Fields are whole, the line fits, and what is left out is worth less than all that is shown.
        #[test]
        fn no_field_is_shown_in_half(
            fields in proptest::collection::vec((0u16..9, "[a-z]{1,9} [0-9]{1,6}", any::<bool>()), 0..12),
            columns in 0usize..120,
        ) {
            let mut line = Fields::new(" │ ");
            for (i, (worth, text, short)) in fields.iter().enumerate() {
                let (long, text) = (format!("{i} long {text}"), format!("{i} {text}"));
                match short {
                    true => line.add(*worth, [vec![Span::raw(long)], vec![Span::raw(text)]]),
                    false => line.put(*worth, text, Style::new()),
                }
            }
            let shown = plain(&line.line(columns));
            prop_assert!(width(&shown) <= columns);
            let mut left: Vec<&str> = shown.split(" │ ").filter(|part| !part.is_empty()).collect();
            let is_shown = |(i, (_, text, _)): (usize, &(u16, String, bool))| {
                [format!("{i} {text}"), format!("{i} long {text}")].iter().any(|form| left.contains(&form.as_str()))
            };
            let seen: Vec<bool> = fields.iter().enumerate().map(is_shown).collect();
            prop_assert_eq!(seen.iter().filter(|seen| **seen).count(), left.len(), "a half: {}", shown);
            let least = fields.iter().zip(&seen).filter(|(_, seen)| **seen).map(|(field, _)| field.0).min();
            let most = fields.iter().zip(&seen).filter(|(_, seen)| !**seen).map(|(field, _)| field.0).max();
            prop_assert!(least >= most || left.is_empty());
            left.clear();
        }
    }
}
