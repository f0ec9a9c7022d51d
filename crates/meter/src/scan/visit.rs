//! Takes each operator once: read, held to the profile, validated, and sorted for the plan.

use alloc::boxed::Box;
use alloc::vec::Vec;
use wasmparser::{
    BinaryReader, FrameKind, FrameStack, FuncValidator, Operator, VisitOperator,
    WasmModuleResources,
};

use super::step::Step;
use crate::profile::Proposal;
use crate::{MeterError, Profile};

/// Reads the next operator and validates it.
pub(super) fn next<R: WasmModuleResources>(
    reader: &mut BinaryReader<'_>,
    validator: &mut FuncValidator<R>,
    profile: Profile,
) -> Result<Step, MeterError> {
    let offset = reader.original_position();
    Ok(reader.visit_operator(&mut Visitor { validator, profile, offset })??)
}

/// Ends a body, whose last operator was read.
pub(super) fn finish<R: WasmModuleResources>(
    reader: &BinaryReader<'_>,
    validator: &mut FuncValidator<R>,
) -> Result<(), MeterError> {
    Ok(reader.finish_expression(&validator.visitor(reader.original_position()))?)
}

/// Visits one operator.
///
/// The reader has a method for each kind, so that nothing is sorted twice.
struct Visitor<'v, R> {
    validator: &'v mut FuncValidator<R>,
    profile: Profile,
    offset: u64,
}

impl<R> Visitor<'_, R> {
    #[cold]
    fn outside(&self, feature: &'static str) -> Box<MeterError> {
        Box::new(MeterError::feature(feature, self.profile).at(self.offset))
    }
}

macro_rules! visit {
    ($(
        @$proposal:ident $op:ident $({ $($arg:ident: $kind:ty),* })? => $visit:ident ($($_:tt)*)
    )*) => {
        $(fn $visit(&mut self $($(, $arg: $kind)*)?) -> Self::Output {
            const PROPOSAL: Proposal = Proposal::of(stringify!($proposal), stringify!($visit));
            let operator = Operator::$op $({ $($arg: Clone::clone(&$arg)),* })?;
            let feature = PROPOSAL.feature_of(&operator, self.profile);
            if let Some(feature) = feature {
                return Err(self.outside(feature));
            }
            self.validator.visitor(self.offset).$visit($($($arg),*)?)?;
            Ok(Step::of(&operator)?)
        })*
    };
}

impl<'a, R: WasmModuleResources> VisitOperator<'a> for Visitor<'_, R> {
    // Boxed, since what is returned for each operator has to be small.
    type Output = Result<Step, Box<MeterError>>;

    wasmparser::for_each_visit_operator!(visit);
}

impl<R: WasmModuleResources> FrameStack for Visitor<'_, R> {
    fn current_frame(&self) -> Option<FrameKind> {
        self.validator.get_control_frame(0).map(|frame| frame.kind)
    }
}
