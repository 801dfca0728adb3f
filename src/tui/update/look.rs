//! Looking: what of the run is on the screen, and what of it is written to files.

use std::path::{Path, PathBuf};

use super::{ENDED, Effect, NO_PICTURE, located, past, told};
use crate::protocol::{Command, is_for_curves};
use crate::snapshot::View;
use crate::tui::app::{App, Masks, Pane, Rows, Workbench};
use crate::tui::keymap::Action;

/// Leaves the inspector, and with it the conditions and the image of the user's own that it was for.
pub fn look_up(workbench: &mut Workbench) -> Vec<Effect> {
    let looked = workbench.inspector.take().is_some_and(|inspector| !inspector.look.is_empty());
    let opened = workbench.input.take().is_some();
    let commands = [looked.then_some(Command::Look(vec![])), opened.then_some(Command::Input(None))];
    commands.into_iter().flatten().map(Effect::Send).collect()
}

/// Changes what is seen, and tells nobody.
pub fn look_at(workbench: &mut Workbench, action: Action) {
    let (first, last) = workbench.span();
    match action {
        Action::Now => workbench.come_back(),
        Action::Plot => match workbench.focus {
            Pane::Loss => workbench.curves.losses = workbench.curves.losses.next(),
            Pane::Scores => workbench.curves.scores = workbench.curves.scores.next(),
            Pane::Components => {}
        },
        Action::EmStep(by) => {
            workbench.playing = false;
            if let Some(snapshot) = workbench.shown() {
                let last = snapshot.steps.len().saturating_sub(1);
                let step = workbench.shown_step(snapshot).saturating_add_signed(by as isize).min(last);
                // At the end it follows the last step again, should there be more of them later.
                workbench.em_step = (step < last).then_some(step);
            }
        }
        Action::Animate => {
            workbench.playing = !workbench.playing;
            if workbench.playing && workbench.em_step.is_none() {
                workbench.em_step = Some(0);
            }
        }
        Action::Masks => {
            workbench.masks = match workbench.masks {
                Masks::Blend => Masks::Largest,
                Masks::Largest => Masks::Blend,
            };
        }
        Action::Rows => {
            workbench.rows = match workbench.rows {
                Rows::Masks => Rows::Deltas,
                Rows::Deltas => Rows::Masks,
            };
        }
        Action::NextPane => {
            let at = Pane::ALL.iter().position(|p| *p == workbench.focus).unwrap_or(0);
            workbench.focus = Pane::ALL[(at + 1) % Pane::ALL.len()];
        }
        Action::Zoom => workbench.zoomed = !workbench.zoomed,
        Action::Pixel(right, down) => {
            if let Some(inspector) = &mut workbench.inspector {
                inspector.move_by(right, down);
            }
        }
        Action::LogAxis if workbench.focus == Pane::Loss => workbench.curves.log = !workbench.curves.log,
        Action::Unit => workbench.curves.unit = workbench.curves.unit.next(),
        Action::Smooth(by) => workbench.curves.smooth_by(by),
        Action::Cursor(by) => workbench.curves.move_cursor(by, first, last),
        Action::Scale(by) => workbench.curves.scale(by, first, last),
        Action::Pan(by) => workbench.curves.pan(by, first, last),
        _ => {}
    }
}

/// The file that `e` writes: in the directory that the program was started in, and named after what it shows.
pub fn export_name(workbench: &Workbench) -> Option<PathBuf> {
    let run = workbench.info.directory.file_name()?.to_string_lossy().into_owned();
    if workbench.inspector.is_none() && workbench.focus != Pane::Components {
        return Some(format!("{run}-it{}-curves.svg", workbench.iteration()).into());
    }
    let snapshot = workbench.shown()?;
    let view = match workbench.inspector {
        Some(_) => "overview".to_owned(),
        None => format!("step{}", workbench.shown_step(snapshot) + 1),
    };
    let of = match snapshot.input.as_ref().and_then(|input| input.file.file_stem()) {
        Some(name) => name.to_string_lossy().into_owned(),
        None => format!("sample{}", snapshot.sample + 1),
    };
    Some(format!("{run}-it{}-{of}-{view}.png", snapshot.iteration).into())
}

/// Writes what is looked at.
pub fn export(app: &mut App, file: PathBuf) -> Vec<Effect> {
    let Some(workbench) = &app.workbench else { return vec![] };
    if is_for_curves(&file) {
        if workbench.is_model() {
            app.message = Some("a model has no curves; those of a run can be written".into());
            return vec![];
        }
        return vec![Effect::SaveCurves(workbench.info.directory.clone(), file)];
    }
    let Some(snapshot) = workbench.shown().cloned() else {
        return told(app, Err(NO_PICTURE.into()));
    };
    let is_png = file.extension().is_some_and(|ending| ending == "png");
    let view = match is_png && workbench.inspector.is_some() {
        true => View::Overview,
        false => View::Step(workbench.shown_step(&snapshot)),
    };
    vec![Effect::Save(snapshot, view, file)]
}

/// Asks for an image of the user's own.
pub fn open(app: &mut App, file: &Path) -> Vec<Effect> {
    let file = located(app, file);
    let Some(workbench) = &mut app.workbench else { return vec![] };
    if !workbench.alive {
        return told(app, Err(ENDED.into()));
    }
    vec![Effect::Send(Command::Input(Some(workbench.ask_for(file, false))))]
}

/// Shows another sample.
pub fn watch(workbench: &mut Workbench, sample: usize) -> Vec<Effect> {
    workbench.input = None;
    workbench.sample = sample;
    workbench.asked += 1;
    if let Some(inspector) = &mut workbench.inspector {
        inspector.waits = true;
    }
    let past = past::read_moment(workbench);
    std::iter::once(Effect::Send(Command::Watch(sample))).chain(past).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::Setting;
    use crate::protocol::{Event, Finish, Watched};
    use crate::tui::curve_view::{LossPlot, ScorePlot};
    use crate::tui::testing::{
        attached, inspected, iteration, own, picker, picture_of, press, sent, snapshot, with_a_sample,
        workbench,
    };
    use crate::tui::update::{Message, update};
    use std::sync::Arc;

    #[test]
    fn em_steps_are_played_round_and_round() {
        let mut app = workbench();
        update(&mut app, Message::Picture(snapshot(0, vec![])));
        assert!(!app.is_playing());
        press(&mut app, "a");
        let mut seen = vec![];
        for _ in 0..7 {
            seen.push(app.workbench.as_ref().unwrap().em_step.unwrap());
            update(&mut app, Message::Tick);
        }
        assert_eq!(seen, [0, 1, 2, 3, 4, 5, 0]);
        press(&mut app, "[");
        assert!(!app.is_playing(), "a step by hand ends it");
    }

    #[test]
    fn the_worst_samples_come_first_when_asked() {
        let mut app = workbench();
        let mut scores: Vec<Option<f64>> = (0..64).map(|i| Some(0.9 - f64::from(i) / 1000.0)).collect();
        scores[5] = Some(0.1);
        scores[63] = None;
        let watched = Watched { amis: scores, ..Watched::default() };
        update(&mut app, Message::Engine(Event::WatchedScores(watched)));
        assert_eq!(sent(&press(&mut app, "b")), [Command::Watch(5)], "the worst");
        assert_eq!(sent(&press(&mut app, ".")), [Command::Watch(62)]);
        assert_eq!(
            sent(&press(&mut app, ",,")),
            [Command::Watch(5), Command::Watch(63)],
            "the unscored last"
        );
        assert_eq!(sent(&press(&mut app, "b,")), [Command::Watch(62)], "their own order again");
    }

    #[test]
    fn samples_wrap_around_and_panes_take_turns() {
        let mut app = workbench();
        assert_eq!(sent(&press(&mut app, ",.↓")), [Command::Watch(63), Command::Watch(0), Command::Watch(1)]);
        press(&mut app, "⇥z");
        let workbench = app.workbench.as_ref().unwrap();
        assert_eq!((workbench.focus, workbench.zoomed), (Pane::Loss, true));
        press(&mut app, "⇥⇥↵");
        let workbench = app.workbench.as_ref().unwrap();
        assert_eq!((workbench.focus, workbench.zoomed), (Pane::Components, false));
    }

    #[test]
    fn panes_of_curves_show_other_quantities() {
        let mut app = workbench();
        press(&mut app, "⇥f");
        assert_eq!(app.workbench.as_ref().unwrap().curves.losses, LossPlot::UpperBound);
        press(&mut app, "ffff⇥f");
        let curves = &app.workbench.as_ref().unwrap().curves;
        assert_eq!((curves.losses, curves.scores), (LossPlot::UpperBound, ScorePlot::Confidence));
    }

    #[test]
    fn curves_are_read_scaled_and_smoothed_where_they_have_the_focus() {
        let mut app = workbench();
        for n in 1..=200 {
            update(&mut app, Message::Engine(iteration(n)));
        }
        press(&mut app, "⇥yxV←←+");
        let view = &app.workbench.as_ref().unwrap().curves;
        assert!(view.log && view.smoothing() > 0.0 && view.is_zoomed());
        assert_eq!(view.unit, crate::tui::curve_view::Unit::Epochs);
        assert!(view.cursor(1.0, 200.0).is_some_and(|at| (190.0..200.0).contains(&at)));
        let mut pictures = workbench();
        press(&mut pictures, "yxV+");
        assert_eq!(pictures.workbench.unwrap().curves, Default::default(), "and only there");
    }

    /// The inspector holds its picture still, and what is changed there is no change of the training.
    #[test]
    fn the_inspector_looks_and_changes_nothing() {
        use Setting::*;
        let mut app = workbench();
        update(&mut app, Message::Picture(snapshot(0, vec![])));
        press(&mut app, "i");
        let inspector = |app: &App| app.workbench.as_ref().unwrap().inspector.clone().unwrap();
        let held = inspector(&app).snapshot;
        update(&mut app, Message::Picture(snapshot(0, vec![])));
        assert!(Arc::ptr_eq(&held, &inspector(&app).snapshot), "held still");
        assert_eq!(sent(&press(&mut app, "K")), [Command::Look(vec![K(5)])]);
        assert_eq!(sent(&press(&mut app, "N")), [Command::Look(vec![K(5), Noise(0.15)])]);
        assert_eq!(app.workbench.as_ref().unwrap().wanted.k, 4);
        update(&mut app, Message::Picture(snapshot(0, vec![K(5)])));
        assert!(inspector(&app).waits, "that was not the one asked for");
        let asked = snapshot(0, vec![K(5), Noise(0.15)]);
        update(&mut app, Message::Picture(asked.clone()));
        assert!(Arc::ptr_eq(&asked, &inspector(&app).snapshot) && !inspector(&app).waits);
        assert_eq!(sent(&press(&mut app, ".")), [Command::Watch(1)]);
        assert!(sent(&press(&mut app, "l c")).is_empty(), "no training is steered from here");
        let before = (inspector(&app).x, inspector(&app).y);
        press(&mut app, "→→↓");
        assert_eq!((inspector(&app).x, inspector(&app).y), (before.0 + 2, before.1 + 1));
        assert_eq!(sent(&press(&mut app, "⎋")), [Command::Look(vec![])]);
        assert!(app.workbench.unwrap().inspector.is_none());
    }

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
            matches!(&saved[..], [Effect::Save(_, _, file)] if file.ends_with("quickstart-s1-it3-a b-overview.png"))
        );

        // Its frames say how many EM steps there are, and a refused change of that leaves it as it is.
        let more = vec![Setting::Steps(10)];
        assert_eq!(sent(&press(&mut app, "T")), [Command::Look(more)]);
        update(&mut app, Message::Engine(Event::Refused("10 frames".into())));
        assert_eq!(
            (inspected(&app), app.message.as_deref()),
            (Some((Some(image.clone()), false)), Some("10 frames"))
        );
        assert_eq!(sent(&press(&mut app, "t")), [Command::Look(vec![Setting::Steps(8)])]);
        update(&mut app, picture_of(&image, 8, vec![Setting::Steps(8)]));
        assert!(sent(&press(&mut app, "o")).is_empty(), "its objects are what they are");

        // The same file again may hold another image; the older picture of it does not do.
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
        update(&mut app, Message::Engine(Event::Refused("no PNG".into())));
        assert_eq!((app.message.as_deref(), inspected(&app)), (Some("no PNG"), None));
        assert!(app.workbench.as_ref().unwrap().input.is_none());
        assert!(press(&mut app, ":open↵").is_empty());
        assert!(app.message.as_deref().is_some_and(|message| message.contains("open takes FILE")));
        update(&mut app, Message::Engine(Event::Finished(Finish::MaxEpochs)));
        assert!(sent(&press(&mut app, ":open a.png↵")).is_empty());
        assert!(app.message.as_deref().is_some_and(|message| message.contains("--look")));
    }

    #[test]
    fn a_model_comes_with_the_image_that_was_named() {
        let info = workbench().workbench.unwrap().info;
        let mut app = picker();
        (app.here, app.opening) = ("/here".into(), Some("a.png".into()));
        let effects = update(&mut app, Message::Engine(Event::Started(Box::new(info))));
        assert_eq!(sent(&effects), [Command::Input(Some(own("/here/a.png", false, 1)))]);
        assert!(app.opening.is_none());
    }

    #[test]
    fn anothers_sample_takes_the_place_of_ones_image() {
        let mut app = with_a_sample();
        press(&mut app, ":open a.png↵");
        let image = own("/here/a.png", false, 1);
        update(&mut app, picture_of(&image, 6, vec![]));
        update(&mut app, Message::Engine(Event::Watched(4)));
        assert_eq!(inspected(&app), Some((Some(image), false)), "held still");
        press(&mut app, "K");
        update(&mut app, Message::Picture(snapshot(4, vec![Setting::K(5)])));
        assert_eq!(inspected(&app), Some((None, false)));
        // One's own wish for a sample does not take away the image that was asked for after it.
        let mut app = with_a_sample();
        press(&mut app, ".:open a.png↵");
        update(&mut app, Message::Engine(Event::Watched(1)));
        assert!(app.workbench.unwrap().input.is_some());
    }

    #[test]
    fn everybody_sees_the_sample_that_anybody_asked_for() {
        let mut app = attached();
        update(&mut app, Message::Engine(Event::Watched(7)));
        assert_eq!(sent(&press(&mut app, ".")), [Command::Watch(8)]);
    }

    #[test]
    fn what_is_looked_at_is_written() {
        let mut app = workbench();
        assert!(press(&mut app, "e").is_empty() && app.message.is_some(), "nothing to see yet");
        let picture = snapshot(0, vec![]);
        update(&mut app, Message::Picture(picture.clone()));
        let saved = |view, file: &str| [Effect::Save(picture.clone(), view, file.into())];
        assert_eq!(press(&mut app, "[e"), saved(View::Step(4), "quickstart-s1-it3-sample1-step5.png"));
        assert_eq!(press(&mut app, ":export a b.gif↵"), saved(View::Step(4), "a b.gif"));
        assert_eq!(press(&mut app, "ie"), saved(View::Overview, "quickstart-s1-it3-sample1-overview.png"));
        press(&mut app, "⎋");
        update(&mut app, Message::Told("written: x".into()));
        assert_eq!(app.message.as_deref(), Some("written: x"));
        let curves = |file: &str| [Effect::SaveCurves("runs/quickstart-s1".into(), file.into())];
        assert_eq!(
            press(&mut app, "⇥e"),
            curves("quickstart-s1-it0-curves.svg"),
            "the curves where they are looked at"
        );
        app.home = "/home/me".into();
        assert_eq!(press(&mut app, ":export ~/a.csv↵"), curves("/home/me/a.csv"));
        let copied = Effect::Copy("nem-tui train --replay runs/quickstart-s1".into());
        assert_eq!(press(&mut app, "C"), [copied]);
    }
}
