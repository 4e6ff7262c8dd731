"""The Java programs that COCOEvalCap ships: where they are, and one way of running them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from medbench.errors import PluginError, UsageError

METEOR = "meteor/meteor-1.5.jar"


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


def run(purpose: str, arguments: Sequence[str], *, long: bool = False) -> str:
    """Run Java in UTF-8 and English whatever the locale, and return what it wrote to its standard output.

    Args:
        purpose: Begins the message when it fails.
        arguments: What follows the options that every call has.
        long: It will take more than a few seconds, so that thorough compilation pays; short calls take half the time without.

    Raises:
        UsageError: there is no Java.
        PluginError: the program failed; the message carries its last line, which holds no text of a report.
    """
    # Java lower-cases by the rules of its user's language: a Turkish one knows no dotted capital I.
    options = ["-Dfile.encoding=UTF-8", "-Duser.language=en", "-Duser.country=US", "-XX:+UseSerialGC"]
    command = [java(purpose), *options, *(() if long else ("-XX:TieredStopAtLevel=1",)), *arguments]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own jar, no shell
    if done.returncode:
        faults = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if "Exception" in line or "Error" in line]
        reason = faults[0].split(":")[0] if faults else f"exit status {done.returncode}"
        raise PluginError(f"{purpose}: Java failed ({reason})", hint="is there memory left, and is the Java runtime whole?")
    return done.stdout.decode("utf-8", "replace")
