//! Which part of the curves is shown, and how.

/// The unit of the horizontal axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Iterations.
    #[default]
    Iterations,
    /// Epochs, with fractions.
    Epochs,
    /// Time spent on iterations and validations.
    Time,
}

impl Unit {
    /// The next one.
    pub fn next(self) -> Unit {
        match self {
            Unit::Iterations => Unit::Epochs,
            Unit::Epochs => Unit::Time,
            Unit::Time => Unit::Iterations,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Iterations => "iterations",
            Unit::Epochs => "epochs",
            Unit::Time => "time",
        }
    }
}

/// The quantity in the loss pane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LossPlot {
    /// The losses.
    #[default]
    Loss,
    /// NLL of max_k ψ.
    UpperBound,
    /// The norm of the gradient.
    Gradient,
    /// Iterations a second.
    Speed,
}

impl LossPlot {
    /// The next one.
    pub fn next(self) -> LossPlot {
        match self {
            LossPlot::Loss => LossPlot::UpperBound,
            LossPlot::UpperBound => LossPlot::Gradient,
            LossPlot::Gradient => LossPlot::Speed,
            LossPlot::Speed => LossPlot::Loss,
        }
    }
}

/// The quantity in the score pane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScorePlot {
    /// AMI, of the last step and of all steps.
    #[default]
    Ami,
    /// ARI, of the last step and of all steps.
    Ari,
    /// The mean of the largest γ.
    Confidence,
}

impl ScorePlot {
    /// The next one.
    pub fn next(self) -> ScorePlot {
        match self {
            ScorePlot::Ami => ScorePlot::Ari,
            ScorePlot::Ari => ScorePlot::Confidence,
            ScorePlot::Confidence => ScorePlot::Ami,
        }
    }
}

/// The levels of smoothing: the weight of the mean so far.
const SMOOTHING: [f64; 7] = [0.0, 0.5, 0.7, 0.85, 0.93, 0.97, 0.99];
/// The deepest zoom, in halvings.
const DEEPEST: u32 = 12;

/// Which part of the curves is shown, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CurveView {
    /// The quantity in the loss pane.
    pub losses: LossPlot,
    /// The quantity in the score pane.
    pub scores: ScorePlot,
    /// The unit of the horizontal axis.
    pub unit: Unit,
    /// Whether losses have a logarithmic axis.
    pub log: bool,
    /// An index into the levels of smoothing.
    smooth: usize,
    /// How many times the span is halved.
    zoom: u32,
    /// The iteration at the right edge; `None` follows the newest.
    end: Option<f64>,
    /// The iteration under the cursor.
    cursor: Option<f64>,
}

impl CurveView {
    /// The weight of the mean so far in an exponential mean; 0 for none.
    pub fn smoothing(&self) -> f64 {
        SMOOTHING[self.smooth]
    }

    /// More (+1) or less (−1) smoothing.
    pub fn smooth_by(&mut self, by: i64) {
        self.smooth = self.smooth.saturating_add_signed(by as isize).min(SMOOTHING.len() - 1);
    }

    /// Whether only a part of the curves is shown.
    pub fn is_zoomed(&self) -> bool {
        self.zoom > 0
    }

    /// The iterations shown, of `first` to `last`.
    pub fn window(&self, first: f64, last: f64) -> (f64, f64) {
        let width = (last - first) / f64::from(1u32 << self.zoom);
        let end = self.end.unwrap_or(last).clamp(first + width, last.max(first + width));
        (end - width, end)
    }

    /// The iteration under the cursor, if it is in view.
    pub fn cursor(&self, first: f64, last: f64) -> Option<f64> {
        let (from, to) = self.window(first, last);
        self.cursor.map(|cursor| cursor.clamp(from, to))
    }

    /// Moves the cursor by hundredths of the view; it first appears at the right edge.
    pub fn move_cursor(&mut self, by: i64, first: f64, last: f64) {
        let (from, to) = self.window(first, last);
        let at = self.cursor(first, last).unwrap_or(to) + by as f64 * (to - from) / 100.0;
        self.cursor = Some(at.clamp(from, to));
    }

    /// Halves or doubles the view, around the cursor if there is one.
    pub fn scale(&mut self, by: i64, first: f64, last: f64) {
        self.zoom = self.zoom.saturating_add_signed(by as i32).min(DEEPEST);
        let width = (last - first) / f64::from(1u32 << self.zoom);
        if let Some(cursor) = self.cursor {
            self.end_at(cursor + width / 2.0, first, last);
        } else if let Some(end) = self.end {
            self.end_at(end, first, last);
        }
    }

    /// Moves the view by a quarter of its width.
    pub fn pan(&mut self, by: i64, first: f64, last: f64) {
        let (from, to) = self.window(first, last);
        self.end_at(to + by as f64 * (to - from) / 4.0, first, last);
    }

    /// At the right end the view follows the newest again.
    fn end_at(&mut self, end: f64, first: f64, last: f64) {
        self.end = (end < last && self.zoom > 0).then_some(end.max(first));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zooming_pans_within_what_there_is_and_follows_the_newest_at_the_end() {
        let mut view = CurveView::default();
        assert_eq!(view.window(0.0, 100.0), (0.0, 100.0));
        view.scale(1, 0.0, 100.0);
        assert_eq!(view.window(0.0, 100.0), (50.0, 100.0));
        assert_eq!(view.window(0.0, 200.0), (100.0, 200.0), "follows");
        view.pan(-1, 0.0, 100.0);
        assert_eq!(view.window(0.0, 100.0), (37.5, 87.5));
        (0..9).for_each(|_| view.pan(-1, 0.0, 100.0));
        assert_eq!(view.window(0.0, 100.0), (0.0, 50.0));
        (0..9).for_each(|_| view.pan(1, 0.0, 100.0));
        assert_eq!(view.window(0.0, 300.0), (150.0, 300.0), "follows again");
        view.scale(-1, 0.0, 100.0);
        assert_eq!(view.window(0.0, 100.0), (0.0, 100.0));
    }

    #[test]
    fn the_cursor_stays_in_sight_and_zooming_goes_where_it_is() {
        let mut view = CurveView::default();
        assert_eq!(view.cursor(0.0, 100.0), None);
        (0..80).for_each(|_| view.move_cursor(-1, 0.0, 100.0));
        assert!((view.cursor(0.0, 100.0).unwrap_or(0.0) - 20.0).abs() < 1e-6);
        view.scale(1, 0.0, 100.0);
        view.scale(1, 0.0, 100.0);
        let (from, to) = view.window(0.0, 100.0);
        assert!(from <= 20.0 && 20.0 <= to && (to - from - 25.0).abs() < 1e-6, "{from} {to}");
    }
}
