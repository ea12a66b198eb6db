"""The command line: names, help and what is printed; every decision is made in the modules beside this one."""

import gc
import inspect
import signal
import sys
import traceback

import typer

from mlops import display
from mlops.cli import infra, laptop, model, registry, release, setup, watch, workflow
from mlops.errors import BadInput, Failure

app = typer.Typer(
    name="mlops",
    help="Take a model from a feature branch to production on Amazon SageMaker.\n\n"
    "mlops --debug COMMAND shows where a command failed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for part in (model, release, registry, watch, workflow, setup, laptop):
    app.add_typer(part.app)
app.add_typer(registry.group_commands, name="groups")
app.add_typer(setup.bootstrap_commands, name="bootstrap")
app.add_typer(infra.commands, name="infra")
app.add_typer(laptop.sandbox_commands, name="sandbox")
for group in app.registered_groups:
    for command in group.typer_instance.registered_commands if group.typer_instance else []:
        # In the list of commands the whole sentence, not cut; in a command's own help the example on a line of its own.
        what, _, example = (inspect.getdoc(command.callback) or "").partition("Example: ")
        command.short_help = " ".join(what.split())
        command.help = f"{what.strip()}\n\n\b\nExample: {example}"

UsageError = typer.BadParameter.__mro__[1]
"""What Typer raises for a wrong option or argument; it exports only its subclass."""


def main() -> None:
    """Run the command line and end the process with its exit code; SIGTERM ends it as Ctrl-C does, with its jobs."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    code = execute(sys.argv[1:])
    # To look for garbage once more before everything goes takes a tenth of a second.
    gc.disable()
    sys.exit(code)


def execute(arguments: list[str]) -> int:
    """Run one command in this process.

    Args:
        arguments: what follows `mlops` on the command line.

    Returns:
        0 when it did what was asked, 1 when an operation failed, 2 when what was given is not allowed.
    """
    debug = arguments[:1] == ["--debug"]
    try:
        arguments = arguments[1:] if debug else arguments
        result = app(args=arguments, prog_name="mlops", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except KeyboardInterrupt:
        display.error("interrupted; run the same command again to carry on")
        return 130
    except Exception as error:
        if debug:
            traceback.print_exc()
        return explain(error)


def explain(error: Exception) -> int:
    """Print why a command failed and give its exit code; what nobody foresaw is raised as it is."""
    if isinstance(error, BadInput | Failure):
        display.error(str(error))
        return error.exit_code
    if isinstance(error, UsageError):
        text = str(error.format_message())  # type: ignore[attr-defined]
        if text.startswith("Usage: "):  # a group of commands alone, whose help is the answer
            print(text, file=sys.stderr)
            return 2
        path = getattr(getattr(error, "ctx", None), "command_path", "mlops")
        text = " ".join(text.split()).replace("Value error, ", "")
        display.error(f"{text} ({path} --help lists what there is)")
        return 2
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, BotoCoreError | ClientError):
        from mlops.aws import reason

        operation = error.operation_name if isinstance(error, ClientError) else "AWS"
        display.error(f"{operation}: {reason(error)}; run the same command again to carry on (--debug shows where)")
        return 1
    raise error
