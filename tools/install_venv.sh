#!/bin/sh
# Debian ships Python without its venv module's pip; get it where that is possible, else say how.
set -eu
rm -rf .venv
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
else
    echo "Python's venv module is incomplete here; install it first: sudo apt-get install python3-venv" >&2
    exit 1
fi
