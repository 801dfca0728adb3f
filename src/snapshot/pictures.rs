//! What the model makes of an image, as a picture: one EM step in full, or all of them in the paper's grid.
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
use super::tile::{Tile, reconstruction};
use super::{Snapshot, SnapshotStep};
use crate::colours;
use crate::error::{Error, Result};

/// Between pictures, and around them all.
const GAP: u32 = 8;
/// A line of words, with the air below it.
const LINE: u32 = LETTER + 4;
/// Images of the first row, and of any other at least.
const WHOLE: usize = 6;
/// Images of a row at most.
const COLUMNS: usize = 8;
/// Letters before a row of the overview.
const MARGIN: u32 = 8 * LETTER;

/// An image and what it is called.
struct Labelled {
    label: String,
    colour: [u8; 3],
    tile: Tile,
}

/// EM step `step`, counted from 0: the images that belong to all components, then every component's prediction,
/// then every component's mask.
///
/// # Errors
/// [`Error::Usage`] for a step that there is not, or a picture too large.
pub fn step(snapshot: &Snapshot, step: usize, tile: u32) -> Result<Canvas> {
    let Some(shown) = snapshot.steps.get(step) else {
        return Err(Error::Usage(format!(
            "there is no EM step {}: this sample has {}; choose one of them",
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
        for Labelled { label, colour, tile } in row {
            canvas.text(label, x, y, size.width + GAP, *colour);
            canvas.tile(tile, x, y + LINE, size.factor);
            x += size.width + GAP;
        }
        y += LINE + size.height + GAP;
    }
    Ok(canvas)
}

/// The paper's grid: a column for each EM step; rows are the input, the noisy input, the reconstruction, γ and the
/// true objects, then the prediction and the mask of every component.
///
/// # Errors
/// [`Error::Usage`] for a snapshot without EM steps, or a picture too large.
pub fn overview(snapshot: &Snapshot, tile: u32) -> Result<Canvas> {
    if snapshot.steps.is_empty() {
        return Err(Error::Usage("this sample has no EM steps; ask for at least 1".into()));
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
        // The last, the argmax, is γ once more.
        whole.truncate(above);
        let [predictions, masks] = [true, false].map(|predictions| components(snapshot, step, predictions));
        for Labelled { label, colour, tile } in whole
            .into_iter()
            .chain(predictions.into_iter().zip(masks).flat_map(|(prediction, mask)| [prediction, mask]))
        {
            if t == 0 {
                let label = label.replace("reconstruction", "recon").replace("prediction", "pred");
                canvas.text(&label, GAP, y + (size.height.saturating_sub(LETTER)) / 2, MARGIN, colour);
            }
            canvas.tile(&tile, x, y, size.factor);
            y += size.height + GAP;
        }
        x += size.width + GAP;
    }
    Ok(canvas)
}

/// How large an image is drawn.
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
        // What saturates is refused as too large.
        let [width, height] = [width, height].map(|n| n.saturating_mul(factor).min(1 << 30));
        Size { factor, width, height }
    }
}

fn title(snapshot: &Snapshot, step: usize, shown: &SnapshotStep) -> String {
    let of = match snapshot.input.as_ref().and_then(|input| input.file.file_name()) {
        Some(name) => name.to_string_lossy().into_owned(),
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

fn whole(snapshot: &Snapshot, step: &SnapshotStep, colours: &[Option<usize>; 256]) -> Vec<Labelled> {
    let (width, height) = (snapshot.image.width, snapshot.image.height);
    let (places, values) = (snapshot.image.pixels(), snapshot.image.values());
    let shades = |values: &[f32]| Tile::shades(values, width, height, [1.0; 3]);
    let sum = reconstruction(&step.preds, &step.gamma, places, values);
    let tiles = [
        ("input", Some(shades(&step.target))),
        ("noisy", Some(shades(&step.noisy))),
        ("reconstruction", Some(shades(&sum))),
        ("gamma", Some(Tile::gamma(&step.gamma, snapshot.k, width, height))),
        // Nobody knows the objects of one's own image.
        ("truth", snapshot.input.is_none().then(|| Tile::truth(&step.groups, colours, width, height))),
        ("argmax", Some(Tile::argmax(step, snapshot.k, width, height))),
    ];
    let labelled = |(label, tile): (&str, Option<Tile>)| {
        Some(Labelled { label: label.into(), colour: INK, tile: tile? })
    };
    tiles.into_iter().filter_map(labelled).collect()
}

/// Every component's prediction, or mask, in its own colour.
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
            tile: Tile::shades(values, width, height, colour),
        }
    };
    (0..snapshot.k).map(labelled).collect()
}
