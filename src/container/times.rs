//! Times as people write them. Inside, a time is nanoseconds since 1970, UTC.

use crate::error::{Error, Result};
use jiff::{Timestamp, Unit};

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

/// What `--since` and `--until` take: a time (RFC 3339), seconds since 1970, or how long ago (`10m`, `1h30m`).
///
/// # Errors
/// When it is none of these.
pub fn parse(flag: &str, text: &str) -> Result<i64> {
    let wrong = || {
        Error::new(format!("{flag} {text}: not a time"))
            .hint("2026-01-31T12:00:00Z, seconds since 1970, or how long ago: 10m, 1h30m")
    };
    if let Some(seconds) = text.parse::<f64>().ok().filter(|s| s.is_finite()) {
        return Ok((seconds * SECOND as f64) as i64);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return i64::try_from(time.as_nanosecond()).map_err(|_| wrong());
    }
    // A date, or a time without its zone, is UTC.
    if let Ok(time) = text.parse::<jiff::civil::DateTime>() {
        let zoned = time.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?;
        return i64::try_from(zoned.timestamp().as_nanosecond()).map_err(|_| wrong());
    }
    let ago = text.parse::<jiff::Span>().map_err(|_| wrong())?;
    let nanos = ago.total(Unit::Nanosecond).map_err(|_| wrong())?;
    Ok(now() - nanos.abs() as i64)
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
        assert_eq!(parse("--since", "2023-11-14T22:13:20").unwrap(), second(1_700_000_000));
        let ago = now() - parse("--since", "10m").unwrap();
        assert!((second(599)..second(602)).contains(&ago), "{ago}");
        assert!(parse("--since", "soon").is_err());
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
