//! Images in cells: two pixels to a cell in colour, a character for two pixels without.

use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use super::parts::{Placed, Sheet};
use crate::colours;
use crate::preset::ImageSize;
use crate::tui::theme::{Depth, Rgb, Theme};
use crate::tui::width::width;

/// From dark to bright.
const RAMP: [char; 10] = [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];
/// The same for terminals with colours.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];

/// An image to draw: for every pixel a colour, how bright it is without colours, and, where it
/// clearly belongs to one component or object, the character that names it.
pub struct Picture {
    width: usize,
    height: usize,
    color: Vec<Rgb>,
    /// The colour at its brightest, for a character that is as dense as the pixel is bright.
    ink: Vec<Rgb>,
    level: Vec<f32>,
    name: Vec<Option<char>>,
}

impl Picture {
    /// Grey values in 0..=1, or several channels of them one after the other, in shades of `tint`.
    pub fn shades(values: &[f32], width: usize, height: usize, tint: Rgb) -> Picture {
        let places = width * height;
        let channels = (values.len() / places.max(1)).max(1);
        let mean = |i: usize| {
            let sum: f32 = (0..channels).filter_map(|c| values.get(c * places + i)).sum();
            let value = sum / channels as f32;
            if value.is_finite() { value.clamp(0.0, 1.0) } else { 0.0 }
        };
        let level: Vec<f32> = (0..places).map(mean).collect();
        let color: Vec<Rgb> = if channels == 3 {
            (0..places).map(|i| [0, 1, 2].map(|c| values[c * places + i] * tint[c])).collect()
        } else {
            level.iter().map(|v| tint.map(|t| t * v)).collect()
        };
        let ink = if channels == 3 {
            color.iter().map(|rgb| brightest(*rgb)).collect()
        } else {
            vec![tint; places]
        };
        Picture { width, height, color, ink, name: vec![None; places], level }
    }

    /// γ (K·P values) as a blend of the components' colours; the mass a component has is how much of
    /// its colour there is.
    pub fn gamma(gamma: &[f32], k: usize, width: usize, height: usize, theme: &Theme) -> Picture {
        let places = width * height;
        let palette: Vec<Rgb> = (0..k).map(|k| theme.component(k)).collect();
        let mut picture = Picture::blank(width, height);
        let mut largest = vec![(0.0, 0); places];
        // One component after the other, in the order of the values.
        for ((component, colour), mask) in palette.iter().enumerate().zip(gamma.chunks(places.max(1))) {
            for ((sum, largest), share) in picture.color.iter_mut().zip(&mut largest).zip(mask) {
                let share = if share.is_finite() { *share } else { 0.0 };
                for (sum, channel) in sum.iter_mut().zip(colour) {
                    *sum += share * channel;
                }
                if share > largest.0 {
                    *largest = (share, component);
                }
            }
        }
        for (pixel, (share, component)) in largest.into_iter().enumerate() {
            picture.ink[pixel] = palette.get(component).copied().unwrap_or_default();
            picture.level[pixel] = share;
            picture.name[pixel] = Some(if share > 0.5 { digit(component) } else { '.' });
        }
        picture
    }

    /// Every pixel's object in that object's colour; 0 is black.
    pub fn groups(groups: &[u8], width: usize, height: usize, theme: &Theme) -> Picture {
        let of = |pixel: usize| usize::from(*groups.get(pixel)?).checked_sub(1);
        Picture::labels(of, width, height, theme)
    }

    /// Every pixel in the colour of the component or object that `of` names; black for `None`.
    pub fn labels(
        of: impl Fn(usize) -> Option<usize>,
        width: usize,
        height: usize,
        theme: &Theme,
    ) -> Picture {
        let mut picture = Picture::blank(width, height);
        for (pixel, label) in (0..width * height).filter_map(|pixel| Some((pixel, of(pixel)?))) {
            picture.color[pixel] = theme.component(label);
            picture.ink[pixel] = theme.component(label);
            picture.level[pixel] = 1.0;
            picture.name[pixel] = Some(digit(label));
        }
        picture
    }

    /// Values around 0, in −1..=1, or several channels of them: above it warm, below it cold, and without colours
    /// '+' and '-' where they are far from it.
    pub fn signed(values: &[f32], width: usize, height: usize) -> Picture {
        const WARM: Rgb = [1.0, 0.75, 0.35];
        const COLD: Rgb = [0.35, 0.65, 1.0];
        let places = width * height;
        let channels = (values.len() / places.max(1)).max(1);
        let mut picture = Picture::blank(width, height);
        for pixel in 0..places {
            let sum: f32 = (0..channels).filter_map(|c| values.get(c * places + pixel)).sum();
            let value = sum / channels as f32;
            let size = if value.is_finite() { value.abs().min(1.0) } else { 0.0 };
            picture.ink[pixel] = if value > 0.0 { WARM } else { COLD };
            picture.color[pixel] = picture.ink[pixel].map(|v| v * size);
            picture.level[pixel] = size;
            picture.name[pixel] = (size > 0.25).then_some(if value > 0.0 { '+' } else { '-' });
        }
        picture
    }

    /// Mixes a colour into these pixels; without colours they have this name.
    pub fn tint(&mut self, pixels: impl Iterator<Item = usize>, colour: Rgb, name: char) {
        for pixel in pixels.filter(|pixel| *pixel < self.width * self.height) {
            self.color[pixel] = [0, 1, 2].map(|c| 0.4 * self.color[pixel][c] + 0.6 * colour[c]);
            (self.ink[pixel], self.level[pixel]) = (colour, 1.0);
            self.name[pixel] = Some(name);
        }
    }

    fn blank(width: usize, height: usize) -> Picture {
        let places = width * height;
        Picture {
            width,
            height,
            color: vec![[0.0; 3]; places],
            ink: vec![[1.0; 3]; places],
            level: vec![0.0; places],
            name: vec![None; places],
        }
    }

    /// Draws it over the whole area: stretched where that is larger, averaged where it is smaller.
    pub fn render(&self, theme: &Theme, area: Rect, sheet: &mut Sheet) {
        let area = area.intersection(sheet.cells.area);
        if theme.has_blocks() {
            let rgb = self.color.iter().flat_map(|rgb| colours::bytes(*rgb)).collect();
            sheet.pictures.push(Placed { area, width: self.width, height: self.height, rgb });
        }
        let rows = area.height * 2;
        for y in 0..area.height {
            for x in 0..area.width {
                let Some(cell) = sheet.cells.cell_mut((area.x + x, area.y + y)) else { continue };
                let columns = span(x, area.width, self.width);
                let upper = span(2 * y, rows, self.height);
                let lower = span(2 * y + 1, rows, self.height);
                if !theme.has_blocks() {
                    let (character, ink) = self.character(theme, &columns, &(upper.start..lower.end));
                    cell.set_char(character);
                    if let Some(ink) = theme.color(ink) {
                        cell.set_style(Style::new().fg(ink).bg(Color::Black));
                    }
                    continue;
                }
                let color = |rows| theme.color(self.mean(&columns, rows)).unwrap_or_default();
                cell.set_char('▀').set_style(Style::new().fg(color(&upper)).bg(color(&lower)));
            }
        }
    }

    fn mean(&self, columns: &Range, rows: &Range) -> Rgb {
        let mut sum = [0.0; 3];
        let mut count = 0.0;
        for row in rows.clone() {
            for pixel in &self.color[row * self.width..][columns.clone()] {
                sum.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += v);
                count += 1.0;
            }
        }
        sum.map(|v| v / f32::max(count, 1.0))
    }

    /// The name most of the cell's pixels share, else a character as dense as they are bright; and its colour.
    fn character(&self, theme: &Theme, columns: &Range, rows: &Range) -> (char, Rgb) {
        let pixels =
            || rows.clone().flat_map(|row| columns.clone().map(move |column| row * self.width + column));
        let count = pixels().count();
        // The first name held by at least half of the pixels; a mixture has no name.
        let held = |name: char| 2 * pixels().filter(|i| self.name[*i] == Some(name)).count() >= count;
        let named = |i: usize| self.name[i].filter(|name| held(*name)).map(|name| (name, self.ink[i]));
        if let Some(named) = pixels().find_map(named) {
            return named;
        }
        let level = pixels().map(|i| self.level[i]).sum::<f32>() / count.max(1) as f32;
        let ramp: &[char] = if theme.depth == Depth::Sixteen { &SHADES } else { &RAMP };
        let character = ramp[((level * (ramp.len() - 1) as f32).round() as usize).min(ramp.len() - 1)];
        let bright = pixels().max_by(|a, b| self.level[*a].total_cmp(&self.level[*b]));
        (character, bright.map_or([1.0; 3], |i| self.ink[i]))
    }
}

/// Columns and lines of a picture of this width, in cells that hold two pixels, one above the other.
pub fn sized(image: ImageSize, width: usize) -> (usize, usize) {
    (width, (width * image.height).div_ceil(2 * image.width.max(1)).max(1))
}

/// The sizes in which a picture is drawn, the largest first: `most` cells a pixel and fewer, each pixel in as many; then
/// shrunk, down to `least` columns.
pub fn sizes(image: ImageSize, most: usize, least: usize) -> impl Iterator<Item = (usize, usize)> {
    let wide = image.width.max(1);
    let whole = (1..=most).rev().map(move |cells| cells * wide);
    whole.chain((least..wide).rev()).map(move |width| sized(image, width))
}

/// A colour at full brightness, with the same hue.
fn brightest(rgb: Rgb) -> Rgb {
    let most = rgb.into_iter().fold(0.0, f32::max);
    if most > 0.0 { rgb.map(|v| v / most) } else { [1.0; 3] }
}

type Range = std::ops::Range<usize>;

/// The source pixels under cell `at` of `cells`, at least one of `pixels`.
fn span(at: u16, cells: u16, pixels: usize) -> Range {
    let (at, cells) = (usize::from(at), usize::from(cells).max(1));
    let start = (at * pixels / cells).min(pixels.saturating_sub(1));
    start..((at + 1) * pixels / cells).clamp(start + 1, pixels.max(start + 1)).min(pixels)
}

/// Values below this are hardly seen as shades.
const DARK: f32 = 0.2;
/// The most that a picture is brightened by.
const MOST: f32 = 999.0;

/// How many times brighter a picture of these values is drawn: 1, unless all of them are near zero, as in an untrained
/// network's.
pub fn stretch(values: &[f32]) -> u32 {
    let most = values.iter().filter(|value| value.is_finite()).fold(0.0, |most: f32, value| most.max(*value));
    // Below what counts as zero in a picture there is nothing to see.
    if (1e-4..DARK).contains(&most) { (1.0 / most).min(MOST) as u32 } else { 1 }
}

/// The values times `stretch`.
pub fn brighter(values: &[f32], stretch: u32) -> Vec<f32> {
    values.iter().map(|value| value * stretch as f32).collect()
}

/// A picture's name that says how many times brighter it is drawn.
pub fn stretched(name: &str, stretch: u32) -> String {
    if stretch > 1 { format!("{name} ×{stretch}") } else { name.to_owned() }
}

/// A picture's label, or only its name if the rest does not fit.
pub fn fitted(label: &str, columns: u16) -> String {
    let name = label.split(['×', '(']).next().unwrap_or(label).trim_end();
    let mut forms = [label.to_owned(), label.replace(" ×", "×"), name.to_owned()].into_iter();
    forms.find(|form| width(form) <= usize::from(columns)).unwrap_or_else(|| name.to_owned())
}

/// A character for component or object `k`: 0 to 9, then letters.
pub fn digit(k: usize) -> char {
    char::from_digit((k % 36) as u32, 36).unwrap_or('?')
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;

    use super::*;

    #[test]
    fn half_blocks_hold_two_pixels_and_characters_their_mean() {
        let values = [1.0, 0.0, 0.0, 1.0];
        let picture = Picture::shades(&values, 2, 2, [1.0; 3]);
        let area = Rect::new(0, 0, 2, 1);
        let mut buf = Buffer::empty(area);
        let mut sheet = Sheet { cells: &mut buf, pictures: Vec::new() };
        picture.render(&Theme::new(Depth::True), area, &mut sheet);
        let rgb = [[255; 3], [0; 3], [0; 3], [255; 3]].concat();
        assert_eq!(sheet.pictures, [Placed { area, width: 2, height: 2, rgb }]);
        use ratatui::style::Color::Rgb;
        assert_eq!((buf[(0, 0)].fg, buf[(0, 0)].bg), (Rgb(255, 255, 255), Rgb(0, 0, 0)));
        assert_eq!((buf[(1, 0)].fg, buf[(1, 0)].bg), (Rgb(0, 0, 0), Rgb(255, 255, 255)));
        let mut plain = Buffer::empty(area);
        let mut sheet = Sheet { cells: &mut plain, pictures: Vec::new() };
        picture.render(&Theme::new(Depth::Plain), area, &mut sheet);
        assert!(sheet.pictures.is_empty());
        assert_eq!(plain[(0, 0)].symbol(), "+");
        let mut sixteen = Buffer::empty(area);
        let mut sheet = Sheet { cells: &mut sixteen, pictures: Vec::new() };
        picture.render(&Theme::new(Depth::Sixteen), area, &mut sheet);
        let cell = &sixteen[(0, 0)];
        assert_eq!((cell.symbol(), cell.fg, cell.bg), ("▒", Color::White, Color::Black));
    }

    #[test]
    fn what_is_near_zero_is_brightened_and_says_so() {
        let all = [&[0.0, 0.08][..], &[0.0, 1.0], &[0.0], &[1e-3], &[f32::NAN, 0.1, -7.0]].map(stretch);
        assert_eq!(all, [12, 1, 1, 999, 10]);
        assert_eq!([stretched("recon", 12), stretched("recon", 1)], ["recon ×12", "recon"]);
        let label = stretched("recon", 12);
        assert_eq!([9, 8, 7].map(|columns| fitted(&label, columns)), ["recon ×12", "recon×12", "recon"]);
        assert_eq!(fitted("0 mask (empty)", 10), "0 mask");
        assert_eq!(brighter(&[0.0, 0.0625], 8), [0.0, 0.5]);
    }

    #[test]
    fn shrinking_averages_and_stretching_repeats() {
        for (pixels, cells) in [(28, 9), (3, 7), (1, 4), (5, 5)] {
            let spans: Vec<Range> = (0..cells).map(|at| span(at, cells, pixels)).collect();
            assert!(spans.iter().all(|s| !s.is_empty() && s.end <= pixels), "{spans:?}");
            assert_eq!((spans[0].start, spans[spans.len() - 1].end), (0, pixels));
        }
    }
}
