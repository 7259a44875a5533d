# What this machine is, a word and its value on each line.
set -eu
root=/var/lib/branchline
code=/usr/local/lib/branchline
echo "user $(id -u)"
echo "system $(uname -s)"
micropython=$(command -v micropython || true)
echo "micropython $micropython"
echo "nft $(PATH=$PATH:/usr/sbin:/sbin command -v nft || true)"
if [ -n "$micropython" ]; then
    "$micropython" -c 'import sys
print("version", ".".join([str(n) for n in sys.implementation[1][:3]]))
print("architecture", sys.implementation._mpy >> 10)
import ffi, vfs
print("capable", int(hasattr(vfs, "VfsRom")))' 2>/dev/null || true
fi
if [ -d /run/systemd/system ]; then echo "systemd 1"; else echo "systemd 0"; fi
if [ -d "$code" ]; then
    (cd "$code" && find . -name '*.py' -exec sha256sum {} +) | while read -r sum name; do
        echo "boot ${name#./}=$sum"
    done
fi
[ -e "$root" ] && [ ! -e "$root/RECORD" ] && [ -n "$(ls -A "$root" 2>/dev/null)" ] &&
    [ ! -d "$root/a" ] && echo "foreign $root"
exit 0
