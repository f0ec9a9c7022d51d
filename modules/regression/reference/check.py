#!/usr/bin/env python3
"""Compares the regression module's output with Python's doubles and with rational numbers.

    check.py input --seed N --rows N --columns N [--constant] -o INPUT.cbor
    check.py compare INPUT.cbor OUTPUT.cbor                     exit code 1 if they differ
    check.py self-test                                          needs no file and no module

Python's doubles are those of IEEE 754 and nothing is fused, so the same operations in the same
order give the same bits. The rational solution owes nothing to that order.
"""

import math
import pathlib
import random
import struct
import sys
from fractions import Fraction

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "reference"))
import checker  # noqa: E402

NAN = bytes.fromhex("000000000000f87f")


def table_of(module_input):
    width = module_input[1] + 1
    cells = [cell for (cell,) in struct.iter_unpack("<d", module_input[2])]
    return [cells[at : at + width] for at in range(0, len(cells), width)]


def total(values):
    """Adds from left to right; the built-in sum compensates since Python 3.12."""
    result = 0.0
    for value in values:
        result += value
    return result


def divide(left, right):
    """Divides as IEEE 754 says, where Python refuses."""
    if right != 0:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def fit(table):
    """Returns intercept, slopes, residual sum and determination in doubles."""
    width, rows = len(table[0]), float(len(table))
    means = [total(row[column] for row in table) / rows for column in range(width)]

    def product(left, right):
        return total((row[left] - means[left]) * (row[right] - means[right]) for row in table)

    size = width - 1
    matrix = [[product(row, column) for column in range(1, width)] for row in range(1, width)]
    right = [product(row, 0) for row in range(1, width)]
    for step in range(size):
        best = step
        for row in range(step + 1, size):
            if abs(matrix[row][step]) > abs(matrix[best][step]):
                best = row
        matrix[step], matrix[best] = matrix[best], matrix[step]
        right[step], right[best] = right[best], right[step]
        for row in range(step + 1, size):
            factor = divide(matrix[row][step], matrix[step][step])
            for column in range(step, size):
                matrix[row][column] -= factor * matrix[step][column]
            right[row] -= factor * right[step]
    for row in reversed(range(size)):
        for column in range(row + 1, size):
            right[row] -= matrix[row][column] * right[column]
        right[row] = divide(right[row], matrix[row][row])
    intercept = means[0] - total(slope * mean for slope, mean in zip(right, means[1:], strict=True))
    rests = []
    for row in table:
        rest = row[0] - (intercept + total(slope * cell for slope, cell in zip(right, row[1:], strict=True)))
        rests.append(rest * rest)
    residual_sum = total(rests)
    return intercept, right, residual_sum, 1.0 - divide(residual_sum, product(0, 0))


def exact(table):
    """Returns intercept and slopes in rational numbers, or None if there is no single answer."""
    rows = [[Fraction(cell) for cell in [*row[1:], 1]] for row in table]
    given = [Fraction(row[0]) for row in table]
    size = len(rows[0])
    system = [
        [sum(row[i] * row[j] for row in rows) for j in range(size)] + [sum(row[i] * y for row, y in zip(rows, given, strict=True))]
        for i in range(size)
    ]
    for step in range(size):
        pivot = next((row for row in range(step, size) if system[row][step]), None)
        if pivot is None:
            return None
        system[step], system[pivot] = system[pivot], system[step]
        system[step] = [cell / system[step][step] for cell in system[step]]
        for row in range(size):
            if row != step:
                factor = system[row][step]
                system[row] = [cell - factor * base for cell, base in zip(system[row], system[step], strict=True)]
    *slopes, intercept = (row[-1] for row in system)
    return intercept, slopes


def bits(*values):
    return b"".join(NAN if math.isnan(value) else struct.pack("<d", value) for value in values)


def compare(module_input, output):
    """Returns the differences as sentences, and a summary."""
    table = table_of(module_input)
    intercept, slopes, residual_sum, determination = fit(table)
    expect = {0: 1, 1: bits(intercept), 2: bits(*slopes), 3: bits(residual_sum), 4: bits(determination)}
    wrong = [f"key {key} is {output.get(key)}, expected {expect[key]}" for key in expect if output.get(key) != expect[key]]
    right = exact(table)
    if right is None:
        return wrong, "no single answer, and the same bits as Python's doubles"
    found = [value for (value,) in struct.iter_unpack("<d", output[1] + output[2])]
    for name, one, other in zip(["intercept", *range(1, len(found))], found, [right[0], *right[1]], strict=True):
        if not math.isclose(one, float(other), rel_tol=1e-9, abs_tol=1e-9):
            wrong.append(f"coefficient {name} is {one}, exactly {float(other)}")
    return wrong, f"{len(table)} rows, the same bits as Python's doubles, the exact solution to nine digits"


def generate(seed, rows, columns, constant):
    chance = random.Random(seed)
    slopes = [chance.uniform(-5, 5) for _ in range(columns)]
    table = []
    for _ in range(rows):
        given = [chance.gauss(0, 10) for _ in slopes]
        if constant:
            given[0] = 2.5
        table.append([7 + total(s * g for s, g in zip(slopes, given, strict=True)) + chance.gauss(0, 1), *given])
    packed = b"".join(struct.pack("<d", cell) for row in table for cell in row)
    return {0: 1, 1: columns, 2: packed}


def self_test():
    """Checks that a right output passes and that each kind of tampering is found."""
    table = [[3.0 + 2 * x, float(x)] for x in range(8)]
    module_input = {0: 1, 1: 1, 2: b"".join(struct.pack("<2d", *row) for row in table)}
    output = {0: 1, 1: bits(3.0), 2: bits(2.0), 3: bits(0.0), 4: bits(1.0)}
    wrong, summary = compare(module_input, output)
    assert not wrong, wrong
    for tampered in ({1: bits(3.0000000000000004)}, {2: bits(2.5)}, {3: bits(-0.0)}, {4: NAN}):
        assert compare(module_input, output | tampered)[0], f"{tampered} passed"
    singular = generate(1, 10, 1, True)
    nan = {0: 1, 1: NAN, 2: NAN, 3: NAN, 4: NAN}
    assert not compare(singular, nan)[0]
    assert compare(singular, nan | {2: bytes.fromhex("000000000000f8ff")})[0], "another NaN passed"
    print(f"self-test passed: {summary}; 5 tampered outputs found")


def arguments(parser):
    for name in ("--seed", "--rows", "--columns"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--constant", action="store_true")


if __name__ == "__main__":
    checker.main(
        __doc__, arguments=arguments, make_input=lambda given: generate(given.seed, given.rows, given.columns, given.constant),
        compare=compare, agrees="agrees", self_test=self_test,
    )
