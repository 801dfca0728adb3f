//! `nem-tui config`, and reading the workbench's config.

use std::path::PathBuf;

use directories::ProjectDirs;

use super::print::print;
use crate::error::{Error, Result};
use crate::files::read_text;
use crate::paths::shown;
use crate::tui::config::Config;

/// The environment variable that names a config file to use instead of the user's.
const VARIABLE: &str = "NEM_TUI_CONFIG";

/// The file named by [`VARIABLE`].
fn named() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// The config file's path, whether or not it exists; `None` for a user without a home directory.
fn path() -> Option<PathBuf> {
    let own = || ProjectDirs::from("", "", "nem-tui").map(|of| of.config_dir().join("config.ron"));
    named().or_else(own)
}

/// The user's config; the defaults if there is no file.
///
/// # Errors
/// A file that cannot be read or is invalid, or a missing file named by [`VARIABLE`].
pub(super) fn read() -> Result<Config> {
    let Some(path) = path() else { return Ok(Config::default()) };
    match read_text(&path) {
        Ok(text) => Config::parse(&text).map_err(|problem| Error::content(&path, problem)),
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => match named() {
            None => Ok(Config::default()),
            Some(_) => {
                let problem = format!(
                    "the config named by {VARIABLE} does not exist; create it, or unset the variable"
                );
                Err(Error::content(&path, problem))
            }
        },
        Err(e) => Err(e),
    }
}

/// Prints the current config below a comment with its path.
pub(super) fn print_config() -> Result<()> {
    let config = read()?;
    let place = match path() {
        Some(path) if path.exists() => shown(&path).to_string(),
        Some(path) => format!("{} does not exist; these are the defaults", shown(&path)),
        None => "there is no home directory to read a config from; these are the defaults".to_owned(),
    };
    print(&format!("// {place}\n{}", config.to_ron()))
}
