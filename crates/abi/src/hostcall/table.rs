//! The table itself.

use super::{
    Access, CALL, Errno, Grant, HASH_BYTES, Hostcall, LOG, Length, Param, Price, ValueType,
};

const fn i32_value(name: &'static str) -> Param {
    Param::Value(name, ValueType::I32)
}

const fn i64_value(name: &'static str) -> Param {
    Param::Value(name, ValueType::I64)
}

const fn read(name: &'static str, length_param: u8) -> Param {
    Param::Pointer(name, Access::Read, Length::Param(length_param))
}

const fn write(name: &'static str, length_param: u8) -> Param {
    Param::Pointer(name, Access::Write, Length::Param(length_param))
}

const fn price(base: u32, factor: u32) -> Price {
    Price { base, factor }
}

const I32: Option<ValueType> = Some(ValueType::I32);
const I64: Option<ValueType> = Some(ValueType::I64);

/// A pointer to the 32 bytes of a capsule id or a package hash.
const fn id(name: &'static str) -> Param {
    Param::Pointer(name, Access::Read, Length::Fixed(HASH_BYTES))
}

/// Every hostcall of ABI version 1, in order of its number.
///
/// Base prices are chosen at about the time that the work takes beside wasm instructions: 16 for
/// a host transition, 64 to set up a hash, 50,000 for a signature (50 us at 1 ms = 1,000,000).
/// Factor 16, two fuel per byte, is about what SHA-256 costs on a host.
pub const HOSTCALLS: &[Hostcall] = &[
    Hostcall {
        number: 1,
        name: "input_len",
        params: &[],
        result: I64,
        grants: &[],
        price: price(16, 1),
        errors: &[],
    },
    Hostcall {
        number: 2,
        name: "input_read",
        params: &[i64_value("offset"), write("ptr", 2), i32_value("len")],
        result: I32,
        grants: &[],
        price: price(16, 1),
        errors: &[],
    },
    Hostcall {
        number: 3,
        name: "output_write",
        params: &[read("ptr", 1), i32_value("len")],
        result: I32,
        grants: &[],
        price: price(16, 1),
        errors: &[],
    },
    Hostcall {
        number: LOG,
        name: "log",
        params: &[i32_value("level"), read("ptr", 2), i32_value("len")],
        result: None,
        grants: &[],
        price: price(16, 1),
        errors: &[],
    },
    Hostcall {
        number: 5,
        name: "get_capsule_metadata",
        params: &[i32_value("index"), write("ptr", 2), i32_value("len")],
        result: I32,
        grants: &[Grant::CapsuleMetadata],
        price: price(64, 1),
        errors: &[Errno::NotFound],
    },
    Hostcall {
        number: 6,
        name: "capsule_payload_len",
        params: &[i32_value("index")],
        result: I64,
        grants: &[Grant::CapsulePayload],
        price: price(16, 1),
        errors: &[Errno::NotFound, Errno::KeyNotHeld],
    },
    Hostcall {
        number: 7,
        name: "capsule_payload_read",
        params: &[i32_value("index"), i64_value("offset"), write("ptr", 3), i32_value("len")],
        result: I32,
        grants: &[Grant::CapsulePayload],
        price: price(16, 1),
        errors: &[Errno::NotFound, Errno::KeyNotHeld],
    },
    Hostcall {
        number: 8,
        name: "submit_capsule_result",
        params: &[i32_value("index"), read("ptr", 2), i32_value("len")],
        result: I32,
        grants: &[Grant::CapsuleResult],
        price: price(64, 1),
        errors: &[Errno::NotFound, Errno::Malformed],
    },
    Hostcall {
        number: 9,
        name: "get_trust_score",
        params: &[read("key_ptr", 1), i32_value("key_len")],
        result: I64,
        grants: &[Grant::TrustRead],
        price: price(64, 1),
        errors: &[Errno::NotFound, Errno::InvalidArgument],
    },
    Hostcall {
        number: 10,
        name: "trust_edges",
        params: &[i64_value("cursor"), write("ptr", 2), i32_value("len")],
        result: I32,
        grants: &[Grant::TrustGraph],
        price: price(64, 1),
        errors: &[Errno::InvalidArgument],
    },
    Hostcall {
        number: 11,
        name: "hash",
        params: &[
            i32_value("alg"),
            read("ptr", 2),
            i32_value("len"),
            Param::Pointer("out", Access::Write, Length::Fixed(HASH_BYTES)),
        ],
        result: I32,
        grants: &[],
        price: price(64, 16),
        errors: &[Errno::InvalidArgument],
    },
    Hostcall {
        number: 12,
        name: "signature_verify",
        params: &[
            i32_value("suite"),
            read("key_ptr", 2),
            i32_value("key_len"),
            read("msg_ptr", 4),
            i32_value("msg_len"),
            read("sig_ptr", 6),
            i32_value("sig_len"),
        ],
        result: I32,
        grants: &[],
        price: price(50_000, 16),
        errors: &[Errno::Unsupported],
    },
    Hostcall {
        number: 13,
        name: "now",
        params: &[],
        result: I64,
        grants: &[Grant::Time],
        price: price(16, 1),
        errors: &[],
    },
    Hostcall {
        number: 14,
        name: "random",
        params: &[write("ptr", 1), i32_value("len")],
        result: None,
        grants: &[Grant::Random],
        price: price(16, 16),
        errors: &[],
    },
    Hostcall {
        number: 15,
        name: "kv_get",
        params: &[read("key_ptr", 1), i32_value("key_len"), write("ptr", 3), i32_value("len")],
        result: I32,
        grants: &[Grant::Storage],
        price: price(128, 1),
        errors: &[Errno::NotFound, Errno::InvalidArgument],
    },
    Hostcall {
        number: 16,
        name: "kv_set",
        params: &[
            read("key_ptr", 1),
            i32_value("key_len"),
            read("val_ptr", 3),
            i32_value("val_len"),
        ],
        result: I32,
        grants: &[Grant::Storage],
        price: price(256, 8),
        errors: &[Errno::InvalidArgument],
    },
    Hostcall {
        number: 17,
        name: "kv_delete",
        params: &[read("key_ptr", 1), i32_value("key_len")],
        result: I32,
        grants: &[Grant::Storage],
        price: price(128, 1),
        errors: &[Errno::NotFound, Errno::InvalidArgument],
    },
    Hostcall {
        number: 18,
        name: "kv_next",
        params: &[read("key_ptr", 1), i32_value("key_len"), write("ptr", 3), i32_value("len")],
        result: I32,
        grants: &[Grant::Storage],
        price: price(128, 1),
        errors: &[Errno::NotFound, Errno::InvalidArgument],
    },
    Hostcall {
        number: 19,
        name: "dag_get",
        params: &[id("id_ptr"), write("ptr", 2), i32_value("len")],
        result: I32,
        grants: &[Grant::DagRead],
        price: price(128, 1),
        errors: &[Errno::NotFound],
    },
    Hostcall {
        number: 20,
        name: "dag_children",
        params: &[id("id_ptr"), i64_value("cursor"), write("ptr", 3), i32_value("len")],
        result: I32,
        grants: &[Grant::DagRead],
        price: price(128, 1),
        errors: &[Errno::NotFound, Errno::InvalidArgument],
    },
    Hostcall {
        number: 21,
        name: "dag_query",
        params: &[
            read("ptr", 1),
            i32_value("len"),
            i64_value("cursor"),
            write("out", 4),
            i32_value("out_len"),
        ],
        result: I32,
        grants: &[Grant::DagRead],
        price: price(1_000, 1),
        errors: &[Errno::InvalidArgument, Errno::Malformed],
    },
    Hostcall {
        number: 22,
        name: "propose",
        params: &[read("ptr", 1), i32_value("len")],
        result: I32,
        grants: &[Grant::AgentPropose],
        price: price(256, 1),
        errors: &[Errno::Malformed, Errno::Refused],
    },
    Hostcall {
        number: CALL,
        name: "call",
        params: &[
            id("pkg_ptr"),
            read("entry_ptr", 2),
            i32_value("entry_len"),
            read("in_ptr", 4),
            i32_value("in_len"),
            write("out_ptr", 6),
            i32_value("out_len"),
        ],
        result: I32,
        grants: &[Grant::Compose],
        price: price(10_000, 1),
        errors: &[Errno::NotFound, Errno::InvalidArgument, Errno::Refused],
    },
    Hostcall {
        number: 24,
        name: "fs_read",
        params: &[
            read("path_ptr", 1),
            i32_value("path_len"),
            i64_value("offset"),
            write("ptr", 4),
            i32_value("len"),
        ],
        result: I32,
        grants: &[Grant::Fs],
        price: price(1_000, 1),
        errors: &[Errno::NotFound, Errno::InvalidArgument, Errno::Refused],
    },
    Hostcall {
        number: 25,
        name: "fs_write",
        params: &[read("path_ptr", 1), i32_value("path_len"), read("ptr", 3), i32_value("len")],
        result: I32,
        grants: &[Grant::Fs],
        price: price(1_000, 8),
        errors: &[Errno::NotFound, Errno::InvalidArgument, Errno::Refused],
    },
    Hostcall {
        number: 26,
        name: "net_request",
        params: &[read("ptr", 1), i32_value("len"), write("out", 3), i32_value("out_len")],
        result: I32,
        grants: &[Grant::NetClearnet, Grant::NetMesh],
        price: price(10_000, 1),
        errors: &[Errno::Malformed, Errno::Refused, Errno::Unreachable],
    },
];

// Numbers ascend from 1 without gaps, and no price can wrap cheaply (spec/fuel.md).
const _: () = {
    let mut index = 0;
    while index < HOSTCALLS.len() {
        assert!(HOSTCALLS[index].number as usize == index + 1, "numbers are positions");
        assert!(HOSTCALLS[index].price.factor <= 16, "a larger factor could wrap");
        index += 1;
    }
};
