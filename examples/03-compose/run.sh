#!/bin/sh
# Orders a feed by trust in one run of three packages, and replays it without two of them.
#
# usage: examples/03-compose/run.sh
set -eu
. "$(dirname "$0")/../setup.sh"

pack() {
    name=$1
    shift
    kapsule pack "examples/packages/$name.toml" --payload "modules/artifacts/$name.wasm" \
        --key author -o "$work/$name.mod" "$@"
}

# refused WHAT COMMAND..: the command fails, and says why on stderr.
refused() {
    echo "-- $1"
    shift
    if "$@" 2>"$work/refusal.txt"; then
        echo "that was not refused" >&2
        exit 1
    fi
    cat "$work/refusal.txt"
}

pack trust
pack rank
pack feed --dep "$work/trust.mod" --dep "$work/rank.mod"
kapsule convert otc examples/data/trust-sample.csv --viewer ada -o "$work/trust.input"
kapsule convert hn examples/data/feed-sample.csv -o "$work/rank.input"
kapsule convert compose "$work/trust.input" "$work/rank.input" \
    --trust "$work/trust.mod" --rank "$work/rank.mod" -o "$work/feed.input"

feed() {
    kapsule run "$work/feed.mod" --trust "$work/trust.json" --input "$work/feed.input" \
        --dep "$work/trust.mod" --dep "$work/rank.mod" --grant compose "$@"
}

echo "-- one run of three packages"
feed --grant trust.graph --engine jit --output "$work/feed.output" \
    --transcript "$work/feed.transcript"
kapsule convert feed "$work/feed.output" --posts examples/data/feed-sample.csv --top 5

echo "-- two runs, one after the other, give the same bytes"
kapsule run "$work/trust.mod" --trust "$work/trust.json" --grant trust.graph \
    --input "$work/trust.input" --output "$work/trust.output"
kapsule convert hn examples/data/feed-sample.csv --trust "$work/trust.output" \
    -o "$work/whole.input"
kapsule run "$work/rank.mod" --trust "$work/trust.json" --input "$work/whole.input" \
    --output "$work/rank.output"
cmp "$work/feed.output" "$work/rank.output"

echo "-- the transcript replays on the other engine, and needs neither of the called packages"
kapsule replay "$work/feed.mod" "$work/feed.transcript" --engine wasmi --trust "$work/trust.json"
echo "-- so does each nested run, against its own package alone"
kapsule replay "$work/trust.mod" "$work/feed.transcript.0" --engine wasmi \
    --trust "$work/trust.json"
kapsule replay "$work/rank.mod" "$work/feed.transcript.1" --engine wasmi --trust "$work/trust.json"

refused "trust has no grant that its caller lacks" feed --output "$work/none"
refused "three packages share one grant of fuel" feed --grant trust.graph --fuel 1000000 \
    --output "$work/none"
