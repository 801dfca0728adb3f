//! What the mouse means, by what the screen shows under it.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::app::App;
use super::update::Message;
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
