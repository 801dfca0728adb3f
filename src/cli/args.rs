//! Arguments that several commands share.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{OsStringValueParser, PathBufValueParser, TypedValueParser};

use super::print::say;
use crate::backend::{self, Compute, DeviceName};
use crate::error::{Error, Result};
use crate::files::read_text;
use crate::paths::shown;
use crate::precision::PrecisionName;
use crate::preset::{Digits, Preset};

/// The options of every command that computes.
#[derive(Args, Debug, Clone, Default)]
pub(super) struct Common {
    /// Where to compute: auto, flex, libtorch, cuda, cuda:N or cubecl-cuda:N; auto is a GPU if there is one, else
    /// libtorch's CPU, else Flex
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub(super) device: DeviceName,
    /// Let a CUDA GPU round the factors of matrix products to TF32, which is faster and less precise
    #[arg(long)]
    pub(super) tf32: bool,
    /// Override a field of the preset, for example --set train.batch=32; may be repeated. @FILE stands for a PATH=VALUE
    /// in each line of a file, where empty lines and those that begin with # do not count
    #[arg(long = "set", value_name = "PATH=VALUE|@FILE", value_parser = OsStringValueParser::new().try_map(set_as_text))]
    pub(super) sets: Vec<String>,
    /// Read digits from MNIST's IDX files in this directory
    #[arg(long, value_name = "DIR")]
    pub(super) mnist: Option<PathBuf>,
}

/// The precision of commands that train or score.
#[derive(Args, Debug, Clone, Copy, Default)]
pub(super) struct PrecisionArg {
    /// Precision of matrix products and convolutions: f32, bf16 (libtorch only), or auto (bf16 where the hardware is
    /// faster at it) [default: f32; a resumed run keeps its own]
    #[arg(long, value_name = "PRECISION")]
    pub(super) precision: Option<PrecisionName>,
}

impl PrecisionArg {
    /// The device of `common` with this precision.
    pub(super) fn compute(self, common: &Common) -> Result<Compute> {
        Compute::requested(common.device()?, self.precision)
    }
}

/// Conditions to test a trained model under, instead of its preset's.
#[derive(Args, Debug, Clone, Copy)]
pub(super) struct Conditions {
    /// Number of components, instead of the preset's
    #[arg(long)]
    pub(super) k: Option<usize>,
    /// Objects per image, instead of the preset's
    #[arg(long, value_name = "N")]
    pub(super) objects: Option<usize>,
    /// Number of EM steps, instead of the preset's
    #[arg(long, value_name = "T")]
    pub(super) steps: Option<usize>,
}

impl Conditions {
    /// The same as arguments of `--set`.
    pub(super) fn sets(self) -> impl Iterator<Item = String> {
        let Conditions { k, objects, steps } = self;
        let (k, objects) = (k.map(|k| format!("k={k}")), objects.map(|n| format!("data.objects={n}")));
        k.into_iter().chain(objects).chain(steps.map(|n| format!("steps={n}")))
    }
}

impl Common {
    /// The device to compute on. Restarts the program where the device needs another environment, so call it before
    /// doing any work.
    pub(super) fn device(&self) -> Result<DeviceName> {
        let device = self.device.resolved();
        if self.tf32 && !matches!(device, DeviceName::Cuda(_)) {
            return Err(Error::Usage(format!(
                "--tf32 is for libtorch's CUDA devices, and the device is {device}; leave it out, or choose --device cuda"
            )));
        }
        device.open()?;
        let wanted = backend::environment(backend::gpus(), self.tf32);
        if wanted.iter().all(|(name, value)| std::env::var_os(name).as_deref() == value.map(OsStr::new)) {
            return Ok(device);
        }
        let failed = |e: std::io::Error| {
            let list: Vec<String> = wanted
                .iter()
                .map(|(name, value)| value.map_or(format!("no {name}"), |value| format!("{name}={value}")))
                .collect();
            Error::Device(format!(
                "{device} needs an environment with {}, and the program cannot restart with it ({e}); set it by hand",
                list.join(" and ")
            ))
        };
        let mut again = std::process::Command::new(std::env::current_exe().map_err(failed)?);
        again.args(std::env::args_os().skip(1));
        for (name, value) in &wanted {
            match value {
                Some(value) => again.env(name, value),
                None => again.env_remove(name),
            };
        }
        #[cfg(unix)]
        return Err(failed(std::os::unix::process::CommandExt::exec(&mut again)));
        #[cfg(not(unix))]
        std::process::exit(again.status().map_err(failed)?.code().unwrap_or(1));
    }

    /// A preset by name or path, with `--set` and `--mnist` applied.
    pub(super) fn preset(&self, name: &Path) -> Result<Preset> {
        let preset = self.preset_of_many(name)?;
        if self.mnist.is_some() && preset.data.digits().is_none() {
            return Err(Error::Usage(format!(
                "--mnist: {} has no digits; leave the option out",
                shown(name)
            )));
        }
        Ok(preset)
    }

    /// The same, except that `--mnist` is ignored by a preset without digits.
    pub(super) fn preset_of_many(&self, name: &Path) -> Result<Preset> {
        self.applied(&Preset::load(name)?)
    }

    /// `preset` with `--set` applied, and `--mnist` where it has digits.
    pub(super) fn applied(&self, preset: &Preset) -> Result<Preset> {
        let mut preset = preset.set(&self.sets)?;
        if let Some(directory) = &self.mnist {
            preset.data = preset.data.with_digits(mnist(directory)?);
        }
        Ok(preset)
    }

    /// Refuses a `--set` that the stages of `preset` would override.
    pub(super) fn holds_in(&self, preset: &Preset) -> Result<()> {
        let path = |set: &String| set.split_once('=').map(|(path, _)| path.trim().to_owned());
        match self.sets.iter().filter_map(path).find(|path| preset.is_set_by_stages(path)) {
            None => Ok(()),
            Some(path) => Err(Error::Usage(format!(
                "--set {path}: the stages of {} set that themselves; override train.stages, or remove them with \
                 --set 'train.stages=[]'",
                preset.name
            ))),
        }
    }

    /// All overrides: `--set`, and `--mnist` as a `--set`.
    pub(super) fn all_sets(&self) -> Result<Vec<String>> {
        let mut sets = self.sets.clone();
        if let Some(directory) = &self.mnist {
            sets.push(digits_set(&mnist(directory)?)?);
        }
        Ok(sets)
    }

    /// Whether `--set` sets the preset's field `name`, or a part of it.
    pub(super) fn sets_field(&self, name: &str) -> bool {
        let path = |set: &String| set.split(['=', '.']).next().is_some_and(|field| field.trim() == name);
        self.sets.iter().any(path)
    }
}

/// Parses the name of a directory to write: without a slash or a dot at its end, and not stdout.
pub(super) fn directory_parser() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path == Path::new("-") {
        true => Err("a directory cannot be stdout; ./- is a directory of that name"),
        false => Ok(path.components().collect()),
    })
}

/// A `--set` as text. A path that is not UTF-8 becomes the list of its bytes, as in a preset.
fn set_as_text(set: OsString) -> Result<String, &'static str> {
    set.into_string().or_else(|set| {
        let bytes = set.as_encoded_bytes();
        let path = |field: &str| Some((field.to_owned(), bytes.strip_prefix(field.as_bytes())?));
        match ["data.path=", "data.digits.directory="].into_iter().find_map(path) {
            Some((field, path)) => Ok(format!("{field}{path:?}")),
            None => Err("it is not UTF-8; only a path may be anything else"),
        }
    })
}

/// MNIST's digits from `directory`, absolute, so that the run can be resumed from anywhere.
fn mnist(directory: &Path) -> Result<Digits> {
    let directory = std::path::absolute(directory).map_err(Error::io("find", directory))?;
    Ok(Digits::Mnist { directory: Some(directory) })
}

/// The `--set` that chooses `digits`.
pub(super) fn digits_set(digits: &Digits) -> Result<String> {
    let text = ron::to_string(digits).map_err(|e| Error::Usage(format!("--mnist: {e}")))?;
    Ok(format!("data.digits={text}"))
}

/// Tells on stderr what is not used of a file.
pub(super) fn tell(file: &Path, notes: &[String]) {
    notes.iter().for_each(|note| say(&format!("nem-tui: {}: {note}", shown(file))));
}

/// The program's arguments, with a `--set` for each line of the file that a `--set @FILE` names.
///
/// # Errors
/// A file that cannot be read or is not UTF-8.
pub(super) fn with_files_of_sets(arguments: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>> {
    let mut all = Vec::new();
    let mut is_set = false;
    for argument in arguments {
        let file = match argument.to_str() {
            Some(text) if is_set => text.strip_prefix('@'),
            Some(text) => text.strip_prefix("--set=@"),
            None => None,
        };
        let Some(file) = file else {
            is_set = argument == "--set";
            all.push(argument);
            continue;
        };
        if is_set {
            // Before the file's lines, which may be none.
            all.pop();
            is_set = false;
        }
        let text = read_text(Path::new(file))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        all.extend(lines.map(|line| format!("--set={line}").into()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_sets_stands_for_its_lines() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "\u{feff}# mine\r\nk=5\r\n\r\n  train.batch=32  \r\n").unwrap();
        let path = file.path().to_str().unwrap();
        let expanded = |arguments: &[&str]| -> Result<Vec<String>> {
            let all = with_files_of_sets(arguments.iter().map(|text| OsString::from(*text)))?;
            Ok(all.into_iter().map(|text| text.into_string().unwrap()).collect())
        };
        let (apart, together) = (format!("@{path}"), format!("--set=@{path}"));
        let expected: Vec<String> =
            ["train", "--set=k=5", "--set=train.batch=32", "--json"].map(String::from).into();
        assert_eq!(expanded(&["train", "--set", &apart, "--json"]).unwrap(), expected);
        assert_eq!(expanded(&["train", &together, "--json"]).unwrap(), expected);
        let others = ["train", "--set", "k=@5", "@x", "--set"].map(String::from);
        assert_eq!(expanded(&["train", "--set", "k=@5", "@x", "--set"]).unwrap(), others);
        std::fs::write(file.path(), "").unwrap();
        assert_eq!(expanded(&["train", "--set", &apart]).unwrap(), ["train"].map(String::from));
        let gone = expanded(&["--set", "@/nowhere/sets"]).unwrap_err().to_string();
        assert!(gone.contains("cannot read /nowhere/sets"), "{gone}");
    }
}
