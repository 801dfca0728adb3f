//! The words of a typed line: brackets and quotes keep together what has spaces in it.

/// Splits `text` at its spaces, but not inside brackets or quotes. Quotes outside brackets are the shell's and are
/// removed; inside they belong to the value. Spaces around `=` and before `(` do not count.
///
/// # Errors
/// A sentence about a bracket or a quote without its partner.
pub fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut open = Vec::new();
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(c) = letters.next() {
        if quote.is_none() && open.is_empty() && c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some(_), '\\') if !open.is_empty() => {
                word.push(c);
                word.extend(letters.next());
                continue;
            }
            (None, '"') => quote = Some(c),
            (None, '\'') if open.is_empty() => quote = Some(c),
            (None, '(' | '[' | '{') => open.push(partner(c)),
            (None, ')' | ']' | '}') if open.pop() != Some(c) => {
                return Err(format!("this {c} closes nothing: {text}"));
            }
            _ => {
                word.push(c);
                continue;
            }
        }
        if !(open.is_empty() && matches!(c, '"' | '\'')) {
            word.push(c);
        }
    }
    if let Some(missing) = quote.or(open.pop()) {
        return Err(format!("a {missing} is missing at the end of {text}"));
    }
    words.extend(word);
    Ok(words.into_iter().fold(Vec::new(), |mut joined: Vec<String>, word| {
        match joined.last_mut() {
            Some(last) if last.ends_with('=') || word.starts_with(['=', '(']) => last.push_str(&word),
            _ => joined.push(word),
        }
        joined
    }))
}

fn partner(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_quotes_keep_words_together() {
        for (text, expected) in [
            ("", &[][..]),
            ("k=5  lr=0.1 ", &["k=5", "lr=0.1"]),
            ("noise=Bitflip(probability: 0.2) k=3", &["noise=Bitflip(probability: 0.2)", "k=3"]),
            ("best noise = Bitflip (probability: 0.2)", &["best", "noise=Bitflip(probability: 0.2)"]),
            ("k =5 lr= 0.1", &["k=5", "lr=0.1"]),
            ("'noise=Bitflip(probability: 0.2)' k=3", &["noise=Bitflip(probability: 0.2)", "k=3"]),
            ("noise=\"Bitflip(probability: 0.2)\"", &["noise=Bitflip(probability: 0.2)"]),
            ("data=Hdf5(path: \"a )b.h5\", height: 2)", &["data=Hdf5(path: \"a )b.h5\", height: 2)"]),
            ("data.path='a b.h5'", &["data.path=a b.h5"]),
            ("x=(a: \"\\\" \")", &["x=(a: \"\\\" \")"]),
            ("loss.steps=[0, 1]", &["loss.steps=[0, 1]"]),
        ] {
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
        for (text, said) in [
            ("noise=Bitflip(probability: 0.2", "a ) is missing at the end of noise=Bitflip(probability: 0.2"),
            ("k=5)", "this ) closes nothing"),
            ("a=[1)", "this ) closes nothing"),
            ("name='mine", "a ' is missing"),
        ] {
            assert!(words(text).unwrap_err().starts_with(said), "{text}");
        }
    }
}
