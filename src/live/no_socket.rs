//! Where there are no Unix sockets, nobody attaches.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::error::{Error, Result};
use crate::protocol::{Command, Event, RunHandle, RunInfo};
use crate::snapshot::Snapshot;

/// The run's side: nobody can come.
pub(crate) struct Viewers;

impl Viewers {
    pub(crate) fn listen(
        _: RunInfo,
        _: mpsc::WeakUnboundedSender<Command>,
        _: watch::Sender<Option<Arc<Snapshot>>>,
    ) -> Result<Viewers> {
        Ok(Viewers)
    }

    pub(crate) fn tell(&self, _: &Event) {}
}

/// Says that it is not available.
///
/// # Errors
/// Always.
pub fn attach(_: &Path) -> Result<RunHandle> {
    Err(Error::Usage("attaching takes Unix sockets, which this system lacks; train in the workbench".into()))
}
