//! What happens to the workbench, and what it asks of the shell around it.

use std::path::PathBuf;
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::App;
use super::config::Notice;
use super::overlay::palette::Listing;
use super::workbench::Pane;
use crate::preset::{ImageSize, Preset};
use crate::protocol::{Command, Deletion, Event, Moment, Preview, RunCard, RunDetails, RunToCompare, Shelf};
use crate::snapshot::{Snapshot, View};

/// Why there is nothing to inspect or to write.
pub const NO_PICTURE: &str = "there is no picture yet";
/// Why no other sample can be shown, and nothing can be steered.
pub const ENDED: &str = "the run has ended; :runs leads to the list, where it can be opened again";

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Message {
    /// The shelf was read.
    Shelf(Shelf),
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The mouse was pressed here.
    Click(Target),
    /// The pressed mouse has moved here; without a place it was released.
    Drag(Option<Target>),
    /// The wheel was turned here, up (−1) or down (+1).
    Wheel(Option<Target>, i64),
    /// An event of the run.
    Run(Event),
    /// A new snapshot of the run.
    Picture(Arc<Snapshot>),
    /// What the worker of the second model or run says.
    Beside(Box<Message>),
    /// A preview of this sample of a preset's data was made, if it could be.
    Preview(Box<Preset>, u64, Option<Preview>),
    /// Starting or resuming failed; a sentence.
    StartFailed(String),
    /// A sentence about what was done, or why it was not.
    Told(String),
    /// The moments in the album of the run in this directory.
    Moments(PathBuf, Vec<Moment>),
    /// This sample of this run's album at this iteration, or a sentence that says why it cannot be shown.
    Moment(PathBuf, u64, usize, Result<Arc<Snapshot>, String>),
    /// Runs that were found.
    Runs(Vec<RunCard>),
    /// For the run in the first directory: the run in the second was read, to be compared.
    Compared(PathBuf, PathBuf, Box<RunToCompare>),
    /// All runs that can be read were found.
    AllRuns,
    /// All runs that have changed were found; those in these directories are gone.
    RunsGone(Vec<PathBuf>),
    /// It is time to read the runs of the list again.
    LookAgain,
    /// The run that is being started belongs to another process.
    Attached,
    /// More about the run in this directory, if it could be read.
    Details(PathBuf, Option<RunDetails>),
    /// The seconds that this preset takes on this device, if known.
    Seconds(Box<Preset>, String, Option<f64>),
    /// More about the run in this directory, which may be deleted, or a sentence.
    Deletable(PathBuf, Result<Deletion, String>),
    /// The run in this directory was deleted, or a sentence.
    Deleted(PathBuf, Result<(), String>),
    /// The run in this directory has another now, and a sentence about it, or why not.
    Renamed(PathBuf, Result<(PathBuf, String), String>),
    /// The run in this directory was noted, or a sentence that says why not.
    Noted(PathBuf, Result<(), String>),
    /// The run in this directory continues in the background, or a sentence that says why not.
    Detached(PathBuf, Result<(), String>),
    /// The checkpoint of the run in this directory to fork from with these settings, or a sentence if there is no such
    /// checkpoint.
    Found(PathBuf, Result<PathBuf, String>, Vec<String>),
    /// The entries of a directory, for completion.
    Listed(Listing, Vec<String>),
    /// The log of the run in this directory was read, or could not be; a sentence.
    Log(PathBuf, Result<Vec<String>, String>),
    /// It is time to read the run's log again.
    Reread,
    /// It is time for the next EM step or moment while playing.
    Tick,
    /// The system asks the program to end.
    Terminate,
    /// The run is gone without a last event.
    RunGone,
}

/// What the shell around the state has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start a run of this preset on this device.
    Start(Box<Preset>, String),
    /// Show this model, computed on this device.
    Open(PathBuf, String),
    /// Open this model, run or checkpoint as the second one, on this device.
    OpenBeside(PathBuf, String),
    /// Send this command to the second one.
    SendBeside(Command),
    /// Resume this run on this device.
    Resume(Box<RunCard>, String),
    /// Attach to this run, or resume it on this device.
    Attach(Box<RunCard>, String),
    /// Close the run on the screen: it is saved and ended, or if it belongs to another process continues.
    Close,
    /// Continue the run in this directory, which has ended, in the background on this device.
    Continue(PathBuf, String),
    /// Read those of these runs again that have changed, and find new ones.
    RunsAgain(Vec<RunCard>),
    /// Read more about the run in this directory.
    Details(PathBuf),
    /// Find out how long this preset takes on this device.
    Seconds(Box<Preset>, String),
    /// End that.
    Hush,
    /// Answer with [`Message::Deletable`].
    AskDelete(PathBuf),
    /// Delete the run in this directory.
    Delete(PathBuf),
    /// Give the run in this directory this name.
    Rename(PathBuf, String),
    /// Note this about the run in this directory.
    Note(PathBuf, String),
    /// Answer with [`Message::Found`]: the checkpoint of this name in the run in this directory, and these settings.
    Find(PathBuf, String, Vec<String>),
    /// Write the curves of the run in this directory to this file.
    SaveCurves(PathBuf, NewFile),
    /// A new run from the state of this checkpoint or run, with these settings, on this device.
    Fork(PathBuf, Vec<String>, String),
    /// A new run from the initial weights of this one, with these settings, on this device.
    Restart(PathBuf, Vec<String>, String),
    /// Send this command to the run.
    Send(Command),
    /// Make a preview of this sample.
    Preview(Box<Preset>, u64),
    /// List the moments in the album of the run in this directory.
    Moments(PathBuf),
    /// Read this sample at this iteration from that album.
    Moment(PathBuf, u64, usize),
    /// Find all runs again.
    Runs,
    /// Compare the run in the first directory with that in the second: answer with [`Message::Compared`].
    Compare(PathBuf, PathBuf),
    /// Continue the run in this directory, which has ended, without a screen on this device.
    Detach(PathBuf, String),
    /// Write this view of the snapshot to this file.
    Save(Arc<Snapshot>, View, NewFile),
    /// Write this image of M values to this file.
    SaveImage(Vec<f32>, ImageSize, NewFile),
    /// Answer with [`Message::Listed`]: the entries of this directory.
    List(PathBuf, Listing),
    /// Read the log of the run in this directory.
    ReadLog(PathBuf),
    /// Notify a user who may not be looking.
    Notify(Notice, String),
    /// Put this on the clipboard.
    Copy(String),
    /// Take the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Suspend the whole process until the shell continues it.
    Suspend,
    /// Clear the screen and draw all of it.
    Redraw,
    /// Leave the loop.
    Exit,
}

/// A file to write.
#[derive(Clone, Debug, PartialEq)]
pub enum NewFile {
    /// The user has named it; it replaces one that exists.
    Typed(PathBuf),
    /// The program has named it; it gets another name if one exists.
    Suggested(PathBuf),
}

/// What there is to do, or a sentence that says why nothing can be done.
pub type Done = Result<Vec<Effect>, String>;

/// Returns the effects, or shows the user why nothing was done.
pub fn told(app: &mut App, done: Done) -> Vec<Effect> {
    done.unwrap_or_else(|sentence| {
        app.message = Some(sentence);
        vec![]
    })
}

/// Whether a key writes a character.
pub fn is_typed(key: KeyEvent) -> bool {
    matches!(key.code, KeyCode::Char(_))
        && !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
}

/// What is under a cell of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A line of the picker's shelf, by its entry.
    Entry(usize),
    /// The picker, elsewhere.
    Picker,
    /// A pane of the workbench.
    Pane(Pane),
    /// An EM step in the filmstrip.
    Step(usize),
    /// A pixel of the inspector's large pictures: column and row.
    Pixel(usize, usize),
    /// The inspector, elsewhere.
    Inspector,
}
