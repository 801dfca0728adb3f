//! Drawing a 200x60 workbench with full histories: to stay under 5 ms.

#[path = "../tests/support/mod.rs"]
mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use nem_tui::tui::theme::Depth;
use nem_tui::tui::view;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

fn frame(c: &mut Criterion) {
    let area = Rect::new(0, 0, 200, 60);
    for (name, depth) in [("colour", Depth::True), ("plain", Depth::Plain)] {
        let app = support::workbench(depth, support::preset("static-shapes-rnn-em"), 10_000, 5, 15);
        c.bench_function(&format!("a 200x60 frame, {name}"), |b| {
            b.iter(|| {
                let mut buf = Buffer::empty(area);
                view::render(&app, area, &mut buf);
                buf
            });
        });
    }
}

criterion_group!(benches, frame);
criterion_main!(benches);
