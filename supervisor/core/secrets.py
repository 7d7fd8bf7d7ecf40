"""Which names tell that a value is a secret."""

import re

_TELLING = re.compile(r"PASS|SECRET|TOKEN|KEY|CREDENTIAL|AUTH|DSN|PRIVATE|COOKIE|SESSION|_URL\Z|_URI\Z", re.IGNORECASE)


def is_telling(name: str) -> bool:
    """Tell whether what has this name is kept from records, and from people's eyes."""
    return _TELLING.search(name) is not None
