//! Linear systems by Gaussian elimination with partial pivoting.

use alloc::vec::Vec;

/// Solves `matrix * x = right`; a singular matrix gives NaN or infinities, as the arithmetic does.
pub(crate) fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let size = right.len();
    for step in 0..size {
        let pivot = pivot(&matrix, step);
        matrix.swap(step, pivot);
        right.swap(step, pivot);
        let (above, below) = matrix.split_at_mut(step + 1);
        let base = &above[step];
        for (row, number) in below.iter_mut().zip(step + 1..) {
            let factor = row[step] / base[step];
            for (cell, base) in row[step..].iter_mut().zip(&base[step..]) {
                *cell -= factor * base;
            }
            right[number] -= factor * right[step];
        }
    }
    for row in (0..size).rev() {
        for column in row + 1..size {
            right[row] -= matrix[row][column] * right[column];
        }
        right[row] /= matrix[row][row];
    }
    right
}

/// Returns the first row from `step` on with the greatest magnitude in that column.
fn pivot(matrix: &[Vec<f64>], step: usize) -> usize {
    let mut best = step;
    for row in step + 1..matrix.len() {
        // A comparison with NaN is false, so a NaN never wins over what stands above it.
        if matrix[row][step].abs() > matrix[best][step].abs() {
            best = row;
        }
    }
    best
}
