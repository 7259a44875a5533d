#!/bin/sh
# The compiler of microcontroller boards, the one board that is emulated, and a DHCP server for it:
# cross.sh plan|install.

. tools/setup/packages.sh
