//! Every key, once: what dispatches it also writes the help, the hints at the bottom, and the names by which
//! the same can be typed after `:`, or bound to other keys.

use std::collections::BTreeMap;

use crokey::{KeyCombination, OneToThree};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::command_line;

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
    /// Looking into one sample of a training.
    Inspector,
    /// Looking into one sample of a trained model.
    ModelInspector,
}

impl Context {
    /// Where that is, in words.
    fn words(self) -> &'static str {
        match self {
            Context::Picker => "the picker",
            Context::Workbench => "the workbench",
            Context::Curves => "the curves",
            Context::Model => "a model on show",
            Context::Inspector => "the inspector",
            Context::ModelInspector => "a model's inspector",
        }
    }
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
    /// The run's log.
    Log,
    /// Take the mouse, or leave it to the terminal.
    Mouse,
    /// Leave.
    Quit,
    /// End the run, also one of another process.
    Stop,
}

/// Keys that go together, with what they do.
#[derive(Debug, PartialEq)]
pub struct Binding {
    /// The contexts it holds in.
    pub contexts: &'static [Context],
    /// The keys and their actions.
    pub keys: &'static [(KeyCode, Action)],
    /// How the keys are written among the hints.
    pub label: &'static str,
    /// Two words for the hints; empty where there is no room to spend.
    pub hint: &'static str,
    /// A line for the help.
    pub help: &'static str,
    /// The name by which each action can be typed; none for what only a key can mean.
    pub names: &'static [(&'static str, Action)],
}

use Action::*;
use Context::{Curves, Inspector, Model, ModelInspector, Picker, Workbench};
use KeyCode::{Char, Enter, Tab};

const TRAINING: &[Context] = &[Workbench, Curves];
const PICTURES: &[Context] = &[Workbench, Model];
const LOOKING: &[Context] = &[Workbench, Curves, Model, Inspector, ModelInspector];
const INSIDE: &[Context] = &[Inspector, ModelInspector];
const ALBUM: &[Context] = &[Workbench, Curves, Inspector];
const SHOWN: &[Context] = &[Workbench, Curves, Model];
const EVERYWHERE: &[Context] = &[Picker, Workbench, Curves, Model, Inspector, ModelInspector];

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
    binding(&[Picker], &[(Char('i'), Inspect)], "i", "", "look at the run or the model, and train nothing", &[]),
    binding(&[Picker], &[(KeyCode::Up, Up), (KeyCode::Down, Down)], "↑ ↓", "choose", "choose a model, a preset or a run", &[]),
    binding(&[Picker], &[(KeyCode::Home, First), (KeyCode::End, Last)], "home end", "", "the first, the last", &[]),
    binding(&[Picker], &[(KeyCode::Left, Sample(-1)), (KeyCode::Right, Sample(1)), (Char(','), Sample(-1)), (Char('.'), Sample(1))], "← →", "sample", "another sample of its data", &[]),
    binding(&[Picker], &[(Char('d'), Device(1)), (Char('D'), Device(-1))], "d", "device", "the next or previous device and precision", &[("device", Device(1))]),

    binding(TRAINING, &[(Char(' '), TogglePause)], "space", "pause", "pause, go on", &[("pause", TogglePause)]),
    binding(TRAINING, &[(Char('s'), StepOnce)], "s", "step", "one iteration, then pause", &[("step", StepOnce)]),
    binding(LOOKING, &[(Char('k'), Turn(Dial::Components, -1)), (Char('K'), Turn(Dial::Components, 1))], "k K", "components", "fewer, more components", &[]),
    binding(LOOKING, &[(Char('n'), Turn(Dial::Noise, -1)), (Char('N'), Turn(Dial::Noise, 1))], "n N", "noise", "less, more input noise", &[]),
    binding(TRAINING, &[(Char('l'), Turn(Dial::LearningRate, -1)), (Char('L'), Turn(Dial::LearningRate, 1))], "l L", "rate", "lower, higher learning rate", &[]),
    binding(&[Curves], &[(KeyCode::Left, Cursor(-1)), (KeyCode::Right, Cursor(1))], "← →", "read", "a cursor that reads the curves", &[]),
    binding(&[Curves], &[(Char('+'), Scale(1)), (Char('-'), Scale(-1)), (Char('='), Scale(1))], "+ -", "zoom", "show less, more of the curves", &[]),
    binding(&[Curves], &[(Char('<'), Pan(-1)), (Char('>'), Pan(1))], "< >", "", "earlier, later", &[]),
    binding(&[Curves], &[(Char('y'), LogAxis)], "y", "log", "a logarithmic axis for losses, or a linear one", &[("log-axis", LogAxis)]),
    binding(&[Curves], &[(Char('x'), Unit)], "x", "axis", "iterations, epochs or time on the axis", &[("axis", Unit)]),
    binding(&[Curves], &[(Char('v'), Smooth(-1)), (Char('V'), Smooth(1))], "v V", "smooth", "less, more smoothing; the points stay", &[]),
    binding(LOOKING, &[(Char('['), EmStep(-1)), (Char(']'), EmStep(1))], "[ ]", "EM step", "the EM step that is shown", &[]),
    binding(LOOKING, &[(Char(','), Sample(-1)), (Char('.'), Sample(1))], ", .", "sample", "the watched sample that is shown", &[]),
    binding(PICTURES, &[(KeyCode::Left, EmStep(-1)), (KeyCode::Right, EmStep(1))], "← →", "", "the EM step too", &[]),
    binding(PICTURES, &[(KeyCode::Up, Sample(-1)), (KeyCode::Down, Sample(1))], "↑ ↓", "", "the sample too", &[]),
    binding(INSIDE, &[(KeyCode::Left, Pixel(-1, 0)), (KeyCode::Right, Pixel(1, 0)), (KeyCode::Up, Pixel(0, -1)), (KeyCode::Down, Pixel(0, 1))], "arrows", "pixel", "the pixel that is read", &[]),
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
    binding(TRAINING, &[(Char('!'), Log)], "!", "", "the run's log, with the latest lines at the bottom", &[("log", Log)]),
    binding(LOOKING, &[(Char('e'), Export)], "e", "", "write a PNG of what is seen; on curves, an SVG of all of them", &[]),
    binding(TRAINING, &[(Char('C'), CopyCommand)], "C", "", "copy the command that repeats this run", &[("copy", CopyCommand)]),
    binding(INSIDE, &[(KeyCode::Esc, Back), (Char('i'), Back)], "esc", "back", "back to the workbench", &[("back", Back)]),
    binding(EVERYWHERE, &[(Char(':'), Command)], ":", "command", "type a command", &[]),
    binding(TRAINING, &[(Char('c'), Checkpoint)], "c", "checkpoint", "write a checkpoint now", &[("checkpoint", Checkpoint)]),
    binding(EVERYWHERE, &[(Char('M'), Mouse)], "M", "", "the mouse is the program's, or selects text", &[]),
    binding(EVERYWHERE, &[(Char('?'), Help)], "?", "help", "this help", &[("help", Help)]),
    binding(EVERYWHERE, &[(Char('q'), Quit)], "q", "quit", "leave: a run is saved, or goes on without a screen", &[("quit", Quit)]),
    binding(TRAINING, &[(Char('Q'), Stop)], "Q", "", "end the run, also one that is attached to; it is saved first", &[("stop", Stop)]),
    binding(TRAINING, &[(Tab, NextPane)], "tab", "pane", "the next pane", &[("pane", NextPane)]),
    binding(TRAINING, &[(Char('z'), Zoom), (Enter, Zoom)], "z", "zoom", "give the pane the whole screen, take it back", &[("zoom", Zoom)]),
    binding(LOOKING, &[(Char('t'), Turn(Dial::Steps, -1)), (Char('T'), Turn(Dial::Steps, 1))], "t T", "", "fewer, more EM steps", &[]),
    binding(TRAINING, &[(Char('w'), Turn(Dial::InterWeight, -1)), (Char('W'), Turn(Dial::InterWeight, 1))], "w W", "", "less, more weight on the inter-cluster loss", &[]),
    binding(LOOKING, &[(Char('g'), Turn(Dial::ESigma, -1)), (Char('G'), Turn(Dial::ESigma, 1))], "g G", "", "a smaller, larger deviation of the Gaussian E-step", &[]),
    binding(TRAINING, &[(Char('p'), Profile)], "p", "", "where an iteration's time goes, in the place of the scores", &[("profile", Profile)]),
    binding(LOOKING, &[(Char('o'), Turn(Dial::Objects, -1)), (Char('O'), Turn(Dial::Objects, 1))], "o O", "", "fewer, more objects per image", &[]),
];

/// Names for the config of what cannot be typed: the contexts of its binding tell those apart that do the same.
#[rustfmt::skip]
const UNTYPED: &[(&str, &[Context], Action)] = &[
    ("open", &[Picker], Open), ("look", &[Picker], Inspect),
    ("past-back", ALBUM, Moment(-1)), ("past-on", ALBUM, Moment(1)),
    ("up", &[Picker], Up), ("down", &[Picker], Down),
    ("first", &[Picker], First), ("last", &[Picker], Last),
    ("preview-previous", &[Picker], Sample(-1)), ("preview-next", &[Picker], Sample(1)),
    ("device-previous", &[Picker], Device(-1)),
    ("k-down", LOOKING, Turn(Dial::Components, -1)), ("k-up", LOOKING, Turn(Dial::Components, 1)),
    ("noise-down", LOOKING, Turn(Dial::Noise, -1)), ("noise-up", LOOKING, Turn(Dial::Noise, 1)),
    ("lr-down", TRAINING, Turn(Dial::LearningRate, -1)), ("lr-up", TRAINING, Turn(Dial::LearningRate, 1)),
    ("steps-down", LOOKING, Turn(Dial::Steps, -1)), ("steps-up", LOOKING, Turn(Dial::Steps, 1)),
    ("inter-down", TRAINING, Turn(Dial::InterWeight, -1)), ("inter-up", TRAINING, Turn(Dial::InterWeight, 1)),
    ("sigma-down", LOOKING, Turn(Dial::ESigma, -1)), ("sigma-up", LOOKING, Turn(Dial::ESigma, 1)),
    ("objects-down", LOOKING, Turn(Dial::Objects, -1)), ("objects-up", LOOKING, Turn(Dial::Objects, 1)),
    ("cursor-left", &[Curves], Cursor(-1)), ("cursor-right", &[Curves], Cursor(1)),
    ("zoom-in", &[Curves], Scale(1)), ("zoom-out", &[Curves], Scale(-1)),
    ("earlier", &[Curves], Pan(-1)), ("later", &[Curves], Pan(1)),
    ("smooth-less", &[Curves], Smooth(-1)), ("smooth-more", &[Curves], Smooth(1)),
    ("em-previous", LOOKING, EmStep(-1)), ("em-next", LOOKING, EmStep(1)),
    ("em-left", PICTURES, EmStep(-1)), ("em-right", PICTURES, EmStep(1)),
    ("sample-previous", LOOKING, Sample(-1)), ("sample-next", LOOKING, Sample(1)),
    ("sample-up", PICTURES, Sample(-1)), ("sample-down", PICTURES, Sample(1)),
    ("pixel-left", INSIDE, Pixel(-1, 0)), ("pixel-right", INSIDE, Pixel(1, 0)),
    ("pixel-up", INSIDE, Pixel(0, -1)), ("pixel-down", INSIDE, Pixel(0, 1)),
    ("export-picture", LOOKING, Export),
    ("command", EVERYWHERE, Command),
    ("mouse", EVERYWHERE, Mouse),
];

impl Binding {
    /// The name by which `action` gets other keys.
    fn name(&self, action: Action) -> Option<&'static str> {
        let typed = self.names.iter().find(|(_, named)| *named == action).map(|(name, _)| *name);
        let untyped = || UNTYPED.iter().find(|(_, at, named)| *at == self.contexts && *named == action);
        typed.or_else(|| untyped().map(|(name, ..)| *name))
    }
}

/// A binding with the keys that it has now.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// What the table says.
    pub binding: &'static Binding,
    keys: Vec<(KeyCombination, Action)>,
    changed: bool,
}

impl Bound {
    fn new(binding: &'static Binding) -> Bound {
        let keys = binding.keys.iter().map(|(code, action)| (normal(KeyEvent::from(*code).into()), *action));
        Bound { binding, keys: keys.collect(), changed: false }
    }

    /// Its actions, each once.
    fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (_, action) in self.binding.keys {
            if !actions.contains(action) {
                actions.push(*action);
            }
        }
        actions
    }

    /// Gives `action` these keys, in the place of those it had.
    fn rebind(&mut self, action: Action, keys: Vec<KeyCombination>) {
        let had = self.keys.iter().filter(|(_, bound)| *bound == action).map(|(key, _)| *key);
        if had.eq(keys.iter().copied()) {
            return;
        }
        let at = self.keys.iter().position(|(_, bound)| *bound == action).unwrap_or(self.keys.len());
        self.keys.retain(|(_, bound)| *bound != action);
        self.keys.splice(at..at, keys.into_iter().map(|key| (key, action)));
        self.changed = true;
    }

    /// The keys, as the hints write them: one for each action.
    pub fn label(&self) -> String {
        if !self.changed {
            return self.binding.label.to_owned();
        }
        let first = |action: Action| self.keys.iter().find(|(_, bound)| *bound == action);
        let keys = self.actions().into_iter().filter_map(|action| first(action).map(|(key, _)| shown(*key)));
        keys.collect::<Vec<_>>().join(" ")
    }

    /// All its keys.
    pub fn all_keys(&self) -> String {
        self.keys.iter().map(|(key, _)| shown(*key)).collect::<Vec<_>>().join(" ")
    }
}

/// The keys in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Keymap(Vec<Bound>);

impl Default for Keymap {
    fn default() -> Keymap {
        Keymap(BINDINGS.iter().map(Bound::new).collect())
    }
}

impl Keymap {
    /// The table's keys, but for the actions that have others here, by name.
    ///
    /// # Errors
    /// A sentence: a name that no action has, a key that is none, two actions on one key.
    pub fn with(keys: &BTreeMap<String, Vec<String>>) -> Result<Keymap, String> {
        let mut keymap = Keymap::default();
        for (name, keys) in keys {
            let (at, action) = keymap.place(name)?;
            let keys = keys.iter().map(|key| parse_key(name, key)).collect::<Result<_, _>>()?;
            keymap.0[at].rebind(action, keys);
        }
        keymap.check()?;
        Ok(keymap)
    }

    /// Every action's name, with its keys.
    pub fn names(&self) -> BTreeMap<String, Vec<String>> {
        let of = |bound: &Bound, action: Action| {
            let keys = bound.keys.iter().filter(|(_, bound)| *bound == action);
            keys.map(|(key, _)| written(*key)).collect()
        };
        self.named().map(|(name, bound, action)| (name.to_owned(), of(bound, action))).collect()
    }

    fn named(&self) -> impl Iterator<Item = (&'static str, &Bound, Action)> {
        self.0.iter().flat_map(|bound| {
            let actions = bound.actions().into_iter();
            actions.filter_map(move |action| Some((bound.binding.name(action)?, bound, action)))
        })
    }

    fn place(&self, name: &str) -> Result<(usize, Action), String> {
        for (at, bound) in self.0.iter().enumerate() {
            let mut actions = bound.actions().into_iter();
            if let Some(action) = actions.find(|action| bound.binding.name(*action) == Some(name)) {
                return Ok((at, action));
            }
        }
        let names: Vec<&str> = self.named().map(|(name, ..)| name).collect();
        let near = command_line::nearest(name, &names);
        let near = near.map_or(String::new(), |near| format!("did you mean {near:?}? "));
        Err(format!("keys: no action is called {name:?}; {near}`nem-tui config` lists them"))
    }

    fn check(&self) -> Result<(), String> {
        for context in EVERYWHERE {
            let mut seen: Vec<(KeyCombination, Option<&str>)> = Vec::new();
            for bound in self.of(*context) {
                for (key, action) in &bound.keys {
                    let name = bound.binding.name(*action);
                    match seen.iter().find(|(other, _)| other == key) {
                        Some((_, other)) if *other != name => {
                            let (one, two) = (other.unwrap_or_default(), name.unwrap_or_default());
                            let (key, place) = (written(*key), context.words());
                            return Err(format!(
                                "keys: {key:?} would mean both {one:?} and {two:?} in {place}; give one of them another key"
                            ));
                        }
                        _ => seen.push((*key, name)),
                    }
                }
            }
        }
        Ok(())
    }

    /// The bindings of a context that have keys.
    pub fn of(&self, context: Context) -> impl Iterator<Item = &Bound> {
        let holds = move |bound: &&Bound| bound.binding.contexts.contains(&context) && !bound.keys.is_empty();
        self.0.iter().filter(holds)
    }

    /// What `key` does in `context`.
    pub fn action(&self, context: Context, key: KeyEvent) -> Option<Action> {
        let find = |key| {
            let mut keys = self.of(context).flat_map(|bound| &bound.keys);
            keys.find(|(bound, _)| *bound == key).map(|(_, action)| *action)
        };
        let key = normal(key.into());
        // Where nothing is bound to shift and an arrow, it is the arrow.
        find(key).or_else(|| find(KeyCombination { modifiers: key.modifiers - KeyModifiers::SHIFT, ..key }))
    }

    /// How the first key of `action` is written, for what is said about it elsewhere; its name after a colon
    /// where it has none.
    pub fn key(&self, context: Context, action: Action) -> String {
        let mut keys = self.of(context).flat_map(|bound| &bound.keys);
        let key = keys.find(|(_, bound)| *bound == action).map(|(key, _)| shown(*key));
        let name = || of(context).find_map(|binding| binding.name(action)).unwrap_or_default();
        key.unwrap_or_else(|| format!(":{}", name()))
    }
}

/// The same key in the one form in which keys are compared: a capital letter has shift, and no other sign has it.
fn normal(key: KeyCombination) -> KeyCombination {
    let mut key = key.normalized();
    if matches!(key.codes, OneToThree::One(Char(sign)) if !sign.is_ascii_alphabetic()) {
        key.modifiers -= KeyModifiers::SHIFT;
    }
    key
}

/// A key of the config.
fn parse_key(action: &str, text: &str) -> Result<KeyCombination, String> {
    let example = "write it like \"p\", \"P\", \"ctrl-p\", \"f2\" or \"left\"";
    let key = match text.as_bytes() {
        [b'A'..=b'Z'] => crokey::parse(&format!("shift-{text}")),
        _ => crokey::parse(text),
    };
    let key = key.map_err(|_| format!("keys: {text:?}, for {action:?}, is no key; {example}"))?;
    if !key.is_ansi_compatible() {
        return Err(format!("keys: {text:?}, for {action:?}, is more than one key; {example}"));
    }
    let key = normal(key);
    match written(key).as_str() {
        "ctrl-c" => Err(format!("keys: ctrl-c always saves and leaves; give {action:?} another key")),
        "ctrl-z" => Err(format!("keys: ctrl-z always suspends; give {action:?} another key")),
        _ => Ok(key),
    }
}

/// A key as the config has it.
fn written(key: KeyCombination) -> String {
    match key.codes {
        OneToThree::One(Char(letter)) if key.modifiers == KeyModifiers::SHIFT => letter.to_string(),
        _ => key.to_string().to_lowercase(),
    }
}

/// A key as the screen has it.
fn shown(key: KeyCombination) -> String {
    let text = written(key);
    let signs = [("left", "←"), ("right", "→"), ("up", "↑"), ("down", "↓"), ("hyphen", "-")];
    for (name, sign) in signs {
        match text.strip_suffix(name) {
            Some(head) if head.is_empty() || head.ends_with('-') => return format!("{head}{sign}"),
            _ => {}
        }
    }
    text
}

/// The bindings of a context, as the table has them.
pub fn of(context: Context) -> impl Iterator<Item = &'static Binding> {
    BINDINGS.iter().filter(move |binding| binding.contexts.contains(&context))
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
        let keymap = Keymap::default();
        let action = |code, modifiers| keymap.action(Context::Workbench, KeyEvent::new(code, modifiers));
        assert!(action(Char('k'), KeyModifiers::NONE).is_some());
        assert!(action(Char('k'), KeyModifiers::CONTROL).is_none());
        // Terminals differ in whether they say shift of a capital letter, and of a sign.
        for modifiers in [KeyModifiers::NONE, KeyModifiers::SHIFT] {
            assert_eq!(action(Char('K'), modifiers), Some(Turn(Dial::Components, 1)));
            assert_eq!(action(Char('?'), modifiers), Some(Help));
            assert_eq!(action(KeyCode::Left, modifiers), Some(EmStep(-1)));
        }
    }

    /// The keys of a config, written `name key key, name key`.
    fn with(keys: &str) -> Result<Keymap, String> {
        let one = |line: &str| {
            let mut words = line.split_whitespace().map(str::to_owned);
            (words.next().unwrap_or_default(), words.collect())
        };
        Keymap::with(&keys.split(", ").map(one).collect())
    }

    #[test]
    fn every_action_has_a_name_of_its_own_and_its_keys_are_read_back() {
        let keymap = Keymap::default();
        let mut seen = Vec::new();
        for bound in &keymap.0 {
            for action in bound.actions() {
                let name = bound.binding.name(action);
                assert!(name.is_some(), "{action:?} in {:?} has no name", bound.binding.contexts);
                assert!(!seen.contains(&name), "{name:?} is two actions");
                seen.push(name);
            }
        }
        assert_eq!(Keymap::with(&keymap.names()), Ok(keymap));
    }

    #[test]
    fn keys_are_given_to_actions_by_name() {
        let keymap = with("pause ctrl-p, inspect I f2, k-up ctrl-k, undo").unwrap();
        let action = |code, modifiers| keymap.action(Context::Workbench, KeyEvent::new(code, modifiers));
        assert_eq!(action(Char('p'), KeyModifiers::CONTROL), Some(TogglePause));
        assert_eq!(action(Char(' '), KeyModifiers::NONE), None);
        assert_eq!(action(Char('I'), KeyModifiers::SHIFT), Some(Inspect));
        assert_eq!(action(KeyCode::F(2), KeyModifiers::NONE), Some(Inspect));
        assert_eq!(action(Char('i'), KeyModifiers::NONE), None);
        assert_eq!(action(Char('u'), KeyModifiers::NONE), None);
        assert_eq!(keymap.key(Context::Workbench, Undo), ":undo");
        let labels = |of: fn(&Bound) -> String| keymap.of(Context::Workbench).map(of).collect::<Vec<_>>();
        for label in ["ctrl-p", "I", "k ctrl-k", ", ."] {
            assert!(labels(Bound::label).iter().any(|l| l == label), "{label}: {:?}", labels(Bound::label));
        }
        assert!(labels(Bound::all_keys).contains(&"I f2".to_owned()));
        assert!(!keymap.of(Context::Workbench).any(|bound| bound.binding.hint == "undo"), "has no key");
    }

    #[test]
    fn what_cannot_be_bound_says_why() {
        for (keys, words) in [
            ("puase x", "did you mean \"pause\"?"),
            ("qqqqqq x", "called \"qqqqqq\"; `nem-tui config`"),
            ("pause hyper-x", "\"hyper-x\", for \"pause\", is no key; write it like"),
            ("pause ü", "is no key"),
            ("pause a-b", "more than one key"),
            ("pause ctrl-c", "always saves"),
            ("pause CTRL-Z", "always suspends"),
            ("pause s", "\"s\" would mean both \"pause\" and \"step\" in the workbench"),
            ("axis shift-v", "\"V\" would mean both \"axis\" and \"smooth-more\" in the curves"),
        ] {
            let error = with(keys).unwrap_err();
            assert!(error.contains(words), "{keys}: {error}");
        }
        assert!(with("step S, pause s").is_ok(), "once the other has another key");
    }
}
