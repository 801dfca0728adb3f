//! A second model or run beside the one on the screen.

use std::path::Path;

use super::look::answers;
use crate::preset::ImageSize;
use crate::protocol::{Command, Event, Finish};
use crate::tui::app::App;
use crate::tui::beside::Beside;
use crate::tui::message::{Done, Effect, Message, NO_PICTURE};
use crate::tui::workbench::{Workbench, short_names};

/// Opens this model, run or checkpoint beside the one on the screen.
pub fn open(app: &mut App, what: &Path) -> Done {
    let what = app.at_home(what);
    let Some(workbench) = &mut app.workbench else { return Ok(vec![]) };
    answers(workbench)?;
    workbench.shown().filter(|snapshot| !snapshot.steps.is_empty()).ok_or(NO_PICTURE)?;
    workbench.beside = Some(Beside::new(what.clone()));
    Ok(vec![Effect::OpenBeside(what, workbench.info.device.clone())])
}

/// Back to the one on the screen alone.
pub fn close(workbench: &mut Workbench) {
    workbench.beside = None;
}

/// Handles what the second one's worker says.
pub fn heard(app: &mut App, message: Message) -> Vec<Effect> {
    let Some(workbench) = &mut app.workbench else { return vec![] };
    let Some(beside) = &mut workbench.beside else { return vec![] };
    let gone = match message {
        Message::Picture(snapshot) => {
            beside.show(snapshot);
            return vec![];
        }
        Message::Run(Event::Started(info)) => {
            let (ours, theirs) = (workbench.preset.data.image(), info.preset.data.image());
            if ours == theirs {
                beside.info = Some(*info);
                return vec![];
            }
            let size = |image: ImageSize| {
                let channels = if image.channels == 1 { "" } else { " in colour" };
                format!("{}x{}{channels}", image.width, image.height)
            };
            let names = short_names([&*workbench.info.directory, &*info.directory].into_iter());
            format!(
                "{} has images of {}, and {} of {}: they cannot be shown the same image",
                names[0],
                size(ours),
                names[1],
                size(theirs)
            )
        }
        Message::Run(Event::Refused { why, .. } | Event::Note(why)) => {
            app.message = Some(why);
            return vec![];
        }
        Message::StartFailed(why) | Message::Run(Event::Finished(Finish::Failed(why))) => why,
        Message::RunGone | Message::Run(Event::Finished(_)) => {
            "the second model has ended; open it again".into()
        }
        _ => return vec![],
    };
    workbench.beside = None;
    app.message = Some(gone);
    vec![]
}

/// Shows the second one what the first one shows now.
pub fn follow(app: &mut App) -> Vec<Effect> {
    let Some(workbench) = &mut app.workbench else { return vec![] };
    let Some(shown) = workbench.shown().cloned() else { return vec![] };
    let seed = workbench.info.seed;
    let beside = workbench.beside.as_mut().filter(|beside| beside.info.is_some());
    let asked = beside.and_then(|beside| beside.follow(&shown, seed));
    asked.map(|input| Effect::SendBeside(Command::Input(Some(input)))).into_iter().collect()
}

#[cfg(test)]
mod tests;
