"""What the machine knows of groups, for those who read their names in a manifest."""

import grp


class UnknownAccountError(LookupError):
    """The machine knows no such user or group."""


def gid_of(group: str | int, key: str = "group_id") -> int:
    """Return the number of a group that stands under a key of the manifest.

    Raises:
        UnknownAccountError: there is none of this name; the text says what to do.
    """
    if isinstance(group, int):
        return group
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise UnknownAccountError(
            f'there is no group "{group}" on this machine; create it, or correct `{key}`'
        ) from None
