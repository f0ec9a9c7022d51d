#!/bin/sh
# Lets a shop's assistant propose what to do in three runs, within its own budget and the host's.
#
# usage: examples/06-agent/run.sh
set -eu
. "$(dirname "$0")/../setup.sh"

agent=examples/06-agent
kapsule pack examples/packages/agent_logic.toml --payload modules/artifacts/agent_logic.wasm \
    --key author -o "$work/agent.mod"

# play NAME BUDGET [CONVERT OPTIONS]: one run of the agent under a host with this budget.
play() {
    name=$1
    budget=$2
    shift 2
    kapsule convert agent $agent/agent.toml --events "$agent/$name.toml" "$@" -o "$work/$name.input"
    kapsule run "$work/agent.mod" --trust "$work/trust.json" --engine jit \
        --grant agent.propose --budget "$budget" \
        --input "$work/$name.input" --output "$work/$name.output" \
        --transcript "$work/$name.transcript"
    kapsule convert plan "$work/$name.output" --expect "$agent/$name.toml"
    kapsule replay "$work/agent.mod" "$work/$name.transcript" --engine wasmi \
        --trust "$work/trust.json"
}

play 1-morning 100
# The state of each run goes on in the next.
play 2-evening 100 --state "$work/1-morning.output"
play 3-next-day 15 --state "$work/2-evening.output"

# A host that grants no proposals does not run the package at all.
if kapsule run "$work/agent.mod" --trust "$work/trust.json" --input "$work/1-morning.input" \
    --output "$work/none" 2>"$work/refusal.txt"; then
    echo "a run without the grant was not refused" >&2
    exit 1
fi
cat "$work/refusal.txt"
