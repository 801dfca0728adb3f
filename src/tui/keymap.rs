//! Every key, once: what dispatches it also writes the help and the hints at the bottom.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Where a key means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Choosing a preset or a run.
    Picker,
    /// Watching a training.
    Workbench,
    /// Looking at a trained model: what of the workbench's keys is not about training.
    Model,
}

/// A value that a pair of keys lowers and raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dial {
    /// K.
    Components,
    /// The noise probability.
    Noise,
    /// The learning rate.
    LearningRate,
    /// EM steps.
    Steps,
    /// Weight of the inter-cluster loss.
    InterWeight,
    /// Objects per image.
    Objects,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The line above.
    Up,
    /// The line below.
    Down,
    /// The first line.
    First,
    /// The last line.
    Last,
    /// Start or resume what is selected.
    Open,
    /// The sample after or before this one.
    Sample(i64),
    /// The EM step after or before this one.
    EmStep(i64),
    /// Pause, or go on.
    TogglePause,
    /// One iteration.
    StepOnce,
    /// Lower (−1) or raise (+1) a value.
    Turn(Dial, i64),
    /// Save now.
    Checkpoint,
    /// Show where an iteration's time goes, or the scores again.
    Profile,
    /// The device after or before this one.
    Device(i64),
    /// The next pane.
    NextPane,
    /// Give the pane the whole screen, or take it back.
    Zoom,
    /// Help, or no help.
    Help,
    /// Leave.
    Quit,
    /// End the run, also one of another process.
    Stop,
}

impl Action {
    /// Whether it is of use where a model is on show, which has one pane and is not trained.
    fn is_for_looking(self) -> bool {
        match self {
            Turn(dial, _) => !matches!(dial, Dial::LearningRate | Dial::InterWeight),
            TogglePause | StepOnce | Checkpoint | Profile | NextPane | Zoom | Stop => false,
            _ => true,
        }
    }
}

/// A key, or two that go together, with what they do.
pub struct Binding {
    /// The context it holds in.
    pub context: Context,
    /// The keys and their actions.
    pub keys: &'static [(KeyCode, Action)],
    /// How the keys are written.
    pub label: &'static str,
    /// Two words for the hints; empty where there is no room to spend.
    pub hint: &'static str,
    /// A line for the help.
    pub help: &'static str,
}

use Action::*;
use KeyCode::{Char, Enter, Tab};

const fn binding(
    context: Context,
    keys: &'static [(KeyCode, Action)],
    label: &'static str,
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding { context, keys, label, hint, help }
}

/// The table. The order is that of the hints and the help.
#[rustfmt::skip]
pub const BINDINGS: &[Binding] = &[
    binding(Context::Picker, &[(Enter, Open)], "enter", "open", "look at the model, train the preset, go on with the run"),
    binding(Context::Picker, &[(KeyCode::Up, Up), (KeyCode::Down, Down)], "↑ ↓", "choose", "choose a model, a preset or a run"),
    binding(Context::Picker, &[(KeyCode::Home, First), (KeyCode::End, Last)], "home end", "", "the first, the last"),
    binding(Context::Picker, &[(KeyCode::Left, Sample(-1)), (KeyCode::Right, Sample(1)), (Char(','), Sample(-1)), (Char('.'), Sample(1))], "← →", "sample", "another sample of its data (also , and .)"),
    binding(Context::Picker, &[(Char('d'), Device(1)), (Char('D'), Device(-1))], "d", "device", "the next device to train on, the one before with D"),
    binding(Context::Picker, &[(Char('?'), Help)], "?", "help", "this help"),
    binding(Context::Picker, &[(Char('q'), Quit)], "q", "quit", "leave"),

    binding(Context::Workbench, &[(Char(' '), TogglePause)], "space", "pause", "pause, go on"),
    binding(Context::Workbench, &[(Char('s'), StepOnce)], "s", "step", "one iteration, then pause"),
    binding(Context::Workbench, &[(Char('k'), Turn(Dial::Components, -1)), (Char('K'), Turn(Dial::Components, 1))], "k K", "components", "fewer, more components"),
    binding(Context::Workbench, &[(Char('n'), Turn(Dial::Noise, -1)), (Char('N'), Turn(Dial::Noise, 1))], "n N", "noise", "less, more input noise"),
    binding(Context::Workbench, &[(Char('l'), Turn(Dial::LearningRate, -1)), (Char('L'), Turn(Dial::LearningRate, 1))], "l L", "rate", "lower, higher learning rate"),
    binding(Context::Workbench, &[(Char('['), EmStep(-1)), (Char(']'), EmStep(1)), (KeyCode::Left, EmStep(-1)), (KeyCode::Right, EmStep(1))], "[ ]", "EM step", "the EM step that is shown (also ← →)"),
    binding(Context::Workbench, &[(Char(','), Sample(-1)), (Char('.'), Sample(1)), (KeyCode::Up, Sample(-1)), (KeyCode::Down, Sample(1))], ", .", "sample", "the validation sample that is shown (also ↑ ↓)"),
    binding(Context::Workbench, &[(Char('c'), Checkpoint)], "c", "checkpoint", "write a checkpoint now"),
    binding(Context::Workbench, &[(Char('?'), Help)], "?", "help", "this help"),
    binding(Context::Workbench, &[(Char('q'), Quit)], "q", "quit", "leave: the run is saved, or goes on without a screen"),
    binding(Context::Workbench, &[(Char('Q'), Stop)], "Q", "", "end the run, also one that is attached to; it is saved first"),
    binding(Context::Workbench, &[(Tab, NextPane)], "tab", "pane", "the next pane"),
    binding(Context::Workbench, &[(Char('z'), Zoom), (Enter, Zoom)], "z", "zoom", "give the pane the whole screen, take it back (also enter)"),
    binding(Context::Workbench, &[(Char('t'), Turn(Dial::Steps, -1)), (Char('T'), Turn(Dial::Steps, 1))], "t T", "", "fewer, more EM steps"),
    binding(Context::Workbench, &[(Char('w'), Turn(Dial::InterWeight, -1)), (Char('W'), Turn(Dial::InterWeight, 1))], "w W", "", "less, more weight on the inter-cluster loss"),
    binding(Context::Workbench, &[(Char('p'), Profile)], "p", "", "where an iteration's time goes, in the place of the scores"),
    binding(Context::Workbench, &[(Char('o'), Turn(Dial::Objects, -1)), (Char('O'), Turn(Dial::Objects, 1))], "o O", "", "fewer, more objects per image"),
];

/// The bindings of a context.
pub fn of(context: Context) -> impl Iterator<Item = &'static Binding> {
    let holds = move |binding: &&Binding| match context {
        Context::Model => {
            binding.context == Context::Workbench
                && binding.keys.iter().all(|(_, action)| action.is_for_looking())
        }
        _ => binding.context == context,
    };
    BINDINGS.iter().filter(holds)
}

/// What `key` does in `context`.
pub fn action(context: Context, key: KeyEvent) -> Option<Action> {
    // Shift is in the letter already; with any other modifier it is another key.
    if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SUPER) {
        return None;
    }
    of(context)
        .flat_map(|binding| binding.keys)
        .find(|(code, _)| *code == key.code)
        .map(|(_, action)| *action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_and_every_binding_is_explained() {
        for context in [Context::Picker, Context::Workbench, Context::Model] {
            let keys: Vec<KeyCode> = of(context).flat_map(|b| b.keys).map(|k| k.0).collect();
            for (i, key) in keys.iter().enumerate() {
                assert!(!keys[..i].contains(key), "{key:?} is bound twice in {context:?}");
            }
            assert!(of(context).all(|b| !b.label.is_empty() && !b.help.is_empty()));
        }
    }

    #[test]
    fn a_lower_case_letter_lowers_and_upper_case_raises() {
        for binding in BINDINGS {
            for (code, action) in binding.keys {
                if let (Char(letter), Turn(_, by)) = (code, action) {
                    assert_eq!(letter.is_ascii_uppercase(), *by > 0, "{letter}");
                }
            }
        }
    }

    #[test]
    fn control_makes_it_another_key() {
        let key = |modifiers| KeyEvent::new(Char('k'), modifiers);
        assert!(action(Context::Workbench, key(KeyModifiers::NONE)).is_some());
        assert!(action(Context::Workbench, key(KeyModifiers::CONTROL)).is_none());
    }
}
