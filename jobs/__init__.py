"""Example jobs, of the kinds that Phoenix applications run as GenServers: a clock, a poller, a clean-up, a batch."""
