//! Conditions between fields of a preset, such as `k > data.objects`, `k == 1 or steps >= 2 * data.objects` and
//! `loss.steps == "Last"`.
//!
//! ```text
//! condition := all ("or" all)*          all := comparison ("and" comparison)*
//! comparison := sum ("<" | "<=" | ">" | ">=" | "==" | "!=") sum
//! sum := product (("+" | "-") product)*   product := value (("*" | "/") value)*
//! value := a number | a field's path | "text" | "(" sum ")"
//! ```

use serde_json::Value;

use crate::preset::Preset;

/// Two sides, and how they are compared.
type Comparison = (Sum, String, Sum);

/// A condition.
#[derive(Clone, Debug)]
pub struct Condition {
    text: String,
    /// One of these alternatives must hold, that is, all of its comparisons.
    any: Vec<Vec<Comparison>>,
}

#[derive(Clone, Debug)]
enum Sum {
    Number(f64),
    Text(String),
    Field(String),
    Pair(Box<Sum>, char, Box<Sum>),
}

/// What a part of a condition is for a preset.
#[derive(Debug, PartialEq)]
enum Found {
    Number(f64),
    Text(String),
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// A sentence: text that is none.
    pub fn parse(text: &str) -> Result<Condition, String> {
        let wrong =
            |problem: String| format!("{text:?}: {problem}; write a condition like \"k > data.objects\"");
        let mut tokens = tokens(text).map_err(wrong)?;
        tokens.reverse();
        let mut reader = Reader(tokens);
        let any = reader.condition().map_err(wrong)?;
        match reader.0.pop() {
            None => Ok(Condition { text: text.to_owned(), any }),
            Some(rest) => Err(wrong(format!("{rest:?} is one too many"))),
        }
    }

    /// Whether it holds for `preset`.
    ///
    /// # Errors
    /// A sentence: a field that the preset does not have, or a number compared with text.
    pub fn holds(&self, preset: &Preset) -> Result<bool, String> {
        let wrong = |problem| format!("{:?}: {problem}", self.text);
        for all in &self.any {
            let mut holds = true;
            for (left, how, right) in all {
                holds &= compare(&left.of(preset).map_err(wrong)?, how, &right.of(preset).map_err(wrong)?)
                    .map_err(wrong)?;
            }
            if holds {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn compare(left: &Found, how: &str, right: &Found) -> Result<bool, String> {
    let order = match (left, right) {
        (Found::Number(a), Found::Number(b)) => a.partial_cmp(b),
        (Found::Text(a), Found::Text(b)) if matches!(how, "==" | "!=") => Some(a.cmp(b)),
        _ => return Err(format!("{left:?} and {right:?} cannot be compared with {how}")),
    };
    // A division by zero may give no number: nothing holds then.
    let Some(order) = order else { return Ok(how == "!=") };
    Ok(match how {
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        "==" => order.is_eq(),
        _ => order.is_ne(),
    })
}

impl Sum {
    fn of(&self, preset: &Preset) -> Result<Found, String> {
        Ok(match self {
            Sum::Number(number) => Found::Number(*number),
            Sum::Text(text) => Found::Text(text.clone()),
            Sum::Field(path) => match preset.get(path)? {
                Value::Number(number) => Found::Number(number.as_f64().unwrap_or(f64::NAN)),
                Value::String(text) => Found::Text(text),
                Value::Null => Found::Text("None".into()),
                other => Found::Text(other.to_string()),
            },
            Sum::Pair(a, sign, b) => match (a.of(preset)?, sign, b.of(preset)?) {
                (Found::Number(a), '+', Found::Number(b)) => Found::Number(a + b),
                (Found::Number(a), '-', Found::Number(b)) => Found::Number(a - b),
                (Found::Number(a), '*', Found::Number(b)) => Found::Number(a * b),
                (Found::Number(a), _, Found::Number(b)) => Found::Number(a / b),
                (a, sign, b) => return Err(format!("{a:?} {sign} {b:?} is no number")),
            },
        })
    }
}

fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let end = match first {
            '"' => 2 + rest[1..].find('"').ok_or("a quote has no end")?,
            '<' | '>' | '=' | '!' if rest[1..].starts_with('=') => 2,
            '<' | '>' | '+' | '-' | '*' | '/' | '(' | ')' => 1,
            c if c.is_ascii_digit() => {
                // 1e-3 has a sign inside.
                let exponent =
                    |at: usize, c: char| matches!(c, '+' | '-') && rest[..at].ends_with(['e', 'E']);
                rest.char_indices()
                    .find(|(at, c)| !is_word(*c) && !exponent(*at, *c))
                    .map_or(rest.len(), |(at, _)| at)
            }
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            other => return Err(format!("{other:?} is not understood")),
        };
        found.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    Ok(found)
}

/// The tokens, the next one last.
struct Reader(Vec<String>);

impl Reader {
    fn takes(&mut self, wanted: &[&str]) -> Option<String> {
        self.0.pop_if(|token| wanted.contains(&token.as_str()))
    }

    fn condition(&mut self) -> Result<Vec<Vec<Comparison>>, String> {
        let mut any = vec![self.all()?];
        while self.takes(&["or"]).is_some() {
            any.push(self.all()?);
        }
        Ok(any)
    }

    fn all(&mut self) -> Result<Vec<Comparison>, String> {
        let mut all = vec![self.comparison()?];
        while self.takes(&["and"]).is_some() {
            all.push(self.comparison()?);
        }
        Ok(all)
    }

    fn comparison(&mut self) -> Result<Comparison, String> {
        let left = self.sum()?;
        let how = self.takes(&["<", "<=", ">", ">=", "==", "!="]).ok_or("a comparison is missing")?;
        Ok((left, how, self.sum()?))
    }

    fn sum(&mut self) -> Result<Sum, String> {
        self.chain(&["+", "-"], Reader::product)
    }

    fn product(&mut self) -> Result<Sum, String> {
        self.chain(&["*", "/"], Reader::value)
    }

    fn chain(&mut self, signs: &[&str], part: fn(&mut Reader) -> Result<Sum, String>) -> Result<Sum, String> {
        let mut sum = part(self)?;
        while let Some(sign) = self.takes(signs) {
            let sign = sign.chars().next().unwrap_or('+');
            sum = Sum::Pair(Box::new(sum), sign, Box::new(part(self)?));
        }
        Ok(sum)
    }

    fn value(&mut self) -> Result<Sum, String> {
        let token = self.0.pop().ok_or("it ends too soon")?;
        let first = token.chars().next().unwrap_or(' ');
        match first {
            '(' => {
                let inside = self.sum()?;
                self.takes(&[")"]).ok_or("a parenthesis is not closed")?;
                Ok(inside)
            }
            '-' => Ok(Sum::Pair(Box::new(Sum::Number(0.0)), '-', Box::new(self.value()?))),
            '"' => Ok(Sum::Text(token.trim_matches('"').to_owned())),
            c if c.is_ascii_digit() => {
                token.parse().map(Sum::Number).map_err(|_| format!("{token:?} is no number"))
            }
            c if c.is_alphabetic() => Ok(Sum::Field(token)),
            _ => Err(format!("a field or a number is missing before {token:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For k 4, three objects, ten steps, the learning rate 0.001 and losses of all steps.
    fn holds(text: &str) -> Result<bool, String> {
        let sets = ["k=4", "data.objects=3", "steps=10", "train.learning_rate=1e-3", "loss.steps=All"];
        let preset = Preset::load("quickstart").unwrap().set(&sets).unwrap();
        Condition::parse(text)?.holds(&preset)
    }

    #[test]
    fn conditions_compare_fields_numbers_and_text() {
        for (text, expected) in [
            ("k > data.objects", true),
            ("k>=5", false),
            ("k == data.objects + 1", true),
            ("steps >= 2 * data.objects + 4", true),
            ("steps - k - 1 == 5", true),
            ("(steps + 2) / k == 3", true),
            ("-k < 0", true),
            ("train.learning_rate <= 1e-3", true),
            ("train.learning_rate * 1e+3 == 1", true),
            ("loss.steps == \"All\"", true),
            ("loss.steps != \"All\"", false),
            ("k == 1 or steps == 10 and data.objects == 3", true),
            ("k == 1 or steps == 10 and data.objects == 2", false),
        ] {
            assert_eq!(holds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_told() {
        for (text, said) in [
            ("", "it ends too soon"),
            ("k", "a comparison is missing"),
            ("k >", "it ends too soon"),
            ("k > 3 4", "\"4\" is one too many"),
            ("k > (3", "not closed"),
            ("k = 3", "'=' is not understood"),
            ("k > 3x", "\"3x\" is no number"),
            ("k > \"a", "a quote has no end"),
            ("kk > 3", "has no field \"kk\""),
            ("k > \"a\"", "cannot be compared"),
            ("loss.steps + 1 > 3", "is no number"),
            ("k > é;", "not understood"),
        ] {
            let told = holds(text).unwrap_err();
            assert!(told.contains(said), "{text}: {told}");
        }
    }
}
