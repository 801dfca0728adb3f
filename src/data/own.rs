//! Images of the user's own: a PNG, the frames of a GIF, NumPy's `.npy`, fitted to what a model takes.

use std::io::{Cursor, Read};
use std::path::Path;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::imageops::{FilterType, resize};
use image::{AnimationDecoder, DynamicImage, ImageBuffer, ImageDecoder, Limits, Luma};

use super::npy::{self, Kind};
use crate::error::{Error, Result};
use crate::preset::{ImageSize, MAX_STEPS};

/// Files of more bytes are not read: their values would take four times the memory.
const MOST_BYTES: u64 = 1 << 28;
/// Nor are images of more pixels.
const MOST_PIXELS: u64 = 1 << 26;
/// As many frames as the largest number of EM steps can use.
const MOST_FRAMES: usize = MAX_STEPS + 1;
/// How much red, green and blue there are in grey (ITU-R BT.709).
const LUMA: [f32; 3] = [0.2126, 0.7152, 0.0722];

/// A sequence of frames, or a still image.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// M values each, channels first; one of a still image, which stands for every EM step.
    pub frames: Vec<Vec<f32>>,
}

impl Clip {
    /// How many EM steps to unroll: where nobody asked for `steps`, as many as there are frames for.
    ///
    /// # Errors
    /// A sentence, without the file's name: fewer frames than the steps that are asked for need.
    pub fn steps(&self, steps: usize, asked: bool) -> Result<usize, String> {
        match self.frames.len().saturating_sub(1) {
            0 => Ok(steps),
            most if !asked => Ok(most),
            most if steps <= most => Ok(steps),
            most => Err(format!(
                "{} frames, enough for {most} EM steps, and {steps} are asked for; ask for no more than {most}",
                most + 1
            )),
        }
    }
}

/// What a file holds, by its first bytes.
#[derive(Clone, Copy)]
enum Format {
    Png,
    Gif,
    Npy,
}

impl Format {
    fn of(bytes: &[u8]) -> Option<Format> {
        let formats =
            [(&b"\x89PNG"[..], Format::Png), (&b"GIF8"[..], Format::Gif), (npy::MAGIC, Format::Npy)];
        formats.into_iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, format)| format)
    }
}

/// Whether the file at `path` is one that [`read`] takes, by its first bytes.
///
/// # Errors
/// A file that cannot be read.
pub fn is_image(path: &Path) -> Result<bool> {
    let mut head = Vec::new();
    let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
    file.take(8).read_to_end(&mut head).map_err(Error::io("read", path))?;
    Ok(Format::of(&head).is_some())
}

/// Reads the image, or the frames, in the file at `path` for a model of images of `image`. Colours become grey
/// where the model has one channel, and what is transparent lies on black. With `resize` another size is fitted
/// in: as large as goes, in its proportions, on black.
///
/// # Errors
/// A file that cannot be read or is none of these, is damaged, or holds what cannot be such an image;
/// [`Error::ImageSize`] for one of another size, without `resize`.
pub fn read(path: &Path, image: ImageSize, resize: bool) -> Result<Clip> {
    let wrong = |problem: String| Error::content(path, problem);
    // A pipe or a device might never end.
    let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
    if !metadata.is_file() {
        return Err(wrong("not a file; name a PNG, a GIF or an .npy file".into()));
    }
    if metadata.len() > MOST_BYTES {
        return Err(wrong(format!(
            "larger than the {} MiB that are read; make it smaller",
            MOST_BYTES >> 20
        )));
    }
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let fit = |frame: Frame| {
        let size = [frame.width, frame.height];
        let expected = [image.width, image.height];
        if size != expected && !resize {
            return Err(Error::ImageSize { path: path.to_owned(), size, expected });
        }
        Ok(frame.with_channels(image.channels).fitted(image))
    };
    let frames = match Format::of(&bytes) {
        None => {
            return Err(wrong("neither a PNG, a GIF nor an .npy file; convert it to one of these".into()));
        }
        Some(Format::Npy) => {
            arrays(&bytes, image).map_err(wrong)?.into_iter().map(fit).collect::<Result<_>>()?
        }
        Some(_) if !is_convertible(4, image.channels) => {
            return Err(wrong(format!(
                "the model's images have {0} channels; give an .npy file of shape [F, {0}, H, W]",
                image.channels
            )));
        }
        Some(Format::Png) => vec![fit(png(&bytes).map_err(wrong)?)?],
        Some(Format::Gif) => gif(&bytes, fit, wrong)?,
    };
    match frames.is_empty() {
        true => Err(wrong("holds no frame; save at least one".into())),
        false => Ok(Clip { frames }),
    }
}

fn png(bytes: &[u8]) -> Result<Frame, String> {
    let damaged = |e| format!("not a whole PNG ({e}); save or copy it again");
    let mut decoder = PngDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
    decoder.set_limits(limits(decoder.dimensions())?).map_err(damaged)?;
    Ok(Frame::of(DynamicImage::from_decoder(decoder).map_err(damaged)?))
}

/// Frame by frame, as a viewer shows them; each is fitted before the next is decoded.
fn gif(
    bytes: &[u8],
    fit: impl Fn(Frame) -> Result<Vec<f32>>,
    wrong: impl Fn(String) -> Error,
) -> Result<Vec<Vec<f32>>> {
    let damaged = |e| wrong(format!("not a whole GIF ({e}); save or copy it again"));
    let mut decoder = GifDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
    let limits = limits(decoder.dimensions()).map_err(&wrong)?;
    decoder.set_limits(limits).map_err(damaged)?;
    let frames = decoder.into_frames().take(MOST_FRAMES);
    frames.map(|frame| fit(Frame::of(frame.map_err(damaged)?.into_buffer().into()))).collect()
}

/// What the decoders may allocate for an image of this size.
fn limits((width, height): (u32, u32)) -> Result<Limits, String> {
    if width == 0 || height == 0 {
        return Err("holds no pixel; save another image".into());
    }
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(format!(
            "{width}x{height} pixels, and at most {} million are read; make it smaller",
            MOST_PIXELS / 1_000_000
        ));
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(16 * MOST_PIXELS);
    Ok(limits)
}

/// The frames of an array.
fn arrays(bytes: &[u8], image: ImageSize) -> Result<Vec<Frame>, String> {
    let (array, kind) = npy::decode(bytes)?;
    let layout = Layout::of(&array.shape, image)?;
    if array.values.is_empty() {
        return Err(format!("its shape {:?} holds no pixel; save another array", array.shape));
    }
    let largest = array.values.iter().fold(0.0, |max: f32, v| max.max(*v));
    // Whole numbers are levels of 256, but for those that only say yes and no.
    let full = if kind == Kind::Integer && largest > 1.0 { 255.0 } else { 1.0 };
    if let Some(value) = array.values.iter().find(|v| !(0.0..=full).contains(*v)) {
        return Err(format!(
            "holds {value}; values are 0 to 1, or whole numbers from 0 to 255, so scale it first"
        ));
    }
    let Layout { frames, channels, height, width, channels_last } = layout;
    let frame = |f: usize| {
        let values = &array.values[f * channels * height * width..][..channels * height * width];
        let value = |i: usize| {
            let (channel, pixel) = (i / (height * width), i % (height * width));
            values[if channels_last { pixel * channels + channel } else { i }] / full
        };
        Frame { channels, height, width, values: (0..values.len()).map(value).collect() }
    };
    Ok((0..frames.min(MOST_FRAMES)).map(frame).collect())
}

/// What the axes of an array are.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Layout {
    frames: usize,
    channels: usize,
    height: usize,
    width: usize,
    channels_last: bool,
}

impl Layout {
    /// The one that has the model's size, or else the only one that can be.
    fn of(shape: &[usize], image: ImageSize) -> Result<Layout, String> {
        let planes = |frames, channels, height, width| Layout {
            frames,
            channels,
            height,
            width,
            channels_last: false,
        };
        let colours = |frames, height, width, channels| Layout {
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
        let fits = |l: &&Layout| (l.height, l.width) == (image.height, image.width);
        let exact: Vec<Layout> = all.iter().filter(fits).copied().collect();
        // No image is as narrow as there are colours.
        let narrow = |l: &Layout| !l.channels_last && l.width <= 4;
        if exact.is_empty() && all.iter().any(|l| l.channels_last) {
            all.retain(|l| !narrow(l));
        }
        match (exact.as_slice(), all.as_slice()) {
            ([layout], _) | ([], [layout]) => Ok(*layout),
            ([], []) => Err(format!(
                "its shape {shape:?} is none of [H, W], [F, H, W], [F, C, H, W] and [F, H, W, C] for a model of {} \
                 {}; of several samples, [N, F, …], save one",
                image.channels,
                if image.channels == 1 { "channel" } else { "channels" }
            )),
            _ => Err(format!(
                "its shape {shape:?} can be read in several ways; save it as [F, C, H, W], with frames and channels"
            )),
        }
    }
}

/// Whether images of so many channels can become those of a model.
fn is_convertible(channels: usize, model: usize) -> bool {
    channels == model || channels == 1 || ([3, 4].contains(&channels) && [1, 3].contains(&model))
}

/// An image of any size, channels first.
struct Frame {
    channels: usize,
    height: usize,
    width: usize,
    values: Vec<f32>,
}

impl Frame {
    fn of(image: DynamicImage) -> Frame {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let deep = image.color().bytes_per_pixel() > image.color().channel_count();
        let values = match deep {
            true => planes(image.into_rgba16().as_raw(), f32::from(u16::MAX)),
            false => planes(image.into_rgba8().as_raw(), f32::from(u8::MAX)),
        };
        Frame { channels: 4, height, width, values }
    }

    /// With the channels of a model, which they are convertible to.
    fn with_channels(self, model: usize) -> Frame {
        let Frame { channels, height, width, values } = self;
        let places = height * width;
        let at = |channel: usize, pixel: usize| values[channel * places + pixel];
        let colour = |channel: usize, pixel: usize| match channels {
            // What is transparent lies on black.
            4 => at(channel, pixel) * at(3, pixel),
            _ => at(channel, pixel),
        };
        let values = match (channels, model) {
            (channels, model) if channels == model => values,
            (1, model) => values.repeat(model),
            (_, 3) => (0..3 * places).map(|i| colour(i / places, i % places)).collect(),
            _ => (0..places).map(|pixel| grey([0, 1, 2].map(|channel| colour(channel, pixel)))).collect(),
        };
        Frame { channels: model, height, width, values }
    }

    /// Of the model's size: as large as goes, in its proportions, on black; averaged where it shrinks.
    fn fitted(self, image: ImageSize) -> Vec<f32> {
        let Frame { channels, height, width, values } = self;
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

/// The four channels one after the other, as shares of `full`.
fn planes<T: Copy + Into<f32>>(pixels: &[T], full: f32) -> Vec<f32> {
    (0..4).flat_map(|channel| pixels.iter().skip(channel).step_by(4).map(|v| (*v).into() / full)).collect()
}

fn grey(colours: [f32; 3]) -> f32 {
    let [red, green, blue] = colours;
    // What is grey stays as it is, to the bit.
    if red == green && green == blue {
        return red;
    }
    colours.iter().zip(LUMA).map(|(colour, share)| colour * share).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Rgb, RgbImage, Rgba, RgbaImage};
    use std::path::PathBuf;

    const GREY: ImageSize = ImageSize { channels: 1, height: 2, width: 3 };

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Files {
            Files(tempfile::tempdir().unwrap())
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, bytes: &[u8]) -> PathBuf {
            let path = self.at("file");
            std::fs::write(&path, bytes).unwrap();
            path
        }

        fn png(&self, image: impl Into<DynamicImage>) -> PathBuf {
            let path = self.at("file.png");
            image.into().save(&path).unwrap();
            path
        }

        /// As `numpy.save` writes it.
        fn npy(&self, descr: &str, shape: &[usize], values: &[u8]) -> PathBuf {
            let shape: String = shape.iter().map(|n| format!("{n}, ")).collect();
            let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
            let length = (header.len() as u16).to_le_bytes();
            self.write(&[npy::MAGIC, &[1, 0], &length, header.as_bytes(), values].concat())
        }
    }

    fn frames(path: &Path, image: ImageSize) -> Vec<Vec<f32>> {
        read(path, image, false).unwrap().frames
    }

    fn refused(path: &Path, image: ImageSize) -> String {
        read(path, image, false).unwrap_err().to_string()
    }

    fn levels(levels: &[u8]) -> Vec<f32> {
        levels.iter().map(|v| f32::from(*v) / 255.0).collect()
    }

    #[test]
    fn a_png_is_one_frame_of_its_levels() {
        let files = Files::new();
        let pixels = [0, 1, 127, 128, 254, 255];
        let image = GrayImage::from_raw(3, 2, pixels.to_vec()).unwrap();
        assert_eq!(frames(&files.png(image.clone()), GREY), [levels(&pixels)]);
        let colour = ImageSize { channels: 3, ..GREY };
        assert_eq!(frames(&files.png(image), colour), [levels(&pixels).repeat(3)]);
        let deep = ImageBuffer::<Luma<u16>, _>::from_raw(3, 2, vec![0u16, 1, 65535, 0, 0, 0]).unwrap();
        assert_eq!(frames(&files.png(deep), GREY)[0][..3], [0.0, 1.0 / 65535.0, 1.0]);
    }

    #[test]
    fn colours_become_grey_and_the_transparent_lies_on_black() {
        let files = Files::new();
        let image = RgbImage::from_fn(3, 2, |x, y| {
            if y == 0 { Rgb([[255, 0, 0], [0, 255, 0], [0, 0, 255]][x as usize]) } else { Rgb([51; 3]) }
        });
        assert_eq!(frames(&files.png(image.clone()), GREY), [vec![0.2126, 0.7152, 0.0722, 0.2, 0.2, 0.2]]);
        let red = &frames(&files.png(image), ImageSize { channels: 3, ..GREY })[0][..6];
        assert_eq!(red, [1.0, 0.0, 0.0, 0.2, 0.2, 0.2]);
        let veiled = RgbaImage::from_fn(3, 2, |x, _| Rgba([255, 255, 255, [0, 51, 255][x as usize]]));
        assert_eq!(frames(&files.png(veiled), GREY), [[0.0, 0.2, 1.0].repeat(2)]);
    }

    /// A frame that covers a part only lies on the one before it.
    #[test]
    fn a_gif_is_its_frames_as_a_viewer_shows_them() {
        let files = Files::new();
        let path = files.at("moves.gif");
        let mut encoder =
            gif::Encoder::new(std::fs::File::create(&path).unwrap(), 3, 2, &[0, 0, 0, 255, 255, 255])
                .unwrap();
        encoder.write_frame(&gif::Frame::from_indexed_pixels(3, 2, vec![1, 0, 0, 1, 0, 0], None)).unwrap();
        let part = gif::Frame::from_indexed_pixels(1, 1, vec![1], None);
        encoder.write_frame(&gif::Frame { left: 2, top: 1, ..part }).unwrap();
        drop(encoder);
        let first = vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
        let second = vec![1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
        assert_eq!(frames(&path, GREY), [first, second]);
        let bytes = std::fs::read(&path).unwrap();
        let error = refused(&files.write(&bytes[..bytes.len() - 8]), GREY);
        assert!(error.contains("not a whole GIF"), "{error}");
    }

    #[test]
    fn whole_numbers_are_levels_unless_they_say_yes_and_no() {
        let files = Files::new();
        let npy = |descr: &str, bytes: &[u8]| frames(&files.npy(descr, &[2, 3], bytes), GREY).remove(0);
        assert_eq!(npy("|u1", &[0, 1, 1, 0, 1, 0]), [0.0, 1.0, 1.0, 0.0, 1.0, 0.0]);
        assert_eq!(npy("|u1", &[0, 1, 1, 0, 2, 255]), levels(&[0, 1, 1, 0, 2, 255]));
        assert_eq!(npy("|b1", &[0, 1, 1, 0, 1, 0]), [0.0, 1.0, 1.0, 0.0, 1.0, 0.0]);
        let floats = [0.0f32, 0.25, 0.5, 0.75, 1.0, 0.125];
        assert_eq!(npy("<f4", floats.map(f32::to_le_bytes).as_flattened()), floats);
        assert_eq!(
            npy(">i8", [0i64, 1, 2, 3, 4, 255].map(i64::to_be_bytes).as_flattened()),
            levels(&[0, 1, 2, 3, 4, 255])
        );
        for (descr, values) in [
            ("<f4", [0.0f32, 0.5, 255.0, 0.0, 0.0, 0.0].map(f32::to_le_bytes)),
            ("<f4", [f32::NAN; 6].map(f32::to_le_bytes)),
            ("<f4", [-0.5f32; 6].map(f32::to_le_bytes)),
            ("<i4", [256i32, 0, 0, 0, 0, 0].map(i32::to_le_bytes)),
            ("<i4", [-1i32; 6].map(i32::to_le_bytes)),
        ] {
            let error = refused(&files.npy(descr, &[2, 3], values.as_flattened()), GREY);
            assert!(error.contains("scale it first"), "{error}");
        }
    }

    #[test]
    fn axes_are_what_the_models_size_says() {
        let colour = ImageSize { channels: 3, ..GREY };
        let layout = |frames, channels, height, width, channels_last| {
            Ok(Layout { frames, channels, height, width, channels_last })
        };
        for (shape, image, expected) in [
            (&[2, 3][..], GREY, layout(1, 1, 2, 3, false)),
            (&[5, 2, 3], GREY, layout(5, 1, 2, 3, false)),
            (&[1, 2, 3], GREY, layout(1, 1, 2, 3, false)),
            (&[3, 2, 3], GREY, layout(3, 1, 2, 3, false)),
            (&[5, 1, 2, 3], GREY, layout(5, 1, 2, 3, false)),
            (&[5, 2, 3, 1], GREY, layout(5, 1, 2, 3, true)),
            (&[5, 2, 3, 3], GREY, layout(5, 3, 2, 3, true)),
            (&[2, 3, 1], GREY, layout(1, 1, 2, 3, true)),
            (&[2, 3, 3], GREY, layout(1, 3, 2, 3, true)),
            (&[480, 640, 3], GREY, layout(1, 3, 480, 640, true)),
            (&[9, 480, 640], GREY, layout(9, 1, 480, 640, false)),
            (&[5, 3, 2, 3], colour, layout(5, 3, 2, 3, false)),
            (&[5, 2, 3, 4], colour, layout(5, 4, 2, 3, true)),
        ] {
            assert_eq!(Layout::of(shape, image), expected, "{shape:?}");
        }
        for (shape, image, said) in [
            (&[][..], GREY, "is none of"),
            (&[6], GREY, "is none of"),
            (&[7, 5, 1, 2, 3], GREY, "of several samples, [N, F, …], save one"),
            (&[5, 7, 2, 9], GREY, "for a model of 1 channel"),
            (&[3, 2, 3], colour, "in several ways"),
            (&[3, 8, 8, 3], ImageSize { channels: 9, ..GREY }, "is none of"),
        ] {
            let error = Layout::of(shape, image).unwrap_err();
            assert!(error.contains(said), "{shape:?}: {error}");
        }
    }

    #[test]
    fn channels_come_first_however_they_are_saved() {
        let files = Files::new();
        let colour = ImageSize { channels: 3, ..GREY };
        let last: Vec<u8> = (0..36).map(|i| i * 7).collect();
        let first: Vec<u8> = (0..36).map(|i| last[i / 18 * 18 + i % 6 * 3 + i / 6 % 3]).collect();
        let of_last = frames(&files.npy("|u1", &[2, 2, 3, 3], &last), colour);
        assert_eq!(
            of_last,
            frames(&files.npy("|u1", &[2, 3, 2, 3], &first), ImageSize { channels: 3, height: 2, width: 3 })
        );
        assert_eq!(of_last, first.chunks(18).map(levels).collect::<Vec<_>>());
    }

    #[test]
    fn another_size_is_refused_with_both_and_fitted_when_asked() {
        let files = Files::new();
        let path = files.png(GrayImage::from_fn(12, 4, |x, _| Luma([if x < 6 { 255 } else { 0 }])));
        let size = ImageSize { channels: 1, height: 4, width: 6 };
        let error = read(&path, size, false).unwrap_err();
        assert!(matches!(error, Error::ImageSize { size: [12, 4], expected: [6, 4], .. }));
        assert!(error.to_string().contains("has 12x4 pixels but the model takes 6x4"), "{error}");
        let fitted = read(&path, size, true).unwrap().frames.remove(0);
        let rows: Vec<&[f32]> = fitted.chunks(6).collect();
        assert!(
            fitted[..6].iter().chain(&fitted[18..]).all(|v| *v == 0.0),
            "black above and below: {fitted:?}"
        );
        assert_eq!(rows[1], rows[2]);
        // Averaged: the edge alone is blurred.
        assert!(
            rows[1][..2].iter().all(|v| *v == 1.0) && rows[1][4..].iter().all(|v| *v == 0.0),
            "{fitted:?}"
        );
        assert!((fitted.iter().sum::<f32>() - 6.0).abs() < 1e-4, "{fitted:?}");
        // And what is smaller grows.
        let high = read(&files.png(GrayImage::from_pixel(1, 2, Luma([255]))), size, true).unwrap();
        assert_eq!(high.frames[0], [0.0, 0.0, 1.0, 1.0, 0.0, 0.0].repeat(4));
    }

    #[test]
    fn frames_set_the_em_steps() {
        let clip = |n| Clip { frames: vec![vec![0.0]; n] };
        assert_eq!(clip(1).steps(15, true), Ok(15));
        assert_eq!(clip(10).steps(15, false), Ok(9));
        assert_eq!(clip(40).steps(15, false), Ok(39));
        assert_eq!(clip(40).steps(15, true), Ok(15));
        assert!(clip(10).steps(15, true).unwrap_err().contains("10 frames, enough for 9 EM steps"));
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let files = Files::new();
        assert!(refused(&files.at("gone"), GREY).starts_with("cannot read"));
        assert!(refused(files.0.path(), GREY).contains("not a file"));
        assert!(refused(&files.write(b"\xff\xd8\xff\xe0 a photograph"), GREY).contains("neither a PNG"));
        assert!(refused(&files.write(b"\x89PNG\r\n\x1a\n"), GREY).contains("not a whole PNG"));
        assert!(refused(&files.write(b"GIF89a"), GREY).contains("not a whole GIF"));
        // A screen of 65535 x 65535, one of nothing, and one without a frame.
        for (bytes, said) in [
            (&b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02"[..], "at most 67 million"),
            (b"GIF89a\0\0\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02", "no pixel"),
            (b"GIF89a\x03\0\x02\0\0\0\0;", "not a whole GIF"),
        ] {
            let error = refused(&files.write(bytes), GREY);
            assert!(error.contains(said), "{error}");
        }
        assert!(refused(&files.npy("|u1", &[0, 2, 3], &[]), GREY).contains("no pixel"));
        let two = ImageSize { channels: 2, ..GREY };
        assert!(refused(&files.png(GrayImage::new(3, 2)), two).contains("[F, 2, H, W]"));
    }
}
