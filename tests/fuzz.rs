//! Damaged files for every public parser: no panic, one sentence, and no more memory than the file deserves. The frames
//! of the socket have theirs beside `live::socket::wire`. `scripts/torture --fuzz` runs all of them for long.

#![allow(clippy::unwrap_used)] // a test's way to fail

#[path = "support/mutate.rs"]
mod mutate;
#[path = "support/cli.rs"]
#[allow(dead_code)] // this test needs one function of it
mod program;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use mutate::fuzz;
use nem_tui::backend::DeviceName;
use nem_tui::data::hdf5::SequenceFile;
use nem_tui::data::{Split, image_file, mnist};
use nem_tui::error::Error;
use nem_tui::preset::{ImageSize, Preset, Setting, embedded};
use nem_tui::run::checkpoint::Checkpoint;
use nem_tui::run::directory::RunFile;
use nem_tui::run::{album, metrics};
use nem_tui::tensors;
use nem_tui::tui::config::Config;

/// A sentence fits on a line.
fn one_line<T, E: std::fmt::Display>(result: Result<T, E>) -> Option<T> {
    result
        .map_err(|e| {
            let text = e.to_string();
            assert!(!text.trim().is_empty() && text.lines().count() == 1, "not one sentence: {text:?}");
        })
        .ok()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A small finished run.
fn run() -> &'static Path {
    static RUN: OnceLock<tempfile::TempDir> = OnceLock::new();
    let here = RUN.get_or_init(|| {
        let here = tempfile::tempdir().unwrap();
        program::run(here.path(), &program::tiny("run", &["--device", "flex", "--epochs", "1"]));
        here
    });
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| here.path().join("run"))
}

fn last() -> PathBuf {
    let checkpoints = run().join("checkpoints");
    let name = std::fs::read_to_string(checkpoints.join("last")).unwrap();
    checkpoints.join(name.trim())
}

/// A directory with a damaged file in it, for parsers that open one.
struct Place {
    directory: tempfile::TempDir,
    file: PathBuf,
}

impl Place {
    fn new(file: &str) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        Place { directory, file }
    }

    /// The same with copies of a checkpoint's other files.
    fn of_checkpoint(file: &str) -> Place {
        let place = Place::new(file);
        for entry in std::fs::read_dir(last()).unwrap().flatten() {
            std::fs::copy(entry.path(), place.directory.path().join(entry.file_name())).unwrap();
        }
        place
    }

    fn with(&self, bytes: &[u8]) -> &Path {
        std::fs::write(&self.file, bytes).unwrap();
        self.directory.path()
    }
}

fn read(path: PathBuf) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// Damaged text, as far as it is text.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn presets() {
    let seeds: Vec<Vec<u8>> = embedded().iter().map(|(_, text)| text.as_bytes().to_vec()).collect();
    fuzz("presets", &seeds, |bytes| {
        let preset = one_line(Preset::parse(&text(bytes), "a.ron"));
        preset.is_some_and(|preset| one_line(Preset::parse(&preset.to_ron(), "again.ron")).is_some())
    });
}

#[test]
fn assignments() {
    let seeds = [
        "k=5",
        "train.batch=32",
        "noise.probability=0.2",
        "loss.steps=LastSteps(2)",
        "model.cell.layers.0.units=100",
        "data=Hdf5(path: \"flying_shapes.h5\", height: 28, width: 28)",
        "train.stages=[(images: First(500), learning_rate: 0.001, max_epochs: 3, set: [K(3), Noise(0.1)], loss_steps: Last)]",
    ];
    let seeds = seeds.map(|seed| seed.as_bytes().to_vec());
    let presets: Vec<Preset> =
        ["quickstart", "flying-shapes-3"].iter().map(|name| Preset::load(name).unwrap()).collect();
    fuzz("assignments", &seeds, |bytes| {
        let assignment = text(bytes);
        let (name, value) = assignment.split_once('=').unwrap_or_default();
        one_line(Setting::parse(name, value));
        // Sentences repeat the argument as it is.
        let sentence = |e: Error| e.to_string().replace(&assignment, "…");
        let set = |preset: &Preset| one_line(preset.set(&[&assignment]).map_err(sentence)).is_some();
        presets.iter().filter(|preset| set(preset)).count() > 0
    });
}

#[test]
fn parity_cases() {
    let seeds = ["k1", "channels3", "conv_gaussian_input_norm", "static_rnn_em"];
    let seeds = seeds.map(|name| read(fixtures().join(format!("{name}.json"))));
    fuzz("parity cases", &seeds, |bytes| one_line(Preset::parse_case(&text(bytes), "case.json")).is_some());
}

#[test]
fn configs() {
    let seeds = [
        Config::default().to_ron(),
        "(theme: Light, mouse: false, keys: {\"quit\": [\"ctrl-q\", \"f2\"], \"help\": \"f1\"})".into(),
    ];
    fuzz("configs", &seeds.map(String::into_bytes), |bytes| one_line(Config::parse(&text(bytes))).is_some());
}

#[test]
fn safetensors() {
    let seeds = ["k1", "channels3"].map(|name| read(fixtures().join(format!("{name}.safetensors"))));
    let seeds = [seeds.to_vec(), vec![read(last().join("weights.safetensors"))]].concat();
    fuzz("safetensors", &seeds, |bytes| {
        one_line(tensors::decode(bytes, Path::new("a.safetensors"))).is_some()
    });
}

#[test]
fn run_files() {
    let place = Place::new("run.json");
    fuzz("run.json", &[read(run().join("run.json"))], |bytes| {
        one_line(RunFile::read(place.with(bytes))).is_some()
    });
}

#[test]
fn metrics_files() {
    let place = Place::new("metrics.jsonl");
    fuzz("metrics.jsonl", &[read(run().join("metrics.jsonl"))], |bytes| {
        let run = place.with(bytes);
        metrics::latest(run);
        one_line(metrics::read(run)).is_some()
    });
}

#[test]
fn compressed_metrics() {
    use flate2::Compression;
    use std::io::Write;
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
    gz.write_all(&read(run().join("metrics.jsonl"))).unwrap();
    let place = Place::new("metrics.jsonl.gz");
    fuzz("metrics.jsonl.gz", &[gz.finish().unwrap()], |bytes| {
        one_line(metrics::read(place.with(bytes))).is_some()
    });
}

#[test]
fn manifests() {
    let place = Place::of_checkpoint("manifest.json");
    fuzz("manifest.json", &[read(last().join("manifest.json"))], |bytes| {
        let checkpoint = place.with(bytes);
        one_line(Checkpoint::glance(checkpoint));
        one_line(Checkpoint::open(checkpoint)).is_some()
    });
}

/// With the right checksum, as a program would write that has another idea of the format.
#[test]
fn optimizers() {
    let place = Place::of_checkpoint("optimizer.burnpack");
    let manifest = String::from_utf8(read(last().join("manifest.json"))).unwrap();
    let seed = read(last().join("optimizer.burnpack"));
    let device = DeviceName::Flex.open().unwrap();
    let sum = |bytes: &[u8]| {
        use sha2::{Digest, Sha256};
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let before = sum(&seed);
    fuzz("optimizer.burnpack", &[seed], |bytes| {
        let checkpoint = place.with(bytes);
        std::fs::write(checkpoint.join("manifest.json"), manifest.replace(&before, &sum(bytes))).unwrap();
        let checkpoint = one_line(Checkpoint::open(checkpoint));
        checkpoint.is_some_and(|checkpoint| one_line(checkpoint.trainer(&device)).is_some())
    });
}

#[test]
fn albums() {
    let moment = album::moments(run())[0];
    let name = format!("album/it-{moment:08}.safetensors.gz");
    let seed = read(run().join(&name));
    let place = Place::new(&name);
    fuzz("album", std::slice::from_ref(&seed), |bytes| {
        one_line(album::read(place.with(bytes), moment, 0)).is_some()
    });
    // And what the compression's checksum would otherwise hold back.
    use std::io::{Read, Write};
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(seed.as_slice()).read_to_end(&mut plain).unwrap();
    fuzz("album, unpacked", &[plain], |bytes| {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        gz.write_all(bytes).unwrap();
        one_line(album::read(place.with(&gz.finish().unwrap()), moment, 1)).is_some()
    });
}

fn images(target: &str, seeds: &[Vec<u8>]) {
    let place = Place::new("image");
    fuzz(target, seeds, |bytes| {
        place.with(bytes);
        let fitted = ImageSize { height: 28, width: 28, channels: 1 };
        one_line(image_file::read(&place.file, ImageSize { height: 4, width: 6, channels: 3 }, false));
        one_line(image_file::read(&place.file, fitted, true)).is_some()
    });
}

#[test]
fn npy() {
    let array = |kind: &str, shape: &str, version: u8, bytes: usize| {
        let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
        header += &" ".repeat((64 - (header.len() + 11) % 64) % 64);
        header.push('\n');
        let mut file = [b"\x93NUMPY", &[version, 0][..]].concat();
        match version {
            1 => file.extend((header.len() as u16).to_le_bytes()),
            _ => file.extend((header.len() as u32).to_le_bytes()),
        }
        file.extend(header.bytes());
        file.extend((0..bytes).map(|i| if kind.contains('f') { 0 } else { (i % 2) as u8 }));
        file
    };
    let seeds = [
        array("<f4", "(28, 28)", 1, 28 * 28 * 4),
        array("|u1", "(3, 4, 6)", 1, 72),
        array("<f8", "(3L, 4L, 6L)", 2, 576),
        array("<f2", "(28, 28)", 1, 28 * 28 * 2),
        array(">u2", "(28, 28)", 1, 28 * 28 * 2),
    ];
    images("npy", &seeds);
}

#[test]
fn png_and_gif() {
    use image::{DynamicImage, Frame, ImageFormat, Rgba, RgbaImage};
    let picture = |size: (u32, u32)| {
        RgbaImage::from_fn(size.0, size.1, |x, y| Rgba([x as u8 * 9, y as u8 * 9, 7, 200]))
    };
    let written = |picture: DynamicImage| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    };
    let rgba = DynamicImage::from(picture((28, 28)));
    let mut gif = Vec::new();
    image::codecs::gif::GifEncoder::new(&mut gif)
        .encode_frames((0..3).map(|_| Frame::new(picture((6, 4)))))
        .unwrap();
    let seeds = [
        written(rgba.clone()),
        written(DynamicImage::from(rgba.to_luma8())),
        written(DynamicImage::from(rgba.to_rgb16())),
        gif,
    ];
    images("png and gif", &seeds);
}

#[test]
fn idx() {
    let head = |magic: u32, sizes: &[u32]| {
        [&[magic][..], sizes].concat().iter().flat_map(|n| n.to_be_bytes()).collect()
    };
    let file = |head: Vec<u8>, bytes: usize| [head, (0..bytes).map(|i| (i % 10) as u8).collect()].concat();
    let images = file(head(0x803, &[20, 28, 28]), 20 * 784);
    let labels = file(head(0x801, &[20]), 20);
    let place = Place::new("images");
    fuzz("idx", &[images, labels], |bytes| {
        place.with(bytes);
        let labels = one_line(mnist::read_labels(&place.file)).is_some();
        one_line(mnist::read_images(&place.file)).is_some() || labels
    });
}

#[test]
fn hdf5() {
    let names = ["earliest.h5", "latest.h5", "static.h5", "bytes.h5", "half.h5", "two_groups.h5"];
    let seeds = names.map(|name| read(fixtures().join("hdf5").join(name)));
    let place = Place::new("a.h5");
    fuzz("hdf5", &seeds, |bytes| {
        place.with(bytes);
        let Some(file) = one_line(SequenceFile::open(&place.file)) else { return false };
        Split::ALL.iter().all(|part| {
            let shape = file.shape(*part);
            let ends = [0, shape.sequences.saturating_sub(1)];
            ends.iter().all(|at| one_line(file.sequence(*part, *at, shape.frames.min(4))).is_some())
        })
    });
}
