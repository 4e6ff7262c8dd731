"""Where models run: in this process, or in a child process of this machine."""

from __future__ import annotations
