//! Presets: RON files that describe whole experiments.
//!
//! A [`Preset`] is plain data: images, noise, network, loss and training protocol. Nothing else configures a run,
//! so a resolved preset and a seed are enough to repeat it. `presets/*.ron` are embedded in the binary, and a path
//! loads any other file. `--set path=value` overrides single fields ([`Preset::set`]); a [`Setting`] changes one
//! during training.

mod case;
mod check;
mod data;
mod difference;
mod images;
mod layers;
mod load;
mod memory;
mod schema;
mod setting;
mod shapes;
mod stages;
mod typed;

pub use check::{DIGIT_SIDE, MAX_COMPONENTS, MAX_IMAGE_SIDE, MAX_STEPS};
pub use data::{Data, Digits, Images, Noise, ShapeSet, Speed};
pub use difference::{Difference, differences, is_description, settings};
pub use images::ImageSize;
pub use layers::{LayerOutput, layer_outputs};
pub use load::{embedded, embedded_names};
pub use memory::{EVALUATED_AT_ONCE, Work};
pub use schema::{
    Activation, Adam, Cell, Distribution, Epsilons, Layer, Loss, ModelSpec, Preset, Setting, Stage,
    StepWeights, Train,
};
pub use shapes::Bitmap;
pub use stages::is_scorable;
pub use typed::is_field;
