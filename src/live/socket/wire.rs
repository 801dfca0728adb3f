//! The protocol of the socket: frames, each a length (u32, little-endian) and that many bytes.
//!
//! ```text
//!   both ways   hello             "nem-tui " and the program's version
//!   to the run  Command …         MessagePack
//!   from it     News::Event(Started), then News …
//! ```
//!
//! MessagePack with named fields is read by name, like RON and JSON, so that the serde attributes of presets and
//! metrics hold here too. Unlike JSON it has NaN and infinities.

use std::io::{Error, ErrorKind, Result};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The beginning of every hello.
const MAGIC: &[u8] = b"nem-tui ";
/// Both sides must be of the same version; otherwise the connection ends after the hello.
pub(super) const VERSION: &str = env!("NEM_TUI_VERSION");

/// The longest frame from a viewer, hello included, in bytes.
pub(super) const MOST_OF_VIEWER: usize = 4 << 10;
/// The longest frame from a run, in bytes. A snapshot of 15 steps, 4 components and 28x28 pixels takes 0.6 MB.
pub(super) const MOST_OF_RUN: usize = 256 << 20;

/// What a run sends its viewers: written as `News<&Event, &Snapshot>`, read as `News<Event, Snapshot>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum News<E, S> {
    /// An event.
    Event(E),
    /// The viewer's newest snapshot.
    Picture(S),
}

/// The frame of a value.
///
/// # Errors
/// A value that would be longer than `most` bytes.
pub(super) fn encode(value: &impl Serialize, most: usize) -> Result<Vec<u8>> {
    frame(rmp_serde::to_vec_named(value).map_err(invalid)?, most)
}

/// The first frame of each side.
pub(super) fn hello() -> Result<Vec<u8>> {
    frame([MAGIC, VERSION.as_bytes()].concat(), MOST_OF_VIEWER)
}

fn frame(content: Vec<u8>, most: usize) -> Result<Vec<u8>> {
    let length = u32::try_from(content.len()).ok().filter(|length| *length as usize <= most);
    let length = length.ok_or_else(|| invalid(format!("a frame of {} bytes", content.len())))?;
    Ok([&length.to_le_bytes(), content.as_slice()].concat())
}

/// Reads the other side's hello; the version in it.
///
/// # Errors
/// Anything but a hello, and the end of the stream.
pub(super) async fn read_hello(from: &mut (impl AsyncRead + Unpin)) -> Result<String> {
    let content = read_frame(from, MOST_OF_VIEWER).await?;
    let version = content.strip_prefix(MAGIC).and_then(|version| str::from_utf8(version).ok());
    version.map(str::to_owned).ok_or_else(|| invalid("no hello of nem-tui"))
}

/// Reads a value.
///
/// # Errors
/// A frame of more than `most` bytes, content of another type, and the end of the stream.
pub(super) async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin), most: usize) -> Result<T> {
    rmp_serde::from_slice(&read_frame(from, most).await?).map_err(invalid)
}

async fn read_frame(from: &mut (impl AsyncRead + Unpin), most: usize) -> Result<Vec<u8>> {
    let length = from.read_u32_le().await? as usize;
    if length > most {
        return Err(invalid(format!("a frame of {length} bytes")));
    }
    let mut content = vec![0; length];
    from.read_exact(&mut content).await?;
    Ok(content)
}

/// Writes a frame.
///
/// # Errors
/// A reader that is gone.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> Result<()> {
    to.write_all(frame).await
}

fn invalid(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
