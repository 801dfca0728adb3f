//! What goes over the socket: frames, each a length (u32, little-endian) and that many bytes.
//!
//! ```text
//!   both ways   hello             "nem-tui " and the program's version
//!   to the run  Command …         MessagePack
//!   from it     News::Event(Started), then News …
//! ```
//!
//! MessagePack with named fields is read by name, like RON and JSON, so that whatever serde attribute a
//! preset or a metric has for those holds here too; and unlike JSON it has numbers that are none.

use std::future::poll_fn;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What every hello begins with.
const MAGIC: &[u8] = b"nem-tui ";
/// Both sides are of the same version, or nothing more is said.
pub(super) const VERSION: &str = env!("NEM_TUI_VERSION");

/// The longest frame of a viewer's, hello included, in bytes.
pub(super) const MOST_OF_VIEWER: usize = 4 << 10;
/// The longest frame of a run's, in bytes: a snapshot of 15 steps, 4 components and 28x28 pixels takes 0.6 MB.
pub(super) const MOST_OF_RUN: usize = 256 << 20;

/// What a run tells its viewers: `News<&Event, &Snapshot>` where it is written, `News<Event, Snapshot>` where
/// it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum News<E, S> {
    /// What a viewer must not miss.
    Event(E),
    /// The newest picture.
    Picture(S),
}

/// The frame of a value.
///
/// # Errors
/// A value that would be longer than `most` bytes.
pub(super) fn encode(value: &impl Serialize, most: usize) -> Result<Vec<u8>> {
    frame(rmp_serde::to_vec_named(value).map_err(invalid)?, most)
}

/// The frame that each side begins with.
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
/// What is no hello, and an end of the stream.
pub(super) async fn read_hello(from: &mut (impl AsyncRead + Unpin)) -> Result<String> {
    let content = read_frame(from, MOST_OF_VIEWER).await?;
    let version = content.strip_prefix(MAGIC).and_then(|version| str::from_utf8(version).ok());
    version.map(str::to_owned).ok_or_else(|| invalid("no hello of nem-tui"))
}

/// Reads a value.
///
/// # Errors
/// A frame of more than `most` bytes, content that is no such value, and an end of the stream.
pub(super) async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin), most: usize) -> Result<T> {
    rmp_serde::from_slice(&read_frame(from, most).await?).map_err(invalid)
}

async fn read_frame(from: &mut (impl AsyncRead + Unpin), most: usize) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    read_exact(from, &mut length).await?;
    let length = u32::from_le_bytes(length) as usize;
    if length > most {
        return Err(invalid(format!("a frame of {length} bytes")));
    }
    let mut content = vec![0; length];
    read_exact(from, &mut content).await?;
    Ok(content)
}

/// By hand, like [`write`]: tokio's helpers come with a crate of buffers, and these two are all that is needed.
async fn read_exact(from: &mut (impl AsyncRead + Unpin), content: &mut [u8]) -> Result<()> {
    let mut buffer = ReadBuf::new(content);
    while buffer.remaining() > 0 {
        let left = buffer.remaining();
        poll_fn(|context| Pin::new(&mut *from).poll_read(context, &mut buffer)).await?;
        if buffer.remaining() == left {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Writes a frame.
///
/// # Errors
/// A reader that is gone.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), mut frame: &[u8]) -> Result<()> {
    while !frame.is_empty() {
        match poll_fn(|context| Pin::new(&mut *to).poll_write(context, frame)).await? {
            0 => return Err(ErrorKind::WriteZero.into()),
            written => frame = &frame[written..],
        }
    }
    Ok(())
}

fn invalid(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
