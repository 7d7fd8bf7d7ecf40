"""The control socket: newline-delimited JSON between the supervisor and its clients."""
