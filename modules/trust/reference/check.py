#!/usr/bin/env python3
"""Compares the trust module's output with networkx.

    check.py input STATEMENTS.csv --viewer NAME -o INPUT.cbor     writes the module's input
    check.py compare INPUT.cbor OUTPUT.cbor                       compares; exit code 1 if they differ
    check.py self-test                                            needs no file and no module

`compare` builds the graph from the input again, shares no code with the module, and checks
scores against personalised PageRank to 1e-6, flows against a maximum flow, and blocks.
Needs the packages of modules/reference/requirements.txt.
"""

import csv
import pathlib
import sys

import networkx

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "reference"))
import checker  # noqa: E402
import kcbor  # noqa: E402

TOLERANCE = 1e-6
# Defaults of the README: damping, share cap, credit of a node, share for a block.
DEFAULTS = {0: 850_000, 1: 1_000_000, 2: 50_000, 3: 500_000}


def read_csv(path, viewer):
    """Returns the module's input for source,target,rating,time rows."""
    statements = []
    with open(path, newline="", encoding="utf-8") as file:
        for number, (source, target, rating, time) in enumerate(csv.reader(file), 1):
            if number == 1 and not rating.lstrip("-").isdigit():
                continue
            rating = int(rating)
            if rating == 0 or not -10 <= rating <= 10:
                raise SystemExit(f"{path}:{number}: rating {rating} is not in -10..-1 or 1..10")
            weight = max(rating, 0) * 100_000
            time_ms = int(time.split(".")[0]) * 1000
            names = kcbor.name(source), kcbor.name(target)
            statements.append([*names, weight, rating < 0, time_ms])
    return {0: 1, 1: kcbor.name(viewer), 2: statements}


def graph_of(module_input):
    """Returns the graph of effective weights, each node's total, and the set of blocks."""
    latest = {}
    for source, target, weight, blocked, time in module_input[2]:
        key = (time, blocked, weight)
        if source != target and key >= latest.get((source, target), key):
            latest[source, target] = key
    cap_ppm = parameters_of(module_input)[1]
    graph = networkx.DiGraph()
    graph.add_node(module_input[1])
    for source, target, *_ in module_input[2]:
        graph.add_nodes_from((source, target))
    totals = dict.fromkeys(graph, 0)
    for (source, _), (_, blocked, weight) in latest.items():
        totals[source] += 0 if blocked else weight
    for (source, target), (_, blocked, weight) in latest.items():
        if weight and not blocked:
            most = max(totals[source] * cap_ppm // 1_000_000, 1)
            graph.add_edge(source, target, weight=min(weight, most))
    return graph, totals, {pair for pair, (_, blocked, _) in latest.items() if blocked}


def parameters_of(module_input):
    return DEFAULTS | module_input.get(3, {})


def pagerank(graph, totals, viewer, damping_ppm):
    """Personalised PageRank; what a cap cut off an edge goes to the viewer, as an edge."""
    whole = graph.copy()
    for node in graph:
        rest = totals[node] - graph.out_degree(node, weight="weight")
        if rest:
            back = graph.get_edge_data(node, viewer, {"weight": 0})["weight"]
            whole.add_edge(node, viewer, weight=back + rest)
    start = {viewer: 1.0}
    # networkx stops when a step changes the scores by less than tol * nodes in sum.
    return networkx.pagerank(
        whole, alpha=damping_ppm / 1e6, personalization=start, dangling=start, nstart=start,
        weight="weight", tol=1e-12 / len(whole), max_iter=2_000,
    )


def max_flow(graph, viewer, credits):
    """The greatest flow from the viewer when each node can keep its credit."""
    network = networkx.DiGraph()
    sink = ("sink",)
    network.add_nodes_from([viewer, sink])
    for source, target, weight in graph.edges(data="weight"):
        network.add_edge(source, target, capacity=weight)
    for node, credit in credits.items():
        if node != viewer:
            network.add_edge(node, sink, capacity=credit)
    return networkx.maximum_flow_value(network, viewer, sink)


def blocked_nodes(graph, blocks, scores, viewer, share_ppm):
    """Returns those who are blocked, and those whom rounding could decide either way."""
    own = {target: False for target in graph[viewer]}
    own |= {target: True for source, target in blocks if source == viewer}
    judge = {node: 0.0 if own.get(node) else scores[node] for node in graph}
    against, every = dict.fromkeys(graph, 0.0), dict.fromkeys(graph, 0.0)
    for source, target in graph.edges:
        every[target] += judge[source]
    for source, target in blocks:
        against[target] += judge[source]
        every[target] += judge[source]
    blocked, unsure = set(), set()
    for node in graph:
        margin = against[node] - every[node] * share_ppm / 1e6
        decided = own.get(node)
        if node == viewer:
            continue
        if decided is None and 0 < abs(margin) < 1e-7:
            unsure.add(node)
        if decided or (decided is None and margin > 0):
            blocked.add(node)
    return blocked, unsure


def compare(module_input, output):
    """Returns the differences as sentences, and a summary."""
    viewer = module_input[1]
    graph, totals, blocks = graph_of(module_input)
    damping_ppm, _, credit, share_ppm = (parameters_of(module_input)[key] for key in range(4))
    rows = {row[0]: row for row in output[2]}
    wrong = []
    if set(rows) != set(graph) or len(rows) != len(output[2]) or output[1] != viewer or output[3] != credit:
        return ["the output is about other people, another viewer or another credit"], ""

    scores = pagerank(graph, totals, viewer, damping_ppm)
    errors = {node: abs(rows[node][1] / 1e9 - scores[node]) for node in graph}
    wrong += [f"score of {node} is off by {error:.2e}" for node, error in errors.items() if error > TOLERANCE]
    order = [row[1] for row in output[2]]
    if order != sorted(order, reverse=True):
        wrong.append("rows do not fall")

    flows = {node: rows[node][2] for node in graph}
    wrong += [f"flow of {node} is above its credit" for node in graph if flows[node] > credit]
    kept = sum(flows.values()) - flows[viewer]
    greatest = max_flow(graph, viewer, dict.fromkeys(graph, credit))
    feasible = max_flow(graph, viewer, flows)
    if not kept == greatest == feasible:
        wrong.append(f"flows sum to {kept}, of which {feasible} is feasible; the maximum is {greatest}")

    blocked, unsure = blocked_nodes(graph, blocks, scores, viewer, share_ppm)
    for node in set(graph) - unsure:
        if rows[node][3] != (node in blocked):
            wrong.append(f"{node} is blocked: {rows[node][3]}, expected {node in blocked}")
    summary = (
        f"{len(graph)} people, {graph.number_of_edges()} weights, greatest error {max(errors.values()):.1e}, "
        f"flow {kept}, {len(blocked)} blocked"
    )
    return wrong, summary


def self_test():
    """Checks that a right output passes and that each kind of tampering is found."""
    viewer, people = "me", ["a", "b", "c", "spam"]
    statements = [
        ["me", "a", 1_000_000, False, 1], ["me", "b", 500_000, False, 1], ["a", "c", 300_000, False, 1],
        ["c", "b", 10_000, False, 1], ["b", "spam", 0, True, 2], ["b", "spam", 700_000, False, 1],
        ["c", "spam", 100, False, 1],
    ]
    module_input = {0: 1, 1: viewer, 2: statements, 3: {1: 400_000}}
    graph, totals, blocks = graph_of(module_input)
    scores = pagerank(graph, totals, viewer, 850_000)
    flow = {"me": 50_000, "a": 50_000, "b": 50_000, "c": 50_000, "spam": 100}
    blocked, _ = blocked_nodes(graph, blocks, scores, viewer, 500_000)
    assert blocked == {"spam"}, blocked
    names = sorted([viewer, *people], key=lambda node: -scores[node])
    rows = [[node, round(scores[node] * 1e9), flow[node], node in blocked] for node in names]
    output = {0: 1, 1: viewer, 2: rows, 3: 50_000, 4: 100}
    assert kcbor.decode(kcbor.encode(output)) == output
    wrong, summary = compare(module_input, output)
    assert not wrong, wrong
    # Hand-computed: c is passed 40% of a's score at most, since its only statement is capped.
    assert abs(scores["c"] - 0.85 * 0.4 * scores["a"]) < 1e-12
    # The rows fall from index 0; a change of 2,000 is 2e-6.
    for index, field, change in ((1, 1, 2_000), (2, 1, -2_000), (1, 2, -1), (4, 2, 1), (1, 3, None), (4, 3, None)):
        rows = [list(row) for row in output[2]]
        rows[index][field] = not rows[index][field] if change is None else rows[index][field] + change
        assert compare(module_input, output | {2: rows})[0], f"tampering with field {field} of row {index} passed"
    assert compare(module_input, output | {2: output[2][1:]})[0], "a missing row passed"
    assert compare(module_input, output | {2: output[2][::-1]})[0], "another order passed"
    print(f"self-test passed: {summary}; 8 tampered outputs found")


def arguments(parser):
    parser.add_argument("csv")
    parser.add_argument("--viewer", required=True)


if __name__ == "__main__":
    checker.main(
        __doc__, arguments=arguments, make_input=lambda given: read_csv(given.csv, given.viewer),
        compare=compare, agrees=f"agrees with networkx {networkx.__version__}", self_test=self_test,
    )
