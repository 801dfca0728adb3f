//! The run's events.

use super::leave::arrive;
use super::{compare, files};
use crate::paths::shown;
use crate::preset::Setting;
use crate::protocol::{Event, Finish};
use crate::tui::album::LookBack;
use crate::tui::app::{App, Overlay};
use crate::tui::config::Notice;
use crate::tui::message::{Effect, told};
use crate::tui::overlay::Further;
use crate::tui::workbench::Workbench;

/// Handles an event of the run.
pub fn heard(app: &mut App, event: Event) -> Vec<Effect> {
    if let Event::Started(info) = event {
        if let (false, Some(workbench)) = (app.starting, &mut app.workbench) {
            workbench.catch_up(*info);
            let read = |_: &LookBack| Effect::Moments(workbench.info.directory.clone());
            return workbench.album.iter().map(read).collect();
        }
        let mut workbench = Workbench::new(*info);
        app.early.take().into_iter().for_each(|early| workbench.show(early));
        app.workbench = Some(workbench);
        app.starting = false;
        let opened = app.opening.take().map_or(Ok(vec![]), |file| files::open(app, &file));
        let compared = std::mem::take(&mut app.comparing);
        let compared: Vec<_> = compared.iter().flat_map(|run| compare::toggle(app, run)).collect();
        return told(app, opened).into_iter().chain(compared).collect();
    }
    let Some(workbench) = &mut app.workbench else { return vec![] };
    match event {
        Event::Started(_) => {}
        Event::Iterations(list) => {
            app.offers = false;
            // A viewer that lagged may have missed that the training, which was over, continues.
            workbench.finish.take_if(|_| workbench.alive);
            list.into_iter().for_each(|i| workbench.add_iteration(i));
        }
        Event::Epoch(epoch) => {
            workbench.add_epoch(epoch);
            if workbench.album.is_some() {
                // The album has one more moment, and may have dropped others.
                return vec![Effect::Moments(workbench.info.directory.clone())];
            }
        }
        Event::Changed(change) => {
            if let Setting::MaxEpochs(most) = change.to {
                // Also a training that was over.
                workbench.finish = None;
                app.message = Some(match workbench.preset.train.stages.is_empty() {
                    true => format!("it now trains up to epoch {most}"),
                    false => format!("its last stage now has up to {most} epochs"),
                });
            }
            workbench.add_change(change);
        }
        Event::Stage(start) => workbench.begin_stage(start),
        Event::Floor(floor) => workbench.info.floor = floor,
        Event::WatchedScores(scores) => workbench.watch(scores),
        Event::Refused { request, why } => {
            let restated = workbench.forget(&request);
            app.message = Some(why);
            return restated.into_iter().map(Effect::Send).collect();
        }
        Event::Note(note) => app.message = Some(joined(app.message.take(), note)),
        // The user has since asked for something else.
        Event::WrongSize { input, .. } if workbench.input.as_ref() != Some(&input) => {}
        Event::WrongSize { input, size } if app.overlay.is_none() => {
            app.overlay = Some(Overlay::Resize(input, size));
        }
        Event::WrongSize { input, size: [width, height] } => {
            let restated = workbench.stay();
            let file = input.path();
            app.message = Some(format!("{file} is {width}x{height}; open it again to resize it"));
            return restated.into_iter().map(Effect::Send).collect();
        }
        Event::Paused(paused) => workbench.paused = paused,
        Event::Saved { iteration, .. } => {
            workbench.saved = Some(iteration);
            // It may belong to a moment of the album, and others may have been removed.
            let read = |_: &LookBack| Effect::Moments(workbench.info.directory.clone());
            return workbench.album.iter().map(read).collect();
        }
        Event::Done(finish) if std::mem::take(&mut app.offers) && app.overlay.is_none() => {
            let done = workbench.epoch.map_or(0, |epoch| epoch.epoch);
            app.overlay = Some(Overlay::Further(Further::new(done, workbench.preset.most_epochs())));
            workbench.finish = Some(finish);
        }
        Event::Done(finish) => {
            // It is repeated to a viewer that lagged.
            let told = workbench.finish.is_some();
            let notice = if told { vec![] } else { ended(app.config.notice, workbench, &finish) };
            workbench.finish = Some(finish);
            return notice;
        }
        Event::Finished(finish) => {
            workbench.alive = false;
            // Not for a user who is leaving, or who was notified at `Done`.
            let told = app.leaving.is_some() || workbench.finish.is_some();
            let notice = if told { vec![] } else { ended(app.config.notice, workbench, &finish) };
            if let Finish::Failed(sentence) = &finish {
                workbench.history.mark_failure();
                // The status line may be too short for it.
                app.message = Some(sentence.clone());
            }
            workbench.finish = Some(finish);
            if app.leaving.is_some() {
                return arrive(app);
            }
            return notice;
        }
    }
    vec![]
}

/// The most bytes of notes that are shown together.
const MOST: usize = 240;

/// A note after what the user may not have read yet: a key takes messages away.
fn joined(before: Option<String>, note: String) -> String {
    match before {
        Some(before) if before.contains(&note) => before,
        Some(before) if before.len() + note.len() < MOST => format!("{before}; {note}"),
        _ => note,
    }
}

/// Tells the user that the training ended, in the way the config asks for.
fn ended(notice: Option<Notice>, workbench: &Workbench, finish: &Finish) -> Vec<Effect> {
    let Some(notice) = notice.filter(|_| !workbench.is_model()) else { return vec![] };
    let run = shown(workbench.info.directory.file_name().unwrap_or_default());
    let what = if matches!(finish, Finish::Failed(_)) { "has failed" } else { "is over" };
    let ami = workbench.epoch.and_then(|epoch| epoch.ami);
    let ami = ami.map_or(String::new(), |ami| format!(", AMI {ami:.2}"));
    vec![Effect::Notify(notice, format!("the training of {run} {what}{ami}"))]
}

/// Handles a run that is gone without a last event.
pub fn gone(app: &mut App) -> Vec<Effect> {
    if app.leaving.is_some() {
        return arrive(app);
    }
    let sentence = "the training thread ended unexpectedly; its last checkpoint is kept";
    match &mut app.workbench {
        Some(workbench) => {
            let finish = Finish::Failed(sentence.into());
            let notice = ended(app.config.notice, workbench, &finish);
            workbench.history.mark_failure();
            workbench.finish = Some(finish);
            workbench.alive = false;
            return notice;
        }
        None => app.message = Some(sentence.into()),
    }
    (app.starting, app.opening) = (false, None);
    app.comparing.clear();
    vec![]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::Setting;
    use crate::protocol::{Change, Command, RunInfo, RunKind};
    use crate::snapshot::Snapshot;
    use crate::tui::config::Config;
    use crate::tui::testing::{iteration, picker, preset, press, sent, snapshot, workbench};
    use crate::tui::update::{Message, update};
    use std::sync::Arc;

    /// A model sends one snapshot until it is asked for another, so the first must not be lost.
    #[test]
    fn a_picture_before_its_training_is_kept() {
        let info = workbench().workbench.unwrap().info;
        let mut app = picker();
        let image = preset().data.image();
        let picture =
            Snapshot { iteration: 9, sample: 0, input: None, image, k: 4, look: vec![], steps: vec![] };
        update(&mut app, Message::Picture(Arc::new(picture.clone())));
        update(&mut app, Message::Run(Event::Started(Box::new(info))));
        assert_eq!(app.workbench.unwrap().snapshot.as_deref(), Some(&picture));
    }

    #[test]
    fn a_model_begins_at_the_sample_that_it_chose() {
        let info = RunInfo { kind: RunKind::Model, ..workbench().workbench.unwrap().info };
        let picture = |sample| Message::Picture(snapshot(sample, vec![]));
        let started = || Message::Run(Event::Started(Box::new(info.clone())));
        let sample = |app: &App| app.workbench.as_ref().unwrap().sample;
        let (mut early, mut late) = (picker(), picker());
        update(&mut early, picture(7));
        update(&mut early, started());
        update(&mut late, started());
        update(&mut late, picture(7));
        for mut app in [early, late] {
            assert_eq!(sample(&app), 7);
            assert_eq!(sent(&press(&mut app, ".")), [Command::Watch(8)]);
            update(&mut app, picture(7));
            assert_eq!(sample(&app), 8, "the user's choice stays");
        }
    }

    #[test]
    fn a_wanted_value_is_shown_until_the_engine_takes_or_refuses_it() {
        let mut app = workbench();
        press(&mut app, "KK");
        let values = |app: &App| app.workbench.as_ref().map(|w| (w.preset.k, w.wanted.k)).unwrap();
        assert_eq!(values(&app), (4, 6));
        let change =
            |from, to| Event::Changed(Change { iteration: 7, from: Setting::K(from), to: Setting::K(to) });
        update(&mut app, Message::Run(change(4, 5)));
        assert_eq!(values(&app), (5, 6));
        let refused = |request| Event::Refused { request, why: "no".into() };
        update(&mut app, Message::Run(refused(Command::Set(Setting::K(5)))));
        assert_eq!(values(&app), (5, 6), "of an older request");
        update(&mut app, Message::Run(refused(Command::Set(Setting::K(6)))));
        assert_eq!((values(&app), app.message.as_deref()), ((5, 5), Some("no")));
        update(&mut app, Message::Run(change(5, 6)));
        assert_eq!(values(&app), (6, 6));
        assert_eq!(app.workbench.unwrap().history.changes.len(), 2);
    }

    #[test]
    fn the_end_of_a_training_is_notified_once_if_asked_for() {
        let told = |effects: Vec<Effect>| effects.iter().filter(|e| matches!(e, Effect::Notify(..))).count();
        let done = || Message::Run(Event::Done(Finish::MaxEpochs));
        let finished = |finish| Message::Run(Event::Finished(finish));
        assert_eq!(told(update(&mut workbench(), done())), 0, "unless asked");
        let asked = || {
            let mut app = workbench();
            app.configure(Ok(Config::parse("(notice: Desktop)").unwrap()));
            app
        };
        let mut app = asked();
        let sentence = "the training of quickstart-s1 is over".to_owned();
        assert_eq!(update(&mut app, done()), [Effect::Notify(Notice::Desktop, sentence)]);
        let info = app.workbench.as_ref().unwrap().info.clone();
        update(&mut app, Message::Run(Event::Started(Box::new(info))));
        assert_eq!(told(update(&mut app, done())), 0, "once, also for a viewer that lagged");
        assert_eq!(told(update(&mut app, finished(Finish::MaxEpochs))), 0, "once");
        let failed = update(&mut asked(), finished(Finish::Failed("no disk".into())));
        assert!(matches!(&failed[..], [Effect::Notify(_, sentence)] if sentence.contains("has failed")));
        assert_eq!(told(update(&mut asked(), Message::RunGone)), 1);
        let mut app = asked();
        app.workbench.as_mut().unwrap().info.kind = RunKind::Model;
        assert_eq!(told(update(&mut app, finished(Finish::Stopped))), 0, "a model");
        let mut app = asked();
        press(&mut app, "qy");
        assert_eq!(
            update(&mut app, finished(Finish::Stopped)),
            [Effect::Exit],
            "a user who leaves is not notified"
        );
    }

    /// (state, events, state): a viewer that lagged missed that the training, which was over, continues.
    #[test]
    fn what_trains_is_not_over() {
        let mut app = workbench();
        update(&mut app, Message::Run(Event::Done(Finish::EarlyStop)));
        assert!(press(&mut app, " ").is_empty() && !app.is_running());
        update(&mut app, Message::Run(iteration(9)));
        assert_eq!(sent(&press(&mut app, " ")), [Command::Pause]);
        update(&mut app, Message::Run(Event::Finished(Finish::Stopped)));
        update(&mut app, Message::Run(iteration(10)));
        assert!(!app.is_running(), "its worker is gone");
    }

    /// (state, events, state): what a fork has made is still read after what else it says.
    #[test]
    fn notes_that_come_together_are_read_together() {
        let mut app = workbench();
        let mut note = |text: &str| {
            update(&mut app, Message::Run(Event::Note(text.into())));
            app.message.clone().unwrap()
        };
        assert_eq!(note("r-2, forked at 20 of r"), "r-2, forked at 20 of r");
        assert_eq!(note("it trains 2 more epochs"), "r-2, forked at 20 of r; it trains 2 more epochs");
        assert_eq!(note("it trains 2 more epochs"), "r-2, forked at 20 of r; it trains 2 more epochs");
        assert_eq!(note(&"long ".repeat(90)), "long ".repeat(90), "there is no room for more");
        press(&mut app, "m");
        assert_eq!(app.message, None);
    }

    #[test]
    fn an_engine_that_vanishes_is_a_failed_run() {
        let mut app = workbench();
        update(&mut app, Message::RunGone);
        assert!(matches!(app.workbench.as_ref().unwrap().finish, Some(Finish::Failed(_))));
        assert_eq!(press(&mut app, "q"), [Effect::Exit]);
    }
}
