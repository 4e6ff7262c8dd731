"""`python -m medbench_llava.launch NAME`: print where a configuration lies, for `accelerate launch --config_file`."""

from __future__ import annotations

import sys

from medbench.errors import UsageError
from medbench_llava.launch import configuration, configurations


def main(arguments: list[str]) -> int:
    """Print the path of a configuration; without a name, all names and paths."""
    try:
        lines = [str(configuration(name)) for name in arguments] or [f"{name}  {path}" for name, path in configurations().items()]
    except UsageError as error:
        sys.stderr.write(f"error: {error.message}\nhint:  {error.hint}\n")
        return error.exit_code
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
