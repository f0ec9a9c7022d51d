#!/usr/bin/env python3
"""Plays the scenarios of the agent module, and compares its output with what they expect.

    check.py input SCENARIO.toml -o INPUT.cbor                  writes the module's input
    check.py compare SCENARIO.toml OUTPUT.cbor                  exit code 1 if they differ
    check.py self-test                                          plays every scenario

The plan is made anew here from the README: facts are lists of changes, and the best action is the
first of a sorted list, where the module compares pairs.
"""

import pathlib
import sys
import tomllib
from fractions import Fraction

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "reference"))
import checker  # noqa: E402

CONDITIONS = {"kind": 0, "author": 1, "flag": 2, "at_least": 3, "below": 4}
CHANGES = {"set": 0, "add": 1, "subtract": 2, "settle": 3}
VERDICTS = ["proposed", "beyond the budget", "refused"]
MOST = 2**53 - 1
CHOICES = 64


def proposal_of(action):
    if "publish" in action:
        given = action["publish"]
        return {0: 0, 1: action["cost"], 2: given["kind"], 4: [], 5: [], 6: given["body"].encode()}
    if "run" in action:
        given = action["run"]
        return {0: 1, 1: action["cost"], 2: bytes.fromhex(given["package"]), 3: given["entry"], 4: given["input"].encode()}
    return {0: 2, 1: action["cost"], 2: action["notify"]}


def side_of(table, up, down):
    return (0, table[up]) if up in table else (1, table[down])


def input_of(scenario):
    """Returns the module's input."""
    rules = [
        [[[CONDITIONS[name], *rest] for name, *rest in rule["when"]], [[CHANGES[name], *rest] for name, *rest in rule["then"]]]
        for rule in scenario.get("rule", [])
    ]
    goals = []
    for goal in scenario["goal"]:
        side, target = side_of(goal, "at_least", "at_most")
        goals.append([goal["name"], goal["fact"], side, target, goal["priority"]])
    actions = []
    for action in scenario["action"]:
        side, fact = side_of(action, "raises", "lowers")
        actions.append([action["name"], fact, side, action["effect"], action["wait"], action.get("needs", []), proposal_of(action)])
    budget = scenario["budget"]
    agent = {0: rules, 1: goals, 2: actions, 3: [budget["period"], budget["cost"], budget["proposals"]]}
    facts = [list(pair) for pair in sorted(scenario["facts"].items())]
    state = {0: facts, 1: 0, 2: 0, 3: 0, 4: scenario["state"]["pending"]}
    events = [[event["kind"], event["author"], event.get("flags", []), event.get("fields", [])] for event in scenario.get("event", [])]
    return {0: 1, 1: scenario["now"], 2: agent, 3: state, 4: events}


class Agent:
    def __init__(self, scenario):
        self.given, self.now = scenario, scenario["now"]
        self.facts = dict(scenario["facts"])
        self.pending = [tuple(pair) for pair in scenario["state"]["pending"]]
        self.actions = {action["name"]: action for action in scenario["action"]}
        self.rows, self.out, self.spent, self.count = [], set(), 0, 0

    def learn(self):
        for event in self.given.get("event", []):
            for rule in self.given.get("rule", []):
                if all(self.holds(condition, event) for condition in rule["when"]):
                    for change in rule["then"]:
                        self.change(change)
        fresh = [(name, since) for name, since in self.pending if name in self.actions and max(0, self.now - since) < self.actions[name]["wait"]]
        self.pending = fresh

    @staticmethod
    def holds(condition, event):
        name, *rest = condition
        fields = event.get("fields", [])
        return {
            "kind": lambda: event["kind"] == rest[0],
            "author": lambda: event["author"] == rest[0],
            "flag": lambda: rest[0] in event.get("flags", []),
            "at_least": lambda: any(field == rest[0] and value >= rest[1] for field, value in fields),
            "below": lambda: any(field == rest[0] and value < rest[1] for field, value in fields),
        }[name]()

    def change(self, change):
        name, target, *value = change
        if name == "settle":
            place = next((index for index, (action, _) in enumerate(self.pending) if action == target), None)
            if place is not None:
                del self.pending[place]
            return
        old = self.facts.get(target, 0)
        new = {"set": value[0], "add": old + value[0], "subtract": old - value[0]}[name]
        self.facts[target] = min(MOST, max(0, new))

    def expected(self, fact):
        value = self.facts.get(fact, 0)
        for name, _ in self.pending:
            action = self.actions[name]
            side, moved = side_of(action, "raises", "lowers")
            if moved == fact:
                value += -action["effect"] if side else action["effect"]
        return min(MOST, max(0, value))

    @staticmethod
    def missing(goal, value):
        side, target = side_of(goal, "at_least", "at_most")
        return max(0, value - target if side else target - value)

    def serve(self, goal):
        while self.missing(goal, self.expected(goal["fact"])) and len(self.rows) < CHOICES:
            missing = self.missing(goal, self.expected(goal["fact"]))
            wanted = side_of(goal, "at_least", "at_most")[0], goal["fact"]
            ready = [
                action for action in self.given["action"]
                if side_of(action, "raises", "lowers") == wanted and action["name"] not in self.out
                and all(self.facts.get(fact, 0) >= least for fact, least in action.get("needs", []))
            ]
            if not ready:
                return
            # The progress that one unit of cost buys, nothing for free actions: they come first.
            worth = lambda action: Fraction(action["cost"], min(action["effect"], missing))  # noqa: B023,E731
            action = min(ready, key=lambda action: (worth(action), action["cost"]))
            budget = self.given["budget"]
            if self.spent + action["cost"] > budget["cost"] or self.count >= budget["proposals"]:
                verdict = "beyond the budget"
            elif action["name"] in self.given["host_refuses"]:
                verdict = "refused"
            else:
                verdict = "proposed"
                self.spent, self.count = self.spent + action["cost"], self.count + 1
                self.pending.append((action["name"], self.now))
            if verdict != "proposed" or not action["wait"]:
                self.out.add(action["name"])
            self.rows.append([action["name"], goal["name"], action["cost"], verdict])

    def play(self):
        self.learn()
        for goal in sorted(self.given["goal"], key=lambda goal: -goal["priority"]):
            self.serve(goal)
        rows, index = [], 0
        for name, goal, cost, verdict in self.rows:
            rows.append([name, goal, cost, VERDICTS.index(verdict)] + ([index] if verdict == "proposed" else []))
            index += verdict == "proposed"
        goals = []
        for goal in self.given["goal"]:
            value = self.facts.get(goal["fact"], 0)
            goals.append([goal["name"], value, not self.missing(goal, value), not self.missing(goal, self.expected(goal["fact"]))])
        # Scenarios begin in the first period, so the budget is that of one run.
        period = self.given["budget"]["period"]
        facts = [[name, value] for name, value in sorted(self.facts.items()) if value]
        state = {0: facts, 1: self.now - self.now % period, 2: self.spent, 3: self.count, 4: [list(pair) for pair in self.pending]}
        return {0: 1, 1: state, 2: rows, 3: goals}


def expected_rows(scenario):
    return [[row["action"], row["goal"], row["verdict"]] for row in scenario["expect"]]


def compare(scenario, output):
    """Returns the differences as sentences, and what the scenario is about."""
    played = Agent(scenario).play()
    wrong = [f"key {key} is {output.get(key)}, expected {played[key]}" for key in played if output.get(key) != played[key]]
    rows = [[row[0], row[1], VERDICTS[row[3]]] for row in output[2]]
    if rows != expected_rows(scenario):
        wrong.append(f"the scenario expects {expected_rows(scenario)}, found {rows}")
    return wrong, scenario["about"]


def self_test():
    """Plays every scenario, and checks that a changed output is found."""
    files = sorted((HERE.parent / "scenarios").glob("*.toml"))
    assert len(files) >= 4, files
    for file in files:
        scenario = read_scenario(file)
        played = Agent(scenario).play()
        assert not compare(scenario, played)[0], (file, compare(scenario, played))
        for tampered in ({2: played[2][1:]}, {3: []}, {1: played[1] | {2: 99_999}}):
            assert compare(scenario, played | tampered)[0], f"{file}: {tampered} passed"
    print(f"self-test passed: {len(files)} scenarios; {3 * len(files)} tampered outputs found")


def read_scenario(path):
    return tomllib.loads(path.read_text())


def arguments(parser):
    parser.add_argument("scenario", type=pathlib.Path)


if __name__ == "__main__":
    checker.main(
        __doc__, arguments=arguments, make_input=lambda given: input_of(read_scenario(given.scenario)),
        compare=compare, agrees="plays as expected", self_test=self_test,
        read_expected=read_scenario,
    )
