//! The workbench: an event loop around a pure state.
//!
//! ```text
//! keys, engine events, pictures, signals ──▶ Message ──▶ update(&mut App) ──▶ Effect ──▶ engine
//!                                                            │
//!                                                            ▼
//!                                                     view(&App) ──▶ terminal
//! ```
//!
//! `update` and `view` use neither terminal nor clock, and are tested without them. `shell` is the loop around them,
//! and `backstage` has the threads for effects that may take long.

pub mod actions;
pub mod album;
pub mod app;
mod backstage;
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
mod shelf;
mod shell;
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

use self::app::App;
use self::config::{Config, Pictures};
use self::gallery::Gallery;
use self::shell::Shell;
use self::signals::Signals;
use self::terminal::Screen;
use self::theme::Theme;
use crate::error::{Error, Result};
use crate::preset::Preset;
use crate::protocol::{Backstage, Finish, RunCard, RunHandle};

/// What to start with instead of the picker.
#[derive(Debug)]
pub enum Start {
    /// Start a new run of this preset.
    Preset(Box<Preset>),
    /// Resume this run.
    Run(Box<RunCard>),
    /// Inspect the weights of this run, checkpoint or model, and this image of the user's own.
    Model(String, Option<PathBuf>),
    /// Show this run of another process.
    Attached(RunHandle),
}

/// Runs the workbench until the user leaves. A run in progress is saved first, also when the system asks the program to
/// end; a run of another process continues. A `config` that cannot be read is reported on the screen and otherwise
/// ignored. Returns the run that is to continue without a screen, if the user has detached it.
///
/// # Errors
/// No terminal, or one that fails; a run that failed.
pub fn run(
    backstage: Arc<dyn Backstage>,
    start: Option<Start>,
    config: Result<Config>,
) -> Result<Option<PathBuf>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::Terminal(format!("the event loop could not start: {e}")))?;
    let detached = runtime.block_on(async {
        let mut app = App::new(Theme::detect(|name| std::env::var(name).ok()));
        let mouse = config.as_ref().map_or(Config::default().mouse, |config| config.mouse);
        app.configure(config);
        app.here = std::env::current_dir().unwrap_or_default();
        app.home = std::env::home_dir().unwrap_or_default();
        let mut signals =
            Signals::new().map_err(|e| Error::Terminal(format!("cannot listen for signals: {e}")))?;
        // The shell, which holds the run, is declared before the screen. On the way out, even after a panic, the
        // terminal is therefore restored first, and then the run is waited for.
        let mut shell = Shell::new(backstage.clone(), &mut app, start);
        let mut screen = Screen::enter(mouse)?;
        let asked =
            app.config.pictures == Pictures::Auto && gallery::is_likely(|name| std::env::var(name).ok());
        let mut gallery = asked.then(Gallery::ask).flatten();
        shell.turn(&mut app, &mut screen, &mut gallery, &mut signals).await?;
        drop(screen);
        tokio::select! {
            () = shell.settle() => {}
            // A second request to end interrupts what is not finished.
            () = signals.next() => {}
        }
        // A failure, perhaps of the last save, must not look like success.
        match app.workbench.and_then(|workbench| workbench.finish) {
            Some(Finish::Failed(sentence)) => Err(Error::Failed(sentence)),
            _ => Ok(shell.detached.take()),
        }
    })?;
    // This process no longer has the run open.
    let Some((run, device)) = detached else { return Ok(None) };
    backstage.detach(&run, &device)?;
    Ok(Some(run))
}
