//! The user's own data, MNIST and HDF5 files: `train` and `data check` use it or refuse it.

#![allow(clippy::unwrap_used)] // a test's way to fail

mod support;

use std::io::Write;
use std::path::Path;

use serde_json::Value;
use support::cli::{nem_tui, refused, run};

/// An IDX file of `count` images of 28x28 pixels, each with a different spot on black.
fn images(count: u32) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3];
    for size in [count, 28, 28] {
        bytes.extend(size.to_be_bytes());
    }
    for image in 0..count {
        let spot = |pixel: u32| pixel / 28 / 7 == image % 4 && pixel % 28 / 7 == image / 4 % 4;
        bytes.extend((0..28 * 28).map(|pixel| if spot(pixel) { 255 } else { 0 }));
    }
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A directory with 60 training images, compressed, and 20 test images, uncompressed.
fn mnist(directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    std::fs::write(directory.join("train-images-idx3-ubyte.gz"), gzip(&images(60))).unwrap();
    std::fs::write(directory.join("t10k-images-idx3-ubyte"), images(20)).unwrap();
}

/// The arguments that train on digits for one iteration.
fn digits<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let small = [
        "train",
        "quickstart",
        "--max-iterations",
        "1",
        "--json",
        "--set",
        "data=Mnist(height: 16, width: 16, objects: 2)",
        "--set",
        "noise=MaskedUniform(probability: 0.2)",
        "--set",
        "model.distribution=Gaussian(e_sigma: 0.25)",
        "--set",
        "train=(batch: 4, train_size: 8, validation_size: 4, test_size: 4, learning_rate: 0.001, max_epochs: 9, patience: 9)",
    ];
    [&small, more].concat()
}

#[test]
fn mnist_is_trained_on_from_a_named_folder() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    mnist(&here.join("digits"));
    run(here, &digits(&["--mnist", "digits", "--out", "r"]));
    let preset = std::fs::read_to_string(here.join("r/preset.ron")).unwrap();
    // The path is absolute, so that the run can be resumed from anywhere.
    let whole = here.join("digits").canonicalize().unwrap();
    assert!(preset.contains(whole.to_str().unwrap()), "{preset}");
    let report: Value = serde_json::from_str(&run(here, &["eval", "r", "--json"])).unwrap();
    assert_eq!(report["synthetic"], false);
    let elsewhere = tempfile::tempdir().unwrap();
    let path = here.join("r");
    run(elsewhere.path(), &["train", "--resume", path.to_str().unwrap(), "--max-iterations", "2"]);
    let error = refused(here, &["train", "quickstart", "--mnist", "digits"], 2);
    assert!(error.contains("quickstart has no digits"), "{error}");
}

/// A run knows its digits by their images: the same ones in other files will do, others will not.
#[test]
fn a_run_knows_its_digits() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    mnist(&here.join("digits"));
    run(here, &digits(&["--mnist", "digits", "--out", "r"]));
    let [packed, plain] =
        ["train-images-idx3-ubyte.gz", "train-images-idx3-ubyte"].map(|name| here.join("digits").join(name));
    std::fs::remove_file(&packed).unwrap();
    std::fs::write(&plain, images(60)).unwrap();
    run(here, &["train", "--resume", "r", "--max-iterations", "2"]);
    let mut other = images(60);
    other[16] ^= 255;
    std::fs::write(&plain, other).unwrap();
    for way in [["--resume", "r"], ["--replay", "r"], ["--fork", "r"]] {
        let arguments = [&["train"], &way[..], &["--max-iterations", "3"]].concat();
        let error = refused(here, &arguments, 1);
        assert!(error.contains("digits: not the data that the run was trained on"), "{error}");
    }
    // A run of synthetic digits reads no files.
    run(here, &digits(&["--set", "data.digits=Synthetic", "--out", "s"]));
    run(here, &["train", "--resume", "s", "--max-iterations", "2"]);
}

#[test]
fn data_check_says_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    mnist(&here.join("digits"));
    let text = run(here, &["data", "check", "--mnist", "digits"]);
    assert!(text.contains("60 images of 28x28") && text.contains("not there"), "{text}");
    let json: Value =
        serde_json::from_str(&run(here, &["data", "check", "--mnist", "digits", "--json"])).unwrap();
    assert_eq!((json["digits"].as_str(), json["files"].as_array().unwrap().len()), (Some("Mnist"), 4));

    // The default folder may be missing; a named one may not.
    let home = here.to_str().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_nem-tui"))
        .env("HOME", home)
        .env("XDG_DATA_HOME", home)
        .args(["data", "check"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains(home) && text.contains("synthetic"), "{text}");
    std::fs::create_dir(here.join("empty")).unwrap();
    let error = refused(here, &["data", "check", "--mnist", "empty"], 1);
    assert!(error.contains("train-images-idx3-ubyte"), "{error}");
}

/// Every fault is one sentence that names the file, with exit code 1 and no run directory.
#[test]
fn files_that_are_not_mnist_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let good = images(60);
    let mut labels = vec![0, 0, 8, 1, 0, 0, 0, 60];
    labels.extend([7; 60]);
    let mut floats = good.clone();
    floats[2] = 0x0d;
    let mut small = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 20, 0, 0, 0, 20];
    small.extend([9; 800]);
    let packed = gzip(&good);
    for (name, bytes) in [
        ("cut", good[..good.len() / 2].to_vec()),
        ("cut-packed", packed[..packed.len() / 2].to_vec()),
        ("longer", [good.clone(), vec![0]].concat()),
        ("labels", labels),
        ("floats", floats),
        ("small", small),
        ("web-page", b"<html>404</html>".to_vec()),
        ("empty", Vec::new()),
    ] {
        let digits_directory = here.join(name);
        mnist(&digits_directory);
        std::fs::write(digits_directory.join("train-images-idx3-ubyte.gz"), bytes).unwrap();
        for arguments in [digits(&["--mnist", name, "--out", "r"]), vec!["data", "check", "--mnist", name]] {
            let error = refused(here, &arguments, 1);
            assert!(error.contains(&format!("{name}/train-images-idx3-ubyte.gz")), "{name}: {error}");
            assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        }
        assert!(!here.join("r").exists(), "{name} left a run behind");
    }
    mnist(&here.join("few"));
    let error = refused(here, &digits(&["--mnist", "few", "--set", "data.images=First(61)"]), 1);
    assert!(error.contains("few") && error.contains("first 61") && error.contains("there are 60"), "{error}");
    // Later stages are checked too, and digits that no file contains.
    let stages = |last: &str| {
        format!(
            "train.stages=[(images: First(20), learning_rate: 0.001), (images: First({last}), learning_rate: 0.001)]"
        )
    };
    let error = refused(here, &digits(&["--mnist", "few", "--out", "r", "--set", &stages("61")]), 1);
    assert!(error.contains("few: train.stages[1].images asks for the first 61"), "{error}");
    assert!(error.contains("ask for First(60) or less"), "{error}");
    let synthetic = ["--set", "data.digits=Synthetic", "--out", "r", "--set", &stages("60001")];
    let error = refused(here, &digits(&synthetic), 1);
    assert!(error.contains("train.stages[1].images") && error.contains("60000 synthetic"), "{error}");
    assert!(!here.join("r").exists());
    let error = refused(here, &digits(&["--mnist", "nowhere"]), 1);
    assert!(error.contains("nowhere") && error.contains("missing"), "{error}");
}

#[test]
fn hdf5_files_train_and_those_that_do_not_fit_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let fixture = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hdf5").join(name);
        path.to_str().unwrap().to_owned()
    };
    let cut = here.join("cut.h5").to_str().unwrap().to_owned();
    let whole = std::fs::read(fixture("earliest.h5")).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let arguments = |path: &str, size: &str, steps: &str, train_size: &str| {
        let data = format!("data=Hdf5(path: {path:?}, {size})");
        let steps = format!("steps={steps}");
        let train = format!(
            "train=(batch: 5, train_size: {train_size}, validation_size: 5, test_size: 5, learning_rate: 0.001, max_epochs: 9, patience: 9)"
        );
        let sets = [data, steps, train, "k=2".into(), "model.distribution=Gaussian(e_sigma: 0.25)".into()];
        let mut all: Vec<String> =
            ["train", "quickstart", "--max-iterations", "2", "--json", "--out", "r"].map(Into::into).into();
        all.extend(sets.into_iter().flat_map(|set| ["--set".to_owned(), set]));
        all
    };
    let fits = "height: 4, width: 6";
    for (path, size, steps, train_size, said) in [
        (fixture("earliest.h5"), "height: 28, width: 28", "2", "5", "its images are 4x6"),
        (fixture("latest.h5"), fits, "2", "5", "with 2 channels"),
        (fixture("earliest.h5"), fits, "3", "5", "3 EM steps need 4"),
        (fixture("earliest.h5"), fits, "2", "50", "has 5"),
        (fixture("strings.h5"), fits, "2", "5", "type string"),
        (fixture("no_part.h5"), fits, "2", "5", "there is no test/features"),
        (fixture("bytes.h5"), fits, "2", "5", "training/features holds 255 in frame 0 of sequence 0"),
        (
            fixture("mixed.h5"),
            fits,
            "2",
            "5",
            "its validation has 1 frame to a sequence but its training 3 frames",
        ),
        (fixture("make.py"), fits, "2", "5", "not an HDF5 file"),
        (cut, fits, "2", "5", "cut.h5"),
        ("nowhere.h5".into(), fits, "2", "5", "nowhere.h5"),
    ] {
        let all = arguments(&path, size, steps, train_size);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let error = refused(here, &all, 1);
        assert!(error.contains(&path) && error.contains(said), "{said}: {error}");
        assert!(!here.join("r").exists(), "{path} left a run behind");
    }
    // The path is relative to this directory; the run is scored from another one.
    std::fs::copy(fixture("earliest.h5"), here.join("mine.h5")).unwrap();
    let all = arguments("mine.h5", fits, "2", "5");
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    run(here, &all);
    let elsewhere = tempfile::tempdir().unwrap();
    let path = here.join("r");
    let report: Value =
        serde_json::from_str(&run(elsewhere.path(), &["eval", path.to_str().unwrap(), "--json"])).unwrap();
    assert_eq!((report["samples"].as_u64(), report["steps"].as_u64()), (Some(5), Some(2)));
    let output = nem_tui(here, &["eval", "r", "--steps", "3"]);
    assert_eq!(output.status.code(), Some(1));
}

/// A training on the small images of an HDF5 file.
fn on_hdf5(data: &str) -> Vec<&str> {
    let train = "train=(batch: 8, train_size: 64, validation_size: 8, test_size: 8, learning_rate: 0.001, max_epochs: 9, patience: 9)";
    let fixed = ["train", "quickstart", "--max-iterations", "1", "--json", "--out", "r"];
    let distribution = "model.distribution=Gaussian(e_sigma: 0.25)";
    let sets = ["k=2", "steps=2", distribution, train, data].map(|set| ["--set", set]);
    [&fixed, sets.as_flattened()].concat()
}

/// A file of a few kilobytes that would unfold to gigabytes, in a process that may take one: only the sequences that are
/// needed are read.
#[test]
#[cfg(target_os = "linux")]
fn a_file_that_unfolds_to_gigabytes_is_read_by_need() {
    for name in ["large.h5", "large_plain.h5"] {
        let directory = tempfile::tempdir().unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hdf5").join(name);
        let data = format!("data=Hdf5(path: {:?}, height: 28, width: 28)", file.to_str().unwrap());
        let arguments = on_hdf5(&data);
        // The whole file takes more than that, even at a byte for each value.
        let output = std::process::Command::new("sh")
            .args(["-c", "ulimit -v 1500000 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_nem-tui")])
            .args(&arguments)
            .current_dir(directory.path())
            .env("RAYON_NUM_THREADS", "2")
            .output()
            .unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The memory that may be taken is a setting, and what exceeds it is refused by name and amount.
#[test]
fn what_exceeds_the_memory_is_refused_in_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let with = |memory: &str, arguments: &[&str]| {
        let output = support::cli::nem_tui_with(here, arguments, &[("NEM_TUI_MEMORY", memory)]);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, error) = with("lots", &["presets"]);
    assert!(
        code == Some(2) && error.contains("NEM_TUI_MEMORY is \"lots\"; write a size such as 8G"),
        "{error}"
    );
    let large = ["train", "quickstart", "--set", "train.train_size=100000", "--set", "train.batch=100000"];
    let (code, error) = with("2G", &large);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("train.batch 100000 with k 4") && error.contains("is available"), "{error}");
    assert!(!here.join("runs").exists());
    for samples in ["18446744073709551615", "10000000000"] {
        let error = refused(here, &["eval", "static-shapes", "--samples", samples], 2);
        assert!(
            error.contains(&format!("--samples is {samples}; a split has at most 4294967295")),
            "{error}"
        );
    }
    let (code, error) = with("1G", &["eval", "static-shapes", "--samples", "4000000000"]);
    assert!(code == Some(2) && error.contains("scoring 4000000000 images"), "{error}");
    for (option, said) in [("--batch", "batch"), ("--k", "k is"), ("--steps", "steps is")] {
        for number in ["18446744073709551615", "10000000000"] {
            let error = refused(here, &["bench", "quickstart", option, number], 2);
            assert!(error.contains(said), "{option} {number}: {error}");
        }
    }
    for set in [
        "train.train_size=4294967295",
        "train.validation_size=18446744073709551615",
        "data.height=10000000000",
    ] {
        let (code, error) = with("1G", &["train", "quickstart", "--set", set]);
        assert!(
            code == Some(2) && error.lines().count() == 1 && error.contains(set.split('=').next().unwrap()),
            "{error}"
        );
    }
    for (option, number) in
        [("--sample", "18446744073709551615"), ("--sample", "10000000000"), ("--steps", "10000000000")]
    {
        refused(here, &["picture", "static-shapes", "--out", "p.png", option, number], 2);
    }
    refused(here, &["reproduce", "static", "--budget", "0", "--seeds", "18446744073709551615"], 2);
}

/// Presets and settings as editors save them.
#[test]
fn text_files_may_have_a_mark_and_windows_line_ends() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let preset = run(here, &["presets", "quickstart"]);
    std::fs::write(here.join("mine.ron"), format!("\u{feff}{}", preset.replace('\n', "\r\n"))).unwrap();
    let settings: Vec<&str> = support::cli::TINY.iter().copied().filter(|word| *word != "--set").collect();
    std::fs::write(here.join("sets.txt"), format!("\u{feff}# small\r\n\r\n{}\r\n", settings.join("\r\n")))
        .unwrap();
    let train = ["train", "mine.ron", "--set", "@sets.txt", "--max-iterations", "1", "--json", "--out", "r"];
    run(here, &train);
    let kept = std::fs::read_to_string(here.join("r/preset.ron")).unwrap();
    assert!(kept.contains("train_size: 80") && kept.contains("height: 10"), "{kept}");
    let wide: Vec<u8> = preset.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(here.join("wide.ron"), [&b"\xff\xfe"[..], &wide].concat()).unwrap();
    std::fs::write(here.join("sets16.txt"), [&b"\xff\xfe"[..], &wide].concat()).unwrap();
    let error = refused(here, &["train", "./wide.ron"], 1);
    assert!(error.contains("wide.ron: is UTF-16; save it as UTF-8"), "{error}");
    let error = refused(here, &["train", "quickstart", "--set=@sets16.txt"], 1);
    assert!(error.contains("sets16.txt: is UTF-16; save it as UTF-8"), "{error}");
    let output = support::cli::nem_tui_with(here, &["config"], &[("NEM_TUI_CONFIG", "wide.ron")]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("wide.ron: is UTF-16"));
    std::fs::write(here.join("config.ron"), "\u{feff}(\r\n)\r\n").unwrap();
    let output = support::cli::nem_tui_with(here, &["config"], &[("NEM_TUI_CONFIG", "config.ron")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A safetensors file from JSON and bytes.
fn safetensors(arrays: &[(&str, &str, &[usize], Vec<u8>)]) -> Vec<u8> {
    let (mut header, mut content) = (serde_json::Map::new(), Vec::new());
    for (name, dtype, shape, bytes) in arrays {
        let begin = content.len();
        content.extend(bytes);
        let entry =
            serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, content.len()]});
        header.insert((*name).to_owned(), entry);
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &content].concat()
}

/// Weights under other names and in other types, beside other arrays; a note says what is not used.
#[test]
fn weights_and_inputs_of_other_programs_are_read() {
    use nem_tui::tensors;
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let (case, good) = (format!("{fixtures}/k1.json"), format!("{fixtures}/k1.safetensors"));
    let arrays = tensors::read(Path::new(&good)).unwrap();
    let infer = |weights: &str, input: &str, out: &str| {
        let arguments = ["infer", "--preset", &case, "--weights", weights, "--input", input, "--output", out];
        let output = nem_tui(here, &arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(infer(&good, &good, "expected"), (Some(0), String::new()));
    let expected = std::fs::read(here.join("expected")).unwrap();
    let weights = arrays.iter().filter_map(|(name, array)| Some((name.strip_prefix("param.")?, array)));
    let weights: Vec<_> = weights.collect();
    for (file, prefix) in
        [("a", "module."), ("b", "_orig_mod.module."), ("c", "model.net."), ("d", "param.module.")]
    {
        let names: Vec<String> = weights.iter().map(|(name, _)| format!("{prefix}{name}")).collect();
        // 64 bits hold the numbers of 32 exactly.
        let bytes =
            |array: &tensors::Array| array.values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect();
        let mut all: Vec<(&str, &str, &[usize], Vec<u8>)> = names
            .iter()
            .zip(&weights)
            .map(|(name, (_, array))| (name.as_str(), "F64", &array.shape[..], bytes(array)))
            .collect();
        all.push(("step", "I64", &[], vec![0; 8]));
        all.push(("mask", "BOOL", &[3], vec![0; 3]));
        all.push(("cache", "F8_E4M3", &[2], vec![0; 2]));
        std::fs::write(here.join(file), safetensors(&all)).unwrap();
        let (code, told) = infer(file, &good, "o");
        assert_eq!(code, Some(0), "{prefix}: {told}");
        assert_eq!(std::fs::read(here.join("o")).unwrap(), expected, "{prefix}");
        assert_eq!(told.is_empty(), prefix.starts_with("param."), "{told}");
        assert!(told.is_empty() || told.contains("are not used") && told.contains("step"), "{told}");
        assert!(told.lines().count() <= 1, "{told}");
    }
    let integers = [("input.0.weight", "I64", &[1usize][..], vec![0; 8])];
    std::fs::write(here.join("other"), safetensors(&integers)).unwrap();
    let error = infer("other", &good, "p").1;
    assert!(error.contains("lack") && error.contains("and they have input.0.weight"), "{error}");
    // Inputs: an array outside 0 to 1, an unknown one, and the wrong name.
    let mut spoilt = arrays.clone();
    spoilt.get_mut("in.features_clean").unwrap().values[64] = 1.25;
    tensors::write(&here.join("far"), &spoilt).unwrap();
    let error = infer(&good, "far", "p").1;
    assert!(
        error.contains("in.features_clean holds 1.25 at [0, 1, 0, 0, 0]; values must be 0 to 1"),
        "{error}"
    );
    let mut renamed = tensors::Arrays::new();
    renamed.insert("in.features".into(), arrays["in.features_clean"].clone());
    tensors::write(&here.join("renamed"), &renamed).unwrap();
    let error = infer(&good, "renamed", "p").1;
    assert!(
        error.contains("there is no array in.features_clean") && error.contains("and it has in.features"),
        "{error}"
    );
    renamed.insert("in.features_clean".into(), arrays["in.features_clean"].clone());
    tensors::write(&here.join("renamed"), &renamed).unwrap();
    assert_eq!(
        infer(&good, "renamed", "q"),
        (Some(0), "nem-tui: renamed: in.features is not used\n".to_owned())
    );
}

/// stderr says what a picture's own image lost on its way to the model.
#[test]
fn what_is_not_used_of_an_image_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images/animated.png");
    let image = image.to_str().unwrap();
    let arguments =
        ["picture", "static-shapes", "--input", image, "--resize", "--steps", "2", "--out", "p.png"];
    let output = nem_tui(directory.path(), &arguments);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    for said in ["the first image of its animation is used", "its 3x2 pixels are scaled to fit 28x28"] {
        assert!(told.contains(&format!("animated.png: {said}")), "{told}");
    }
}
