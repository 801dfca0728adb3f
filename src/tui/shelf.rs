//! Fills the picker with models, presets and runs as they are found.

use super::app::{Entry, Picker, Previewed};
use super::workbench::is_same;
use crate::preset::Preset;
use crate::protocol::{Preview, RunCard, Shelf};

impl Picker {
    /// Lists the models and presets, and selects the first preset.
    pub fn stock(&mut self, shelf: Shelf) {
        let Shelf { models, presets, devices } = shelf;
        self.devices = devices;
        self.selected = models.len();
        let models = models.into_iter().map(|model| Entry::Model(Box::new(model)));
        let presets = presets.into_iter().map(|preset| Entry::Preset(Box::new(preset)));
        self.entries = models.chain(presets).collect();
    }

    /// Lists a run below those that are newer. The selected entry stays selected.
    pub fn add(&mut self, run: RunCard) {
        let same =
            |entry: &Entry| matches!(entry, Entry::Run(known) if is_same(&known.directory, &run.directory));
        if let Some(known) = self.entries.iter().position(same) {
            self.entries[known] = Entry::Run(Box::new(run));
            return;
        }
        let is_above = |entry: &Entry| !matches!(entry, Entry::Run(other) if other.changed < run.changed);
        let at = self.entries.iter().position(|entry| !is_above(entry)).unwrap_or(self.entries.len());
        let below = |index: usize| if index >= at { index + 1 } else { index };
        if !self.entries.is_empty() {
            self.selected = below(self.selected);
        }
        self.clicked = self.clicked.map(below);
        self.entries.insert(at, Entry::Run(Box::new(run)));
    }

    /// Shows a preview if it is still wanted.
    pub fn take_preview(&mut self, preset: Preset, sample: u64, preview: Option<Preview>) {
        let chosen = self.entries.get(self.selected).map(Entry::preset);
        if chosen == Some(&preset) && self.sample == sample {
            self.preview = preview.map(|preview| Previewed { preset, sample, preview });
        }
    }
}

#[cfg(test)]
mod tests;
