//! Numbers and durations, as the screen writes them.

/// A number in at most six characters.
pub fn number(value: f64) -> String {
    match value.abs() {
        v if !v.is_finite() => "?".into(),
        v if v >= 1e6 => format!("{value:.0e}"),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.001 || v == 0.0 => format!("{value:.3}"),
        v if v >= 0.0001 => format!("{value:.4}"),
        _ => format!("{value:.0e}"),
    }
}

/// A learning rate in up to three digits: 0.001 and 0.00025, but 1e-6.
pub fn rate(value: f64) -> String {
    let digits = format!("{value:.2e}").parse().unwrap_or(value);
    if digits == 0.0 || (1e-5..1e6).contains(&digits) { digits.to_string() } else { format!("{digits:e}") }
}

/// How quickly iterations follow each other, in words and in short: per second, or how long one takes if that is more
/// than a second.
pub fn speed(per_second: f64) -> [String; 2] {
    match per_second {
        fast if fast >= 1.0 => [format!("{fast:.1} iterations/s"), format!("{fast:.1} it/s")],
        slow => {
            let takes = 1.0 / slow;
            [format!("{takes:.1} s per iteration"), format!("{takes:.1} s/it")]
        }
    }
}

/// Seconds as minutes and seconds, with hours, or as days and hours.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.clamp(0.0, 9999.0 * 86_400.0) as u64;
    match seconds {
        0..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
        _ if seconds < 100 * 86_400 => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_plain_decimals_where_those_are_readable() {
        for (value, text) in [
            (1e-3, "0.001"),
            (2.5e-4, "0.00025"),
            (0.123_456, "0.123"),
            (1e-5, "0.00001"),
            (1e-6, "1e-6"),
            (10.0, "10"),
            (0.0, "0"),
            (0.3 - 0.1, "0.2"),
        ] {
            assert_eq!(rate(value), text);
        }
        assert_eq!([number(0.000_5), number(0.000_05)], ["0.0005", "5e-5"]);
    }

    #[test]
    fn slow_iterations_are_timed_and_fast_ones_counted() {
        assert_eq!([speed(25.0)[1].as_str(), &speed(9.932)[1]], ["25.0 it/s", "9.9 it/s"]);
        assert_eq!(speed(1.0 / 12.0), ["12.0 s per iteration", "12.0 s/it"]);
    }

    #[test]
    fn more_than_a_day_is_counted_in_days() {
        let all = [95.0, 3_700.0, 86_399.0, 86_400.0, 200_000.0, 1e7, f64::INFINITY, f64::NAN].map(duration);
        assert_eq!(all[..6], ["1:35", "1:01:40", "23:59:59", "1 d 0 h", "2 d 7 h", "115 d"]);
        assert_eq!(all[7], "0:00");
    }
}
