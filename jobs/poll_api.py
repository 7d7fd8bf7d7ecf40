"""Asks an HTTP API for its state, with a time-out and a clear failure."""

import json
import urllib.error
import urllib.request


class PollError(Exception):
    """The API could not be asked, or what it answered is of no use."""


def poll(url: str, timeout_seconds: float = 10.0) -> None:
    """Fetch JSON from ``url`` and print what it says.

    Raises:
        PollError: the API is down, slow, answers an error or something other than JSON; the run fails with this text.
    """
    if not url.startswith(("http://", "https://")):
        raise PollError(f"{url}: not an http or https URL")
    try:
        with urllib.request.urlopen(url, timeout=timeout_seconds) as response:  # noqa: S310  # checked above
            body = response.read()
    except urllib.error.HTTPError as error:
        raise PollError(f"{url} answered {error.code} {error.reason}") from error
    except TimeoutError as error:
        raise PollError(f"{url} did not answer within {timeout_seconds:g} s") from error
    except urllib.error.URLError as error:
        raise PollError(f"{url} cannot be reached: {error.reason}") from error
    try:
        state = json.loads(body)
    except ValueError as error:
        raise PollError(f"{url} answered {len(body)} bytes that are not JSON") from error
    print(f"{url} says {json.dumps(state)}")
