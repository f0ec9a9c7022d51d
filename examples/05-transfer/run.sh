#!/bin/sh
# Applies a small journal to opening balances, through a signed package.
#
# usage: examples/05-transfer/run.sh
set -eu
. "$(dirname "$0")/../setup.sh"

kapsule pack examples/packages/transfer.toml --payload modules/artifacts/transfer.wasm \
    --key author -o "$work/transfer.mod"
kapsule convert ledger examples/data/journal-sample.csv --opening examples/data/opening-sample.csv \
    -o "$work/transfer.input"
kapsule run "$work/transfer.mod" --trust "$work/trust.json" --engine jit \
    --input "$work/transfer.input" --output "$work/transfer.output" \
    --transcript "$work/transfer.transcript"
kapsule convert balances "$work/transfer.output"
kapsule replay "$work/transfer.mod" "$work/transfer.transcript" --engine wasmi \
    --trust "$work/trust.json"
