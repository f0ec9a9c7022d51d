#!/bin/sh
# Proves a run of the trust package, and lets somebody who never runs it check what it computed.
#
# usage: examples/07-proof/run.sh
set -eu
. "$(dirname "$0")/../setup.sh"

kapsule pack examples/packages/trust.toml --payload modules/artifacts/trust.wasm --key author \
    -o "$work/trust.mod"
kapsule convert otc examples/data/trust-sample.csv --viewer ada -o "$work/trust.input"
kapsule prove "$work/trust.mod" --trust "$work/trust.json" --grant trust.graph \
    --input "$work/trust.input" --output "$work/trust.output" -o "$work/trust.kproof"

# The other side holds the package, the input and the output, and believes neither of the last two.
verify() {
    kapsule verify-proof "$work/trust.mod" "$work/trust.kproof" --trust "$work/trust.json" \
        --grant trust.graph --input "$1" --output "$2" --outcome completed
}
verify "$work/trust.input" "$work/trust.output"
kapsule convert scores "$work/trust.output" --top 5

# refused WHY COMMAND..: the command has to fail, and its words are shown.
refused() {
    why=$1
    shift
    if "$@" >/dev/null 2>"$work/refusal.txt"; then
        echo "$why was not refused" >&2
        exit 1
    fi
    cat "$work/refusal.txt"
}

# Scores that nobody computed, and the scores of another graph.
{ cat "$work/trust.output"; printf 'x'; } >"$work/forged.output"
refused "another output" verify "$work/trust.input" "$work/forged.output"
kapsule convert otc examples/data/trust-sample.csv --viewer bob -o "$work/other.input"
refused "another input" verify "$work/other.input" "$work/trust.output"
