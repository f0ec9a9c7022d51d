//! `POSEIDON2`: one permutation a row, provided as often as it is asked for.
//!
//! # Argument
//! Every round's state is an expression of degree 3 in the columns of the round before, or, in the
//! partial rounds, of the single column that each of them adds; a column is tied to it at once.
//! Every row is a true permutation of its inputs, whatever its multiplicity.

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::{
    GenericPoseidon2LinearLayersKoalaBear as Layers, KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL, KOALABEAR_POSEIDON2_RC_16_INTERNAL,
};
use p3_poseidon2::GenericPoseidon2LinearLayers;

use crate::field::F;
use crate::machine::{Builder, P2, columns};

columns! {
    /// Columns.
    pub struct Row {
        /// How often the permutation is provided.
        mult: T,
        /// Inputs.
        input: [T; 16],
        /// States after the first four full rounds.
        begin: [T; 64],
        /// First element after the S-box of each partial round.
        partial: [T; 20],
        /// States after the last four full rounds.
        end: [T; 64],
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let mut state: [B::Expr; 16] = row.input.map(Into::into);
    Layers::external_linear_layer(&mut state);
    full(builder, &mut state, &KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL, &row.begin);
    for (constant, column) in KOALABEAR_POSEIDON2_RC_16_INTERNAL.into_iter().zip(row.partial) {
        let boxed = (state[0].clone() + constant).cube();
        builder.assert_eq(boxed, column);
        state[0] = column.into();
        Layers::internal_linear_layer(&mut state);
    }
    full(builder, &mut state, &KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL, &row.end);

    let [i0, i1, i2, i3, i4, i5, i6, i7, i8, i9, i10, i11, i12, i13, i14, i15] =
        row.input.map(Into::into);
    let [o0, o1, o2, o3, o4, o5, o6, o7, ..] = state;
    let tuple = [
        i0, i1, i2, i3, i4, i5, i6, i7, i8, i9, i10, i11, i12, i13, i14, i15, o0, o1, o2, o3, o4,
        o5, o6, o7,
    ];
    P2.provide(builder, tuple, row.mult.into());
}

/// Four full rounds, each of which ends in columns.
fn full<B: Builder>(
    builder: &mut B,
    state: &mut [B::Expr; 16],
    constants: &[[F; 16]; 4],
    columns: &[B::Var; 64],
) {
    for (constants, columns) in constants.iter().zip(columns.as_chunks::<16>().0) {
        for (element, constant) in state.iter_mut().zip(constants) {
            *element = (element.clone() + *constant).cube();
        }
        Layers::external_linear_layer(state);
        for (element, column) in state.iter_mut().zip(columns) {
            builder.assert_eq(element.clone(), *column);
            *element = (*column).into();
        }
    }
}

/// Returns the row of a permutation, provided `mult` times.
#[must_use]
pub fn row(input: [F; 16], mult: u32) -> Row<F> {
    let mut state = input;
    Layers::external_linear_layer(&mut state);
    let begin = full_row(&mut state, &KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL);
    let partial = KOALABEAR_POSEIDON2_RC_16_INTERNAL.map(|constant| {
        state[0] = (state[0] + constant).cube();
        let boxed = state[0];
        Layers::internal_linear_layer(&mut state);
        boxed
    });
    let end = full_row(&mut state, &KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL);
    Row { mult: F::from_u32(mult), input, begin, partial, end }
}

fn full_row(state: &mut [F; 16], constants: &[[F; 16]; 4]) -> [F; 64] {
    let mut cells = [F::ZERO; 64];
    for (constants, cells) in constants.iter().zip(cells.as_chunks_mut::<16>().0) {
        for (element, constant) in state.iter_mut().zip(constants) {
            *element = (*element + *constant).cube();
        }
        Layers::external_linear_layer(state);
        *cells = *state;
    }
    cells
}
