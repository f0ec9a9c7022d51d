#!/bin/sh
# Personalised trust over the 35,592 ratings of the Bitcoin OTC data set, through a signed package.
#
# usage: examples/01-trust-otc/run.sh [DATA]
# DATA is the folder with bitcoin-otc-trust.csv: the argument, else $KAPSULE_DATA, else
# ../shared/data beside the repository.
# KAPSULE names the command; without it `cargo run --release` builds and runs it.
# VIEWER is whose trust is computed; by default 35, who rates the most people.
set -eu
here=$PWD
cd "$(dirname "$0")/../.."
data=${1:-${KAPSULE_DATA:-}}
case $data in
    "") data=../shared/data ;;
    /*) ;;
    *) data=$here/$data ;;
esac
table=$data/bitcoin-otc-trust.csv
if [ ! -f "$table" ]; then
    echo "skipped: $table is not there; name the folder of bitcoin-otc-trust.csv as argument" >&2
    exit 0
fi
kapsule() {
    if [ -n "${KAPSULE:-}" ]; then "$KAPSULE" "$@"; else cargo run --release --quiet -- "$@"; fi
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export KAPSULE_HOME="$work/home"

kapsule key new author --quiet >"$work/key.txt"
kapsule key trust author -o "$work/trust.json"
kapsule pack examples/packages/trust.toml --payload modules/artifacts/trust.wasm --key author \
    -o "$work/trust.mod"
kapsule convert otc "$table" --viewer "${VIEWER:-35}" -o "$work/trust.input"
kapsule run "$work/trust.mod" --trust "$work/trust.json" --grant trust.graph --engine jit \
    --input "$work/trust.input" --output "$work/trust.output" --transcript "$work/trust.transcript"
kapsule convert scores "$work/trust.output" --top 10
kapsule replay "$work/trust.mod" "$work/trust.transcript" --engine wasmi --trust "$work/trust.json"
