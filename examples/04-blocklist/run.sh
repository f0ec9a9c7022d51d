#!/bin/sh
# Judges messages with rules that were fitted to one half of the SMS Spam Collection, and prints
# precision and recall on the other half, through a signed package.
#
# usage: examples/04-blocklist/run.sh [DATA]
# DATA is the folder with sms-spam.tsv: the argument, else $KAPSULE_DATA, else ../shared/data beside
# the repository; where it is absent, twelve invented messages are judged instead.
# KAPSULE names the command; without it `cargo run --release` builds and runs it.
set -eu
here=$PWD
cd "$(dirname "$0")/../.."
data=${1:-${KAPSULE_DATA:-}}
case $data in
    "") data=../shared/data ;;
    /*) ;;
    *) data=$here/$data ;;
esac
table=$data/sms-spam.tsv
part="--part second"
if [ ! -f "$table" ]; then
    echo "$table is not there; judging the sample" >&2
    table=examples/data/sms-sample.tsv
    part=
fi
kapsule() {
    if [ -n "${KAPSULE:-}" ]; then "$KAPSULE" "$@"; else cargo run --release --quiet -- "$@"; fi
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export KAPSULE_HOME="$work/home"

kapsule key new author --quiet >"$work/key.txt"
kapsule key trust author -o "$work/trust.json"
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
