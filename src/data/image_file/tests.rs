use super::*;
use image::{GrayImage, Rgb, RgbImage, Rgba, RgbaImage};
use std::path::PathBuf;

const GREY: ImageSize = ImageSize { channels: 1, height: 2, width: 3 };

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
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
    let files = Folder::new();
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
    let files = Folder::new();
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
    let files = Folder::new();
    let path = files.at("moves.gif");
    let mut encoder = gif_encoder(&path);
    encoder.write_frame(&gif::Frame::from_indexed_pixels(3, 2, vec![1, 0, 0, 1, 0, 0], None)).unwrap();
    let part = gif::Frame::from_indexed_pixels(1, 1, vec![1], None);
    encoder.write_frame(&gif::Frame { left: 2, top: 1, ..part }).unwrap();
    drop(encoder);
    let first = vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
    let second = vec![1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
    assert_eq!(frames(&path, GREY), [first, second]);
    let bytes = std::fs::read(&path).unwrap();
    let error = refused(&files.write(&bytes[..bytes.len() - 8]), GREY);
    assert!(error.contains("not a complete GIF"), "{error}");
}

#[test]
fn whole_numbers_are_levels_unless_they_say_yes_and_no() {
    let files = Folder::new();
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
        Ok(AxisLayout { frames, channels, height, width, channels_last })
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
        assert_eq!(AxisLayout::of(shape, image), expected, "{shape:?}");
    }
    for (shape, image, said) in [
        (&[][..], GREY, "is not [H, W]"),
        (&[6], GREY, "is not [H, W]"),
        (&[7, 5, 1, 2, 3], GREY, "save one of several samples [N, F, …]"),
        (&[5, 7, 2, 9], GREY, "for a model of 1 channel"),
        (&[3, 2, 3], colour, "in several ways"),
        (&[3, 8, 8, 3], ImageSize { channels: 9, ..GREY }, "is not [H, W]"),
    ] {
        let error = AxisLayout::of(shape, image).unwrap_err();
        assert!(error.contains(said), "{shape:?}: {error}");
    }
}

#[test]
fn channels_come_first_however_they_are_saved() {
    let files = Folder::new();
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
    let files = Folder::new();
    let path = files.png(GrayImage::from_fn(12, 4, |x, _| Luma([if x < 6 { 255 } else { 0 }])));
    let size = ImageSize { channels: 1, height: 4, width: 6 };
    let error = read(&path, size, false).unwrap_err();
    assert!(matches!(error, Error::ImageSize { size: [12, 4], expected: [6, 4], .. }));
    assert!(error.to_string().contains("has 12x4 pixels but the model takes 6x4"), "{error}");
    let fitted = read(&path, size, true).unwrap().frames.remove(0);
    let rows: Vec<&[f32]> = fitted.chunks(6).collect();
    assert!(fitted[..6].iter().chain(&fitted[18..]).all(|v| *v == 0.0), "black above and below: {fitted:?}");
    assert_eq!(rows[1], rows[2]);
    // Averaged: the edge alone is blurred.
    assert!(rows[1][..2].iter().all(|v| *v == 1.0) && rows[1][4..].iter().all(|v| *v == 0.0), "{fitted:?}");
    assert!((fitted.iter().sum::<f32>() - 6.0).abs() < 1e-4, "{fitted:?}");
    // And what is smaller grows.
    let high = read(&files.png(GrayImage::from_pixel(1, 2, Luma([255]))), size, true).unwrap();
    assert_eq!(high.frames[0], [0.0, 0.0, 1.0, 1.0, 0.0, 0.0].repeat(4));
}

#[test]
fn frames_set_the_em_steps() {
    let clip = |n| Clip { frames: vec![vec![0.0]; n], ..Clip::default() };
    assert!(clip(1).notes_in(5).is_empty() && clip(6).notes_in(5).is_empty());
    assert_eq!(clip(9).notes_in(5), ["5 EM steps use the first 6 of its 9 frames"]);
    assert_eq!(clip(1).steps(15, true), Ok(15));
    assert_eq!(clip(10).steps(15, false), Ok(9));
    assert_eq!(clip(40).steps(15, false), Ok(39));
    assert_eq!(clip(40).steps(15, true), Ok(15));
    assert!(clip(10).steps(15, true).unwrap_err().contains("10 frames, enough for 9 EM steps"));
}

#[test]
fn what_is_no_image_is_refused() {
    let files = Folder::new();
    assert!(refused(&files.at("gone"), GREY).starts_with("cannot read"));
    assert!(refused(files.0.path(), GREY).contains("not a regular file"));
    assert!(refused(&files.write(b"\xff\xd8\xff\xe0 a photograph"), GREY).contains("neither a PNG"));
    assert!(refused(&files.write(b"\x89PNG\r\n\x1a\n"), GREY).contains("not a complete PNG"));
    assert!(refused(&files.write(b"GIF89a"), GREY).contains("not a complete GIF"));
    // A screen of 65535 x 65535, one of nothing, and one without a frame.
    for (bytes, said) in [
        (&b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02"[..], "at most 67 million"),
        (b"GIF89a\0\0\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02", "no pixels"),
        (b"GIF89a\x03\0\x02\0\0\0\0;", "not a complete GIF"),
    ] {
        let error = refused(&files.write(bytes), GREY);
        assert!(error.contains(said), "{error}");
    }
    assert!(refused(&files.npy("|u1", &[0, 2, 3], &[]), GREY).contains("no pixels"));
    let two = ImageSize { channels: 2, ..GREY };
    assert!(refused(&files.png(GrayImage::new(3, 2)), two).contains("[F, 2, H, W]"));
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images").join(name)
}

/// The levels of the fixtures.
const LEVELS: [u8; 6] = [0, 51, 102, 153, 204, 255];

#[test]
fn files_of_other_programs_are_read() {
    for name in ["grey-alpha.png", "palette.png", "interlaced.png", "deep.png", "one.npz", "packed.npz"] {
        let clip = read(&fixture(name), GREY, false).unwrap();
        assert_eq!(clip, Clip { frames: vec![levels(&LEVELS)], ..Clip::default() }, "{name}");
    }
    let bits = frames(&fixture("one-bit.png"), GREY).remove(0);
    assert!(bits.iter().all(|value| [0.0, 1.0].contains(value)), "{bits:?}");
    let animated = read(&fixture("animated.png"), GREY, false).unwrap();
    assert_eq!(animated.frames, [levels(&LEVELS)]);
    assert_eq!(animated.notes, ["the first image of its animation is used; save it as a GIF to use all"]);
    let moves = read(&fixture("moves.gif"), GREY, false).unwrap();
    let spot = |at: usize| (0..6).map(|i| if i == at { 1.0 } else { 0.0 }).collect::<Vec<f32>>();
    assert_eq!(moves.frames, [spot(0), spot(1), spot(2)]);
    let error = refused(&fixture("two.npz"), GREY);
    assert!(error.contains("holds 2 arrays (image, mask), and one is read"), "{error}");
}

#[test]
fn a_gif_without_its_end_is_read_and_what_follows_it_is_told() {
    let files = Folder::new();
    let bytes = std::fs::read(fixture("moves.gif")).unwrap();
    let whole = frames(&fixture("moves.gif"), GREY);
    let (body, mark) = bytes.split_at(bytes.len() - 1);
    assert_eq!(mark, [gif_blocks::MARK]);
    for (bytes, note) in [
        (body.to_vec(), "its end is missing; its frames are whole"),
        ([body, b"\x00\x00garbage"].concat(), "9 bytes after frame 3 are not used"),
        ([&bytes[..], b"garbage"].concat(), "7 bytes after its end are not used"),
    ] {
        let clip = read(&files.write(&bytes), GREY, false).unwrap();
        assert_eq!((clip.frames, clip.notes), (whole.clone(), vec![note.to_owned()]));
    }
    let error = refused(&files.write(&body[..body.len() - 2]), GREY);
    assert!(error.contains("not a complete GIF"), "{error}");
}

/// A canvas of 8000 x 8000 with a hundred spots.
#[test]
fn a_small_file_of_hours_is_refused() {
    let files = Folder::new();
    let path = files.at("spots.gif");
    let file = std::fs::File::create(&path).unwrap();
    let mut encoder = gif::Encoder::new(file, 8000, 8000, &[0, 0, 0, 255, 255, 255]).unwrap();
    for _ in 0..100 {
        encoder.write_frame(&gif::Frame::from_indexed_pixels(1, 1, vec![1], None)).unwrap();
    }
    drop(encoder);
    let error = read(&path, GREY, true).unwrap_err().to_string();
    assert!(error.contains("100 frames of 8000x8000 pixels are more than 1073 million in all"), "{error}");
}

#[test]
fn what_is_not_used_of_an_image_is_told() {
    let files = Folder::new();
    let told = |path: &Path, image, resize| read(path, image, resize).unwrap().notes;
    let colour = ImageSize { channels: 3, ..GREY };
    let veiled = RgbaImage::from_fn(3, 2, |x, _| Rgba([255, 9, 0, [0, 51, 255][x as usize]]));
    let path = files.png(veiled);
    let (on_black, to_grey) = ("its transparent pixels are put on black", "its colours are turned to grey");
    assert_eq!(told(&path, GREY, false), [on_black, to_grey]);
    assert_eq!(told(&path, colour, false), [on_black]);
    let plain = files.png(RgbaImage::from_pixel(3, 2, Rgba([7, 7, 7, 255])));
    assert!(told(&plain, GREY, true).is_empty());
    let large = files.png(GrayImage::new(12, 4));
    let scaled = read(&large, GREY, true).unwrap();
    assert_eq!(scaled.scaling.unwrap(), "its 12x4 pixels are scaled to fit 3x2");
    let many = files.npy("|u1", &[1003, 2, 3], &[1; 6 * 1003]);
    assert_eq!(told(&many, GREY, false), ["the first 1001 of its 1003 frames are used"]);
    let mut encoder = gif_encoder(&files.at("many.gif"));
    for _ in 0..1002 {
        encoder.write_frame(&gif::Frame::from_indexed_pixels(3, 2, vec![1; 6], None)).unwrap();
    }
    drop(encoder);
    assert_eq!(told(&files.at("many.gif"), GREY, false), ["the first 1001 of its 1002 frames are used"]);
}

fn gif_encoder(path: &Path) -> gif::Encoder<std::fs::File> {
    gif::Encoder::new(std::fs::File::create(path).unwrap(), 3, 2, &[0, 0, 0, 255, 255, 255]).unwrap()
}

#[test]
fn rounding_is_mended_and_what_is_farther_outside_is_shown_with_its_place() {
    let files = Folder::new();
    let near = [0.0f32, 1.000_001, -9e-7, 0.5, 1.0, 0.0].map(f32::to_le_bytes);
    assert_eq!(
        frames(&files.npy("<f4", &[2, 3], near.as_flattened()), GREY),
        [[0.0, 1.0, 0.0, 0.5, 1.0, 0.0]]
    );
    let far = [0.0f32, 1.0, 0.0, 0.0, 1.5, 0.0].map(f32::to_le_bytes);
    let error = refused(&files.npy("<f4", &[2, 3], far.as_flattened()), GREY);
    assert!(error.contains("holds 1.5 at [1, 1]; values must be 0 to 1"), "{error}");
}

#[test]
fn integers_of_16_bits_are_levels_of_65536() {
    let files = Folder::new();
    let npy = |values: [u16; 6]| {
        let bytes = values.map(u16::to_le_bytes);
        read(&files.npy("<u2", &[2, 3], bytes.as_flattened()), GREY, false).unwrap()
    };
    let clip = npy([0, 65535, 13107, 0, 0, 0]);
    assert_eq!((clip.frames[0][..3].to_vec(), clip.notes.len()), (vec![0.0, 1.0, 0.2], 0));
    assert_eq!(npy([0, 1, 1, 0, 0, 0]).frames[0][..3], [0.0, 1.0, 1.0]);
    let dark = npy([0, 255, 3, 0, 0, 0]);
    assert!(dark.notes[0].contains("the largest is 255"), "{:?}", dark.notes);
    let half = [0x3800u16, 0x3c00, 0, 0, 0, 0].map(u16::to_le_bytes);
    assert_eq!(frames(&files.npy("<f2", &[2, 3], half.as_flattened()), GREY)[0][..2], [0.5, 1.0]);
}

mod changed_files {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Any change to a file of any kind: an image of the model's size with values from 0 to 1, or a sentence.
        #[test]
        fn are_read_or_refused(
            which in 0usize..7,
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in prop::option::of(any::<prop::sample::Index>()),
            channels in prop::sample::select(vec![1usize, 2, 3]),
        ) {
            let names = ["grey-alpha.png", "palette.png", "animated.png", "deep.png", "moves.gif", "packed.npz", "one.npz"];
            let mut bytes = std::fs::read(fixture(names[which])).unwrap();
            for (at, byte) in flips {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            let files = Folder::new();
            let image = ImageSize { channels, ..GREY };
            match read(&files.write(&bytes), image, true) {
                Ok(clip) => for frame in clip.frames {
                    prop_assert_eq!(frame.len(), image.values());
                    prop_assert!(frame.iter().all(|value| (-1e-6..=1.000_001).contains(value)), "{:?}", frame);
                },
                Err(error) => prop_assert!(!error.to_string().contains('\n')),
            }
        }
    }
}
