"""One ``[groups.NAME]`` table, every default filled in. Made by ``core.manifest``, never changed."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from supervisor.core.job import Backoff, Limit, OnGiveUp, Origin
from supervisor.values import dataclass, field


class Strategy(StrEnum):
    """Who is restarted with a member that is to be restarted (OTP's words)."""

    ONE_FOR_ONE = "one_for_one"
    """It alone."""
    ONE_FOR_ALL = "one_for_all"
    """All members."""
    REST_FOR_ONE = "rest_for_one"
    """It and those after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Jobs and groups that are supervised together; its limit is shared by its members."""

    name: str
    strategy: Strategy = Strategy.ONE_FOR_ONE
    limit: Limit = field(default_factory=lambda: Limit(max_restarts=None, within=timedelta(seconds=60)))
    backoff: Backoff | None = field(default_factory=Backoff)
    """Of the members that say nothing of their own, groups included."""
    on_give_up: OnGiveUp = OnGiveUp.FENCE
    parent: str | None = None
    where: str = ""
    """``file:line`` of its table, for messages."""
    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False)
    """Where the settings that somebody has written in its table stand, by key."""
