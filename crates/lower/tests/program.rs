//! What a program says of itself: its encoding, its image, its listing.

use kapsule_lower::isa::{self, Op};
use kapsule_lower::{Options, Passes, lower, opcodes};

use crate::check::{MODULE, lowered};

#[test]
fn opcodes_have_distinct_numbers_and_names_that_lead_back() {
    let names: std::collections::BTreeSet<&str> = Op::ALL.iter().map(|op| op.name()).collect();
    assert_eq!(names.len(), Op::ALL.len());
    for op in Op::ALL {
        assert_eq!(Op::from_number(*op as u8), Some(*op));
    }
    let known = (0..=u8::MAX).filter(|number| Op::from_number(*number).is_some());
    assert_eq!(known.count(), Op::ALL.len());
}

#[test]
fn every_part_of_a_program_is_in_its_encoding() {
    let first = lowered().program;
    let bytes = first.encode();
    let change = |edit: fn(&mut kapsule_lower::LProgram)| {
        let mut other = first.clone();
        edit(&mut other);
        assert_ne!(other.encode(), bytes);
    };
    change(|program| program.isa += 1);
    change(|program| program.code[0].cost += 1);
    change(|program| program.code[0].a += 1);
    change(|program| program.code[3].b += 1);
    change(|program| program.code[3].c[3] += 1);
    change(|program| program.globals[0] += 1);
    change(|program| program.table[1] = None);
    change(|program| program.data[0].1 += 1);
    change(|program| program.memory.pages_max -= 1);
    change(|program| program.plan.functions[0].weight += 1);
    change(|program| program.plan.stubs[0].factor += 1);
    change(|program| {
        let stub = program.entries.remove("run").unwrap();
        program.entries.insert("ran".into(), stub);
    });
    assert_eq!(lowered().program.encode(), bytes);
}

#[test]
fn the_image_holds_each_cell_that_is_not_zero_in_ascending_order() {
    let program = lowered().program;
    let image: Vec<(u32, u64)> = program.image().collect();
    assert!(image.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert!(image.iter().all(|(_, value)| *value != 0));
    assert_eq!(image[0], (isa::TABLE_SIZE, 3));
    assert_eq!(image[1], (isa::GLOBALS, 7));
    let entry = program.table[1].unwrap();
    assert!(image.contains(&(isa::TABLE + 1, entry.cell())));
    // "ab" from byte 7 on: the last byte of cell 0 and the first of cell 1.
    assert!(image.contains(&(isa::MEMORY, u64::from(b'a') << 56)));
    assert!(image.contains(&(isa::MEMORY + 1, u64::from(b'b'))));
}

#[test]
fn passes_leave_fewer_instructions_each() {
    let wasm = wat::parse_str(MODULE).unwrap();
    let length = |passes| {
        let options = Options { passes, ..Options::new(2) };
        lower(&wasm, &options).unwrap().program.code.len()
    };
    let all = length(Passes::ALL);
    assert!(all < length(Passes { fold: false, ..Passes::ALL }));
    assert!(all < length(Passes { fuse: false, ..Passes::ALL }));
    assert!(all < length(Passes { retarget: false, ..Passes::ALL }));
    assert!(all < length(Passes { zero_init: false, ..Passes::ALL }));
}

#[test]
fn no_program_has_an_opcode_outside_the_table_of_the_machine() {
    let used = opcodes(&lowered().program);
    assert!(used.contains(&Op::Enter) && used.contains(&Op::In) && used.contains(&Op::Mgrow));
}
