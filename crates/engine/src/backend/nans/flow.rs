//! Where the bits of the values of one function go.

use alloc::vec;
use alloc::vec::Vec;

use wasmparser::{FuncValidator, Operator, ValidatorResources};

/// Something whose bits may reach other places: a local, a result of arithmetic, or a choice
/// between values. The locals come first.
pub(super) type Node = u32;

/// A value on the stack: whose bits it has, or `None` where no check can change them.
type Value = Option<Node>;

/// The flow of bits through a function.
///
/// A local stands for all that is ever assigned to it, whatever the order, so loops need no second
/// look.
pub(super) struct Flow {
    stack: Vec<Value>,
    nodes: u32,
    /// The bits of the first are those of the second.
    edges: Vec<(Node, Node)>,
    seen: Vec<Node>,
}

/// The nodes whose bits something sees.
pub(super) struct Seen(Vec<bool>);

impl Seen {
    pub(super) fn contains(&self, node: Node) -> bool {
        self.0[index(node)]
    }
}

fn index(node: Node) -> usize {
    usize::try_from(node).expect("a node of a function")
}

impl Flow {
    pub(super) const fn new(locals: u32) -> Self {
        Self { stack: Vec::new(), nodes: locals, edges: Vec::new(), seen: Vec::new() }
    }

    fn node(&mut self) -> Node {
        self.nodes += 1;
        self.nodes - 1
    }

    /// Says that something sees the value.
    fn see(&mut self, value: Value) {
        self.seen.extend(value);
    }

    /// Says that a node has the bits of the value.
    fn hand(&mut self, value: Value, to: Node) {
        self.edges.extend(value.map(|from| (from, to)));
    }

    /// Follows one operator, and returns the node of its result if that is arithmetic in floats.
    pub(super) fn step(
        &mut self,
        operator: &Operator<'_>,
        validator: &mut FuncValidator<ValidatorResources>,
        at: u64,
    ) -> wasmparser::Result<Option<Node>> {
        // Below the floor of its block an operator of unreachable code finds nothing.
        let floor = validator.get_control_frame(0).map_or(0, |frame| frame.height);
        let (pops, pushes) = operator.operator_arity(&*validator).unwrap_or_default();
        validator.op(at, operator)?;
        let first = self.stack.len().saturating_sub(index(pops)).max(floor);
        let operands = self.stack.split_off(first.min(self.stack.len()));
        let node = self.follow(operator, &operands, pushes);
        self.stack.resize(index(validator.operand_stack_height()), None);
        Ok(node)
    }

    /// Replaces the operands by the results.
    fn follow(&mut self, operator: &Operator<'_>, operands: &[Value], pushes: u32) -> Option<Node> {
        use Operator as Op;
        let operand = |place: usize| operands.get(place).copied().flatten();
        match operator {
            Op::LocalGet { local_index } => self.stack.push(Some(*local_index)),
            Op::LocalSet { local_index } => self.hand(operand(0), *local_index),
            Op::LocalTee { local_index } => {
                self.hand(operand(0), *local_index);
                self.stack.push(operand(0));
            }
            // Only the sign changes.
            Op::F32Abs | Op::F32Neg | Op::F64Abs | Op::F64Neg => self.stack.push(operand(0)),
            Op::F32Copysign | Op::F64Copysign => {
                self.see(operand(1));
                self.stack.push(operand(0));
            }
            Op::Select | Op::TypedSelect { .. } => {
                let chosen = self.node();
                self.hand(operand(0), chosen);
                self.hand(operand(1), chosen);
                self.stack.push(Some(chosen));
            }
            _ if super::result(operator).is_some() => {
                let node = self.node();
                self.stack.push(Some(node));
                return Some(node);
            }
            _ => {
                if !is_blind(operator) {
                    operands.iter().for_each(|value| self.see(*value));
                }
                self.stack.extend((0..pushes).map(|_| None));
            }
        }
        None
    }

    /// Returns everything whose bits are seen.
    pub(super) fn seen(self) -> Seen {
        let mut into = self.edges;
        into.sort_unstable_by_key(|(_, to)| *to);
        let mut seen = vec![false; index(self.nodes)];
        let mut waiting = self.seen;
        while let Some(node) = waiting.pop() {
            if core::mem::replace(&mut seen[index(node)], true) {
                continue;
            }
            let first = into.partition_point(|(_, to)| *to < node);
            let sources = into[first..].iter().take_while(|(_, to)| *to == node);
            waiting.extend(sources.map(|(from, _)| *from));
        }
        Seen(seen)
    }
}

/// Tells whether the result does not depend on which NaN an operand is.
fn is_blind(operator: &Operator<'_>) -> bool {
    use Operator as Op;
    matches!(
        operator,
        Op::Drop
            | Op::F32Eq
            | Op::F32Ne
            | Op::F32Lt
            | Op::F32Gt
            | Op::F32Le
            | Op::F32Ge
            | Op::F64Eq
            | Op::F64Ne
            | Op::F64Lt
            | Op::F64Gt
            | Op::F64Le
            | Op::F64Ge
            | Op::I32TruncF32S
            | Op::I32TruncF32U
            | Op::I32TruncF64S
            | Op::I32TruncF64U
            | Op::I64TruncF32S
            | Op::I64TruncF32U
            | Op::I64TruncF64S
            | Op::I64TruncF64U
            | Op::I32TruncSatF32S
            | Op::I32TruncSatF32U
            | Op::I32TruncSatF64S
            | Op::I32TruncSatF64U
            | Op::I64TruncSatF32S
            | Op::I64TruncSatF32U
            | Op::I64TruncSatF64S
            | Op::I64TruncSatF64U
    )
}
