//! The table of all actions: name, keys, contexts, help text and function. The dispatch of keys, the help, the
//! hints, the commands after `:` and the names in the config all come from this table.

use std::collections::BTreeMap;

use crokey::KeyCombination;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::action::Argument::{
    AnySetting, Checkpoint, File, Image, New, Number, Run, Sets, Text, Value, Weights,
};
use super::action::Does::{Act, Pick, See, Steer};
pub use super::action::{Action, Argument, Does, event};
use super::action::{CONTROL_L, bound, named, typed};
use super::app::{App, Context, Overlay};
use super::draw::Pen;
use super::keymap::{Keymap, normal, parse_key, shown, written};
use super::message::{Done, Effect};
use super::overlay::help::{Help, HelpLine};
use super::overlay::log::PAGE;
use super::update::{beside, compare, draw, files, leave, log, look, past, picker, steer, table};
use super::workbench::Workbench;
pub use crate::paths::nearest;
use crate::preset::Setting;
use Context::{Beside, Curves, Draw, Inspector, Model, ModelInspector, Picker, Table, Workbench as Pictures};
use KeyCode::{Char, Enter, Esc, Tab};

const LISTS: &[Context] = &[Picker, Table];
const TRAINING: &[Context] = &[Pictures, Curves];
const PICTURES: &[Context] = &[Pictures, Model];
const WALKED: &[Context] = &[Pictures, Model, Beside];
const MASKED: &[Context] = &[Pictures, Model, Draw, Beside];
const LOOKING: &[Context] = &[Pictures, Curves, Model, Inspector, ModelInspector];
const SET: &[Context] = &[Pictures, Curves, Model, Inspector, ModelInspector, Draw];
const STEPPED: &[Context] = &[Pictures, Curves, Model, Inspector, ModelInspector, Draw, Beside];
const SAMPLED: &[Context] = &[Pictures, Curves, Model, Inspector, ModelInspector, Beside];
const IMAGES: &[Context] = &[Inspector, ModelInspector, Draw];
const INSIDE: &[Context] = &[Inspector, ModelInspector];
const RUN: &[Context] = &[Pictures, Curves, Inspector];
const SHOWN: &[Context] = &[Pictures, Curves, Model];
const RUNS: &[Context] = &[Picker, Table, Pictures, Curves, Inspector];
const EVERYWHERE: &[Context] =
    &[Picker, Table, Pictures, Curves, Model, Inspector, ModelInspector, Draw, Beside];

const K: Setting = Setting::K(0);
const NOISE: Setting = Setting::Noise(0.0);
const RATE: Setting = Setting::LearningRate(0.0);
const STEPS: Setting = Setting::Steps(0);
const INTER: Setting = Setting::InterWeight(0.0);
const OBJECTS: Setting = Setting::Objects(0);
const SIGMA: Setting = Setting::ESigma(0.0);

/// The table. Its order is that of the hints, the help and the completions.
#[rustfmt::skip]
pub const ACTIONS: &[Action] = &[
    typed("set", SET, "NAME VALUE", "change a value: k, noise, lr, steps, inter, objects, sigma", AnySetting),
    typed("k", SET, "N", "the number of components", Value(K)),
    typed("noise", SET, "P", "the probability of the input noise", Value(NOISE)),
    typed("lr", RUN, "RATE", "the learning rate", Value(RATE)),
    typed("steps", SET, "N", "the number of EM steps", Value(STEPS)),
    typed("inter", RUN, "WEIGHT", "the weight of the inter-cluster loss", Value(INTER)),
    typed("objects", LOOKING, "N", "objects per image", Value(OBJECTS)),
    typed("sigma", SET, "S", "the standard deviation of the Gaussian E-step (e_sigma)", Value(SIGMA)),
    typed("sample", SAMPLED, "N", "show sample N", Number(look::show_sample)),
    typed("em", STEPPED, "N", "show EM step N", Number(look::show_em_step)),
    typed("export", SET, "FILE", "save the picture as .png, .gif, .npz or .safetensors, or the curves as .svg or .csv", File(files::export)),
    typed("compare", RUN, "RUN", "show or hide the curves of another run beside this run's", Run(compare::toggle_named)),
    typed("theme", EVERYWHERE, "NAME", "colours: dark, light, colour-blind", Argument::Theme(|app, scheme| { app.theme.scheme = scheme; Ok(vec![]) })),
    typed("open", LOOKING, "FILE", "inspect an image of your own: .png, .gif, .npy or .npz", Image(files::open)),
    typed("draw", LOOKING, "[new]", "draw on this image, or on a new black one, and see the clustering follow", New(draw::begin)),
    typed("save", IMAGES, "FILE", "write the image as .png or .npy, to open it again", File(draw::save)),
    typed("beside", STEPPED, "MODEL|RUN", "show another model, run or checkpoint beside this one, on the same image", Weights(beside::open)),
    typed("train", RUN, "N", "train N more epochs, also after the training is over", Number(steer::train_further)),
    typed("fork", RUN, "[here|best|IT] [NAME=VALUE …]", "start a new run from the current weights, or from a checkpoint, with other settings", Checkpoint(leave::fork)),
    typed("restart", RUN, "[NAME=VALUE …]", "start a new run from the same initial weights, with other settings", Sets(leave::restart)),

    typed("rename", LISTS, "NAME", "give the run another name", Text(picker::rename)),
    typed("note", RUNS, "TEXT", "a line about the run, for the list", Text(picker::note)),

    bound("open", LISTS, &[Enter], "open", "open the model, train the preset, resume or attach to the run", Pick(picker::open)),
    bound("look", LISTS, &[Char('i')], "", "look at the run or the model without training", Pick(|app| { let open = key(app, "open"); picker::look(app, &open) })),
    bound("up", LISTS, &[KeyCode::Up, Char('k')], "choose", "choose a model, a preset or a run", Pick(|app| picker::step(app, -1))),
    bound("down", LISTS, &[KeyCode::Down, Char('j')], "choose", "choose a model, a preset or a run", Pick(|app| picker::step(app, 1))),
    bound("first", LISTS, &[KeyCode::Home, Char('g')], "", "choose the first, the last", Pick(|app| picker::select(app, 0))),
    bound("last", LISTS, &[KeyCode::End, Char('G')], "", "choose the first, the last", Pick(|app| picker::select(app, usize::MAX))),
    bound("list-page-up", LISTS, &[KeyCode::PageUp], "", "a page up, down", Pick(|app| picker::step(app, -(PAGE as i64)))),
    bound("list-page-down", LISTS, &[KeyCode::PageDown], "", "a page up, down", Pick(|app| picker::step(app, PAGE as i64))),
    bound("filter", LISTS, &[Char('/')], "filter", "list only entries with these words: name, preset, state, note", Pick(picker::filter)),
    bound("filter-clear", &[Picker], &[Esc], "", "list everything again", Pick(picker::clear_filter)),
    bound("preview-previous", &[Picker], &[KeyCode::Left, Char(',')], "sample", "another sample of its data", Pick(|app| picker::sample(app, -1))),
    bound("preview-next", &[Picker], &[KeyCode::Right, Char('.')], "sample", "another sample of its data", Pick(|app| picker::sample(app, 1))),
    named("table", &[Picker], &[Char('t')], "table", "all runs and trials as a table, to sort and compare", Pick(table::open)),
    bound("sort-next", &[Table], &[Char('s')], "sort", "order by the next, previous column", Pick(|app| table::sort(app, 1))),
    bound("sort-previous", &[Table], &[Char('S')], "", "order by the next, previous column", Pick(|app| table::sort(app, -1))),
    bound("reverse", &[Table], &[Char('o')], "reverse", "the opposite order", Pick(table::reverse)),
    bound("columns-left", &[Table], &[KeyCode::Left], "columns", "scroll the columns", Pick(|app| table::scroll(app, -1))),
    bound("columns-right", &[Table], &[KeyCode::Right], "columns", "scroll the columns", Pick(|app| table::scroll(app, 1))),
    bound("mark", &[Table], &[Char(' ')], "mark", "mark the run to compare it, or no longer", Pick(table::mark)),
    bound("compare-marked", &[Table], &[Char('r')], "compare", "open the run without training it, with the curves of the marked ones", Pick(|app| { let keys = ["mark", "open"].map(|name| key(app, name)); table::compare(app, keys) })),
    bound("table-back", &[Table], &[Esc], "", "list all runs again; then back to the list", Pick(table::back)),
    named("list", &[Table], &[Char('t')], "list", "back to the list of models, presets and runs", Pick(table::close)),
    named("device", LISTS, &[Char('d')], "device", "the next or previous device and precision", Pick(|app| picker::device(app, 1))),
    bound("device-previous", LISTS, &[Char('D')], "", "the next or previous device and precision", Pick(|app| picker::device(app, -1))),

    bound("run-rename", LISTS, &[Char('R')], "rename", "rename the run", Pick(picker::ask_name)),
    bound("run-note", LISTS, &[Char('n')], "note", "note a line about the run", Pick(picker::ask_note)),
    named("delete", LISTS, &[Char('X'), KeyCode::Delete], "delete", "delete the run; asks first", Pick(picker::delete)),

    bound("draw-left", &[Draw], &[KeyCode::Left], "move", "move the cursor, and what it holds or draws", Steer(|run| draw::step(run, -1, 0))),
    bound("draw-right", &[Draw], &[KeyCode::Right], "move", "move the cursor, and what it holds or draws", Steer(|run| draw::step(run, 1, 0))),
    bound("draw-up", &[Draw], &[KeyCode::Up], "move", "move the cursor, and what it holds or draws", Steer(|run| draw::step(run, 0, -1))),
    bound("draw-down", &[Draw], &[KeyCode::Down], "move", "move the cursor, and what it holds or draws", Steer(|run| draw::step(run, 0, 1))),
    named("dot", &[Draw], &[Char(' ')], "paint", "paint what is under the brush, or erase it", Steer(draw::dot)),
    named("pen", &[Draw], &[Char('p')], "pen", "lower the pen, so that moving paints, or lift it", Steer(|run| draw::lower(run, Pen::Paint))),
    named("eraser", &[Draw], &[Char('x')], "", "lower the eraser, so that moving erases, or lift it", Steer(|run| draw::lower(run, Pen::Erase))),
    named("pick", &[Draw], &[Enter], "pick up", "pick up the object at the cursor to move it, or put it down", Steer(draw::pick)),
    bound("stamp-1", &[Draw], &[Char('1')], "stamp", "stamp a shape of the data, or an object of the sample", Steer(|run| draw::stamp(run, 0))),
    bound("stamp-2", &[Draw], &[Char('2')], "stamp", "stamp a shape of the data, or an object of the sample", Steer(|run| draw::stamp(run, 1))),
    bound("stamp-3", &[Draw], &[Char('3')], "stamp", "stamp a shape of the data, or an object of the sample", Steer(|run| draw::stamp(run, 2))),
    bound("stamp-4", &[Draw], &[Char('4')], "", "stamp a fourth or fifth one", Steer(|run| draw::stamp(run, 3))),
    bound("stamp-5", &[Draw], &[Char('5')], "", "stamp a fourth or fifth one", Steer(|run| draw::stamp(run, 4))),
    named("done", &[Draw], &[Esc, Char('d')], "done", "back to the inspector, with the drawing", Steer(draw::done)),
    named("undo-stroke", &[Draw], &[Char('u')], "undo", "undo, redo the latest stroke", Steer(|run| draw::undo(run, false))),
    named("redo-stroke", &[Draw], &[Char('U')], "undo", "undo, redo the latest stroke", Steer(|run| draw::undo(run, true))),
    named("clear", &[Draw], &[Char('c')], "clear", "clear the image: all black", Steer(draw::clear)),
    bound("brush-small", &[Draw], &[Char('-')], "brush", "a smaller, larger brush", Steer(|run| draw::resize(run, -1))),
    bound("brush-large", &[Draw], &[Char('+'), Char('=')], "brush", "a smaller, larger brush", Steer(|run| draw::resize(run, 1))),
    bound("brush-dark", &[Draw], &[Char('<')], "", "a darker, brighter brush, for grey images", Steer(|run| draw::shade(run, -1))),
    bound("brush-bright", &[Draw], &[Char('>')], "", "a darker, brighter brush, for grey images", Steer(|run| draw::shade(run, 1))),
    named("apart", &[Beside], &[Esc], "back", "back to one of them alone", See(beside::close)),
    named("pause", TRAINING, &[Char(' ')], "pause", "pause, continue", Steer(steer::pause)),
    named("step", TRAINING, &[Char('s')], "step", "one iteration, then pause", Steer(steer::step)),
    bound("k-down", SET, &[Char('k')], "components", "fewer, more components", Steer(|run| steer::turn(run, K, -1))),
    bound("k-up", SET, &[Char('K')], "components", "fewer, more components", Steer(|run| steer::turn(run, K, 1))),
    bound("noise-down", SET, &[Char('n')], "noise", "less, more input noise", Steer(|run| steer::turn(run, NOISE, -1))),
    bound("noise-up", SET, &[Char('N')], "noise", "less, more input noise", Steer(|run| steer::turn(run, NOISE, 1))),
    bound("lr-down", TRAINING, &[Char('l')], "rate", "lower, higher learning rate", Steer(|run| steer::turn(run, RATE, -1))),
    bound("lr-up", TRAINING, &[Char('L')], "rate", "lower, higher learning rate", Steer(|run| steer::turn(run, RATE, 1))),
    bound("cursor-left", &[Curves], &[KeyCode::Left], "read", "move a cursor that reads the curves", See(|run| look::move_cursor(run, -1))),
    bound("cursor-right", &[Curves], &[KeyCode::Right], "read", "move a cursor that reads the curves", See(|run| look::move_cursor(run, 1))),
    bound("zoom-in", &[Curves], &[Char('+'), Char('=')], "zoom", "zoom into, out of the curves", See(|run| look::scale(run, 1))),
    bound("zoom-out", &[Curves], &[Char('-')], "zoom", "zoom into, out of the curves", See(|run| look::scale(run, -1))),
    bound("earlier", &[Curves], &[Char('<')], "", "scroll the curves to earlier, later iterations", See(|run| look::pan(run, -1))),
    bound("later", &[Curves], &[Char('>')], "", "scroll the curves to earlier, later iterations", See(|run| look::pan(run, 1))),
    named("log-axis", &[Curves], &[Char('y')], "log", "a logarithmic or a linear axis for losses", Steer(look::log_axis)),
    named("axis", &[Curves], &[Char('x')], "axis", "iterations, epochs or time on the axis", See(|run| run.curves.unit = run.curves.unit.next())),
    bound("smooth-less", &[Curves], &[Char('v')], "smooth", "less, more smoothing of the curves; the measured points stay", See(|run| run.curves.smooth_by(-1))),
    bound("smooth-more", &[Curves], &[Char('V')], "smooth", "less, more smoothing of the curves; the measured points stay", See(|run| run.curves.smooth_by(1))),
    bound("em-previous", STEPPED, &[Char('[')], "EM step", "the previous, next EM step", See(|run| look::em_step(run, -1))),
    bound("em-next", STEPPED, &[Char(']')], "EM step", "the previous, next EM step", See(|run| look::em_step(run, 1))),
    bound("sample-previous", SAMPLED, &[Char(',')], "sample", "the previous, next sample", Steer(|run| look::sample(run, -1))),
    bound("sample-next", SAMPLED, &[Char('.')], "sample", "the previous, next sample", Steer(|run| look::sample(run, 1))),
    bound("em-left", WALKED, &[KeyCode::Left], "", "the previous, next EM step, too", See(|run| look::em_step(run, -1))),
    bound("em-right", WALKED, &[KeyCode::Right], "", "the previous, next EM step, too", See(|run| look::em_step(run, 1))),
    bound("sample-up", WALKED, &[KeyCode::Up], "", "the previous, next sample, too", Steer(|run| look::sample(run, -1))),
    bound("sample-down", WALKED, &[KeyCode::Down], "", "the previous, next sample, too", Steer(|run| look::sample(run, 1))),
    bound("pixel-left", INSIDE, &[KeyCode::Left], "pixel", "move the cursor over the pixels", See(|run| look::pixel(run, -1, 0))),
    bound("pixel-right", INSIDE, &[KeyCode::Right], "pixel", "move the cursor over the pixels", See(|run| look::pixel(run, 1, 0))),
    bound("pixel-up", INSIDE, &[KeyCode::Up], "pixel", "move the cursor over the pixels", See(|run| look::pixel(run, 0, -1))),
    bound("pixel-down", INSIDE, &[KeyCode::Down], "pixel", "move the cursor over the pixels", See(|run| look::pixel(run, 0, 1))),
    bound("page-up", IMAGES, &[KeyCode::PageUp], "", "what has no room on the screen: more components, objects, values", See(|run| look::turn_page(run, -1))),
    bound("page-down", IMAGES, &[KeyCode::PageDown], "", "what has no room on the screen: more components, objects, values", See(|run| look::turn_page(run, 1))),
    named("inspect", SHOWN, &[Char('i')], "inspect", "look closely at this sample: its pixels, all EM steps, its objects", Steer(look::inspect)),
    named("play", STEPPED, &[Char('a')], "play", "play or stop the EM steps", See(look::play)),
    bound("draw-on", &[Model, Inspector, ModelInspector], &[Char('d')], "draw", "draw on this image: paint, or move its objects about", Steer(draw::open)),
    named("sample-again", IMAGES, &[Char('r')], "", "back to the sample from an image of your own", Steer(draw::sample)),
    bound("past-back", RUN, &[Char('{')], "past", "how the sample looked earlier, later in the training; :fork here starts from there", Steer(|run| past::go(run, -1))),
    bound("past-on", RUN, &[Char('}')], "past", "how the sample looked earlier, later in the training; :fork here starts from there", Steer(|run| past::go(run, 1))),
    named("play-training", RUN, &[Char('A')], "", "play the training from its beginning, or stop", Steer(past::play)),
    named("now", TRAINING, &[], "", "back from the past to now", See(Workbench::come_back)),
    named("runs", LOOKING, &[], "", "back to the models, presets and runs", Act(leave::to_runs)),
    bound("escape", SHOWN, &[Esc], "back", "back: from the past to now, from one pane to all, to the list", Act(leave::back)),
    named("others", TRAINING, &[Char('r')], "", "compare with other runs: curves and settings", Act(compare::open)),
    named("plot", &[Curves], &[Char('f')], "plot", "other curves: upper bound, gradient norm, speed; AMI, ARI, confidence", See(look::next_plot)),
    named("masks", MASKED, &[Char('m')], "", "gamma as a blend of colours, or each pixel's largest component", See(|run| run.masks = run.masks.next())),
    named("rows", PICTURES, &[Char('v')], "", "show or hide each component's error signal", See(|run| run.rows = run.rows.next())),
    named("sort", TRAINING, &[Char('b')], "", "the worst samples first, or in their order", Steer(look::sort)),
    named("undo", TRAINING, &[Char('u')], "undo", "undo the latest change of a value", Steer(steer::undo)),
    named("health", SHOWN, &[Char('h')], "warnings", "warnings: what looks wrong with the training", Act(|app| over(app, Overlay::Health(0)))),
    named("log", TRAINING, &[Char('!')], "", "the run's log", Act(log::open)),
    bound("export-picture", SET, &[Char('e')], "", "save a PNG of the picture; on curves, an SVG of all curves", Act(files::export_seen)),
    named("copy", TRAINING, &[Char('C')], "", "copy the command that repeats this run", Act(files::copy_command)),
    named("back", INSIDE, &[Esc, Char('i')], "back", "back to the workbench", Steer(|run| Ok(look::back(run)))),
    bound("command", EVERYWHERE, &[Char(':')], "command", "type a command", Act(|app| over(app, Overlay::Palette(Box::default())))),
    named("checkpoint", TRAINING, &[Char('c')], "checkpoint", "write a checkpoint now", Steer(steer::checkpoint)),
    named("redraw", EVERYWHERE, &[CONTROL_L], "", "redraw the screen", Act(|_| Ok(vec![Effect::Redraw]))),
    bound("mouse", EVERYWHERE, &[Char('M')], "", "mouse on; off to select text", Act(toggle_mouse)),
    named("help", EVERYWHERE, &[Char('?')], "help", "all keys and commands", Act(|app| over(app, Overlay::Help(0)))),
    named("quit", EVERYWHERE, &[Char('q')], "quit", "leave: save the run, or continue it in the background", Act(leave::quit)),
    named("stop", TRAINING, &[Char('Q')], "", "save and end the run, also one that is attached", Act(leave::end)),
    named("pane", TRAINING, &[Tab], "pane", "the next pane", See(look::next_pane)),
    named("zoom", TRAINING, &[Char('z'), Enter], "zoom", "the pane on the whole screen, or all panes", See(|run| run.zoomed = !run.zoomed)),
    bound("steps-down", SET, &[Char('t')], "", "fewer, more EM steps", Steer(|run| steer::turn(run, STEPS, -1))),
    bound("steps-up", SET, &[Char('T')], "", "fewer, more EM steps", Steer(|run| steer::turn(run, STEPS, 1))),
    bound("inter-down", TRAINING, &[Char('w')], "", "less, more weight on the inter-cluster loss", Steer(|run| steer::turn(run, INTER, -1))),
    bound("inter-up", TRAINING, &[Char('W')], "", "less, more weight on the inter-cluster loss", Steer(|run| steer::turn(run, INTER, 1))),
    bound("sigma-down", SET, &[Char('g')], "", "a smaller, larger standard deviation of the E-step (e_sigma)", Steer(|run| steer::turn(run, SIGMA, -1))),
    bound("sigma-up", SET, &[Char('G')], "", "a smaller, larger standard deviation of the E-step (e_sigma)", Steer(|run| steer::turn(run, SIGMA, 1))),
    named("profile", TRAINING, &[Char('p')], "", "how long each part of an iteration takes, instead of the scores", Steer(steer::profile)),
    bound("objects-down", LOOKING, &[Char('o')], "", "fewer, more objects per image", Steer(|run| steer::turn(run, OBJECTS, -1))),
    bound("objects-up", LOOKING, &[Char('O')], "", "fewer, more objects per image", Steer(|run| steer::turn(run, OBJECTS, 1))),
];

fn over(app: &mut App, overlay: Overlay) -> Done {
    app.overlay = Some(overlay);
    Ok(vec![])
}

/// Leaves the mouse to the terminal, or takes it back.
fn toggle_mouse(app: &mut App) -> Done {
    app.config.mouse = !app.config.mouse;
    let key = key(app, "mouse");
    app.message = Some(match app.config.mouse {
        true => format!("the mouse works here; {key} lets it select text"),
        false => format!("the mouse selects text; {key} gives it back to the program"),
    });
    Ok(vec![Effect::Mouse(app.config.mouse)])
}

/// The actions of a context.
pub fn of(context: Context) -> impl Iterator<Item = &'static Action> {
    ACTIONS.iter().filter(move |action| action.contexts.contains(&context))
}

/// The actions of a context that can be typed.
pub fn commands(context: Context) -> impl Iterator<Item = &'static Action> {
    of(context).filter(|action| action.typed)
}

/// The action with this name that can be typed in a context.
pub fn command(context: Context, name: &str) -> Option<&'static Action> {
    commands(context).find(|action| action.name == name)
}

/// What `key` does in `context`.
pub fn pressed(keymap: &Keymap, context: Context, key: KeyEvent) -> Option<&'static Action> {
    let find = |key| of(context).find(|action| action.keys_in(keymap).contains(&key));
    let key = normal(key.into());
    // Shift and an arrow without a binding is the arrow alone.
    find(key).or_else(|| find(KeyCombination { modifiers: key.modifiers - KeyModifiers::SHIFT, ..key }))
}

/// The first key of the action `name`, as the screen writes it; `:name` if it has no key.
pub fn key(app: &App, name: &str) -> String {
    let action = of(app.context()).find(|action| action.name == name && action.is_bindable());
    let keys = action.map(|action| action.keys_in(&app.config.keymap)).unwrap_or_default();
    keys.first().map_or_else(|| format!(":{name}"), |key| shown(*key))
}

/// The keys of a context, with what they do.
pub fn help(keymap: &Keymap, context: Context) -> Vec<HelpLine> {
    let bound: Vec<_> = of(context)
        .map(|action| (action, action.keys_in(keymap)))
        .filter(|(_, keys)| !keys.is_empty())
        .collect();
    let lines = bound.chunk_by(|(one, _), (other, _)| one.help == other.help);
    lines
        .map(|line| {
            let hinted = line.iter().filter(|(action, _)| !action.hint.is_empty());
            let first: Vec<String> =
                hinted.filter_map(|(_, keys)| keys.first()).map(|key| shown(*key)).collect();
            // Every action's first key comes first, then the other keys.
            let most = line.iter().map(|(_, keys)| keys.len()).max().unwrap_or(0);
            let keys = (0..most).flat_map(|at| line.iter().filter_map(move |(_, keys)| keys.get(at)));
            let label = match first.join(" ").as_str() {
                "← → ↑ ↓" => "arrows".to_owned(),
                keys => keys.to_owned(),
            };
            let Action { name, help, hint, .. } = line[0].0;
            let keys = keys.map(|key| shown(*key)).collect::<Vec<_>>().join(" ");
            HelpLine { name, help, hint, label, keys }
        })
        .collect()
}

/// The help of a context: its keys, and what can only be typed.
pub fn all_help(keymap: &Keymap, context: Context) -> Help {
    let typed = commands(context).filter(|action| action.keys_in(keymap).is_empty());
    let command =
        |action: &Action| (format!(":{} {}", action.name, action.takes).trim_end().to_owned(), action.help);
    Help { keys: help(keymap, context), commands: typed.map(command).collect() }
}

/// Reads the config's keys of actions, by name.
///
/// # Errors
/// A sentence: an unknown action, an unknown key, or two actions on one key.
pub fn keymap(keys: &BTreeMap<String, Vec<String>>) -> Result<Keymap, String> {
    let mut keymap = Keymap::default();
    for (name, keys) in keys {
        let bindable = || ACTIONS.iter().filter(|action| action.is_bindable());
        let Some(action) = bindable().find(|action| action.name == name) else {
            let near = nearest(name, bindable().map(|action| action.name));
            let near = near.map_or(String::new(), |near| format!("did you mean {near:?}? "));
            return Err(format!("keys: no action is called {name:?}; {near}`nem-tui config` lists them"));
        };
        let keys = keys.iter().map(|key| parse_key(name, key)).collect::<Result<Vec<_>, _>>()?;
        if keys != action.keys_in(&Keymap::default()) {
            keymap.set(action.name, keys);
        }
    }
    for context in EVERYWHERE {
        let mut seen: Vec<(KeyCombination, &str)> = Vec::new();
        for (action, key) in
            of(*context).flat_map(|a| a.keys_in(&keymap).into_iter().map(move |key| (a, key)))
        {
            if let Some((_, other)) = seen.iter().find(|(other, _)| *other == key) {
                let (key, place, name) = (written(key), context.words(), action.name);
                return Err(format!(
                    "keys: {key:?} would mean both {other:?} and {name:?} in {place}; give one of them another key"
                ));
            }
            seen.push((key, action.name));
        }
    }
    Ok(keymap)
}

/// Every action that can have keys, with its current keys, as the config writes them.
pub fn names(keymap: &Keymap) -> BTreeMap<String, Vec<String>> {
    let keys = |action: &Action| action.keys_in(keymap).into_iter().map(written).collect();
    let bindable = ACTIONS.iter().filter(|action| action.is_bindable());
    bindable.map(|action| (action.name.to_owned(), keys(action))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_and_every_binding_is_explained() {
        for context in EVERYWHERE.iter().copied() {
            let keys: Vec<KeyCode> = of(context).flat_map(|action| action.keys).copied().collect();
            for (i, key) in keys.iter().enumerate() {
                assert!(!keys[..i].contains(key), "{key:?} is bound twice in {context:?}");
            }
            let names: Vec<&str> = of(context).map(|action| action.name).collect();
            for (i, name) in names.iter().enumerate() {
                assert!(!names[..i].contains(name), "{name} means two things in {context:?}");
            }
            for line in help(&Keymap::default(), context) {
                assert!(!line.keys.is_empty() && !line.help.is_empty(), "{}", line.help);
                assert_eq!(line.hint.is_empty(), line.label.is_empty(), "{}", line.help);
            }
        }
    }

    #[test]
    fn every_action_is_explained_holds_somewhere_and_can_be_reached() {
        for action in ACTIONS {
            assert!(!action.help.is_empty() && !action.contexts.is_empty(), "{}", action.name);
            assert!(
                action.typed || !action.keys.is_empty(),
                "{} can be neither pressed nor typed",
                action.name
            );
            let argument = matches!(action.does, Does::With(_));
            assert_eq!(argument, !action.takes.is_empty(), "{}", action.name);
            assert!(!argument || action.keys.is_empty(), "{}: a key gives no argument", action.name);
        }
        // Actions that share a line are neighbours and have the same contexts.
        for pair in ACTIONS.windows(2).filter(|pair| pair[0].help == pair[1].help) {
            assert_eq!(pair[0].contexts, pair[1].contexts, "{}", pair[0].help);
        }
    }

    #[test]
    fn a_lower_case_letter_lowers_and_upper_case_raises() {
        for action in ACTIONS {
            let raises = match action.name.rsplit_once('-') {
                Some((_, "up" | "more")) => true,
                Some((_, "down" | "less")) => false,
                _ => continue,
            };
            for code in action.keys {
                if let Char(letter) = code {
                    assert_eq!(letter.is_ascii_uppercase(), raises, "{letter}");
                }
            }
        }
    }

    /// The name of a key's action in the workbench.
    fn does(keymap: &Keymap, code: KeyCode, modifiers: KeyModifiers) -> Option<&'static str> {
        pressed(keymap, Context::Workbench, KeyEvent::new(code, modifiers)).map(|action| action.name)
    }

    #[test]
    fn control_makes_it_another_key() {
        let keymap = Keymap::default();
        assert!(does(&keymap, Char('k'), KeyModifiers::NONE).is_some());
        assert!(does(&keymap, Char('k'), KeyModifiers::CONTROL).is_none());
        // Terminals differ in whether they report shift with capital letters and signs.
        for modifiers in [KeyModifiers::NONE, KeyModifiers::SHIFT] {
            assert_eq!(does(&keymap, Char('K'), modifiers), Some("k-up"));
            assert_eq!(does(&keymap, Char('?'), modifiers), Some("help"));
            assert_eq!(does(&keymap, KeyCode::Left, modifiers), Some("em-left"));
        }
    }

    /// The keys of a config, written `name key key, name key`.
    fn with(keys: &str) -> Result<Keymap, String> {
        let one = |line: &str| {
            let mut words = line.split_whitespace().map(str::to_owned);
            (words.next().unwrap_or_default(), words.collect())
        };
        keymap(&keys.split(", ").map(one).collect())
    }

    #[test]
    fn every_action_has_a_name_of_its_own_and_its_keys_are_read_back() {
        let mut seen = Vec::new();
        for action in ACTIONS.iter().filter(|action| action.is_bindable()) {
            assert!(!seen.contains(&action.name), "{:?} is two actions", action.name);
            seen.push(action.name);
        }
        assert_eq!(keymap(&names(&Keymap::default())), Ok(Keymap::default()));
    }

    #[test]
    fn keys_are_given_to_actions_by_name() {
        let keymap = with("pause ctrl-p, inspect I f2, k-up ctrl-k, undo").unwrap();
        let action = |code, modifiers| does(&keymap, code, modifiers);
        assert_eq!(action(Char('p'), KeyModifiers::CONTROL), Some("pause"));
        assert_eq!(action(Char(' '), KeyModifiers::NONE), None);
        assert_eq!(action(Char('I'), KeyModifiers::SHIFT), Some("inspect"));
        assert_eq!(action(KeyCode::F(2), KeyModifiers::NONE), Some("inspect"));
        assert_eq!(action(Char('i'), KeyModifiers::NONE), None);
        assert_eq!(action(Char('u'), KeyModifiers::NONE), None);
        let mut app = crate::tui::testing::workbench();
        app.config.keymap = keymap.clone();
        assert_eq!(key(&app, "undo"), ":undo");
        let lines = help(&keymap, Context::Workbench);
        for label in ["ctrl-p", "I", "k ctrl-k", ", ."] {
            assert!(lines.iter().any(|line| line.label == label), "{label}");
        }
        assert!(lines.iter().any(|line| line.keys == "I f2"));
        assert!(!lines.iter().any(|line| line.hint == "undo"), "has no key");
    }

    #[test]
    fn what_cannot_be_bound_says_why() {
        for (keys, words) in [
            ("puase x", "did you mean \"pause\"?"),
            ("qqqqqq x", "called \"qqqqqq\"; `nem-tui config`"),
            ("export x", "no action is called \"export\""),
            ("pause hyper-x", "\"hyper-x\", for \"pause\", is not a key; write it like"),
            ("pause ü", "is not a key"),
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

    #[test]
    fn what_was_meant_is_guessed_from_a_letter_too_few_too_many_or_wrong() {
        let names = ["health", "help", "pause", "profile"];
        for (text, name) in [("paus", "pause"), ("puase", "pause"), ("halp", "help"), ("heallth", "health")] {
            assert_eq!(nearest(text, names.into_iter()), Some(name), "{text}");
        }
        for text in ["", "x", "zzz"] {
            assert_eq!(nearest(text, names.into_iter()), None, "{text}");
        }
    }
}
