//! Exported files, read back by code that is independent of the writers.

#![allow(clippy::unwrap_used)] // a test's way to fail

mod support;

use std::path::Path;
use std::time::Duration;

use nem_tui::preset::{ImageSize, Images, Preset, Setting, Stage};
use nem_tui::protocol::{BrokenLoss, Change, Epoch, Fork, Iteration, Metrics, RunFailure, StageStart};
use nem_tui::run::curves;
use nem_tui::run::tensorboard::{self, EventFile};
use nem_tui::snapshot::{self, ExportFormat, TILE, View, arrays};
use nem_tui::snapshot::{Snapshot, SnapshotStep};
use nem_tui::tensors;
use proptest::prelude::*;
use support::cli::{refused, run, tiny};
use support::readers::{self, Said};

const GROUND: [u8; 3] = [24, 26, 31];
const ORANGE: [u8; 3] = [230, 159, 0];
const SKY: [u8; 3] = [86, 180, 233];
const BLACK: [u8; 3] = [0; 3];
const WHITE: [u8; 3] = [255; 3];

/// Two components on an image of 2x3 pixels, and two EM steps. In the second step the components have swapped
/// places.
fn known() -> Snapshot {
    let step = |swapped: bool| {
        let (first, second) = (vec![1.0, 0.0, 0.5, 0.25, 1.0, 1.0], vec![0.0, 1.0, 0.5, 0.75, 0.0, 0.0]);
        let (first, second) = if swapped { (second, first) } else { (first, second) };
        SnapshotStep {
            target: vec![1.0, 0.0, 1.0, 1.0, 0.0, 0.0],
            noisy: vec![1.0, 1.0, 1.0, 0.0, 0.0, 0.0],
            groups: vec![1, 0, 2, 1, 0, 0],
            preds: [[0.5; 6], [0.25; 6]].concat(),
            gamma: [first, second].concat(),
            ami: Some(0.5),
            ari: None,
            confidence: Some(0.75),
        }
    };
    let image = ImageSize { channels: 1, height: 2, width: 3 };
    Snapshot {
        iteration: 7,
        sample: 0,
        input: None,
        image,
        k: 2,
        look: vec![],
        steps: vec![step(false), step(true)],
    }
}

/// A picture: its width and its pixels.
struct Picture {
    width: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    fn height(&self) -> usize {
        self.pixels.len() / self.width
    }

    fn at(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[y * self.width + x]
    }
}

/// Decodes with zune-png, which shares no code with the encoder.
fn png(bytes: &[u8]) -> Picture {
    use zune_png::zune_core::{bytestream::ZCursor, colorspace::ColorSpace};
    let mut decoder = zune_png::PngDecoder::new(ZCursor::new(bytes));
    let pixels = decoder.decode_raw().unwrap();
    assert_eq!(decoder.colorspace(), Some(ColorSpace::RGB));
    let (width, height) = decoder.dimensions().unwrap();
    let pixels: Vec<_> = pixels.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect();
    assert_eq!(pixels.len(), width * height);
    Picture { width, pixels }
}

/// The frames of a GIF that repeats forever, with their delays in hundredths of a second.
fn gif(bytes: &[u8]) -> Vec<(usize, Picture)> {
    let gif = readers::gif(bytes);
    assert!(gif.endless);
    let picture = |pixels| Picture { width: gif.width, pixels };
    gif.frames.into_iter().map(|(delay, pixels)| (delay, picture(pixels))).collect()
}

fn encode(snapshot: &Snapshot, format: ExportFormat, view: View, tile: u32) -> Vec<u8> {
    snapshot::encode(snapshot, format, view, tile).unwrap()
}

fn scaled(colour: [u8; 3], by: f32) -> [u8; 3] {
    colour.map(|c| (f32::from(c) * by).round() as u8)
}

/// In the picture of a step, every pixel of every image has the colour that its values call for.
#[test]
fn a_step_is_drawn_as_its_values_say() {
    let picture = png(&encode(&known(), ExportFormat::Png, View::Step(0), 30));
    // Six images of 30x20 with a margin of 8 pixels, in three rows with a label of 12 above each, and a title.
    assert_eq!((picture.width, picture.height()), (8 + 6 * 38, 20 + 3 * 40));
    let even = [0, 1, 2].map(|c| (f32::from(ORANGE[c]) * 0.5 + f32::from(SKY[c]) * 0.5).round() as u8);
    let most = [0, 1, 2].map(|c| (f32::from(ORANGE[c]) * 0.25 + f32::from(SKY[c]) * 0.75).round() as u8);
    let grey = |values: [f32; 6]| values.map(|v| scaled(WHITE, v));
    let tint = |colour, values: [f32; 6]| values.map(|v| scaled(colour, v));
    let images: [&[[[u8; 3]; 6]]; 3] = [
        &[
            grey([1.0, 0.0, 1.0, 1.0, 0.0, 0.0]),
            grey([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]),
            grey([0.5, 0.25, 0.375, 0.3125, 0.5, 0.5]),
            [ORANGE, SKY, even, most, ORANGE, ORANGE],
            // Colours follow the last step, in which the second component holds the first object.
            [SKY, BLACK, ORANGE, SKY, BLACK, BLACK],
            // Only where there is an object; of two equal components, the first.
            [ORANGE, BLACK, ORANGE, SKY, BLACK, BLACK],
        ],
        &[tint(ORANGE, [0.5; 6]), tint(SKY, [0.25; 6])],
        &[tint(ORANGE, [1.0, 0.0, 0.5, 0.25, 1.0, 1.0]), tint(SKY, [0.0, 1.0, 0.5, 0.75, 0.0, 0.0])],
    ];
    for (row, images) in images.iter().enumerate() {
        for (column, colours) in images.iter().enumerate() {
            let (left, top) = (8 + 38 * column, 32 + 40 * row);
            for (pixel, colour) in colours.iter().enumerate() {
                for (dx, dy) in [(0, 0), (9, 9), (4, 7)] {
                    let (x, y) = (left + pixel % 3 * 10 + dx, top + pixel / 3 * 10 + dy);
                    assert_eq!(picture.at(x, y), *colour, "row {row}, image {column}, pixel {pixel}");
                }
            }
            assert_eq!(picture.at(left - 1, top), GROUND);
            assert_eq!(picture.at(left + 30, top + 19), GROUND);
        }
    }
    // A label has the colour of what it names.
    let words =
        |y: usize, colour| (0..picture.width).any(|x| (0..8).any(|dy| picture.at(x, y + dy) == colour));
    assert!(words(8, [200, 203, 210]) && words(60, ORANGE) && words(60, SKY) && !words(20, ORANGE));
}

#[test]
fn images_are_as_large_as_asked_and_28_pixels_become_112() {
    let snapshot = support::snapshot(&support::preset("static-shapes-rnn-em"), 4, 3);
    let picture = png(&encode(&snapshot, ExportFormat::Png, View::Step(2), TILE));
    assert_eq!((picture.width, picture.height()), (8 + 6 * 120, 20 + 3 * 132));
    // Twelve components take two rows.
    let snapshot = support::snapshot(&support::preset("static-shapes-rnn-em"), 12, 1);
    let picture = png(&encode(&snapshot, ExportFormat::Png, View::Step(0), 1));
    assert_eq!((picture.width, picture.height()), (8 + 8 * 36, 20 + 5 * 48));
}

#[test]
fn the_overview_has_a_column_for_each_step_and_a_row_for_each_picture() {
    let snapshot = known();
    let picture = png(&encode(&snapshot, ExportFormat::Png, View::Overview, 30));
    assert_eq!((picture.width, picture.height()), (72 + 2 * 38, 20 + 9 * 28));
    let corner = |column: usize, row: usize| picture.at(72 + 38 * column, 20 + 28 * row);
    let rows = |column| (0..9).map(|row| corner(column, row)).collect::<Vec<_>>();
    let [orange, sky] = [scaled(ORANGE, 0.5), scaled(SKY, 0.25)];
    // The true groups keep their colours, whatever the components do.
    assert_eq!(rows(0), [WHITE, WHITE, [128; 3], ORANGE, SKY, orange, ORANGE, sky, BLACK]);
    assert_eq!(rows(1), [WHITE, WHITE, [64; 3], SKY, SKY, orange, BLACK, sky, SKY]);
}

#[test]
fn a_gif_repeats_every_step_and_shows_the_last_one_longer() {
    let snapshot = known();
    let frames = gif(&encode(&snapshot, ExportFormat::Gif, View::Step(0), 30));
    assert_eq!(frames.iter().map(|(delay, _)| *delay).collect::<Vec<_>>(), [25, 150]);
    for (step, (_, frame)) in frames.iter().enumerate() {
        let still = png(&encode(&snapshot, ExportFormat::Png, View::Step(step), 30));
        assert_eq!(frame.width, still.width);
        assert!(frame.pixels == still.pixels, "so few colours are not kept exactly");
    }
}

/// If there are more colours than a GIF can hold, all stay close and the most frequent stay exact.
#[test]
fn a_gif_of_many_colours_stays_close() {
    let mut snapshot = support::snapshot(&support::preset("static-shapes-rnn-em"), 6, 5);
    let mut stream = nem_tui::random::Stream::new(1, nem_tui::random::Purpose::Order, 0, 0);
    let places = snapshot.image.pixels();
    for step in &mut snapshot.steps {
        step.preds.iter_mut().for_each(|v| *v = stream.uniform());
        for pixel in 0..places {
            let shares: Vec<f32> = (0..6).map(|_| stream.uniform().powi(4)).collect();
            let sum: f32 = shares.iter().sum();
            (0..6).for_each(|k| step.gamma[k * places + pixel] = shares[k] / sum);
        }
    }
    let frames = gif(&encode(&snapshot, ExportFormat::Gif, View::Step(0), 28));
    let (mut squares, mut largest, mut count) = (0.0, 0.0f64, 0.0);
    for (step, (_, frame)) in frames.iter().enumerate() {
        let still = png(&encode(&snapshot, ExportFormat::Png, View::Step(step), 28));
        for (a, b) in frame.pixels.iter().zip(&still.pixels) {
            let square: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
            (squares, largest, count) = (squares + square, largest.max(square.sqrt()), count + 1.0);
            assert!(*b != GROUND || a == b);
        }
    }
    let deviation = (squares / count / 3.0f64).sqrt();
    println!("deviation {deviation:.2} of 255, at most {largest:.1} of 442");
    assert!(deviation < 6.0 && largest < 60.0, "{deviation} {largest}");
}

/// The user's own image keeps its name and has no true groups.
#[test]
fn the_users_own_image_is_exported_without_a_truth() {
    use nem_tui::snapshot::Input;
    let mut snapshot = known();
    snapshot.input = Some(Input::file("/a/b.png", false, 1));
    snapshot.steps.iter_mut().for_each(|step| step.groups.fill(0));
    let overview = png(&encode(&snapshot, ExportFormat::Png, View::Overview, 30));
    assert_eq!(overview.height(), 20 + 8 * 28);
    let still = png(&encode(&snapshot, ExportFormat::Png, View::Step(0), 30));
    // Instead of the truth it shows the component with the largest share of each pixel.
    let pixel = |at: usize| still.at(8 + 38 * 4 + at % 3 * 10, 32 + at / 3 * 10);
    assert_eq!([0, 1, 2, 3, 4, 5].map(pixel), [ORANGE, SKY, ORANGE, SKY, ORANGE, ORANGE]);
}

#[test]
fn arrays_are_read_back_with_names_shapes_and_values() {
    let mut snapshot = support::snapshot(&support::preset("quickstart"), 4, 3);
    snapshot.steps[1].preds[5] = f32::MIN_POSITIVE;
    let image = snapshot.image;
    let (c, h, w) = (image.channels, image.height, image.width);
    type Of = fn(&SnapshotStep) -> Vec<f32>;
    let expected: [(&str, Vec<usize>, Of); 5] = [
        ("target", vec![3, c, h, w], |s| s.target.clone()),
        ("noisy", vec![3, c, h, w], |s| s.noisy.clone()),
        ("groups", vec![3, h, w], |s| s.groups.iter().map(|g| f32::from(*g)).collect()),
        ("preds", vec![3, 4, c, h, w], |s| s.preds.clone()),
        ("gamma", vec![3, 4, h, w], |s| s.gamma.clone()),
    ];
    let numpy = readers::npz(&encode(&snapshot, ExportFormat::Npz, View::Overview, 1));
    let other = encode(&snapshot, ExportFormat::Safetensors, View::Step(0), 1);
    let other = tensors::decode(&other, Path::new("memory")).unwrap();
    assert_eq!((numpy.len(), other.len()), (5, 5));
    for ((name, shape, values), numpy) in expected.into_iter().zip(numpy) {
        let values: Vec<f32> = snapshot.steps.iter().flat_map(values).collect();
        assert_eq!((numpy.name.as_str(), &numpy.shape), (name, &shape));
        if name == "groups" {
            assert_eq!(numpy.kind, "|u1");
            assert!(numpy.bytes.iter().map(|g| f32::from(*g)).eq(values.iter().copied()));
        } else {
            assert_eq!(numpy.floats(), values, "{name}");
        }
        assert_eq!((&other[name].shape, &other[name].values), (&shape, &values), "{name}");
    }
}

#[test]
fn arrays_that_are_not_of_their_shape_are_refused() {
    let mut snapshot = known();
    snapshot.steps[1].gamma.pop();
    for format in [ExportFormat::Npz, ExportFormat::Safetensors] {
        let error = snapshot::encode(&snapshot, format, View::Step(0), 1).unwrap_err().to_string();
        assert!(error.contains("gamma of EM step 2 has 11 values instead of 12"), "{error}");
    }
    assert!(arrays::of(&known()).is_ok());
}

#[test]
fn what_cannot_be_drawn_is_refused_in_a_sentence() {
    let mut long = known();
    long.steps = vec![long.steps[0].clone(); 2000];
    let nothing = Snapshot { steps: Vec::new(), ..known() };
    for (snapshot, format, view, tile, said) in [
        (known(), ExportFormat::Png, View::Step(2), TILE, "there is no EM step 3; this sample has 2"),
        (known(), ExportFormat::Gif, View::Overview, TILE, "write it as .png"),
        (long, ExportFormat::Png, View::Overview, TILE, "fewer EM steps"),
        (known(), ExportFormat::Gif, View::Step(0), 20_000, "pixels"),
        (nothing.clone(), ExportFormat::Png, View::Overview, TILE, "no EM steps"),
        (nothing, ExportFormat::Gif, View::Step(0), TILE, "no EM step 1"),
    ] {
        let error = snapshot::encode(&snapshot, format, view, tile).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    for (name, format) in
        [("a.PNG", Some(ExportFormat::Png)), ("b.npz", Some(ExportFormat::Npz)), ("c.jpg", None), ("d", None)]
    {
        assert_eq!(ExportFormat::of(Path::new(name)).ok(), format, "{name}");
    }
}

prop_compose! {
    /// Any snapshot, even one with NaN or with too few values.
    fn any_snapshot()(
        (channels, height, width) in (1usize..4, 1usize..7, 1usize..7),
        (k, steps) in (1usize..11, 1usize..4),
        short in prop::bool::weighted(0.3),
        value in prop_oneof![Just(f32::NAN), Just(f32::INFINITY), -1.0f32..2.0],
        ami in prop::option::of(0.0f64..1.0),
        groups in prop::collection::vec(any::<u8>(), 36),
    ) -> Snapshot {
        let image = ImageSize { channels, height, width };
        let size = |n: usize| if short { n / 2 } else { n };
        let (m, p) = (image.values(), image.pixels());
        let step = SnapshotStep {
            target: vec![value; size(m)],
            noisy: vec![0.5; size(m)],
            groups: groups[..size(p)].to_vec(),
            preds: vec![value; size(k * m)],
            gamma: vec![value; size(k * p)],
            ami,
            ari: ami,
            confidence: None,
        };
        Snapshot { iteration: 3, sample: 5, input: None, image, k, look: vec![], steps: vec![step; steps] }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    /// Every snapshot becomes a file or an error message, and every picture can be read back.
    #[test]
    fn no_snapshot_breaks_an_export(snapshot in any_snapshot(), tile in 1u32..40) {
        let still = png(&encode(&snapshot, ExportFormat::Png, View::Step(0), tile));
        let overview = png(&encode(&snapshot, ExportFormat::Png, View::Overview, tile));
        prop_assert!(overview.width > still.width / 12);
        let frames = gif(&encode(&snapshot, ExportFormat::Gif, View::Step(0), tile));
        prop_assert_eq!(frames.len(), snapshot.steps.len());
        prop_assert!(frames[0].1.pixels == still.pixels);
        match snapshot::encode(&snapshot, ExportFormat::Npz, View::Step(0), tile) {
            Ok(bytes) => prop_assert_eq!(readers::npz(&bytes).len(), 5),
            Err(error) => prop_assert!(error.to_string().contains("take the snapshot again")),
        }
    }
}

fn metrics() -> Metrics {
    let iteration = |n: u64| Iteration {
        gradient_norm: None,
        iteration: n,
        epoch: n.div_ceil(2),
        loss: 100.0 / n as f64,
        intra: 60.0 / n as f64,
        inter: 40.0 / n as f64,
        ami: (n == 3).then_some(0.25),
        ari: (n == 3).then_some(0.125),
        seconds: 0.5,
        profile: None,
    };
    let epoch = |n: u64| Epoch {
        epoch: n,
        iteration: 2 * n,
        train_loss: 75.0 / n as f64,
        validation_loss: 80.0 / n as f64,
        ami: Some(0.5 + 0.125 * n as f64),
        ami_all_steps: None,
        ari_all_steps: None,
        ami_arithmetic: Some(0.625),
        ari: Some(0.75),
        confidence: Some(0.875),
        upper_bound: Some(1.5),
        best: n == 1,
        seconds: 1.5,
    };
    let rate = |iteration, from, to| Change {
        iteration,
        from: Setting::LearningRate(from),
        to: Setting::LearningRate(to),
    };
    let what = Stage {
        images: Images::All,
        learning_rate: 0.002,
        set: Vec::new(),
        loss_steps: None,
        max_epochs: None,
    };
    Metrics {
        iterations: (1..=4).map(iteration).collect(),
        epochs: vec![epoch(1), epoch(2)],
        changes: vec![rate(2, 0.01, 0.005), Change { iteration: 4, from: Setting::K(3), to: Setting::K(4) }],
        stages: vec![StageStart { stage: 2, iteration: 3, what }],
        ..Metrics::default()
    }
}

/// The preset that the run of [`metrics`] began with.
fn begun_with() -> Preset {
    Preset::load("quickstart").unwrap().set(&["train.learning_rate=0.01"]).unwrap()
}

#[test]
fn the_table_has_a_row_for_each_iteration_and_validation_where_an_epoch_ended() {
    let table = curves::csv(&metrics(), &begun_with());
    let expected = "\
iteration,epoch,learning_rate,loss,intra,inter,ami,ari,seconds,epoch_loss,validation_loss,validation_ami,\
validation_ami_arithmetic,validation_ari,validation_confidence,best,epoch_seconds,validation_ami_all_steps,\
validation_ari_all_steps
1,1,0.01,100,60,40,,,0.5,,,,,,,,,,
2,1,0.005,50,30,20,,,0.5,75,80,0.625,0.625,0.75,0.875,1,1.5,,
3,2,0.002,33.333333333333336,20,13.333333333333334,0.25,0.125,0.5,,,,,,,,,,
4,2,0.002,25,15,10,,,0.5,37.5,40,0.75,0.625,0.75,0.875,0,1.5,,
";
    assert_eq!(table, expected);
}

/// The iterations that a fork has from its parent ran with the parent's rates.
#[test]
fn a_forks_table_and_event_file_have_its_parents_learning_rates() {
    let rate = |iteration, from, to| Change {
        iteration,
        from: Setting::LearningRate(from),
        to: Setting::LearningRate(to),
    };
    let fork = Metrics {
        changes: vec![rate(2, 0.5, 0.25), rate(4, 0.25, 0.125)],
        stages: vec![],
        forks: vec![Fork { iteration: 3, changes: 2, stages: 0 }],
        ..metrics()
    };
    let preset = begun_with().set(&["train.learning_rate=0.125"]).unwrap();
    let table = curves::csv(&fork, &preset);
    let rates: Vec<&str> = table.lines().skip(1).filter_map(|line| line.split(',').nth(2)).collect();
    assert_eq!(rates, ["0.5", "0.25", "0.25", "0.125"]);
    let events = scalars(&curves::events(&fork, &preset, Duration::ZERO));
    let rates = events.into_iter().filter(|(_, tag, _)| tag == "train/learning_rate");
    assert_eq!(rates.map(|(_, _, rate)| rate).collect::<Vec<_>>(), [0.5, 0.25, 0.25, 0.125]);
}

#[test]
fn the_diagram_names_its_curves_and_marks_changes() {
    let svg = curves::svg(&metrics(), &[]).unwrap();
    for word in [
        "train",
        "validation",
        "AMI (last step), validation",
        "ARI (last step), validation",
        "stage 2",
        "k 4",
        "iteration",
    ] {
        assert!(svg.lines().any(|line| line.trim() == word), "{word}");
    }
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    // 100,000 iterations are drawn with far fewer points.
    let size = |iterations: u64| {
        let done = |n| Iteration { iteration: n, loss: 1.0, ..Iteration::default() };
        let metrics = Metrics { iterations: (1..=iterations).map(done).collect(), ..Metrics::default() };
        curves::svg(&metrics, &[]).unwrap().len()
    };
    assert!(size(100_000) < 2 * size(700));
    let none = Metrics { epochs: metrics().epochs[..1].to_vec(), ..Metrics::default() };
    assert!(curves::svg(&none, &[]).unwrap().contains("<circle"));
}

/// The first losses of a run are far above the others.
#[test]
fn a_first_spike_does_not_flatten_the_diagram_and_the_axis_says_so() {
    let done = |iteration: u64| {
        let loss = 1000.0 + 6000.0 * (-(iteration as f64) / 10.0).exp();
        Iteration { iteration, loss, ..Iteration::default() }
    };
    let mut spiked = Metrics { iterations: (1..=300).map(done).collect(), ..Metrics::default() };
    let svg = curves::svg(&spiked, &[]).unwrap();
    assert!(svg.contains("loss (cut off above"), "{svg}");
    spiked.iterations.iter_mut().for_each(|done| done.loss = 500.0 - done.iteration as f64);
    assert!(!curves::svg(&spiked, &[]).unwrap().contains("cut off"));
}

#[test]
fn the_diagram_has_the_floors_and_both_scores_and_its_labels_lie_apart() {
    let mut metrics = metrics();
    metrics.epochs.iter_mut().for_each(|epoch| epoch.ami_all_steps = Some(0.25));
    metrics.epochs[1].iteration = 400;
    let svg = curves::svg(&metrics, &[(0, None), (3, Some(0.5))]).unwrap();
    let words = ["floor of AMI", "AMI (all steps), validation", "AMI (last step), train"];
    for word in words {
        assert!(svg.lines().any(|line| line.trim() == word), "{word}");
    }
    // They are close together, so each has its own row above the curves.
    let labels = ["train.learning_rate 0.005", "stage 2", "k 4"];
    let lines: Vec<&str> = svg.lines().collect();
    let places = labels.map(|label| {
        let at = lines.iter().position(|line| line.trim() == label).unwrap_or_else(|| panic!("{label}"));
        lines[at - 1].split_once(" y=\"").and_then(|(_, rest)| rest.split_once('"')).unwrap().0
    });
    assert!(places[0] != places[1] && places[1] != places[2], "{places:?}");
}

/// A run's floor changes with K and its objects, and is there only where something can be scored.
#[test]
fn floors_follow_the_stages_of_a_kept_run() {
    let run = std::path::Path::new("docs/runs/flying-shapes-fast-s1");
    let (metrics, preset) = curves::read(run).unwrap();
    assert!(metrics.epochs.iter().take_while(|e| e.iteration <= 10_400).all(|e| e.ami.is_none()));
    assert!(metrics.iterations.iter().all(|i| i.ami.is_none() || i.iteration > 10_400));
    assert_eq!(metrics.epochs.last().and_then(|e| e.ami).map(|ami| (ami * 1000.0).round()), Some(978.0));
    let floors = curves::floors(run, &metrics, &preset);
    let found: Vec<_> = floors.iter().map(|(from, floor)| (*from, floor.is_some())).collect();
    assert_eq!(found, [(0, false), (10_401, true), (10_801, true)]);
}

/// The file that TensorBoard itself has read; see `tests/fixtures/tensorboard/README.md`.
fn event_file() -> Vec<u8> {
    let at = Duration::from_secs(1_700_000_000);
    let mut file = curves::events(&metrics(), &begun_with(), at);
    let png = include_bytes!("fixtures/tensorboard/pixel.png").to_vec();
    file.extend(tensorboard::picture(at + Duration::from_millis(3500), 4, png, (2, 1)));
    file
}

/// Our event file is the one that TensorBoard has read, byte for byte, and TensorBoard found the values we wrote.
#[test]
fn tensorboard_reads_our_event_files() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tensorboard");
    let file = event_file();
    let kept = fixtures.join(tensorboard::file_name(1, 0));
    if std::env::var_os("NEM_TUI_MAKE_FIXTURE").is_some() {
        std::fs::write(&kept, &file).unwrap();
    }
    assert!(file == std::fs::read(kept).unwrap());
    let read: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixtures.join("read.json")).unwrap()).unwrap();
    let mut scalars = 0;
    for (time, step, said) in readers::events(&file) {
        match said {
            Said::Version(version) => assert_eq!((version.as_str(), step), ("brain.Event:2", 0)),
            Said::Scalar(tag, value) => {
                scalars += 1;
                let points = read["scalars"][&tag].as_array().unwrap();
                let point = points.iter().find(|p| p[1] == step).unwrap();
                assert_eq!(point[0].as_f64(), Some(time), "{tag}");
                assert_eq!(point[2].as_f64().map(|v| v as f32), Some(value), "{tag}");
            }
            Said::Image(tag, width, height, png) => {
                assert_eq!(read["images"][&tag], serde_json::json!([[time, step, width, height, png.len()]]));
                assert_eq!(self::png(&png).pixels, [ORANGE, SKY]);
            }
            Said::Start => assert_eq!(step, 1),
        }
    }
    let all: usize =
        read["scalars"].as_object().unwrap().values().map(|points| points.as_array().unwrap().len()).sum();
    assert_eq!((scalars, all), (4 * 5 + 2 + 2 * 4, scalars));
}

/// All scalars of an event file, with their steps and tags.
fn scalars(file: &[u8]) -> Vec<(u64, String, f32)> {
    let events = readers::events(file).into_iter();
    let scalar = |(_, step, said)| match said {
        Said::Scalar(tag, value) => Some((step, tag, value)),
        _ => None,
    };
    events.filter_map(scalar).collect()
}

/// `train --tensorboard` writes during training what `curves --tensorboard` writes afterwards, plus a picture at
/// each validation. A resumed run starts another file, which voids what its checkpoint had not seen.
#[test]
fn a_training_keeps_event_files() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    run(here, &tiny("r", &["--epochs", "3", "--tensorboard", "--max-iterations", "13"]));
    run(here, &["train", "--resume", "r", "--json", "--epochs", "2"]);
    let mut names: Vec<_> = std::fs::read_dir(here.join("r/tensorboard"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["events.out.tfevents.0000000001.000", "events.out.tfevents.0000000014.000"]);
    let files: Vec<Vec<u8>> =
        names.iter().map(|name| std::fs::read(here.join("r/tensorboard").join(name)).unwrap()).collect();
    let events: Vec<_> = files.iter().map(|file| readers::events(file)).collect();
    assert_eq!(events[0][0].2, Said::Version("brain.Event:2".into()));
    // Without a start in the first file, TensorBoard would take the second for the beginning.
    assert_eq!((events[0][1].1, &events[0][1].2), (1, &Said::Start));
    assert_eq!((events[1][1].1, &events[1][1].2), (14, &Said::Start));
    let starts = events.iter().flatten().filter(|(_, _, said)| *said == Said::Start);
    assert_eq!(starts.count(), 2);
    let pictures: Vec<_> = events
        .iter()
        .flatten()
        .filter_map(|(_, step, said)| match said {
            Said::Image(tag, width, height, bytes) => Some((*step, tag.as_str(), *width, *height, bytes)),
            _ => None,
        })
        .collect();
    assert_eq!(
        pictures.iter().map(|p| (p.0, p.1)).collect::<Vec<_>>(),
        [(10, "validation/sample"), (20, "validation/sample")]
    );
    for (_, _, width, height, bytes) in pictures {
        let picture = png(bytes);
        assert_eq!((picture.width as u64, picture.height() as u64), (width, height));
    }
    run(here, &["curves", "r", "--tensorboard", "t"]);
    let afterwards = scalars(&std::fs::read(here.join("t/events.out.tfevents.0000000001.000")).unwrap());
    assert!(afterwards.len() > 100);
    assert_eq!([scalars(&files[0]), scalars(&files[1])].concat(), afterwards);
    let error = refused(here, &["curves", "r", "--tensorboard", "t"], 2);
    assert!(error.contains("t holds event files already"), "{error}");
    // A run without the option has no event files.
    run(here, &tiny("s", &["--max-iterations", "3"]));
    assert!(!here.join("s/tensorboard").exists());
    run(here, &["train", "--resume", "s", "--json", "--max-iterations", "5", "--tensorboard"]);
    assert!(here.join("s/tensorboard/events.out.tfevents.0000000004.000").is_file());
}

/// What TensorBoard's own loader (`--load_fast=false`) keeps of the event files in a directory: it reads them in the
/// order of their names, takes the first start of a session for the beginning of the run, and drops at every other
/// start what it has read from that step on.
fn kept_by_tensorboard(directory: &Path) -> Vec<(u64, String, f32)> {
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut started, mut kept) = (false, Vec::<(u64, String, f32)>::new());
    for (_, step, said) in files.iter().flat_map(|file| readers::events(&std::fs::read(file).unwrap())) {
        match said {
            Said::Start if !std::mem::replace(&mut started, true) => {}
            Said::Start => kept.retain(|(before, ..)| *before < step),
            Said::Scalar(tag, value) => kept.push((step, tag, value)),
            Said::Version(_) | Said::Image(..) => {}
        }
    }
    kept
}

/// Each step is shown once, with what the run that was resumed last has recorded: after a kill, after a resumption
/// before the first checkpoint, and from a checkpoint older than the last.
#[test]
fn tensorboard_shows_each_step_once_after_a_resumption() {
    let directory = tempfile::tempdir().unwrap();
    let write = |first: u64, last: u64, loss: f64| {
        let mut events = EventFile::begin(directory.path(), first).unwrap();
        for iteration in first..=last {
            let done = Iteration { iteration, loss, ..Iteration::default() };
            events.iteration(&done, 0.1).unwrap();
        }
    };
    let losses = || -> Vec<(u64, f32)> {
        let kept = kept_by_tensorboard(directory.path()).into_iter();
        kept.filter(|(_, tag, _)| tag == "train/loss").map(|(step, _, loss)| (step, loss)).collect()
    };
    write(1, 3, 1.0);
    write(1, 5, 2.0);
    assert_eq!(losses(), [(1, 2.0), (2, 2.0), (3, 2.0), (4, 2.0), (5, 2.0)]);
    write(4, 6, 3.0);
    assert_eq!(losses(), [(1, 2.0), (2, 2.0), (3, 2.0), (4, 3.0), (5, 3.0), (6, 3.0)]);
    write(2, 4, 4.0);
    assert_eq!(losses(), [(1, 2.0), (2, 4.0), (3, 4.0), (4, 4.0)]);
    write(2, 2, 5.0);
    write(3, 3, 6.0);
    assert_eq!(losses(), [(1, 2.0), (2, 5.0), (3, 6.0)]);
}

/// A run that is killed while it validates may have written the validation already, and does it again.
#[test]
fn tensorboard_shows_a_repeated_validation_once() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    run(here, &tiny("r", &["--epochs", "3", "--tensorboard", "--max-iterations", "9"]));
    run(here, &["train", "--resume", "r", "--json", "--max-iterations", "10"]);
    let all = kept_by_tensorboard(&here.join("r/tensorboard"));
    let validations = |of: &[(u64, String, f32)]| {
        of.iter().filter(|(step, tag, _)| *step == 10 && tag == "validation/loss").count()
    };
    assert_eq!(validations(&all), 1);
    // The checkpoint before the validation is the newest again, as after a kill.
    let last = std::fs::read_to_string(here.join("r/checkpoints/last")).unwrap();
    let path = here.join("r/checkpoints").join(last).join("manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(manifest["counters"]["iteration"], 10);
    let metrics = std::fs::read_to_string(here.join("r/metrics.jsonl")).unwrap();
    manifest["metrics_bytes"] = metrics.find(r#"{"kind":"epoch""#).unwrap().into();
    manifest["counters"]["batches"] = 10.into();
    manifest["counters"]["epochs"] = 0.into();
    std::fs::write(&path, manifest.to_string()).unwrap();
    run(here, &["train", "--resume", "r", "--json", "--max-iterations", "12"]);
    let again = kept_by_tensorboard(&here.join("r/tensorboard"));
    assert_eq!(validations(&again), 1);
    for step in 1..=12 {
        assert_eq!(
            again.iter().filter(|(at, tag, _)| *at == step && tag == "train/loss").count(),
            1,
            "{step}"
        );
    }
}

/// A diagram of losses that broke has what was finite.
#[test]
fn a_diagram_has_no_point_for_what_is_no_number() {
    let mut broken = metrics();
    broken.iterations[3].loss = f64::INFINITY;
    broken.epochs[1].validation_loss = f64::NAN;
    broken.epochs.iter_mut().for_each(|epoch| epoch.ami = None);
    let loss = Some(BrokenLoss::Validation(f64::INFINITY));
    broken.failure = Some(RunFailure { iteration: 4, epoch: 2, loss, why: "it broke".into() });
    let svg = curves::svg(&broken, &[]).unwrap();
    assert!(svg.lines().any(|line| line.trim() == "failed: validation loss inf"));
    assert!(!svg.contains("AMI (last step), validation") && !svg.contains("NaN"));
    let table = curves::csv(&broken, &begun_with());
    assert!(table.lines().last().unwrap().starts_with("4,2,0.002,inf,15,10,"), "{table}");
    assert!(table.lines().nth(2).unwrap().contains(",75,80,,0.625,"), "{table}");
    let only = Metrics { failure: broken.failure, ..Metrics::default() };
    assert!(curves::svg(&only, &[]).unwrap().contains("failed"));
    let row = curves::csv(&only, &begun_with());
    assert!(row.ends_with("4,2,0.01,,,,,,,,inf,,,,,,,,\n"), "{row}");
    let said = scalars(&curves::events(&only, &begun_with(), Duration::ZERO));
    assert_eq!(said, [(4, "validation/loss".into(), f32::INFINITY)]);
}

#[test]
fn curves_are_written_as_a_table_and_a_diagram() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    run(here, &tiny("r", &["--epochs", "2"]));
    run(here, &["curves", "r", "--csv", "r.csv", "--svg", "r.svg"]);
    let table = std::fs::read_to_string(here.join("r.csv")).unwrap();
    assert_eq!(table.lines().count(), 21);
    let columns = table.lines().next().unwrap().split(',').count();
    assert!(table.lines().all(|line| line.split(',').count() == columns));
    assert!(std::fs::read_to_string(here.join("r.svg")).unwrap().contains("AMI (last step), validation"));
    std::fs::create_dir(here.join("empty")).unwrap();
    std::fs::copy(here.join("r/run.json"), here.join("empty/run.json")).unwrap();
    std::fs::copy(here.join("r/preset.ron"), here.join("empty/preset.ron")).unwrap();
    for (arguments, code, said) in [
        (vec!["curves", "r"], 2, "--csv"),
        (vec!["curves", "nowhere", "--csv", "x.csv"], 1, "nowhere: not a run directory"),
        (vec!["curves", "empty", "--csv", "x.csv"], 1, "empty: this run has no metrics"),
        (vec!["curves", "r", "--svg", "no/where/x.svg"], 1, "no/where/x.svg"),
        (vec!["curves", "r", "--tensorboard", "r.csv"], 1, "r.csv"),
    ] {
        let error = refused(here, &arguments, code);
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
    assert!(!here.join("x.csv").exists() && !here.join("no").exists());
}

#[test]
fn pictures_of_a_run_come_in_every_format() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    run(here, &tiny("r", &["--epochs", "1"]));
    let read = |file: &str| std::fs::read(here.join(file)).unwrap();
    let told =
        run(here, &["picture", "r", "--out", "last.png", "--sample", "24", "--k", "3", "--steps", "4"]);
    assert!(told.starts_with("last.png: sample 24, K 3, EM step 4/4, AMI "), "{told}");
    run(
        here,
        &["picture", "r", "--out", "first.png", "--sample", "24", "--k", "3", "--steps", "4", "--step", "1"],
    );
    run(
        here,
        &["picture", "r", "--out", "all.png", "--sample", "24", "--k", "3", "--steps", "4", "--overview"],
    );
    run(here, &["picture", "r", "--out", "all.gif", "--sample", "24", "--k", "3", "--steps", "4"]);
    run(here, &["picture", "r", "--out", "all.npz", "--sample", "24", "--k", "3", "--steps", "4"]);
    let frames = gif(&read("all.gif"));
    assert_eq!(frames.len(), 4);
    let (first, last) = (png(&read("first.png")), png(&read("last.png")));
    assert!(first.pixels != last.pixels);
    assert_eq!((frames[0].1.width, last.width), (first.width, first.width));
    assert!(png(&read("all.png")).width > 4 * 120);
    let arrays = readers::npz(&read("all.npz"));
    assert_eq!(arrays[3].shape, [4, 3, 1, 10, 12]);
    // Gamma sums to 1 at every pixel.
    let gamma = arrays[4].floats();
    for pixel in 0..4 * 120 {
        let (step, place) = (pixel / 120, pixel % 120);
        let sum: f32 = (0..3).map(|k| gamma[(step * 3 + k) * 120 + place]).sum();
        assert!((sum - 1.0).abs() < 1e-5);
    }
    // The same images as the user's own, without noise or known objects.
    let target = arrays[0].floats()[..120].to_vec();
    let own = tensors::Array::new([1, 2, 1, 10, 12], [vec![0.0; 120], target.clone()].concat());
    tensors::write(&here.join("own.safetensors"), &[("in.features_clean".to_owned(), own)].into()).unwrap();
    let of_own = ["picture", "r", "--input", "own.safetensors", "--sample", "2", "--out"];
    run(here, &[&of_own[..], &["own.png"]].concat());
    run(here, &[&of_own[..], &["own-arrays.safetensors"]].concat());
    let arrays = tensors::read(&here.join("own-arrays.safetensors")).unwrap();
    assert_eq!(arrays["target"].values[..120], target[..]);
    assert_eq!(arrays["noisy"].values[..120], target[..]);
    assert_eq!(arrays["groups"].values.iter().sum::<f32>(), 0.0);
    run(here, &[&of_own[..], &["noisy.safetensors", "--noise", "0.3"]].concat());
    let noisy = tensors::read(&here.join("noisy.safetensors")).unwrap();
    assert_eq!(noisy["target"].values, arrays["target"].values);
    assert_ne!(noisy["noisy"].values[..120], target[..]);
    let pixels = png(&read("own.png")).pixels;
    assert!(pixels.contains(&WHITE) && pixels.contains(&ORANGE));
}

#[test]
fn impossible_pictures_are_refused_in_a_sentence_and_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    std::fs::write(here.join("file"), "no arrays").unwrap();
    for (arguments, code, said) in [
        (vec!["static-shapes", "--out", "x.jpg"], 2, "use .png or .gif"),
        (vec!["static-shapes", "--out", "x"], 2, "use .png or .gif"),
        (vec!["static-shapes", "--out", "no/x.png"], 1, "no/x.png"),
        (vec!["static-shape", "--out", "x.png"], 1, "one of these models: static-shapes"),
        (
            vec!["static-shapes", "--out", "x.png", "--sample", "10001"],
            2,
            "no sample 10001: the test split has 10000",
        ),
        (vec!["static-shapes", "--out", "x.png", "--sample", "0"], 2, "0 is not in 1.."),
        (vec!["static-shapes", "--out", "x.png", "--step", "21"], 2, "--step 21: there are 20 EM steps"),
        (vec!["static-shapes", "--out", "x.gif", "--step", "2"], 2, "--step is for a .png"),
        (vec!["static-shapes", "--out", "x.npz", "--overview"], 2, "--overview is for a .png"),
        (vec!["static-shapes", "--out", "x.png", "--k", "0"], 2, "k is 0"),
        (vec!["static-shapes", "--out", "x.png", "--overview", "--tile", "2000"], 2, "fewer EM steps"),
        (vec!["static-shapes", "--out", "x.png", "--input", "file"], 1, "file"),
        (vec!["static-shapes", "--out", "x.png", "--input", "gone"], 1, "gone"),
    ] {
        let error = refused(here, &[&["picture"], &arguments[..]].concat(), code);
        assert!(error.contains(said), "{arguments:?} says {error:?} instead of {said:?}");
    }
    let left: Vec<_> = std::fs::read_dir(here).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["file"], "something was left behind");
}
