#!/usr/bin/env python3
"""Fits the weights of the patterns in a rule file to the first half of a table.

    fit.py RULES.toml TABLE.tsv              writes the weights into RULES.toml
    fit.py RULES.toml TABLE.tsv --check      fails if they are others than those in RULES.toml
    fit.py RULES.toml TABLE.tsv --measure    prints precision and recall of both halves

A logistic regression with weights of at least 0, by projected gradient steps from 0; the score at
which spam and its opposite are equally likely becomes 1.0 (a warning), and the score at which spam
is 19 times as likely becomes the threshold of hiding. Weights are rounded to 0.01.

A text belongs to a half by the first byte of its SHA-256, so equal texts are in one half.
"""

import argparse
import math
import pathlib
import re
import sys
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check  # noqa: E402

ROUNDS = 3000
# What a weight costs; keeps patterns small that few messages have.
PENALTY = 0.02
UNIT = 10_000


def found_in(texts, patterns):
    """Returns the patterns found in each text."""
    matcher = check.Patterns(patterns)
    return [sorted(matcher.find(check.tokens(text), set())[0]) for text in texts]


def fit(rows, truth, count):
    """Returns weights and bias."""
    weights, bias = [0.5] * count, 2.0
    columns = [[] for _ in range(count)]
    for number, row in enumerate(rows):
        for pattern in row:
            columns[pattern].append(number)
    step = 4.0 / len(rows)
    for _ in range(ROUNDS):
        errors = [
            1 / (1 + math.exp(-(sum(weights[pattern] for pattern in row) - bias))) - spam
            for row, spam in zip(rows, truth, strict=True)
        ]
        for pattern, column in enumerate(columns):
            slope = sum(errors[number] for number in column) + PENALTY * len(rows) / 1000
            weights[pattern] = max(0.0, weights[pattern] - step * 10 * slope)
        bias += step * sum(errors)
    return weights, bias


def measure(rules, table):
    """Prints precision and recall of both halves, for a warning or more, and for hiding."""
    for part in ("first", "second"):
        pairs = [(label, text) for label, text in table if check.part_of(text) == part]
        judge = check.Judge({1: 0, 2: rules})
        actions = [judge.judge([0, 0, text, []])[1] for _, text in pairs]
        for least, word in ((1, "warned or hidden"), (2, "hidden")):
            hits = sum(action >= least and label == "spam" for action, (label, _) in zip(actions, pairs, strict=True))
            marked = sum(action >= least for action in actions)
            spam = sum(label == "spam" for label, _ in pairs)
            precision, recall = hits / max(marked, 1), hits / max(spam, 1)
            print(f"{part} half, {word}: precision {precision:.4f}, recall {recall:.4f}, {marked} of {len(pairs)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rules", type=pathlib.Path)
    parser.add_argument("table")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--measure", action="store_true")
    arguments = parser.parse_args()
    table = check.read_table(arguments.table)
    if arguments.measure:
        return measure(check.rules_of(arguments.rules), table)
    text = arguments.rules.read_text()
    before = tomllib.loads(text)["set"][0]["patterns"]
    patterns = list(before)
    pairs = [(label, message) for label, message in table if check.part_of(message) == "first"]
    weights, bias = fit(found_in([message for _, message in pairs], patterns), [label == "spam" for label, _ in pairs], len(patterns))
    fitted = {pattern: round(weight / bias * 1e6 / UNIT) * UNIT for pattern, weight in zip(patterns, weights, strict=True)}
    hide = round((bias + math.log(19)) / bias * 1e6 / UNIT) * UNIT
    for pattern, weight in fitted.items():
        text = re.sub(rf'(?m)^"{re.escape(pattern)}" = \d+$', f'"{pattern}" = {weight}', text)
    text = re.sub(r"(?m)(^\[policy\.spam\]\nwarn = 1000000\nhide = )\d+$", rf"\g<1>{hide}", text)
    if not arguments.check:
        arguments.rules.write_text(text)
        return None
    # Another machine may round a weight the other way.
    far = [pattern for pattern in patterns if abs(fitted[pattern] - before[pattern]) > UNIT]
    print(f"fitted weights differ: {far}" if far else f"{len(patterns)} weights are those of the fit")
    return 1 if far else 0


if __name__ == "__main__":
    sys.exit(main())
