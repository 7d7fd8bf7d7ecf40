"""What the supervisor answers on its control socket."""

from supervisor.answers.answers import Answers

__all__ = ["Answers"]
