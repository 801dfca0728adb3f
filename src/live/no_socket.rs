//! Systems without Unix sockets: nobody can attach.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::protocol::{Event, RunHandle, RunInfo, ViewerId, WeakCaller};
use crate::snapshot::Snapshot;

/// What a run says when it cannot listen.
pub(super) const NOBODY: &str = "the run continues, but nobody can attach to it";

/// The run's side, which no viewer can reach.
pub(super) struct Viewers;

impl Viewers {
    pub(super) fn listen(
        _: RunInfo,
        _: WeakCaller,
        _: watch::Receiver<Option<Arc<Snapshot>>>,
    ) -> Result<Viewers> {
        Ok(Viewers)
    }

    pub(super) fn tell(&self, _: Option<ViewerId>, _: &Event) {}
}

/// Not available here.
///
/// # Errors
/// Always.
pub fn attach(_: &Path) -> Result<RunHandle> {
    Err(Error::Usage("attaching needs Unix sockets, which this system lacks; train in the workbench".into()))
}
