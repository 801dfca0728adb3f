//! `nem-tui presets`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::print::{print, print_json};
use crate::error::Result;
use crate::preset::{Preset, embedded, embedded_names};

#[derive(Args, Debug)]
pub(super) struct PresetsArgs {
    /// Print this preset's text, as a template for your own
    name: Option<PathBuf>,
    /// Print one JSON object per line, with the whole preset
    #[arg(long)]
    json: bool,
}

impl PresetsArgs {
    pub(super) fn run(self) -> Result<()> {
        if let Some(name) = &self.name {
            let preset = Preset::load(name)?;
            if self.json {
                return print_json(&preset);
            }
            let text = embedded()
                .iter()
                .find(|(known, _)| Path::new(known) == name)
                .map(|(_, text)| (*text).to_owned());
            return print(&text.unwrap_or_else(|| preset.to_ron()));
        }
        let presets = embedded_names().map(Preset::load).collect::<Result<Vec<_>>>()?;
        if self.json {
            return presets.iter().try_for_each(print_json);
        }
        let width = presets.iter().map(|p| p.name.len()).max().unwrap_or(0);
        let lines = presets.iter().map(|p| {
            let indent = " ".repeat(width);
            format!("{:width$}  {}\n{indent}  expect: {}\n", p.name, p.about, p.expect)
        });
        print(&lines.collect::<String>())
    }
}
