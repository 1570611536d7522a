"""``fairthesis chapter``."""

from __future__ import annotations

from pathlib import Path

import click

from fairthesis.cli import _options
from fairthesis.inputs import option_pairs


@click.command()
@click.argument("notebook")
@_options.pairs("-p", "--parameter", "given")
@click.option("--out", type=click.Path(), help="The executed copy.  [default: NAME-executed.ipynb]")
@click.option("--show-parameters", is_flag=True, help="List the notebook's parameters and stop.")
@_options.quiet("No progress bar.")
def command(
    notebook: str, given: tuple[str, ...], out: str | None, show_parameters: bool, quiet: bool
) -> None:
    """Run a chapter's NOTEBOOK in a fresh kernel, with your own parameters.

    A parameter that the notebook does not have is refused. Where a cell fails, nothing is written.

    \b
    Examples:
      fairthesis chapter notebooks/synthetic.ipynb --show-parameters
      fairthesis chapter notebooks/chest_xray.ipynb -p dataset=nih-cxr14 \\
          -p data_root=data/nih -p profile=full --out nih.ipynb
    """
    from fairthesis.study import execute_chapter, notebook_parameters

    path = Path(notebook)
    if show_parameters:
        known = notebook_parameters(path)
        width = max(map(len, known))
        for name, item in known.items():
            note = f"  {item['help']}" if item["help"] else ""
            click.echo(f"{name:{width}}  {item['default']}{note}")
        return
    target = Path(out) if out else Path(f"{path.stem}-executed.ipynb")
    execute_chapter(path, target, option_pairs(given, "--parameter"), progress=not quiet, text=True)
    click.echo(f"{target}: {path.name} executed.")
