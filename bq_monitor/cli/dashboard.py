"""`bq-monitor dashboard`: the live page."""

from __future__ import annotations

from collections.abc import Sequence

import click


@click.command()
@click.argument("config", nargs=-1, metavar="[CONFIG...]")
@click.option("--warehouse", metavar="URL", help="A warehouse to show, too, or without any CONFIG: then read-only.")
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True, help="Where to listen.")
@click.option("--host", default="127.0.0.1", show_default=True, help="On which address to listen.")
@click.option(
    "--as", "name", metavar="NAME", help="Whoever looks may change alerts, under this name; on this machine only."
)
@click.option("--iap-audience", "audience", metavar="AUD", help="Whoever Identity-Aware Proxy vouches for, to this audience, may change "
              "alerts.")  # fmt: skip
def dashboard(
    config: Sequence[str], *, warehouse: str | None, port: int, host: str, name: str | None, audience: str | None
) -> None:
    """Serve the live page over the warehouses of monitors. Ctrl-C ends it.

    Read-only, unless --as or --iap-audience says who looks.
    """
    from bq_monitor.config_files import load_configs
    from bq_monitor.dashboard.identity import require_one
    from bq_monitor.dashboard.serving import Settings, require_streamlit, serve

    if not config and not warehouse:
        raise click.UsageError("Give a CONFIG, or --warehouse URL: what is to be shown?")
    require_one(name, audience, host)
    require_streamlit()
    if config:
        load_configs(list(config))
    rights = f"changes as {name}" if name else "changes by those whom IAP vouches for" if audience else "read-only"
    shown = f"[{host}]" if ":" in host else host
    print(f"dashboard: http://{shown}:{port} ({rights}); Ctrl-C ends it", flush=True)
    serve(Settings(tuple(config), warehouse, name, audience), host, port)
