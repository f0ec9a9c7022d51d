//! The functions of `wasi_snapshot_preview1`, and how each is answered.

use wasmparser::{FuncType, ValType};

/// Namespace of the imports that the adapter answers.
pub const NAMESPACE: &str = "wasi_snapshot_preview1";

/// Bad file descriptor: there are no files but the three standard streams.
pub(crate) const BADF: i32 = 8;
/// Invalid argument.
pub(crate) const INVAL: i32 = 28;
/// Function not supported.
const NOSYS: i32 = 52;
/// Operation not supported on this file.
const NOTSUP: i32 = 58;
/// Seek on a stream.
const SPIPE: i32 = 70;

/// How a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// With this number.
    Constant(i32),
    /// With this number for a standard stream, and otherwise with [`BADF`].
    Stream(i32),
    /// The constants of the arguments, or of the environment.
    Strings { env: bool },
    /// How many there are, and their bytes.
    Sizes { env: bool },
    /// The clock's resolution.
    Resolution,
    /// The time.
    Clock,
    /// What kind of file a stream is.
    Status,
    /// From the input.
    Read,
    /// To output or log.
    Write,
    /// The end of the program.
    Exit,
    /// Random bytes.
    Random,
}

/// One function of the namespace.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// One letter for each parameter: `i` is i32, `l` is i64.
    params: &'static str,
    pub(crate) answer: Answer,
}

impl Call {
    /// Tells whether a function type is that of the call.
    pub(crate) fn has_type(&self, found: &FuncType) -> bool {
        let params = self.params.bytes().map(|letter| match letter {
            b'l' => ValType::I64,
            _ => ValType::I32,
        });
        let results: &[ValType] = match self.answer {
            Answer::Exit => &[],
            _ => &[ValType::I32],
        };
        found.params().iter().copied().eq(params) && found.results() == results
    }
}

const fn call(name: &'static str, params: &'static str, answer: Answer) -> Call {
    Call { name, params, answer }
}

/// Every function of the namespace, in order of the names.
static CALLS: &[Call] = &[
    call("args_get", "ii", Answer::Strings { env: false }),
    call("args_sizes_get", "ii", Answer::Sizes { env: false }),
    call("clock_res_get", "ii", Answer::Resolution),
    call("clock_time_get", "ili", Answer::Clock),
    call("environ_get", "ii", Answer::Strings { env: true }),
    call("environ_sizes_get", "ii", Answer::Sizes { env: true }),
    call("fd_advise", "illi", Answer::Stream(SPIPE)),
    call("fd_allocate", "ill", Answer::Stream(NOTSUP)),
    call("fd_close", "i", Answer::Stream(0)),
    call("fd_datasync", "i", Answer::Stream(0)),
    call("fd_fdstat_get", "ii", Answer::Status),
    call("fd_fdstat_set_flags", "ii", Answer::Stream(0)),
    call("fd_fdstat_set_rights", "ill", Answer::Stream(0)),
    call("fd_filestat_get", "ii", Answer::Stream(NOTSUP)),
    call("fd_filestat_set_size", "il", Answer::Stream(NOTSUP)),
    call("fd_filestat_set_times", "illi", Answer::Stream(NOTSUP)),
    call("fd_pread", "iiili", Answer::Stream(SPIPE)),
    call("fd_prestat_dir_name", "iii", Answer::Constant(BADF)),
    call("fd_prestat_get", "ii", Answer::Constant(BADF)),
    call("fd_pwrite", "iiili", Answer::Stream(SPIPE)),
    call("fd_read", "iiii", Answer::Read),
    call("fd_readdir", "iiili", Answer::Constant(BADF)),
    call("fd_renumber", "ii", Answer::Stream(NOTSUP)),
    call("fd_seek", "ilii", Answer::Stream(SPIPE)),
    call("fd_sync", "i", Answer::Stream(0)),
    call("fd_tell", "ii", Answer::Stream(SPIPE)),
    call("fd_write", "iiii", Answer::Write),
    call("path_create_directory", "iii", Answer::Constant(BADF)),
    call("path_filestat_get", "iiiii", Answer::Constant(BADF)),
    call("path_filestat_set_times", "iiiilli", Answer::Constant(BADF)),
    call("path_link", "iiiiiii", Answer::Constant(BADF)),
    call("path_open", "iiiiillii", Answer::Constant(BADF)),
    call("path_readlink", "iiiiii", Answer::Constant(BADF)),
    call("path_remove_directory", "iii", Answer::Constant(BADF)),
    call("path_rename", "iiiiii", Answer::Constant(BADF)),
    call("path_symlink", "iiiii", Answer::Constant(BADF)),
    call("path_unlink_file", "iii", Answer::Constant(BADF)),
    call("poll_oneoff", "iiii", Answer::Constant(NOSYS)),
    call("proc_exit", "i", Answer::Exit),
    call("proc_raise", "i", Answer::Constant(NOSYS)),
    call("random_get", "ii", Answer::Random),
    call("sched_yield", "", Answer::Constant(0)),
    call("sock_accept", "iii", Answer::Constant(BADF)),
    call("sock_recv", "iiiiii", Answer::Constant(BADF)),
    call("sock_send", "iiiii", Answer::Constant(BADF)),
    call("sock_shutdown", "ii", Answer::Constant(BADF)),
];

/// Returns the function of this name.
pub(crate) fn find(name: &str) -> Option<&'static Call> {
    CALLS.iter().find(|call| call.name == name)
}

/// Returns the names of every function that the adapter answers, in ascending order.
pub fn names() -> impl Iterator<Item = &'static str> {
    CALLS.iter().map(|call| call.name)
}
