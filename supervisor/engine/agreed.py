"""What the supervisor, the fork server and a job's process take for granted of each other: numbers and names.

It is a module of its own so that the supervisor need not import what runs in the others.
"""

import signal

CHANNEL_FD = 3
"""The job's end of its channel, in the job's process."""
STACK_FD = 4
"""Where a Python job's stacks are written when it gets STACK_SIGNAL: by faulthandler, as the fork server set it up."""
STACK_SIGNAL = signal.SIGRTMIN + 7
FORK_SERVER = "jobvisor-fork"
"""What the kernel calls the fork server, and those it has forked until they exec."""
PLACEHOLDER = "-" * 20
"""The run id in the environment of the fork server, as long as the longest: each child writes its own over it."""
