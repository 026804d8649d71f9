#!/bin/sh
# Debian packages that Rao needs to build. Sourced by demo.sh and test.sh: installs what is missing if it may, else says
# what to install.
need="gcc cmake make pkg-config libyaml-dev libzstd-dev libjansson-dev $RAO_EXTRA_PACKAGES"
missing=
for p in $need; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
if [ -n "$missing" ]; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo="sudo -n"
    if ! { $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >/dev/null; then
        echo "Rao needs these Debian packages: $missing" >&2
        echo "Install them:  sudo apt-get install$missing" >&2
        exit 2
    fi
fi
