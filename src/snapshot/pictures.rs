//! Pictures of a snapshot: one EM step in detail, or all of them in the paper's grid.
//!
//! ```text
//!   sample 7  EM step 12/15  AMI 0.81  ARI 0.84        step    1  2  3  …
//!   input  noisy  reconstruction  gamma  truth  argmax  input   ▢  ▢  ▢
//!     ▢      ▢         ▢           ▢       ▢      ▢     noisy   ▢  ▢  ▢
//!   prediction 0   prediction 1   …                     …
//!     ▢              ▢                                  pred 0  ▢  ▢  ▢
//!   mask 0         mask 1         …                     mask 0  ▢  ▢  ▢
//!     ▢              ▢                                  …
//! ```

pub use super::canvas::Canvas;
use super::canvas::{INK, LETTER};
use super::objects;
use super::raster::{Raster, reconstruction};
use super::schema::{Snapshot, SnapshotStep};
use crate::colours;
use crate::error::{Error, Result};

/// Space between images and around them.
const GAP: u32 = 8;
/// Height of a line of text, with the space below it.
const LINE: u32 = LETTER + 4;
/// Images in the first row, the minimum width of a picture.
const WHOLE: usize = 6;
/// Maximum number of images in a row.
const COLUMNS: usize = 8;
/// Width of the labels in the overview.
const MARGIN: u32 = 8 * LETTER;

/// An image with its label.
struct Labelled {
    label: String,
    colour: [u8; 3],
    image: Raster,
}

/// EM step `step`, counted from 0: the images of all components together, then each component's prediction, then each
/// component's mask.
///
/// # Errors
/// [`Error::Usage`] for a step that does not exist or a picture that is too large.
pub fn step(snapshot: &Snapshot, step: usize, tile: u32) -> Result<Canvas> {
    let Some(shown) = snapshot.steps.get(step) else {
        return Err(Error::Usage(format!(
            "there is no EM step {}; this sample has {}",
            step + 1,
            snapshot.steps.len()
        )));
    };
    let size = Size::of(snapshot, tile);
    let whole = whole(snapshot, shown, &objects::colours(snapshot));
    let sections = [whole, components(snapshot, shown, true), components(snapshot, shown, false)];
    let columns = snapshot.k.clamp(WHOLE, COLUMNS);
    let rows: usize = sections.iter().map(|section| section.len().div_ceil(columns)).sum();
    let (across, down) = (u64::from(size.width + GAP), u64::from(LINE + size.height + GAP));
    let mut canvas =
        Canvas::new(u64::from(GAP) + columns as u64 * across, u64::from(GAP + LINE) + rows as u64 * down)?;
    let width = canvas.size().0 - 2 * GAP;
    canvas.text(&title(snapshot, step, shown), GAP, GAP, width, INK);
    let mut y = GAP + LINE;
    for row in sections.iter().flat_map(|section| section.chunks(columns)) {
        let mut x = GAP;
        for Labelled { label, colour, image } in row {
            canvas.text(label, x, y, size.width + GAP, *colour);
            canvas.image(image, x, y + LINE, size.factor);
            x += size.width + GAP;
        }
        y += LINE + size.height + GAP;
    }
    Ok(canvas)
}

/// The paper's grid: a column for each EM step; rows for the input, the noisy input, the reconstruction, γ and the
/// true objects, then for the prediction and the mask of each component.
///
/// # Errors
/// [`Error::Usage`] for a snapshot without EM steps or a picture that is too large.
pub fn overview(snapshot: &Snapshot, tile: u32) -> Result<Canvas> {
    if snapshot.steps.is_empty() {
        return Err(Error::Usage("this sample has no EM steps; choose at least 1".into()));
    }
    let size = Size::of(snapshot, tile);
    let (across, down) = (u64::from(size.width + GAP), u64::from(size.height + GAP));
    let colours = objects::colours(snapshot);
    let above = whole(snapshot, &snapshot.steps[0], &colours).len() - 1;
    let rows = above + 2 * snapshot.k;
    let mut canvas = Canvas::new(
        u64::from(GAP + MARGIN) + snapshot.steps.len() as u64 * across,
        u64::from(GAP + LINE) + rows as u64 * down,
    )?;
    canvas.text("step", GAP, GAP, MARGIN, INK);
    let mut x = GAP + MARGIN;
    for (t, step) in snapshot.steps.iter().enumerate() {
        canvas.text(&(t + 1).to_string(), x, GAP, size.width, INK);
        let mut y = GAP + LINE;
        let mut whole = whole(snapshot, step, &colours);
        // The argmax, the last image, would repeat γ.
        whole.truncate(above);
        let [predictions, masks] = [true, false].map(|predictions| components(snapshot, step, predictions));
        for Labelled { label, colour, image } in whole
            .into_iter()
            .chain(predictions.into_iter().zip(masks).flat_map(|(prediction, mask)| [prediction, mask]))
        {
            if t == 0 {
                let label = label.replace("reconstruction", "recon").replace("prediction", "pred");
                canvas.text(&label, GAP, y + (size.height.saturating_sub(LETTER)) / 2, MARGIN, colour);
            }
            canvas.image(&image, x, y, size.factor);
            y += size.height + GAP;
        }
        x += size.width + GAP;
    }
    Ok(canvas)
}

/// The size that an image is drawn with.
struct Size {
    factor: u32,
    width: u32,
    height: u32,
}

impl Size {
    fn of(snapshot: &Snapshot, tile: u32) -> Size {
        let [width, height] =
            [snapshot.image.width, snapshot.image.height].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        let factor = tile.div_ceil(width.max(height).max(1)).max(1);
        // A saturated size is refused by the canvas.
        let [width, height] = [width, height].map(|n| n.saturating_mul(factor).min(1 << 30));
        Size { factor, width, height }
    }
}

fn title(snapshot: &Snapshot, step: usize, shown: &SnapshotStep) -> String {
    let of = match &snapshot.input {
        Some(input) => input.name(),
        None => format!("sample {}", snapshot.sample + 1),
    };
    let mut title = format!("{of}  EM step {}/{}", step + 1, snapshot.steps.len());
    for (name, score) in [("AMI", shown.ami), ("ARI", shown.ari), ("confidence", shown.confidence)] {
        if let Some(score) = score {
            title += &format!("  {name} {score:.2}");
        }
    }
    title
}

/// The images of all components together.
fn whole(snapshot: &Snapshot, step: &SnapshotStep, colours: &[Option<usize>; 256]) -> Vec<Labelled> {
    let (width, height) = (snapshot.image.width, snapshot.image.height);
    let (places, values) = (snapshot.image.pixels(), snapshot.image.values());
    let shades = |values: &[f32]| Raster::shades(values, width, height, [1.0; 3]);
    let sum = reconstruction(&step.preds, &step.gamma, places, values);
    let images = [
        ("input", Some(shades(&step.target))),
        ("noisy", Some(shades(&step.noisy))),
        ("reconstruction", Some(shades(&sum))),
        ("gamma", Some(Raster::gamma(&step.gamma, snapshot.k, width, height))),
        ("truth", snapshot.knows_objects().then(|| Raster::truth(&step.groups, colours, width, height))),
        ("argmax", Some(Raster::argmax(step, snapshot.k, width, height))),
    ];
    let labelled = |(label, image): (&str, Option<Raster>)| {
        Some(Labelled { label: label.into(), colour: INK, image: image? })
    };
    images.into_iter().filter_map(labelled).collect()
}

/// Each component's prediction or mask, in its own colour.
fn components(snapshot: &Snapshot, step: &SnapshotStep, predictions: bool) -> Vec<Labelled> {
    let (width, height) = (snapshot.image.width, snapshot.image.height);
    let (what, from, size) = match predictions {
        true => ("prediction", &step.preds, snapshot.image.values()),
        false => ("mask", &step.gamma, snapshot.image.pixels()),
    };
    let labelled = |k: usize| {
        let colour = colours::component(k);
        let values = from.get(k * size..(k + 1) * size).unwrap_or_default();
        Labelled {
            label: format!("{what} {k}"),
            colour: colours::bytes(colour),
            image: Raster::shades(values, width, height, colour),
        }
    };
    (0..snapshot.k).map(labelled).collect()
}
