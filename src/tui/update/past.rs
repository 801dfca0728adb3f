//! Looking back: the album of a run.

use super::look::{read_moment, watch};
use crate::protocol::{ALBUM_SAMPLES, Moment};
use crate::tui::album::LookBack;
use crate::tui::message::{Done, Effect};
use crate::tui::workbench::Workbench;

/// Updates the list of moments; without moments the album closes.
pub fn open_album(workbench: &mut Workbench, moments: Vec<Moment>) -> Vec<Effect> {
    let Some(album) = &mut workbench.album else { return vec![] };
    let before = album.moment();
    album.read(moments);
    match album.moment() {
        None => {
            workbench.album = None;
            vec![]
        }
        now if now == before => vec![],
        Some(_) => {
            // The album holds only the first samples.
            let of_it = workbench.sample < ALBUM_SAMPLES;
            let watched = if of_it { vec![] } else { watch(workbench, 0) };
            if watched.is_empty() { read_moment(workbench) } else { watched }
        }
    }
}

/// Shows an earlier (−1) or later (+1) moment, and opens the album if needed. After the last moment comes now.
pub fn go(workbench: &mut Workbench, by: i64) -> Done {
    let Some(album) = &mut workbench.album else {
        // Nothing is later than now.
        if by > 0 {
            return Ok(vec![]);
        }
        workbench.album = Some(LookBack::new(false));
        return Ok(vec![Effect::Moments(workbench.info.directory.clone())]);
    };
    album.playing = false;
    let before = album.moment();
    if album.go(by) {
        return Ok(if album.moment() == before { vec![] } else { read_moment(workbench) });
    }
    if by > 0 {
        workbench.come_back();
    }
    Ok(vec![])
}

/// The iteration of the moment that is shown, and that of the checkpoint to fork from there; `None` if now is shown.
pub fn shown(workbench: &Workbench) -> Result<Option<(u64, u64)>, String> {
    let Some(album) = &workbench.album else { return Ok(None) };
    let Some(moment) = album.moment() else { return Ok(None) };
    match album.fork_point() {
        Some(point) => Ok(Some((moment, point))),
        None => Err(format!(
            "no checkpoint is kept of iteration {moment} or before; :restart begins with the initial weights"
        )),
    }
}

/// Plays the moments, or stops.
pub fn play(workbench: &mut Workbench) -> Done {
    match &mut workbench.album {
        Some(album) => {
            album.playing = !album.playing;
            Ok(vec![])
        }
        None => {
            workbench.album = Some(LookBack::new(true));
            Ok(vec![Effect::Moments(workbench.info.directory.clone())])
        }
    }
}

#[cfg(test)]
mod tests;
