"""The command line: ``python -m trendcast COMMAND``. One module of ``trendcast.commands`` per command."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from types import ModuleType

from trendcast import __version__, commands, settings
from trendcast.errors import TrendCastError


def command_modules() -> dict[str, ModuleType]:
    """Command name -> its module, every module of ``trendcast.commands`` that has ``run``."""
    found = {}
    for info in pkgutil.iter_modules(commands.__path__):
        module = importlib.import_module(f"{commands.__name__}.{info.name}")
        if hasattr(module, "run"):
            found[info.name.replace("_", "-")] = module
    return found


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m trendcast", description="Demand forecasts for retailers.")
    top.add_argument("--version", action="version", version=__version__)
    choices = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in command_modules().items():
        sub = choices.add_parser(name, help=module.HELP, description=module.HELP)
        sub.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code: 0, 1 (failed), 2 (bad usage), 3 (a batch is held)."""
    args = parser().parse_args(arguments)
    try:
        return args.run(args, settings.load())
    except TrendCastError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output is gone (`| head`): nothing is left to say, also not at interpreter exit.
        sys.stderr.close()
        return 1


if __name__ == "__main__":
    sys.exit(main())
