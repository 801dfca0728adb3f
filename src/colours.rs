//! Okabe and Ito's colours, which colour-blind people can tell apart: for components on the screen and in pictures, and
//! for curves in figures.

/// Red, green and blue, each in 0..=1.
pub type Rgb = [f32; 3];

/// Orange.
pub const ORANGE: [u8; 3] = [230, 159, 0];
/// Sky blue.
pub const SKY: [u8; 3] = [86, 180, 233];
/// Bluish green.
pub const GREEN: [u8; 3] = [0, 158, 115];
/// Yellow.
pub const YELLOW: [u8; 3] = [240, 228, 66];
/// Reddish purple.
pub const PURPLE: [u8; 3] = [204, 121, 167];
/// Vermilion.
pub const VERMILION: [u8; 3] = [213, 94, 0];
/// Blue.
pub const BLUE: [u8; 3] = [0, 114, 178];
/// Instead of their black, which is invisible on a dark screen.
pub const GREY: [u8; 3] = [184, 184, 184];

/// The components' colours, in order.
const COMPONENTS: [[u8; 3]; 8] = [ORANGE, SKY, GREEN, YELLOW, PURPLE, VERMILION, BLUE, GREY];

/// The colour of component or object `k`, counted from 0. After the eighth the colours repeat in lighter shades.
pub fn component(k: usize) -> Rgb {
    let round = (k / COMPONENTS.len()) as f32;
    let lift = 1.0 - 1.0 / (1.0 + 0.4 * round);
    COMPONENTS[k % COMPONENTS.len()].map(|v| f32::from(v) / 255.0).map(|v| v + (1.0 - v) * lift)
}

/// A colour in bytes; NaN becomes 0.
pub fn bytes(rgb: Rgb) -> [u8; 3] {
    rgb.map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_of_sixteen_components_share_a_colour() {
        let colours: std::collections::HashSet<_> = (0..16).map(|k| bytes(component(k))).collect();
        assert_eq!(colours.len(), 16);
        assert_eq!(bytes(component(6)), BLUE);
        assert_eq!(bytes([f32::NAN, 2.0, -1.0]), [0, 255, 0]);
    }
}
