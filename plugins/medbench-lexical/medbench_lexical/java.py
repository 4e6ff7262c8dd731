"""The Java programs that COCOEvalCap ships: where they are, and one way of running them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from medbench.errors import PluginError, UsageError


def java(purpose: str) -> str:
    """Return the path of a Java runtime; `purpose` begins the message when there is none.

    Raises:
        UsageError: no `java` on the PATH nor under JAVA_HOME.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java") or (shutil.which("java", path=str(Path(home) / "bin")) if home else None)
    if not found:
        raise UsageError(f"{purpose} needs Java: no `java` on the PATH", hint="install a Java runtime (8 or newer), or set JAVA_HOME")
    return found


def bundled(relative: str) -> Path:
    """Return a file of the installed pycocoevalcap; nothing of it is imported.

    Raises:
        PluginError: the package, or the file in it, is missing.
    """
    spec = importlib.util.find_spec("pycocoevalcap")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(place) / relative
        if path.is_file():
            return path
    raise PluginError(f"pycocoevalcap/{relative} is missing", hint="pip install --force-reinstall pycocoevalcap")


def run(purpose: str, arguments: Sequence[str], *, folder: Path | None = None) -> str:
    """Run Java with UTF-8 whatever the locale, and return what it wrote to its standard output.

    Raises:
        UsageError: there is no Java.
        PluginError: the program failed; the message carries its last line, which holds no text of a report.
    """
    command = [java(purpose), "-Dfile.encoding=UTF-8", "-XX:+UseSerialGC", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)  # noqa: S603 - our own jar, no shell
    if done.returncode:
        faults = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if "Exception" in line or "Error" in line]
        reason = faults[0].split(":")[0] if faults else f"exit status {done.returncode}"
        raise PluginError(f"{purpose}: Java failed ({reason})", hint="is there memory left, and is the Java runtime whole?")
    return done.stdout.decode("utf-8", "replace")
