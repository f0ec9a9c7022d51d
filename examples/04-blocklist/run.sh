#!/bin/sh
# Judges messages with rules that were fitted to one half of the SMS Spam Collection, and prints
# precision and recall on the other half, through a signed package.
#
# usage: examples/04-blocklist/run.sh [DATA]
# DATA is the folder with sms-spam.tsv: the argument, else $KAPSULE_DATA, else ../shared/data beside
# the repository; where it is absent, twelve invented messages are judged instead.
set -eu
. "$(dirname "$0")/../setup.sh"
data_file sms-spam.tsv "$@"
part="--part second"
if [ ! -f "$table" ]; then
    echo "$table is not there; judging the sample" >&2
    table=examples/data/sms-sample.tsv
    part=
fi

kapsule pack examples/packages/blocklist.toml --payload modules/artifacts/blocklist.wasm \
    --key author -o "$work/blocklist.mod"
# shellcheck disable=SC2086 # two words, or none
kapsule convert sms "$table" --rules examples/data/sms-rules.toml $part -o "$work/blocklist.input"
kapsule run "$work/blocklist.mod" --trust "$work/trust.json" --engine jit \
    --input "$work/blocklist.input" --output "$work/blocklist.output" \
    --transcript "$work/blocklist.transcript"
kapsule convert verdicts "$work/blocklist.output" --messages "$table" -o "$work/verdicts.csv"
head -n 13 "$work/verdicts.csv"
kapsule replay "$work/blocklist.mod" "$work/blocklist.transcript" --engine wasmi \
    --trust "$work/trust.json"
