//! The library's error type.
//!
//! The binary prints messages as they are, so each says what is wrong, where, and what to do. [`Error::exit_code`]
//! follows the shells' convention: 2 for usage errors, 1 for failures; and 3 for work that is to be continued.

use std::path::{Path, PathBuf};

use crate::paths::shown;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong except bugs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An invalid option or combination of options.
    #[error("{0}")]
    Usage(String),
    /// A preset that cannot be read or is invalid.
    #[error("{origin}: {problem}")]
    Preset {
        /// The file with line and column, the preset's name, or the `--set` argument.
        origin: String,
        /// What is wrong and what is valid.
        problem: String,
    },
    /// A file or directory that could not be read or written.
    #[error("cannot {action} {}: {source}", shown(path))]
    Io {
        /// The verb: "read", "create", "write to".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A file with invalid content.
    #[error("{}: {problem}", shown(path))]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A directory that another process is working in.
    #[error("{}: {problem}", shown(path))]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Which process, and what to do.
        problem: String,
    },
    /// An image of the user's that does not have the model's size. Sizes are width and height.
    #[error(
        "{}: the image has {}x{} pixels but the model takes {}x{}; use --resize",
        shown(path), size[0], size[1], expected[0], expected[1]
    )]
    ImageSize {
        /// The file.
        path: PathBuf,
        /// The image's size.
        size: [usize; 2],
        /// The model's size.
        expected: [usize; 2],
    },
    /// A problem with data that does not come from a file.
    #[error("{0}")]
    Data(String),
    /// The loss became NaN or infinite.
    #[error(
        "training stopped: the {}loss became {loss} in iteration {iteration}; \
         {kept}; a smaller train.learning_rate usually helps",
        if *validation { "validation " } else { "" }
    )]
    NotFinite {
        /// Whether it is the loss of a validation.
        validation: bool,
        /// The iteration of that loss, counted from 1.
        iteration: u64,
        /// `NaN` or infinity.
        loss: f64,
        /// The checkpoint left to resume from, in words.
        kept: String,
    },
    /// A figure or picture that cannot be drawn.
    #[error("cannot draw a picture: {0}; the other files are complete")]
    Figure(String),
    /// A device that this binary or this machine does not have.
    #[error("{0}")]
    Device(String),
    /// The terminal cannot be used.
    #[error("{0}")]
    Terminal(String),
    /// A training that failed, with the message of its last event.
    #[error("{0}")]
    Failed(String),
    /// Work that was asked to stop before it was finished.
    #[error("stopped before it was finished; the same command continues it")]
    Stopped,
    /// A panic of the training thread.
    #[error("the training thread failed: {0}")]
    Worker(String),
}

/// A thread name. Panics of this thread are caught and reported by the thread that joins it.
pub const TRAINING: &str = "training";
/// See [`TRAINING`].
pub const EVALUATION: &str = "evaluation";
/// See [`TRAINING`].
pub const PROBE: &str = "probe";
/// See [`TRAINING`]; the threads that share a batch.
pub const PASS: &str = "pass";

/// Whether a panic becomes an [`Error`] further up, so that it needs no report: one on those threads, or an exception
/// of libtorch, which tch turns into a panic.
pub fn becomes_error(panic: &std::panic::PanicHookInfo) -> bool {
    matches!(std::thread::current().name(), Some(TRAINING | EVALUATION | PROBE | PASS))
        || is_thrown(&panic_message(panic.payload()))
}

/// Whether a panic's message is an exception of libtorch.
pub fn is_thrown(message: &str) -> bool {
    message.contains("Torch(\"")
}

/// A panic's message.
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown cause".into())
}

/// The exit code of work that was stopped before its end: the same command continues it. Schedulers can tell it from a
/// failure, for example Slurm's `RequeueExit=3`.
pub const TO_BE_CONTINUED: u8 = 3;

impl Error {
    /// 2 for a usage error, 3 for work that is to be continued, 1 for a failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) | Error::Preset { .. } | Error::Device(_) | Error::Terminal(_) => 2,
            Error::Stopped => TO_BE_CONTINUED,
            _ => 1,
        }
    }

    /// The message without the preset's name or the `--set` option, for a setting that was not typed there.
    pub fn problem(self) -> String {
        match self {
            Error::Preset { problem, .. } => problem,
            other => other.to_string(),
        }
    }

    /// For `map_err`: an I/O error during `action` on `path`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        move |source| Error::Io { action, path: path.to_owned(), source }
    }

    /// Whether it is a file operation that may succeed later: a full disk, a quota, a file server or a device that does not
    /// answer. Not a place that is gone.
    pub fn may_pass(&self) -> bool {
        use std::io::ErrorKind as Kind;
        let Error::Io { source, .. } = self else { return false };
        !matches!(
            source.kind(),
            Kind::NotFound
                | Kind::NotADirectory
                | Kind::IsADirectory
                | Kind::InvalidInput
                | Kind::InvalidFilename
                | Kind::InvalidData
                | Kind::UnexpectedEof
                | Kind::AlreadyExists
                | Kind::CrossesDevices
                | Kind::Unsupported
        )
    }

    /// [`Error::Content`].
    pub fn content(path: &Path, problem: impl Into<String>) -> Error {
        Error::Content { path: path.to_owned(), problem: problem.into() }
    }
}
