use std::sync::Arc;

use super::*;
use crate::preset::{Preset, Setting};
use crate::protocol::{Floor, Metrics, RunCard, RunInfo, RunKind};
use crate::snapshot::{Frames, Input, Snapshot, Source};
use crate::tui::app::{Context, Overlay};
use crate::tui::overlay::palette::{Listing, Wanted};
use crate::tui::testing::{preset, press, sent, snapshot, with_a_sample};
use crate::tui::update::update;

/// The second model is open.
fn started(preset: Preset) -> Message {
    let info = RunInfo {
        kind: RunKind::Model,
        directory: "runs/other".into(),
        preset,
        seed: 7,
        device: "flex".into(),
        iteration: 9,
        parameters: 1,
        floor: Floor::default(),
        metrics: Metrics::default(),
    };
    Message::Beside(Box::new(Message::Run(Event::Started(Box::new(info)))))
}

fn beside(app: &App) -> &Beside {
    app.workbench.as_ref().unwrap().beside.as_ref().unwrap()
}

/// What the second one is asked to show.
fn asked(effects: &[Effect]) -> Option<(Input, Arc<Frames>)> {
    effects.iter().find_map(|effect| match effect {
        Effect::SendBeside(Command::Input(Some(input))) => match &input.source {
            Source::Frames(frames) => Some((input.clone(), frames.clone())),
            Source::File { .. } => None,
        },
        _ => None,
    })
}

fn open() -> (App, Input, Arc<Frames>) {
    let mut app = with_a_sample();
    let effects = press(&mut app, ":beside runs/other↵");
    assert_eq!(effects.last(), Some(&Effect::OpenBeside("runs/other".into(), "flex".into())));
    assert_eq!(app.context(), Context::Beside);
    let (input, frames) = asked(&update(&mut app, started(preset()))).unwrap();
    (app, input, frames)
}

#[test]
fn the_second_one_is_shown_what_the_first_one_shows() {
    let (mut app, input, frames) = open();
    let steps = snapshot(0, vec![]).steps.clone();
    assert_eq!((frames.targets.len(), frames.noisy.len()), (1, steps.len()), "a still image with its noise");
    assert_eq!(frames.begins_as, Some((1, 0)), "the first one's seed and sample");
    assert!(beside(&app).shown().is_none());
    let picture = |input: &Input| Snapshot { input: Some(input.clone()), ..(*snapshot(0, vec![])).clone() };
    let show = |app: &mut App, input: &Input| {
        update(app, Message::Beside(Box::new(Message::Picture(Arc::new(picture(input))))))
    };
    show(&mut app, &input);
    assert!(beside(&app).shown().is_some());
    let again = update(&mut app, Message::Picture(snapshot(0, vec![])));
    assert!(
        asked(&again).is_none() && beside(&app).shown().is_some(),
        "the same image after another iteration"
    );
    // Another sample for both.
    assert_eq!(sent(&press(&mut app, ".")), [Command::Watch(1)]);
    let mut other = (*snapshot(1, vec![])).clone();
    other.steps.iter_mut().for_each(|step| step.noisy[0] = 1.0);
    let (next, frames) = asked(&update(&mut app, Message::Picture(Arc::new(other)))).unwrap();
    assert_eq!((next.request, frames.begins_as), (input.request + 1, Some((1, 1))));
    show(&mut app, &input);
    assert!(beside(&app).shown().is_none(), "that is of the sample before");
    show(&mut app, &next);
    assert!(beside(&app).shown().is_some());
    // One slider for both.
    press(&mut app, "[←");
    assert_eq!(app.workbench.as_ref().unwrap().em_step, Some(3));
    press(&mut app, "⎋");
    assert_eq!(app.context(), Context::Workbench);
}

#[test]
fn a_moving_sample_has_a_frame_for_every_step() {
    let mut app = with_a_sample();
    let mut moving = (*snapshot(0, vec![Setting::K(4)])).clone();
    moving.look = vec![];
    for (t, step) in moving.steps.iter_mut().enumerate() {
        step.target[t] = 1.0;
        step.groups[t] = 1;
    }
    update(&mut app, Message::Picture(Arc::new(moving.clone())));
    press(&mut app, ":beside runs/other↵");
    let (_, frames) = asked(&update(&mut app, started(preset()))).unwrap();
    assert_eq!(frames.targets.len(), moving.steps.len());
    assert_eq!(frames.groups.len(), moving.steps.len() * moving.image.pixels());
}

#[test]
fn what_cannot_be_shown_side_by_side_is_said() {
    let larger = preset().set(&["data.height=28", "data.width=30"]).unwrap();
    let gone = |message| Message::Beside(Box::new(message));
    for (message, words) in [
        (started(larger), "quickstart-s1 has images of 20x20, and other of 30x28"),
        (gone(Message::StartFailed("no such run".into())), "no such run"),
        (gone(Message::RunGone), "has ended"),
        (gone(Message::Run(Event::Finished(Finish::Failed("no memory".into())))), "no memory"),
    ] {
        let mut app = with_a_sample();
        press(&mut app, ":beside runs/other↵");
        update(&mut app, message);
        assert_eq!(app.context(), Context::Workbench, "{words}");
        assert!(app.message.as_ref().is_some_and(|message| message.contains(words)), "{:?}", app.message);
    }
    let mut app = with_a_sample();
    app.workbench.as_mut().unwrap().snapshot = None;
    let effects = press(&mut app, ":beside runs/other↵");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::OpenBeside(..))) && app.message.is_some());
}

/// (state, keys, state): the run continues, whatever is shown beside it, and is left at once.
#[test]
fn a_run_of_another_process_is_shown_beside_a_model() {
    let mut app = with_a_sample();
    app.attached = true;
    press(&mut app, ":beside ");
    let listing = Listing { directory: String::new(), wants: Wanted::Weights };
    update(&mut app, Message::Listed(listing, vec!["runs/".into()]));
    let effects = press(&mut app, "⇥↵");
    assert_eq!(effects, [Effect::OpenBeside("shapes".into(), "flex".into())], "the models come first");
    let (input, _) = asked(&update(&mut app, started(preset()))).unwrap();
    let picture = Snapshot { input: Some(input), ..(*snapshot(0, vec![])).clone() };
    update(&mut app, Message::Beside(Box::new(Message::Picture(Arc::new(picture)))));
    assert!(beside(&app).shown().is_some());
    let mut left = app.clone();
    assert_eq!(press(&mut left, "q"), [Effect::Exit]);
    assert!(press(&mut app, "⎋").is_empty() && app.context() == Context::Workbench && app.attached);
    press(&mut app, ":beside runs/");
    let listing = Listing { directory: "runs/".into(), wants: Wanted::Weights };
    update(&mut app, Message::Listed(listing, vec!["a/".into()]));
    press(&mut app, "⇥");
    let Some(Overlay::Palette(palette)) = &app.overlay else { panic!("closed") };
    assert_eq!(palette.input.value(), "beside runs/a/", "no model is in a directory");
}

/// It lies over whatever was on the screen, and is chosen from the list of other runs as well.
#[test]
fn it_opens_from_the_inspector_and_from_the_list_of_runs() {
    let mut app = with_a_sample();
    press(&mut app, "i:beside static-shapes↵");
    assert_eq!(beside(&app).what, Path::new("static-shapes"));
    press(&mut app, "⎋");
    assert_eq!(app.context(), Context::Inspector);
    press(&mut app, "⎋r");
    let card = RunCard::new("runs/b".into(), preset());
    update(&mut app, Message::Runs(vec![card]));
    assert_eq!(press(&mut app, "b"), [Effect::OpenBeside("runs/b".into(), "flex".into())]);
    assert!(app.overlay.is_none() && app.context() == Context::Beside);
}
