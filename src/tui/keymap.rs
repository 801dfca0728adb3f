//! Every key, once: what dispatches it also writes the help, the hints at the bottom, and the names by which
//! the same can be typed after `:`.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Where a key means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Choosing a model, a preset or a run.
    Picker,
    /// Watching a training, with the focus on its pictures.
    Workbench,
    /// Watching a training, with the focus on curves.
    Curves,
    /// Looking at a trained model.
    Model,
    /// Looking into one sample.
    Inspector,
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
    /// The deviation of the Gaussian E-step.
    ESigma,
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
    /// Play the EM steps, or stand still.
    Animate,
    /// The next way to show gamma.
    Masks,
    /// The next kind of picture of each component.
    Rows,
    /// The worst samples first, or in their own order.
    Sort,
    /// Pause, or go on.
    TogglePause,
    /// One iteration.
    StepOnce,
    /// Lower (−1) or raise (+1) a value.
    Turn(Dial, i64),
    /// Take the latest change back.
    Undo,
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
    /// Look into the sample on the screen.
    Inspect,
    /// Move the pixel cursor right and down.
    Pixel(i64, i64),
    /// Move the cursor on the curves.
    Cursor(i64),
    /// Narrow (+1) or widen (−1) what the curves show.
    Scale(i64),
    /// Move what the curves show.
    Pan(i64),
    /// A logarithmic axis for losses, or a linear one.
    LogAxis,
    /// The next unit of the horizontal axis.
    Unit,
    /// More (+1) or less (−1) smoothing.
    Smooth(i64),
    /// What looks wrong with the training.
    Health,
    /// Write a picture of what is looked at.
    Export,
    /// The moment of the training after or before this one.
    Moment(i64),
    /// Play how the training went, or stand still.
    PlayMoments,
    /// Back from the past.
    Now,
    /// Runs to compare this one with.
    Compare,
    /// The next quantity in a pane of curves.
    Plot,
    /// Put the command that repeats this run on the clipboard.
    CopyCommand,
    /// Type a command.
    Command,
    /// Back to where one came from.
    Back,
    /// Help, or no help.
    Help,
    /// Leave.
    Quit,
    /// End the run, also one of another process.
    Stop,
}

/// Keys that go together, with what they do.
pub struct Binding {
    /// The contexts it holds in.
    pub contexts: &'static [Context],
    /// The keys and their actions.
    pub keys: &'static [(KeyCode, Action)],
    /// How the keys are written.
    pub label: &'static str,
    /// Two words for the hints; empty where there is no room to spend.
    pub hint: &'static str,
    /// A line for the help.
    pub help: &'static str,
    /// The name by which each action can be typed; none for what only a key can mean.
    pub names: &'static [(&'static str, Action)],
}

use Action::*;
use Context::{Curves, Inspector, Model, Picker, Workbench};
use KeyCode::{Char, Enter, Tab};

const TRAINING: &[Context] = &[Workbench, Curves];
const PICTURES: &[Context] = &[Workbench, Model];
const LOOKING: &[Context] = &[Workbench, Curves, Model, Inspector];
const ALBUM: &[Context] = &[Workbench, Curves, Inspector];
const SHOWN: &[Context] = &[Workbench, Curves, Model];
const EVERYWHERE: &[Context] = &[Picker, Workbench, Curves, Model, Inspector];

const fn binding(
    contexts: &'static [Context],
    keys: &'static [(KeyCode, Action)],
    label: &'static str,
    hint: &'static str,
    help: &'static str,
    names: &'static [(&'static str, Action)],
) -> Binding {
    Binding { contexts, keys, label, hint, help, names }
}

/// The table. The order is that of the hints and the help.
#[rustfmt::skip]
pub const BINDINGS: &[Binding] = &[
    binding(&[Picker], &[(Enter, Open)], "enter", "open", "look at the model, train the preset, go on with the run", &[]),
    binding(&[Picker], &[(Char('i'), Inspect)], "i", "look", "look at the run or the model, and train nothing", &[]),
    binding(&[Picker], &[(KeyCode::Up, Up), (KeyCode::Down, Down)], "↑ ↓", "choose", "choose a model, a preset or a run", &[]),
    binding(&[Picker], &[(KeyCode::Home, First), (KeyCode::End, Last)], "home end", "", "the first, the last", &[]),
    binding(&[Picker], &[(KeyCode::Left, Sample(-1)), (KeyCode::Right, Sample(1)), (Char(','), Sample(-1)), (Char('.'), Sample(1))], "← →", "sample", "another sample of its data (also , and .)", &[]),
    binding(&[Picker], &[(Char('d'), Device(1)), (Char('D'), Device(-1))], "d", "device", "the next device to train on, the one before with D", &[("device", Device(1))]),

    binding(TRAINING, &[(Char(' '), TogglePause)], "space", "pause", "pause, go on", &[("pause", TogglePause)]),
    binding(TRAINING, &[(Char('s'), StepOnce)], "s", "step", "one iteration, then pause", &[("step", StepOnce)]),
    binding(LOOKING, &[(Char('k'), Turn(Dial::Components, -1)), (Char('K'), Turn(Dial::Components, 1))], "k K", "components", "fewer, more components", &[]),
    binding(LOOKING, &[(Char('n'), Turn(Dial::Noise, -1)), (Char('N'), Turn(Dial::Noise, 1))], "n N", "noise", "less, more input noise", &[]),
    binding(TRAINING, &[(Char('l'), Turn(Dial::LearningRate, -1)), (Char('L'), Turn(Dial::LearningRate, 1))], "l L", "rate", "lower, higher learning rate", &[]),
    binding(&[Curves], &[(KeyCode::Left, Cursor(-1)), (KeyCode::Right, Cursor(1))], "← →", "read", "a cursor that reads the curves", &[]),
    binding(&[Curves], &[(Char('+'), Scale(1)), (Char('-'), Scale(-1)), (Char('='), Scale(1))], "+ -", "zoom", "show less, more of the curves", &[]),
    binding(&[Curves], &[(Char('<'), Pan(-1)), (Char('>'), Pan(1))], "< >", "", "earlier, later", &[]),
    binding(&[Curves], &[(Char('y'), LogAxis)], "y", "log", "a logarithmic axis for losses, or a linear one", &[("log", LogAxis)]),
    binding(&[Curves], &[(Char('x'), Unit)], "x", "axis", "iterations, epochs or time on the axis", &[("axis", Unit)]),
    binding(&[Curves], &[(Char('v'), Smooth(-1)), (Char('V'), Smooth(1))], "v V", "smooth", "less, more smoothing; the points stay", &[]),
    binding(LOOKING, &[(Char('['), EmStep(-1)), (Char(']'), EmStep(1))], "[ ]", "EM step", "the EM step that is shown", &[]),
    binding(LOOKING, &[(Char(','), Sample(-1)), (Char('.'), Sample(1))], ", .", "sample", "the watched sample that is shown", &[]),
    binding(PICTURES, &[(KeyCode::Left, EmStep(-1)), (KeyCode::Right, EmStep(1)), (KeyCode::Up, Sample(-1)), (KeyCode::Down, Sample(1))], "arrows", "", "the same: ← → the EM step, ↑ ↓ the sample", &[]),
    binding(&[Inspector], &[(KeyCode::Left, Pixel(-1, 0)), (KeyCode::Right, Pixel(1, 0)), (KeyCode::Up, Pixel(0, -1)), (KeyCode::Down, Pixel(0, 1))], "arrows", "pixel", "the pixel that is read", &[]),
    binding(SHOWN, &[(Char('i'), Inspect)], "i", "inspect", "look into this sample", &[("inspect", Inspect)]),
    binding(LOOKING, &[(Char('a'), Animate)], "a", "play", "play the EM steps, or stand still", &[("play", Animate)]),
    binding(ALBUM, &[(Char('{'), Moment(-1)), (Char('}'), Moment(1))], "{ }", "past", "how the sample looked earlier, later in the training", &[]),
    binding(ALBUM, &[(Char('A'), PlayMoments)], "A", "", "play how the training went, or stand still", &[("play-training", PlayMoments)]),
    binding(TRAINING, &[(KeyCode::Esc, Now)], "esc", "", "back from the past to now", &[("now", Now)]),
    binding(TRAINING, &[(Char('r'), Compare)], "r", "", "runs to draw beside this one, and how their settings differ", &[("runs", Compare)]),
    binding(&[Curves], &[(Char('f'), Plot)], "f", "plot", "losses, upper bound, gradient norm, speed; scores, confidence", &[("plot", Plot)]),
    binding(PICTURES, &[(Char('m'), Masks)], "m", "", "gamma as colours, as each pixel's largest, beside the truth", &[("masks", Masks)]),
    binding(PICTURES, &[(Char('v'), Rows)], "v", "", "predictions and masks, or what each component is told is wrong", &[("rows", Rows)]),
    binding(TRAINING, &[(Char('b'), Sort)], "b", "", "the samples in their order, or the worst first", &[("sort", Sort)]),
    binding(TRAINING, &[(Char('u'), Undo)], "u", "undo", "take the latest change back: the old value, from now on", &[("undo", Undo)]),
    binding(SHOWN, &[(Char('h'), Health)], "h", "", "what looks wrong, and the number behind it", &[("health", Health)]),
    binding(LOOKING, &[(Char('e'), Export)], "e", "", "write what is looked at as a PNG; from the inspector all EM steps", &[]),
    binding(TRAINING, &[(Char('C'), CopyCommand)], "C", "", "copy the command that repeats this run", &[("copy", CopyCommand)]),
    binding(&[Inspector], &[(KeyCode::Esc, Back), (Char('i'), Back)], "esc", "back", "back to the workbench", &[("back", Back)]),
    binding(EVERYWHERE, &[(Char(':'), Command)], ":", "command", "type a command", &[]),
    binding(TRAINING, &[(Char('c'), Checkpoint)], "c", "checkpoint", "write a checkpoint now", &[("checkpoint", Checkpoint)]),
    binding(EVERYWHERE, &[(Char('?'), Help)], "?", "help", "this help", &[("help", Help)]),
    binding(EVERYWHERE, &[(Char('q'), Quit)], "q", "quit", "leave: a run is saved, or goes on without a screen", &[("quit", Quit)]),
    binding(TRAINING, &[(Char('Q'), Stop)], "Q", "", "end the run, also one that is attached to; it is saved first", &[("stop", Stop)]),
    binding(TRAINING, &[(Tab, NextPane)], "tab", "pane", "the next pane", &[("pane", NextPane)]),
    binding(TRAINING, &[(Char('z'), Zoom), (Enter, Zoom)], "z", "zoom", "give the pane the whole screen, take it back (also enter)", &[("zoom", Zoom)]),
    binding(LOOKING, &[(Char('t'), Turn(Dial::Steps, -1)), (Char('T'), Turn(Dial::Steps, 1))], "t T", "", "fewer, more EM steps", &[]),
    binding(TRAINING, &[(Char('w'), Turn(Dial::InterWeight, -1)), (Char('W'), Turn(Dial::InterWeight, 1))], "w W", "", "less, more weight on the inter-cluster loss", &[]),
    binding(LOOKING, &[(Char('g'), Turn(Dial::ESigma, -1)), (Char('G'), Turn(Dial::ESigma, 1))], "g G", "", "a smaller, larger deviation of the Gaussian E-step", &[]),
    binding(TRAINING, &[(Char('p'), Profile)], "p", "", "where an iteration's time goes, in the place of the scores", &[("profile", Profile)]),
    binding(LOOKING, &[(Char('o'), Turn(Dial::Objects, -1)), (Char('O'), Turn(Dial::Objects, 1))], "o O", "", "fewer, more objects per image", &[]),
];

/// The bindings of a context.
pub fn of(context: Context) -> impl Iterator<Item = &'static Binding> {
    BINDINGS.iter().filter(move |binding| binding.contexts.contains(&context))
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

/// The actions that can be typed in a context: their names, and what they do.
pub fn named(context: Context) -> impl Iterator<Item = (&'static str, &'static str)> {
    of(context).flat_map(|binding| binding.names.iter().map(|(name, _)| (*name, binding.help)))
}

/// The action of that name.
pub fn action_named(context: Context, name: &str) -> Option<Action> {
    of(context).flat_map(|binding| binding.names).find(|(n, _)| *n == name).map(|(_, action)| *action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_and_every_binding_is_explained() {
        for context in EVERYWHERE.iter().copied() {
            let keys: Vec<KeyCode> = of(context).flat_map(|b| b.keys).map(|k| k.0).collect();
            for (i, key) in keys.iter().enumerate() {
                assert!(!keys[..i].contains(key), "{key:?} is bound twice in {context:?}");
            }
            let names: Vec<&str> = named(context).map(|(name, _)| name).collect();
            for (i, name) in names.iter().enumerate() {
                assert!(!names[..i].contains(name), "{name} means two things in {context:?}");
            }
            assert!(of(context).all(|b| !b.label.is_empty() && !b.help.is_empty()));
        }
    }

    #[test]
    fn a_lower_case_letter_lowers_and_upper_case_raises() {
        for binding in BINDINGS {
            for (code, action) in binding.keys {
                if let (Char(letter), Turn(_, by) | Smooth(by)) = (code, action) {
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
