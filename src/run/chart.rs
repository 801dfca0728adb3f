//! The parts shared by all diagrams: size, colours, and conversion to SVG.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::colours::{BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION};
use crate::error::{Error, Result};

/// Width and height of a diagram in pixels.
pub const SIZE: (u32, u32) = (720, 440);
/// The colours of curves, in order: the dark ones first, because the background is white.
pub const COLOURS: [RGBColor; 7] =
    [rgb(BLUE), rgb(VERMILION), rgb(GREEN), rgb(PURPLE), rgb(SKY), rgb(ORANGE), BLACK];

const fn rgb([r, g, b]: [u8; 3]) -> RGBColor {
    RGBColor(r, g, b)
}

/// An error of the drawing library.
pub type Failure = Box<dyn std::error::Error>;
/// A drawing area.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A diagram on it.
pub type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// The SVG of what `on` draws on a white canvas of `size`.
///
/// # Errors
/// [`Error::Figure`] if the drawing library fails.
pub fn draw(size: (u32, u32), on: impl FnOnce(&Area) -> Result<(), Failure>) -> Result<String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    area.fill(&WHITE)
        .map_err(Failure::from)
        .and_then(|()| on(&area))
        .and_then(|()| area.present().map_err(Failure::from))
        .map_err(|e| Error::Figure(e.to_string()))?;
    drop(area);
    Ok(svg)
}

/// An empty diagram of a score, between 0 and 1, over `x`.
///
/// # Errors
/// Errors of the drawing library.
pub fn scores<'a>(area: &Area<'a>, x: Range<f64>, x_desc: &str, y_desc: &str) -> Result<Chart<'a>, Failure> {
    over(area, 0, (x, x_desc), (0.0..1.0, y_desc))
}

/// An empty diagram with the range and label of each axis, and `head` free pixels above it.
///
/// # Errors
/// Errors of the drawing library.
pub fn over<'a>(
    area: &Area<'a>,
    head: u32,
    (x, x_desc): (Range<f64>, &str),
    (y, y_desc): (Range<f64>, &str),
) -> Result<Chart<'a>, Failure> {
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .margin_top(16 + head)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(x, y)?;
    chart.configure_mesh().x_desc(x_desc).y_desc(y_desc).light_line_style(WHITE).draw()?;
    Ok(chart)
}

/// Draws the legend in the corner at `position`.
///
/// # Errors
/// Errors of the drawing library.
pub fn legend(chart: &mut Chart, position: SeriesLabelPosition) -> Result<(), Failure> {
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
