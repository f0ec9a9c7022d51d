#!/bin/sh
# A RUSTC_WRAPPER: gives the crates of this repository symbol names that do not depend on where the
# checkout lies (BUILD.md says why).
name=
take=
for arg; do
    if [ -n "$take" ]; then name=$arg take=; fi
    if [ "$arg" = --crate-name ]; then take=1; fi
done
for arg; do
    shift
    case "${CARGO_PKG_NAME-}:$arg" in
        kapsule-*:metadata=*) arg="metadata=$name" ;;
    esac
    set -- "$@" "$arg"
done
exec "$@"
