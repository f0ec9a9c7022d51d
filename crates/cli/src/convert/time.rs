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
