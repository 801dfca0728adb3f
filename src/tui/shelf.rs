//! Fills the picker with models, presets and runs as they are found.

use std::cmp::Ordering;
use std::path::Path;

use super::app::{Entry, Picker, Previewed};
use super::table::{Column, RunTable};
use super::workbench::is_same;
use crate::preset::Preset;
use crate::protocol::{Preview, RunCard, RunState, Shelf};

impl Entry {
    /// What the filter looks for: names and, of a run, its state, origin and note.
    fn words(&self) -> String {
        match self {
            Entry::Model(model) => format!("{} {} model", model.name, model.preset.name),
            Entry::Preset(preset) => format!("{} preset", preset.name),
            Entry::Run(run) => {
                let more = [&run.parent, &run.note, &run.trouble].into_iter().flatten();
                let state = run.doing();
                more.fold(format!("{} {} run {state}", run.name(), run.preset.name), |all, text| {
                    all + " " + text
                })
            }
        }
    }
}

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

    /// Lists a run below those that are newer. The selected entry stays selected, unless this run is wanted.
    pub fn add(&mut self, run: RunCard) {
        let known = self.place_of(&run.directory);
        let is_wanted = self.wanted.take_if(|wanted| is_same(wanted, &run.directory)).is_some();
        let was_selected = known == Some(self.selected);
        let was_clicked = known.is_some() && known == self.clicked;
        if let Some(known) = known {
            // Runs that train would change places all the time.
            if let Entry::Run(old) = &mut self.entries[known]
                && (&old.state, &run.state) == (&RunState::Running, &RunState::Running)
            {
                **old = run;
                return;
            }
            // It may be the newest now.
            self.take_out(known);
        }
        let is_above = |entry: &Entry| !matches!(entry, Entry::Run(other) if other.changed < run.changed);
        let at = self.entries.iter().position(|entry| !is_above(entry)).unwrap_or(self.entries.len());
        let below = |index: usize| if index >= at { index + 1 } else { index };
        if !self.entries.is_empty() {
            self.selected = below(self.selected);
        }
        self.clicked = self.clicked.map(below);
        self.entries.insert(at, Entry::Run(Box::new(run)));
        if was_selected || is_wanted {
            self.selected = at;
        }
        if was_clicked {
            self.clicked = Some(at);
        }
        // What the user was looking at is not hidden.
        if is_wanted && self.chosen().is_none() {
            self.filter.clear();
        }
        self.settle();
    }

    /// Removes the run in this directory from the list.
    pub fn remove(&mut self, run: &Path) {
        if let Some(at) = self.place_of(run) {
            self.take_out(at);
            self.selected = self.selected.min(self.entries.len().saturating_sub(1));
            self.settle();
        }
    }

    /// Selects the nearest listed entry instead of one that the filter hides.
    fn settle(&mut self) {
        if self.chosen().is_none()
            && let Some(nearest) = self.listed().min_by_key(|at| at.abs_diff(self.selected))
        {
            (self.selected, self.clicked) = (nearest, None);
        }
    }

    fn take_out(&mut self, at: usize) {
        self.entries.remove(at);
        self.selected -= usize::from(self.selected > at);
        let below = |index: usize| index - usize::from(index > at);
        self.clicked = self.clicked.filter(|clicked| *clicked != at).map(below);
    }

    fn place_of(&self, run: &Path) -> Option<usize> {
        let same = |entry: &Entry| matches!(entry, Entry::Run(known) if is_same(&known.directory, run));
        self.entries.iter().position(same)
    }

    /// Whether an entry is listed: in the list trials of sweeps are not, in the table only runs, and the filter must let
    /// it through.
    fn lists(&self) -> impl Fn(&Entry) -> bool + '_ {
        let words: Vec<String> = self.filter.split_whitespace().map(str::to_lowercase).collect();
        move |entry| {
            let of_table = match (&self.table, entry) {
                (Some(table), Entry::Run(run)) => table.words(run),
                (None, Entry::Run(run)) if run.sweep.is_some() => return false,
                (None, _) => String::new(),
                (Some(_), _) => return false,
            };
            words.is_empty() || {
                let text = (entry.words() + &of_table).to_lowercase();
                words.iter().all(|word| text.contains(word))
            }
        }
    }

    /// The entries that are listed, in their order on the screen.
    pub fn listed(&self) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let lists = self.lists();
        let entries = self.entries.iter().enumerate().filter(|(_, entry)| lists(entry));
        let mut listed: Vec<usize> = entries.map(|(at, _)| at).collect();
        match &self.table {
            Some(RunTable { by: Some(by), .. }) => listed.sort_by(|one, other| self.order(by, *one, *other)),
            Some(RunTable { by: None, reversed: true, .. }) => listed.reverse(),
            _ => {}
        }
        listed.into_iter()
    }

    fn order(&self, by: &Column, one: usize, other: usize) -> Ordering {
        match (&self.table, self.run_at(one), self.run_at(other)) {
            (Some(table), Some(one), Some(other)) => table.order(by, one, other),
            _ => Ordering::Equal,
        }
    }

    /// The selected entry, if it is listed.
    pub fn chosen(&self) -> Option<&Entry> {
        self.entries.get(self.selected).filter(|entry| self.lists()(entry))
    }

    /// The chosen run.
    pub fn selected_run(&self) -> Option<&RunCard> {
        match self.chosen() {
            Some(Entry::Run(run)) => Some(run),
            _ => None,
        }
    }

    /// How long this preset takes on the chosen device: `None` if that was not found out yet, else the seconds, if they
    /// are known.
    pub fn seconds_of(&self, preset: &Preset) -> Option<Option<f64>> {
        let known = self.seconds.iter().find(|(of, on, _)| of == preset && on == self.device());
        known.map(|(.., seconds)| *seconds)
    }

    /// Notes how long a preset takes on a device. What could not be found out is asked for again once another preset
    /// was chosen.
    pub fn time(&mut self, preset: Preset, device: String, seconds: Option<f64>) {
        self.seconds.retain(|(of, on, known)| known.is_some() && (of, on) != (&preset, &device));
        self.seconds.push((preset, device, seconds));
    }

    /// The names of the models.
    pub fn models(&self) -> impl Iterator<Item = String> {
        let name =
            |entry: &Entry| if let Entry::Model(model) = entry { Some(model.name.clone()) } else { None };
        self.entries.iter().filter_map(name)
    }

    /// The runs on the list.
    pub fn runs(&self) -> impl Iterator<Item = &RunCard> {
        self.entries.iter().filter_map(|entry| if let Entry::Run(run) = entry { Some(&**run) } else { None })
    }

    /// Opens the table of runs.
    pub fn open_table(&mut self) {
        self.table = Some(RunTable::default());
        self.read_table();
    }

    /// Takes the runs as they are now into the table, if it is open.
    pub fn read_table(&mut self) {
        if let Some(mut table) = self.table.take() {
            table.read(self.runs());
            self.table = Some(table);
        }
    }

    /// The run at this place.
    pub fn run_at(&self, at: usize) -> Option<&RunCard> {
        match self.entries.get(at) {
            Some(Entry::Run(run)) => Some(run),
            _ => None,
        }
    }

    /// Shows a preview if it is still wanted.
    pub fn take_preview(&mut self, preset: Preset, sample: u64, preview: Option<Preview>) {
        let chosen = self.chosen().map(Entry::preset);
        if chosen == Some(&preset) && self.sample == sample {
            self.preview = preview.map(|preview| Previewed { preset, sample, preview });
        }
    }
}

#[cfg(test)]
mod tests;
