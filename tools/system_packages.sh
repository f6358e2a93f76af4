#!/bin/sh
# Installs what the tests need from the system: Chromium, which opens the report, and Mesa's software EGL, which lets
# MUJOCO_GL=egl render without a GPU. Prints nothing if there is nothing to do; without root or apt the tests skip.
set -eu

missing=""
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 ||
    command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
for package in libegl1 libgl1-mesa-dri libgles2; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "system packages:$missing missing; install them as root with apt-get, or the tests that need them are skipped"
    exit 0
fi

echo "system packages: installing$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # a list of names
if ! { apt-get -q update && apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    echo "system packages: apt-get could not install$missing: $(grep -m 1 '^E:' "$log" || tail -n 1 "$log")"
fi
