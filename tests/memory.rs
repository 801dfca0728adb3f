//! The memory that a day of training takes in a workbench.

#![allow(clippy::unwrap_used)] // a test's way to fail
#![cfg(target_os = "linux")]

mod support;

use nem_tui::protocol::{Epoch, Event, Iteration, Metrics, Record};
use nem_tui::tui::theme::Depth;
use nem_tui::tui::update::{Message, update};

/// This process's resident memory in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// 24 hours at 40 iterations a second and an epoch every 5 seconds: the curves on the screen, and what a run keeps
/// for viewers who join.
#[test]
fn a_day_of_curves_takes_less_than_64_mb() {
    const DAY: u64 = 24 * 3600;
    let mut app = support::workbench(Depth::True, support::preset("quickstart"), 100, 4, 6);
    let mut metrics = Metrics::default();
    let before = resident();
    for second in 0..DAY {
        let one = |i: u64| Iteration {
            iteration: second * 40 + i + 1,
            epoch: 1 + second / 5,
            loss: 500.0,
            ami: Some(0.5),
            ari: Some(0.5),
            gradient_norm: Some(1.0),
            seconds: 0.025,
            ..Iteration::default()
        };
        let iterations: Vec<Iteration> = (0..40).map(one).collect();
        iterations.iter().for_each(|iteration| metrics.add(Record::Step(*iteration)));
        metrics.keep_latest();
        update(&mut app, Message::Run(Event::Iterations(iterations)));
        if second % 5 == 4 {
            let epoch = Epoch { epoch: 1 + second / 5, iteration: (second + 1) * 40, ..Epoch::default() };
            metrics.add(Record::Epoch(epoch));
            update(&mut app, Message::Run(Event::Epoch(epoch)));
        }
    }
    let workbench = app.workbench.as_ref().unwrap();
    assert_eq!(workbench.iteration(), DAY * 40);
    let grown = resident().saturating_sub(before);
    assert!(grown < 64_000_000, "{grown} bytes");
}
