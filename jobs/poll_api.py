"""Asks an HTTP API for its state every five minutes: the API poller of a Phoenix application."""

import json
import urllib.error
import urllib.request
from http.client import HTTPException

_LARGEST = 1_000_000
"""Bytes of an answer that are read; more is no state of an API."""


class PollError(Exception):
    """The API could not be asked, or what it answered is of no use."""


def poll(url: str, timeout_seconds: float = 10.0) -> None:
    """Fetch JSON from ``url`` and print what it says.

    Args:
        url: an http or https address.
        timeout_seconds: how long the API may be silent, while connecting and between two pieces of its answer; how
            long the whole run may take is ``timeout`` in jobs.toml.

    Raises:
        PollError: the API is down, silent, answers an error or something other than JSON; the run fails with this text.
    """
    if not url.startswith(("http://", "https://")):
        raise PollError(f"{url}: not an http or https address")
    try:
        with urllib.request.urlopen(url, timeout=timeout_seconds) as response:  # noqa: S310  # checked above
            body: bytes = response.read(_LARGEST)
    except urllib.error.HTTPError as error:
        error.close()
        raise PollError(f"{url} answered {error.code} {error.reason}") from None
    except TimeoutError:
        raise PollError(f"{url} did not answer within {timeout_seconds:g} s") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise PollError(f"no connection to {url} within {timeout_seconds:g} s") from None
        raise PollError(f"{url} cannot be reached: {error.reason}") from None
    except (HTTPException, OSError) as error:
        raise PollError(f"{url} broke off its answer: {error}") from None
    try:
        state = json.loads(body)
    except ValueError:
        raise PollError(f"{url} answered {len(body)} bytes that are not JSON") from None
    print(f"{url} says {json.dumps(state)}")
