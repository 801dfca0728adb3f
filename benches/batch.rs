//! Making a training batch of the paper's data: 64 images, their noisy frames and the initial gamma. In training this
//! happens on the prefetch thread.

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use nem_tui::data::{Dataset, Split};
use nem_tui::preset::Preset;
use nem_tui::train::batch::Plan;

fn batch(c: &mut Criterion) {
    for name in ["quickstart", "static-shapes-rnn-em", "flying-shapes-3", "flying-mnist-2"] {
        let preset = Preset::load(name).expect("an embedded preset");
        let plan = Plan {
            data: Arc::new(Dataset::new(&preset, 1).expect("its data")),
            seed: 1,
            split: Split::Train,
            epoch: 0,
            indices: (0..64).collect(),
            k: preset.k,
            steps: preset.steps,
            noise: preset.noise,
        };
        c.bench_function(&format!("a batch of {name}"), |b| b.iter(|| plan.make()));
    }
}

criterion_group!(benches, batch);
criterion_main!(benches);
