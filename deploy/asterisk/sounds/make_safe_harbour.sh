#!/bin/sh
# Makes safe-harbour.wav, the SAMPLE of the message that an answered shopper hears when no agent is free.
# Operators must replace it with their own name and number, and say that the key 9 opts out: what must be said, and for
# how long that number must work, is law that differs from country to country.
#
#   ./make_safe_harbour.sh ["your text"]       needs espeak-ng and sox
#
# Asterisk plays 8 kHz, 16 bit, mono.
set -eu
text=${1:-"Sample, to be replaced: Example Shop, 2 0 2 5 5 5 0 1 0 0. Press 9 to opt out."}
out=$(dirname "$0")/safe-harbour.wav
spoken=$(mktemp)
trap 'rm -f "$spoken"' EXIT
espeak-ng -v en-us -s 210 -g 0 -w "$spoken" "$text"
sox -q -D "$spoken" -r 8000 -c 1 -b 16 -t wav "$out" gain -n -6 silence 1 0.01 0.5% reverse silence 1 0.01 0.5% reverse pad 0.1 0.2
