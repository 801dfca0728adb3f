//! `nem-tui config`, and where the workbench's config is read from.

use std::path::PathBuf;

use directories::ProjectDirs;

use super::print::print;
use crate::error::{Error, Result};
use crate::tui::config::Config;

/// Names another file than that in the user's config directory.
const VARIABLE: &str = "NEM_TUI_CONFIG";

/// The file that [`VARIABLE`] names.
fn named() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// The file, whether or not it exists; `None` for a user without a home directory.
fn path() -> Option<PathBuf> {
    let own = || ProjectDirs::from("", "", "nem-tui").map(|of| of.config_dir().join("config.ron"));
    named().or_else(own)
}

/// The user's config; the defaults where there is no file.
///
/// # Errors
/// A file that cannot be read or is invalid, or a missing one that [`VARIABLE`] names.
pub(super) fn read() -> Result<Config> {
    let Some(path) = path() else { return Ok(Config::default()) };
    match std::fs::read_to_string(&path) {
        Ok(text) => Config::parse(&text).map_err(|problem| Error::content(&path, problem)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => match named() {
            None => Ok(Config::default()),
            Some(_) => {
                let problem = format!(
                    "{VARIABLE} names it as the config, and it does not exist; write it, or unset the variable"
                );
                Err(Error::content(&path, problem))
            }
        },
        Err(e) => Err(Error::io("read", &path)(e)),
    }
}

/// Prints the current config under a comment with its path.
pub(super) fn print_config() -> Result<()> {
    let config = read()?;
    let place = match path() {
        Some(path) if path.exists() => path.display().to_string(),
        Some(path) => format!("{} does not exist; these are the defaults", path.display()),
        None => "there is no home directory to read a config from; these are the defaults".to_owned(),
    };
    print(&format!("// {place}\n{}", config.to_ron()))
}
