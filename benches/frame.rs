//! Drawing a 200x60 workbench with full histories. Limits: 5 ms for the median, 8 ms for the 99th percentile.

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use nem_tui::tui::app::App;
use nem_tui::tui::theme::Depth;
use nem_tui::tui::view;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Number of frames for the quantiles.
const FRAMES: usize = 2000;

fn draw(app: &App) -> Buffer {
    let area = Rect::new(0, 0, 200, 60);
    let mut buf = Buffer::empty(area);
    view::render(app, area, &mut buf);
    buf
}

fn frame(c: &mut Criterion) {
    for (name, depth) in [("colour", Depth::True), ("plain", Depth::Plain)] {
        let app = support::workbench(depth, support::preset("static-shapes-rnn-em"), 10_000, 5, 15);
        let mut full = app.clone();
        support::compare(&mut full);
        support::look_back(&mut full);
        let many = support::workbench(depth, support::preset("static-shapes-rnn-em"), 10_000, 64, 15);
        let frames = [
            (name.to_owned(), app),
            (format!("{name}, everything on"), full),
            (format!("{name}, 64 components"), many),
        ];
        for (name, app) in frames {
            let name = format!("a 200x60 frame, {name}");
            c.bench_function(&name, |b| b.iter(|| draw(&app)));
            quantiles(&name, &app);
        }
    }
}

/// Prints the median and the 99th percentile, which criterion's mean does not show.
fn quantiles(name: &str, app: &App) {
    let one = |_| {
        let start = Instant::now();
        black_box(draw(app));
        start.elapsed().as_secs_f64() * 1e3
    };
    let mut times: Vec<f64> = (0..FRAMES).map(one).collect();
    times.sort_by(f64::total_cmp);
    println!("{name}: median {:.2} ms, p99 {:.2} ms", times[FRAMES / 2], times[FRAMES * 99 / 100]);
}

criterion_group!(benches, frame);
criterion_main!(benches);
