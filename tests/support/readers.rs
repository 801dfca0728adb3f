//! Readers of ZIP archives of NumPy arrays, of GIFs and of TensorBoard's event files. They are written from the
//! formats' specifications and share no code with the writers.

/// An array of an `.npz`; `kind` is NumPy's name of its type.
#[derive(Debug, PartialEq)]
pub struct Numpy {
    pub name: String,
    pub kind: String,
    pub shape: Vec<usize>,
    /// Its values as stored.
    pub bytes: Vec<u8>,
}

impl Numpy {
    pub fn floats(&self) -> Vec<f32> {
        assert_eq!(self.kind, "<f4");
        self.bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |n, byte| n << 8 | usize::from(*byte))
}

/// A CRC with a reversed polynomial, bit by bit.
fn crc(polynomial: u32, bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ polynomial } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// The arrays of an `.npz`, found as ZIP readers do: from the end, through the central directory.
pub fn npz(archive: &[u8]) -> Vec<Numpy> {
    let end = &archive[archive.len() - 22..];
    assert_eq!(&end[..4], b"PK\x05\x06");
    let (count, size, mut at) = (number(&end[10..12]), number(&end[12..16]), number(&end[16..20]));
    assert_eq!(at + size + 22, archive.len());
    let mut arrays = Vec::new();
    for _ in 0..count {
        let entry = &archive[at..];
        assert_eq!(&entry[..4], b"PK\x01\x02");
        let length = |from: usize| number(&entry[from..from + 2]);
        let (name_length, extra, comment) = (length(28), length(30), length(32));
        assert_eq!(length(10), 0, "stored");
        let (sum, size, offset) = (number(&entry[16..20]), number(&entry[20..24]), number(&entry[42..46]));
        assert_eq!(size, number(&entry[24..28]));
        let local = &archive[offset..];
        assert_eq!(&local[..4], b"PK\x03\x04");
        assert_eq!(local[4..30], entry[6..32], "the headers differ");
        let data = 30 + number(&local[26..28]) + number(&local[28..30]);
        let content = &local[data..data + size];
        assert_eq!(crc(0xedb8_8320, content) as usize, sum);
        let name = String::from_utf8(entry[46..46 + name_length].to_vec()).unwrap();
        arrays.push(npy(name.strip_suffix(".npy").unwrap(), content));
        at += 46 + name_length + extra + comment;
    }
    arrays
}

fn npy(name: &str, file: &[u8]) -> Numpy {
    assert_eq!(&file[..8], b"\x93NUMPY\x01\x00");
    let data = 10 + number(&file[8..10]);
    assert_eq!(data % 64, 0);
    let header = std::str::from_utf8(&file[10..data]).unwrap();
    assert!(header.ends_with('\n') && header.contains("'fortran_order': False"), "{header}");
    let between = |from: &str, to: &str| {
        let rest = &header[header.find(from).unwrap() + from.len()..];
        rest[..rest.find(to).unwrap()].to_owned()
    };
    let shape = between("'shape': (", ")");
    Numpy {
        name: name.to_owned(),
        kind: between("'descr': '", "'"),
        shape: shape
            .split(',')
            .map(str::trim)
            .filter(|n| !n.is_empty())
            .map(|n| n.parse().unwrap())
            .collect(),
        bytes: file[data..].to_vec(),
    }
}

/// The content of a TensorBoard event.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Version(String),
    /// A new session: earlier files are void from this step on.
    Start,
    Scalar(String, f32),
    /// Its tag, width, height and PNG.
    Image(String, u64, u64, Vec<u8>),
}

/// The events of a file: wall time, step and content. Every checksum is verified.
pub fn events(mut file: &[u8]) -> Vec<(f64, u64, Said)> {
    let mut said = Vec::new();
    while !file.is_empty() {
        let (header, rest) = file.split_at(12);
        assert_eq!(number(&header[8..]) as u32, masked(&header[..8]), "the length's checksum");
        let (message, rest) = rest.split_at(number(&header[..8]));
        assert_eq!(number(&rest[..4]) as u32, masked(message), "the message's checksum");
        file = &rest[4..];
        event(message, &mut said);
    }
    said
}

fn masked(bytes: &[u8]) -> u32 {
    let crc = crc(0x82f6_3b78, bytes);
    crc.rotate_left(17).wrapping_add(0xa282_ead8)
}

fn event(message: &[u8], said: &mut Vec<(f64, u64, Said)>) {
    let (mut time, mut step, mut what) = (0.0, 0, Vec::new());
    for (field, value) in fields(message) {
        match (field, value) {
            (1, Field::Eight(bytes)) => time = f64::from_le_bytes(bytes),
            (2, Field::Number(n)) => step = n,
            (3, Field::Bytes(bytes)) => what.push(Said::Version(String::from_utf8(bytes).unwrap())),
            (5, Field::Bytes(bytes)) => what.extend(fields(&bytes).into_iter().map(|(field, value)| {
                assert_eq!(field, 1);
                let Field::Bytes(value) = value else { panic!("{value:?}") };
                summary(&value)
            })),
            (7, Field::Bytes(bytes)) => {
                assert_eq!(fields(&bytes), [(1, Field::Number(1))]);
                what.push(Said::Start);
            }
            other => panic!("an event has no {other:?}"),
        }
    }
    said.extend(what.into_iter().map(|what| (time, step, what)));
}

fn summary(message: &[u8]) -> Said {
    let fields = fields(message);
    let [(1, Field::Bytes(tag)), value] = &fields[..] else { panic!("{fields:?}") };
    let tag = String::from_utf8(tag.clone()).unwrap();
    match value {
        (2, Field::Four(bytes)) => Said::Scalar(tag, f32::from_le_bytes(*bytes)),
        (4, Field::Bytes(image)) => {
            let image = self::fields(image);
            let [
                (1, Field::Number(height)),
                (2, Field::Number(width)),
                (3, Field::Number(3)),
                (4, Field::Bytes(png)),
            ] = &image[..]
            else {
                panic!("{image:?}")
            };
            Said::Image(tag, *width, *height, png.clone())
        }
        other => panic!("a value has no {other:?}"),
    }
}

#[derive(Debug, PartialEq)]
enum Field {
    Number(u64),
    Eight([u8; 8]),
    Four([u8; 4]),
    Bytes(Vec<u8>),
}

/// The fields of a message in the wire format of protocol buffers.
fn fields(mut message: &[u8]) -> Vec<(u64, Field)> {
    let mut fields = Vec::new();
    let varint = |message: &mut &[u8]| {
        let mut n = 0;
        for shift in (0..).step_by(7) {
            let (byte, rest) = message.split_first().unwrap();
            *message = rest;
            n |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                break;
            }
        }
        n
    };
    while !message.is_empty() {
        let key = varint(&mut message);
        let length = match key & 7 {
            0 => {
                fields.push((key >> 3, Field::Number(varint(&mut message))));
                continue;
            }
            1 => 8,
            2 => varint(&mut message) as usize,
            5 => 4,
            other => panic!("no wire type {other}"),
        };
        let (bytes, rest) = message.split_at(length);
        message = rest;
        fields.push((
            key >> 3,
            match key & 7 {
                1 => Field::Eight(bytes.try_into().unwrap()),
                5 => Field::Four(bytes.try_into().unwrap()),
                _ => Field::Bytes(bytes.to_vec()),
            },
        ));
    }
    fields
}

/// A GIF whose frames each cover the whole picture.
pub struct Gif {
    pub width: usize,
    /// Whether it repeats forever.
    pub endless: bool,
    /// Hundredths of a second, and colours row by row.
    pub frames: Vec<(usize, Vec<[u8; 3]>)>,
}

/// Reads a GIF (version 89a) with one colour table and without transparency.
pub fn gif(file: &[u8]) -> Gif {
    assert_eq!(&file[..6], b"GIF89a");
    let (width, height, flags) = (number(&file[6..8]), number(&file[8..10]), file[10]);
    assert!(flags & 0x80 != 0, "there is no colour table for all frames");
    let colours = 2 << (flags & 7);
    let table: Vec<[u8; 3]> =
        file[13..13 + 3 * colours].chunks_exact(3).map(|c| [c[0], c[1], c[2]]).collect();
    let mut at = 13 + 3 * colours;
    let mut gif = Gif { width, endless: false, frames: Vec::new() };
    let mut delay = 0;
    loop {
        match file[at] {
            0x3b => {
                assert_eq!(at + 1, file.len());
                return gif;
            }
            0x21 => {
                let (label, (blocks, next)) = (file[at + 1], blocks(file, at + 2));
                match label {
                    0xf9 => {
                        assert!(blocks[0] & 1 == 0, "something is transparent");
                        delay = number(&blocks[1..3]);
                    }
                    0xff if blocks.starts_with(b"NETSCAPE2.0") => {
                        gif.endless = number(&blocks[12..14]) == 0;
                    }
                    _ => {}
                }
                at = next;
            }
            0x2c => {
                let side = |from: usize| number(&file[at + from..at + from + 2]);
                assert_eq!((side(1), side(3), side(5), side(7)), (0, 0, width, height));
                assert_eq!(file[at + 9], 0, "rows are interlaced, or there is a local table");
                let (codes, next) = blocks(file, at + 11);
                let pixels = lzw(&codes, file[at + 10]);
                assert_eq!(pixels.len(), width * height);
                gif.frames
                    .push((delay, pixels.into_iter().map(|colour| table[usize::from(colour)]).collect()));
                at = next;
            }
            other => panic!("no block begins with {other:#x}"),
        }
    }
}

/// The joined content of the sub-blocks at `at`, and where they end.
fn blocks(file: &[u8], mut at: usize) -> (Vec<u8>, usize) {
    let mut all = Vec::new();
    while file[at] != 0 {
        let length = usize::from(file[at]);
        all.extend(&file[at + 1..at + 1 + length]);
        at += 1 + length;
    }
    (all, at + 1)
}

/// Decodes LZW codes that begin with `least` + 1 bits.
fn lzw(codes: &[u8], least: u8) -> Vec<u8> {
    let (clear, end) = (1usize << least, (1usize << least) + 1);
    let begin = || -> Vec<Vec<u8>> { (0..=end).map(|value| vec![value as u8]).collect() };
    let (mut words, mut bits, mut at) = (begin(), usize::from(least) + 1, 0);
    let mut before: Option<usize> = None;
    let mut values = Vec::new();
    loop {
        let code = (0..bits).fold(0, |code, bit| {
            let place = at + bit;
            code | usize::from(codes[place / 8] >> (place % 8) & 1) << bit
        });
        at += bits;
        if code == end {
            return values;
        }
        if code == clear {
            (words, bits, before) = (begin(), usize::from(least) + 1, None);
            continue;
        }
        if let Some(before) = before.filter(|_| words.len() < 4096) {
            // The previous word and the first value of this one, which may be that very word.
            let first = words.get(code).unwrap_or(&words[before])[0];
            words.push([&words[before][..], &[first]].concat());
        }
        values.extend(&words[code]);
        before = Some(code);
        if words.len() == 1 << bits && bits < 12 {
            bits += 1;
        }
    }
}
