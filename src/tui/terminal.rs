//! Takes over the terminal, and restores it in every case.

use std::io::{IsTerminal, Stdout, Write, stdout};
use std::mem::ManuallyDrop;
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{DisableMouseCapture, EnableMouseCapture};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal};

use super::config::Notice;
use crate::error::{Error, Result, becomes_error};

/// The screen in raw mode; dropping it restores the terminal.
pub struct Screen {
    /// Never dropped, because ratatui shows the cursor again on drop and panics if the terminal is gone, so that the run
    /// would not be saved. `restore` shows the cursor instead.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
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
        match take_over(mouse).and_then(|()| Terminal::new(CrosstermBackend::new(stdout()))) {
            Ok(terminal) => Ok(Screen { terminal: ManuallyDrop::new(terminal) }),
            Err(error) => {
                restore();
                Err(Error::Terminal(format!("cannot take over the terminal: {error}")))
            }
        }
    }
}

impl Screen {
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

    /// Restores the terminal, suspends the process until the user continues it, and takes over the terminal again.
    ///
    /// # Errors
    /// A system without job control; a terminal that cannot be taken over again.
    pub fn suspend(&mut self, mouse: bool) -> Result<()> {
        if cfg!(not(unix)) {
            return Err(Error::Terminal("programs cannot be suspended on this system".into()));
        }
        restore();
        // Sent to the whole process group, as the terminal does, so that a parent such as cargo stops too. The shell
        // that sends it stops as well, so this returns when the group continues. The system ignores the signal if
        // nobody could continue the group.
        let sent = Command::new("sh").args(["-c", "kill -TSTP 0"]).status();
        let taken = take_over(mouse).and_then(|()| Terminal::new(CrosstermBackend::new(stdout())));
        self.terminal = taken
            .map(ManuallyDrop::new)
            .map_err(|e| Error::Terminal(format!("cannot take over the terminal again: {e}")))?;
        sent.map_err(|e| Error::Terminal(format!("cannot suspend the program: {e}")))?;
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

fn take_over(mouse: bool) -> std::io::Result<()> {
    ON_SCREEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, cursor::Hide)?;
    if mouse { execute!(stdout(), EnableMouseCapture) } else { Ok(()) }
}

/// Takes the mouse, or returns it to the terminal for selecting text.
pub fn capture_mouse(on: bool) {
    // A missing terminal is noticed elsewhere.
    let _ = if on { execute!(stdout(), EnableMouseCapture) } else { execute!(stdout(), DisableMouseCapture) };
}

/// Notifies a user who may not be looking at the terminal.
pub fn notify(notice: Notice, text: &str) {
    let sequence = sequence(notice, text, |name| std::env::var(name).ok());
    let _ = stdout().write_all(sequence.as_bytes()).and_then(|()| stdout().flush());
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

/// Errors are ignored, because they could not be shown.
fn restore() {
    ON_SCREEN.store(false, Ordering::SeqCst);
    let _ = disable_raw_mode();
    let _ = execute!(stdout(), DisableMouseCapture, LeaveAlternateScreen, cursor::Show);
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
