//! Damages files in the ways that disks, transfers, editors and other programs do, for `tests/fuzz.rs` and the unit
//! tests of private parsers.
//!
//! `PROPTEST_CASES` sets the number of inputs of each target. `FUZZ_SECONDS` repeats them for so long, or until there were
//! `FUZZ_INPUTS`.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};

/// One damage. Places and lengths are fractions of what is there.
#[derive(Clone, Debug)]
pub enum Damage {
    Flip(u32, u8),
    Byte(u32, u8),
    Cut(u32),
    Fill(u32, u16, u8),
    Remove(u32, u16),
    Insert(u32, Vec<u8>),
    /// Copies a piece to another place.
    Splice(u32, u32, u16),
    /// Writes another number instead of the digits that follow.
    Number(u32, usize),
    /// Writes a little-endian number over four or eight bytes.
    Binary(u32, u8, bool),
    /// Exchanges two lines.
    Lines(u32, u32),
}

const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "255",
    "65536",
    "4294967296",
    "18446744073709551615",
    "99999999999999999999999",
    "0.5",
    "1e308",
    "1e999",
    "NaN",
    "null",
    "",
];

fn damage() -> impl Strategy<Value = Damage> {
    use Damage::*;
    let at = any::<u32>;
    prop_oneof![
        3 => (at(), 0..8u8).prop_map(|(at, bit)| Flip(at, bit)),
        3 => (at(), any::<u8>()).prop_map(|(at, byte)| Byte(at, byte)),
        1 => at().prop_map(Cut),
        1 => (at(), any::<u16>(), prop_oneof![Just(0), Just(0xff), Just(b' ')]).prop_map(|(at, n, byte)| Fill(at, n, byte)),
        1 => (at(), any::<u16>()).prop_map(|(at, n)| Remove(at, n)),
        1 => (at(), proptest::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Insert(at, bytes)),
        1 => (at(), at(), any::<u16>()).prop_map(|(from, to, n)| Splice(from, to, n)),
        4 => (at(), 0..NUMBERS.len()).prop_map(|(at, number)| Number(at, number)),
        2 => (at(), prop_oneof![Just(1), Just(16), Just(31), Just(40), Just(63)], any::<bool>()).prop_map(|(at, n, less)| Binary(at, n, less)),
        1 => (at(), at()).prop_map(|(one, other)| Lines(one, other)),
    ]
}

/// A place from 0 to `length`.
fn place(at: u32, length: usize) -> usize {
    ((u64::from(at) * (length as u64 + 1)) >> 32) as usize
}

impl Damage {
    /// The damaged bytes.
    pub fn apply(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let length = bytes.len();
        // Short pieces are the more likely ones.
        let end = |at: usize, n: u16| (at + (usize::from(n) >> (n % 13))).min(length);
        match *self {
            _ if length == 0 => {}
            Damage::Flip(at, bit) => bytes[place(at, length - 1)] ^= 1 << bit,
            Damage::Byte(at, byte) => bytes[place(at, length - 1)] = byte,
            Damage::Cut(at) => bytes.truncate(place(at, length)),
            Damage::Fill(at, n, byte) => {
                let at = place(at, length);
                bytes[at..end(at, n)].fill(byte);
            }
            Damage::Remove(at, n) => {
                let at = place(at, length);
                bytes.drain(at..end(at, n));
            }
            Damage::Insert(at, ref new) => {
                let at = place(at, length);
                bytes.splice(at..at, new.iter().copied());
            }
            Damage::Splice(from, to, n) => {
                let (from, to) = (place(from, length), place(to, length));
                let piece = bytes[from..end(from, n)].to_vec();
                bytes.splice(to..to, piece);
            }
            Damage::Number(at, number) => {
                let at = place(at, length);
                let Some(skipped) = bytes[at..].iter().position(u8::is_ascii_digit) else { return bytes };
                let begin = at + skipped;
                let digits = bytes[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                bytes.splice(begin..begin + digits, NUMBERS[number].bytes());
            }
            Damage::Binary(at, bits, less) => {
                let value = (1u64 << bits).wrapping_sub(u64::from(less)).to_le_bytes();
                let at = place(at, length);
                let end = (at + if bits > 31 { 8 } else { 4 }).min(length);
                bytes[at..end].copy_from_slice(&value[..end - at]);
            }
            Damage::Lines(one, other) => {
                let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
                let (one, other) = (place(one, lines.len() - 1), place(other, lines.len() - 1));
                lines.swap(one, other);
                bytes = lines.concat();
            }
        }
        bytes
    }
}

/// Gives damaged copies of the seeds to `read`, which panics where something is wrong, and says whether it took the file.
/// The seeds themselves come first.
pub fn fuzz(target: &str, seeds: &[Vec<u8>], read: impl Fn(&[u8]) -> bool) {
    let taken = seeds.iter().filter(|seed| read(seed)).count();
    assert!(taken > 0, "{target}: even whole files are refused");
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number("FUZZ_SECONDS").map(Duration::from_secs);
    let most = number("FUZZ_INPUTS").unwrap_or(u64::MAX);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let (begin, mut inputs) = (Instant::now(), 0u64);
    let input = (0..seeds.len(), proptest::collection::vec(damage(), 1..6));
    loop {
        let mut runner = TestRunner::new(config.clone());
        inputs += u64::from(config.cases);
        let result = runner.run(&input, |(seed, damages)| {
            read(&damages.iter().fold(seeds[seed].clone(), |bytes, damage| damage.apply(bytes)));
            Ok(())
        });
        if let Err(TestError::Fail(why, (seed, damages))) = result {
            panic!("{target}: {why}\nseed {seed} damaged by {damages:?}");
        }
        if inputs >= most || seconds.is_none_or(|seconds| begin.elapsed() >= seconds) {
            break;
        }
    }
    let peak = peak();
    println!(
        "{target}: {inputs} damaged inputs, {:.0} s, peak {} MB",
        begin.elapsed().as_secs_f64(),
        peak >> 20
    );
    // Other tests of the same process take memory, too; a long run has a process for each target.
    if seconds.is_some() {
        assert!(peak < 256 << 20, "{target}: {} MB of memory", peak >> 20);
    }
}

/// The most memory that this process had, in bytes; 0 where that is not known.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
