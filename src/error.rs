//! The one error of the library.
//!
//! Every variant's message is a sentence that says what is wrong, where, and how to mend it, because
//! the binary prints it as it is. [`Error::exit_code`] sorts them the way shells expect: 2 for what
//! was asked wrongly, 1 for what went wrong.

use std::path::{Path, PathBuf};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, apart from bugs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option, or a combination of options, that cannot be honoured.
    #[error("{0}")]
    Usage(String),
    /// A preset that cannot be read or describes an impossible run.
    #[error("{origin}: {problem}")]
    Preset {
        /// The file with line and column, the preset's name, or the `--set` that caused it.
        origin: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A file or directory that could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The verb: "read", "create", "write to".
        action: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A file whose content is not what its name promises.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// An image of the user's own of another size than a model's; each is width and height.
    #[error(
        "{}: {}x{} pixels, and the model's images are {}x{}; --resize fits it in",
        path.display(), size[0], size[1], expected[0], expected[1]
    )]
    ImageSize {
        /// The file.
        path: PathBuf,
        /// The size of its image.
        size: [usize; 2],
        /// The size that the model takes.
        expected: [usize; 2],
    },
    /// Data of which there is too little, where no file is to blame.
    #[error("{0}")]
    Data(String),
    /// The loss stopped being a number.
    #[error(
        "training stopped: the loss became {loss} in iteration {iteration}; \
         {kept}; a smaller train.learning_rate usually helps"
    )]
    NotFinite {
        /// The iteration whose loss it was, counted from 1.
        iteration: u64,
        /// `NaN` or infinity.
        loss: f64,
        /// Which checkpoint is left to go on from, in words.
        kept: String,
    },
    /// A figure or picture that cannot be drawn.
    #[error("a picture cannot be drawn: {0}; what was written beside it is whole")]
    Figure(String),
    /// A device this binary or this machine does not have.
    #[error("{0}")]
    Device(String),
    /// The terminal cannot be used.
    #[error("{0}")]
    Terminal(String),
    /// A training ended in failure, as its last event said.
    #[error("{0}")]
    Failed(String),
    /// The training thread ended by a panic.
    #[error("the training thread failed: {0}")]
    Worker(String),
}

/// The names of threads whose panics are caught, and told of by whoever waits for them.
pub const TRAINING: &str = "training";
/// See [`TRAINING`].
pub const EVALUATION: &str = "evaluation";
/// See [`TRAINING`].
pub const PROBE: &str = "probe";
/// The name of the threads that share a batch.
pub const PASS: &str = "pass";

/// Whether a panic becomes an [`Error`] further up, so that it needs no report of its own: one of those threads',
/// or what libtorch has thrown, which tch turns into a panic and [`crate::cli::Cli::run`] into a sentence.
pub fn is_told_of(panic: &std::panic::PanicHookInfo) -> bool {
    matches!(std::thread::current().name(), Some(TRAINING | EVALUATION | PROBE | PASS))
        || is_thrown(&panic_message(panic.payload()))
}

/// Whether a panic's message is what libtorch has thrown.
pub fn is_thrown(message: &str) -> bool {
    message.contains("Torch(\"")
}

/// What a panic says.
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "of an unknown cause".into())
}

impl Error {
    /// 2 where the request was wrong, 1 where carrying it out failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) | Error::Preset { .. } | Error::Device(_) | Error::Terminal(_) => 2,
            _ => 1,
        }
    }

    /// For `map_err`: an I/O failure while doing `action` to `path`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        move |source| Error::Io { action, path: path.to_owned(), source }
    }

    /// A file whose content is wrong.
    pub fn content(path: &Path, problem: impl Into<String>) -> Error {
        Error::Content { path: path.to_owned(), problem: problem.into() }
    }
}
