//! Times as tables write them.

/// Reads `M/D/YYYY H:MM` in UTC as milliseconds since 1970.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    read(text).ok_or_else(|| "expected month/day/year hour:minute from 1970 on".to_owned())
}

fn read(text: &str) -> Option<u64> {
    let (date, clock) = text.split_once(' ')?;
    let mut date = date.split('/').map(number);
    let (month, day, year) = (date.next()??, date.next()??, date.next()??);
    let (hour, minute) = clock.split_once(':')?;
    let (hour, minute) = (number(hour)?, number(minute)?);
    let whole = date.next().is_none() && hour < 24 && minute < 60;
    let days = days_since_1970(year, month, day).filter(|_| whole)?;
    Some(((days * 24 + hour) * 60 + minute) * 60_000)
}

fn number(text: &str) -> Option<u64> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let february = if leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = usize::try_from(month.checked_sub(1)?).ok()?;
    if year < 1970 || !(1..=*months.get(index)?).contains(&day) {
        return None;
    }
    let years: u64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    Some(years + months[..index].iter().sum::<u64>() + day - 1)
}

/// Writes the day of a time in milliseconds since 1970 as `YYYY-MM-DD`, in UTC.
pub(crate) fn day(time_ms: u64) -> String {
    // Days are counted from 1 March of the year 0, so that the leap day ends a year.
    const DAYS_BEFORE_1970: u64 = 719_468;
    let days = time_ms / 86_400_000 + DAYS_BEFORE_1970;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Writes a time in milliseconds since 1970 as `YYYY-MM-DD HH:MM`, in UTC.
pub(crate) fn minute(time_ms: u64) -> String {
    let minutes = time_ms / 60_000 % 1_440;
    format!("{} {:02}:{:02}", day(time_ms), minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_minutes() {
        for (text, expect) in [
            ("1/1/1970 0:00", 0),
            ("8/4/2016 11:52", 1_470_311_520_000),
            ("2/29/2016 23:59", 1_456_790_340_000),
            ("12/31/2000 00:01", 978_220_860_000),
        ] {
            assert_eq!(parse(text), Ok(expect), "{text}");
        }
    }

    #[test]
    fn days_are_written_as_they_are_read() {
        let mut time_ms = 0;
        for (year, month, last) in (1970..2110).flat_map(|year| {
            let leap = year % 4 == 0 && year != 2100;
            let february = if leap { 29 } else { 28 };
            let days = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            (1..).zip(days).map(move |(month, last)| (year, month, last))
        }) {
            for date in 1..=last {
                assert_eq!(day(time_ms), format!("{year:04}-{month:02}-{date:02}"));
                assert_eq!(parse(&format!("{month}/{date}/{year} 0:00")), Ok(time_ms));
                time_ms += 86_400_000;
            }
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "8/4/2016",
            "8/4/2016 24:00",
            "8/4/2016 1:60",
            "2/29/2015 0:00",
            "13/1/2016 0:00",
            "0/1/2016 0:00",
            "1/0/2016 0:00",
            "1/1/1969 0:00",
            "1/1/2016/1 0:00",
            "1/+1/2016 0:00",
            "2016-01-01 0:00",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
