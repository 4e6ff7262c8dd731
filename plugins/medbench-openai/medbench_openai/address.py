"""Where an endpoint is and which key it gets: what speaks against them, said without quoting what could be a secret."""

from __future__ import annotations

import ipaddress
import os
import re
from urllib.parse import urlsplit

from medbench.errors import Problem

HOME = "https://api.openai.com/v1"
"""Where calls go unless `base_url` says otherwise; the environment is not asked, since an address is part of the identity."""
HOME_KEY = "OPENAI_API_KEY"
"""The variable whose key is sent there, and nowhere else unless `key_env` names it."""


def is_home(base_url: str) -> bool:
    """Say whether an address is OpenAI's own."""
    return base_url.rstrip("/") == HOME


def key_of(base_url: str, key_env: str) -> str:
    """Return the key for an address; empty: none."""
    name = key_env or (HOME_KEY if is_home(base_url) else "")
    return os.environ.get(name, "").strip()


def against_key(base_url: str, key_env: str) -> list[Problem]:
    """Return what speaks against where a key is to come from."""
    if key_env and not re.fullmatch(r"[A-Za-z_]\w*", key_env):
        return [Problem("key_env is not the name of an environment variable", "export NAME=<the key>, then key_env=NAME")]
    if key_env and not os.environ.get(key_env):
        # a pasted key can look like a name: it is not repeated
        return [Problem("key_env names an environment variable that is not set", "export NAME=<the key>, then key_env=NAME")]
    if is_home(base_url) and not key_of(base_url, key_env):
        return [Problem(f"there is no key for {HOME}", f"export {HOME_KEY}=<the key>, or key_env=NAME of another variable")]
    return []


def against_address(base_url: str, *, local: bool, given: bool) -> list[Problem]:
    """Return what speaks against an address.

    Args:
        base_url: The address.
        local: Whether the user states that it is on this machine.
        given: Whether the user named it.
    """
    if not given and os.environ.get("OPENAI_BASE_URL"):
        return [Problem("OPENAI_BASE_URL is set, and an address comes from the options alone", "base_url=ADDRESS, or unset it")]
    try:
        parts = urlsplit(base_url)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        return [Problem("base_url is no web address", "base_url=http://127.0.0.1:8000/v1")]
    if "@" in parts.netloc or parts.query or parts.fragment:
        return [Problem("base_url holds more than an address", "no user, no ?query: a key comes from the environment (key_env=NAME)")]
    if local and not is_loopback(parts.hostname or ""):
        return [Problem(f"local=true: {parts.hostname} is not this machine", "it is for endpoints on localhost, 127.0.0.1 or ::1")]
    return []


def is_loopback(host: str) -> bool:
    """Say whether a host name or address is this machine.

    >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("127.0.0.1.example.org")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
