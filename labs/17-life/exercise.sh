#!/bin/sh
# The phoenix.
#
# A service is to be there: when its process dies, another one shall take its
# place. But who has asked it to stop, does not want to see it again. Let
# `sleep 600` stand for the service, and make it a container such that
#    1. its name is `lab-phoenix`, and it runs in the background: this script
#       ends, and the container stays;
#    2. it runs `sleep 600`;
#    3. when its process is killed from outside, a new one is there within
#       seconds;
#    4. its log is one for all its lives: each time that it begins, it says
#       one line, and nothing else;
#    5. `boxwright stop lab-phoenix` ends it, and then it stays down.
#
# The check kills it once, looks for the new process in /proc, stops it, and
# removes it. (A container of that name that is there before belongs to this
# lab: it is removed first.)

boxwright full-run -d --name lab-phoenix host sleep 600
