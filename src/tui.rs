//! The workbench: one loop around a pure state.
//!
//! ```text
//! keys, engine events, pictures, signals ──▶ Message ──▶ update(&mut App) ──▶ Effect ──▶ engine
//!                                                            │
//!                                                            ▼
//!                                                     view(&App) ──▶ terminal
//! ```
//!
//! `update` and `view` know no terminal and no clock, and are tested without one. This file is the
//! shell around them: it waits, carries effects out, and decides when a frame is worth drawing.

pub mod actions;
pub mod album;
pub mod app;
pub mod command_line;
pub mod config;
pub mod curve_view;
mod gallery;
pub mod health;
pub mod history;
mod input;
pub mod inspector;
pub mod keymap;
pub mod mouse;
pub mod overlay;
pub mod signals;
mod terminal;
#[cfg(test)]
mod testing;
pub mod theme;
pub mod update;
pub mod view;
mod width;
pub mod workbench;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{Event as TerminalEvent, KeyEventKind};
use ratatui::Frame;
use ratatui::layout::Rect;
use tokio::sync::{mpsc, watch};

use self::app::App;
use self::config::{Config, Pictures};
use self::gallery::Gallery;
use self::input::TerminalEvents;
use self::signals::Signals;
use self::terminal::Screen;
use self::theme::Theme;
use self::update::{Effect, Message, update};
use crate::error::{Error, Result};
use crate::preset::Preset;
use crate::protocol::{Backstage, Command, Event, Finish, RunCard, RunHandle};
use crate::snapshot::Snapshot;
use crate::snapshot::{self, TILE};

/// An EM step is shown this long while they are played.
const PLAY: Duration = Duration::from_millis(150);
/// A log that is looked at is read again this much later.
const REREAD: Duration = Duration::from_millis(500);
/// What the training does is drawn more rarely, because drawing takes time from it.
const PROGRESS_FRAME: Duration = Duration::from_millis(150);

/// What to begin with, in the place of the picker.
#[derive(Debug)]
pub enum Start {
    /// A new run of this preset.
    Preset(Box<Preset>),
    /// Going on with this run.
    Run(Box<RunCard>),
    /// Looking at this run's, checkpoint's or model's weights, and at this image of the user's own.
    Model(String, Option<PathBuf>),
    /// Looking at this run of another process.
    Attached(RunHandle),
}

/// Runs the workbench until its user leaves. A run in progress is saved first, also when the system
/// asks the program to end; one of another process goes on. A `config` that cannot be read is said on the screen,
/// and does no more.
///
/// # Errors
/// No terminal, or one that fails; a `start` that cannot be.
pub fn run(backstage: &dyn Backstage, start: Option<Start>, config: Result<Config>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::Terminal(format!("the event loop could not start: {e}")))?;
    let detached = runtime.block_on(async {
        // The handle is declared before the screen, so that on the way out, by a panic too, the
        // terminal is restored first and then the run is waited for.
        let (later, mut done) = mpsc::unbounded_channel();
        let mut shell = Shell { handle: None, backstage, detached: None, later, suspend: false };
        let mut screen =
            Screen::enter(config.as_ref().map_or(Config::default().mouse, |config| config.mouse))?;
        let theme = Theme::detect(|name| std::env::var(name).ok());
        let mut app = App::new(theme);
        app.configure(config);
        app.here = std::env::current_dir().unwrap_or_default();
        app.home = std::env::home_dir().unwrap_or_default();
        if !matches!(start, Some(Start::Attached(_))) {
            let shelf = Message::Shelf(backstage.shelf());
            shell.handle_message(&mut app, shelf);
        }
        let device = app.picker.device().to_owned();
        match start {
            Some(Start::Preset(preset)) => shell.carry_out(&mut app, Effect::Start(preset, device)),
            Some(Start::Run(run)) => shell.carry_out(&mut app, Effect::Resume(run, device)),
            Some(Start::Model(model, image)) => {
                app.opening = image;
                shell.carry_out(&mut app, Effect::Open(model, device))
            }
            Some(Start::Attached(handle)) => {
                app.attached = true;
                app.starting = true;
                shell.handle = Some(handle);
                false
            }
            None => false,
        };
        let asked =
            app.config.pictures == Pictures::Auto && gallery::is_likely(|name| std::env::var(name).ok());
        let mut gallery = asked.then(Gallery::ask).flatten();
        shell.turn(&mut app, &mut screen, &mut gallery, &mut done).await?;
        drop(screen);
        // A run that failed, at the last save perhaps, must not look like one that went well.
        match app.workbench.and_then(|workbench| workbench.finish) {
            Some(Finish::Failed(sentence)) => Err(Error::Failed(sentence)),
            _ => Ok(shell.detached.take()),
        }
    })?;
    // By now this process no longer holds the run.
    detached.map_or(Ok(()), |(run, device)| backstage.detach(&run, &device))
}

/// What the state must not know: the engine's handle and the rest of the program.
struct Shell<'a> {
    handle: Option<RunHandle>,
    backstage: &'a dyn Backstage,
    /// The run that is to go on without a screen, and its device.
    detached: Option<(PathBuf, String)>,
    /// For what is done aside to say that it is done.
    later: mpsc::UnboundedSender<Message>,
    /// Whether the process is to be suspended as soon as this message is dealt with.
    suspend: bool,
}

impl Shell<'_> {
    /// The loop.
    async fn turn(
        &mut self,
        app: &mut App,
        screen: &mut Screen,
        gallery: &mut Option<Gallery>,
        done: &mut mpsc::UnboundedReceiver<Message>,
    ) -> Result<()> {
        let mut keys = TerminalEvents::read()?;
        let mut signals =
            Signals::new().map_err(|e| Error::Terminal(format!("cannot listen for signals: {e}")))?;
        let mut next_frame = Instant::now();
        let mut next_step = Instant::now();
        let mut next_read = Instant::now();
        let mut dirty = true;
        let mut drawn = Rect::default();
        loop {
            let message = tokio::select! {
                biased;
                () = signals.next() => Some(Message::Terminate),
                key = keys.next() => match key {
                    Some(Ok(TerminalEvent::Key(key))) if key.kind != KeyEventKind::Release => {
                        // As soon as no further key is waiting.
                        next_frame = Instant::now();
                        Some(Message::Key(key))
                    }
                    Some(Ok(TerminalEvent::Mouse(event))) => {
                        let message = mouse::message(app, drawn, event);
                        if message.is_some() {
                            next_frame = Instant::now();
                        }
                        message
                    }
                    Some(Ok(TerminalEvent::Resize(..))) => {
                        next_frame = Instant::now();
                        dirty = true;
                        None
                    }
                    Some(Ok(_)) => None,
                    // The terminal is gone: save and leave.
                    Some(Err(_)) | None => Some(Message::Terminate),
                },
                // Drawing comes before more news, or steady news would starve it.
                () = tokio::time::sleep_until(next_frame.into()), if dirty => {
                    let started = Instant::now();
                    let mut late = false;
                    let draw = |frame: &mut Frame| {
                        let placed = view::draw(app, frame);
                        if let Some(gallery) = gallery {
                            late = gallery.draw(&placed, frame.buffer_mut());
                        }
                    };
                    drawn = screen
                        .terminal
                        .draw(draw)
                        .map(|frame| frame.area)
                        .map_err(|e| Error::Terminal(format!("the terminal cannot be drawn on: {e}")))?;
                    dirty = late;
                    next_frame = started + PROGRESS_FRAME;
                    continue;
                }
                () = tokio::time::sleep_until(next_step.into()), if app.is_playing() => {
                    next_step = Instant::now() + PLAY;
                    next_frame = next_frame.min(Instant::now());
                    Some(Message::Tick)
                }
                Some(message) = done.recv() => Some(message),
                () = tokio::time::sleep_until(next_read.into()), if app.follows_log() => {
                    next_read = Instant::now() + REREAD;
                    Some(Message::Reread)
                }
                news = news(&mut self.handle) => {
                    if let Message::EngineGone = news {
                        self.handle = None;
                    }
                    Some(news)
                }
            };
            if let Some(message) = message {
                dirty = true;
                if matches!(message, Message::Engine(Event::Finished(_))) {
                    // The channels are closed from here on and would be ready for ever; and what is begun
                    // next finds the run's directory and device free.
                    self.handle = None;
                }
                if self.handle_message(app, message) {
                    return Ok(());
                }
                if std::mem::take(&mut self.suspend) {
                    if let Err(error) = screen.suspend(app.config.mouse) {
                        update(app, Message::Told(error.to_string()));
                    }
                    // The terminal may have lost what it was sent.
                    gallery.iter_mut().for_each(Gallery::forget);
                    next_frame = Instant::now();
                }
            }
        }
    }

    /// Takes in a message and carries its effects out; true when it is time to go.
    fn handle_message(&mut self, app: &mut App, message: Message) -> bool {
        let mut exit = false;
        for effect in update(app, message) {
            exit |= self.carry_out(app, effect);
        }
        exit
    }

    fn carry_out(&mut self, app: &mut App, effect: Effect) -> bool {
        match effect {
            Effect::Exit => return true,
            Effect::Send(command) => self.send(command),
            Effect::Detach(run, device) => self.detached = Some((run, device)),
            Effect::Start(preset, device) => {
                let started = self.backstage.start(&preset, &device);
                self.adopt(app, started);
            }
            Effect::Open(model, device) => {
                let opened = self.backstage.open(&model, &device);
                self.adopt(app, opened);
            }
            Effect::Resume(run, device) => {
                let resumed = self.backstage.resume(&run, &device);
                self.adopt(app, resumed);
            }
            Effect::Find(run, name, sets) => {
                let found = self.backstage.checkpoint(&run, &name).map_err(|error| error.to_string());
                return self.handle_message(app, Message::Found(found, sets));
            }
            Effect::Fork(from, sets, device) => {
                let forked = self.backstage.fork(&from, &sets, &device);
                self.adopt(app, forked);
            }
            Effect::Restart(run, sets, device) => {
                let restarted = self.backstage.restart(&run, &sets, &device);
                self.adopt(app, restarted);
            }
            Effect::Save(snapshot, view, file) => {
                let told = self.later.clone();
                // A long animation takes seconds; the runtime waits for it on the way out.
                tokio::task::spawn_blocking(move || {
                    let saved = match snapshot::save(&snapshot, view, TILE, &file) {
                        Ok(()) => format!("written: {}", file.display()),
                        Err(error) => error.to_string(),
                    };
                    let _ = told.send(Message::Told(saved));
                });
            }
            Effect::SaveCurves(run, file) => {
                let saved = match self.backstage.save_curves(&run, &file) {
                    Ok(()) => format!("written: {}", file.display()),
                    Err(error) => error.to_string(),
                };
                return self.handle_message(app, Message::Told(saved));
            }
            Effect::List(directory, listing) => {
                let names = command_line::files_in(&directory, listing.images);
                return self.handle_message(app, Message::Listed(listing, names));
            }
            Effect::Copy(text) => {
                // The terminal may not know this; then it says nothing, and the text is on the screen.
                let _ = crossterm::execute!(std::io::stdout(), CopyToClipboard::to_clipboard_from(&text));
            }
            Effect::Moments(run) => {
                return self.handle_message(app, Message::Moments(self.backstage.moments(&run)));
            }
            Effect::Moment(run, iteration, sample) => {
                let moment = self.backstage.moment(&run, iteration, sample);
                let moment = moment.map(Arc::new).map_err(|e| e.to_string());
                return self.handle_message(app, Message::Moment(moment));
            }
            Effect::Runs => {
                return self.handle_message(app, Message::Runs(self.backstage.runs()));
            }
            Effect::Compare(run) => {
                let told = match self.backstage.rival(&run) {
                    Ok(read) => Message::Compared(run, Box::new(read)),
                    Err(error) => Message::Told(error.to_string()),
                };
                return self.handle_message(app, told);
            }
            Effect::Notify(notice, text) => terminal::notify(notice, &text),
            Effect::ReadLog(run) => {
                let log = self.backstage.log(&run).map_err(|error| error.to_string());
                return self.handle_message(app, Message::Log(log));
            }
            Effect::Suspend => self.suspend = true,
            Effect::Mouse(on) => terminal::capture_mouse(on),
            Effect::Preview(preset, index) => {
                let preview = self.backstage.preview(&preset, index).ok();
                return self.handle_message(app, Message::Preview(preview));
            }
        }
        false
    }

    fn send(&self, command: Command) {
        if let Some(handle) = &self.handle {
            handle.send(command);
        }
    }

    fn adopt(&mut self, app: &mut App, handle: Result<RunHandle>) {
        match handle {
            Ok(handle) => self.handle = Some(handle),
            Err(error) => {
                self.handle_message(app, Message::StartFailed(error.to_string()));
            }
        }
    }
}

/// What the engine has to say or to show next. Without an engine, waits for ever.
async fn news(handle: &mut Option<RunHandle>) -> Message {
    let Some(RunHandle { events, snapshots, .. }) = handle else { return std::future::pending().await };
    tokio::select! {
        event = events.recv() => event.map_or(Message::EngineGone, Message::Engine),
        picture = newest(snapshots) => Message::Picture(picture),
    }
}

async fn newest(snapshots: &mut watch::Receiver<Option<Arc<Snapshot>>>) -> Arc<Snapshot> {
    while snapshots.changed().await.is_ok() {
        if let Some(picture) = snapshots.borrow_and_update().clone() {
            return picture;
        }
    }
    // No more will come; the events say why.
    std::future::pending().await
}
