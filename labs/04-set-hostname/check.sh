# What are the hosts called on which the learner's two processes run, and what is the machine called?

machine=$(uname -n)
baseline 'the machine is called neither castle nor village' \
	test "$machine" != castle -a "$machine" != village

# The name that uname(2) tells a process.
called() {
	test "$(inside "$1" --uts uname -n)" = "$2"
}

begin_in_world --uts
payload sleep 600
castle=$pid
payload tail
village=$pid

# A moment, because somebody may name them from outside after they have begun.
expect 'the sleep lives on a host called castle' within 3 called "$castle" castle
expect 'the tail lives on a host called village' within 3 called "$village" village
expect 'and the machine is called as before' called "$exercise" "$machine"
