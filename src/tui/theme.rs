//! Colours, and how many of them the terminal has.

use ratatui::style::{Color, Modifier, Style};
use serde::{Deserialize, Serialize};

use crate::palette;
pub use crate::palette::Rgb;

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// 24-bit colour.
    True,
    /// The 256-colour cube.
    Cube,
    /// No colour that can be relied on: pictures become characters.
    Plain,
}

/// Which colours, of those that a terminal can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheme {
    /// For a dark background.
    #[default]
    Dark,
    /// For a white background.
    Light,
    /// For a dark background, and without red beside green.
    ColourBlind,
}

/// Terminals that have the cube, by what their `TERM` contains.
const CAPABLE: [&str; 6] = ["256color", "kitty", "alacritty", "foot", "wezterm", "ghostty"];

/// The six levels of a channel of the cube.
const LEVELS: [f32; 6] = [0.0, 95.0, 135.0, 175.0, 215.0, 255.0];

/// Every colour and style on the screen comes from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// What the terminal can show.
    pub depth: Depth,
    /// Which colours of those.
    pub scheme: Scheme,
}

impl Theme {
    /// The default colours.
    pub fn new(depth: Depth) -> Theme {
        Theme { depth, scheme: Scheme::default() }
    }

    /// From the environment, read through `variable`: `NO_COLOR`, `TERM` and `COLORTERM`.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Theme {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        let depth = if set("NO_COLOR").is_some() || term.is_empty() || term == "dumb" {
            Depth::Plain
        } else if set("COLORTERM").is_some_and(|c| c == "truecolor" || c == "24bit")
            || term.contains("direct")
        {
            Depth::True
        } else if CAPABLE.iter().any(|name| term.contains(name)) {
            Depth::Cube
        } else {
            Depth::Plain
        };
        Theme::new(depth)
    }

    /// A colour as the terminal can show it; `None` where it cannot.
    pub fn color(&self, rgb: Rgb) -> Option<Color> {
        match self.depth {
            Depth::True => Some(palette::bytes(rgb).into()),
            Depth::Cube => Some(Color::Indexed(indexed(rgb.map(|v| v.clamp(0.0, 1.0) * 255.0)))),
            Depth::Plain => None,
        }
    }

    /// The colour of component or object `k`; beyond the palette, lighter ones.
    pub fn component(&self, k: usize) -> Rgb {
        palette::component(k)
    }

    fn foreground(&self, rgb: Rgb) -> Style {
        self.color(rgb).map_or(Style::new(), |color| Style::new().fg(color))
    }

    /// A series' or component's own colour, for text.
    pub fn ink(&self, rgb: Rgb) -> Style {
        self.foreground(rgb)
    }

    /// Borders, labels, what is there but not to be read first.
    pub fn dim(&self) -> Style {
        match self.depth {
            Depth::Plain => Style::new(),
            _ => self.foreground([0.55, 0.57, 0.62]),
        }
    }

    /// The pane with the focus, the selected line.
    pub fn accent(&self) -> Style {
        match self.depth {
            Depth::Plain => Style::new().add_modifier(Modifier::BOLD),
            _ => self.foreground([0.34, 0.71, 0.91]).add_modifier(Modifier::BOLD),
        }
    }

    /// What is chosen in a list.
    pub fn selected(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Numbers and titles.
    pub fn strong(&self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Running, done.
    pub fn good(&self) -> Style {
        self.foreground([0.35, 0.75, 0.45])
    }

    /// Paused, refused.
    pub fn warning(&self) -> Style {
        self.foreground([0.94, 0.75, 0.26]).add_modifier(Modifier::BOLD)
    }

    /// Colours of the curves.
    pub fn series(&self, series: Series) -> Rgb {
        match series {
            Series::Train => [0.34, 0.71, 0.91],
            Series::Validation => [0.94, 0.62, 0.10],
            Series::Intra => [0.35, 0.70, 0.45],
            Series::Inter => [0.80, 0.47, 0.65],
            Series::Floor => [0.60, 0.60, 0.60],
            Series::Cursor => [0.94, 0.75, 0.26],
        }
    }
}

/// The nearest of the 256 colours: of the cube, or of the greys, which are finer and serve dark tints
/// better.
fn indexed(rgb: Rgb) -> u8 {
    let distance = |other: Rgb| rgb.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    let level = |v: f32| {
        let near = |i: &u8| (LEVELS[usize::from(*i)] - v).abs();
        (0..6u8).min_by(|a, b| near(a).total_cmp(&near(b))).unwrap_or(0)
    };
    let [r, g, b] = rgb.map(level);
    let step = ((rgb.iter().sum::<f32>() / 3.0 - 8.0) / 10.0).round().clamp(0.0, 23.0);
    let in_cube = distance([r, g, b].map(|i| LEVELS[usize::from(i)]));
    if distance([8.0 + 10.0 * step; 3]) < in_cube { 232 + step as u8 } else { 16 + 36 * r + 6 * g + b }
}

/// The kinds of curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// On the training batches.
    Train,
    /// On the validation split.
    Validation,
    /// The intra-cluster loss.
    Intra,
    /// The inter-cluster loss.
    Inter,
    /// What position alone can score.
    Floor,
    /// Where the curves are read.
    Cursor,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(pairs: &[(&str, &str)]) -> Depth {
        Theme::detect(|name| pairs.iter().find(|p| p.0 == name).map(|p| p.1.to_owned())).depth
    }

    #[test]
    fn the_environment_decides_the_depth() {
        assert_eq!(detect(&[("TERM", "xterm-256color")]), Depth::Cube);
        assert_eq!(detect(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]), Depth::True);
        assert_eq!(
            detect(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("NO_COLOR", "1")]),
            Depth::Plain
        );
        assert_eq!(detect(&[("TERM", "xterm-256color"), ("NO_COLOR", "")]), Depth::Cube);
        for term in ["dumb", "", "vt100", "linux"] {
            assert_eq!(detect(&[("TERM", term)]), Depth::Plain, "{term}");
        }
    }

    #[test]
    fn the_nearest_of_256_colours_is_found() {
        for (rgb, index) in [
            ([0.0, 0.0, 0.0], 16),
            ([255.0, 255.0, 255.0], 231),
            ([95.0, 175.0, 0.0], 70),
            ([48.0, 45.0, 44.0], 236),
        ] {
            assert_eq!(indexed(rgb), index, "{rgb:?}");
        }
    }
}
