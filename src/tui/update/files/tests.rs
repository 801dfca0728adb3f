use super::*;
use crate::preset::Setting;
use crate::protocol::{Event, Finish, Iteration, Metrics, RunToCompare};
use crate::tui::album::LookBack;
use crate::tui::testing::{
    inspected, own, picker, picture_of, preset, press, sent, snapshot, with_a_sample, workbench,
};
use crate::tui::update::{Message, update};
use crate::tui::workbench::{Masks, Rows};

#[test]
fn an_image_of_ones_own_is_looked_into_when_it_is_there() {
    let mut app = with_a_sample();
    let image = own("/here/a b.png", false, 1);
    assert_eq!(sent(&press(&mut app, ":open a b.png↵")), [Command::Input(Some(image.clone()))]);
    assert_eq!(inspected(&app), None);
    update(&mut app, picture_of(&own("/here/c.png", false, 1), 6, vec![]));
    assert_eq!(inspected(&app), None, "that was somebody else's");
    update(&mut app, picture_of(&image, 9, vec![]));
    assert_eq!(inspected(&app), Some((Some(image.clone()), false)));
    let workbench = app.workbench.as_ref().unwrap();
    assert!(workbench.snapshot.as_ref().unwrap().input.is_none(), "behind it the sample is still there");
    let saved = press(&mut app, "e");
    assert!(
        matches!(&saved[..], [Effect::Save(_, _, NewFile::Suggested(file))] if file.ends_with("quickstart-s1-it3-a b-overview.png"))
    );

    // Its frames limit the EM steps; a refused change has no effect.
    let more = vec![Setting::Steps(10)];
    assert_eq!(sent(&press(&mut app, "T")), [Command::Look(more.clone())]);
    update(&mut app, Message::Run(Event::Refused { request: Command::Look(more), why: "10 frames".into() }));
    assert_eq!(
        (inspected(&app), app.message.as_deref()),
        (Some((Some(image.clone()), false)), Some("10 frames"))
    );
    assert_eq!(sent(&press(&mut app, "t")), [Command::Look(vec![Setting::Steps(8)])]);
    update(&mut app, picture_of(&image, 8, vec![Setting::Steps(8)]));
    assert!(sent(&press(&mut app, "o")).is_empty(), "its objects are what they are");

    // The file may hold another image now, so its older snapshot does not count.
    let again = own("/here/a b.png", false, 2);
    assert_eq!(sent(&press(&mut app, ":open a b.png↵")), [Command::Input(Some(again.clone()))]);
    update(&mut app, picture_of(&image, 8, vec![Setting::Steps(8)]));
    assert_eq!(inspected(&app), Some((Some(image), true)));
    update(&mut app, picture_of(&again, 8, vec![Setting::Steps(8)]));
    assert_eq!(inspected(&app), Some((Some(again), false)));

    for (keys, back) in [
        (".", vec![Command::Watch(1)]),
        (":sample 7↵", vec![Command::Watch(6)]),
        ("⎋", vec![Command::Look(vec![]), Command::Input(None)]),
    ] {
        let mut app = app.clone();
        assert_eq!(sent(&press(&mut app, keys)), back, "{keys}");
        let workbench = app.workbench.as_ref().unwrap();
        assert!(workbench.input.is_none(), "{keys}");
        assert_eq!(workbench.inspector.is_none(), keys == "⎋", "{keys}");
    }
    assert_eq!(
        sent(&press(&mut with_a_sample(), ":open ~/b.gif↵")),
        [Command::Input(Some(own("/home/me/b.gif", false, 1)))]
    );
    assert_eq!(
        sent(&press(&mut with_a_sample(), ":open /b.npy↵")),
        [Command::Input(Some(own("/b.npy", false, 1)))]
    );
}

#[test]
fn an_image_that_cannot_be_is_a_sentence() {
    let mut app = with_a_sample();
    press(&mut app, ":open a.png↵");
    let request = Command::Input(Some(own("/here/a.png", false, 1)));
    update(
        &mut app,
        Message::Run(Event::Refused {
            request: Command::Input(Some(own("/here/b.png", false, 0))),
            why: "no GIF".into(),
        }),
    );
    assert!(app.workbench.as_ref().unwrap().input.is_some(), "of an older request");
    update(&mut app, Message::Run(Event::Note("no disk".into())));
    assert!(app.workbench.as_ref().unwrap().input.is_some(), "nothing was asked");
    update(&mut app, Message::Run(Event::Refused { request, why: "no PNG".into() }));
    assert_eq!((app.message.as_deref(), inspected(&app)), (Some("no PNG"), None));
    assert!(app.workbench.as_ref().unwrap().input.is_none());
    assert!(press(&mut app, ":open↵").is_empty());
    assert!(app.message.as_deref().is_some_and(|message| message.contains("open takes FILE")));
    update(&mut app, Message::Run(Event::Finished(Finish::MaxEpochs)));
    assert!(sent(&press(&mut app, ":open a.png↵")).is_empty());
    assert!(app.message.as_deref().is_some_and(|message| message.contains(":runs")));
}

/// The run may have accepted an earlier request whose picture never came, and is told what is shown instead.
#[test]
fn after_a_refusal_the_run_shows_what_the_screen_does() {
    let refused = |request| Message::Run(Event::Refused { request, why: "no PNG".into() });
    let opened = |file: &str, request| Command::Input(Some(own(file, false, request)));
    let bench = |app: &App| app.workbench.clone().unwrap();
    // Two images, of which only the first can be read.
    let mut app = with_a_sample();
    press(&mut app, ":open a.png↵:open b.png↵");
    let mut resized = app.clone();
    let second = opened("/here/b.png", 2);
    let restated = [Command::Look(vec![]), Command::Watch(0)];
    assert_eq!(sent(&update(&mut app, refused(second.clone()))), restated);
    assert!(update(&mut app, refused(second)).is_empty(), "once");
    update(&mut app, picture_of(&own("/here/a.png", false, 1), 6, vec![]));
    assert_eq!(inspected(&app), None);
    let next = snapshot(0, vec![]);
    update(&mut app, Message::Picture(next.clone()));
    assert!(std::sync::Arc::ptr_eq(&next, bench(&app).shown().unwrap()));
    // The same for an image of another size, while something else has the keyboard.
    press(&mut resized, "?");
    let wrong = Event::WrongSize { input: own("/here/b.png", false, 2), size: [640, 480] };
    assert_eq!(sent(&update(&mut resized, Message::Run(wrong))), restated);
    // Two changes in the inspector, of which only the first can be shown.
    let mut app = with_a_sample();
    press(&mut app, "iKN");
    let look = vec![Setting::K(5), Setting::Noise(0.15)];
    assert_eq!(sent(&update(&mut app, refused(Command::Look(look)))), restated);
    assert_eq!((inspected(&app), bench(&app).inspector.unwrap().look), (Some((None, false)), vec![]));
    assert_eq!(sent(&press(&mut app, "⎋")), [Command::Look(vec![])]);
    assert!(sent(&press(&mut app, "i⎋")).is_empty(), "nothing was changed this time");
}

#[test]
fn the_inspector_asks_nothing_of_a_run_that_has_ended() {
    let mut app = with_a_sample();
    update(&mut app, Message::Run(Event::Finished(Finish::MaxEpochs)));
    press(&mut app, "i");
    for keys in ["K", ":k 6↵", ".", ":sample 7↵", ":open a.png↵"] {
        assert!(press(&mut app, keys).iter().all(|effect| matches!(effect, Effect::List(..))), "{keys}");
        assert!(app.message.as_deref().is_some_and(|message| message.contains(":runs")), "{keys}");
        assert_eq!(inspected(&app), Some((None, false)), "{keys}");
    }
}

#[test]
fn a_model_comes_with_the_image_that_was_named() {
    let info = workbench().workbench.unwrap().info;
    let mut app = picker();
    (app.here, app.opening) = ("/here".into(), Some("a.png".into()));
    let effects = update(&mut app, Message::Run(Event::Started(Box::new(info))));
    assert_eq!(sent(&effects), [Command::Input(Some(own("/here/a.png", false, 1)))]);
    assert!(app.opening.is_none());
    // An image for a model that could not be opened is not meant for the next run.
    app.opening = Some("a.png".into());
    update(&mut app, Message::StartFailed("no such model".into()));
    assert!(app.opening.is_none());
}

/// A viewer that lagged gets the run's state again, and keeps its place.
#[test]
fn catching_up_keeps_what_the_user_looks_at() {
    let mut app = with_a_sample();
    press(&mut app, ".mvKKL⇥zx+:open a.png↵");
    let rival =
        RunToCompare { directory: "/r".into(), preset: preset(), seed: 2, metrics: Metrics::default() };
    let own_run = app.workbench.as_ref().unwrap().info.directory.clone();
    update(&mut app, Message::Compared(own_run.clone(), "/r".into(), Box::new(rival)));
    let image = own("/here/a.png", false, 1);
    update(&mut app, picture_of(&image, 6, vec![]));
    press(&mut app, "K");
    app.workbench.as_mut().unwrap().album = Some(LookBack::new(false));
    app.workbench.as_mut().unwrap().finish = Some(Finish::MaxEpochs);
    let before = app.workbench.clone().unwrap();
    let mut info = before.info.clone();
    info.preset = Setting::Noise(0.4).apply(&info.preset).unwrap();
    info.metrics.iterations =
        vec![Iteration { iteration: 9, loss: 1.0, seconds: 1.0, ..Iteration::default() }];
    let effects = update(&mut app, Message::Run(Event::Started(Box::new(info))));
    assert_eq!(effects, [Effect::Moments(own_run)], "the album is read again");
    let after = app.workbench.as_ref().unwrap();
    assert_eq!((after.iteration(), after.preset.noise.probability()), (9, Some(0.4)));
    assert_eq!((after.focus, after.zoomed, &after.curves), (before.focus, before.zoomed, &before.curves));
    assert_eq!((after.sample, &after.input), (1, &Some(image.clone())));
    assert_eq!((after.rows, after.masks), (Rows::Deltas, Masks::Largest));
    assert_eq!((after.compared.len(), &after.undo), (1, &before.undo));
    assert_eq!((after.undo.len(), after.album.is_some()), (3, true));
    assert_eq!(after.finish, Some(Finish::MaxEpochs));
    // Changes on their way are still wanted.
    assert_eq!((after.preset.k, after.wanted.k), (4, 6));
    assert_eq!(after.wanted.noise.probability(), Some(0.4));
    assert_eq!(after.wanted.train.learning_rate, before.wanted.train.learning_rate);
    assert_eq!(inspected(&app), Some((Some(image.clone()), true)));
    update(&mut app, picture_of(&image, 6, vec![Setting::K(5)]));
    assert_eq!(inspected(&app), Some((Some(image), false)));
}

#[test]
fn what_is_looked_at_is_written() {
    let mut app = workbench();
    assert!(press(&mut app, "e").is_empty() && app.message.is_some(), "nothing to see yet");
    let picture = snapshot(0, vec![]);
    update(&mut app, Message::Picture(picture.clone()));
    let saved = |view, file: &str| [Effect::Save(picture.clone(), view, NewFile::Suggested(file.into()))];
    let typed = |view, file: &str| [Effect::Save(picture.clone(), view, NewFile::Typed(file.into()))];
    assert_eq!(press(&mut app, "[e"), saved(View::Step(4), "quickstart-s1-it3-sample1-step5.png"));
    assert_eq!(press(&mut app, ":export a b.gif↵"), typed(View::Step(4), "a b.gif"));
    assert_eq!(press(&mut app, "ie"), saved(View::Overview, "quickstart-s1-it3-sample1-overview.png"));
    let shouted = press(&mut app, ":export x.PNG↵");
    assert_eq!(shouted, typed(View::Overview, "x.PNG"), "an extension in capitals is the same");
    press(&mut app, "⎋");
    update(&mut app, Message::Told("written: x".into()));
    assert_eq!(app.message.as_deref(), Some("written: x"));
    let curves = |file| [Effect::SaveCurves("runs/quickstart-s1".into(), file)];
    assert_eq!(
        press(&mut app, "⇥e"),
        curves(NewFile::Suggested("quickstart-s1-it0-curves.svg".into())),
        "the curves where they are looked at"
    );
    app.home = "/home/me".into();
    assert_eq!(press(&mut app, ":export ~/a.csv↵"), curves(NewFile::Typed("/home/me/a.csv".into())));
    let copied = Effect::Copy("nem-tui train --replay runs/quickstart-s1".into());
    assert_eq!(press(&mut app, "C"), [copied]);
}
