//! The blocks of a GIF, to know what of it is used: decoders stop at the first fault and tell nothing of the rest.

/// What a walk through the blocks has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocks {
    /// Whole frames.
    pub(super) frames: usize,
    /// Where the last whole block ends.
    pub(super) end: usize,
    /// Why it ends there.
    pub(super) ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The mark that ends every GIF.
    Mark,
    /// The file ends between two blocks.
    File,
    /// A block is cut short.
    Cut,
    /// What follows is not a block.
    Other,
}

/// The mark that ends a GIF.
pub(super) const MARK: u8 = 0x3b;

/// Walks through the blocks; `None` where even the header is cut short.
pub(super) fn walk(bytes: &[u8]) -> Option<Blocks> {
    let mut end = 13 + colours(*bytes.get(10)?);
    bytes.get(..end)?;
    let mut frames = 0;
    let ending = loop {
        let (begin, is_frame) = match bytes.get(end) {
            None => break Ending::File,
            Some(&MARK) => {
                end += 1;
                break Ending::Mark;
            }
            Some(0x21) => (Some(end + 2), false),
            Some(0x2c) => (bytes.get(end + 9).map(|flags| end + 11 + colours(*flags)), true),
            Some(_) => break Ending::Other,
        };
        match begin.and_then(|begin| after_content(bytes, begin)) {
            None => break Ending::Cut,
            Some(next) => end = next,
        }
        frames += usize::from(is_frame);
    };
    Some(Blocks { frames, end, ending })
}

/// Length of the table of colours that these flags declare.
fn colours(flags: u8) -> usize {
    if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 }
}

/// Where a block's content ends, which is pieces with their lengths; the empty one is the last.
fn after_content(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}
