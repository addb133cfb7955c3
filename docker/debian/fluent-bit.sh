#!/bin/sh
# fluent-bit.sh: prints the path of this machine's Fluent Bit: the one on the PATH, else the one where the official packages put
# it. Exit 1 where there is none.
command -v fluent-bit && exit
official=/opt/fluent-bit/bin/fluent-bit
[ -x "$official" ] && echo "$official"
