//! Choosing a model, a preset or a run.

use super::Effect;
use crate::protocol::{Command, Shelf};
use crate::tui::app::{App, Entry};
use crate::tui::keymap::Action;

/// Puts models, presets and runs on the shelf.
pub fn fill(app: &mut App, shelf: Shelf) -> Vec<Effect> {
    let Shelf { models, presets, runs, devices } = shelf;
    app.picker.devices = devices;
    // The first preset is what to begin with.
    app.picker.selected = models.len();
    let models = models.into_iter().map(|model| Entry::Model(Box::new(model)));
    let presets = presets.into_iter().map(|preset| Entry::Preset(Box::new(preset)));
    let runs = runs.into_iter().map(|run| Entry::Run(Box::new(run)));
    app.picker.entries = models.chain(presets).chain(runs).collect();
    preview(app)
}

pub fn pick(app: &mut App, action: Action) -> Vec<Effect> {
    let picker = &mut app.picker;
    let last = picker.entries.len().saturating_sub(1);
    let before = picker.selected;
    match action {
        Action::Up => picker.selected = before.saturating_sub(1),
        Action::Down => picker.selected = (before + 1).min(last),
        Action::First => picker.selected = 0,
        Action::Last => picker.selected = last,
        Action::Device(by) => {
            let devices = picker.devices.len().max(1) as i64;
            picker.device = (picker.device as i64 + by).rem_euclid(devices) as usize;
        }
        Action::Sample(by) => {
            picker.sample = picker.sample.saturating_add_signed(by);
            return preview(app);
        }
        Action::Open => {
            let effect = match picker.entries.get(before) {
                Some(Entry::Model(model)) => Effect::Open(model.name.clone(), picker.device().to_owned()),
                Some(Entry::Preset(preset)) => Effect::Start(preset.clone(), picker.device().to_owned()),
                Some(Entry::Run(run)) => Effect::Resume(run.clone(), picker.device().to_owned()),
                None => return vec![],
            };
            app.starting = true;
            return vec![effect];
        }
        Action::Inspect => {
            let device = picker.device().to_owned();
            let effects = match picker.entries.get(before) {
                Some(Entry::Model(model)) => vec![Effect::Open(model.name.clone(), device)],
                // It is gone on with, and pauses before it has done anything.
                Some(Entry::Run(run)) => {
                    vec![Effect::Resume(run.clone(), device), Effect::Send(Command::Pause)]
                }
                Some(Entry::Preset(_)) => {
                    let key = app.key(Action::Open);
                    app.message =
                        Some(format!("of a preset there is nothing to look at yet; {key} trains it"));
                    return vec![];
                }
                None => return vec![],
            };
            app.starting = true;
            return effects;
        }
        _ => {}
    }
    if picker.selected == before {
        return vec![];
    }
    picker.clicked = None;
    preview(app)
}

pub fn preview(app: &App) -> Vec<Effect> {
    let entry = app.picker.entries.get(app.picker.selected);
    entry.map(|e| Effect::Preview(Box::new(e.preset().clone()), app.picker.sample)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::RunCard;
    use crate::tui::testing::{picker, preset, press};
    use crate::tui::update::{Message, update};

    #[test]
    fn the_picker_chooses_previews_and_starts_once() {
        let mut app = picker();
        assert!(matches!(&press(&mut app, "↑")[..], [Effect::Preview(..)]), "the model above the presets");
        assert!(press(&mut app, "↑").is_empty(), "nothing above the first");
        assert_eq!(press(&mut app.clone(), "↵"), [Effect::Open("shapes".into(), "libtorch".into())]);
        press(&mut app, "↓");
        assert!(
            matches!(&press(&mut app, "↓")[..], [Effect::Preview(p, 0)] if p.name == "static-shapes-nem")
        );
        assert!(matches!(&press(&mut app, "→")[..], [Effect::Preview(_, 1)]));
        assert!(matches!(&press(&mut app, "←←")[..], [Effect::Preview(_, 0), Effect::Preview(_, 0)]));
        assert!(
            matches!(&press(&mut app, "↵↵")[..], [Effect::Start(p, d)] if p.name == "static-shapes-nem" && d == "libtorch")
        );
        update(&mut app, Message::StartFailed("no disk".into()));
        assert_eq!(app.message.as_deref(), Some("no disk"));
        assert!(matches!(&press(&mut app, "↵")[..], [Effect::Start(..)]), "and may be tried again");
        assert_eq!(press(&mut picker(), "q"), [Effect::Exit]);
    }

    /// A run that is only looked at is paused before its first iteration.
    #[test]
    fn the_picker_opens_runs_to_look_at_them() {
        let mut app = picker();
        assert!(press(&mut app, "i").is_empty() && app.message.is_some(), "a preset");
        let run = RunCard { directory: "runs/a".into(), preset: preset(), seed: 1, iteration: 5, ami: None };
        app.picker.entries.push(Entry::Run(Box::new(run.clone())));
        app.picker.selected = 3;
        let effects = press(&mut app, "i");
        let resumed = Effect::Resume(Box::new(run), "libtorch".into());
        assert_eq!(effects, [resumed, Effect::Send(Command::Pause)]);
        let mut app = picker();
        press(&mut app, "↑");
        assert_eq!(press(&mut app, "i"), [Effect::Open("shapes".into(), "libtorch".into())]);
    }

    #[test]
    fn the_picker_turns_through_the_devices() {
        for (keys, chosen) in [("d", "flex"), ("dd", "libtorch"), ("D", "flex"), ("dD", "libtorch")] {
            let mut app = picker();
            assert!(press(&mut app, keys).is_empty());
            let effects = press(&mut app, "↵");
            assert!(matches!(&effects[..], [Effect::Start(_, device)] if device == chosen), "{keys}");
        }
    }
}
