//! Arguments and expected results of the suite.

use kapsule_engine::raw::RawValue;
use wast::core::{NanPattern, WastArgCore, WastRetCore};
use wast::{WastArg, WastRet};

/// Returns the arguments, or `None` if one is not a number.
pub(crate) fn args(args: &[WastArg<'_>]) -> Option<Vec<RawValue>> {
    args.iter()
        .map(|arg| match arg {
            WastArg::Core(WastArgCore::I32(value)) => Some(RawValue::I32(*value)),
            WastArg::Core(WastArgCore::I64(value)) => Some(RawValue::I64(*value)),
            WastArg::Core(WastArgCore::F32(value)) => Some(RawValue::F32(value.bits)),
            WastArg::Core(WastArgCore::F64(value)) => Some(RawValue::F64(value.bits)),
            _ => None,
        })
        .collect()
}

/// Tells whether the results are the expected ones.
pub(crate) fn all_match(expected: &[WastRet<'_>], found: &[RawValue]) -> bool {
    expected.len() == found.len()
        && expected.iter().zip(found).all(|(expected, found)| match expected {
            WastRet::Core(expected) => matches(expected, *found),
            _ => false,
        })
}

fn matches(expected: &WastRetCore<'_>, found: RawValue) -> bool {
    match (expected, found) {
        (WastRetCore::I32(expected), RawValue::I32(found)) => *expected == found,
        (WastRetCore::I64(expected), RawValue::I64(found)) => *expected == found,
        (WastRetCore::F32(expected), RawValue::F32(found)) => match expected {
            NanPattern::Value(value) => value.bits == found,
            NanPattern::CanonicalNan => found & 0x7fff_ffff == 0x7fc0_0000,
            NanPattern::ArithmeticNan => found & 0x7fc0_0000 == 0x7fc0_0000,
        },
        (WastRetCore::F64(expected), RawValue::F64(found)) => match expected {
            NanPattern::Value(value) => value.bits == found,
            NanPattern::CanonicalNan => found & (u64::MAX >> 1) == 0x7ff8_0000_0000_0000,
            NanPattern::ArithmeticNan => found & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
        },
        (WastRetCore::Either(choices), found) => choices.iter().any(|one| matches(one, found)),
        _ => false,
    }
}
