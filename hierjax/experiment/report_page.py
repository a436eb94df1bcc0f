"""What reports of all kinds share: templates, figures inside the page, and a file that is whole."""

import base64
import os
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from hierjax.hyperpriors import MeanConcentration, PowerLaw, Shapes
from hierjax.model import Model
from hierjax.plots.diagram import distribution_text
from hierjax.plots.picture import Picture

__all__ = ["figures_in", "hyperprior_parts", "images_of", "page", "write_page"]


def page(template: str, **shown: Any) -> str:
    """A page of HTML that needs nothing beside itself.

    Args:
        template: Name of its template in this package.
        shown: What the template shows; all of it is escaped.

    Returns:
        The page.
    """
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_template),
    )
    environment.globals["formula"] = _formula
    text = environment.get_template(template).render(**shown)
    return text if text.endswith("\n") else text + "\n"


def _formula(text: str) -> Markup:
    """Text in which y_j, and the j of a unit j, are written as in formulas."""
    found = re.sub(r"\b([a-z])_j\b", r"<i>\1</i><sub><i>j</i></sub>", str(escape(text)))
    found = re.sub(r"(\w)_j\b", r"\1<sub><i>j</i></sub>", found)
    return Markup(re.sub(r"\bunit j\b", "unit <i>j</i>", found))


def _template(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def figures_in(
    pictures: Iterable[Picture], images: Mapping[str, bytes], sections: Iterable[str]
) -> dict[str, list[dict[str, Any]]]:
    """Figures by the section that shows them, their files inside the page.

    Args:
        pictures: The figures.
        images: PNG files by the figures' names; figures without one are left out.
        sections: Names of the sections.

    Returns:
        Each section's figures, in order.
    """
    found: dict[str, list[dict[str, Any]]] = {section: [] for section in sections}
    for picture in pictures:
        if picture.name in images:
            data = base64.b64encode(images[picture.name]).decode("ascii")
            found[picture.section].append({"picture": picture, "data": data})
    return found


# The hyperparameters as the model's formulas have them.
_SYMBOLS = {
    "shape_rate": {"shape": "a", "rate": "b"},
    "mean_concentration": {"mean": "a / b", "concentration": "b"},
    "mean_scale": {"mean": "μ", "scale": "τ"},
}


def hyperprior_lines(hyperprior: Any) -> list[str]:
    """A hyperprior in words, one line for each parameter that has a distribution of its own."""
    parts = vars(hyperprior).items()
    symbols = _SYMBOLS.get(str(hyperprior.kind), {})
    lines = [
        f"{symbols.get(name, name)} ~ {distribution_text(part)}"
        for name, part in parts
        if not is_number(part)
    ]
    if lines:
        return lines
    settings = ", ".join(f"{name} {part:g}" for name, part in parts if part is not None)
    kind = str(hyperprior.kind).replace("_", " ")
    return [f"hyperprior: {kind}{f' ({settings})' if settings else ''}"]


def is_number(value: Any) -> bool:
    """Whether a hyperprior's part is no distribution."""
    return value is None or isinstance(value, int | float)


def hyperprior_parts(model: Model | None) -> dict[str, Any]:
    """What a template writes as a formula.

    Args:
        model: The model; None where no method found one.

    Returns:
        The hyperprior's kind, and the parts of its text.

    Example:
        >>> hyperprior_parts(Model())
        {'kind': 'power_law', 'exponent': '2.5'}
    """
    if model is None:
        return {"kind": "none"}
    match model.hyperprior:
        case PowerLaw(exponent):
            return {"kind": "power_law", "exponent": f"{float(exponent):g}"}
        case MeanConcentration(mean, concentration):
            parts = {"first": distribution_text(mean), "second": distribution_text(concentration)}
        case Shapes(alpha, beta):
            parts = {"first": distribution_text(alpha), "second": distribution_text(beta)}
        case _:
            return {"kind": "other", "lines": hyperprior_lines(model.hyperprior)}
    return {"kind": model.hyperprior.kind, **parts}


def images_of(directory: Path) -> dict[str, bytes]:
    """The figures that a run's directory holds, by their names."""
    files = sorted((directory / "figures").glob("*.png"))
    return {path.stem: path.read_bytes() for path in files}


def write_page(directory: Path, text: str) -> Path:
    """Writes ``report.html``.

    Args:
        directory: The run's directory.
        text: The page.

    Returns:
        The file, which is whole or not there.
    """
    path = directory / "report.html"
    partial = path.with_name(".report.html.partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    os.replace(partial, path)
    return path
