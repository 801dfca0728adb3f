//! The paper's experiments: which presets are trained, under which conditions each is tested, and what the paper
//! reports. What this program measures is in [`super::runs`].

use serde::{Deserialize, Serialize};

use crate::run::score::ScoreReport;

/// A section of the paper's results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// Static shapes, §4.1.
    Static,
    /// Flying shapes, Table 1.
    Table1,
    /// Flying shapes, Fig. 6: the value of more components, and sequences longer than trained.
    Figure6,
    /// Flying MNIST, §4.3.
    Mnist,
    /// The paper's data with our own recipes, which learn more in less time.
    Faster,
}

/// Which number of a [`ScoreReport`] an experiment is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// AMI (max) of the last EM step. The paper does not say which step its scores are of, but 0.997 as a mean over 20
    /// steps would take more than 0.94 at the first, after one noisy frame.
    AmiLast,
    /// AMI (max) of the last EM step on a subset of the images.
    AmiLastOf(&'static str),
    /// The upper bound of the next-step loss, NLL of max_k ψ, weighted over EM steps.
    UpperBound,
}

/// How a trained model is tested.
#[derive(Debug, PartialEq, Eq)]
pub struct TestConditions {
    /// Its name in files.
    pub name: &'static str,
    /// Changes to the training's preset, as for `--set`.
    pub sets: &'static [&'static str],
}

/// What the paper reports.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// The mean over its five runs.
    pub mean: f64,
    /// Their deviation.
    pub deviation: f64,
    /// Whether the number was remembered rather than looked up, and so may be slightly wrong.
    pub from_memory: bool,
}

/// A row of a table: a preset to train, a test of it, and the number to compare with the paper's.
#[derive(Debug)]
pub struct Experiment {
    /// Its section.
    pub section: Section,
    /// Its title.
    pub title: &'static str,
    /// The preset.
    pub preset: &'static str,
    /// The test.
    pub test: &'static TestConditions,
    /// Which number.
    pub measure: Measure,
    /// The paper's.
    pub published: Option<Published>,
}

const AS_TRAINED: TestConditions = TestConditions { name: "as-trained", sets: &[] };
const K3: TestConditions = TestConditions { name: "k3", sets: &["k=3"] };
const K5: TestConditions = TestConditions { name: "k5", sets: &["k=5"] };
const OBJECTS3: TestConditions = TestConditions { name: "objects3", sets: &["data.objects=3"] };
const OBJECTS3_K3: TestConditions = TestConditions { name: "objects3-k3", sets: &["data.objects=3", "k=3"] };
const OBJECTS4: TestConditions = TestConditions { name: "objects4", sets: &["data.objects=4"] };
const OBJECTS4_K4: TestConditions = TestConditions { name: "objects4-k4", sets: &["data.objects=4", "k=4"] };
const OBJECTS5: TestConditions = TestConditions { name: "objects5", sets: &["data.objects=5"] };
const OBJECTS5_K5: TestConditions = TestConditions { name: "objects5-k5", sets: &["data.objects=5", "k=5"] };
const STEPS15: TestConditions = TestConditions { name: "steps15", sets: &["steps=15"] };
const STEPS50: TestConditions = TestConditions { name: "steps50", sets: &["steps=50"] };
const STATIC_PAIRS: TestConditions = TestConditions {
    name: "static-pairs-steps50",
    sets: &["data=Mnist(height: 24, width: 24, objects: 2)", "steps=50"],
};

const fn paper(mean: f64, deviation: f64) -> Option<Published> {
    Some(Published { mean, deviation, from_memory: false })
}

const fn remembered(mean: f64, deviation: f64) -> Option<Published> {
    Some(Published { mean, deviation, from_memory: true })
}

const fn row(
    section: Section,
    title: &'static str,
    preset: &'static str,
    test: &'static TestConditions,
    measure: Measure,
    published: Option<Published>,
) -> Experiment {
    Experiment { section, title, preset, test, measure, published }
}

/// All of them, in the order of the paper.
#[rustfmt::skip] // a table
pub const EXPERIMENTS: &[Experiment] = &{
    use Measure::{AmiLast, AmiLastOf, UpperBound};
    use Section::{Faster, Figure6, Mnist, Static, Table1};
    const NEM: &str = "static-shapes-nem";
    const RNN_EM: &str = "static-shapes-rnn-em";
    const DIRECT: &str = "flying-mnist-2";
    const STAGES: &str = "flying-mnist-2-stages";
    const STATIC_FAST: &str = "static-shapes-fast";
    const STATIC_LONGER: &str = "static-shapes-longer";
    const FLYING_FAST: &str = "flying-shapes-fast";
    const FLYING_FAST_K1: &str = "flying-shapes-fast-k1";
    const MNIST_FAST: &str = "flying-mnist-fast";
    [
        row(Static, "N-EM", NEM, &AS_TRAINED, AmiLast, remembered(0.475, 0.043)),
        row(Static, "RNN-EM", RNN_EM, &AS_TRAINED, AmiLast, remembered(0.826, 0.005)),
        row(Static, "RNN-EM, images without overlap", RNN_EM, &AS_TRAINED, AmiLastOf("without overlap"), None),
        row(Static, "RNN-EM, images with overlap", RNN_EM, &AS_TRAINED, AmiLastOf("with overlap"), None),
        row(Static, "RNN-EM, images of different shapes", RNN_EM, &AS_TRAINED, AmiLastOf("all objects different"), None),
        row(Static, "RNN-EM, images with identical shapes", RNN_EM, &AS_TRAINED, AmiLastOf("some objects identical"), None),

        row(Table1, "trained 3 objects K 3, tested 3 objects K 3", "flying-shapes-3", &AS_TRAINED, AmiLast, paper(0.970, 0.005)),
        row(Table1, "trained 3 objects K 3, tested 3 objects K 5", "flying-shapes-3", &K5, AmiLast, paper(0.972, 0.007)),
        row(Table1, "trained 3 objects K 5, tested 3 objects K 5", "flying-shapes-3-k5", &AS_TRAINED, AmiLast, paper(0.997, 0.002)),
        row(Table1, "trained 3 objects K 5, tested 3 objects K 3", "flying-shapes-3-k5", &K3, AmiLast, paper(0.914, 0.015)),
        row(Table1, "trained 5 objects K 3, tested 5 objects K 3", "flying-shapes-5-k3", &AS_TRAINED, AmiLast, paper(0.614, 0.003)),
        row(Table1, "trained 5 objects K 3, tested 3 objects K 3", "flying-shapes-5-k3", &OBJECTS3, AmiLast, paper(0.886, 0.010)),
        row(Table1, "trained 5 objects K 5, tested 5 objects K 5", "flying-shapes-5-k5", &AS_TRAINED, AmiLast, paper(0.878, 0.003)),
        row(Table1, "trained 5 objects K 5, tested 3 objects K 5", "flying-shapes-5-k5", &OBJECTS3, AmiLast, paper(0.981, 0.003)),

        row(Figure6, "3 objects, K 1", "flying-shapes-3-k1", &AS_TRAINED, UpperBound, None),
        row(Figure6, "3 objects, K 3", "flying-shapes-3", &AS_TRAINED, UpperBound, None),
        row(Figure6, "4 objects, K 1", "flying-shapes-4-k1", &AS_TRAINED, UpperBound, None),
        row(Figure6, "4 objects, K 4", "flying-shapes-4-k4", &AS_TRAINED, UpperBound, None),
        row(Figure6, "5 objects, K 1", "flying-shapes-5-k1", &AS_TRAINED, UpperBound, None),
        row(Figure6, "5 objects, K 5", "flying-shapes-5-k5", &AS_TRAINED, UpperBound, None),
        row(Figure6, "3 objects K 3, sequences of 50 steps", "flying-shapes-3", &STEPS50, AmiLast, None),
        row(Figure6, "5 objects K 5, sequences of 50 steps", "flying-shapes-5-k5", &STEPS50, AmiLast, None),

        row(Mnist, "2 digits, direct", DIRECT, &AS_TRAINED, AmiLast, remembered(0.819, 0.022)),
        row(Mnist, "2 digits, in stages", STAGES, &AS_TRAINED, AmiLast, remembered(0.917, 0.005)),
        row(Mnist, "direct, tested on 3 digits K 3", DIRECT, &OBJECTS3_K3, AmiLast, remembered(0.729, 0.019)),
        row(Mnist, "in stages, tested on 3 digits K 3", STAGES, &OBJECTS3_K3, AmiLast, remembered(0.838, 0.008)),
        row(Mnist, "direct, tested on static pairs, 50 steps", DIRECT, &STATIC_PAIRS, AmiLast, remembered(0.560, 0.019)),
        row(Mnist, "in stages, tested on static pairs, 50 steps", STAGES, &STATIC_PAIRS, AmiLast, remembered(0.789, 0.010)),
        row(Mnist, "direct, sequences of 50 steps", DIRECT, &STEPS50, AmiLast, None),
        row(Mnist, "in stages, sequences of 50 steps", STAGES, &STEPS50, AmiLast, None),

        row(Faster, "static shapes, RNN-EM", STATIC_FAST, &AS_TRAINED, AmiLast, remembered(0.826, 0.005)),
        row(Faster, "static shapes, RNN-EM, longer, 15 steps as in the paper", STATIC_LONGER, &STEPS15, AmiLast, remembered(0.826, 0.005)),
        row(Faster, "static shapes, RNN-EM, longer, 20 steps as trained", STATIC_LONGER, &AS_TRAINED, AmiLast, None),
        row(Faster, "static shapes, RNN-EM, longer, 50 steps", STATIC_LONGER, &STEPS50, AmiLast, None),
        row(Faster, "flying shapes, 3 objects K 3", FLYING_FAST, &AS_TRAINED, AmiLast, paper(0.970, 0.005)),
        row(Faster, "flying shapes, tested with K 5", FLYING_FAST, &K5, AmiLast, paper(0.972, 0.007)),
        row(Faster, "flying shapes, tested with 5 objects K 5", FLYING_FAST, &OBJECTS5_K5, AmiLast, None),
        row(Faster, "flying shapes, sequences of 50 steps", FLYING_FAST, &STEPS50, AmiLast, None),
        row(Faster, "flying shapes, 3 objects K 1, bound", FLYING_FAST_K1, &AS_TRAINED, UpperBound, None),
        row(Faster, "flying shapes, 3 objects K 3, bound", FLYING_FAST, &AS_TRAINED, UpperBound, None),
        row(Faster, "flying shapes, 4 objects K 1, bound", FLYING_FAST_K1, &OBJECTS4, UpperBound, None),
        row(Faster, "flying shapes, 4 objects K 4, bound", FLYING_FAST, &OBJECTS4_K4, UpperBound, None),
        row(Faster, "flying shapes, 5 objects K 1, bound", FLYING_FAST_K1, &OBJECTS5, UpperBound, None),
        row(Faster, "flying shapes, 5 objects K 5, bound", FLYING_FAST, &OBJECTS5_K5, UpperBound, None),
        row(Faster, "flying digits, 2 digits K 2", MNIST_FAST, &AS_TRAINED, AmiLast, remembered(0.917, 0.005)),
        row(Faster, "flying digits, tested on 3 digits K 3", MNIST_FAST, &OBJECTS3_K3, AmiLast, remembered(0.838, 0.008)),
        row(Faster, "flying digits, tested on static pairs, 50 steps", MNIST_FAST, &STATIC_PAIRS, AmiLast, remembered(0.789, 0.010)),
        row(Faster, "flying digits, sequences of 50 steps", MNIST_FAST, &STEPS50, AmiLast, None),
    ]
};

impl Section {
    /// All of them.
    pub const ALL: [Section; 5] =
        [Section::Static, Section::Table1, Section::Figure6, Section::Mnist, Section::Faster];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Section::Static => "Static shapes (§4.1)",
            Section::Table1 => "Flying shapes (§4.2, Table 1)",
            Section::Figure6 => "Flying shapes (§4.2, Fig. 6)",
            Section::Mnist => "Flying MNIST (§4.3)",
            Section::Faster => "A faster road: the same data, recipes of our own",
        }
    }

    /// Its experiments.
    pub fn experiments(self) -> impl Iterator<Item = &'static Experiment> {
        EXPERIMENTS.iter().filter(move |experiment| experiment.section == self)
    }
}

impl Measure {
    /// Its name, which is that of the report's field where there is one.
    pub fn name(self) -> &'static str {
        match self {
            Measure::AmiLast | Measure::AmiLastOf(_) => "ami_last",
            Measure::UpperBound => "upper_bound",
        }
    }

    /// Its value; `None` where the report has no such subset, or nothing could be scored.
    pub fn of(self, report: &ScoreReport) -> Option<f64> {
        match self {
            Measure::AmiLast => report.ami_last,
            Measure::AmiLastOf(name) => report.subset(name)?.ami_last,
            Measure::UpperBound => Some(report.upper_bound).filter(|bound| bound.is_finite()),
        }
    }

    /// What a split by position alone reaches on the same images; `None` where the number is not a score of the
    /// grouping, or the floor was not measured.
    pub fn floor(self, report: &ScoreReport) -> Option<f64> {
        match self {
            Measure::AmiLast => report.floor,
            Measure::AmiLastOf(name) => report.subset(name)?.floor,
            Measure::UpperBound => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::Preset;

    #[test]
    fn every_experiment_is_a_preset_and_a_test_it_allows() {
        for experiment in EXPERIMENTS {
            let preset = Preset::load(experiment.preset).unwrap();
            assert!(preset.set(experiment.test.sets).is_ok(), "{experiment:?}");
        }
    }

    /// A preset says which of the paper's scores to expect, those of its other tests included.
    #[test]
    fn presets_name_the_scores_of_their_experiments() {
        for experiment in EXPERIMENTS {
            let Some(Published { mean, .. }) = experiment.published else { continue };
            let expect = Preset::load(experiment.preset).unwrap().expect;
            assert!(
                expect.contains(&format!("{mean:.3}")),
                "{} lacks {mean:.3}: {expect}",
                experiment.preset
            );
        }
    }

    /// Files are named after preset and test, so a name must mean one test.
    #[test]
    fn a_tests_name_means_one_test() {
        for a in EXPERIMENTS {
            for b in EXPERIMENTS {
                assert_eq!(a.test.name == b.test.name, a.test.sets == b.test.sets);
            }
        }
    }
}
