//! The paths that the user names: where output goes, names that are not text, and files that are no longer the same.

#![allow(clippy::unwrap_used)] // a test's way to fail
#![cfg(unix)]

mod support;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::cli::{refused, run, tiny};

/// The program with arguments that may be any bytes.
fn program(directory: &Path, arguments: &[&OsStr]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nem-tui")).current_dir(directory).args(arguments).output().unwrap()
}

fn succeeds(directory: &Path, arguments: &[&OsStr]) -> String {
    let output = program(directory, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The error's text, which is one sentence.
fn fails(directory: &Path, arguments: &[&OsStr]) -> String {
    let output = program(directory, arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    let code = output.status.code();
    assert!(matches!(code, Some(1 | 2)) && error.starts_with("nem-tui: "), "{arguments:?}: {code:?} {error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

/// A shell's command, with the program as `$n`.
fn shell(directory: &Path, script: &str) -> Output {
    let mut command = Command::new("bash");
    command.current_dir(directory).env("n", env!("CARGO_BIN_EXE_nem-tui")).args(["-c", script]);
    command.stdin(Stdio::null()).output().unwrap()
}

fn shell_succeeds(directory: &Path, script: &str) -> Vec<u8> {
    let output = shell(directory, script);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stderr.is_empty(), "{script}: {error}");
    output.stdout
}

fn words<'a>(words: &[&'a str]) -> Vec<&'a OsStr> {
    words.iter().map(|word| OsStr::new(*word)).collect()
}

fn trained(directory: &Path, out: &str, more: &[&str]) {
    run(directory, &tiny(out, &[&["--max-iterations", "2"], more].concat()));
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn run_json(run: &Path) -> Value {
    json(&std::fs::read_to_string(run.join("run.json")).unwrap())
}

fn weights(run: &Path) -> Vec<u8> {
    let last = std::fs::read_to_string(run.join("checkpoints/last")).unwrap();
    std::fs::read(run.join("checkpoints").join(last.trim()).join("weights.safetensors")).unwrap()
}

#[test]
fn output_goes_where_the_user_says() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    trained(here, "r", &[]);
    let written = |script: &str| shell_succeeds(here, script);
    written("$n curves r --csv c.csv --svg c.svg");
    let csv = std::fs::read(here.join("c.csv")).unwrap();
    let svg = std::fs::read(here.join("c.svg")).unwrap();
    // Standard output by its names, and a pipe of the shell.
    for stdout in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/stderr 2>&1"] {
        assert_eq!(written(&format!("$n curves r --csv {stdout} | cat")), csv, "{stdout}");
    }
    assert_eq!(written("$n curves r --svg - --csv /dev/null"), svg);
    assert_eq!(written("$n curves r --csv >(cat > through); wait $!; cat through"), csv);
    assert_eq!(written("mkfifo pipe; cat pipe & $n curves r --csv pipe; wait"), csv);
    // In the middle of a file.
    let around = [b"before\n".as_slice(), &csv, b"after\n"].concat();
    for stdout in ["-", "/dev/stdout"] {
        written(&format!("(echo before; $n curves r --csv {stdout}; echo after) > around"));
        assert_eq!(std::fs::read(here.join("around")).unwrap(), around, "{stdout}");
    }
    written("echo before > log; $n curves r --csv /dev/fd/3 3>> log");
    assert_eq!(std::fs::read(here.join("log")).unwrap(), around[..around.len() - 6]);
    // Links and devices are still there.
    symlink("c.csv", here.join("link")).unwrap();
    symlink("/dev/stdout", here.join("standard")).unwrap();
    written("echo old > c.csv; $n curves r --csv link");
    assert_eq!(std::fs::read(here.join("c.csv")).unwrap(), csv);
    assert_eq!(written("$n curves r --csv standard"), csv);
    for link in [here.join("link"), here.join("standard"), "/dev/stdout".into()] {
        assert!(link.is_symlink(), "{link:?}");
    }
    // A reader that leaves early is not an error.
    assert_eq!(written("$n curves r --csv - | head -c 9; exit ${PIPESTATUS[0]}"), csv[..9]);
    let full = shell(here, "$n curves r --csv /dev/full");
    let error = String::from_utf8(full.stderr).unwrap();
    assert!(full.status.code() == Some(1) && error.contains("/dev/full: No space left"), "{error}");
    let full = shell(here, "$n curves r --csv - > /dev/full");
    let error = String::from_utf8(full.stderr).unwrap();
    assert!(full.status.code() == Some(1) && error.contains("stdout: No space left"), "{error}");
    // New files follow the umask; a replaced one keeps its permissions.
    written("umask 027; $n curves r --csv new.csv; umask 077; $n curves r --svg new.svg");
    assert_eq!(written("stat -c %a new.csv new.svg"), b"640\n600\n");
    written("chmod 604 new.svg; umask 077; $n curves r --svg new.svg");
    assert_eq!(written("stat -c %a new.svg"), b"604\n");
    for (arguments, said) in [
        (["--csv", "r"].as_slice(), "r is a directory; name a file"),
        (&["--csv", "new/"], "is a directory"),
        (&["--csv", "-", "--svg", "/dev/stdout"], "both name stdout"),
        (&["--csv", "nowhere/c.csv"], "cannot write nowhere/c.csv"),
    ] {
        let error = fails(here, &words(&[&["curves", "r"], arguments].concat()));
        assert!(error.contains(said), "{error}");
    }
}

/// Where a file cannot be replaced, only an empty one is written; write protection counts.
#[test]
fn a_file_that_cannot_be_replaced_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    trained(here, "r", &[]);
    std::fs::create_dir(here.join("shut")).unwrap();
    // Root may write everywhere, so it gives that up.
    let script = r#"
        [ $(id -u) = 0 ] && n="setpriv --bounding-set=-dac_override,-dac_read_search $n"
        cd shut; : > empty; echo kept | tee full > protected; chmod 444 protected; chmod 555 .
        for file in empty full new; do $n curves ../r --csv $file; echo $?; done
        chmod 755 .; $n curves ../r --csv protected; echo $?"#;
    let output = shell(here, script);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "0\n1\n1\n1\n", "{error}");
    let sentences: Vec<&str> = error.lines().collect();
    assert_eq!(sentences.len(), 3, "{error}");
    assert!(sentences[0].contains("full: cannot be replaced (Permission denied"), "{error}");
    assert_eq!(sentences[1], "nem-tui: cannot write new: Permission denied (os error 13)");
    assert!(sentences[2].contains("cannot write protected"), "{error}");
    let text = |name: &str| std::fs::read_to_string(here.join("shut").join(name)).unwrap();
    assert!(text("empty").starts_with("iteration,"));
    assert_eq!([text("full"), text("protected")], ["kept\n"; 2]);
    assert_eq!(std::fs::read_dir(here.join("shut")).unwrap().count(), 3);
}

#[test]
fn pictures_and_arrays_go_where_the_user_says() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let written = |script: &str| shell_succeeds(here, script);
    let picture = "$n picture static-shapes --tile 1";
    assert!(String::from_utf8(written(&format!("{picture} --out p.png"))).unwrap().starts_with("p.png: "));
    let png = std::fs::read(here.join("p.png")).unwrap();
    for out in ["-", "- --format png", "/dev/stdout", ">(cat > pipe) > told; wait $!; cat pipe"] {
        assert_eq!(written(&format!("{picture} --out {out}")), png, "{out}");
    }
    assert!(written(&format!("{picture} --out - --format gif")).starts_with(b"GIF89a"));
    assert!(written(&format!("{picture} --out - --format npz")).starts_with(b"PK"));
    written(&format!("{picture} --out without-ending --format png"));
    assert_eq!(std::fs::read(here.join("without-ending")).unwrap(), png);
    let error = fails(here, &words(&["picture", "static-shapes", "--out", "unknown"]));
    assert!(error.contains("cannot tell the format"), "{error}");
    let infer = "$n infer --weights static-shapes --resize --input p.png 2>notes";
    written(&format!("{infer} --output a.safetensors"));
    assert_eq!(written(&format!("{infer} --output -")), std::fs::read(here.join("a.safetensors")).unwrap());
    // Refused before anything is computed, so that the input is not even read.
    let error =
        fails(here, &words(&["infer", "--weights", "static-shapes", "--input", "x.png", "--output", "."]));
    assert!(error.contains("is a directory"), "{error}");
}

/// In a directory whose name is not UTF-8.
#[test]
fn paths_need_not_be_text() {
    let directory = tempfile::tempdir().unwrap();
    let odd = |prefix: &str| PathBuf::from(OsString::from_vec([prefix.as_bytes(), b"\xe9"].concat()));
    let here = directory.path().join(odd("caf"));
    std::fs::create_dir(&here).unwrap();
    let here = here.as_path();
    let [first, second] = [odd("r"), odd("s")];
    let (r, s) = (first.as_os_str(), second.as_os_str());
    let preset = odd("p").with_file_name(OsString::from_vec(b"p\xe9.ron".to_vec()));
    std::fs::write(here.join(&preset), run(here, &["presets", "quickstart"])).unwrap();
    let with = |start: &[&'static str], path: &OsStr, more: &[&'static str]| {
        let all: Vec<OsString> = start
            .iter()
            .map(OsString::from)
            .chain([path.to_owned()])
            .chain(more.iter().map(OsString::from))
            .collect();
        all
    };
    let does = |arguments: Vec<OsString>| {
        succeeds(here, &arguments.iter().map(OsString::as_os_str).collect::<Vec<_>>())
    };
    let mut train = vec!["train".into(), preset.clone().into_os_string()];
    train.extend(tiny("x", &["--max-iterations", "2"])[5..].iter().map(OsString::from));
    let lines = does([train.clone(), with(&["--json", "--out"], r, &[])].concat());
    // For people and scripts, with replacement characters.
    assert!(lines.lines().all(|line| json(line).is_object()) && lines.contains("\"r\u{fffd}\""), "{lines}");
    does(with(&["train", "--resume"], r, &["--max-iterations", "3"]));
    does(with(&["train", "--replay"], r, &["--out", "replayed"]));
    assert_eq!(weights(&here.join("replayed")), weights(&here.join(&first)));
    does(with(&["train", "--fork"], r, &["--max-iterations", "4", "--out", "forked"]));
    does([train, with(&["--from"], r, &["--out"]), vec![s.to_owned()]].concat());
    // For the program itself, exactly.
    let from = run_json(&here.join(&second))["from"].clone();
    let bytes: Vec<u8> = from.as_array().unwrap().iter().map(|byte| byte.as_u64().unwrap() as u8).collect();
    assert!(Path::new(OsStr::from_bytes(&bytes)).starts_with(here.join(&first)), "{from}");
    does(with(&["train", "--replay"], s, &["--out", "again"]));
    assert_eq!(weights(&here.join("again")), weights(&here.join(&second)));
    does(with(&["curves"], r, &["--csv", "-"]));
    does(with(&["curves"], r, &["--csv"]).into_iter().chain([odd("c").into_os_string()]).collect());
    assert!(here.join(odd("c")).is_file());
    let report = json(&does(with(&["eval"], r, &["--json"])));
    assert!(report["checkpoint"].as_str().unwrap().starts_with("r\u{fffd}/"), "{report}");
    does(with(&["picture"], r, &["--out", "p.png"]));
    does(with(&["export"], r, &["--out", "model"]));
    does(with(&["bench"], preset.as_os_str(), &["--iterations", "1", "--warm-up", "0", "--batch", "1"]));
    let missing =
        fails(here, &[OsStr::new("curves"), odd("nowhere").as_os_str(), "--csv".as_ref(), "-".as_ref()]);
    assert!(missing.contains("nowhere\\xE9"), "{missing}");
}

/// Names with line breaks and escape sequences do not tear messages; those with spaces, quotes and dashes are found.
#[test]
fn odd_names_are_shown_on_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let error = fails(here, &words(&["curves", "a\nb\u{1b}[2J", "--csv", "-"]));
    assert!(error.contains("a\\nb\\u{1b}[2J"), "{error}");
    let error = fails(here, &words(&["train", "./no\nsuch.ron"]));
    assert!(error.contains("no\\nsuch.ron"), "{error}");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hdf5/earliest.h5");
    let train = |set: OsString, out: &str| {
        let mut arguments: Vec<OsString> = hdf5("x", out).iter().map(OsString::from).collect();
        let at = arguments.iter().position(|argument| argument == "data.path=x").unwrap();
        arguments[at] = set;
        succeeds(here, &arguments.iter().map(OsString::as_os_str).collect::<Vec<_>>());
    };
    for (i, name) in
        ["a b.h5", "it's \"1\".h5", "k=5.h5", "-x.h5", "12", "[1, 2]", "None", "é\n"].iter().enumerate()
    {
        std::fs::copy(&fixture, here.join(name)).unwrap();
        let quoted = matches!(*name, "é\n" | "[1, 2]");
        let name = if quoted { format!("{name:?}") } else { (*name).to_owned() };
        train(format!("data.path={name}").into(), &format!("r{i}"));
    }
    let name = OsString::from_vec(b"\xe9 .h5".to_vec());
    std::fs::copy(&fixture, here.join(&name)).unwrap();
    let mut set = OsString::from("data.path=");
    set.push(&name);
    train(set, "latin");
    run(here, &["train", "--resume", "latin", "--max-iterations", "3"]);
    run(here, &["eval", "latin"]);
}

/// The arguments that train on the HDF5 file `data` for two iterations.
fn hdf5(data: &str, out: &str) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["train", "quickstart", "--max-iterations", "2", "--out", out, "--json"].map(Into::into).into();
    let sets = [
        "data=Hdf5(path: \"-\", height: 4, width: 6)".to_owned(),
        format!("data.path={data}"),
        "steps=2".into(),
        "train=(batch: 5, train_size: 5, validation_size: 5, test_size: 5, learning_rate: 0.001, max_epochs: 9)".into(),
        "k=2".into(),
        "model.distribution=Gaussian(e_sigma: 0.25)".into(),
    ];
    arguments.extend(sets.into_iter().flat_map(|set| ["--set".to_owned(), set]));
    arguments
}

/// The weights of `--from` are those of then or none, wherever the run is repeated.
#[test]
fn a_replay_takes_the_weights_that_the_run_began_with() {
    let [directory, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (here, elsewhere) = (directory.path(), other.path());
    trained(here, "a", &[]);
    trained(here, "b", &["--from", "a"]);
    let begun = run_json(&here.join("b"));
    let from = PathBuf::from(begun["from"].as_str().unwrap());
    assert!(from.is_absolute() && from.starts_with(here.join("a")), "{begun}");
    assert_eq!(begun["origin"]["weights"].as_str().unwrap().len(), 64);
    // Elsewhere there is another run of that name.
    trained(elsewhere, "a", &["--seed", "9"]);
    let b = here.join("b");
    let b = b.to_str().unwrap();
    run(elsewhere, &["train", "--replay", b, "--out", "c"]);
    assert_eq!(weights(&elsewhere.join("c")), weights(&here.join("b")));
    // A model of the program is known by its name.
    let model =
        ["train", "static-shapes-rnn-em", "--max-iterations", "1", "--from", "static-shapes", "--out", "m"];
    run(here, &[&model[..], &["--set", "train.train_size=64", "--set", "train.validation_size=2"]].concat());
    assert_eq!(run_json(&here.join("m"))["from"], "static-shapes");
    // Another run has taken its place.
    let moved = here.join("moved");
    std::fs::rename(here.join("a"), &moved).unwrap();
    let gone = refused(elsewhere, &["train", "--replay", b, "--out", "d"], 1);
    assert!(gone.contains(from.to_str().unwrap()) && gone.contains("gone"), "{gone}");
    std::fs::rename(elsewhere.join("a"), here.join("a")).unwrap();
    let another = refused(elsewhere, &["train", "--replay", b, "--out", "d"], 1);
    let known = begun["origin"]["weights"].as_str().unwrap();
    assert!(another.contains("not the weights that the run began with"), "{another}");
    assert!(another.contains(known) && another.contains(from.to_str().unwrap()), "{another}");
    assert!(!elsewhere.join("d").exists());
    // A run of an earlier version has no hashes and is repeated as before; one that only goes on needs no weights.
    let mut older = begun.clone();
    older.as_object_mut().unwrap().remove("origin");
    older["from"] = moved.join("checkpoints/it-00000002").to_str().unwrap().into();
    std::fs::write(here.join("b/run.json"), older.to_string()).unwrap();
    run(elsewhere, &["train", "--replay", b, "--out", "d"]);
    assert_eq!(weights(&elsewhere.join("d")), weights(&here.join("b")));
    run(elsewhere, &["train", "--resume", b, "--max-iterations", "3"]);
}

/// A run is resumed, repeated and forked on its own data only.
#[test]
fn data_that_was_exchanged_is_refused() {
    let [directory, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (here, elsewhere) = (directory.path(), other.path());
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hdf5/earliest.h5");
    let data = here.join("mine.h5");
    std::fs::copy(&fixture, &data).unwrap();
    let arguments = hdf5("mine.h5", "r");
    run(here, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let r = here.join("r");
    let r = r.to_str().unwrap();
    let ways = |out: &'static str| {
        [
            ["train", "--resume", r, "--max-iterations"],
            ["train", "--replay", r, "--out"],
            ["train", "--fork", r, "--out"],
        ]
        .map(|way| match way[1] {
            "--resume" => [&way[..], &["9"]].concat(),
            _ => [&way[..], &[out, "--max-iterations", "3"]].concat(),
        })
    };
    // The same values in a file that was written otherwise are not the same file.
    let mut bytes = std::fs::read(&fixture).unwrap();
    bytes.extend([0; 8]);
    std::fs::write(&data, &bytes).unwrap();
    for way in ways("refused") {
        let error = refused(elsewhere, &way, 1);
        assert!(error.contains("mine.h5: not the data that the run was trained on"), "{error}");
        assert!(error.contains("--from"), "{error}");
    }
    // A fork that names its data has chosen it.
    let chosen = elsewhere.join("chosen.h5");
    std::fs::copy(&data, &chosen).unwrap();
    let set = format!("data.path={}", chosen.display());
    run(elsewhere, &["train", "--fork", r, "--out", "f", "--max-iterations", "3", "--set", &set]);
    std::fs::remove_file(&data).unwrap();
    for way in ways("refused") {
        let error = refused(elsewhere, &way, 1);
        assert!(error.contains(data.canonicalize().unwrap_or(data.clone()).to_str().unwrap()), "{error}");
    }
    assert!(!elsewhere.join("refused").exists());
    std::fs::copy(&fixture, &data).unwrap();
    let [resume, replay, fork] = ways("again");
    run(elsewhere, &replay);
    run(elsewhere, &[&fork[..3], &["--out", "forked", "--max-iterations", "3"]].concat());
    run(elsewhere, &resume);
}

/// Directories that cannot be made are refused in one sentence, and nothing is left behind.
#[test]
fn impossible_directories_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    std::fs::write(here.join("file"), "").unwrap();
    symlink("nowhere", here.join("astray")).unwrap();
    for out in ["file", "file/x", "astray/x", "/proc/nem", "/dev/null", "/dev/null/x"] {
        for command in [
            vec!["train", "quickstart", "--out", out],
            vec!["export", "static-shapes", "--samples", "1", "--out", out],
        ] {
            let error = fails(here, &words(&command));
            // The directory, or the one that it was to be made in.
            let at = Path::new(out).parent().filter(|at| error.contains(at.to_str().unwrap()));
            assert!(at.is_some() || error.contains(out), "{command:?}: {error}");
        }
    }
    let mut names: Vec<_> =
        std::fs::read_dir(here).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["astray", "file"]);
    // A working directory that is gone.
    let gone = shell(here, "mkdir d; cd d; rmdir ../d; $n train quickstart");
    assert_eq!(gone.status.code(), Some(1));
    assert_eq!(String::from_utf8(gone.stderr).unwrap().lines().count(), 1);
    for command in [["train", "quickstart", "--out", "-"], ["export", "static-shapes", "--out", "-"]] {
        assert!(refused(here, &command, 2).contains("a directory cannot be stdout"));
    }
    // Slashes at the end, and parents.
    trained(here, "sub/r//", &[]);
    trained(here, "sub/../s/.", &[]);
    assert!(here.join("sub/r/run.json").is_file() && here.join("s/run.json").is_file());
    assert!(!here.join("-").exists());
}
