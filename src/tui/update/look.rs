//! Which part of the run is on the screen. Little of this concerns the worker.

use crate::protocol::{ALBUM_SAMPLES, Command};
use crate::tui::album::LookBack;
use crate::tui::inspector::Inspector;
use crate::tui::message::{Done, ENDED, Effect, NO_PICTURE};
use crate::tui::workbench::{Pane, Workbench};

/// Inspects the sample on the screen.
pub fn inspect(workbench: &mut Workbench) -> Done {
    let snapshot = workbench.shown().cloned().ok_or(NO_PICTURE)?;
    let mut inspector = Inspector::new(snapshot, workbench.preset.clone());
    inspector.waits = workbench.input.is_some();
    workbench.inspector = Some(inspector);
    Ok(vec![])
}

/// Fails once the worker is gone, which nothing can be asked of any more.
pub fn answers(workbench: &Workbench) -> Result<(), String> {
    if workbench.alive { Ok(()) } else { Err(ENDED.into()) }
}

/// Leaves the inspector, and with it the changed conditions and the user's own image.
pub fn back(workbench: &mut Workbench) -> Vec<Effect> {
    // A picture from the album may have replaced the conditions here, but not the run's.
    let looked =
        workbench.inspector.take().is_some_and(|inspector| inspector.looked || !inspector.look.is_empty());
    let opened = workbench.input.take().is_some();
    let commands = [looked.then_some(Command::Look(vec![])), opened.then_some(Command::Input(None))];
    commands.into_iter().flatten().map(Effect::Send).collect()
}

/// Fails where another sample would replace a drawing in progress, which may lie under two models side by side.
fn no_drawing(workbench: &Workbench) -> Result<(), String> {
    match workbench.inspector.as_ref().is_some_and(|inspector| inspector.drawing.is_some()) {
        true => Err("another sample would replace the drawing; go back to it, and leave it first".into()),
        false => Ok(()),
    }
}

/// Shows the sample `by` places further in the current order.
pub fn sample(workbench: &mut Workbench, by: i64) -> Done {
    answers(workbench)?;
    no_drawing(workbench)?;
    let mut order = workbench.order();
    if workbench.album.is_some() {
        order.retain(|sample| *sample < ALBUM_SAMPLES);
    }
    let at = order.iter().position(|sample| *sample == workbench.sample).unwrap_or(0) as i64;
    let next = order[(at + by).rem_euclid(order.len() as i64) as usize];
    Ok(watch(workbench, next))
}

/// Shows this sample.
pub fn show_sample(workbench: &mut Workbench, sample: usize) -> Done {
    answers(workbench)?;
    no_drawing(workbench)?;
    match workbench.samples() {
        samples if sample < samples => Ok(watch(workbench, sample)),
        samples => Err(format!("there are samples 1 to {samples}")),
    }
}

/// Requests another sample.
pub fn watch(workbench: &mut Workbench, sample: usize) -> Vec<Effect> {
    workbench.input = None;
    workbench.sample = sample;
    if let Some(inspector) = &mut workbench.inspector {
        (inspector.waits, inspector.drawing) = (true, None);
    }
    let past = read_moment(workbench);
    std::iter::once(Effect::Send(Command::Watch(sample))).chain(past).collect()
}

/// Requests the chosen moment, if the album is open.
pub fn read_moment(workbench: &Workbench) -> Vec<Effect> {
    let moment = workbench.album.as_ref().and_then(LookBack::moment);
    let run = workbench.info.directory.clone();
    moment.map(|moment| Effect::Moment(run, moment, workbench.sample)).into_iter().collect()
}

/// Sorts the samples, the worst first, or puts them back in their own order.
pub fn sort(workbench: &mut Workbench) -> Done {
    if workbench.watched.amis.is_empty() {
        return Err("samples have no scores before the first validation".into());
    }
    workbench.sorted = !workbench.sorted;
    let first = workbench.order()[0];
    // Sorting shows the worst sample first; returning to the usual order keeps the current one.
    let stays =
        !workbench.sorted || first == workbench.sample || !workbench.alive || workbench.album.is_some();
    Ok(if stays { vec![] } else { watch(workbench, first) })
}

/// Shows the EM step `by` steps further.
pub fn em_step(workbench: &mut Workbench, by: i64) {
    if let Some(snapshot) = workbench.shown() {
        let step = workbench.shown_step(snapshot).saturating_add_signed(by as isize);
        show_step(workbench, step);
    }
    workbench.playing = false;
}

/// Shows this EM step.
pub fn show_em_step(workbench: &mut Workbench, step: usize) -> Done {
    show_step(workbench, step);
    workbench.playing = false;
    Ok(vec![])
}

/// The last step is not pinned: if there are more steps later, the new last one is shown.
fn show_step(workbench: &mut Workbench, step: usize) {
    let steps = workbench.shown().map_or(0, |snapshot| snapshot.steps.len());
    workbench.em_step = (step + 1 < steps).then_some(step);
}

/// Plays the EM steps, or stops.
pub fn play(workbench: &mut Workbench) {
    workbench.playing = !workbench.playing;
    if workbench.playing && workbench.em_step.is_none() {
        workbench.em_step = Some(0);
    }
}

/// Gives the focus to the next pane.
pub fn next_pane(workbench: &mut Workbench) {
    let at = Pane::ALL.iter().position(|pane| *pane == workbench.focus).unwrap_or(0);
    workbench.focus = Pane::ALL[(at + 1) % Pane::ALL.len()];
}

/// Moves the pixel that the inspector reads.
pub fn pixel(workbench: &mut Workbench, right: i64, down: i64) {
    if let Some(inspector) = &mut workbench.inspector {
        inspector.move_by(right, down);
    }
}

/// Shows another page of what the inspector has no room for.
pub fn turn_page(workbench: &mut Workbench, by: i64) {
    if let Some(inspector) = &mut workbench.inspector {
        inspector.page += by;
    }
}

/// Shows the next quantity in the pane of curves that has the focus.
pub fn next_plot(workbench: &mut Workbench) {
    let curves = &mut workbench.curves;
    match workbench.focus {
        Pane::Loss => curves.losses = curves.losses.next(),
        Pane::Scores => curves.scores = curves.scores.next(),
        Pane::Components => {}
    }
}

/// Draws losses on a logarithmic axis, or on a linear one.
pub fn log_axis(workbench: &mut Workbench) -> Done {
    match workbench.focus {
        Pane::Scores => return Err("scores are not drawn on a logarithmic axis".into()),
        Pane::Loss => workbench.curves.log = !workbench.curves.log,
        Pane::Components => {}
    }
    Ok(vec![])
}

/// Moves the cursor that reads the curves.
pub fn move_cursor(workbench: &mut Workbench, by: i64) {
    let (first, last) = workbench.span();
    workbench.curves.move_cursor(by, first, last);
}

/// Shows less (+1) or more (−1) of the curves.
pub fn scale(workbench: &mut Workbench, by: i64) {
    let (first, last) = workbench.span();
    workbench.curves.scale(by, first, last);
}

/// Shows an earlier (−1) or later (+1) part of the curves.
pub fn pan(workbench: &mut Workbench, by: i64) {
    let (first, last) = workbench.span();
    workbench.curves.pan(by, first, last);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::Setting;
    use crate::protocol::{Event, Watched};
    use crate::tui::app::App;
    use crate::tui::curve_view::{LossPlot, ScorePlot};
    use crate::tui::testing::{iteration, press, sent, snapshot, workbench};
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
        update(&mut app, Message::Run(Event::WatchedScores(watched)));
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
        assert_eq!((curves.losses, curves.scores), (LossPlot::UpperBound, ScorePlot::Ari));
    }

    #[test]
    fn curves_are_read_scaled_and_smoothed_where_they_have_the_focus() {
        let mut app = workbench();
        for n in 1..=200 {
            update(&mut app, Message::Run(iteration(n)));
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

    /// The inspector keeps its snapshot, and changes in it do not change the training.
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
}
