# What the setup scripts share; each sources it. The working directory is the repository's root.

set -eu

# What is for a person goes to standard error: standard output carries values.
say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "setup: $*"
    exit 1
}

is_root() {
    [ "$(id -u)" -eq 0 ]
}

# key_of FILE...: changes when a file's content or the checkout's place does.
key_of() {
    { pwd; cat "$@"; } | sha256sum | cut -d ' ' -f 1
}

# has_key STAMP KEY: the part that wrote STAMP was installed from the same sources.
has_key() {
    [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]
}

# attempt COMMAND...: a download may fail by chance, so it gets three tries.
attempt() {
    for pause in 2 5 0; do
        "$@" && return 0
        [ "$pause" -eq 0 ] || { say "  failed, trying again in $pause s: $1"; sleep "$pause"; }
    done
    return 1
}
