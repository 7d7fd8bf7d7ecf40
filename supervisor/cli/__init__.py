"""The commands, one file each; all but ``run`` are clients of the control socket."""
