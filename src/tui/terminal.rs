//! Takes over the terminal, and restores it in every case.

use std::io::{IsTerminal, stdout};
use std::mem::ManuallyDrop;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::style::Print;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal};

use super::config::Notice;
use super::output::{self, Output};
use crate::error::{Error, Result, becomes_error};
use crate::signals;

/// How long a terminal that takes nothing may hold up the end of the program.
const FAREWELL: Duration = Duration::from_secs(1);

/// The screen in raw mode; dropping it restores the terminal.
pub struct Screen {
    /// Never dropped, because ratatui shows the cursor again on drop and panics if the terminal is gone, so that the run
    /// would not be saved. `restore` shows the cursor instead.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Output>>>,
}

impl Screen {
    /// Takes over the terminal, and the mouse if `mouse`.
    ///
    /// # Errors
    /// [`Error::Terminal`] if stdin or stdout is not a terminal, or raw mode fails.
    pub fn enter(mouse: bool) -> Result<Screen> {
        if !stdout().is_terminal() || !std::io::stdin().is_terminal() {
            return Err(Error::Terminal(
                "the workbench needs a terminal, and stdin or stdout is not one; \
                 to train without one, run `nem-tui train quickstart`"
                    .into(),
            ));
        }
        restore_before_panic_reports();
        match take_over(mouse) {
            Ok(terminal) => Ok(Screen { terminal }),
            Err(error) => {
                restore();
                Err(Error::Terminal(format!("cannot take over the terminal: {error}")))
            }
        }
    }

    /// Draws a frame; returns its area.
    ///
    /// # Errors
    /// A terminal that fails.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame)) -> Result<Rect> {
        let drawn = self.terminal.draw(render);
        drawn
            .map(|frame| frame.area)
            .map_err(|e| Error::Terminal(format!("cannot draw on the terminal: {e}")))
    }

    /// Restores the terminal and suspends the process. [`Screen::take_back`] takes the terminal over again.
    ///
    /// # Errors
    /// A system without job control.
    pub fn suspend(&mut self) -> Result<()> {
        restore();
        match signals::suspend() {
            true => Ok(()),
            false => Err(Error::Terminal(
                "nothing here could continue the program, so it was not suspended".into(),
            )),
        }
    }

    /// Takes over the terminal again, whatever its size and mode are now and whatever was written to it, if the program
    /// is in the foreground; false if not.
    ///
    /// # Errors
    /// A terminal that cannot be taken over again.
    pub fn take_back(&mut self, mouse: bool) -> Result<bool> {
        if !is_in_foreground() {
            // The mode is that of who has it now. After SIGSTOP, the screen and the mouse are still this program's.
            if ON_SCREEN.swap(false, Ordering::SeqCst) && !stops_the_background() {
                leave_screen();
            }
            return Ok(false);
        }
        restore_modes();
        self.terminal = take_over(mouse)
            .map_err(|e| Error::Terminal(format!("cannot take over the terminal again: {e}")))?;
        Ok(true)
    }

    /// Clears the screen, so that the next frame draws all of it.
    ///
    /// # Errors
    /// A terminal that fails.
    pub fn clear(&mut self, mouse: bool) -> Result<()> {
        self.terminal =
            prepare(mouse).map_err(|e| Error::Terminal(format!("cannot clear the terminal: {e}")))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Whether the terminal is taken over.
static ON_SCREEN: AtomicBool = AtomicBool::new(false);

fn take_over(mouse: bool) -> std::io::Result<ManuallyDrop<Terminal<CrosstermBackend<Output>>>> {
    ON_SCREEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    let mut output = Output::default();
    execute!(output, EnterAlternateScreen)?;
    prepare(mouse)
}

/// An empty screen with the modes that the workbench needs.
fn prepare(mouse: bool) -> std::io::Result<ManuallyDrop<Terminal<CrosstermBackend<Output>>>> {
    let mut output = Output::default();
    execute!(output, Clear(ClearType::All), cursor::Hide, EnableBracketedPaste)?;
    capture_mouse(mouse);
    Terminal::new(CrosstermBackend::new(Output::default())).map(ManuallyDrop::new)
}

/// Whether this process has the terminal: the shell has it while this process is in the background.
pub fn is_in_foreground() -> bool {
    #[cfg(unix)]
    {
        let group = rustix::termios::tcgetpgrp(rustix::stdio::stdin());
        // A terminal that is gone is noticed elsewhere.
        group.map_or(true, |group| group == rustix::process::getpgrp())
    }
    #[cfg(not(unix))]
    true
}

/// Takes the mouse, or returns it to the terminal for selecting text.
pub fn capture_mouse(on: bool) {
    match on {
        true => send(EnableMouseCapture),
        false => send(DisableMouseCapture),
    }
}

/// Sends a command to the terminal, unless somebody else has it.
pub fn send(command: impl crossterm::Command) {
    if ON_SCREEN.load(Ordering::SeqCst) && is_in_foreground() {
        // A missing terminal is noticed elsewhere.
        let mut output = Output::default();
        let _ = execute!(output, command);
    }
}

/// Notifies a user who may not be looking at the terminal.
pub fn notify(notice: Notice, text: &str) {
    send(Print(sequence(notice, text, |name| std::env::var(name).ok())));
}

/// The control sequence for a notice in this terminal: the bell, or one of the two sequences for a desktop notification.
/// Most terminals that support neither ignore them.
fn sequence(notice: Notice, text: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let term = variable("TERM").unwrap_or_default();
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    match notice {
        // The Linux console prints sequences it does not know.
        Notice::Desktop if term == "linux" => "\x07".to_owned(),
        Notice::Bell => "\x07".to_owned(),
        Notice::Desktop if term.starts_with("rxvt") || variable("VTE_VERSION").is_some() => {
            format!("\x1b]777;notify;nem-tui;{}\x07", text.replace(';', ","))
        }
        Notice::Desktop => format!("\x1b]9;{text}\x07"),
    }
}

/// Restores the terminal, unless somebody else has it. Errors are ignored, because they could not be shown.
pub fn restore() {
    if ON_SCREEN.swap(false, Ordering::SeqCst) && is_in_foreground() {
        restore_modes();
        output::wait(FAREWELL);
    }
}

/// Whether the terminal stops programs in the background that write to it.
fn stops_the_background() -> bool {
    #[cfg(unix)]
    {
        use rustix::termios::{LocalModes, tcgetattr};
        tcgetattr(rustix::stdio::stdin()).is_ok_and(|modes| modes.local_modes.contains(LocalModes::TOSTOP))
    }
    #[cfg(not(unix))]
    false
}

fn restore_modes() {
    let _ = disable_raw_mode();
    leave_screen();
}

fn leave_screen() {
    let leave = (DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let mut output = Output::default();
    let _ = execute!(output, leave.0, leave.1, leave.2, leave.3);
}

/// Restores the terminal before a panic is reported, because the report would be lost on the alternate screen. A panic
/// on another thread is reported by the owner of that thread, and the screen stays.
fn restore_before_panic_reports() {
    static ONCE: Once = Once::new();
    let screen_thread = std::thread::current().id();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let on_screen = ON_SCREEN.load(Ordering::SeqCst) && !becomes_error(info);
            if on_screen && std::thread::current().id() == screen_thread {
                restore();
            }
            if !on_screen || std::thread::current().id() == screen_thread {
                report(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_what_the_terminal_knows_and_nothing_else_goes_out_with_it() {
        let of = |notice, variables: &[(&str, &str)]| {
            let value = |name: &str| variables.iter().find(|v| v.0 == name).map(|v| v.1.to_owned());
            sequence(notice, "a; b\x1b[2J\n", value)
        };
        assert_eq!(of(Notice::Bell, &[("TERM", "xterm")]), "\x07");
        assert_eq!(of(Notice::Desktop, &[("TERM", "linux")]), "\x07");
        assert_eq!(of(Notice::Desktop, &[("TERM", "xterm-kitty")]), "\x1b]9;a; b[2J\x07");
        let vte = "\x1b]777;notify;nem-tui;a, b[2J\x07";
        assert_eq!(of(Notice::Desktop, &[("TERM", "xterm-256color"), ("VTE_VERSION", "7600")]), vte);
        assert_eq!(of(Notice::Desktop, &[("TERM", "rxvt-unicode")]), vte);
    }
}
