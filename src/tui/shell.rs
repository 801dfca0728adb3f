//! The loop around the state: waits for messages, carries out effects, and decides when to draw a frame.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::clipboard::CopyToClipboard;
use ratatui::Frame;
use ratatui::layout::Rect;
use tokio::sync::mpsc;

use super::app::App;
use super::backstage::{Answer, Jobs, OnScreen};
use super::gallery::Gallery;
use super::input::{TerminalEvent, TerminalEvents};
use super::message::{Effect, Message};
use super::overlay::palette::Wanted;
use super::terminal::{self, Screen};
use super::update::update;
use super::{command_line, mouse, output, view};
use crate::error::Result;
use crate::preset::Preset;
use crate::protocol::{Backstage, Command, Event, RunCard, RunHandle};
use crate::signals::{self, Request, Requests};
use crate::snapshot::{self, TILE};

/// How long each EM step is shown while playing.
const PLAY: Duration = Duration::from_millis(150);
/// How often an open log is read again.
const REREAD: Duration = Duration::from_millis(500);
/// How often the runs of the list are read again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How often a program in the background looks whether it is in the foreground again.
const LOOK: Duration = Duration::from_millis(200);
/// The shortest time between frames that only show progress, because drawing takes time from the training.
const PROGRESS_FRAME: Duration = Duration::from_millis(200);

/// How long leaving waits for a run that is only being started.
const START: Duration = Duration::from_secs(1);

/// What to start with instead of the picker.
#[derive(Debug)]
pub enum Start {
    /// Start a new run of this preset.
    Preset(Box<Preset>),
    /// Resume this run.
    Run(Box<RunCard>),
    /// Inspect the weights of this run, checkpoint or model, and this image of the user's own.
    Model(PathBuf, Option<PathBuf>),
    /// Show this run of another process.
    Attached(RunHandle),
}

/// What the state must not contain: the run's handle and access to the rest of the program.
pub struct Shell {
    run: OnScreen,
    /// The second model or run, as long as the state has one.
    beside: OnScreen,
    jobs: Jobs,
    answers: mpsc::UnboundedReceiver<Answer>,
    /// What to start with as soon as the devices are known.
    start: Option<Start>,
    /// The run that is to continue without a screen, and its device.
    pub detached: Option<(PathBuf, String)>,
    /// Whether to redraw the whole screen after the current message.
    redraw: bool,
}

impl Shell {
    /// Starts reading the models and presets.
    pub fn new(backstage: Arc<dyn Backstage>, app: &mut App, start: Option<Start>) -> Shell {
        let (jobs, answers) = Jobs::new(backstage);
        let mut shell = Shell {
            run: OnScreen::Nothing,
            beside: OnScreen::Nothing,
            jobs,
            answers,
            start: None,
            detached: None,
            redraw: false,
        };
        app.starting = start.is_some();
        match start {
            Some(attached @ Start::Attached(_)) => drop(shell.begin(app, attached)),
            start => {
                shell.start = start;
                app.picker.reading = true;
            }
        }
        shell.jobs.once(|backstage| Message::Shelf(backstage.shelf()));
        shell
    }

    /// Runs the loop until the user leaves.
    ///
    /// # Errors
    /// A terminal that fails.
    pub async fn turn(
        &mut self,
        app: &mut App,
        screen: &mut Screen,
        gallery: &mut Option<Gallery>,
        requests: &mut Requests,
    ) -> Result<()> {
        let mut keys = TerminalEvents::read()?;
        let mut next_frame = Instant::now();
        let mut next_step = Instant::now();
        let mut next_read = Instant::now();
        let mut next_look = Instant::now() + LOOK_AGAIN;
        let mut dirty = true;
        // Once the terminal has failed nothing is drawn, but the run is still saved.
        let mut gone = false;
        let mut drawn = Rect::default();
        // In the background, when to look whether that is over.
        let mut away: Option<Instant> = None;
        loop {
            let message = tokio::select! {
                biased;
                request = requests.next() => match request {
                    Request::End => Some(Message::Terminate),
                    Request::Save => {
                        self.run.send(Command::Checkpoint);
                        None
                    }
                    Request::Suspend => {
                        let suspended = screen.suspend();
                        // A continued process is also told so.
                        away = Some(Instant::now() + LOOK);
                        suspended.err().map(|error| Message::Told(error.to_string()))
                    }
                    Request::Continued => {
                        away = Some(Instant::now());
                        None
                    }
                },
                () = sleep_until(away), if away.is_some() => {
                    away = match screen.take_back(app.config.mouse)? {
                        true => None,
                        false => Some(Instant::now() + LOOK),
                    };
                    // The terminal may have lost its pictures.
                    gallery.iter_mut().for_each(Gallery::forget);
                    (dirty, next_frame) = (true, Instant::now());
                    continue;
                }
                key = keys.next() => match key {
                    Some(Ok(TerminalEvent::Key(key))) => {
                        // Draw as soon as no other key is waiting.
                        next_frame = Instant::now();
                        Some(Message::Key(key))
                    }
                    Some(Ok(TerminalEvent::Paste(text))) => {
                        next_frame = Instant::now();
                        Some(Message::Paste(text))
                    }
                    Some(Ok(TerminalEvent::Mouse(event))) => {
                        let message = mouse::message(app, drawn, event);
                        if message.is_some() {
                            next_frame = Instant::now();
                        }
                        message
                    }
                    Some(Ok(TerminalEvent::Answer(answer))) => {
                        dirty |= gallery.as_mut().is_some_and(|gallery| gallery.hear(answer));
                        None
                    }
                    Some(Ok(TerminalEvent::Resized)) => {
                        next_frame = Instant::now();
                        dirty = true;
                        None
                    }
                    // The terminal is gone, so save and leave.
                    Some(Err(_)) | None => Some(Message::Terminate),
                },
                // A terminal that has not taken the last frame gets no other.
                () = output::written(), if dirty && away.is_none() && !output::is_written() => continue,
                // Drawing comes before further messages, which could otherwise starve it.
                () = tokio::time::sleep_until(next_frame.into()), if dirty && away.is_none() && !gone && output::is_written() => {
                    if !terminal::is_in_foreground() {
                        away = Some(Instant::now());
                        continue;
                    }
                    let started = Instant::now();
                    let mut late = false;
                    let draw = |frame: &mut Frame| {
                        let placed = view::draw(app, frame);
                        if let Some(gallery) = gallery {
                            late = gallery.draw(&placed, frame.buffer_mut());
                        }
                    };
                    let Ok(area) = screen.draw(draw) else {
                        gone = true;
                        if self.handle_message(app, Message::Terminate) {
                            break;
                        }
                        continue;
                    };
                    drawn = area;
                    app.screen = drawn;
                    dirty = late;
                    next_frame = started + PROGRESS_FRAME;
                    continue;
                }
                () = tokio::time::sleep_until(next_step.into()), if app.is_playing() => {
                    next_step = Instant::now() + PLAY;
                    next_frame = next_frame.min(Instant::now());
                    Some(Message::Tick)
                }
                () = tokio::time::sleep_until(next_read.into()), if app.follows_log() => {
                    next_read = Instant::now() + REREAD;
                    Some(Message::Reread)
                }
                () = tokio::time::sleep_until(next_look.into()), if app.shows_runs() && away.is_none() => {
                    next_look = Instant::now() + LOOK_AGAIN;
                    Some(Message::LookAgain)
                }
                message = self.next() => {
                    if answers_the_user(app, &message) {
                        next_frame = Instant::now();
                    }
                    Some(message)
                }
            };
            if let Some(message) = message {
                dirty = true;
                if self.handle_message(app, message) {
                    break;
                }
                if std::mem::take(&mut self.redraw) && away.is_none() {
                    screen.clear(app.config.mouse)?;
                    gallery.iter_mut().for_each(Gallery::forget);
                    next_frame = Instant::now();
                }
            }
        }
        // Answers that come after this would be typed into the shell.
        let left = gallery.as_ref().map_or(Duration::ZERO, Gallery::awaits);
        let answered = async {
            while let (Some(gallery), Some(Ok(event))) = (gallery.as_mut(), keys.next().await) {
                if let TerminalEvent::Answer(answer) = event {
                    gallery.hear(answer);
                }
                if gallery.awaits().is_zero() {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(left, answered).await;
        Ok(())
    }

    /// The next message of a job or the run.
    async fn next(&mut self) -> Message {
        let message = tokio::select! {
            biased;
            Some(answer) = self.answers.recv() => match answer {
                Answer::Message(message) => message,
                // Panicking here reports it and saves the run.
                Answer::Panicked(why) => panic!("{why}"),
            },
            message = self.run.news() => message,
            message = self.beside.news() => Message::Beside(Box::new(message)),
        };
        if matches!(message, Message::Run(Event::Finished(_)) | Message::RunGone) {
            // The closed channels would be ready forever.
            self.jobs.end(std::mem::replace(&mut self.run, OnScreen::Nothing));
        }
        message
    }

    /// Handles a message and carries out its effects; true when the program is to exit.
    fn handle_message(&mut self, app: &mut App, message: Message) -> bool {
        let is_shelf = matches!(message, Message::Shelf(_));
        let mut effects = update(app, message);
        if is_shelf {
            if app.picker.reading {
                self.jobs.runs();
            }
            effects.extend(self.start.take().and_then(|start| self.begin(app, start)));
        }
        let mut exit = false;
        for effect in effects {
            exit |= self.carry_out(effect);
        }
        if app.workbench.as_ref().is_none_or(|workbench| workbench.beside.is_none()) {
            self.end_beside();
        }
        exit
    }

    /// Starts what the program was asked to start with.
    fn begin(&mut self, app: &mut App, start: Start) -> Option<Effect> {
        let device = app.picker.device().to_owned();
        match start {
            Start::Preset(preset) => Some(Effect::Start(preset, device)),
            Start::Run(run) => {
                app.offers = true;
                Some(Effect::Resume(run, device))
            }
            Start::Model(model, image) => {
                app.opening = image;
                Some(Effect::Open(model, device))
            }
            Start::Attached(handle) => {
                app.attached = true;
                self.run = OnScreen::Run(handle);
                None
            }
        }
    }

    /// After the screen is gone, waits for what must not be interrupted: files that are being written, and the run, which
    /// is saved and ended. A run that is only being started has nothing to save, and is not waited for long.
    pub async fn settle(&mut self) {
        self.jobs.finish().await;
        self.run.arrived(START).await;
        self.end_beside();
        let ended = (std::mem::replace(&mut self.run, OnScreen::Nothing), self.jobs.ending());
        let _ = tokio::task::spawn_blocking(move || drop(ended)).await;
    }

    /// Ends the second one, if there is one.
    fn end_beside(&mut self) {
        match std::mem::replace(&mut self.beside, OnScreen::Nothing) {
            OnScreen::Nothing => {}
            second => self.jobs.end(second),
        }
    }

    fn carry_out(&mut self, effect: Effect) -> bool {
        if matches!(effect, Effect::OpenBeside(..)) {
            self.end_beside();
        }
        let jobs = &mut self.jobs;
        match effect {
            Effect::Exit => return true,
            Effect::Suspend => signals::suspend_group(),
            Effect::Redraw => self.redraw = true,
            Effect::Detach(run, device) => self.detached = Some((run, device)),
            Effect::Send(command) => self.run.send(command),
            Effect::Start(preset, device) => {
                self.run = jobs.start(move |backstage| backstage.start(&preset, &device));
            }
            Effect::Open(model, device) => {
                self.run = jobs.start(move |backstage| backstage.open(&model, &device));
            }
            Effect::OpenBeside(model, device) => {
                self.beside = jobs.start(move |backstage| backstage.open(&model, &device));
            }
            Effect::SendBeside(command) => self.beside.send(command),
            Effect::Attach(run, device) => {
                self.run = jobs.start(move |backstage| backstage.attach(&run, &device));
            }
            Effect::Close => jobs.end(std::mem::replace(&mut self.run, OnScreen::Nothing)),
            Effect::Continue(run, device) => jobs.detach(run, device),
            Effect::RunsAgain(known) => jobs.runs_again(known),
            Effect::Hush => jobs.hush(),
            Effect::Seconds(preset, device) => {
                jobs.hush();
                jobs.latest("seconds", move |backstage| {
                    let seconds = backstage.seconds(&preset, &device);
                    Message::Seconds(preset, device, seconds)
                });
            }
            Effect::Details(run) => jobs.latest("details", move |backstage| {
                let details = backstage.details(&run).ok();
                Message::Details(run, details)
            }),
            Effect::AskDelete(run) => jobs.once(move |backstage| {
                let deletion = backstage.deletion(&run).map_err(|error| error.to_string());
                Message::Deletable(run, deletion)
            }),
            Effect::Delete(run) => jobs.once(move |backstage| {
                let deleted = backstage.remove(&run).map_err(|error| error.to_string());
                Message::Deleted(run, deleted)
            }),
            Effect::Rename(run, name) => jobs.once(move |backstage| {
                let renamed = backstage.rename(&run, &name).map_err(|error| error.to_string());
                Message::Renamed(run, renamed)
            }),
            Effect::Note(run, text) => jobs.once(move |backstage| {
                let noted = backstage.note(&run, &text).map_err(|error| error.to_string());
                Message::Noted(run, noted)
            }),
            Effect::Resume(run, device) => {
                self.run = jobs.start(move |backstage| backstage.resume(&run, &device));
            }
            Effect::Fork(from, sets, device) => {
                self.run = jobs.start(move |backstage| backstage.fork(&from, &sets, &device));
            }
            Effect::Restart(run, sets, device) => {
                self.run = jobs.start(move |backstage| backstage.restart(&run, &sets, &device));
            }
            Effect::Save(snapshot, view, file) => {
                jobs.export(file, move |_, file| snapshot::save(&snapshot, view, TILE, file));
            }
            Effect::SaveImage(values, image, file) => {
                jobs.export(file, move |_, file| snapshot::save_image(&values, image, file));
            }
            Effect::SaveCurves(run, file) => {
                jobs.export(file, move |backstage, file| backstage.save_curves(&run, file));
            }
            Effect::Find(run, name, sets) => jobs.once(move |backstage| {
                let found = backstage.checkpoint(&run, &name).map_err(|error| error.to_string());
                Message::Found(run, found, sets)
            }),
            Effect::Compare(own, run) => jobs.once(move |backstage| match backstage.compared(&run) {
                Ok(read) if std::fs::canonicalize(&own).is_ok_and(|own| own == read.directory) => {
                    Message::Told("that is the run on the screen".into())
                }
                Ok(read) => Message::Compared(own, run, Box::new(read)),
                Err(error) => Message::Told(error.to_string()),
            }),
            Effect::Runs => jobs.runs(),
            Effect::Preview(preset, sample) => jobs.latest("preview", move |backstage| {
                let preview = backstage.preview(&preset, sample).ok();
                Message::Preview(preset, sample, preview)
            }),
            Effect::Moments(run) => jobs.latest("album", move |backstage| {
                let moments = backstage.moments(&run);
                Message::Moments(run, moments)
            }),
            Effect::Moment(run, iteration, sample) => jobs.latest("moment", move |backstage| {
                let moment = backstage.moment(&run, iteration, sample);
                Message::Moment(run, iteration, sample, moment.map(Arc::new).map_err(|e| e.to_string()))
            }),
            Effect::ReadLog(run) => jobs.latest("log", move |backstage| {
                let lines = backstage.log(&run).map_err(|error| error.to_string());
                Message::Log(run, lines)
            }),
            Effect::List(directory, listing) => jobs.latest("files", move |_| {
                let names = command_line::files_in(&directory, listing.wants == Wanted::Image);
                Message::Listed(listing, names)
            }),
            Effect::Copy(text) => {
                // A terminal without this feature ignores it; the text is also on the screen.
                terminal::send(CopyToClipboard::to_clipboard_from(&text));
            }
            Effect::Notify(notice, text) => terminal::notify(notice, &text),
            Effect::Mouse(on) => terminal::capture_mouse(on),
        }
        false
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

/// Whether the user may be waiting for this message, so that it is drawn at once.
fn answers_the_user(app: &App, message: &Message) -> bool {
    use Message::{LookAgain, Picture, Run, Runs, RunsGone};
    match message {
        Picture(_) => app.awaits_picture(),
        Run(_) | Runs(_) | RunsGone(_) | LookAgain => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
