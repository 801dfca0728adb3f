//! The tables of runs in `docs/results.md` against the runs' metrics in `docs/runs`.
#![allow(clippy::unwrap_used)] // a test's way to fail

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use nem_tui::engine::run_dir::Record;
use nem_tui::protocol::Epoch;

fn docs(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(path)
}

fn epochs(file: &str) -> Vec<Epoch> {
    let lines = BufReader::new(flate2::read::GzDecoder::new(File::open(docs(file)).unwrap())).lines();
    let epoch = |line: std::io::Result<String>| match serde_json::from_str(&line.unwrap()).unwrap() {
        Record::Epoch(epoch) => Some(epoch),
        _ => None,
    };
    lines.filter_map(epoch).collect()
}

/// The value behind a column's heading, if a run's metrics hold it.
fn measured(heading: &str, epoch: &Epoch) -> Option<f64> {
    match heading {
        "train loss" => Some(epoch.train_loss),
        "validation loss" => Some(epoch.validation_loss),
        "AMI" => Some(epoch.ami),
        _ => None,
    }
}

/// A cell as a number, with as many decimals as it is written with.
fn number(cell: &str) -> (f64, usize) {
    let plain = cell.replace([',', '*'], "");
    let decimals = plain.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    (plain.parse().unwrap_or_else(|_| panic!("{cell:?} is no number")), decimals)
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

/// Under a heading that links a run's metrics, every row of the table that begins with `iterations` says
/// what the epoch of that iteration measured.
#[test]
fn tables_of_runs_say_what_was_measured() {
    let text = std::fs::read_to_string(docs("results.md")).unwrap();
    let mut linked = Vec::new();
    for section in text.split("\n## ") {
        let title = section.lines().next().unwrap();
        let Some((_, link)) = section.split_once("](runs/") else {
            assert!(!section.contains("| iterations |"), "{title}: a table of a run without its metrics");
            continue;
        };
        let file = format!("runs/{}", link.split_once(')').unwrap().0);
        let epochs = epochs(&file);
        let mut lines = section.lines().skip_while(|line| !line.starts_with("| iterations |"));
        let headings = cells(lines.next().unwrap_or_else(|| panic!("{title}: no table of the run")));
        let rows: Vec<Vec<&str>> =
            lines.skip(1).take_while(|line| line.starts_with('|')).map(cells).collect();
        assert!(rows.len() > 2, "{title}: {} rows", rows.len());
        for row in rows {
            let iteration = number(row[0]).0 as u64;
            let epoch = epochs.iter().find(|epoch| epoch.iteration == iteration);
            let epoch = epoch.unwrap_or_else(|| panic!("{title}: no epoch ended with iteration {iteration}"));
            let mut compared = 0;
            for (heading, cell) in headings.iter().zip(&row) {
                if let Some(measured) = measured(heading, epoch) {
                    let (said, decimals) = number(cell);
                    let half = 0.5 * 10f64.powi(-(decimals as i32)) + 1e-9;
                    assert!(
                        (said - measured).abs() <= half,
                        "{title}, {iteration}: {heading} {said}, not {measured}"
                    );
                    compared += 1;
                }
            }
            assert_eq!(compared, 3, "{title}: train loss, validation loss and AMI");
        }
        linked.push(file);
    }
    let kept = std::fs::read_dir(docs("runs")).unwrap();
    let kept = kept.map(|file| format!("runs/{}", file.unwrap().file_name().to_string_lossy()));
    for file in kept {
        assert!(linked.contains(&file), "docs/results.md has no table of {file}");
    }
}
