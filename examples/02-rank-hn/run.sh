#!/bin/sh
# Ranks the 20,100 posts of the Hacker News data set of 2016, through a signed package.
#
# usage: examples/02-rank-hn/run.sh [DATA]
# DATA is the folder with hacker-news-2016.csv: the argument, else $KAPSULE_DATA, else
# ../shared/data beside the repository.
set -eu
. "$(dirname "$0")/../setup.sh"
data_file hacker-news-2016.csv "$@"
if [ ! -f "$table" ]; then
    echo "skipped: $table is not there; name the folder of hacker-news-2016.csv as argument" >&2
    exit 77
fi

kapsule pack examples/packages/rank.toml --payload modules/artifacts/rank.wasm --key author \
    -o "$work/rank.mod"
kapsule convert hn "$table" -o "$work/rank.input"
kapsule run "$work/rank.mod" --trust "$work/trust.json" --engine jit \
    --input "$work/rank.input" --output "$work/rank.output" --transcript "$work/rank.transcript"
kapsule convert feed "$work/rank.output" --posts "$table" --top 10
kapsule replay "$work/rank.mod" "$work/rank.transcript" --engine wasmi --trust "$work/trust.json"
