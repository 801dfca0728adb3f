//! What the mouse means, by what the screen shows under it.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::app::App;
use super::update::{Done, Effect, Message};
use super::view;

/// What `event` means on a screen that was drawn on `area`; nothing for what the program has no use for.
pub fn message(app: &App, area: Rect, event: MouseEvent) -> Option<Message> {
    let target = || view::target(app, area, Position::new(event.column, event.row));
    match event.kind {
        MouseEventKind::Down(MouseButton::Left) => target().map(Message::Click),
        MouseEventKind::ScrollUp => Some(Message::Wheel(target(), -1)),
        MouseEventKind::ScrollDown => Some(Message::Wheel(target(), 1)),
        _ => None,
    }
}

/// Gives the mouse to the terminal, or takes it back; `key` does the opposite.
pub fn toggle(app: &mut App, key: &str) -> Done {
    app.config.mouse = !app.config.mouse;
    app.message = Some(match app.config.mouse {
        true => format!("the mouse works here; {key} lets it select text"),
        false => format!("the mouse selects text; {key} gives it back to the program"),
    });
    Ok(vec![Effect::Mouse(app.config.mouse)])
}
