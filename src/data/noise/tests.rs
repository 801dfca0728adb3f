use super::*;
use crate::random::Purpose;

#[test]
fn flips_the_share_it_says_anew_in_every_frame() {
    let frame = vec![1.0; 50_000];
    let mut out = Vec::new();
    let mut stream = Stream::new(1, Purpose::TrainNoise, 0, 0);
    for _ in 0..2 {
        corrupt(Noise::Bitflip { probability: 0.2 }, &frame, &mut stream, &mut out);
    }
    let (first, second) = out.split_at(frame.len());
    for half in [first, second] {
        let flipped = half.iter().filter(|x| **x == 0.0).count() as f64 / frame.len() as f64;
        assert!((flipped - 0.2).abs() < 0.01, "{flipped}");
    }
    assert_ne!(first, second);
}

#[test]
fn masked_uniform_replaces_the_share_it_says_by_uniform_values() {
    let frame = vec![2.0; 50_000];
    let mut out = Vec::new();
    let mut stream = Stream::new(1, Purpose::TrainNoise, 0, 0);
    corrupt(Noise::MaskedUniform { probability: 0.2 }, &frame, &mut stream, &mut out);
    let replaced: Vec<f32> = out.iter().copied().filter(|x| *x != 2.0).collect();
    assert!(replaced.iter().all(|x| (0.0..1.0).contains(x)));
    assert!((replaced.len() as f64 / 50_000.0 - 0.2).abs() < 0.01, "{}", replaced.len());
    let mean = replaced.iter().sum::<f32>() / replaced.len() as f32;
    assert!((mean - 0.5).abs() < 0.02, "{mean}");
}

#[test]
fn none_and_all() {
    let frame = [0.0, 1.0, 0.25];
    let mut out = Vec::new();
    let mut stream = Stream::new(1, Purpose::TrainNoise, 0, 0);
    corrupt(Noise::Bitflip { probability: 0.0 }, &frame, &mut stream, &mut out);
    corrupt(Noise::Bitflip { probability: 1.0 }, &frame, &mut stream, &mut out);
    corrupt(Noise::None, &frame, &mut stream, &mut out);
    assert_eq!(out, [0.0, 1.0, 0.25, 1.0, 0.0, 0.75, 0.0, 1.0, 0.25]);
}
