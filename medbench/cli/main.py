"""The app, its verbs, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, NoReturn

import typer

from medbench.errors import MedbenchError, PlanError, UsageError, suggestion

INTERRUPTED = 130

HELP = "Benchmark multimodal medical models: every number with its interval, its n and the named convention it was computed under."
VERBS = {
    "run": "run:run",
    "score": "score:score",
    "fit": "fit:fit",
    "suite": "suite:suite",
    "list": "listing:app",
    "show": "show:app",
    "runs": "runs:runs",
    "samples": "samples:samples",
    "report": "report:report",
    "compare": "compare:compare",
    "diff": "diff:diff",
    "agree": "agree:agree",
    "rate": "rate:rate",
    "conventions": "conventions:conventions",
    "leaderboard": "leaderboard:app",
    "twin": "twin:twin",
    "export": "export:export",
    "convert": "convert:convert",
    "plugins": "plugins:plugins",
    "doctor": "doctor:doctor",
    "config": "config:config",
}
"""Verb -> module of this package and what it holds: a command, or a group of them."""

_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
_ClickError: type[Exception] = _UsageError.__bases__[0]


def _print_version(wanted: bool) -> None:
    if wanted:
        import medbench

        typer.echo(f"medbench {medbench.__version__}")
        raise typer.Exit


def _options(
    *,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    pass


def build_app(verbs: Iterable[str] = VERBS) -> typer.Typer:
    """Return the app with these verbs: all of them for help, the one that was typed for speed."""
    app = typer.Typer(
        name="medbench",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        epilog="Start here: medbench run --task vqa-rad --model majority --data twin",
    )
    app.callback(help=HELP)(_options)
    for verb in verbs:
        module, _, name = VERBS[verb].partition(":")
        held = getattr(import_module(f"medbench.cli.{module}"), name)
        if isinstance(held, typer.Typer):
            app.add_typer(held, name=verb)
        else:
            app.command(verb)(held)
    return app


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code that says how it went."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a sign shows another, instead of a traceback
    sys.exit(run_app(arguments))


def run_app(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 done, 2 cannot be carried out, 3 with failed samples, 130 interrupted."""
    try:
        code = _carry_out(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except MedbenchError as error:
        say(error)
        return error.exit_code
    except typer.Exit as done:
        return done.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted: what was done is kept, the same command goes on", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # the reader of our output went away (head, less): nothing to say, and nothing more to write
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except _ClickError as error:
        _say_usage(error)
        return 2
    return code if isinstance(code, int) else 0


def _carry_out(arguments: list[str]) -> object:
    """Parse and call the verb; not by typer's own `main`, which answers interrupts and closed pipes by itself."""
    _refuse_torn_text(arguments)
    typed = arguments[0] if arguments and arguments[0] in VERBS else None
    command = typer.main.get_command(build_app([typed] if typed else VERBS))
    with command.make_context("medbench", list(arguments)) as context:
        return command.invoke(context)


def say(error: MedbenchError) -> None:
    """Print what is wrong and what would help."""
    problems = error.problems if isinstance(error, PlanError) else ()
    if len(problems) > 1:
        print(f"error: {error.message}", file=sys.stderr)
        for problem in problems:
            print(f"  {problem.message}", file=sys.stderr)
            for line in problem.hint.splitlines():
                print(f"      {line}", file=sys.stderr)
        return
    message, hint = (problems[0].message, problems[0].hint) if problems else (error.message, error.hint)
    print(f"error: {message}", file=sys.stderr)
    for number, line in enumerate(hint.splitlines()):
        print(f"{'hint:' if not number else '     '}  {line}", file=sys.stderr)


def _refuse_torn_text(arguments: list[str]) -> None:
    """Refuse what the locale could not decode: it can be written to no record."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = argument.encode(errors="backslashreplace").decode()
            raise UsageError(f"{shown} is not text in this locale", hint="use a UTF-8 locale (LC_ALL=C.UTF-8) and names") from None


def _say_usage(error: Exception) -> None:
    """Print a mistake on the command line itself in one line, with the nearest names; a bare group is met with its help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error, file=sys.stderr)
        return
    message = getattr(error, "message", None) or str(error)
    parameter = getattr(error, "param", None)
    if parameter is not None:
        said = getattr(error, "message", None) or "it is missing"
        message = f"{parameter.opts[0]}: {said[:1].lower()}{said[1:]}"
    near = getattr(error, "possibilities", None) or ()
    name = getattr(error, "option_name", "")
    context = getattr(error, "ctx", None)
    if name and not near and context is not None:
        near = [option for parameter in context.command.params for option in parameter.opts]
        hint = suggestion(name, near)
    else:
        hint = f"did you mean {' or '.join(near)}?" if near else ""
    where = f" {context.command_path.removeprefix('medbench').strip()}".rstrip() if context else ""
    print(f"error: {message[:1].lower()}{message[1:]}", file=sys.stderr)
    print(f"hint:  {hint + '   ' if hint else ''}(medbench{where} --help)", file=sys.stderr)
