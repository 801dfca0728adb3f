use std::sync::Arc;

use super::*;
use crate::preset::Setting;
use crate::protocol::{Event, Finish};
use crate::snapshot::{Frames, Snapshot};
use crate::tui::app::Context;
use crate::tui::testing::{own, press as keys, sent, snapshot, with_a_sample};
use crate::tui::update::{Message, Target, update};

/// The inspector with a drawing in progress, the cursor at 10, 10.
fn drawing() -> App {
    let mut app = with_a_sample();
    assert!(keys(&mut app, "id").is_empty(), "nothing has changed yet");
    assert_eq!(app.context(), Context::Draw);
    app
}

fn of(app: &App) -> &Drawing {
    app.workbench.as_ref().unwrap().inspector.as_ref().unwrap().drawing.as_ref().unwrap()
}

/// The lit pixels of the canvas.
fn lit(app: &App) -> Vec<Pixel> {
    let width = of(app).image().width;
    let values = of(app).canvas.values();
    let lit = values.iter().enumerate().filter(|(_, value)| **value > 0.0);
    lit.map(|(pixel, _)| (pixel % width, pixel / width)).collect()
}

/// The frames of the only command among these effects.
fn frames(effects: &[Effect]) -> (u64, Arc<Frames>) {
    match &sent(effects)[..] {
        [Command::Input(Some(Input { request, source: Source::Frames(frames) }))] => {
            (*request, frames.clone())
        }
        other => panic!("{other:?}"),
    }
}

/// The worker's picture of what it was asked for.
fn answer(app: &mut App, request: u64, frames: &Arc<Frames>) -> Vec<Effect> {
    let input = Some(Input::frames(frames.clone(), request));
    update(app, Message::Picture(Arc::new(Snapshot { input, ..(*snapshot(0, vec![])).clone() })))
}

#[test]
fn every_change_is_sent_and_while_one_is_unrolled_only_the_newest_waits() {
    let mut app = drawing();
    let (first, one) = frames(&keys(&mut app, " "));
    assert_eq!(one.targets[0].iter().sum::<f32>(), 1.0);
    assert!(app.awaits_picture() && !of(&app).changed);
    for key in ["→", " ", "→", " "] {
        assert!(keys(&mut app, key).is_empty(), "the worker is busy");
    }
    assert_eq!(lit(&app), [(10, 10), (11, 10), (12, 10)], "and the canvas is not");
    assert!(of(&app).changed);
    let (second, three) = frames(&answer(&mut app, first, &one));
    assert_eq!((second, three.targets[0].iter().sum::<f32>()), (first + 1, 3.0));
    let shown =
        |app: &App| app.workbench.as_ref().unwrap().shown().unwrap().input.as_ref().map(|i| i.request);
    assert_eq!(shown(&app), Some(first), "an older clustering is shown");
    assert!(app.awaits_picture(), "and said to be older");
    assert!(answer(&mut app, second, &three).is_empty());
    assert!(!app.awaits_picture() && shown(&app) == Some(second));
}

#[test]
fn the_pen_paints_while_it_moves_and_strokes_are_undone_whole() {
    let mut app = drawing();
    keys(&mut app, "p→→↓");
    assert_eq!(lit(&app), [(10, 10), (11, 10), (12, 10), (12, 11)]);
    keys(&mut app, "p→");
    assert_eq!(lit(&app).len(), 4, "lifted");
    keys(&mut app, "←x←");
    assert_eq!(lit(&app), [(10, 10), (11, 10), (12, 10)]);
    keys(&mut app, "u");
    assert_eq!(lit(&app).len(), 4);
    keys(&mut app, "u");
    assert!(lit(&app).is_empty());
    keys(&mut app, "u");
    assert_eq!(app.message.as_deref(), Some("there is nothing to undo"));
    keys(&mut app, "UU");
    assert_eq!(lit(&app).len(), 3);
    keys(&mut app, "c");
    assert!(lit(&app).is_empty());
    keys(&mut app, "u++ ");
    assert_eq!((of(&app).size, lit(&app).len()), (3, 9));
    keys(&mut app, "=-----");
    assert_eq!(of(&app).size, 1);
    keys(&mut app, ">");
    assert_eq!(app.message.as_deref(), Some("the images of this data are black and white"));
}

#[test]
fn shapes_are_stamped_picked_up_and_moved_and_the_truth_is_theirs() {
    let mut app = drawing();
    let (request, stamped) = frames(&keys(&mut app, "1"));
    assert_eq!(lit(&app).len(), 12);
    assert_eq!(stamped.groups.iter().filter(|group| **group == 1).count(), 12, "so it is scored");
    answer(&mut app, request, &stamped);
    // The square is hollow under the cursor.
    assert!(keys(&mut app, "↵").is_empty());
    assert_eq!(of(&app).held, Some(0));
    let (request, moved) = frames(&keys(&mut app, "→"));
    assert_ne!(moved.groups, stamped.groups);
    answer(&mut app, request, &moved);
    keys(&mut app, "↵→");
    assert_eq!(of(&app).held, None);
    assert_eq!(of(&app).frames().groups, moved.groups, "put down, it stays");
    keys(&mut app, "u");
    assert_eq!(of(&app).frames().groups, stamped.groups, "a drag is one stroke");
    keys(&mut app, "→→→→→ ");
    assert!(of(&app).frames().groups.is_empty(), "nobody knows what a painted pixel is");
    keys(&mut app, "9");
    keys(&mut app, "4");
    assert_eq!(app.message.as_deref(), Some("there are shapes 1 to 3"));
    keys(&mut app, "c↵");
    assert_eq!(app.message.as_deref(), Some("there is nothing here to pick up"));
}

#[test]
fn the_mouse_paints_and_moves() {
    let mut app = drawing();
    let at = |x, y| Target::Pixel(x, y);
    update(&mut app, Message::Click(at(2, 2)));
    update(&mut app, Message::Drag(Some(at(5, 2))));
    update(&mut app, Message::Drag(Some(Target::Inspector)));
    update(&mut app, Message::Drag(None));
    assert_eq!(lit(&app), [(2, 2), (3, 2), (4, 2), (5, 2)], "no pixel is skipped");
    update(&mut app, Message::Drag(Some(at(9, 9))));
    assert_eq!(lit(&app).len(), 4, "released");
    update(&mut app, Message::Click(at(3, 2)));
    update(&mut app, Message::Drag(Some(at(3, 5))));
    update(&mut app, Message::Drag(None));
    assert_eq!(lit(&app), [(2, 5), (3, 5), (4, 5), (5, 5)]);
    let inspector = app.workbench.as_ref().unwrap().inspector.as_ref().unwrap();
    assert_eq!((inspector.x, inspector.y, of(&app).held), (3, 5, None));
    keys(&mut app, "x");
    update(&mut app, Message::Click(at(5, 5)));
    update(&mut app, Message::Drag(None));
    assert_eq!(lit(&app), [(2, 5), (4, 5)], "the eraser erases, also what was under the cursor");
}

#[test]
fn the_drawing_stays_until_the_sample_is_asked_for() {
    let mut app = drawing();
    let (request, drawn) = frames(&keys(&mut app, "1"));
    keys(&mut app, "→→ ");
    let left = frames(&keys(&mut app, "⎋"));
    assert_eq!(left.0, request + 1, "the newest is sent on leaving");
    assert_eq!(app.context(), Context::Inspector);
    answer(&mut app, request, &drawn);
    assert!(app.awaits_picture(), "an older one is not shown any more");
    answer(&mut app, left.0, &left.1);
    assert!(!app.awaits_picture());
    keys(&mut app, "d");
    assert_eq!(of(&app).canvas.values(), left.1.targets[0], "drawn on");
    assert_eq!(sent(&keys(&mut app, "r")), [Command::Watch(0)]);
    assert_eq!((app.context(), app.workbench.as_ref().unwrap().input.clone()), (Context::Inspector, None));
    update(&mut app, Message::Picture(snapshot(0, vec![])));
    keys(&mut app, "r");
    assert_eq!(app.message.as_deref(), Some("the sample is shown already"));
}

#[test]
fn a_new_image_is_black_and_a_command_away() {
    let mut app = with_a_sample();
    let (_, empty) = frames(&keys(&mut app, ":draw new↵"));
    assert_eq!((app.context(), empty.targets[0].iter().sum::<f32>()), (Context::Draw, 0.0));
    let saved = keys(&mut app, ":save mine.png↵");
    let file = NewFile::Typed("mine.png".into());
    assert_eq!(saved.last(), Some(&Effect::SaveImage(empty.targets[0].clone(), of(&app).image(), file)));
    let opened = keys(&mut app, "⎋:open mine.png↵");
    assert_eq!(sent(&opened).last(), Some(&Command::Input(Some(own("/here/mine.png", false, 2)))));
    assert!(keys(&mut app, ":draw old↵").is_empty());
    assert_eq!(app.message.as_deref(), Some("draw takes [new]"));
}

#[test]
fn conditions_change_while_drawing() {
    let mut app = drawing();
    let (request, drawn) = frames(&keys(&mut app, "1"));
    answer(&mut app, request, &drawn);
    assert_eq!(sent(&keys(&mut app, "K")), [Command::Look(vec![Setting::K(5)])]);
    let (request, moved) = frames(&keys(&mut app, "2"));
    answer(&mut app, request, &moved);
    assert!(app.awaits_picture(), "that is of the old K");
}

#[test]
fn a_refusal_and_the_end_of_the_run_lock_nothing_up() {
    let mut app = drawing();
    let effects = keys(&mut app, " ");
    let request = sent(&effects)[0].clone();
    update(&mut app, Message::Run(Event::Refused { request, why: "no".into() }));
    assert_eq!(app.message.as_deref(), Some("no"));
    assert!(matches!(&sent(&keys(&mut app, "→ "))[..], [Command::Input(Some(_))]), "the next one is sent");
    update(&mut app, Message::Run(Event::Finished(Finish::MaxEpochs)));
    assert!(keys(&mut app, " ").is_empty() && app.message.is_some());
    assert!(keys(&mut app, "⎋").is_empty());
    assert_eq!(app.context(), Context::Inspector);
    assert!(keys(&mut app, "d").is_empty() && app.message.is_some());
}

#[test]
fn the_mouse_moves_the_cursor_of_a_run_that_has_ended() {
    let mut app = with_a_sample();
    keys(&mut app, "i");
    update(&mut app, Message::Run(Event::Finished(Finish::MaxEpochs)));
    for message in
        [Message::Click(Target::Pixel(3, 4)), Message::Drag(Some(Target::Pixel(5, 4))), Message::Drag(None)]
    {
        assert!(update(&mut app, message).is_empty() && app.message.is_none(), "{:?}", app.message);
    }
    let inspector = app.workbench.as_ref().unwrap().inspector.as_ref().unwrap();
    assert_eq!((inspector.x, inspector.y), (5, 4));
}

/// (state, keys, state): a drawing under two models side by side is not lost to another sample.
#[test]
fn no_sample_replaces_a_drawing_by_accident() {
    let mut app = drawing();
    keys(&mut app, "1:beside shapes↵");
    assert_eq!(app.context(), Context::Beside);
    for sample in [".", ",", "↓", ":sample 3↵"] {
        assert!(sent(&keys(&mut app, sample)).is_empty(), "{sample}");
        assert!(
            app.message.as_ref().is_some_and(|message| message.contains("replace the drawing")),
            "{sample}"
        );
    }
    keys(&mut app, "⎋");
    assert_eq!((app.context(), lit(&app).len()), (Context::Draw, 12));
    assert_eq!(sent(&keys(&mut app, "r")), [Command::Watch(0)], "asked for, it does");
}
