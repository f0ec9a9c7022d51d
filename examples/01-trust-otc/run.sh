#!/bin/sh
# Personalised trust over the 35,592 ratings of the Bitcoin OTC data set, through a signed package.
#
# usage: examples/01-trust-otc/run.sh [DATA]
# DATA is the folder with bitcoin-otc-trust.csv: the argument, else $KAPSULE_DATA, else
# ../shared/data beside the repository.
# VIEWER is whose trust is computed; by default 35, who rates the most people.
set -eu
. "$(dirname "$0")/../setup.sh"
data_file bitcoin-otc-trust.csv "$@"
if [ ! -f "$table" ]; then
    echo "skipped: $table is not there; name the folder of bitcoin-otc-trust.csv as argument" >&2
    exit 77
fi

kapsule pack examples/packages/trust.toml --payload modules/artifacts/trust.wasm --key author \
    -o "$work/trust.mod"
kapsule convert otc "$table" --viewer "${VIEWER:-35}" -o "$work/trust.input"
kapsule run "$work/trust.mod" --trust "$work/trust.json" --grant trust.graph --engine jit \
    --input "$work/trust.input" --output "$work/trust.output" --transcript "$work/trust.transcript"
kapsule convert scores "$work/trust.output" --top 10
kapsule replay "$work/trust.mod" "$work/trust.transcript" --engine wasmi --trust "$work/trust.json"
