//! Times as people write them. Inside, a time is nanoseconds since 1970, UTC.

use crate::error::{Error, Result};
use jiff::Timestamp;

const SECOND: i64 = 1_000_000_000;

/// Now.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// `2026-11-21T07:00:00.123456789Z`; docker's zero for never.
pub fn rfc3339(nanos: i64) -> String {
    if nanos == 0 {
        return "0001-01-01T00:00:00Z".into();
    }
    Timestamp::from_nanosecond(nanos.into()).map_or_else(|_| String::new(), |t| format!("{t:.9}"))
}

/// `2026-11-21 07:00:00 +0000 UTC`: how Go prints a time, and so docker's tables.
pub fn gos(nanos: i64) -> String {
    let time = Timestamp::from_nanosecond(nanos.into());
    time.map_or_else(|_| String::new(), |t| t.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string())
}

/// What `--since` and `--until` take, in docker's forms: a time (RFC 3339, or a part of it; without a zone it is of the
/// local one), seconds since 1970 with or without a fraction, or how long ago in Go's units (`10m`, `1h30m`: there are no
/// days among them).
///
/// # Errors
/// When it is none of these.
pub fn parse(flag: &str, text: &str) -> Result<i64> {
    let read = since_epoch(text).or_else(|| ago(text).map(|ago| now().saturating_sub(ago))).or_else(|| moment(text));
    read.ok_or_else(|| {
        Error::new(format!("{flag} {text}: not a time"))
            .hint("2026-01-31T12:00:00Z, seconds since 1970, or how long ago: 10m, 1h30m")
    })
}

/// `1700000000.000000005`. As a floating number it would lose its last digits.
fn since_epoch(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if seconds.is_empty() || !digits(seconds) || !digits(fraction) {
        return None;
    }
    let nanos = format!("{:0<9}", &fraction[..fraction.len().min(9)]).parse::<i64>().ok()?;
    seconds.parse::<i64>().ok()?.checked_mul(SECOND)?.checked_add(nanos)
}

/// `1h30m`, in nanoseconds. One that is negative (`-10m`) is yet to come.
fn ago(text: &str) -> Option<i64> {
    const UNITS: [(&str, f64); 7] =
        [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let mut nanos = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, size) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        nanos += number * size;
        rest = &rest[unit.len()..];
    }
    (nanos < i64::MAX as f64).then_some((sign * nanos) as i64)
}

/// A time of the calendar, as a whole or only in its beginning: docker takes a date, hours, and minutes, too.
fn moment(text: &str) -> Option<i64> {
    let nanos = |time: Timestamp| i64::try_from(time.as_nanosecond()).ok();
    // A day, or an hour with nothing after it, is not what RFC 3339 calls a time.
    let whole = |clock: &str| match (clock.is_empty(), clock.len()) {
        (true, _) => Some("T00:00:00".to_string()),
        (_, 3) => Some(format!("{clock}:00:00")),
        (_, 6) => Some(format!("{clock}:00")),
        (_, 9..) => Some(clock.to_string()),
        _ => None,
    };
    if !text.is_char_boundary(10) || text.len() < 10 {
        return None;
    }
    let (date, rest) = text.split_at(10);
    let zone = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(zone);
    if !clock.is_empty() && !clock.starts_with(['T', 't']) {
        return None;
    }
    let local = format!("{date}{}", whole(clock)?);
    if zone.is_empty() {
        let time: jiff::civil::DateTime = local.parse().ok()?;
        return nanos(time.to_zoned(jiff::tz::TimeZone::system()).ok()?.timestamp());
    }
    nanos(format!("{local}{zone}").parse().ok()?)
}

/// docker's: `Less than a second`, `5 seconds`, `About a minute`, `3 hours`, `2 weeks`.
pub fn human(nanos: i64) -> String {
    let seconds = nanos.max(0) / SECOND;
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match () {
        () if seconds < 1 => "Less than a second".into(),
        () if seconds == 1 => "1 second".into(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".into(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".into(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form() {
        let second = |n: i64| n * SECOND;
        assert_eq!(parse("--since", "1700000000").unwrap(), second(1_700_000_000));
        assert_eq!(parse("--since", "2023-11-14T22:13:20Z").unwrap(), second(1_700_000_000));
        assert_eq!(parse("--since", "2023-11-14T23:13:20+01:00").unwrap(), second(1_700_000_000));
        assert_eq!(parse("--since", "1700000000.000000005").unwrap(), second(1_700_000_000) + 5);
        assert_eq!(parse("--since", "1700000000.25").unwrap(), second(1_700_000_000) + 250_000_000);
        assert_eq!(parse("--since", "2023-11-14T22:13:20.000000005Z").unwrap(), second(1_700_000_000) + 5);
        let midnight = second(1_699_920_000);
        assert_eq!(parse("--since", "2023-11-14Z").unwrap(), midnight);
        assert_eq!(parse("--since", "2023-11-14T22Z").unwrap(), midnight + second(22 * 3600));
        assert_eq!(parse("--since", "2023-11-14T22:13+01:00").unwrap(), midnight + second(21 * 3600 + 13 * 60));
        // Without a zone it is local, wherever the test runs.
        let zone = jiff::tz::TimeZone::system();
        let local = jiff::civil::date(2023, 11, 14).at(22, 13, 20, 0).to_zoned(zone).unwrap();
        for (text, whole) in [("2023-11-14T22:13:20", 20), ("2023-11-14T22:13", 0)] {
            let expected = second(local.timestamp().as_second() - 20 + whole);
            assert_eq!(parse("--since", text).unwrap(), expected, "{text}");
        }
        for (text, seconds) in [("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("90s", 90), ("-10m", -600), ("0s", 0)] {
            let ago = now() - parse("--since", text).unwrap();
            assert!((second(seconds - 1)..second(seconds + 2)).contains(&ago), "{text}: {ago}");
        }
        for bad in [
            "",
            "-",
            "soon",
            "2d",
            "1w",
            "P1D",
            "1 hour",
            "10",
            "inf",
            "1e9",
            "-5",
            "1.2.3",
            "2023-11-14 22:13:20",
            "2023-13-14",
            "2023-11-14T2",
            "2023-11-14T22:13:20Q",
            "1h30",
            "+",
            "99999999999999999999",
            "9999999999h",
            "日本語日本語",
        ] {
            assert_eq!(parse("--since", bad).is_err(), bad != "10", "{bad}");
        }
        assert_eq!(rfc3339(second(1_700_000_000) + 5), "2023-11-14T22:13:20.000000005Z");
        assert_eq!(gos(second(1_700_000_000) + 5), "2023-11-14 22:13:20 +0000 UTC");
    }

    #[test]
    fn durations_are_dockers() {
        let words = [0, 1, 59, 60, 119, 120, 3599, 3600, 7200, 86_400 * 3, 86_400 * 20, 86_400 * 100];
        let words: Vec<String> = words.iter().map(|s| human(s * SECOND)).collect();
        assert_eq!(
            words,
            [
                "Less than a second",
                "1 second",
                "59 seconds",
                "About a minute",
                "About a minute",
                "2 minutes",
                "59 minutes",
                "About an hour",
                "2 hours",
                "3 days",
                "2 weeks",
                "3 months"
            ]
        );
    }
}
