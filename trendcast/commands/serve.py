"""``serve``: dashboard, REST service and worker in one process, as ``streamlit run streamlit_app.py`` does."""

from __future__ import annotations

import argparse
from pathlib import Path

from trendcast.errors import UsageError
from trendcast.settings import Settings

HELP = "serve the dashboard, the REST service and the worker"
ENTRY = Path(__file__).resolve().parents[2] / "streamlit_app.py"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--address", help="where to listen (default: server.address in .streamlit/config.toml)")
    parser.add_argument("--port", type=int, help="default: server.port in .streamlit/config.toml, else 8501")


def run(args: argparse.Namespace, settings: Settings) -> int:
    if args.json:
        raise UsageError("serve runs until it is stopped and has no JSON document to print.")
    options = []
    if args.address:
        options += ["--server.address", args.address]
    if args.port is not None:
        if not 0 <= args.port <= 65535:
            raise UsageError("--port must be between 0 and 65535.")
        options += ["--server.port", str(args.port)]
    # Streamlit opens its port and then imports the app, for seconds in which whoever connects gets no answer. With the
    # app imported first, a proxy in front sees a closed port and takes another replica.
    from trendcast import server

    return server.run(["run", str(ENTRY), *options])
