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

use crate::protocol::Command;

/// The beginning of every hello.
const MAGIC: &[u8] = b"nem-tui ";
/// Both sides must be of the same version; otherwise the connection ends after the hello.
pub(super) const VERSION: &str = env!("NEM_TUI_VERSION");

/// The longest hello, in bytes.
const MOST_OF_HELLO: usize = 64;
/// The longest frame from a viewer, in bytes. A drawing of 512x512 grey pixels takes 1.6 MB.
pub(super) const MOST_OF_VIEWER: usize = 2 << 20;
/// The longest frame from a run, in bytes. A snapshot of 15 steps, 4 components and 28x28 pixels takes 0.6 MB.
pub(super) const MOST_OF_RUN: usize = 256 << 20;

/// How deeply a value may be nested; a preset takes about ten levels.
const DEEPEST: usize = 64;
/// The room that is made for a frame before any of it has come, in bytes.
const FIRST_ROOM: usize = 64 << 10;

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
    frame([MAGIC, VERSION.as_bytes()].concat(), MOST_OF_HELLO)
}

fn frame(content: Vec<u8>, most: usize) -> Result<Vec<u8>> {
    let length = u32::try_from(content.len()).ok().filter(|length| *length as usize <= most);
    let length =
        length.ok_or_else(|| invalid(format!("{} bytes are too many; at most {most} fit", content.len())))?;
    Ok([&length.to_le_bytes(), content.as_slice()].concat())
}

/// Reads the other side's hello; the version in it.
///
/// # Errors
/// Anything but a hello, and the end of the stream.
pub(super) async fn read_hello(from: &mut (impl AsyncRead + Unpin)) -> Result<String> {
    let content = read_frame(from, MOST_OF_HELLO).await?;
    let version = content.strip_prefix(MAGIC).and_then(|version| str::from_utf8(version).ok());
    version.map(str::to_owned).ok_or_else(|| invalid("no hello of nem-tui"))
}

/// Reads a value.
///
/// # Errors
/// A frame of more than `most` bytes, content of another type or with something after it, and the end of the stream.
pub(super) async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin), most: usize) -> Result<T> {
    decode(&read_frame(from, most).await?)
}

/// Reads a command.
///
/// # Errors
/// As [`read`], and any content but exactly what [`encode`] makes of a command: nothing is a command by accident, such
/// as a byte that is a variant's number.
pub(super) async fn read_command(from: &mut (impl AsyncRead + Unpin)) -> Result<Command> {
    decode_command(&read_frame(from, MOST_OF_VIEWER).await?)
}

fn decode_command(content: &[u8]) -> Result<Command> {
    let command = decode(content)?;
    match rmp_serde::to_vec_named(&command) {
        Ok(exact) if exact == content => Ok(command),
        _ => Err(invalid("no command as nem-tui writes it")),
    }
}

/// Lengths in the content are not believed: memory is taken for what is there.
fn decode<T: DeserializeOwned>(content: &[u8]) -> Result<T> {
    let mut rest = content;
    let mut deserializer = rmp_serde::Deserializer::new(&mut rest);
    deserializer.set_max_depth(DEEPEST);
    let value = T::deserialize(&mut deserializer).map_err(invalid)?;
    match rest.len() {
        0 => Ok(value),
        left => Err(invalid(format!("{left} bytes after a value"))),
    }
}

async fn read_frame(from: &mut (impl AsyncRead + Unpin), most: usize) -> Result<Vec<u8>> {
    let length = from.read_u32_le().await? as usize;
    if length > most {
        return Err(invalid(format!("a frame of {length} bytes")));
    }
    let mut content = Vec::with_capacity(length.min(FIRST_ROOM));
    match from.take(length as u64).read_to_end(&mut content).await? {
        read if read == length => Ok(content),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
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
