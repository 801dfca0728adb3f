//! What the mouse does, by what is under it.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::app::App;
use super::message::Message;
use super::view;

/// The message for an event on a screen that was drawn on `area`; `None` for events that do nothing.
pub fn message(app: &App, area: Rect, event: MouseEvent) -> Option<Message> {
    let target = || view::target(app, area, Position::new(event.column, event.row));
    match event.kind {
        MouseEventKind::Down(MouseButton::Left) => target().map(Message::Click),
        MouseEventKind::Drag(MouseButton::Left) => target().map(|target| Message::Drag(Some(target))),
        MouseEventKind::Up(MouseButton::Left) => Some(Message::Drag(None)),
        MouseEventKind::ScrollUp => Some(Message::Wheel(target(), -1)),
        MouseEventKind::ScrollDown => Some(Message::Wheel(target(), 1)),
        _ => None,
    }
}
