//! Where a training in stages is.

use std::fmt;

use crate::preset::Preset;

/// A stage of a training, with the values in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageView {
    /// The stage's number, counted from 1.
    pub number: usize,
    /// The number of stages.
    pub count: usize,
    /// Objects per image, if the preset sets it.
    pub objects: Option<usize>,
    /// The number of components.
    pub k: usize,
}

impl StageView {
    /// Stage `number` of `preset`, which has the values in force; `None` without stages.
    pub fn of(preset: &Preset, number: usize) -> Option<StageView> {
        let count = preset.train.stages.len();
        (count > 0).then(|| StageView { number, count, objects: preset.data.objects(), k: preset.k })
    }
}

impl fmt::Display for StageView {
    /// In words: "stage 2/7: 2 objects, K 3".
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "stage {}/{}: ", self.number, self.count)?;
        match self.objects {
            Some(1) => write!(f, "1 object, ")?,
            Some(objects) => write!(f, "{objects} objects, ")?,
            None => {}
        }
        write!(f, "K {}", self.k)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::Setting;
    use crate::protocol::{Change, Event, Metrics, Record, RunInfo, RunKind, StageStart};
    use crate::tui::app::App;
    use crate::tui::testing::{picker, preset, workbench};
    use crate::tui::update::{Message, update};

    fn said(app: &App) -> Option<String> {
        app.workbench.as_ref()?.stage().map(|stage| stage.to_string())
    }

    #[test]
    fn the_stage_is_told_from_the_start_through_changes_and_after_a_resume() {
        assert_eq!(said(&workbench()), None, "no stages");
        let staged = Preset::load("flying-shapes-fast").unwrap();
        let info = RunInfo { preset: staged.at_first_stage(), ..workbench().workbench.unwrap().info };
        let mut app = picker();
        update(&mut app, Message::Run(Event::Started(Box::new(info.clone()))));
        assert_eq!(said(&app).as_deref(), Some("stage 1/7: 1 object, K 1"));
        let second = StageStart { stage: 2, iteration: 11, what: staged.train.stages[1].clone() };
        update(&mut app, Message::Run(Event::Stage(second.clone())));
        let begun = said(&app).unwrap();
        assert!(begun.starts_with("stage 2/7: "), "{begun}");
        let change = Change { iteration: 12, from: Setting::K(staged.after_stages(2).k), to: Setting::K(7) };
        update(&mut app, Message::Run(Event::Changed(change)));
        assert!(said(&app).unwrap().ends_with("K 7"));
        // Its viewer joins later.
        let mut metrics = Metrics::default();
        metrics.add(Record::Stage(second));
        let joined = RunInfo { preset: staged.after_stages(2), metrics, ..info };
        update(&mut app, Message::Run(Event::Started(Box::new(joined.clone()))));
        assert_eq!(said(&app), Some(begun));
        let mut app = picker();
        update(&mut app, Message::Run(Event::Started(Box::new(RunInfo { kind: RunKind::Model, ..joined }))));
        assert_eq!(said(&app), None, "a trained model is in no stage");
        assert_eq!(StageView::of(&preset(), 1), None);
    }
}
