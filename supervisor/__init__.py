"""Jobvisor: a supervisor for the background jobs of one application.

A job's own code uses ``from supervisor import Worker, job``; nothing else here is public to it.
"""

from supervisor.worker import Worker

__all__ = ["Worker", "__version__"]
__version__ = "0.1.0"
