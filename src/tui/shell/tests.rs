use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tokio::sync::{mpsc as tokio_mpsc, watch};

use super::*;
use crate::error::Error;
use crate::protocol::{Call, Caller, Command, Finish, Preview, Shelf};
use crate::stop::Stop;
use crate::tui::theme::{Depth, Theme};

/// A call that blocks until it is released.
struct Gate(Mutex<Receiver<()>>);

impl Gate {
    fn new() -> (Sender<()>, Gate) {
        let (opens, gate) = channel();
        (opens, Gate(Mutex::new(gate)))
    }

    /// Also returns when the test ends.
    fn wait(&self) {
        let _ = self.0.lock().unwrap().recv();
    }
}

/// A program whose every call blocks.
struct Stuck {
    shelf: Gate,
    runs: Gate,
    preview: Gate,
    start: Gate,
    /// Receives a started run's commands, until its handle is dropped.
    told: Mutex<Option<Sender<Command>>>,
}

impl Backstage for Stuck {
    fn shelf(&self) -> Shelf {
        self.shelf.wait();
        let presets = ["quickstart", "static-shapes-nem"].map(|name| Preset::load(name).unwrap());
        Shelf { models: vec![], presets: presets.into(), devices: vec!["flex".into()] }
    }

    fn runs(&self, found: &(dyn Fn(RunCard) + Sync)) {
        found(card("first"));
        self.runs.wait();
        found(card("second"));
    }

    fn preview(&self, preset: &Preset, index: u64) -> Result<Preview> {
        self.preview.wait();
        let image = preset.data.image();
        let clean = vec![index as f32; image.values()];
        Ok(Preview { image, noisy: clean.clone(), clean, groups: vec![0; image.pixels()] })
    }

    fn start(&self, _: &Preset, _: &str) -> Result<RunHandle> {
        self.start.wait();
        let Some(told) = self.told.lock().unwrap().take() else {
            return Err(Error::Failed("no disk".into()));
        };
        let (calls, mut sent) = tokio_mpsc::unbounded_channel();
        let (says, events) = tokio_mpsc::channel(1);
        let thread = thread::spawn(move || {
            while let Some(call) = sent.blocking_recv() {
                let Call::Command(_, command) = call else { continue };
                let over = command == Command::Stop;
                let _ = told.send(command);
                if over {
                    return;
                }
                let _ = says.blocking_send(Event::Paused(true));
            }
        });
        Ok(RunHandle::new(Caller::new(calls, Stop::default()), events, watch::channel(None).1, thread))
    }
}

fn card(name: &str) -> RunCard {
    RunCard {
        directory: Path::new("runs").join(name),
        preset: Preset::load("quickstart").unwrap(),
        seed: 1,
        iteration: 1,
        ami: None,
        changed: std::time::SystemTime::UNIX_EPOCH,
        trouble: None,
        ..RunCard::new("runs".into(), Preset::load("quickstart").unwrap())
    }
}

/// A workbench around a program that is stuck, and what lets it go.
struct Bench {
    app: App,
    shell: Shell,
    terminal: Terminal<TestBackend>,
    runtime: tokio::runtime::Runtime,
    shelf: Sender<()>,
    runs: Sender<()>,
    preview: Sender<()>,
    start: Sender<()>,
    told: Receiver<Command>,
}

impl Bench {
    fn new(starts: bool) -> Bench {
        let [(shelf, a), (runs, b), (preview, c), (start, d)] = std::array::from_fn(|_| Gate::new());
        let (tells, told) = channel();
        let told_by = Mutex::new(starts.then_some(tells));
        let stuck = Stuck { shelf: a, runs: b, preview: c, start: d, told: told_by };
        let mut app = App::new(Theme::new(Depth::True));
        let shell = Shell::new(Arc::new(stuck), &mut app, None);
        let terminal = Terminal::new(TestBackend::new(100, 30)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Bench { app, shell, terminal, runtime, shelf, runs, preview, start, told }
    }

    /// Presses a key and draws; true when the program is to exit.
    fn press(&mut self, key: KeyCode) -> bool {
        let exit = self.shell.handle_message(&mut self.app, Message::Key(KeyEvent::from(key)));
        self.terminal.draw(|frame| drop(view::draw(&self.app, frame))).unwrap();
        exit
    }

    /// Handles the next answer, and draws.
    fn hear(&mut self) -> Message {
        let message = self.runtime.block_on(self.shell.next());
        self.shell.handle_message(&mut self.app, message.clone());
        self.terminal.draw(|frame| drop(view::draw(&self.app, frame))).unwrap();
        message
    }

    fn screen(&self) -> String {
        self.terminal.backend().buffer().content().iter().map(|cell| cell.symbol()).collect()
    }

    /// With the models and presets read and one of two runs found.
    fn stocked(starts: bool) -> Bench {
        let mut bench = Bench::new(starts);
        bench.shelf.send(()).unwrap();
        assert!(matches!(bench.hear(), Message::Shelf(_)));
        assert!(matches!(bench.hear(), Message::Runs(_)));
        bench
    }
}

#[test]
fn keys_are_handled_and_frames_drawn_while_everything_is_stuck() {
    let mut bench = Bench::new(false);
    assert!(!bench.press(KeyCode::Char('?')) && bench.screen().contains("all keys and commands"));
    assert!(!bench.press(KeyCode::Esc) && bench.screen().contains("models, presets, runs"));
    bench.shelf.send(()).unwrap();
    bench.hear();
    bench.hear();
    assert!(bench.screen().contains("› quickstart") && bench.screen().contains("first  it 1"));
    for _ in 0..20 {
        bench.press(KeyCode::Down);
        bench.press(KeyCode::Up);
    }
    bench.press(KeyCode::Down);
    assert!(bench.screen().contains("› static-shapes-nem"));
    bench.runs.send(()).unwrap();
    bench.hear();
    assert!(bench.screen().contains("second  it 1"));
    assert!(!bench.press(KeyCode::Enter) && bench.screen().contains("starting…"));
    assert!(bench.press(KeyCode::Char('q')), "the user can leave");
}

/// Of the previews requested while one is being made, only the last is made.
#[test]
fn only_the_latest_preview_is_made() {
    let mut bench = Bench::stocked(false);
    for _ in 0..50 {
        bench.press(KeyCode::Right);
    }
    bench.preview.send(()).unwrap();
    bench.preview.send(()).unwrap();
    let mut made = Vec::new();
    while bench.app.picker.preview.as_ref().is_none_or(|previewed| previewed.sample != 50) {
        if let Message::Preview(_, sample, _) = bench.hear() {
            made.push(sample);
        }
    }
    assert!(made.len() <= 2 && made.last() == Some(&50), "{made:?}");
    assert!(bench.screen().contains("sample 51"));
}

#[test]
fn a_run_that_is_being_started_takes_commands() {
    let mut bench = Bench::stocked(true);
    bench.press(KeyCode::Enter);
    bench.shell.carry_out(Effect::Send(Command::Pause));
    bench.start.send(()).unwrap();
    while !matches!(bench.hear(), Message::Run(Event::Paused(true))) {}
    assert_eq!(bench.told.recv(), Ok(Command::Pause));
}

/// A run that arrives after the user has left is saved and ended, because its handle is dropped.
#[test]
fn a_run_that_arrives_late_is_ended() {
    let mut bench = Bench::stocked(true);
    bench.press(KeyCode::Enter);
    assert!(bench.press(KeyCode::Char('q')));
    bench.start.send(()).unwrap();
    let Bench { runtime, mut shell, told, .. } = bench;
    runtime.block_on(shell.settle());
    drop(shell);
    assert_eq!(told.recv(), Ok(Command::Stop));
    // Its start is not waited for much longer than it takes to ask for it.
    let mut bench = Bench::stocked(true);
    bench.press(KeyCode::Enter);
    bench.runtime.block_on(bench.shell.settle());
    // The same if nobody waits for it.
    let mut bench = Bench::stocked(true);
    bench.press(KeyCode::Enter);
    drop(bench.shell);
    bench.start.send(()).unwrap();
    assert_eq!(bench.told.recv(), Ok(Command::Stop));
}

#[test]
fn a_start_that_fails_is_said_and_may_be_tried_again() {
    let mut bench = Bench::stocked(false);
    bench.press(KeyCode::Enter);
    bench.start.send(()).unwrap();
    while !matches!(bench.hear(), Message::StartFailed(_)) {}
    assert!(bench.screen().contains("no disk") && !bench.app.starting);
    bench.press(KeyCode::Enter);
    assert!(bench.press(KeyCode::Char('q')), "left before it fails");
    bench.start.send(()).unwrap();
    bench.runtime.block_on(bench.shell.settle());
}

/// A worker that is still freeing its data delays the next run, but not the screen.
#[test]
fn the_next_run_waits_until_the_last_has_ended() {
    let mut bench = Bench::stocked(false);
    let (opens, gate) = Gate::new();
    let (calls, _sent) = tokio_mpsc::unbounded_channel();
    let (says, events) = tokio_mpsc::channel(1);
    let thread = thread::spawn(move || gate.wait());
    bench.shell.run = OnScreen::Run(RunHandle::new(
        Caller::new(calls, Stop::default()),
        events,
        watch::channel(None).1,
        thread,
    ));
    says.try_send(Event::Finished(Finish::Stopped)).unwrap();
    while !matches!(bench.hear(), Message::Run(Event::Finished(_))) {}
    bench.press(KeyCode::Enter);
    bench.start.send(()).unwrap();
    assert!(bench.screen().contains("starting…"));
    let OnScreen::Starting { run, .. } = &mut bench.shell.run else { panic!("no run is being started") };
    assert!(run.try_recv().is_err(), "the last run has not ended");
    opens.send(()).unwrap();
    while !matches!(bench.hear(), Message::StartFailed(_)) {}
}
