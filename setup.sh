#!/bin/sh
# Debian packages that Rao needs to build. Sourced by demo.sh and test.sh: installs what is missing if it may, else says
# what to install.
need="gcc libc6-dev cmake make pkg-config libyaml-dev libzstd-dev liblz4-dev libjansson-dev $RAO_EXTRA_PACKAGES"
missing=
for p in $need; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
if [ -n "$missing" ]; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo="sudo -n"
    log=$(mktemp)
    echo "installing$missing" >&2
    if ! { $sudo apt-get update -qq &&
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
        tail -5 "$log" >&2
        echo "Rao needs these Debian packages: $missing" >&2
        echo "Install them:  sudo apt-get install$missing" >&2
        rm -f "$log"
        exit 2
    fi
    rm -f "$log"
fi
