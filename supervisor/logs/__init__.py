"""The output of jobs: the log process that writes it, its client in the supervisor, and reading it back."""
