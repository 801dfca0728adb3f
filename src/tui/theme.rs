//! The colours of the screen, for terminals with many, few or none.

use ratatui::style::{Color, Modifier, Style};
use serde::{Deserialize, Serialize};

use crate::colours;
pub use crate::colours::Rgb;

/// The colours that the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// 24-bit colour.
    True,
    /// The 256-colour cube.
    Cube,
    /// The 16 colours of old terminals; pictures become shades and names.
    Sixteen,
    /// No reliable colours; pictures become characters.
    Plain,
}

/// A choice of colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheme {
    /// For a dark background.
    #[default]
    Dark,
    /// For a white background.
    Light,
    /// For a dark background, without green next to yellow. Components have Okabe and Ito's colours in every scheme.
    #[serde(alias = "ColorBlind")]
    ColourBlind,
}

impl Scheme {
    /// All schemes with the names that the user types.
    pub const ALL: [(&str, Scheme); 3] =
        [("dark", Scheme::Dark), ("light", Scheme::Light), ("colour-blind", Scheme::ColourBlind)];
}

/// Parts of `TERM` of terminals that have the cube.
const CAPABLE: [&str; 6] = ["256color", "kitty", "alacritty", "foot", "wezterm", "ghostty"];

/// Beginnings of `TERM` of terminals that have at least 16 colours and parse the sequences for more. Older terminals
/// would take these sequences for blinking.
const SIXTEEN: [&str; 8] = ["linux", "xterm", "screen", "tmux", "rxvt", "konsole", "putty", "cygwin"];

/// The RGB value that each of the 16 colours stands for on black: the most similar colour of a component.
const ON_BLACK: [(Color, [u8; 3]); 11] = [
    (Color::Yellow, colours::ORANGE),
    (Color::LightCyan, colours::SKY),
    (Color::Green, colours::GREEN),
    (Color::LightYellow, colours::YELLOW),
    (Color::LightMagenta, colours::PURPLE),
    (Color::LightRed, colours::VERMILION),
    (Color::LightBlue, colours::BLUE),
    (Color::Gray, colours::GREY),
    (Color::White, [255, 255, 255]),
    (Color::DarkGray, [85, 85, 85]),
    (Color::Black, [0, 0, 0]),
];

/// The same on white.
const ON_WHITE: [(Color, [u8; 3]); 9] = [
    (Color::LightRed, colours::ORANGE),
    (Color::Cyan, colours::SKY),
    (Color::Green, colours::GREEN),
    (Color::Yellow, colours::YELLOW),
    (Color::Magenta, colours::PURPLE),
    (Color::Red, colours::VERMILION),
    (Color::Blue, colours::BLUE),
    (Color::DarkGray, colours::GREY),
    (Color::Black, [0, 0, 0]),
];

/// The six levels of a channel of the cube.
const LEVELS: [f32; 6] = [0.0, 95.0, 135.0, 175.0, 215.0, 255.0];

/// Every colour and style on the screen comes from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// The colours that the terminal can show.
    pub depth: Depth,
    /// The chosen colours.
    pub scheme: Scheme,
}

impl Theme {
    /// The default scheme.
    pub fn new(depth: Depth) -> Theme {
        Theme { depth, scheme: Scheme::default() }
    }

    /// The depth that the environment suggests, read through `variable`: `NO_COLOR`, `TERM` and `COLORTERM`.
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
        } else if SIXTEEN.iter().any(|name| term.starts_with(name)) {
            Depth::Sixteen
        } else {
            Depth::Plain
        };
        Theme::new(depth)
    }

    /// Whether a cell can show two pixels in any colour.
    pub fn has_blocks(&self) -> bool {
        matches!(self.depth, Depth::True | Depth::Cube)
    }

    /// A picture's colour on black, as the terminal can show it; `None` if it has no colours.
    pub fn color(&self, rgb: Rgb) -> Option<Color> {
        match self.depth {
            Depth::True => Some(colours::bytes(rgb).into()),
            Depth::Cube => Some(Color::Indexed(indexed(rgb.map(|v| v.clamp(0.0, 1.0) * 255.0)))),
            Depth::Sixteen => Some(nearest(rgb, &ON_BLACK)),
            Depth::Plain => None,
        }
    }

    /// The colour of component or object `k`; lighter ones beyond the palette.
    pub fn component(&self, k: usize) -> Rgb {
        colours::component(k)
    }

    /// A colour for text and lines, darker on white so that it is readable.
    pub fn ink_color(&self, rgb: Rgb) -> Option<Color> {
        match (self.scheme, self.depth) {
            (Scheme::Light, Depth::Sixteen) => Some(nearest(rgb, &ON_WHITE)),
            (Scheme::Light, _) => self.color(darkened(rgb)),
            _ => self.color(rgb),
        }
    }

    /// A style with this colour, for text.
    pub fn ink(&self, rgb: Rgb) -> Style {
        self.ink_color(rgb).map_or(Style::new(), |color| Style::new().fg(color))
    }

    /// Borders, labels, and other less important text.
    pub fn dim(&self) -> Style {
        match self.depth {
            Depth::Plain => Style::new(),
            _ => self.ink([0.55, 0.57, 0.62]),
        }
    }

    /// The focused pane and the selected line.
    pub fn accent(&self) -> Style {
        match self.depth {
            Depth::Plain => Style::new().add_modifier(Modifier::BOLD),
            _ => self.ink([0.34, 0.71, 0.91]).add_modifier(Modifier::BOLD),
        }
    }

    /// The selected entry of a list.
    pub fn selected(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Numbers and titles.
    pub fn strong(&self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Running, done.
    pub fn good(&self) -> Style {
        self.ink(match self.scheme {
            Scheme::ColourBlind => of(colours::SKY),
            _ => [0.35, 0.75, 0.45],
        })
    }

    /// Paused, refused.
    pub fn warning(&self) -> Style {
        let rgb = match self.scheme {
            Scheme::ColourBlind => of(colours::ORANGE),
            _ => [0.94, 0.75, 0.26],
        };
        self.ink(rgb).add_modifier(Modifier::BOLD)
    }

    /// The colour of the `i`-th compared run: a component's colour that no curve uses.
    pub fn compared(&self, i: usize) -> Rgb {
        const COLOURS: [usize; 4] = [5, 3, 6, 7];
        colours::component(COLOURS[i % COLOURS.len()])
    }

    /// The colours of the curves.
    pub fn series(&self, series: Series) -> Rgb {
        let colour_blind = self.scheme == Scheme::ColourBlind;
        match series {
            Series::Train => [0.34, 0.71, 0.91],
            Series::Validation => [0.94, 0.62, 0.10],
            Series::Intra if colour_blind => of(colours::GREEN),
            Series::Intra => [0.35, 0.70, 0.45],
            Series::Inter => [0.80, 0.47, 0.65],
            Series::Floor => [0.60, 0.60, 0.60],
            Series::Cursor if colour_blind => of(colours::YELLOW),
            Series::Cursor => [0.94, 0.75, 0.26],
        }
    }
}

fn of(bytes: [u8; 3]) -> Rgb {
    bytes.map(|v| f32::from(v) / 255.0)
}

/// The nearest of the 16 colours.
fn nearest(rgb: Rgb, colours: &[(Color, [u8; 3])]) -> Color {
    let distance = |other: Rgb| rgb.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    let near = colours.iter().min_by(|a, b| distance(of(a.1)).total_cmp(&distance(of(b.1))));
    near.map_or(Color::Reset, |(colour, _)| *colour)
}

/// The same hue, dark enough to be readable on white: a contrast of 4.5 to 1, as WCAG requires.
fn darkened(rgb: Rgb) -> Rgb {
    const BRIGHTEST: f32 = 1.05 / 4.5 - 0.05;
    let luminance = luminance(rgb);
    // sRGB is approximately a power of 2.2; slightly darker to be safe.
    let factor = if luminance > BRIGHTEST { 0.97 * (BRIGHTEST / luminance).powf(1.0 / 2.2) } else { 1.0 };
    rgb.map(|v| v * factor)
}

/// WCAG's relative luminance.
fn luminance(rgb: Rgb) -> f32 {
    let [r, g, b] = rgb.map(|v| if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) });
    0.2126 * r + 0.7152 * g + 0.0722 * b
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
        for term in ["linux", "xterm", "xterm-color", "screen", "tmux"] {
            assert_eq!(detect(&[("TERM", term)]), Depth::Sixteen, "{term}");
            assert_eq!(detect(&[("TERM", term), ("NO_COLOR", "1")]), Depth::Plain, "{term}");
        }
        for term in ["dumb", "", "vt100", "ansi"] {
            assert_eq!(detect(&[("TERM", term)]), Depth::Plain, "{term}");
        }
    }

    const SERIES: [Series; 6] =
        [Series::Train, Series::Validation, Series::Intra, Series::Inter, Series::Floor, Series::Cursor];

    #[test]
    fn components_and_series_are_told_apart_in_every_depth_and_scheme() {
        for (_, scheme) in Scheme::ALL {
            for depth in [Depth::True, Depth::Cube, Depth::Sixteen] {
                let theme = Theme { depth, scheme };
                let distinct = |colours: Vec<Option<Color>>| {
                    let all = colours.len();
                    assert_eq!(std::collections::HashSet::<_>::from_iter(colours).len(), all, "{theme:?}");
                };
                distinct((0..8).map(|k| theme.ink_color(theme.component(k))).collect());
                distinct((0..8).map(|k| theme.color(theme.component(k))).collect());
                distinct(SERIES.map(|series| theme.ink_color(theme.series(series))).to_vec());
                assert_ne!(theme.good(), theme.warning(), "{theme:?}");
            }
        }
    }

    #[test]
    fn all_that_is_written_on_white_can_be_read() {
        let theme = Theme { depth: Depth::True, scheme: Scheme::Light };
        let styles = [theme.dim(), theme.accent(), theme.good(), theme.warning()];
        let inks = (0..16).map(|k| theme.component(k)).chain(SERIES.map(|series| theme.series(series)));
        let inks = inks.map(|rgb| theme.ink(rgb)).chain(styles);
        for ink in inks {
            let Some(Color::Rgb(r, g, b)) = ink.fg else { panic!("{ink:?} has no colour") };
            let contrast = 1.05 / (luminance(of([r, g, b])) + 0.05);
            assert!(contrast >= 4.5, "{ink:?} has a contrast of {contrast}");
        }
        let black = theme.color([0.0; 3]);
        assert_eq!(black, Some(Color::Rgb(0, 0, 0)), "pictures keep their black");
    }

    /// Red next to green is the most common confusion.
    #[test]
    fn the_colour_blind_see_blue_and_orange() {
        let theme = Theme { depth: Depth::True, scheme: Scheme::ColourBlind };
        let own = [theme.good(), theme.warning()].map(|style| style.fg);
        assert_eq!(own, [colours::SKY, colours::ORANGE].map(|c| Some(c.into())));
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
