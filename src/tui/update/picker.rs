//! Choosing a model, a preset or a run.

use super::compare;
use crate::protocol::{Command, RunCard};
use crate::tui::app::{App, Entry, Overlay};
use crate::tui::message::{Done, Effect};

/// Chooses the entry `by` lines below.
pub fn step(app: &mut App, by: i64) -> Done {
    let to = app.picker.selected.saturating_add_signed(by as isize);
    select(app, to)
}

/// Chooses this entry, or the last.
pub fn select(app: &mut App, to: usize) -> Done {
    let picker = &mut app.picker;
    let to = to.min(picker.entries.len().saturating_sub(1));
    if std::mem::replace(&mut picker.selected, to) == to {
        return Ok(vec![]);
    }
    picker.clicked = None;
    Ok(preview(app))
}

/// Shows another sample of the chosen entry's data.
pub fn sample(app: &mut App, by: i64) -> Done {
    app.picker.sample = app.picker.sample.saturating_add_signed(by);
    Ok(preview(app))
}

/// Chooses another device.
pub fn device(app: &mut App, by: i64) -> Done {
    let devices = app.picker.devices.len().max(1) as i64;
    app.picker.device = (app.picker.device as i64 + by).rem_euclid(devices) as usize;
    Ok(vec![])
}

/// Shows the chosen model, trains the chosen preset, or resumes the chosen run.
pub fn open(app: &mut App) -> Done {
    let device = app.picker.device().to_owned();
    let effect = match app.picker.entries.get(app.picker.selected) {
        Some(Entry::Model(model)) => Effect::Open(model.name.clone().into(), device),
        Some(Entry::Preset(preset)) => Effect::Start(preset.clone(), device),
        Some(Entry::Run(run)) => Effect::Resume(run.clone(), device),
        None => return Ok(vec![]),
    };
    app.starting = true;
    Ok(vec![effect])
}

/// Shows the chosen model or run without training it.
///
/// # Errors
/// A preset, which `open` trains.
pub fn look(app: &mut App, open: &str) -> Done {
    match app.picker.entries.get(app.picker.selected) {
        Some(Entry::Preset(_)) => {
            Err(format!("a preset has nothing to look at before it is trained; {open} trains it"))
        }
        entry => {
            let run = matches!(entry, Some(Entry::Run(_)));
            let mut effects = self::open(app)?;
            // The run is resumed, and pauses before its first iteration.
            effects.extend(run.then_some(Effect::Send(Command::Pause)));
            Ok(effects)
        }
    }
}

/// Requests the preview of the chosen entry.
pub fn preview(app: &App) -> Vec<Effect> {
    let entry = app.picker.entries.get(app.picker.selected);
    entry.map(|e| Effect::Preview(Box::new(e.preset().clone()), app.picker.sample)).into_iter().collect()
}

/// Adds a run that was found to the shelf, or offers it for comparison.
pub fn take_run(app: &mut App, run: RunCard) {
    match app.workbench {
        None => app.picker.add(run),
        Some(_) => compare::offer(app, run),
    }
}

/// Notes that all runs were found.
pub fn all_runs_found(app: &mut App) {
    app.picker.reading = false;
    if let Some(Overlay::Compare(choice)) = &mut app.overlay {
        choice.reading = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let run = RunCard {
            directory: "runs/a".into(),
            preset: preset(),
            seed: 1,
            iteration: 5,
            ami: None,
            changed: std::time::SystemTime::UNIX_EPOCH,
            trouble: None,
        };
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
