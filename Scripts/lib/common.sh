# Shared by the scripts; sourced, not run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# The comment block at the head of a script is its help.
show_help() {
    sed -n '2,/^[^#]/{/^#/{s/^# \{0,1\}//p}}' "$1"
}

step() { printf '\n== %s\n' "$*"; }
say() { printf '%s\n' "$*"; }

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

bad_usage() {
    printf '%s: %s\nTry %s --help.\n' "$(basename "$0")" "$1" "$0" >&2
    exit 2
}
