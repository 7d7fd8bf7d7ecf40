"""The supervision tree: groups of jobs, who waits for whom, and whose failure is whose."""
