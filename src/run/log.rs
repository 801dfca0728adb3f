//! `log.txt`: the run's log, for people to read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::{Error, Result};

/// The latest lines of the log of the run in `run`, the newest last.
///
/// # Errors
/// A log that cannot be read.
pub fn latest(run: &Path) -> Result<Vec<String>> {
    const BYTES: u64 = 64 * 1024;
    let path = run.join("log.txt");
    let read = || {
        let mut file = File::open(&path)?;
        let from = file.metadata()?.len().saturating_sub(BYTES);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(BYTES).read_to_end(&mut bytes)?;
        Ok((from, bytes))
    };
    let (from, bytes) = read().map_err(Error::io("read", &path))?;
    // The first line may be cut, even in the middle of a character.
    let cut = usize::from(from > 0);
    Ok(String::from_utf8_lossy(&bytes).lines().skip(cut).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_log_the_latest_whole_lines_are_read() {
        let directory = tempfile::tempdir().unwrap();
        assert!(latest(directory.path()).unwrap_err().to_string().contains("log.txt"));
        let all: Vec<String> = (0..9000).map(|n| format!("line {n} of a log – long")).collect();
        let write = |lines: &[String]| {
            std::fs::write(directory.path().join("log.txt"), lines.join("\n")).unwrap();
        };
        write(&all[..5]);
        assert_eq!(latest(directory.path()).unwrap(), all[..5]);
        write(&all);
        let latest = latest(directory.path()).unwrap();
        assert!(latest.len() > 1000 && all.ends_with(&latest), "{} lines", latest.len());
    }
}
