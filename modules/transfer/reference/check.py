#!/usr/bin/env python3
"""Compares the transfer module's output with a ledger of Python integers.

    check.py input --seed N --transactions N -o INPUT.cbor      writes a random input of the module
    check.py compare INPUT.cbor OUTPUT.cbor                     exit code 1 if they differ
    check.py self-test                                          needs no file and no module

The ledger here is a journal: it keeps postings and adds them up when it is asked for a balance,
where the module keeps balances.
"""

import pathlib
import random
import sys
from collections import Counter, defaultdict

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "reference"))
import checker  # noqa: E402

MOST = 2**53 - 1
VERDICTS = "applied repeated unbalanced unauthorised nonce insufficient overflow".split()


def name_key(name):
    """Orders names as the module does: numbers, bytes, texts."""
    kind = (int, bytes, str).index(type(name))
    return kind, name.encode() if kind == 2 else name


class Journal:
    """Every posting that was applied, by account and asset."""

    def __init__(self, accounts):
        self.lines = defaultdict(list)
        self.authored = Counter()
        for account, nonce, balances in accounts:
            self.authored[account] = nonce
            for asset, balance in balances:
                self.lines[account, asset].append(balance)

    def verdict(self, authors, postings):
        """Returns the verdict of a transaction, and enters it if it is applied."""
        names = [author for author, _ in authors]
        places = [(account, asset) for account, asset, _, _ in postings]
        signed = [(account, asset, amount if side else -amount) for account, asset, side, amount in postings]
        if len(set(names)) < len(names) or len(set(places)) < len(places):
            return "repeated"
        if any(sum(line[2] for line in signed if line[1] == asset) for _, asset in places):
            return "unbalanced"
        if not {account for account, _, amount in signed if amount < 0} <= set(names):
            return "unauthorised"
        if any(nonce != self.authored[author] + 1 for author, nonce in authors):
            return "nonce"
        after = [sum(self.lines[account, asset]) + amount for account, asset, amount in signed]
        if min(after) < 0:
            return "insufficient"
        if max(after) > MOST:
            return "overflow"
        for account, asset, amount in signed:
            self.lines[account, asset].append(amount)
        self.authored.update(names)
        return "applied"

    def accounts(self):
        """Returns the state as the module writes it."""
        balances = defaultdict(list)
        for (account, asset), lines in self.lines.items():
            if sum(lines):
                balances[account].append([asset, sum(lines)])
        names = {name for name in balances.keys() | self.authored.keys() if balances[name] or self.authored[name]}
        rows = sorted(names, key=name_key)
        return [[name, self.authored[name], sorted(balances[name], key=lambda row: name_key(row[0]))] for name in rows]


def expected(module_input):
    journal = Journal(module_input[1])
    verdicts = [VERDICTS.index(journal.verdict(*transaction)) for transaction in module_input[2]]
    return {0: 1, 1: journal.accounts(), 2: verdicts}


def totals(accounts):
    sums = Counter()
    for _, _, balances in accounts:
        sums.update(dict(balances))
    return sums


def compare(module_input, output):
    """Returns the differences as sentences, and a summary."""
    expect = expected(module_input)
    wrong = []
    if output[2] != expect[2]:
        pairs = enumerate(zip(output[2], expect[2], strict=False))
        first = next((index for index, (found, right) in pairs if found != right), "of the end")
        wrong.append(f"verdicts differ, first at transaction {first}")
    if output[1] != expect[1]:
        wrong.append("the state after differs")
    if totals(output[1]) != totals(module_input[1]):
        wrong.append("an asset was made or lost")
    counts = Counter(VERDICTS[verdict] for verdict in output[2])
    return wrong, ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)


def generate(seed, count):
    """Returns an input in which about half of the transactions are right."""
    chance = random.Random(seed)
    names = [*range(6), *(f"account-{index}" for index in range(6)), *(bytes([index] * 32) for index in range(6))]
    assets = ["coin", "point", 7]
    accounts = []
    for name in sorted(names, key=name_key):
        held = sorted(chance.sample(assets, chance.randint(0, 3)), key=name_key)
        balances = [[asset, chance.choice([chance.randint(1, 5000), MOST - chance.randint(0, 9)])] for asset in held]
        if balances:
            accounts.append([name, chance.randint(0, 3), balances])
    journal = Journal(accounts)
    transactions = []
    for _ in range(count):
        asset = chance.choice(assets)
        payers = chance.sample(names, chance.randint(1, 2))
        authors = [[name, journal.authored[name] + 1 + (chance.random() < 0.1)] for name in payers]
        amounts = [chance.randint(1, 200) for _ in payers]
        postings = [[name, asset, 0, amount] for name, amount in zip(payers, amounts, strict=True)]
        paid = sum(amounts) + (chance.random() < 0.05)
        postings.append([chance.choice(names), chance.choice([asset] * 9 + [7]), 1, paid])
        if chance.random() < 0.05:
            authors.pop()
        transactions.append([authors or [[payers[0], 1]], postings])
        journal.verdict(*transactions[-1])
    return {0: 1, 1: accounts, 2: transactions}


def self_test():
    """Checks that a right output passes and that each kind of tampering is found."""
    module_input = {
        0: 1,
        1: [["ada", 0, [["coin", 10]]], ["bob", 4, [["usd", 3]]]],
        2: [
            [[["ada", 1]], [["ada", "coin", 0, 4], ["bob", "coin", 1, 4]]],
            [[["ada", 1]], [["ada", "coin", 0, 4], ["bob", "coin", 1, 4]]],
            [[["ada", 2], ["bob", 5]], [["ada", "coin", 0, 6], ["bob", "coin", 1, 6], ["bob", "usd", 0, 3], ["ada", "usd", 1, 3]]],
            [[["bob", 6]], [["bob", "coin", 0, 11], ["eve", "coin", 1, 11]]],
        ],
    }
    output = {0: 1, 1: [["ada", 2, [["usd", 3]]], ["bob", 5, [["coin", 10]]]], 2: [0, 4, 0, 5]}
    wrong, summary = compare(module_input, output)
    assert not wrong, wrong
    for tampered in (
        {2: [0, 0, 0, 5]}, {2: [0, 4, 0]}, {1: output[1][:1]}, {1: [["ada", 2, [["usd", 4]]], output[1][1]]},
        {1: [["ada", 3, [["usd", 3]]], output[1][1]]},
    ):
        assert compare(module_input, output | tampered)[0], f"{tampered} passed"
    verdicts = Counter(expected(generate(1, 3000))[2])
    assert len(verdicts) == len(VERDICTS), f"the generator makes only {verdicts}"
    print(f"self-test passed: {summary}; 5 tampered outputs found")


def arguments(parser):
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--transactions", type=int, required=True)


if __name__ == "__main__":
    checker.main(
        __doc__, arguments=arguments, make_input=lambda given: generate(given.seed, given.transactions),
        compare=compare, agrees="agrees with the journal", self_test=self_test,
    )
