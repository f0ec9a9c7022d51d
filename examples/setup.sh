# Read by every run.sh: goes to the top of the repository, and gives `kapsule`, the folder "$work",
# which is removed at the end, and a home in it, with the key `author` and the trust file
# "$work/trust.json".
# KAPSULE names the command; without it `cargo run --release` builds and runs it.
# shellcheck shell=sh

here=$PWD
cd "$(dirname "$0")/../.."

kapsule() {
    if [ -n "${KAPSULE:-}" ]; then "$KAPSULE" "$@"; else cargo run --release --quiet -- "$@"; fi
}

# data_file NAME [DATA]: sets $table to this file of the folder DATA, else of $KAPSULE_DATA, else of
# ../shared/data beside the repository.
data_file() {
    table=${2:-${KAPSULE_DATA:-../shared/data}}/$1
    if [ -n "${2:-${KAPSULE_DATA:-}}" ]; then
        case $table in
            /*) ;;
            *) table=$here/$table ;;
        esac
    fi
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export KAPSULE_HOME="$work/home"
kapsule key new author --quiet >"$work/key.txt"
kapsule key trust author -o "$work/trust.json"
