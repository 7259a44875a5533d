#!/bin/sh
# Chromium, in which the status page is tested: browser.sh plan|install. It is too large to be
# asked for by every target.

. tools/setup/packages.sh
