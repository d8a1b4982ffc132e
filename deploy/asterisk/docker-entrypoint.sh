#!/bin/sh
# Writes the part of manager.conf that is not the same everywhere, then runs Asterisk.
#
#   AMI_SECRET   the dialer's secret: letters, digits, - and _
#   AMI_PERMIT   the network of the dialer, as 172.30.38.0/24; no other address may log in
set -eu
: "${AMI_SECRET:?is the secret of the AMI user ringback; set it}"
: "${AMI_PERMIT:?is the network from which the dialer logs in; set it}"
case $AMI_SECRET in
*[!A-Za-z0-9_-]*)
    echo "AMI_SECRET may have letters, digits, - and _ only: other characters mean something in manager.conf" >&2
    exit 1
    ;;
esac
umask 077
cat >/etc/asterisk/local/manager.conf <<EOF
[general](+)
bindaddr = 0.0.0.0

[ringback](+)
secret = $AMI_SECRET
permit = $AMI_PERMIT
EOF
unset AMI_SECRET
exec "$@"
