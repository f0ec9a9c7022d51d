//! One function body: the author's bytes with charges, height checks and edits in between.

use alloc::vec::Vec;
use core::ops::Range;
use wasm_encoder::{BlockType, ValType};

use super::code::{Counters, Writer, declare_in, short_charge};
use super::layout::{Bare, Layout, Passing};
use crate::plan::{Block, FunctionPlan};
use crate::scan::{Body, Event, EventKind, Scan};

/// Parameters that carried counters take, behind which the declared locals stand.
const COUNTER_PARAMS: u8 = 2;

/// One function of the module.
#[derive(Clone, Copy)]
pub(super) struct Function<'a> {
    pub(super) wasm: &'a [u8],
    pub(super) scan: &'a Scan,
    pub(super) body: &'a Body,
    pub(super) plan: &'a FunctionPlan,
    pub(super) layout: &'a Layout,
    pub(super) params: u32,
    pub(super) passing: Passing,
    /// Type of a block that leaves the function's results.
    pub(super) results: BlockType,
}

impl<'a> Function<'a> {
    /// Appends the encoded body without its size.
    pub(super) fn emit(&self, bare: Option<Bare>, bytes: &mut Vec<u8>) {
        let groups = &self.wasm[self.body.local_groups.clone()];
        if bare.is_some() {
            declare_in(bytes, self.body.local_group_count, groups, &[]);
            Emission::new(*self, bytes).copy_bare();
            return;
        }
        let added: &[ValType] = match (self.passing, self.body.calls_indirect) {
            (Passing::Carried(_), false) => &[],
            (Passing::Carried(_), true) => &[ValType::I32],
            (Passing::Global, false) => &[ValType::I64, ValType::I32],
            (Passing::Global, true) => &[ValType::I64, ValType::I32, ValType::I32],
        };
        declare_in(bytes, self.body.local_group_count, groups, added);
        Emission::new(*self, bytes).copy_counting();
    }

    /// Returns the metering blocks.
    fn blocks(&self) -> &'a [Block] {
        self.scan.blocks(self.body)
    }

    /// Returns what is edited.
    fn events(&self) -> &'a [Event] {
        self.scan.events(self.body)
    }

    /// Returns the type of a function that is called.
    fn type_of(&self, function: u32) -> u32 {
        self.scan.function_type_index(function).expect("validated")
    }

    fn counters(&self) -> Counters {
        match self.passing {
            Passing::Carried(_) => Counters::after(self.params),
            Passing::Global => Counters::after(self.body.locals),
        }
    }

    /// Tells whether any call needs the height of this function.
    fn raises(&self) -> bool {
        self.plan.calls
            && self.events().iter().any(|event| match event.kind {
                EventKind::Call(function, _) => self.layout.bare(function).is_none(),
                EventKind::CallIndirect(_) => true,
                _ => false,
            })
    }

    /// Returns for each metering block what is charged at its start.
    ///
    /// Where nothing that anyone can see happens between two charges, and the second one follows
    /// in any case, they are made as one: a quiet block before an `if` with an `else` is paid in
    /// both arms, and a bare function is paid with the quiet beginning of a block that calls it.
    fn charges(&self, entry_defers: bool) -> Vec<u32> {
        let blocks = self.blocks();
        let mut charges: Vec<u32> = Vec::with_capacity(blocks.len());
        let defers = |index: usize| blocks[index].defers && (index > 0 || entry_defers);
        for (index, block) in blocks.iter().enumerate() {
            // Behind the entry charge the height is checked, which can be seen.
            let called = block.first_call.filter(|_| index > 0);
            let called = called.and_then(|function| self.layout.bare(function));
            let before = block.arm_of.map(|index| index as usize).filter(|index| defers(*index));
            let owed = before.map_or(0, |index| charges[index]);
            charges.push(u32::from(block.cost) + owed + called.map_or(0, |bare| bare.cost));
        }
        charges
    }
}

/// The bytes of one body while they are put together.
struct Emission<'a> {
    function: Function<'a>,
    bytes: &'a mut Vec<u8>,
    counters: Counters,
    /// The author's bytes up to here are dealt with.
    copied: usize,
    /// Events of the author's bytes behind `copied` that name a local in one byte, which changes
    /// as it is copied.
    renumbered: Range<usize>,
    charges: Vec<u32>,
    entry_defers: bool,
    /// Whether the counter has changed since it was last written to its global.
    dirty: bool,
    /// Weight for which there is room above this function, as far as this block has checked.
    checked: u32,
    /// Whether the height includes the weight of this function.
    raised: bool,
    /// Whether the next call of the current block was paid at its start.
    prepaid: bool,
}

impl<'a> Emission<'a> {
    fn new(function: Function<'a>, bytes: &'a mut Vec<u8>) -> Self {
        let calls_bare = |event: &Event| match event.kind {
            EventKind::Call(callee, _) => function.layout.bare(callee).is_some(),
            _ => false,
        };
        // The stop of a height check is one place for the whole function, where what is owed is
        // one number.
        let entry_defers = function.blocks()[0].defers && !function.events().iter().any(calls_bare);
        Self {
            counters: function.counters(),
            copied: function.body.operators.start,
            renumbered: 0..0,
            charges: function.charges(entry_defers),
            entry_defers,
            dirty: true,
            checked: 0,
            raised: function.raises(),
            prepaid: false,
            function,
            bytes,
        }
    }

    fn writer(&mut self) -> Writer<'_> {
        Writer::new(self.bytes, &self.function.layout.globals, self.counters)
    }

    /// Relative depths of the blocks `too_high` and `out_of_fuel` inside `depth` open blocks.
    fn stops(&self, depth: u32) -> (u32, u32) {
        let too_high = depth + u32::from(self.function.body.branches_out);
        (too_high, too_high + 1)
    }

    /// Copies a body that its callers pay for.
    fn copy_bare(mut self) {
        for event in self.function.events() {
            match event.kind {
                EventKind::Dead => self.leave_out(event),
                EventKind::Select => self.select(event),
                EventKind::Separate => self.separate(event),
                _ => {}
            }
        }
        self.copy_to(self.function.body.operators.end);
    }

    /// Copies a body that counts.
    fn copy_counting(mut self) {
        self.enter();
        let body = self.function.body;
        for (index, event) in self.function.events().iter().enumerate() {
            self.place(event, index);
        }
        // The author's last `end` closes the block around the author's operators, if there is one.
        let end = body.operators.end;
        self.copy_to(if body.branches_out { end } else { end - 1 });
        self.leave();
        let owed = if self.entry_defers { self.charges[0] } else { 0 };
        self.writer().close_stops(owed);
    }

    fn enter(&mut self) {
        let Function { passing, body, plan, results, .. } = self.function;
        let entry = if self.entry_defers { 0 } else { self.charges[0] };
        let raised = self.raised;
        let mut writer = self.writer();
        if passing == Passing::Global {
            writer.load_fuel();
            writer.load_height();
        }
        writer.open_stops();
        if entry > 0 {
            writer.charge(entry, 1);
        }
        if raised {
            writer.enter(plan.weight, 0);
        } else {
            writer.check(plan.weight, 0);
        }
        if body.branches_out {
            writer.sink.block(results);
        }
    }

    /// Returns from the function, with its results on the operand stack.
    fn leave(&mut self) {
        let passing = self.function.passing;
        let mut writer = self.writer();
        match passing {
            Passing::Carried(_) => writer.push_fuel(),
            Passing::Global => writer.store_fuel(),
        }
        writer.sink.return_();
    }

    /// Deals with the event that has this index.
    fn place(&mut self, event: &Event, event_index: usize) {
        match event.kind {
            EventKind::Block(index) => self.block(event, index),
            EventKind::MayTrap => {
                self.copy_to(event.at as usize);
                self.store_if_dirty();
            }
            EventKind::LocalGet(_) | EventKind::LocalSet(_) | EventKind::LocalTee(_) => {
                self.local(event, event_index);
            }
            EventKind::Call(callee, depth) => self.call(event, callee, u32::from(depth)),
            EventKind::CallIndirect(type_index) => self.call_indirect(event, type_index),
            EventKind::Return => {
                self.leave_out(event);
                self.leave();
            }
            EventKind::Grow | EventKind::Fill | EventKind::Copy => self.routine(event),
            EventKind::Select => self.select(event),
            EventKind::Separate => self.separate(event),
            EventKind::Dead => self.leave_out(event),
        }
    }

    fn copy_to(&mut self, at: usize) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&self.function.wasm[self.copied..at]);
        for event in &self.function.events()[core::mem::take(&mut self.renumbered)] {
            self.bytes[start + event.at as usize + 1 - self.copied] += COUNTER_PARAMS;
        }
        self.copied = at;
    }

    /// Copies what stands before an event, and leaves its own bytes out.
    fn leave_out(&mut self, event: &Event) {
        self.copy_to(event.at as usize);
        self.copied += event.length as usize;
    }

    fn charge(&mut self, cost: u32, out_of_fuel: u32) {
        match short_charge(self.counters, cost, out_of_fuel) {
            Some(sequence) => self.bytes.extend_from_slice(&sequence),
            None => self.writer().charge(cost, out_of_fuel),
        }
    }

    fn store_if_dirty(&mut self) {
        if self.dirty {
            self.writer().store_fuel();
            self.dirty = false;
        }
    }

    fn block(&mut self, event: &Event, index: u32) {
        self.copy_to(event.at as usize);
        self.dirty = true;
        self.checked = 0;
        let block = &self.function.blocks()[index as usize];
        self.prepaid = index > 0 && block.first_call.is_some();
        // The entry is charged before the height is checked.
        let charge = self.charges[index as usize];
        if index > 0 && !block.defers && charge > 0 {
            let (_, out_of_fuel) = self.stops(block.start.depth);
            self.charge(charge, out_of_fuel);
        }
    }

    /// Declared locals stand behind the counters where those are parameters.
    fn local(&mut self, event: &Event, event_index: usize) {
        if self.function.passing == Passing::Global {
            return;
        }
        let (EventKind::LocalGet(local) | EventKind::LocalSet(local) | EventKind::LocalTee(local)) =
            event.kind
        else {
            return;
        };
        let local = local + u32::from(COUNTER_PARAMS);
        // The operator and one byte: almost every local, so their runs are copied as a whole.
        if event.length == 2 && local < 0x80 {
            if self.renumbered.is_empty() {
                self.renumbered.start = event_index;
            }
            self.renumbered.end = event_index + 1;
            return;
        }
        self.leave_out(event);
        let mut writer = self.writer();
        match event.kind {
            EventKind::LocalSet(_) => writer.sink.local_set(local),
            EventKind::LocalTee(_) => writer.sink.local_tee(local),
            _ => writer.sink.local_get(local),
        };
    }

    fn call(&mut self, event: &Event, callee: u32, depth: u32) {
        let prepaid = core::mem::take(&mut self.prepaid);
        let layout = self.function.layout;
        if let Some(bare) = layout.bare(callee) {
            self.copy_to(event.at as usize);
            self.prepare_bare(bare, prepaid, depth);
            return;
        }
        self.leave_out(event);
        let passing = layout.passing(self.function.type_of(callee));
        self.hand_over(passing);
        self.writer().sink.call(layout.callee(callee));
        self.take_back(passing);
    }

    /// Pays for a bare function and checks that there is room for it.
    fn prepare_bare(&mut self, bare: Bare, prepaid: bool, depth: u32) {
        let (too_high, out_of_fuel) = self.stops(depth);
        if bare.cost > 0 && !prepaid {
            self.charge(bare.cost, out_of_fuel);
            self.dirty = true;
        }
        if bare.weight > self.checked {
            self.checked = bare.weight;
            let own = if self.raised { 0 } else { self.function.plan.weight };
            self.writer().check(own + bare.weight, too_high);
        }
        if bare.traps {
            self.store_if_dirty();
        }
    }

    fn call_indirect(&mut self, event: &Event, type_index: u32) {
        self.prepaid = false;
        self.leave_out(event);
        let passing = self.function.layout.passing(type_index);
        // Behind the counters and all other locals.
        let index = self.function.body.locals + 2;
        let as_type = match passing {
            Passing::Carried(carried) => {
                self.writer().sink.local_set(index);
                carried
            }
            Passing::Global => type_index,
        };
        self.hand_over(passing);
        let mut writer = self.writer();
        if let Passing::Carried(_) = passing {
            writer.sink.local_get(index);
        }
        writer.sink.call_indirect(0, as_type);
        self.take_back(passing);
    }

    /// Passes the counters to a function that is about to be called.
    fn hand_over(&mut self, passing: Passing) {
        match passing {
            Passing::Carried(_) => self.writer().push_counters(),
            Passing::Global => {
                self.store_if_dirty();
                self.writer().store_height();
            }
        }
    }

    /// Takes the counter back from a function that was called.
    fn take_back(&mut self, passing: Passing) {
        match passing {
            Passing::Carried(_) => {
                self.writer().take_fuel();
                self.dirty = true;
            }
            Passing::Global => {
                self.writer().load_fuel();
                self.dirty = false;
            }
        }
    }

    /// Calls the routine of a memory operator.
    fn routine(&mut self, event: &Event) {
        self.prepaid = false;
        self.leave_out(event);
        let routines = &self.function.layout.routines;
        let routine = match event.kind {
            EventKind::Grow => routines.grow(),
            EventKind::Fill => routines.fill(),
            _ => routines.copy(),
        };
        let mut writer = self.writer();
        writer.push_fuel();
        writer.sink.call(routine);
        writer.take_fuel();
        self.dirty = true;
    }

    /// The interpreter (wasmi 2.0.0) merges `i32.eqz`, `i32.eq` or `i32.ne` with a `select` that
    /// follows and then reads the condition from where it was never put; a `drop` between them
    /// ends the merging, and costs nothing on any backend.
    fn select(&mut self, event: &Event) {
        self.copy_to(event.at as usize);
        self.writer().sink.i32_const(0).drop();
    }

    /// The interpreter moves its operands out of registers and locals where a block without
    /// parameters opens. It forgets to where one with parameters does, and its compiler panics at
    /// a store whose address and value share a register and whose offset is long; an empty block
    /// in front makes it do so.
    fn separate(&mut self, event: &Event) {
        self.copy_to(event.at as usize);
        self.writer().sink.block(BlockType::Empty).end();
    }
}
