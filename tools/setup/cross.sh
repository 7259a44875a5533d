#!/bin/sh
# The compiler of microcontroller boards, and the one board that is emulated: cross.sh plan|install.

. tools/setup/packages.sh
