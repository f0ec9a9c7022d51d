//! The functions that answer a program's imports, written over hostcalls.
//!
//! Locals are numbered from 0, parameters first, as in the text format.

use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::BUFFER_BYTES_MAX;
use wasm_encoder::{BlockType, Function, InstructionSink, MemArg, MemArgTarget, ValType};

use crate::Options;
use crate::table::{Answer, BADF, Call, INVAL};

/// Level of a line on standard error: info.
const LOG_LEVEL: i32 = 2;
/// Resolution of the clocks and unit of `now`, in nanoseconds.
const CLOCK_UNIT_NS: i64 = 1_000_000;
/// Number of clocks.
const CLOCKS: i32 = 4;
/// Right to read, and right to write, of a file descriptor.
const RIGHTS: [i64; 2] = [1 << 1, 1 << 6];

/// A hostcall that an answer needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Needed {
    InputRead,
    OutputWrite,
    Log,
    Now,
    Random,
}

impl Needed {
    /// Returns the import name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::InputRead => "input_read",
            Self::OutputWrite => "output_write",
            Self::Log => "log",
            Self::Now => "now",
            Self::Random => "random",
        }
    }
}

/// Returns the hostcalls that an answer makes.
pub(crate) fn needed(answer: Answer, options: &Options) -> &'static [Needed] {
    match answer {
        Answer::Read => &[Needed::InputRead],
        Answer::Write => &[Needed::OutputWrite, Needed::Log],
        Answer::Clock if options.clock => &[Needed::Now],
        Answer::Random => &[Needed::Random],
        _ => &[],
    }
}

/// Indices that the answering functions use.
pub(crate) struct Places<'a> {
    /// Function of each hostcall that is imported.
    pub(crate) hostcalls: &'a [Needed],
    /// i64: input bytes that were read.
    pub(crate) cursor: u32,
    /// i32: whether the program ended.
    pub(crate) exiting: u32,
    /// i32: its exit code.
    pub(crate) code: u32,
    pub(crate) options: &'a Options,
}

impl Places<'_> {
    fn call(&self, sink: &mut InstructionSink<'_>, hostcall: Needed) {
        let index = self.hostcalls.iter().position(|own| *own == hostcall);
        sink.call(index.expect("what an answer needs is imported") as u32);
    }

    /// Writes the function that answers a call.
    pub(crate) fn answer(&self, call: &Call) -> Function {
        match call.answer {
            Answer::Constant(errno) => body(&[], |sink| {
                sink.i32_const(errno);
            }),
            Answer::Stream(errno) => body(&[], |sink| {
                sink.i32_const(errno).i32_const(BADF);
                is_stream(sink).select();
            }),
            Answer::Strings { env } => self.strings(env),
            Answer::Sizes { env } => self.sizes(env),
            Answer::Resolution => body(&[], |sink| {
                refuse_clock(sink);
                sink.local_get(1).i64_const(CLOCK_UNIT_NS).i64_store(at(0)).i32_const(0);
            }),
            Answer::Clock => self.clock(),
            Answer::Status => status(),
            Answer::Read => self.read(),
            Answer::Write => self.write(),
            Answer::Exit => body(&[], |sink| {
                sink.local_get(0).global_set(self.code);
                sink.i32_const(1).global_set(self.exiting);
            }),
            Answer::Random => self.random(),
        }
    }

    fn texts(&self, env: bool) -> &[String] {
        if env { &self.options.env } else { &self.options.args }
    }

    /// `(count_ptr, bytes_ptr)`
    fn sizes(&self, env: bool) -> Function {
        let texts = self.texts(env);
        let bytes: usize = texts.iter().map(|text| text.len() + 1).sum();
        body(&[], |sink| {
            sink.local_get(0).i32_const(texts.len() as i32).i32_store(at(0));
            sink.local_get(1).i32_const(bytes as i32).i32_store(at(0)).i32_const(0);
        })
    }

    /// `(pointers_ptr, bytes_ptr)`
    fn strings(&self, env: bool) -> Function {
        let mut bytes: Vec<u8> = Vec::new();
        body(&[], |sink| {
            for (index, text) in self.texts(env).iter().enumerate() {
                sink.local_get(0).local_get(1).i32_const(bytes.len() as i32).i32_add();
                sink.i32_store(at(4 * index as u64));
                bytes.extend(text.bytes().chain([0]));
            }
            let (words, rest) = bytes.as_chunks::<8>();
            for (index, word) in words.iter().enumerate() {
                sink.local_get(1).i64_const(i64::from_le_bytes(*word));
                sink.i64_store(at(8 * index as u64));
            }
            for (byte, offset) in rest.iter().zip(8 * words.len() as u64..) {
                sink.local_get(1).i32_const(i32::from(*byte)).i32_store8(at(offset));
            }
            sink.i32_const(0);
        })
    }

    /// `(clock, precision, time_ptr)`
    fn clock(&self) -> Function {
        body(&[], |sink| {
            refuse_clock(sink);
            sink.local_get(2);
            if self.options.clock {
                self.call(sink, Needed::Now);
                sink.i64_const(CLOCK_UNIT_NS).i64_mul();
            } else {
                sink.i64_const(0);
            }
            sink.i64_store(at(0)).i32_const(0);
        })
    }

    /// `(ptr, len)`, in calls of at most the longest buffer
    fn random(&self) -> Function {
        body(&[(1, ValType::I32)], |sink| {
            in_parts(sink, [0, 1, 2], |sink| {
                sink.local_get(0).local_get(2);
                self.call(sink, Needed::Random);
            });
            sink.i32_const(0);
        })
    }

    /// `(fd, vectors_ptr, vectors_len, written_ptr)`; locals: total, ptr, len, part
    fn write(&self) -> Function {
        let [fd, total, ptr, len, part] = [0, 4, 5, 6, 7];
        body(&[(4, ValType::I32)], |sink| {
            sink.local_get(fd).i32_const(1).i32_sub().i32_const(2).i32_ge_u();
            refuse(sink, BADF);
            each_vector(sink, ptr, len, |sink| {
                sink.local_get(total).local_get(len).i32_add().local_set(total);
                in_parts(sink, [ptr, len, part], |sink| {
                    sink.local_get(fd).i32_const(1).i32_eq().if_(BlockType::Empty);
                    sink.local_get(ptr).local_get(part);
                    self.call(sink, Needed::OutputWrite);
                    sink.drop().else_().i32_const(LOG_LEVEL).local_get(ptr).local_get(part);
                    self.call(sink, Needed::Log);
                    sink.end();
                });
            });
            sink.local_get(3).local_get(total).i32_store(at(0)).i32_const(0);
        })
    }

    /// `(fd, vectors_ptr, vectors_len, read_ptr)`; locals: total, ptr, len, part, count
    ///
    /// Ends with the first hostcall that gives less than it was asked for.
    fn read(&self) -> Function {
        let [fd, total, ptr, len, part, count] = [0, 4, 5, 6, 7, 8];
        body(&[(5, ValType::I32)], |sink| {
            sink.local_get(fd);
            refuse(sink, BADF);
            sink.block(BlockType::Empty);
            each_vector(sink, ptr, len, |sink| {
                in_parts(sink, [ptr, len, part], |sink| {
                    sink.global_get(self.cursor).local_get(ptr).local_get(part);
                    self.call(sink, Needed::InputRead);
                    sink.local_tee(count).local_get(total).i32_add().local_set(total);
                    sink.global_get(self.cursor).local_get(count).i64_extend_i32_u();
                    sink.i64_add().global_set(self.cursor);
                    // Out of the two loops with their blocks, and of the block around them.
                    sink.local_get(count).local_get(part).i32_ne().br_if(4);
                });
            });
            sink.end();
            sink.local_get(3).local_get(total).i32_store(at(0)).i32_const(0);
        })
    }
}

/// Writes a function that has these locals behind its parameters.
fn body(locals: &[(u32, ValType)], write: impl FnOnce(&mut InstructionSink<'_>)) -> Function {
    let mut function = Function::new(locals.iter().copied());
    let mut sink = function.instructions();
    write(&mut sink);
    sink.end();
    function
}

/// An access at a fixed distance from an address that may be odd.
const fn at(offset: u64) -> MemArg {
    MemArg { offset, align: 0, target: MemArgTarget::Memory(0), ordering: None }
}

/// Returns `errno` if the number on the stack is not 0.
fn refuse(sink: &mut InstructionSink<'_>, errno: i32) {
    sink.if_(BlockType::Empty).i32_const(errno).return_().end();
}

fn refuse_clock(sink: &mut InstructionSink<'_>) {
    sink.local_get(0).i32_const(CLOCKS).i32_ge_u();
    refuse(sink, INVAL);
}

/// Leaves whether the first parameter is a standard stream.
fn is_stream<'a, 'b>(sink: &'a mut InstructionSink<'b>) -> &'a mut InstructionSink<'b> {
    sink.local_get(0).i32_const(3).i32_lt_u()
}

/// `(fd, status_ptr)`: a file of unknown kind, with the right to read or to write.
fn status() -> Function {
    body(&[], |sink| {
        is_stream(sink).i32_eqz();
        refuse(sink, BADF);
        sink.local_get(1).i64_const(0).i64_store(at(0));
        let [read, write] = RIGHTS;
        sink.local_get(1).i64_const(write).i64_const(read).local_get(0).select();
        sink.i64_store(at(8)).local_get(1).i64_const(0).i64_store(at(16)).i32_const(0);
    })
}

/// Does `each` for every pair of pointer and length; parameters 1 and 2 are the list.
fn each_vector(
    sink: &mut InstructionSink<'_>,
    ptr: u32,
    len: u32,
    each: impl FnOnce(&mut InstructionSink<'_>),
) {
    sink.block(BlockType::Empty).loop_(BlockType::Empty);
    sink.local_get(2).i32_eqz().br_if(1);
    sink.local_get(1).i32_load(at(0)).local_set(ptr);
    sink.local_get(1).i32_load(at(4)).local_set(len);
    each(sink);
    sink.local_get(1).i32_const(8).i32_add().local_set(1);
    sink.local_get(2).i32_const(1).i32_sub().local_set(2);
    sink.br(0).end().end();
}

/// Does `each` for parts of a buffer that one hostcall may pass; the locals are pointer, length
/// of the rest, and length of the part.
fn in_parts(
    sink: &mut InstructionSink<'_>,
    [ptr, len, part]: [u32; 3],
    each: impl FnOnce(&mut InstructionSink<'_>),
) {
    let most = BUFFER_BYTES_MAX as i32;
    sink.block(BlockType::Empty).loop_(BlockType::Empty);
    sink.local_get(len).i32_eqz().br_if(1);
    sink.local_get(len).i32_const(most).local_get(len).i32_const(most).i32_lt_u().select();
    sink.local_set(part);
    each(sink);
    sink.local_get(ptr).local_get(part).i32_add().local_set(ptr);
    sink.local_get(len).local_get(part).i32_sub().local_set(len);
    sink.br(0).end().end();
}
