//! Sets up the terminal and the event loop around the workbench, and takes them down again.

use std::io::Write;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::app::App;
use super::config::{Config, Pictures};
use super::gallery::{self, Gallery};
use super::shell::{Shell, Start};
use super::terminal::{self, Screen};
use super::theme::Theme;
use crate::error::{Error, Result};
use crate::protocol::{Backstage, Finish};
use crate::signals::{self, Request, Requests};

/// Leaving that takes longer than this says why.
const PATIENCE: Duration = Duration::from_secs(1);

/// Waits for what must not be interrupted, and says so if it takes long.
async fn patiently(settled: impl Future<Output = ()>) {
    let mut settled = pin!(settled);
    if tokio::time::timeout(PATIENCE, &mut settled).await.is_err() {
        // The terminal may be gone.
        let text = "waiting for the run to be saved; Ctrl-C, pressed twice, ends at once";
        let _ = writeln!(std::io::stderr(), "{text}");
        settled.await;
    }
}

/// Runs the workbench until its user leaves. A run in progress is saved first, also when the system asks the program
/// to end; a run of another process continues. A `config` that could not be read is reported on the screen, and the
/// defaults hold. Returns the run that continues without a screen, if the user has detached it.
///
/// # Errors
/// There is no terminal, or it fails; the run failed.
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
        let mut requests = Requests::on_screen(terminal::restore);
        // The shell, which has the run, is declared before the screen, so that on the way out, by a panic too, the
        // terminal is restored first and then the run is waited for.
        let mut shell = Shell::new(backstage.clone(), &mut app, start);
        let mut screen = Screen::enter(mouse)?;
        let asked =
            app.config.pictures == Pictures::Auto && gallery::is_likely(|name| std::env::var(name).ok());
        let mut gallery = asked.then(Gallery::ask);
        let turned = shell.turn(&mut app, &mut screen, &mut gallery, &mut requests).await;
        drop(screen);
        // A second request to end cuts this off.
        let mut settled = Box::pin(patiently(shell.settle()));
        loop {
            tokio::select! {
                () = &mut settled => break,
                request = requests.next() => if request == Request::Suspend {
                    signals::suspend();
                },
            }
        }
        drop(settled);
        turned?;
        // A failed run, perhaps at its last save, must not look like a successful one.
        match app.workbench.and_then(|workbench| workbench.finish) {
            Some(Finish::Failed(sentence)) => Err(Error::Failed(sentence)),
            _ => Ok(shell.detached.take()),
        }
    })?;
    // This process no longer holds the run.
    let Some((run, device)) = detached else { return Ok(None) };
    backstage.detach(&run, &device)?;
    Ok(Some(run))
}
