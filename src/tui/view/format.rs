//! Numbers and durations, as the screen writes them.

/// A number in at most six characters.
pub fn number(value: f64) -> String {
    match value.abs() {
        v if !v.is_finite() => "?".into(),
        v if v >= 1e6 => format!("{value:.0e}"),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.001 || v == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.0e}"),
    }
}

/// Seconds as minutes and seconds, or with hours.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.clamp(0.0, 359_999.0) as u64;
    match seconds {
        0..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}
