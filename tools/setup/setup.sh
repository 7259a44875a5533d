#!/bin/sh
# Installs what a make target needs: setup.sh PART..., each of: packages python micropython
# browser ports cross sources.
# Every part first says what it will install and where; a part that is ready says nothing.

cd "$(dirname "$0")/../.." || exit 1
. tools/setup/common.sh

mkdir -p .toolchain
# Two make targets at once must not install into the same folders.
exec 9>.toolchain/lock
flock 9

todo=
for part in "$@"; do
    plan=$(sh "tools/setup/$part.sh" plan)
    [ -n "$plan" ] || continue
    [ -n "$todo" ] || say "Setting up Branchline in $PWD:"
    say "  $plan"
    todo="$todo $part"
done
for part in $todo; do
    sh "tools/setup/$part.sh" install
done
[ -z "$todo" ] || say "Set up."
