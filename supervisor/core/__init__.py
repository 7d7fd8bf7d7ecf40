"""What Jobvisor decides: values in, values out. No I/O, no clock, no processes; ``now`` is an argument."""
