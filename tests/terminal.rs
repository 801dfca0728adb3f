//! The real program in a real pseudo-terminal.

#![allow(clippy::unwrap_used)] // a test's way to fail
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nem_tui::error::{Error, Result};
use nem_tui::preset::Preset;
use nem_tui::protocol::{Backstage, Event, Preview, Shelf};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long to wait for something before the test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);

struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    output: Receiver<Vec<u8>>,
    parser: vt100::Parser,
    raw: Vec<u8>,
}

impl Terminal {
    fn open(directory: &Path, arguments: &[&str], rows: u16, cols: u16) -> Terminal {
        Terminal::open_with(directory, arguments, rows, cols, &[])
    }

    fn open_with(
        directory: &Path,
        arguments: &[&str],
        rows: u16,
        cols: u16,
        variables: &[(&str, &str)],
    ) -> Terminal {
        let program = Path::new(env!("CARGO_BIN_EXE_nem-tui"));
        Terminal::spawn(program, directory, arguments, rows, cols, variables)
    }

    fn spawn(
        program: &Path,
        directory: &Path,
        arguments: &[&str],
        rows: u16,
        cols: u16,
        variables: &[(&str, &str)],
    ) -> Terminal {
        let pair = native_pty_system().openpty(size(rows, cols)).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.cwd(directory);
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        command.env_remove("NO_COLOR");
        // The machine's user may have a config of their own.
        command.env("XDG_CONFIG_HOME", directory.join("no-config"));
        command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        command.env_remove("NEM_TUI_CONFIG");
        variables.iter().for_each(|(name, value)| command.env(name, value));
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        let parser = vt100::Parser::new(cells(rows), cells(cols), 0);
        Terminal { master: pair.master, keys, child, output, parser, raw: Vec::new() }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn text(&self) -> String {
        self.parser.screen().contents()
    }

    /// Reads the program's output until the screen satisfies `seen`.
    fn wait(&mut self, what: &str, seen: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !seen(&self.text()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => {
                    self.parser.process(&bytes);
                    self.raw.extend(bytes);
                }
                Err(RecvTimeoutError::Timeout) => panic!("never saw {what}:\n{}", self.text()),
                Err(RecvTimeoutError::Disconnected) => panic!("ended before {what}:\n{}", self.text()),
            }
        }
    }

    /// Reads the program's output until it contains `bytes`.
    fn wait_bytes(&mut self, bytes: &[u8]) {
        let deadline = Instant::now() + PATIENCE;
        while !self.raw.windows(bytes.len()).any(|part| part == bytes) {
            let more = self.output.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let more =
                more.unwrap_or_else(|e| panic!("never wrote {:?}: {e}", String::from_utf8_lossy(bytes)));
            self.parser.process(&more);
            self.raw.extend(more);
        }
    }

    fn resize(&mut self, rows: u16, cols: u16) {
        self.master.resize(size(rows, cols)).unwrap();
        self.parser.screen_mut().set_size(cells(rows), cells(cols));
    }

    fn is_taken(&self) -> bool {
        self.parser.screen().alternate_screen()
    }

    /// Closes the terminal, as closing its window does. The program must end, and not by a panic.
    fn close(self) {
        let Terminal { master, mut keys, mut child, output, .. } = self;
        drop(output);
        // The answer to this key makes the reader thread notice that nobody listens, and it lets go of the terminal
        // too.
        keys.write_all(b"?").unwrap();
        // Dropping the writer sends an end of line and of file, which at most close the help.
        drop((master, keys));
        let mut killer = child.clone_killer();
        let (sender, ended) = channel();
        std::thread::spawn(move || sender.send(child.wait()));
        let Ok(status) = ended.recv_timeout(PATIENCE) else {
            killer.kill().unwrap();
            panic!("it continues without a terminal");
        };
        let code = status.unwrap().exit_code();
        assert!(code == 0 || code == 2, "exit code {code}");
    }

    /// Waits for the program to end; returns its exit code.
    fn end(self) -> u32 {
        self.end_with_output().0
    }

    /// The same, with everything it has written.
    fn end_with_output(mut self) -> (u32, Vec<u8>) {
        while let Ok(bytes) = self.output.recv_timeout(PATIENCE) {
            self.parser.process(&bytes);
            self.raw.extend(bytes);
        }
        let code = self.child.wait().unwrap().exit_code();
        assert!(!self.parser.screen().alternate_screen(), "the alternate screen was not left");
        assert!(!self.parser.screen().hide_cursor(), "the cursor was not shown again");
        (code, self.raw)
    }
}

fn cells(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap()
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

/// The number after `label` in the screen's text.
fn number(text: &str, label: &str) -> Option<u64> {
    let rest = &text[text.find(label)? + label.len()..];
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn iteration(text: &str) -> u64 {
    number(text, " iteration ").or_else(|| number(text, " it ")).unwrap_or(0)
}

/// The iteration at which the newest checkpoint was written, as the screen says.
fn saved_at(text: &str) -> Option<u64> {
    ["saved at ", "checkpoint at "].iter().find_map(|label| number(text, label))
}

#[test]
fn quickstart_is_picked_steered_saved_and_left() {
    let directory = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::open(directory.path(), &[], 30, 120);
    terminal.wait("the picker", |s| s.contains("static-shapes-nem") && s.contains("with noise"));
    terminal.press("\r");
    terminal.wait("the first iterations", |s| s.contains("● training") && iteration(s) >= 2);
    let before = iteration(&terminal.text());
    terminal.wait("the iteration count rising", |s| iteration(s) > before + 2);
    terminal.wait("the pictures", |s| s.contains("gamma") && s.contains("3 mask"));

    terminal.press("k");
    terminal
        .wait("three components", |s| s.contains("K 3  ") && !s.contains("3 mask") && s.contains("2 mask"));
    terminal.press("n");
    terminal.wait("less noise", |s| s.contains("noise 0.05  "));

    terminal.press(" ");
    terminal.wait("the pause", |s| s.contains("‖ paused"));
    // A step is one iteration, and the run stays paused.
    let paused_at = {
        terminal.press("c");
        terminal.wait("the checkpoint", |s| saved_at(s).is_some());
        iteration(&terminal.text())
    };
    assert_eq!(saved_at(&terminal.text()), Some(paused_at));
    terminal.press("s");
    terminal.wait("a single step", |s| iteration(s) == paused_at + 1 && s.contains("‖ paused"));
    terminal.press("[");
    terminal.wait("an earlier EM step", |s| s.contains("EM step 5/6"));
    terminal.press(".");
    terminal.wait("another sample", |s| s.contains("sample 2/64"));

    terminal.press("?");
    terminal.wait("the help", |s| s.contains("one iteration, then pause"));
    terminal.press("x");
    terminal.wait("the help gone", |s| !s.contains("one iteration, then pause"));

    terminal.press("q");
    terminal.wait("the question", |s| s.contains("Save and leave?"));
    terminal.press("y");
    assert_eq!(terminal.end(), 0);

    let run = directory.path().join("runs/quickstart-s1");
    let last = std::fs::read_to_string(run.join("checkpoints/last")).unwrap();
    assert_eq!(last, format!("it-{:08}", paused_at + 1), "the step after the checkpoint was not saved");
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let changes: Vec<&str> = metrics.lines().filter(|line| line.contains("\"change\"")).collect();
    assert!(changes.len() == 2 && changes[0].contains("\"to\":{\"K\":3}"), "{changes:?}");
}

/// Beyond single keys: commands, undo, the inspector, exports, curves, a fork.
#[test]
fn a_run_is_commanded_inspected_exported_and_forked() {
    let directory = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::open(directory.path(), &["--preset", "quickstart"], 40, 140);
    terminal.wait("the pictures", |s| s.contains("● training") && s.contains("3 mask") && iteration(s) >= 2);
    terminal.press(":noi\t0.3");
    terminal.wait("the command completed", |s| s.contains(":noise 0.3"));
    terminal.press("\r");
    terminal.wait("more noise", |s| s.contains("noise 0.30  "));
    terminal.press("u");
    terminal.wait("the old noise", |s| s.contains("noise 0.10  "));
    terminal.press(":set train.batch 8\r");
    terminal.wait("the offer of a fork", |s| s.contains("fork train.batch=8"));

    terminal.press("i");
    terminal.wait("the inspector", |s| s.contains("inspector") && s.contains("pixel 10, 10"));
    terminal.press("\x1b[C");
    terminal.wait("the next pixel", |s| s.contains("pixel 11, 10"));
    terminal.press("K");
    terminal.wait("another K, here alone", |s| s.contains("EM step 6/6  k 5"));
    terminal.press("e");
    terminal.wait("a picture of it", |s| s.contains("written: quickstart-s1-it"));
    terminal.press("\x1b");
    terminal.wait("the workbench again", |s| s.contains("● training") && s.contains("K 4  "));

    terminal.press("{");
    terminal.wait("the last moment that was kept", |s| s.contains(" past ─"));
    terminal.press("{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{");
    terminal.wait("the first moment", |s| s.contains("iteration 0 (1/"));
    terminal.press("\x1b");
    terminal.wait("the present", |s| !s.contains("iteration 0 (1/"));

    terminal.press("\t");
    terminal.press("\x1b[D\x1b[D");
    terminal.wait("the curves read", |s| s.contains("loss at "));
    terminal.press("h");
    terminal.wait("the health", |s| s.contains("╭ warnings"));
    terminal.press("x");

    terminal.press(":export curves.csv\r");
    terminal.wait("the curves as a table", |s| s.contains("written: curves.csv"));
    let table = std::fs::read_to_string(directory.path().join("curves.csv")).unwrap();
    assert!(table.starts_with("iteration,") && table.lines().count() > 3);
    terminal.press(":fork it-7 k=5\r");
    terminal.wait("which checkpoints there are", |s| s.contains("no checkpoint \"it-7\""));
    terminal.press(":fork k=5\r");
    terminal.wait("the fork", |s| {
        s.contains("● training") && s.contains("quickstart-s1-2, forked at ") && s.contains("with k 5")
    });
    terminal.press("r");
    terminal
        .wait("the run it came from", |s| s.contains("╭ other runs") && s.contains("  quickstart-s1  it"));
    terminal.press(" ");
    let differs = |s: &str| {
        s.lines().any(|line| line.contains("│ k ") && line.contains("4 → 5 at ") && line.contains("  4 "))
    };
    terminal.wait("how they differ", |s| s.contains("✓ quickstart-s1") && differs(s));
    terminal.press("x\tz");
    terminal.wait("its curve", |s| s.contains("─ quickstart-s1 "));
    terminal.press("qy");
    assert_eq!(terminal.end(), 0);
    let fork = std::fs::read_to_string(directory.path().join("runs/quickstart-s1-2/run.json")).unwrap();
    assert!(fork.contains("\"forked\""), "{fork}");
    let pictures = std::fs::read_dir(directory.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with("overview.png"));
    assert_eq!(pictures.count(), 1);
}

/// A trained model can be inspected before anything is trained, and nothing is written.
#[test]
fn a_model_is_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::open(directory.path(), &[], 30, 120);
    terminal.wait("the picker", |s| s.contains("› quickstart"));
    terminal.press("\x1b[H");
    terminal.wait("the first model", |s| s.contains("› static-shapes  AMI 0."));
    terminal.press("\r");
    terminal.wait("its groups", |s| s.contains("◆ trained model") && s.contains("3 mask"));
    let sample = |text: &str| number(text, "sample ");
    let first = sample(&terminal.text());
    terminal.press(".");
    terminal.wait("another sample", |s| sample(s) == first.map(|first| first + 1));
    terminal.press("K");
    terminal.wait("a component more", |s| s.contains("K 5  ") && s.contains("4 mask"));
    terminal.press("[");
    terminal.wait("an earlier EM step", |s| s.contains("EM step 19/20"));
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "something was written");
}

/// A model shows the user's own image: from the command line, by `:open`, and resized.
#[test]
fn a_model_is_shown_an_image_from_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    image::GrayImage::from_fn(28, 28, |x, y| image::Luma([if x < 9 && y < 9 { 255 } else { 0 }]))
        .save(at("corner.png"))
        .unwrap();
    image::GrayImage::from_pixel(80, 60, image::Luma([255])).save(at("large.png")).unwrap();
    let look = ["--look", "static-shapes", "-i", "corner.png"];
    let mut terminal = Terminal::open(directory.path(), &look, 30, 120);
    terminal.wait("the image in the inspector", |s| {
        s.contains("inspector  static-shapes  corner.png")
            && s.contains("pixel 14, 14")
            && s.contains("AMI –")
    });
    // From the middle to the corner.
    terminal.press(&"\x1b[D\x1b[A".repeat(10));
    terminal.wait("a pixel of the corner", |s| s.contains("pixel 4, 4") && s.contains("x 1.00"));
    terminal.press("K");
    terminal.wait("a component more", |s| s.contains("corner.png") && s.contains("k 5"));
    terminal.press(":open la");
    terminal.wait("what there is", |s| s.contains(" open large.png"));
    terminal.press("\t\r");
    terminal
        .wait("the question", |s| s.contains("large.png has 80x60 pixels; the model's images have 28x28"));
    terminal.press("y");
    terminal.wait("the image, smaller", |s| s.contains("inspector  static-shapes  large.png resized"));
    terminal.press(":open gone.png\r");
    terminal.wait("the refusal", |s| s.contains("cannot read") && s.contains("large.png resized"));
    terminal.press(":sample 3\r");
    terminal.wait("a sample again", |s| s.contains("inspector  static-shapes  sample 3/"));
    terminal.press("\x1b");
    terminal.wait("the model", |s| s.contains("◆ trained model") && s.contains("3 mask"));
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "something was written");
}

/// A drawing is clustered as it changes, and opens again from the file it was saved in; two models are shown the same.
#[test]
fn an_image_is_drawn_saved_opened_again_and_shown_to_another_model() {
    let directory = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::open(directory.path(), &["--look", "static-shapes"], 30, 120);
    terminal.wait("the model", |s| s.contains("◆ trained model") && s.contains("3 mask"));
    terminal.press(":draw new\r");
    terminal.wait("a black image", |s| s.contains("clustering of this drawing") && s.contains("AMI –"));
    terminal.press("1");
    terminal.wait("a square, clustered", |s| s.contains("pixel 14, 14") && s.contains("of this drawing"));
    // The mouse paints: pressed, moved and released on the canvas.
    terminal.press("\x1b[<0;2;3M\x1b[<32;6;3M\x1b[<0;6;3m");
    terminal.wait("a painted line", |s| {
        s.contains("painted pixels belong to") && s.contains("clustering of this drawing")
    });
    terminal.press(":save mine.png\r");
    terminal.wait("the file", |s| s.contains("written: mine.png"));
    terminal.press("\x1b");
    terminal.wait("the inspector", |s| s.contains("inspector  static-shapes  drawing"));
    terminal.press("r");
    terminal.wait("the sample", |s| s.contains("inspector  static-shapes  sample "));
    terminal.press(":open mine.png\r");
    terminal.wait("the drawing again", |s| s.contains("inspector  static-shapes  mine.png"));
    let saved = image::open(directory.path().join("mine.png")).unwrap().into_luma8();
    assert_eq!(saved.dimensions(), (28, 28));
    let lit = saved.pixels().filter(|pixel| pixel.0[0] == 255).count();
    assert!(lit > 40 && saved.pixels().all(|pixel| [0, 255].contains(&pixel.0[0])), "{lit} pixels");
    terminal.press(":beside static-shapes\r");
    terminal
        .wait("the same model twice", |s| s.contains("mine.png") && s.contains("differ: 0 of 784 pixels"));
    terminal.press(":beside flying-shapes\r");
    terminal.wait("another model", |s| s.contains("flying-shapes  K 3") && s.contains("differ: "));
    terminal.press("[");
    terminal.wait("one slider", |s| s.contains("EM step 19/20"));
    terminal.press(":beside nothing\r");
    terminal.wait("the refusal", |s| {
        s.contains("there is no such directory") && s.contains("inspector  static-shapes  mine.png")
    });
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "something else was written");
}

#[test]
fn any_size_down_to_one_cell_is_survived_and_sigterm_saves() {
    let directory = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::open(directory.path(), &["--preset", "quickstart"], 24, 80);
    terminal.wait("the training", |s| iteration(s) >= 1);
    terminal.master.resize(size(0, 0)).unwrap();
    for (rows, cols) in [(1, 1), (3, 200), (60, 2), (12, 40), (60, 200)] {
        terminal.resize(rows, cols);
    }
    terminal
        .wait("the large screen", |s| s.contains("floor 0.") && s.contains("ETA") && s.contains("3 mask"));
    let pid = terminal.child.process_id().unwrap().to_string();
    std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert_eq!(terminal.end(), 0);
    assert!(directory.path().join("runs/quickstart-s1/checkpoints/last").is_file());
}

#[test]
fn control_c_saves_and_leaves_at_once_and_the_run_can_be_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::open(directory.path(), &["--preset", "quickstart"], 24, 80);
    terminal.wait("the training", |s| iteration(s) >= 3);
    terminal.press("\x03");
    assert_eq!(terminal.end(), 0);
    let mut terminal = Terminal::open(directory.path(), &[], 24, 100);
    terminal.wait("the start of a longer list", |s| s.contains("› quickstart") && s.contains(" more "));
    terminal.press("\x1b[F");
    // The list fills in, and keeps what is chosen.
    terminal.wait("the run", |s| s.contains("quickstart-s1  it "));
    terminal.press("\x1b[F");
    // The line may arrive in pieces.
    let shelf = |s: &str| s.contains("› quickstart-s1  it ") && number(s, "quickstart-s1  it ").is_some();
    terminal.wait("the run on the shelf", shelf);
    let saved = number(&terminal.text(), "quickstart-s1  it ").unwrap();
    terminal.press("\r");
    terminal.wait("the run continuing", |s| s.contains("● training") && iteration(s) > saved);
    terminal.press("\x03");
    assert_eq!(terminal.end(), 0);
}

/// A run without a screen, in `runs/quickstart-s1` of this directory.
struct Background(std::process::Child);

impl Background {
    fn train(directory: &Path) -> Background {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nem-tui"));
        command.args(["train", "quickstart"]).current_dir(directory).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        // Keeps reading, so that the run never blocks on a full pipe.
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)))
        });
        // A run listens for viewers before it reports its start.
        let started = lines.recv_timeout(PATIENCE).unwrap();
        assert!(started.contains("\"started\"") && directory.join("runs/quickstart-s1/socket").exists());
        Background(child)
    }

    fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn attach(directory: &Path) -> Terminal {
    let mut terminal = Terminal::open(directory, &["attach", "runs/quickstart-s1"], 30, 120);
    terminal.wait("the run", |s| s.contains("attached") && iteration(s) >= 1);
    terminal.wait("the pictures", |s| s.contains("gamma") && s.contains(" mask"));
    terminal
}

/// Ends the run from an attached workbench.
fn end_run(mut terminal: Terminal) {
    terminal.press("Q");
    terminal.wait("the question", |s| s.contains("End the run?"));
    terminal.press("y");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_run_is_attached_to_left_attached_to_again_and_ended() {
    let directory = tempfile::tempdir().unwrap();
    let mut run = Background::train(directory.path());
    let mut terminal = attach(directory.path());
    terminal.press("k");
    terminal.wait("three components", |s| s.contains("K 3  ") && s.contains("2 mask"));
    // Its last checkpoint beside it, while it trains.
    terminal.press("c");
    terminal.wait("a checkpoint", |s| saved_at(s).is_some());
    terminal.press(":beside runs/");
    terminal.wait("the runs", |s| s.contains(" beside runs/quickstart-s1/"));
    terminal.press("\t\r");
    terminal.wait("both", |s| s.contains("same image, same noise") && s.contains("differ: "));
    terminal.press("\x1b");
    terminal.wait("the run alone", |s| s.contains("attached") && !s.contains("differ: "));
    let before = iteration(&terminal.text());
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    assert!(run.is_alive());

    // Two viewers at once; one is killed, and the other sees the run continue.
    let mut killed = attach(directory.path());
    let mut terminal = attach(directory.path());
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    terminal.wait("the change still in force", |s| iteration(s) > before && s.contains("K 3  "));
    let then = iteration(&terminal.text());
    terminal.wait("the run continuing", |s| iteration(s) > then + 2);
    end_run(terminal);
    assert_eq!(run.0.wait().unwrap().code(), Some(3));
    assert!(directory.path().join("runs/quickstart-s1/checkpoints/last").is_file());

    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nem-tui"));
    command.args(["attach", "runs/quickstart-s1"]).current_dir(directory.path());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no training is running in runs/quickstart-s1; resume it with"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

/// Closing the window ends what ran in it: a run is saved first, and a run of another process continues.
#[test]
fn a_closed_terminal_ends_the_program() {
    let directory = tempfile::tempdir().unwrap();
    let mut picker = Terminal::open(directory.path(), &[], 24, 80);
    picker.wait("the picker", |s| s.contains("› quickstart"));
    picker.close();

    let mut run = Background::train(directory.path());
    attach(directory.path()).close();
    end_run(attach(directory.path()));
    assert_eq!(run.0.wait().unwrap().code(), Some(3));

    let mut training = Terminal::open(directory.path(), &["--preset", "quickstart"], 24, 80);
    training.wait("the training", |s| iteration(s) >= 3);
    training.close();
    assert!(directory.path().join("runs/quickstart-s1-2/checkpoints/last").is_file());

    // Without the signal that says so.
    let program = [("NEM_TUI", env!("CARGO_BIN_EXE_nem-tui"))];
    let deaf = ["-c", "trap '' HUP; exec \"$NEM_TUI\" --preset quickstart"];
    let mut training = Terminal::spawn(Path::new("sh"), directory.path(), &deaf, 24, 80, &program);
    training.wait("the training", |s| iteration(s) >= 3);
    training.close();
    assert!(directory.path().join("runs/quickstart-s1-3/checkpoints/last").is_file());
}

/// If the run's process is killed, its viewers report a lost connection.
#[test]
fn a_killed_run_is_reported_to_its_viewers() {
    let directory = tempfile::tempdir().unwrap();
    let run = Background::train(directory.path());
    let mut terminal = attach(directory.path());
    drop(run);
    terminal.wait("the lost connection", |s| s.contains("the connection to runs/quickstart-s1 was lost"));
    terminal.press("q");
    assert_eq!(terminal.end(), 1);
}

#[test]
fn a_detached_run_outlives_its_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::open(directory.path(), &["--preset", "quickstart"], 30, 120);
    terminal.wait("the training", |s| iteration(s) >= 2);
    terminal.press("k");
    terminal.wait("three components", |s| s.contains("K 3  ") && s.contains("2 mask"));
    terminal.press(" ");
    terminal.wait("the pause", |s| s.contains("‖ paused"));
    terminal.press("q");
    terminal.wait("the question", |s| s.contains("d  continue in the background, unpaused"));
    let before = iteration(&terminal.text());
    terminal.press("d");
    // This closes the terminal.
    let (code, raw) = terminal.end_with_output();
    let raw = String::from_utf8_lossy(&raw);
    assert_eq!(code, 0, "{raw}");
    assert!(raw.contains("attach with `nem-tui attach runs/quickstart-s1`"), "{raw}");

    let mut terminal = attach(directory.path());
    terminal.wait("the run continuing", |s| s.contains("● training") && iteration(s) > before + 2);
    terminal.wait("the live change still in force", |s| s.contains("K 3  "));
    end_run(terminal);
}

/// The list is gone back to while the training continues in the background; from there it is attached to.
#[test]
fn a_run_continues_behind_the_list_and_is_attached_to_from_there() {
    let directory = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::open(directory.path(), &["--preset", "quickstart"], 30, 120);
    terminal.wait("the training", |s| iteration(s) >= 2);
    terminal.press("\x1b");
    terminal.wait("the question", |s| s.contains("d  detach: it continues in the background"));
    let before = iteration(&terminal.text());
    terminal.press("d");
    terminal.wait("the list", |s| s.contains("› ● quickstart-s1") && s.contains("enter attaches"));
    terminal.press("\r");
    terminal.wait("the run", |s| s.contains("attached") && iteration(s) > before);
    terminal.press("\x1b");
    terminal.wait("the list again", |s| s.contains("› ● quickstart-s1"));
    terminal.press("\r");
    terminal.wait("the run again", |s| s.contains("attached") && iteration(s) > before);
    // A fork of it takes the screen, and it continues behind that.
    terminal.press(":fork last k=5\r");
    terminal.wait("the fork", |s| s.contains("quickstart-s1-2, forked at ") && s.contains("4 mask"));
    terminal.press("\x1b");
    terminal.wait("the question", |s| s.contains("d  detach: it continues in the background"));
    terminal.press("y");
    terminal.wait("both in the list", |s| s.contains("› quickstart-s1-2") && s.contains("● quickstart-s1 "));
    terminal.press("/running\r");
    terminal
        .wait("the first alone", |s| s.contains("› ● quickstart-s1 ") && !s.contains("quickstart-s1-2  it"));
    terminal.press("\r");
    terminal.wait("the first", |s| s.contains("attached") && s.contains("K 4  "));
    end_run(terminal);
    assert!(directory.path().join("runs/quickstart-s1/checkpoints/last").is_file());
}

/// Keys from the config, and the mouse: a click selects, a second one opens, the wheel scrolls, and M releases the
/// mouse.
#[test]
fn the_config_and_the_mouse_are_in_force() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("mine.ron");
    let named = [("NEM_TUI_CONFIG", config.to_str().unwrap())];
    std::fs::write(&config, r#"(keys: { "help": "f1" })"#).unwrap();
    let mut terminal = Terminal::open_with(directory.path(), &[], 30, 120, &named);
    terminal.wait("the picker", |s| s.contains("f1 help"));
    terminal.press("\x1bOP");
    terminal.wait("the help", |s| s.contains("choose a model, a preset or a run"));
    terminal.press("x");
    terminal.wait("the help gone", |s| !s.contains("choose a model, a preset or a run"));
    let row = terminal.text().lines().position(|line| line.contains("static-shapes  AMI")).unwrap() + 1;
    let click = format!("\x1b[<0;5;{row}M\x1b[<0;5;{row}m");
    terminal.press(&click);
    terminal.wait("the model chosen", |s| s.contains("› static-shapes  AMI"));
    terminal.press(&click);
    terminal.wait("the model", |s| s.contains("◆ trained model") && s.contains("EM step 20/20"));
    terminal.press("\x1b[<64;60;10M");
    terminal.wait("an earlier EM step", |s| s.contains("EM step 19/20"));
    terminal.press("M");
    terminal.wait("the mouse let go", |s| s.contains("the mouse selects text"));
    assert_eq!(terminal.parser.screen().mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    terminal.press("q");
    assert_eq!(terminal.end(), 0);

    std::fs::write(&config, r#"(keys: { "halp": "f1" })"#).unwrap();
    let mut terminal = Terminal::open_with(directory.path(), &[], 30, 120, &named);
    terminal.wait("what is wrong", |s| {
        s.contains("mine.ron: keys: no action is called \"halp\"; did you mean \"help\"?")
    });
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

/// A config that cannot be read is reported even without the picker.
#[test]
fn a_broken_config_is_reported_in_the_workbench() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("mine.ron");
    std::fs::write(&config, "(theme: Pink)").unwrap();
    let named = [("NEM_TUI_CONFIG", config.to_str().unwrap())];
    let mut terminal = Terminal::open_with(directory.path(), &["--preset", "quickstart"], 30, 120, &named);
    terminal.wait("what is wrong", |s| s.contains("mine.ron") && iteration(s) >= 1);
    terminal.press("\x03");
    assert_eq!(terminal.end(), 0);
}

/// Ctrl-Z returns the terminal to the shell, and `fg` restores the whole screen.
#[test]
fn control_z_suspends_and_fg_resumes() {
    let directory = tempfile::tempdir().unwrap();
    let program = ("NEM_TUI", env!("CARGO_BIN_EXE_nem-tui"));
    let prompt = ("PS1", "prompt$ ");
    // Only a shell with job control can resume a suspended program.
    let mut terminal =
        Terminal::spawn(Path::new("sh"), directory.path(), &["-i"], 30, 120, &[program, prompt]);
    terminal.wait("the shell", |s| s.contains("prompt$"));
    terminal.press("\"$NEM_TUI\" --preset quickstart\r");
    terminal.wait("the pictures", |s| s.contains("● training") && s.contains("3 mask"));
    assert!(terminal.is_taken());
    terminal.press("\x1a");
    terminal.wait("the shell again", |s| s.contains("Stopped") || s.contains("Suspended"));
    assert!(!terminal.is_taken() && !terminal.parser.screen().hide_cursor());
    assert_eq!(terminal.parser.screen().mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    terminal.press("fg\r");
    terminal.wait("the whole screen", |s| s.contains("● training") && s.contains("3 mask"));
    assert!(terminal.is_taken());
    assert_ne!(terminal.parser.screen().mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    let before = iteration(&terminal.text());
    terminal.wait("the training continuing", |s| iteration(s) > before);
    terminal.press("qy");
    terminal.wait("the shell at last", |s| s.contains("prompt$") && !s.contains("training"));
    terminal.press("exit\r");
    assert_eq!(terminal.end(), 0);
    assert!(directory.path().join("runs/quickstart-s1/checkpoints/last").is_file());
}

/// A workbench in a shell with job control, and its process.
fn in_a_shell(directory: &Path) -> (Terminal, String) {
    let variables = [("NEM_TUI", env!("CARGO_BIN_EXE_nem-tui")), ("PS1", "prompt$ ")];
    let mut terminal = Terminal::spawn(Path::new("sh"), directory, &["-i"], 30, 120, &variables);
    terminal.wait("the shell", |s| s.contains("prompt$"));
    terminal.press("sh -c 'echo $$ > pid; exec \"$NEM_TUI\" --preset quickstart'\r");
    terminal.wait("the pictures", |s| s.contains("● training") && s.contains("3 mask"));
    let pid = std::fs::read_to_string(directory.join("pid")).unwrap().trim().to_owned();
    (terminal, pid)
}

fn kill(signal: &str, pid: &str) {
    assert!(std::process::Command::new("kill").args([signal, pid]).status().unwrap().success());
}

/// Suspended from elsewhere and continued at another size, the screen is whole again, and so are the keys.
#[test]
fn a_suspension_from_elsewhere_gives_the_terminal_back_and_takes_it_again() {
    let directory = tempfile::tempdir().unwrap();
    let (mut terminal, pid) = in_a_shell(directory.path());
    let stopped = |s: &str| s.contains("Stopped") || s.contains("Suspended");
    kill("-TSTP", &pid);
    terminal.wait("the shell again", stopped);
    assert!(!terminal.is_taken() && !terminal.parser.screen().hide_cursor());
    assert!(!terminal.parser.screen().bracketed_paste() && !terminal.text().contains("● training"));
    terminal.resize(40, 140);
    terminal.press("fg\r");
    let whole =
        |s: &str| s.contains("● training") && s.contains("3 mask") && !stopped(s) && !s.contains("prompt$");
    terminal.wait("the whole screen, larger", |s| whole(s) && s.lines().count() == 40);
    assert!(terminal.is_taken() && terminal.parser.screen().bracketed_paste());
    terminal.press("k");
    terminal.wait("three components", |s| s.contains("K 3  ") && s.contains("2 mask"));

    // Nobody can give the terminal back for this one, and the shell writes over the screen.
    kill("-STOP", &pid);
    terminal.wait("the shell again", stopped);
    terminal.resize(30, 120);
    // The shell does not change the mode, in which Enter ends no line.
    terminal.press("fg\n");
    let whole =
        |s: &str| s.contains("● training") && s.contains("2 mask") && !stopped(s) && !s.contains("fg");
    terminal.wait("the whole screen, smaller", |s| whole(s) && s.lines().count() == 30);
    terminal.press("K");
    terminal.wait("four components", |s| s.contains("K 4  ") && s.contains("3 mask"));
    kill("-USR1", &pid);
    terminal.wait("a checkpoint", |s| saved_at(s).is_some());
    terminal.press("qy");
    terminal.wait("the shell at last", |s| s.contains("prompt$") && !s.contains("training"));
    terminal.press("exit\r");
    assert_eq!(terminal.end(), 0);
}

/// In the background it trains, draws nothing and takes no key; in the foreground again it has the whole screen.
#[test]
fn in_the_background_the_terminal_is_the_shells() {
    let directory = tempfile::tempdir().unwrap();
    let (mut terminal, pid) = in_a_shell(directory.path());
    let before = iteration(&terminal.text());
    terminal.press("\x1a");
    terminal.wait("the shell again", |s| s.contains("Stopped") || s.contains("Suspended"));
    terminal.press("bg\r");
    // It takes this signal while it runs.
    kill("-USR1", &pid);
    let metrics = directory.path().join("runs/quickstart-s1/metrics.jsonl");
    let deadline = Instant::now() + PATIENCE;
    while (std::fs::read_to_string(&metrics).unwrap().lines().count() as u64) < before + 20 {
        assert!(Instant::now() < deadline, "it does not train in the background");
        std::thread::sleep(Duration::from_millis(20));
    }
    terminal.press("echo kK''lL\r");
    terminal.wait("the shell's answer", |s| s.contains("kKlL"));
    assert!(!terminal.is_taken() && !terminal.text().contains("● training"));
    terminal.press("fg\r");
    terminal.wait("the whole screen", |s| s.contains("● training") && s.contains("3 mask"));
    assert!(terminal.is_taken() && iteration(&terminal.text()) >= before);
    terminal.press("qy");
    terminal.wait("the shell at last", |s| s.contains("prompt$") && !s.contains("training"));
    terminal.press("exit\r");
    assert_eq!(terminal.end(), 0);
    let changes = std::fs::read_to_string(&metrics).unwrap();
    assert!(!changes.contains("\"change\""), "keys for the shell steered the training");
}

/// Pasted text steers nothing, and goes into a command; a key in pieces is one key; Ctrl-L redraws everything.
#[test]
fn pasted_text_and_keys_in_pieces_are_what_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::open(directory.path(), &["--preset", "quickstart"], 30, 120);
    terminal.wait("the pictures", |s| s.contains("● training") && s.contains("3 mask"));
    terminal.press("\x1b[200~kK lL nN\rqy\x1b[201~");
    terminal.wait("what became of it", |s| s.contains("pasted text does nothing here"));
    terminal.press(":\x1b[200~noise\r\n0.3\n\x1b[201~");
    terminal.wait("the command", |s| s.contains(":noise 0.3"));
    terminal.press("\r");
    terminal.wait("more noise", |s| s.contains("noise 0.30  "));
    terminal.press("i");
    terminal.wait("the inspector", |s| s.contains("pixel 10, 10"));
    for piece in ["\x1b[", "C", "\x1b", "[B", "\x1bO", "C", "\x1b[1;", "2", "B"] {
        terminal.press(piece);
    }
    terminal.wait("two pixels to the right and two down", |s| s.contains("pixel 12, 12"));
    terminal.press("\x1b");
    terminal.wait("the workbench again", |s| s.contains("● training") && s.contains("3 mask"));
    // Something else has written over the screen.
    terminal.parser.process(b"\x1b[2J\x1b[Hrubbish");
    assert!(!terminal.text().contains("● training"));
    terminal.press("\x0c");
    terminal.wait("the whole screen", |s| {
        s.contains("● training") && s.contains("3 mask") && s.contains("gamma") && !s.contains("rubbish")
    });
    terminal.press("\x03");
    assert_eq!(terminal.end(), 0);
    let metrics = std::fs::read_to_string(directory.path().join("runs/quickstart-s1/metrics.jsonl")).unwrap();
    let changes: Vec<&str> = metrics.lines().filter(|line| line.contains("\"change\"")).collect();
    assert!(changes.len() == 1 && changes[0].contains("Noise"), "{changes:?}");
}

/// Nobody waits for a terminal's answers, keys that are pressed before them are keys, and the answers are not.
#[test]
fn a_terminal_that_answers_late_delays_nothing_and_loses_no_key() {
    let directory = tempfile::tempdir().unwrap();
    let kitty = [("TERM", "xterm-kitty"), ("KITTY_WINDOW_ID", "1")];
    let mut terminal = Terminal::open_with(directory.path(), &[], 40, 120, &kitty);
    terminal.press("?");
    terminal.wait("the help", |s| s.contains("choose a model, a preset or a run"));
    terminal.press("x");
    terminal.wait("the picker", |s| s.contains("static-shapes") && s.contains('▀'));
    // Garbage first.
    terminal.press("\x1b]11;rgb:kK/lL/qq\x1b\\\x1b[?2026;2$y\x1bP1+r544e=q\x1b\\");
    terminal.press("\x1b_Gi=31;OK\x1b\\\x1b[?62c\x1b[6;16;8t\x1b[0n");
    terminal.wait_bytes(b"\x1b_Gq=2,i=");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

/// A terminal that takes no more output stops neither the training nor a request to end.
#[test]
fn a_terminal_that_takes_nothing_holds_nothing_up() {
    use nem_tui::live::socket::attach;
    let directory = tempfile::tempdir().unwrap();
    let pair = native_pty_system().openpty(size(60, 200)).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_nem-tui"));
    command.args(["--preset", "quickstart"]);
    command.cwd(directory.path());
    command.env("TERM", "xterm-256color");
    let mut child = pair.slave.spawn_command(command).unwrap();
    let run = directory.path().join("runs/quickstart-s1");
    let deadline = Instant::now() + PATIENCE;
    let mut viewer = loop {
        match attach(&run) {
            Ok(viewer) => break viewer,
            Err(e) => assert!(Instant::now() < deadline, "{e}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    // Many times as many frames as the terminal's buffer holds.
    let mut epochs = 0;
    while epochs < 3 {
        epochs += usize::from(matches!(viewer.events.blocking_recv().unwrap(), Event::Epoch(_)));
    }
    drop(viewer);
    kill("-TERM", &child.process_id().unwrap().to_string());
    let mut killer = child.clone_killer();
    let (sender, ended) = channel();
    std::thread::spawn(move || sender.send(child.wait()));
    let Ok(status) = ended.recv_timeout(PATIENCE) else {
        killer.kill().unwrap();
        panic!("it waits for the terminal");
    };
    assert_eq!(status.unwrap().exit_code(), 0);
    assert!(run.join("checkpoints/last").is_file());
}

/// With NO_COLOR no colour is ever sent, and pictures are made of characters.
#[test]
fn no_color_means_no_colour() {
    let directory = tempfile::tempdir().unwrap();
    let mut terminal =
        Terminal::open_with(directory.path(), &["--preset", "quickstart"], 24, 80, &[("NO_COLOR", "1")]);
    terminal.wait("the pictures", |s| iteration(s) >= 1 && s.contains("gamma") && !s.contains('▀'));
    terminal.press("\x03");
    let screen = terminal.parser.screen();
    let colours = |row, col| screen.cell(row, col).map(|cell| (cell.fgcolor(), cell.bgcolor()));
    let plain = Some((vt100::Color::Default, vt100::Color::Default));
    assert!((0..24).all(|row| (0..80).all(|col| colours(row, col) == plain)));
    assert_eq!(terminal.end(), 0);
}

/// A terminal that may draw pictures is asked what it supports and then sent pictures; others get half-blocks.
#[test]
fn a_terminal_that_draws_pictures_is_sent_some() {
    let directory = tempfile::tempdir().unwrap();
    let kitty = [("TERM", "xterm-kitty"), ("KITTY_WINDOW_ID", "1")];
    let mut terminal = Terminal::open_with(directory.path(), &[], 40, 120, &kitty);
    terminal.wait_bytes(b"\x1b[5n");
    // It supports pictures, its cells are 8x16 pixels, and its status is fine.
    terminal.press("\x1b_Gi=31;OK\x1b\\\x1b[?62c\x1b[6;16;8t\x1b[0n");
    terminal.wait("the picker", |s| s.contains("static-shapes"));
    terminal.wait_bytes(b"\x1b_Gq=2,i=");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);

    let mut plain = Terminal::open(directory.path(), &[], 40, 120);
    plain.wait("the picker", |s| s.contains("static-shapes") && s.contains('▀'));
    plain.press("q");
    let (code, raw) = plain.end_with_output();
    assert!(code == 0 && !raw.windows(3).any(|part| part == b"\x1b_G"));
}

/// A file of the newest run never ends: the screen comes all the same, the other run is offered, and `q` leaves.
#[test]
fn a_run_that_cannot_be_read_holds_nothing_up() {
    use nem_tui::live::begin::{Ending, Job, start};
    let directory = tempfile::tempdir().unwrap();
    let runs = directory.path().join("runs");
    let job = Job {
        out: Some(runs.join("readable")),
        ending: Ending { max_iterations: Some(1), ..Ending::default() },
        ..Job::new(Preset::load("quickstart").unwrap(), 1, nem_tui::backend::DeviceName::Flex)
    };
    let mut handle = start(&job).unwrap();
    while !matches!(handle.events.blocking_recv(), Some(Event::Finished(_)) | None) {}
    drop(handle);
    let (readable, stuck) = (runs.join("readable"), runs.join("stuck"));
    let checkpoint = Path::new("checkpoints").join("it-00000001");
    std::fs::create_dir_all(stuck.join(&checkpoint)).unwrap();
    for file in [Path::new("run.json"), Path::new("checkpoints/last"), &checkpoint.join("manifest.json")] {
        std::fs::copy(readable.join(file), stuck.join(file)).unwrap();
    }
    let endless = stuck.join(&checkpoint).join("preset.ron");
    assert!(std::process::Command::new("mkfifo").arg(endless).status().unwrap().success());
    std::fs::write(stuck.join("metrics.jsonl"), "").unwrap();
    let mut terminal = Terminal::open(directory.path(), &[], 40, 120);
    terminal.wait("the other run", |s| s.contains("readable  it 1") && s.contains("› quickstart"));
    terminal.press("\x1b[B");
    terminal.wait("the next preset and its data", |s| s.contains("› static") && s.contains("with noise"));
    assert!(!terminal.text().contains("stuck"));
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

/// A workbench whose preview panics. It would end this process's terminal, so it only runs inside the
/// pseudo-terminal of the test below.
#[test]
#[ignore = "started by a_panic_leaves_the_terminal_sane"]
fn a_workbench_that_panics() {
    struct Broken;
    impl Backstage for Broken {
        fn shelf(&self) -> Shelf {
            Shelf {
                presets: vec![Preset::load("quickstart").unwrap()],
                devices: vec!["flex".into()],
                ..Shelf::default()
            }
        }
        fn preview(&self, _: &Preset, index: u64) -> Result<Preview> {
            assert!(index == 0, "on purpose");
            Err(Error::Usage("no preview".into()))
        }
    }
    let _ = nem_tui::tui::run(std::sync::Arc::new(Broken), None, Ok(nem_tui::tui::config::Config::default()));
}

#[test]
fn a_panic_leaves_the_terminal_sane_and_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let child = ["a_workbench_that_panics", "--exact", "--ignored", "--nocapture"];
    let mut terminal = Terminal::spawn(&this, directory.path(), &child, 24, 80, &[]);
    terminal.wait("the picker", |s| s.contains("quickstart"));
    terminal.press("\x1b[C");
    let (code, raw) = terminal.end_with_output();
    assert_ne!(code, 0);
    let raw = String::from_utf8_lossy(&raw);
    let (left, reported) = (raw.find("\x1b[?1049l"), raw.find("on purpose"));
    assert!(left.is_some() && left < reported, "the report must come after the screen is left");
}

/// A run is saved even if the thread that holds it panics.
#[test]
fn a_run_outlives_a_panic_of_its_holder() {
    use nem_tui::live::begin::{Job, start};
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("r");
    let job = Job {
        out: Some(out.clone()),
        ..Job::new(Preset::load("quickstart").unwrap(), 1, nem_tui::backend::DeviceName::Flex)
    };
    let holder = std::thread::spawn(move || {
        let mut handle = start(&job).unwrap();
        while !matches!(handle.events.blocking_recv(), Some(Event::Iterations(_))) {}
        panic!("on purpose");
    });
    assert!(holder.join().is_err());
    assert!(out.join("checkpoints/last").is_file());
}
