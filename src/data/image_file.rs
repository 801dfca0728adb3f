//! The user's own image files: a PNG, the frames of a GIF, or NumPy's `.npy`, scaled to the size a model takes, with
//! notes on what is not used of a file.

mod gif_blocks;
mod npy;
mod npz;

use std::borrow::Cow;
use std::io::{Cursor, Read};
use std::path::Path;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::imageops::{FilterType, resize};
use image::{AnimationDecoder, DynamicImage, ImageBuffer, ImageDecoder, ImageError, Limits, Luma};

use super::unit;
use crate::error::{Error, Result};
use crate::machine::{self, in_words};
use crate::preset::{ImageSize, MAX_STEPS};
use gif_blocks::Ending;
use npy::NumberKind;

/// Larger files are not read: their values would take four times the memory.
const MOST_BYTES: u64 = 1 << 28;
/// Images with more pixels are not read.
const MOST_PIXELS: u64 = 1 << 26;
/// Animations with more pixels in all frames that are used are not read: a small file may hold hours of work.
const MOST_PIXELS_OF_ALL: u64 = 1 << 30;
/// As many frames as the largest number of EM steps needs.
const MOST_FRAMES: usize = MAX_STEPS + 1;
/// Bytes that a pixel takes while it is decoded: four levels, as they are stored and as floats, and the result.
const BYTES_A_PIXEL: u64 = 4 * 2 + 4 * 4 + 4;
/// The weights of red, green and blue in grey (ITU-R BT.709).
const LUMA: [f32; 3] = [0.2126, 0.7152, 0.0722];

/// A sequence of frames, or a still image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clip {
    /// M values each, channels first. The only frame of a still image stands for every EM step.
    pub frames: Vec<Vec<f32>>,
    /// What was not used of the file, in words that follow its name.
    pub notes: Vec<String>,
    /// The same of the scaling that was asked for.
    pub scaling: Option<String>,
}

impl Clip {
    /// The notes, with one where `steps` EM steps need fewer frames than there are.
    pub fn notes_in(&self, steps: usize) -> Vec<String> {
        let (there, used) = (self.frames.len(), steps + 1);
        let unused = (there > 1 && there > used)
            .then(|| format!("{steps} EM steps use the first {used} of its {there} frames"));
        unused.into_iter().chain(self.notes.iter().cloned()).collect()
    }

    /// How many EM steps to unroll: `steps` for a still image or where the user `asked` for them, otherwise as many as
    /// there are frames for.
    ///
    /// # Errors
    /// A sentence without the file's name: too few frames for the steps that were asked for.
    pub fn steps(&self, steps: usize, asked: bool) -> Result<usize, String> {
        match self.frames.len().saturating_sub(1) {
            0 => Ok(steps),
            most if !asked => Ok(most),
            most if steps <= most => Ok(steps),
            most => Err(format!(
                "{} frames, enough for {most} EM steps, not for {steps}; ask for at most {most}",
                most + 1
            )),
        }
    }
}

/// The kind of a file, by its first bytes.
#[derive(Clone, Copy)]
enum FileKind {
    Png,
    Gif,
    Npy,
    Npz,
}

impl FileKind {
    fn of(bytes: &[u8]) -> Option<FileKind> {
        let formats = [
            (&b"\x89PNG"[..], FileKind::Png),
            (&b"GIF8"[..], FileKind::Gif),
            (npy::MAGIC, FileKind::Npy),
            (npz::MAGIC, FileKind::Npz),
        ];
        formats.into_iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, format)| format)
    }
}

/// Whether [`read`] takes the file at `path`, judged by its first bytes.
///
/// # Errors
/// A file that cannot be read.
pub fn is_image(path: &Path) -> Result<bool> {
    let mut head = Vec::new();
    let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
    file.take(8).read_to_end(&mut head).map_err(Error::io("read", path))?;
    Ok(FileKind::of(&head).is_some())
}

/// Reads the image or the frames in the file at `path` for a model of images of `image`. Colours become grey where the
/// model has one channel, and transparent pixels lie on black. With `resize` an image of another size is scaled: as large
/// as fits, in its proportions, on black.
///
/// # Errors
/// A file that cannot be read, is of another kind or damaged, or does not hold such an image; [`Error::ImageSize`] for
/// another size without `resize`.
pub fn read(path: &Path, image: ImageSize, resize: bool) -> Result<Clip> {
    let wrong = |problem: String| Error::content(path, problem);
    // Reading a pipe or a device might never end.
    let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
    if !metadata.is_file() {
        return Err(wrong("not a regular file; name a PNG, a GIF or an .npy file".into()));
    }
    if metadata.len() > MOST_BYTES {
        return Err(wrong(format!(
            "larger than {} MiB, the most that is read; make it smaller",
            MOST_BYTES >> 20
        )));
    }
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let mut changes = Changes::default();
    let mut fit = |frame: RawFrame| {
        let size = [frame.width, frame.height];
        let expected = [image.width, image.height];
        if size != expected && !resize {
            return Err(Error::ImageSize { path: path.to_owned(), size, expected });
        }
        changes.see(&frame, image);
        Ok(frame.with_channels(image.channels).fitted(image))
    };
    let mut notes = Vec::new();
    let kind = FileKind::of(&bytes);
    let frames = match kind {
        None => {
            return Err(wrong("neither a PNG, a GIF nor an .npy file; convert it to one of these".into()));
        }
        Some(FileKind::Npy | FileKind::Npz) => {
            let unpacked;
            let bytes = match kind {
                Some(FileKind::Npz) => {
                    unpacked =
                        npz::array(&bytes, MOST_BYTES.min(machine::free_memory() / 4)).map_err(wrong)?;
                    &unpacked
                }
                _ => &bytes,
            };
            arrays(bytes, image, &mut notes).map_err(wrong)?.map(fit).collect::<Result<_>>()?
        }
        Some(_) if !is_convertible(4, image.channels) => {
            return Err(wrong(format!(
                "the model's images have {0} channels; give an .npy file of shape [F, {0}, H, W]",
                image.channels
            )));
        }
        Some(FileKind::Png) => vec![fit(png(&bytes, &mut notes).map_err(wrong)?)?],
        Some(FileKind::Gif) => frames_of_gif(&bytes, fit, wrong, &mut notes)?,
    };
    notes.extend(changes.notes());
    match frames.is_empty() {
        true => Err(wrong("holds no frame; save at least one".into())),
        false => Ok(Clip { frames, notes, scaling: changes.scaling(image) }),
    }
}

/// What fitting frames to a model changes.
#[derive(Default)]
struct Changes {
    transparent: bool,
    coloured: bool,
    /// The size it had.
    scaled: Option<[usize; 2]>,
}

impl Changes {
    fn see(&mut self, frame: &RawFrame, image: ImageSize) {
        let plane = |channel: usize| {
            frame.values.chunks_exact((frame.width * frame.height).max(1)).nth(channel).unwrap_or_default()
        };
        if frame.channels == 4 && image.channels != 4 {
            self.transparent |= plane(3).iter().any(|alpha| *alpha < 1.0);
        }
        if image.channels == 1 && frame.channels >= 3 {
            self.coloured |= plane(0) != plane(1) || plane(1) != plane(2);
        }
        if (frame.width, frame.height) != (image.width, image.height) {
            self.scaled = Some([frame.width, frame.height]);
        }
    }

    fn notes(&self) -> impl Iterator<Item = String> {
        let transparent = self.transparent.then(|| "its transparent pixels are put on black".to_owned());
        let coloured = self.coloured.then(|| "its colours are turned to grey".to_owned());
        transparent.into_iter().chain(coloured)
    }

    fn scaling(&self, image: ImageSize) -> Option<String> {
        self.scaled.map(|[width, height]| {
            format!("its {width}x{height} pixels are scaled to fit {}x{}", image.width, image.height)
        })
    }
}

/// Why an image was not decoded.
fn undecodable(kind: &str, error: ImageError) -> String {
    match error {
        ImageError::Limits(e) => format!("this {kind} takes too much memory ({e}); make it smaller"),
        ImageError::Unsupported(e) => {
            format!("this kind of {kind} cannot be read ({e}); save it in another format")
        }
        e => format!("not a complete {kind} ({e}); save or copy it again"),
    }
}

fn png(bytes: &[u8], notes: &mut Vec<String>) -> Result<RawFrame, String> {
    let damaged = |e| undecodable("PNG", e);
    let mut most = Limits::default();
    most.max_alloc = Some(MOST_BYTES);
    let mut decoder = PngDecoder::with_limits(Cursor::new(bytes), most).map_err(damaged)?;
    decoder.set_limits(limits(decoder.dimensions())?).map_err(damaged)?;
    if decoder.is_apng().is_ok_and(|animated| animated) {
        notes.push("the first image of its animation is used; save it as a GIF to use all".into());
    }
    Ok(RawFrame::of(DynamicImage::from_decoder(decoder).map_err(damaged)?))
}

/// The frames as a viewer shows them; each is scaled before the next is decoded.
fn frames_of_gif(
    bytes: &[u8],
    fit: impl FnMut(RawFrame) -> Result<Vec<f32>>,
    wrong: impl Fn(String) -> Error,
    notes: &mut Vec<String>,
) -> Result<Vec<Vec<f32>>> {
    let damaged = |e| wrong(undecodable("GIF", e));
    let mut bytes = Cow::Borrowed(bytes);
    let mut used = 1;
    if let Some(blocks) = gif_blocks::walk(&bytes).filter(|blocks| blocks.frames > 0) {
        used = blocks.frames.min(MOST_FRAMES);
        if blocks.frames > MOST_FRAMES {
            notes.push(format!("the first {MOST_FRAMES} of its {} frames are used", blocks.frames));
        }
        let rest = bytes.len() - blocks.end;
        match blocks.ending {
            // A decoder says why.
            Ending::Cut => {}
            Ending::Mark if rest > 0 => notes.push(format!("{rest} bytes after its end are not used")),
            Ending::Mark => {}
            Ending::File => notes.push("its end is missing; its frames are whole".into()),
            Ending::Other => notes.push(format!("{rest} bytes after frame {} are not used", blocks.frames)),
        }
        if matches!(blocks.ending, Ending::File | Ending::Other) {
            bytes = Cow::Owned([&bytes[..blocks.end], &[gif_blocks::MARK]].concat());
        }
    }
    let mut decoder = GifDecoder::new(Cursor::new(&*bytes)).map_err(damaged)?;
    let limits = limits(decoder.dimensions()).map_err(&wrong)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) * used as u64 > MOST_PIXELS_OF_ALL {
        return Err(wrong(format!(
            "{used} frames of {width}x{height} pixels are more than {} million in all; make it smaller or shorter",
            MOST_PIXELS_OF_ALL / 1_000_000
        )));
    }
    decoder.set_limits(limits).map_err(damaged)?;
    let frames = decoder.into_frames().take(MOST_FRAMES);
    let raw = frames.map(|frame| Ok(RawFrame::of(frame.map_err(damaged)?.into_buffer().into())));
    let mut fit = fit;
    raw.map(|frame| frame.and_then(&mut fit)).collect()
}

/// The memory that decoders may allocate for an image of this size.
fn limits((width, height): (u32, u32)) -> Result<Limits, String> {
    if width == 0 || height == 0 {
        return Err("has no pixels; save another image".into());
    }
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(format!(
            "{width}x{height} pixels, and at most {} million are read; make it smaller",
            MOST_PIXELS / 1_000_000
        ));
    }
    let needed = u64::from(width) * u64::from(height) * BYTES_A_PIXEL;
    let free = machine::free_memory();
    if needed > free {
        return Err(format!(
            "{width}x{height} pixels take {} of memory, and {} is available; make it smaller",
            in_words(needed),
            in_words(free)
        ));
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(16 * MOST_PIXELS);
    Ok(limits)
}

/// The frames of an array.
fn arrays(
    bytes: &[u8],
    image: ImageSize,
    notes: &mut Vec<String>,
) -> Result<impl Iterator<Item = RawFrame>, String> {
    let (mut array, kind) = npy::decode(bytes)?;
    let layout = AxisLayout::of(&array.shape, image)?;
    if array.values.is_empty() {
        return Err(format!("its shape {:?} has no pixels; save another array", array.shape));
    }
    let largest = array.values.iter().fold(0.0, |max: f32, v| max.max(*v));
    // Integers are levels, except where all are 0 or 1.
    let full = match kind {
        NumberKind::Integer(full) if largest > 1.0 => f32::from(full),
        _ => 1.0,
    };
    if full > 255.0 && largest <= 255.0 {
        notes.push(format!(
            "its 16-bit integers are levels from 0 to 65535, and the largest is {largest}; divide them by the largest \
             possible one if they are others"
        ));
    }
    if let Some(at) = array.values.iter().position(|value| !unit::fits(unit::clamped(*value / full))) {
        return Err(format!(
            "holds {} at {:?}; values must be 0 to 1, or integers from 0 to {}, so scale it first",
            array.values[at],
            unit::index(&array.shape, at),
            if full > 255.0 { 65535 } else { 255 }
        ));
    }
    array.values.iter_mut().for_each(|value| *value = unit::clamped(*value / full));
    let AxisLayout { frames, channels, height, width, channels_last } = layout;
    if frames > MOST_FRAMES {
        notes.push(format!("the first {MOST_FRAMES} of its {frames} frames are used"));
    }
    let size = channels * height * width;
    let frame = move |f: usize| {
        let values = &array.values[f * size..][..size];
        let value = |i: usize| {
            let (channel, pixel) = (i / (height * width), i % (height * width));
            values[if channels_last { pixel * channels + channel } else { i }]
        };
        RawFrame { channels, height, width, values: (0..size).map(value).collect() }
    };
    Ok((0..frames.min(MOST_FRAMES)).map(frame))
}

/// The meaning of an array's axes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct AxisLayout {
    frames: usize,
    channels: usize,
    height: usize,
    width: usize,
    channels_last: bool,
}

impl AxisLayout {
    /// The layout with the model's image size, or else the only possible one.
    fn of(shape: &[usize], image: ImageSize) -> Result<AxisLayout, String> {
        let planes = |frames, channels, height, width| AxisLayout {
            frames,
            channels,
            height,
            width,
            channels_last: false,
        };
        let colours = |frames, height, width, channels| AxisLayout {
            channels_last: true,
            ..planes(frames, channels, height, width)
        };
        let mut all = match *shape {
            [h, w] => vec![planes(1, 1, h, w)],
            // Three planes are three frames, unless the model has three channels.
            [a, b, c] if a > 1 && a == image.channels => {
                vec![planes(a, 1, b, c), planes(1, a, b, c), colours(1, a, b, c)]
            }
            [a, b, c] => vec![planes(a, 1, b, c), colours(1, a, b, c)],
            [f, a, b, c] => vec![planes(f, a, b, c), colours(f, a, b, c)],
            _ => vec![],
        };
        all.retain(|l| is_convertible(l.channels, image.channels));
        let fits = |l: &&AxisLayout| (l.height, l.width) == (image.height, image.width);
        let exact: Vec<AxisLayout> = all.iter().filter(fits).copied().collect();
        // An axis this short is more likely one of colours than of columns.
        let narrow = |l: &AxisLayout| !l.channels_last && l.width <= 4;
        if exact.is_empty() && all.iter().any(|l| l.channels_last) {
            all.retain(|l| !narrow(l));
        }
        match (exact.as_slice(), all.as_slice()) {
            ([layout], _) | ([], [layout]) => Ok(*layout),
            ([], []) => Err(format!(
                "its shape {shape:?} is not [H, W], [F, H, W], [F, C, H, W] or [F, H, W, C] for a model of {} {}; save \
                 one of several samples [N, F, …]",
                image.channels,
                if image.channels == 1 { "channel" } else { "channels" }
            )),
            _ => Err(format!(
                "its shape {shape:?} can be read in several ways; save it as [F, C, H, W], with frames and channels"
            )),
        }
    }
}

/// Whether images with this number of channels can be converted to a model's.
fn is_convertible(channels: usize, model: usize) -> bool {
    channels == model || channels == 1 || ([3, 4].contains(&channels) && [1, 3].contains(&model))
}

/// An image of any size, channels first.
struct RawFrame {
    channels: usize,
    height: usize,
    width: usize,
    values: Vec<f32>,
}

impl RawFrame {
    fn of(image: DynamicImage) -> RawFrame {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let deep = image.color().bytes_per_pixel() > image.color().channel_count();
        let values = match deep {
            true => planes(image.into_rgba16().as_raw(), f32::from(u16::MAX)),
            false => planes(image.into_rgba8().as_raw(), f32::from(u8::MAX)),
        };
        RawFrame { channels: 4, height, width, values }
    }

    /// Converted to a model's number of channels, which must be possible.
    fn with_channels(self, model: usize) -> RawFrame {
        let RawFrame { channels, height, width, values } = self;
        let places = height * width;
        let at = |channel: usize, pixel: usize| values[channel * places + pixel];
        let colour = |channel: usize, pixel: usize| match channels {
            // Transparent pixels lie on black.
            4 => at(channel, pixel) * at(3, pixel),
            _ => at(channel, pixel),
        };
        let values = match (channels, model) {
            (channels, model) if channels == model => values,
            (1, model) => values.repeat(model),
            (_, 3) => (0..3 * places).map(|i| colour(i / places, i % places)).collect(),
            _ => (0..places).map(|pixel| grey([0, 1, 2].map(|channel| colour(channel, pixel)))).collect(),
        };
        RawFrame { channels: model, height, width, values }
    }

    /// Scaled to the model's size: as large as fits, in its proportions, on black; shrinking averages.
    fn fitted(self, image: ImageSize) -> Vec<f32> {
        let RawFrame { channels, height, width, values } = self;
        if (height, width) == (image.height, image.width) {
            return values;
        }
        let scale = (image.width as f64 / width as f64).min(image.height as f64 / height as f64);
        let side = |n: usize, most: usize| ((n as f64 * scale).round() as usize).clamp(1, most);
        let (w, h) = (side(width, image.width), side(height, image.height));
        let (left, top) = ((image.width - w) / 2, (image.height - h) / 2);
        let mut fitted = vec![0.0; channels * image.pixels()];
        for (plane, values) in
            fitted.chunks_exact_mut(image.pixels()).zip(values.chunks_exact(height * width))
        {
            let whole = ImageBuffer::<Luma<f32>, _>::from_raw(width as u32, height as u32, values);
            let Some(whole) = whole else { unreachable!("a plane has as many values as pixels") };
            let small = resize(&whole, w as u32, h as u32, FilterType::Triangle);
            for (row, values) in plane.chunks_exact_mut(image.width).skip(top).zip(small.chunks_exact(w)) {
                row[left..left + w].copy_from_slice(values);
            }
        }
        fitted
    }
}

/// The four channels one after another, as shares of `full`.
fn planes<T: Copy + Into<f32>>(pixels: &[T], full: f32) -> Vec<f32> {
    (0..4).flat_map(|channel| pixels.iter().skip(channel).step_by(4).map(|v| (*v).into() / full)).collect()
}

fn grey(colours: [f32; 3]) -> f32 {
    let [red, green, blue] = colours;
    // Grey stays the same to the last bit.
    if red == green && green == blue {
        return red;
    }
    colours.iter().zip(LUMA).map(|(colour, share)| colour * share).sum()
}

#[cfg(test)]
mod tests;
