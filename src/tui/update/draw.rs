//! Drawing an image, and what the worker is asked for while it changes.

use std::path::Path;

use super::look::{self, answers};
use crate::protocol::Command;
use crate::snapshot::{Input, Source};
use crate::tui::app::App;
use crate::tui::draw::{Drawing, Pen};
use crate::tui::inspector::Inspector;
use crate::tui::message::{Done, Effect, NO_PICTURE, NewFile};
use crate::tui::workbench::Workbench;

/// A pixel: column and row.
type Pixel = (usize, usize);

/// Draws on the image that is shown.
pub fn open(workbench: &mut Workbench) -> Done {
    answers(workbench)?;
    if workbench.inspector.is_none() {
        look::inspect(workbench)?;
    }
    let Some(inspector) = &mut workbench.inspector else { return Err(NO_PICTURE.into()) };
    let at = workbench.em_step.unwrap_or(usize::MAX).min(inspector.snapshot.steps.len().saturating_sub(1));
    let drawing = Drawing::new(&inspector.snapshot, at, workbench.input.as_ref(), &workbench.preset);
    (inspector.drawing, inspector.page) = (Some(Box::new(drawing)), 0);
    Ok(vec![])
}

/// The same, or draws on a new black image.
pub fn begin(workbench: &mut Workbench, new: bool) -> Done {
    let effects = open(workbench)?;
    if new { clear(workbench) } else { Ok(effects) }
}

/// Back to the inspector, with the drawing as what it shows.
pub fn done(workbench: &mut Workbench) -> Done {
    let Some(mut drawing) = workbench.inspector.as_mut().and_then(|inspector| inspector.drawing.take())
    else {
        return Ok(vec![]);
    };
    drawing.put();
    // The worker may still be busy with an older one.
    Ok(if drawing.changed && workbench.alive {
        vec![Effect::Send(Command::Input(Some(workbench.ask_for(Source::Frames(drawing.frames().into())))))]
    } else {
        vec![]
    })
}

/// Back from an image of the user's own to the sample.
pub fn sample(workbench: &mut Workbench) -> Done {
    if workbench.input.is_none() {
        return match workbench.inspector.as_mut().and_then(|inspector| inspector.drawing.take()) {
            Some(_) => Ok(vec![]),
            None => Err("the sample is shown already".into()),
        };
    }
    answers(workbench)?;
    Ok(look::watch(workbench, workbench.sample))
}

/// Moves the cursor, with what it holds or draws.
pub fn step(workbench: &mut Workbench, right: i64, down: i64) -> Done {
    let Some(inspector) = &mut workbench.inspector else { return Ok(vec![]) };
    let from = (inspector.x, inspector.y);
    inspector.move_by(right, down);
    change(workbench, |drawing, at| drawing.moved(from, at))
}

/// Paints the pixel at the cursor, or erases it.
pub fn dot(workbench: &mut Workbench) -> Done {
    change(workbench, |drawing, at| drawing.dot(at))
}

/// Lowers or lifts the pen or the eraser.
pub fn lower(workbench: &mut Workbench, pen: Pen) -> Done {
    change(workbench, |drawing, at| drawing.lower(pen, at))
}

/// Picks up the object at the cursor, or puts it down.
pub fn pick(workbench: &mut Workbench) -> Done {
    changing(workbench, |drawing, at| match drawing.pick(at) {
        true => Ok(()),
        false => Err("there is nothing here to pick up".into()),
    })
}

/// Stamps shape `which`, counted from 0, at the cursor.
pub fn stamp(workbench: &mut Workbench, which: usize) -> Done {
    changing(workbench, |drawing, at| match (drawing.stamp(which, at), drawing.stamps.len()) {
        (true, _) => Ok(()),
        (false, 0) => Err("the objects of this image are not known, so there is nothing to stamp".into()),
        (false, shapes) => Err(format!("there are shapes 1 to {shapes}")),
    })
}

/// Changes the size of the brush.
pub fn resize(workbench: &mut Workbench, by: i64) -> Done {
    change(workbench, |drawing, _| drawing.resize(by))
}

/// Changes the value of the brush.
pub fn shade(workbench: &mut Workbench, by: i64) -> Done {
    if workbench.preset.data.shape_set().is_some() {
        return Err("the images of this data are black and white".into());
    }
    change(workbench, |drawing, _| drawing.shade(by))
}

/// Blackens the image.
pub fn clear(workbench: &mut Workbench) -> Done {
    change(workbench, |drawing, _| drawing.clear())
}

/// Undoes the latest stroke, or redoes it.
pub fn undo(workbench: &mut Workbench, again: bool) -> Done {
    changing(workbench, |drawing, _| match drawing.undo(again) {
        true => Ok(()),
        false => Err(format!("there is nothing to {}", if again { "redo" } else { "undo" })),
    })
}

/// The mouse is pressed on a pixel.
pub fn press(workbench: &mut Workbench, at: Pixel) -> Done {
    point(workbench, at);
    change(workbench, |drawing, at| drawing.press(at))
}

/// The pressed mouse has moved to a pixel.
pub fn drag(workbench: &mut Workbench, to: Pixel) -> Done {
    point(workbench, to);
    change(workbench, |drawing, at| drawing.drag(at))
}

/// The mouse is released.
pub fn release(workbench: &mut Workbench) -> Done {
    change(workbench, |drawing, _| drawing.release())
}

fn point(workbench: &mut Workbench, at: Pixel) {
    if let Some(inspector) = &mut workbench.inspector {
        (inspector.x, inspector.y) = at;
    }
}

/// The worker has answered; if the drawing has changed meanwhile, it gets the newest.
pub fn answered(workbench: &mut Workbench, input: Option<&Input>) -> Vec<Effect> {
    let Some(drawing) = drawing_of(workbench) else { return vec![] };
    drawing.answered(input);
    send(workbench)
}

/// Writes the image that is shown to this file.
pub fn save(app: &mut App, file: &Path) -> Done {
    let file = NewFile::Typed(app.at_home(file));
    let workbench = app.workbench.as_ref().ok_or(NO_PICTURE)?;
    let drawn = workbench.inspector.as_ref().and_then(|inspector| inspector.drawing.as_ref());
    if let Some(drawing) = drawn {
        return Ok(vec![Effect::SaveImage(drawing.canvas.values(), drawing.image(), file)]);
    }
    let snapshot = workbench.shown().ok_or(NO_PICTURE)?;
    let step = snapshot.steps.get(workbench.shown_step(snapshot)).ok_or(NO_PICTURE)?;
    Ok(vec![Effect::SaveImage(step.target.clone(), snapshot.image, file)])
}

fn drawing_of(workbench: &mut Workbench) -> Option<&mut Drawing> {
    workbench.inspector.as_mut()?.drawing.as_deref_mut()
}

/// As [`changing`], where nothing can be refused.
fn change(workbench: &mut Workbench, change: impl FnOnce(&mut Drawing, Pixel)) -> Done {
    changing(workbench, |drawing, at| {
        change(drawing, at);
        Ok(())
    })
}

/// Changes the drawing at the cursor, and sends it to the worker.
fn changing(
    workbench: &mut Workbench,
    change: impl FnOnce(&mut Drawing, Pixel) -> Result<(), String>,
) -> Done {
    let answers = answers(workbench);
    let Some(Inspector { drawing: Some(drawing), x, y, .. }) = &mut workbench.inspector else {
        return Ok(vec![]);
    };
    answers?;
    change(drawing, (*x, *y))?;
    Ok(send(workbench))
}

/// Sends the drawing, unless the worker is busy with an older one.
fn send(workbench: &mut Workbench) -> Vec<Effect> {
    let Some(drawing) = drawing_of(workbench).filter(|drawing| drawing.changed && drawing.asked.is_none())
    else {
        return vec![];
    };
    drawing.changed = false;
    let frames = drawing.frames();
    let input = workbench.ask_for(Source::Frames(frames.into()));
    if let Some(drawing) = drawing_of(workbench) {
        drawing.asked = Some(input.clone());
    }
    vec![Effect::Send(Command::Input(Some(input)))]
}

#[cfg(test)]
mod tests;
