//! `nem-tui config`, and where the workbench's config is read from.

use std::path::PathBuf;

use directories::ProjectDirs;

use super::print;
use crate::error::{Error, Result};
use crate::tui::config::Config;

/// Another file than that in the user's config directory.
const VARIABLE: &str = "NEM_TUI_CONFIG";

/// The file that [`VARIABLE`] names.
fn named() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// The file, also where there is none; nowhere for a user without a home.
fn path() -> Option<PathBuf> {
    let own = || ProjectDirs::from("", "", "nem-tui").map(|of| of.config_dir().join("config.ron"));
    named().or_else(own)
}

/// The user's config; the defaults where there is no file.
///
/// # Errors
/// A file that cannot be read, or says what cannot be; one that [`VARIABLE`] names and is not there.
pub(super) fn read() -> Result<Config> {
    let Some(path) = path() else { return Ok(Config::default()) };
    match std::fs::read_to_string(&path) {
        Ok(text) => Config::parse(&text).map_err(|problem| Error::content(&path, problem)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => match named() {
            None => Ok(Config::default()),
            Some(_) => {
                let problem = format!(
                    "{VARIABLE} names it as the config, and it is not there; write it, or unset that"
                );
                Err(Error::content(&path, problem))
            }
        },
        Err(e) => Err(Error::io("read", &path)(e)),
    }
}

/// Prints the config in force under a comment with its place.
pub(super) fn print_config() -> Result<()> {
    let config = read()?;
    let place = match path() {
        Some(path) if path.exists() => path.display().to_string(),
        Some(path) => format!("{} is not there; these are the defaults", path.display()),
        None => "there is no home directory to read a config from; these are the defaults".to_owned(),
    };
    print(&format!("// {place}\n{}", config.to_ron()))
}
