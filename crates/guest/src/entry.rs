//! From the run's input to the entry's result.

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::host::{self, Level};
use crate::{Error, kcbor};

/// Exports functions as entries, and the ABI version beside them.
///
/// `entry!(f)` exports `f` under the name `run`; `entry!(a = f, b = g)` exports two.
/// An entry takes one value that can be decoded from CBOR and returns one that can be encoded, or
/// an [`Error`](crate::Error).
/// `entry!(raw f)` is for a function from `&[u8]` to `Result<Vec<u8>, Error>`.
///
/// Use it once per module.
#[macro_export]
macro_rules! entry {
    (raw $handler:path) => {
        $crate::entry!(@export call_raw; run = $handler);
    };
    ($handler:path) => {
        $crate::entry!(@export call; run = $handler);
    };
    ($($export:ident = $handler:path),+ $(,)?) => {
        $crate::entry!(@export call; $($export = $handler),+);
    };
    (@export $call:ident; $($export:ident = $handler:path),+) => {
        // In a program for the host there is nobody to export to; the types are still checked.
        $(
            #[cfg(target_arch = "wasm32")]
            const _: () = {
                #[unsafe(export_name = stringify!($export))]
                extern "C" fn kapsule_entry() -> i32 {
                    $crate::$call($handler)
                }
            };
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn() -> i32 = || $crate::$call($handler);
        )+
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[unsafe(export_name = "kapsule_abi_version")]
            extern "C" fn kapsule_abi_version() -> i32 {
                $crate::ABI_VERSION as i32
            }
        };
    };
}

/// Runs `handler` on the run's decoded input and writes its encoded result.
///
/// The input must be deterministic CBOR; see [`kcbor`].
/// Returns 0, or the error's code after its message was logged.
pub fn call<I, O>(handler: impl FnOnce(I) -> Result<O, Error>) -> i32
where
    I: for<'b> Decode<'b, ()>,
    O: Encode<()>,
{
    call_raw(|bytes: &[u8]| {
        kcbor::validate(bytes)?;
        let input =
            minicbor::decode(bytes).map_err(|error| Error::input(alloc::format!("{error}")))?;
        let output = handler(input)?;
        Ok(minicbor::to_vec(output).expect("encoding into a vector cannot fail"))
    })
}

/// Runs `handler` on the run's input bytes and writes the bytes that it returns.
///
/// Returns 0, or the error's code after its message was logged.
pub fn call_raw(handler: impl FnOnce(&[u8]) -> Result<Vec<u8>, Error>) -> i32 {
    match handler(&host::input()) {
        Ok(bytes) => {
            host::output(&bytes);
            0
        }
        Err(error) => {
            host::log(Level::Error, error.message());
            i32::from(error.code())
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec;

    use super::*;
    use crate::test_host::{self, TestHost};

    fn greet(name: String) -> Result<String, Error> {
        if name.is_empty() {
            return Err(Error::new(Error::MODULE, "the name is empty"));
        }
        Ok(format!("Hello, {name}!"))
    }

    fn run(input: &[u8]) -> (i32, TestHost) {
        test_host::with(TestHost { input: input.to_vec(), ..TestHost::default() }, || call(greet))
    }

    #[test]
    fn typed_entry_answers() {
        let (result, host) = run(b"\x63Ada");
        assert_eq!((result, host.output.as_slice()), (0, b"\x6bHello, Ada!".as_slice()));
        assert_eq!(host.logs, vec![]);
    }

    #[test]
    fn module_error_is_logged_and_returned() {
        let (result, host) = run(b"\x60");
        assert_eq!((result, host.output.len()), (16, 0));
        assert_eq!(host.logs, vec![(Level::Error as i32, b"the name is empty".to_vec())]);
    }

    #[test]
    fn input_of_another_type_is_an_input_error() {
        let (result, host) = run(b"\x01");
        assert_eq!((result, host.logs.len()), (1, 1));
    }

    #[test]
    fn input_that_is_not_deterministic_is_an_input_error() {
        let (result, host) = run(b"\x78\x03Ada");
        assert_eq!(result, 1);
        assert_eq!(host.logs[0].1, b"input is not deterministic CBOR at byte 0: head not shortest");
    }

    crate::entry!(run = greet, welcome = greet);
}
