"""Telling a web server."""

from __future__ import annotations

import json

import urllib3

from frazil.debug import user_agent
from frazil.hooks.declared import Hook
from frazil.hooks.event import HookEvent

_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_PAUSE_SECONDS = 0.25
_ANSWER = 300
"""Characters of an answer that are shown."""


def call_webhook(hook: Hook, event: HookEvent) -> str | None:
    """POST what happens as JSON; None if the answer is 2xx, else what went wrong.

    Each try ends after the hook's timeout. It is tried again, after a pause that doubles, if
    there was no answer, or one that says that it may be better later. Redirects are not followed.
    """
    assert hook.webhook is not None
    retries = urllib3.Retry(
        total=hook.retries,
        redirect=0,
        status_forcelist=_AGAIN,
        allowed_methods=None,
        backoff_factor=_PAUSE_SECONDS,
        raise_on_status=False,
        raise_on_redirect=False,
        respect_retry_after_header=False,
    )
    try:
        with urllib3.PoolManager() as pool:
            answer = pool.request(
                "POST",
                hook.webhook,
                body=json.dumps(event.to_dict(), default=str).encode(),
                headers={
                    "Content-Type": "application/json",
                    "User-Agent": user_agent(),
                    "X-Frazil-Event": event.event,
                },
                timeout=urllib3.Timeout(hook.timeout),
                retries=retries,
                redirect=False,
                preload_content=False,
            )
            text = answer.read(_ANSWER, decode_content=True).decode("utf-8", "replace")
            answer.release_conn()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        return f"could not be reached: {reason}"
    if 200 <= answer.status < 300:
        return None
    said = " ".join(text.split())
    return f"answered {answer.status}{f': {said}' if said else ''}"
