//! Steering the training: settings, pauses, checkpoints.

use std::collections::VecDeque;

use super::look::answers;
use crate::error::Error;
use crate::preset::{MAX_COMPONENTS, MAX_STEPS, Preset, Setting};
use crate::protocol::Command;
use crate::tui::message::{Done, ENDED, Effect};
use crate::tui::workbench::Workbench;

/// Why a training can no longer be steered.
fn over(workbench: &Workbench) -> String {
    match workbench.alive {
        true => "the training is over; :train N trains N epochs more, and :fork does so in a new run".into(),
        false => ENDED.into(),
    }
}

fn send(workbench: &Workbench, command: Command) -> Done {
    if workbench.is_running() { Ok(vec![Effect::Send(command)]) } else { Err(over(workbench)) }
}

/// Pauses or continues the training. Shown at once; the worker confirms after the iteration in progress.
pub fn pause(workbench: &mut Workbench) -> Done {
    let command = if workbench.paused { Command::Resume } else { Command::Pause };
    let sent = send(workbench, command)?;
    workbench.paused = !workbench.paused;
    Ok(sent)
}

/// Trains for one iteration, then pauses.
pub fn step(workbench: &mut Workbench) -> Done {
    let sent = send(workbench, Command::Step)?;
    workbench.paused = true;
    Ok(sent)
}

/// Trains `more` + 1 epochs more, also after the training is over.
pub fn train_further(workbench: &mut Workbench, more: usize) -> Done {
    let more = more as u64 + 1;
    match workbench.alive {
        true => Ok(vec![Effect::Send(Command::Train(more))]),
        false => Err(over(workbench)),
    }
}

/// Writes a checkpoint now.
pub fn checkpoint(workbench: &mut Workbench) -> Done {
    send(workbench, Command::Checkpoint)
}

/// Shows where an iteration's time goes, or the scores again.
pub fn profile(workbench: &mut Workbench) -> Done {
    if !workbench.is_running() && workbench.profiles.is_none() {
        return Err(over(workbench));
    }
    workbench.profiles = workbench.profiles.is_none().then(VecDeque::new);
    let profile = Effect::Send(Command::Profile(workbench.profiles.is_some()));
    Ok(workbench.is_running().then_some(profile).into_iter().collect())
}

/// Lowers or raises a setting by one notch.
pub fn turn(workbench: &mut Workbench, kind: Setting, by: i64) -> Done {
    let preset = workbench.inspector.as_ref().map_or(&workbench.wanted, |inspector| &inspector.preset);
    match turned(preset, kind, by) {
        Some(setting) => change(workbench, setting),
        None => Err(match kind.current(preset) {
            None => format!("this run has no {} to change", kind.short()),
            Some(now) => {
                let end = if by > 0 { "highest" } else { "lowest" };
                format!("{} is {}, the {end} it can be", kind.short(), now.value())
            }
        }),
    }
}

/// Changes a setting of the training or, while the inspector is open, only of what it shows.
pub fn change(workbench: &mut Workbench, setting: Setting) -> Done {
    if workbench.inspector.is_some() || workbench.is_model() {
        answers(workbench)?;
    }
    if let Some(inspector) = &mut workbench.inspector {
        let look = inspector.change(setting)?;
        // Only the current weights can compute another snapshot.
        workbench.album = None;
        return Ok(vec![Effect::Send(Command::Look(look))]);
    }
    if !workbench.is_running() && !workbench.is_model() {
        return Err(over(workbench));
    }
    let Some(before) = setting.current(&workbench.wanted) else {
        return Err(format!("this run has no {}", setting.field()));
    };
    if before == setting {
        return Ok(vec![]);
    }
    workbench.wanted = setting.apply(&workbench.wanted).map_err(Error::problem)?;
    workbench.undo.push(before);
    Ok(vec![Effect::Send(Command::Set(setting))])
}

/// Makes the change that a value typed for a field of the preset means, if it can be made live.
pub fn set(workbench: &mut Workbench, name: &str, value: &str) -> Done {
    let before = workbench.inspector.as_ref().map_or(&workbench.wanted, |inspector| &inspector.preset);
    let set = format!("{name}={value}");
    let after = before.set(&[&set]).map_err(Error::problem)?;
    let is_all = |setting: &Setting| {
        setting.current(before) != Some(*setting)
            && setting.apply(before).is_ok_and(|applied| applied == after)
    };
    let live = Setting::KINDS.iter().filter_map(|kind| kind.current(&after)).find(is_all);
    match live {
        Some(setting) => change(workbench, setting),
        None if after == *before => Ok(vec![]),
        None if workbench.is_model() => {
            let live = Setting::KINDS.map(|kind| kind.short()).join(", ");
            Err(format!("{name} cannot change here; of {live}, those that a model has can"))
        }
        None => {
            let how = if after.has_network_of(before) { "fork" } else { "restart" };
            Err(format!("{name} cannot change while it trains; :{how} {set} starts a run with it"))
        }
    }
}

/// Undoes the latest change that still makes a difference: its old value becomes a new change.
pub fn undo(workbench: &mut Workbench) -> Done {
    while let Some(before) = workbench.undo.pop() {
        if before.current(&workbench.wanted) == Some(before) {
            continue;
        }
        let effects = change(workbench, before);
        if effects.is_ok() {
            // An undo cannot be undone; the change before it is next.
            workbench.undo.pop();
        }
        return effects;
    }
    Err("there is nothing to undo".into())
}

/// The setting one notch further; `None` where the preset has no such value, or at the end of the scale.
fn turned(preset: &Preset, kind: Setting, by: i64) -> Option<Setting> {
    let count = |n: usize, most: usize| n.saturating_add_signed(by as isize).clamp(1, most);
    let setting = match kind.current(preset)? {
        Setting::K(k) => Setting::K(count(k, MAX_COMPONENTS)),
        Setting::Steps(steps) => Setting::Steps(count(steps, MAX_STEPS)),
        Setting::Objects(objects) => Setting::Objects(count(objects, 255)),
        Setting::Noise(probability) => Setting::Noise(notch(probability, 20.0, by).clamp(0.0, 1.0)),
        Setting::LearningRate(rate) => Setting::LearningRate(rung(rate, by)),
        Setting::InterWeight(weight) => Setting::InterWeight(notch(weight, 10.0, by).max(0.0)),
        // No component can be surer of itself than this.
        Setting::ESigma(sigma) => Setting::ESigma(notch(sigma, 20.0, by).max(0.05)),
        Setting::MaxEpochs(most) => Setting::MaxEpochs(most.saturating_add_signed(by).max(1)),
    };
    (setting.current(preset) != Some(setting) && setting.apply(preset).is_ok()).then_some(setting)
}

/// The next multiple of 1/`per_unit` up or down. Multiples are computed from whole numbers, so that 0.1
/// does not become 0.1000001.
fn notch(value: f64, per_unit: f64, by: i64) -> f64 {
    let at = value * per_unit;
    let near = (at - at.round()).abs() < 1e-6;
    let next = match (near, by > 0) {
        (true, true) => at.round() + 1.0,
        (true, false) => at.round() - 1.0,
        (false, true) => at.ceil(),
        (false, false) => at.floor(),
    };
    next / per_unit
}

/// The next value up or down on the ladder …, 1, 2, 5, 10, …
fn rung(value: f64, by: i64) -> f64 {
    let ladder = (-8..=0).flat_map(|exponent| [1, 2, 5].map(|digit| format!("{digit}e{exponent}")));
    let ladder: Vec<f64> = ladder.filter_map(|text| text.parse().ok()).collect();
    let near = |rung: f64| (rung / value - 1.0).abs() < 1e-6;
    let next = match by {
        1.. => ladder.iter().find(|rung| **rung > value && !near(**rung)),
        _ => ladder.iter().rev().find(|rung| **rung < value && !near(**rung)),
    };
    next.copied().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Event, Finish, Iteration, Profile, RunKind};
    use crate::tui::testing::{press, sent, workbench};
    use crate::tui::update::{Message, update};

    /// (state, keys, commands sent)
    #[test]
    fn letters_lower_and_raise_values() {
        use Setting::*;
        for (keys, expected) in [
            ("k", vec![K(3)]),
            ("KK", vec![K(5), K(6)]),
            ("kkkkk", vec![K(3), K(2), K(1)]),
            ("n", vec![Noise(0.05)]),
            ("nnn", vec![Noise(0.05), Noise(0.0)]),
            ("N", vec![Noise(0.15)]),
            ("l", vec![LearningRate(2e-3)]),
            ("LL", vec![LearningRate(5e-3), LearningRate(1e-2)]),
            ("tT", vec![Steps(5), Steps(6)]),
            ("wW", vec![InterWeight(0.9), InterWeight(1.0)]),
            ("oO", vec![Objects(2), Objects(3)]),
        ] {
            let mut app = workbench();
            let expected: Vec<Command> = expected.into_iter().map(Command::Set).collect();
            assert_eq!(sent(&press(&mut app, keys)), expected, "{keys}");
        }
    }

    #[test]
    fn the_end_of_a_scale_is_said() {
        for (keys, said) in [
            ("kkkk", "k is 1, the lowest it can be"),
            ("nnn", "noise is 0, the lowest it can be"),
            ("k", ""),
            ("g", "this run has no sigma to change"),
        ] {
            let mut app = workbench();
            press(&mut app, keys);
            assert_eq!(app.message.as_deref().unwrap_or_default(), said, "{keys}");
        }
    }

    #[test]
    fn values_between_notches_go_to_the_next_one() {
        assert_eq!(notch(0.13, 20.0, 1), 0.15);
        assert_eq!(notch(0.12, 20.0, -1), 0.1);
        assert_eq!((rung(0.004, 1), rung(0.004, -1), rung(0.005, 1)), (0.005, 0.002, 0.01));
    }

    #[test]
    fn undo_brings_old_values_back_as_new_changes() {
        use Setting::*;
        let mut app = workbench();
        assert_eq!(
            sent(&press(&mut app, "KNNuuu")),
            [K(5), Noise(0.15), Noise(0.2), Noise(0.15), Noise(0.1), K(4)].map(Command::Set)
        );
        assert!(sent(&press(&mut app, "u")).is_empty());
        assert!(app.message.as_deref().is_some_and(|message| message.contains("nothing")));
        // A change that was reverted by hand is skipped.
        assert_eq!(sent(&press(&mut app, "KkNu")).last(), Some(&Command::Set(Noise(0.1))));
        assert_eq!(sent(&press(&mut app, "u")), [Command::Set(K(5))]);
    }

    #[test]
    fn space_s_and_c_steer_the_training() {
        let mut app = workbench();
        assert_eq!(sent(&press(&mut app, " ")), [Command::Pause]);
        assert_eq!(sent(&press(&mut app, " ")), [Command::Resume]);
        assert_eq!(sent(&press(&mut app, "sc")), [Command::Step, Command::Checkpoint]);
        assert!(app.workbench.unwrap().paused, "a single step pauses");
    }

    #[test]
    fn the_profile_is_asked_for_averaged_and_given_up() {
        let mut app = workbench();
        assert_eq!(sent(&press(&mut app, "p")), [Command::Profile(true)]);
        let profile = |data| Some(Profile { data, ..Profile::default() });
        for (n, profile) in [(1, None), (2, profile(1.0)), (3, profile(3.0))] {
            let done = Iteration { iteration: n, profile, ..Iteration::default() };
            update(&mut app, Message::Run(Event::Iterations(vec![done])));
        }
        let profiles = app.workbench.as_ref().unwrap().profiles.as_ref().unwrap();
        assert_eq!(Profile::mean(profiles.iter()), profile(2.0));
        let mut over = app.clone();
        assert_eq!(sent(&press(&mut app, "p")), [Command::Profile(false)]);
        assert!(app.workbench.unwrap().profiles.is_none());
        update(&mut over, Message::Run(Event::Finished(Finish::MaxEpochs)));
        assert!(press(&mut over, "p").is_empty(), "nobody makes profiles any more");
        assert!(over.workbench.unwrap().profiles.is_none());
    }

    /// A model accepts settings of the view, but not of the training.
    #[test]
    fn a_model_is_looked_at_and_not_trained() {
        use Setting::*;
        let mut app = workbench();
        app.workbench.as_mut().unwrap().info.kind = RunKind::Model;
        for (keys, expected) in [
            ("K", vec![Command::Set(K(5))]),
            ("n", vec![Command::Set(Noise(0.05))]),
            ("T", vec![Command::Set(Steps(7))]),
            ("O", vec![Command::Set(Objects(4))]),
            (".", vec![Command::Watch(1)]),
            ("lLwWsc p⇥", vec![]),
        ] {
            assert_eq!(sent(&press(&mut app.clone(), keys)), expected, "{keys}");
        }
        assert_eq!(press(&mut app, "q"), [Effect::Send(Command::Stop)], "and is left without a question");
    }
}
