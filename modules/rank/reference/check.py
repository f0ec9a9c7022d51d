#!/usr/bin/env python3
"""Compares the rank module's output with the README's formula in floating point.

    check.py input POSTS.csv [--now MS] [--trust TRUST.cbor] -o INPUT.cbor    writes the module's input
    check.py compare INPUT.cbor OUTPUT.cbor                                   exit code 1 if they differ
    check.py self-test                                                        needs no file and no module

Tolerance: 1e-6 bits in each logarithm; two posts may stand in either order only if their exact
scores differ by less than that, a relative difference of 7e-7.
"""

import csv
import datetime
import pathlib
import sys
from math import log2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "reference"))
import checker  # noqa: E402
import kcbor  # noqa: E402

TOLERANCE = 1e-6
WINDOW = 30
RANGE = 6
HOUR_MS = 3_600_000
DEFAULTS = {
    0: 12 * HOUR_MS, 1: 168 * HOUR_MS, 2: 1_000_000, 3: 500_000, 4: 5_000_000, 5: 50_000,
    6: 500_000, 7: 800_000, 8: 100_000, 9: 0, 10: 250_000,
}


def domain_of(url):
    """Returns the host of a URL without user, port and one leading "www."."""
    if "://" not in url:
        return ""
    host = url.split("://", 1)[1]
    for end in "/?#":
        host = host.split(end, 1)[0]
    host = host.rsplit("@", 1)[-1].split(":", 1)[0]
    host = "".join(char.lower() if char.isascii() else char for char in host)
    return host.removeprefix("www.")


def time_ms_of(text):
    moment = datetime.datetime.strptime(text, "%m/%d/%Y %H:%M").replace(tzinfo=datetime.UTC)
    return int(moment.timestamp()) * 1000


def read_csv(path, now_ms, trust):
    """Returns the module's input for rows in the columns of the README."""
    posts = []
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            posts.append([
                kcbor.name(row["id"]), kcbor.name(row["author"]), domain_of(row["url"]),
                int(row["num_points"]), int(row["num_comments"]), time_ms_of(row["created_at"]),
                (row.get("flags") or "").split(),
                [kcbor.name(voter) for voter in (row.get("votes") or "").split()],
            ])
    now_ms = now_ms if now_ms is not None else max((post[5] for post in posts), default=0)
    return {0: 1, 1: now_ms, 2: posts} | ({3: kcbor.Encoded(trust)} if trust else {})


def name_key(name):
    """Orders names as the module does: numbers, bytes, texts."""
    kind = (int, bytes, str).index(type(name))
    return kind, name.encode() if kind == 2 else name


def weights_of(trust):
    """Returns a function from a name to a weight from 0 to 1, or None for a blocked one."""
    if trust is None:
        return lambda name: 1.0
    viewer, credit = trust[1], trust[3]
    best = max((row[1] for row in trust[2] if row[0] != viewer and not row[3]), default=0)
    weights = {}
    for name, score, flow, blocked in trust[2]:
        nearness = max(0.0, 1 - log2(best / score) / RANGE) if score and not blocked else 0.0
        weights[name] = None if blocked else nearness * min(flow, credit) / credit
    weights[viewer] = 1.0
    return lambda name: weights.get(name, 0.0)


class Reference:
    """The formula for one input."""

    def __init__(self, module_input):
        self.parameters = DEFAULTS | module_input.get(4, {})
        self.now_ms = module_input[1]
        self.posts = {post[0]: post for post in module_input[2]}
        self.weight = weights_of(module_input.get(3))
        self.shown = [name for name, post in self.posts.items() if self.weight(post[1]) is not None]
        self.hidden = sorted(set(self.posts) - set(self.shown), key=name_key)

    def share(self, key):
        return self.parameters[key] / 1e6

    def parts(self, name, half_life_ms):
        """Returns engagement, factor and age of a post."""
        _, author, _, points, comments, created_ms, _, votes = self.posts[name]
        voters = sum(self.weight(voter) or 0.0 for voter in set(votes) - {author})
        engagement = points * self.share(2) + comments * self.share(3) + voters * self.share(4)
        floor = self.share(5)
        factor = floor + (1 - floor) * self.weight(author)
        return log2(1 + engagement), factor, max(0, self.now_ms - created_ms) / half_life_ms

    def base(self, name, half_life_ms):
        engagement, factor, age = self.parts(name, half_life_ms)
        flag = log2(self.share(8)) if "flagged" in self.posts[name][6] else 0.0
        return engagement + log2(factor) + flag - age

    def may_be_promoted(self, name):
        """Returns whether, and whether rounding may decide otherwise."""
        flags, weight = self.posts[name][6], self.weight(self.posts[name][1])
        willing = "promoted-ok" in flags and "flagged" not in flags
        return willing and weight >= self.share(10), willing and abs(weight - self.share(10)) < TOLERANCE

    def ordered(self, keys):
        return sorted(keys, key=lambda name: (-keys[name], -self.posts[name][5], name_key(name)))

    def crowding(self, order):
        """Returns what the window above takes away from each post of an order."""
        costs = {}
        for place, name in enumerate(order):
            _, author, domain, *_ = self.posts[name]
            above = [self.posts[other] for other in order[max(0, place - WINDOW) : place]]
            authors = sum(post[1] == author for post in above)
            domains = sum(post[2] == domain != "" for post in above)
            costs[name] = -authors * log2(self.share(6)) - domains * log2(self.share(7))
        return costs

    def compare(self, title, rows, names, half_life_ms):
        """Returns the differences of one list, and how many near ties stand the other way round."""
        wrong = []
        keys = {name: self.base(name, half_life_ms) for name in names}
        costs = self.crowding(self.ordered(keys))
        final = {name: keys[name] - costs[name] for name in names}
        limit = self.parameters[9] or len(names)
        found = [row[0] for row in rows]
        if len(set(found)) != len(found) or not set(found) <= set(names) or len(found) != min(limit, len(names)):
            return [f"{title}: has other posts than expected"], 0
        for name, score, *parts, flagged in rows:
            engagement, factor, age = self.parts(name, half_life_ms)
            expect = (engagement * 1e6, factor * 1e6, age * 1e6, costs[name] * 1e6)
            # Parts are rounded down to millionths, so one unit more than the tolerance.
            wrong += [
                f"{title}: part {index} of {name} is {part}, expected {right:.2f}"
                for index, (part, right) in enumerate(zip(parts, expect, strict=True))
                if abs(part - right) > 2.5 + right * 1e-9
            ]
            right = min(2.0 ** final[name] * 1e6, 2.0**53 - 1)
            if abs(score - right) > 1 + right * 2e-6:
                wrong.append(f"{title}: score of {name} is {score}, expected {right:.1f}")
            if flagged != ("flagged" in self.posts[name][6]):
                wrong.append(f"{title}: {name} is flagged: {flagged}")
        for upper, lower in zip(found, found[1:], strict=False):
            if final[upper] < final[lower] - TOLERANCE:
                wrong.append(f"{title}: {upper} stands above {lower} and is {final[lower] - final[upper]:.1e} bits less")
        near = sum(one != other for one, other in zip(found, self.ordered(final), strict=False))
        left_out = set(names) - set(found)
        if left_out and max(final[name] for name in left_out) > final[found[-1]] + TOLERANCE:
            wrong.append(f"{title}: a better post was left out")
        return wrong, near


def compare(module_input, output):
    """Returns the differences as sentences, and a summary."""
    reference = Reference(module_input)
    wrong = [] if output[3] == reference.hidden else ["hidden: other posts than expected"]
    one, near = reference.compare("trending", output[1], reference.shown, reference.parameters[0])
    verdicts = {name: reference.may_be_promoted(name) for name in reference.shown}
    listed = {row[0] for row in output[2]}
    # What rounding may decide is taken as the module has it.
    names = [name for name, (may, unsure) in verdicts.items() if (name in listed if unsure else may)]
    two, near_promoted = reference.compare("promoted", output[2], names, reference.parameters[1])
    summary = (
        f"{len(output[1])} trending, {len(output[2])} promoted, {len(output[3])} hidden; "
        f"{near + near_promoted} places differ within {TOLERANCE} bits"
    )
    return wrong + one + two, summary


def self_test():
    """Checks that a right output passes and that each kind of tampering is found."""
    for url, expect in (
        ("https://www.Example.org:8080/a?b", "example.org"), ("http://u:p@x.org?q", "x.org"),
        ("", ""), ("mailto:x@y.org", ""), ("http://www.www.org#x", "www.org"),
    ):
        assert domain_of(url) == expect, url
    assert time_ms_of("8/4/2016 11:52") == 1_470_311_520_000
    trust = {0: 1, 1: "me", 2: [["me", 500, 10, False], ["a", 64, 10, False], ["foe", 9, 1, True]], 3: 10, 4: 100}
    half_day = 12 * HOUR_MS
    posts = [
        [1, "a", "x.org", 7, 0, half_day, ["promoted-ok"], []], [2, "a", "", 15, 0, half_day, [], []],
        [3, "b", "", 0, 0, half_day, ["flagged"], []], [4, "foe", "", 9, 9, half_day, [], ["me"]],
        [5, "me", "x.org", 0, 0, 0, [], ["a", "a", "me", "foe"]],
    ]
    module_input = {0: 1, 1: half_day, 2: posts, 3: trust, 4: {7: 250_000}}
    # By hand: 16; 8 less one bit for the author; log2(6) less one half-life; and a twentieth
    # of a tenth, the floor and the flag. The links to x.org stand in places 2 and 3: two bits for the lower.
    output = {
        0: 1,
        1: [
            [2, 16_000_000, 4_000_000, 1_000_000, 0, 0, False],
            [1, 4_000_000, 3_000_000, 1_000_000, 0, 1_000_000, False],
            [5, 750_000, 2_584_962, 1_000_000, 1_000_000, 2_000_000, False],
            [3, 4_999, 0, 50_000, 0, 0, True],
        ],
        2: [[1, 8_000_000, 3_000_000, 1_000_000, 0, 0, False]],
        3: [4],
    }
    wrong, summary = compare(module_input, output)
    assert not wrong, wrong
    for list_key, index, field, change in (
        (1, 0, 1, 100), (1, 1, 2, 10), (1, 2, 3, -10), (1, 2, 4, 10), (1, 1, 5, -10), (1, 3, 6, -1), (2, 0, 1, 100),
    ):
        rows = [list(row) for row in output[list_key]]
        rows[index][field] = not rows[index][field] if field == 6 else rows[index][field] + change
        assert compare(module_input, output | {list_key: rows})[0], f"tampering with field {field} passed"
    swapped = [output[1][index] for index in (1, 0, 2, 3)]
    for tampered in ({1: swapped}, {1: output[1][:3]}, {2: []}, {3: []}):
        assert compare(module_input, output | tampered)[0], f"{tampered} passed"
    print(f"self-test passed: {summary}; 11 tampered outputs found")


def arguments(parser):
    parser.add_argument("csv")
    parser.add_argument("--now", type=int)
    parser.add_argument("--trust", type=pathlib.Path)


if __name__ == "__main__":
    checker.main(
        __doc__, arguments=arguments, make_input=lambda given: read_csv(given.csv, given.now, given.trust and given.trust.read_bytes()),
        compare=compare, agrees="agrees with the float reference", self_test=self_test,
    )
