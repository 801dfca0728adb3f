//! Scoring 64 samples of 28x28 (AMI with both normalisers, ARI, confidence). Limit: 20 ms.

use criterion::{Criterion, criterion_group, criterion_main};
use nem_tui::data::{Dataset, Split};
use nem_tui::nem::initial_gamma;
use nem_tui::preset::Preset;
use nem_tui::random::{Purpose, Stream};
use nem_tui::scores::score;

fn scores(c: &mut Criterion) {
    let preset = Preset::load("static-shapes-rnn-em").expect("an embedded preset");
    let data = Dataset::new(&preset, 1).expect("its data");
    let places = data.image().pixels();
    let samples: Vec<_> = (0..64)
        .map(|i| {
            let mut stream = Stream::new(1, Purpose::TestGamma, 0, i);
            (
                initial_gamma(preset.k, places, &mut stream),
                data.sample(Split::Test, i, 1).expect("a sample").groups,
            )
        })
        .collect();
    c.bench_function("score 64 samples of 28x28", |b| {
        b.iter(|| samples.iter().filter_map(|(gamma, groups)| score(gamma, groups).ami).sum::<f64>());
    });
}

criterion_group!(benches, scores);
criterion_main!(benches);
