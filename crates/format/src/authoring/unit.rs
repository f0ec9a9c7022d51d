//! Units: sizes, times, processors, shares and money, as text or integers.

use alloc::format;
use alloc::string::{String, ToString};

use crate::json::UINT_MAX;
use crate::manifest::Amount;

/// Fuel of one millisecond of metered work (`spec/fuel.md`).
pub(super) const FUEL_PER_MS: u64 = 1_000_000;

const SIZES: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// Milliseconds of each unit of time.
const TIMES: [(&str, u64); 3] = [("ms", 1), ("min", 60_000), ("s", 1_000)];

/// Tells whether a text is a decimal integer without sign or leading zero.
pub(super) fn is_integer(text: &str) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && (text == "0" || !text.starts_with('0'))
}

fn integer(text: &str) -> Option<u64> {
    if is_integer(text) { text.parse().ok() } else { None }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, factor) =
        units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))?;
    integer(digits)?.checked_mul(factor).filter(|number| *number <= UINT_MAX)
}

/// Reads a size in bytes, such as `65536`, `64KiB` or `1MB`.
pub(super) fn size(text: &str) -> Option<u64> {
    scaled(text, &SIZES).or_else(|| integer(text).filter(|number| *number <= UINT_MAX))
}

/// Reads a time, such as `500ms`, `2s` or `1min`, as fuel.
pub(super) fn time_as_fuel(text: &str) -> Option<u64> {
    scaled(text, &TIMES)?.checked_mul(FUEL_PER_MS).filter(|fuel| *fuel <= UINT_MAX)
}

/// Reads processors, such as `500m`, `2` or `0.5`, in thousandths.
pub(super) fn cpu_milli(text: &str) -> Option<u64> {
    match text.strip_suffix('m') {
        Some(thousandths) => integer(thousandths),
        None => decimal(text, 3),
    }
    .filter(|number| *number <= UINT_MAX)
}

/// Reads a percentage, such as `50%` or `2.5%`, in parts per million.
pub(super) fn percent_as_ppm(text: &str) -> Option<u64> {
    decimal(text.strip_suffix('%')?, 4).filter(|ppm| *ppm <= crate::manifest::PPM_WHOLE)
}

/// Reads an integer with up to `places` decimals, as a count of the smallest place.
fn decimal(text: &str, places: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let form = (1..=places).contains(&fraction.len());
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !form || !digits {
        return None;
    }
    integer(whole)?;
    format!("{whole}{fraction:0<places$}").parse().ok()
}

/// Reads money, such as `0.0001 NONOS`; trailing zeros are dropped.
pub(super) fn money(text: &str) -> Option<(Amount, String)> {
    let (amount, asset) = text.split_once(' ')?;
    let amount = match amount.split_once('.') {
        Some((_, "")) => return None,
        Some(_) => amount.trim_end_matches('0').trim_end_matches('.'),
        None => amount,
    };
    let asset = Some(asset).filter(|asset| crate::manifest::is_asset(asset))?;
    Some((amount.parse().ok()?, asset.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: PartialEq + core::fmt::Debug>(
        read: impl Fn(&str) -> Option<T>,
        cases: &[(&str, Option<T>)],
    ) {
        for (text, expect) in cases {
            assert_eq!(read(text), *expect, "{text:?}");
        }
    }

    #[test]
    fn sizes() {
        check(
            size,
            &[
                ("0", Some(0)),
                ("65536", Some(65_536)),
                ("7B", Some(7)),
                ("1kB", Some(1_000)),
                ("1KB", Some(1_000)),
                ("32MB", Some(32_000_000)),
                ("1GB", Some(1_000_000_000)),
                ("4KiB", Some(4_096)),
                ("64MiB", Some(1 << 26)),
                ("1GiB", Some(1 << 30)),
                ("32mb", None),
                ("1 MiB", None),
                ("01", None),
                ("1.5MiB", None),
                ("-1B", None),
                ("MiB", None),
                ("", None),
                ("9007199254740991", Some(UINT_MAX)),
                ("9007199254740992", None),
                ("9007199254740992B", None),
                ("18446744073709551615GiB", None),
            ],
        );
    }

    #[test]
    fn times() {
        check(
            time_as_fuel,
            &[
                ("500ms", Some(500_000_000)),
                ("2s", Some(2_000_000_000)),
                ("1min", Some(60_000_000_000)),
                ("0ms", Some(0)),
                ("-1ms", None),
                ("500", None),
                ("1h", None),
                ("1.5s", None),
                ("9007199254ms", Some(9_007_199_254_000_000)),
                ("9007199255ms", None),
                ("18446744073709551615min", None),
            ],
        );
    }

    #[test]
    fn processors() {
        check(
            cpu_milli,
            &[
                ("500m", Some(500)),
                ("2", Some(2_000)),
                ("0.5", Some(500)),
                ("0.125", Some(125)),
                ("0.1250", None),
                (".5", None),
                ("5.", None),
                ("0.5m", None),
                ("00.5", None),
                ("9007199254740992m", None),
            ],
        );
    }

    #[test]
    fn shares() {
        check(
            percent_as_ppm,
            &[
                ("50%", Some(500_000)),
                ("100%", Some(1_000_000)),
                ("0.0001%", Some(1)),
                ("2.5%", Some(25_000)),
                ("100.0001%", None),
                ("0.00001%", None),
                ("50", None),
                ("-1%", None),
            ],
        );
    }

    #[test]
    fn sums_of_money() {
        let units = |text: &str| money(text).map(|(amount, asset)| (amount.units(), asset));
        let nonos = |units: u128| Some((units, "NONOS".to_string()));
        check(
            units,
            &[
                ("0.0001 NONOS", nonos(100_000_000_000_000)),
                ("1.50 NONOS", nonos(1_500_000_000_000_000_000)),
                ("1.0 NONOS", nonos(1_000_000_000_000_000_000)),
                ("0 NONOS", nonos(0)),
                ("10 NONOS", nonos(10_000_000_000_000_000_000)),
                ("1. NONOS", None),
                (".5 NONOS", None),
                ("01 NONOS", None),
                ("1  NONOS", None),
                ("1NONOS", None),
                ("1 nonos", None),
                ("-1 NONOS", None),
                ("1", None),
            ],
        );
    }
}
