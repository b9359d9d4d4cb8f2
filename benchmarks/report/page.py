"""Pages: one template environment, one style, one file that needs no network.

A page extends ``base.html`` (blocks ``title``, ``heading``, ``lead``, ``facts``, ``nav``,
``content``, ``data``, ``style``) and borrows the macros of ``parts.html`` (``howto``, ``chart``,
``interval``, ``clip``). Everything that comes from a record is escaped by the templates.
"""

import base64
import json
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"


def script_json(value: object) -> Markup:
    """Return ``value`` as JSON that is safe inside a ``<script>`` element; NaN is refused."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # escaped above


def percent(value: float | None, digits: int = 1) -> str:
    """Write a share 0..1 in percent, or a dash for ``None``."""
    return "\u2013" if value is None else f"{100 * value:.{digits}f}\u202f%"


def points(value: float | None) -> str:
    """Write a difference of shares in percentage points with its sign, or a dash for ``None``."""
    if value is None:
        return "\u2013"
    text = f"{100 * value:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "\u2212")


@cache
def environment() -> Environment:
    """Return the template environment: strict about names, escaping what it prints."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters.update(script_json=script_json, percent=percent, points=points)
    return env


def render(template: str, /, **context: object) -> str:
    """Return the page that ``template`` makes of ``context``.

    A page with charts passes ``vega=vega_script()`` and prints it in its ``data`` block.
    """
    return environment().get_template(template).render(**context)


@cache
def vega_script() -> Markup:
    """Return Vega, Vega-Lite and Vega-Embed as one script body (0.9 MB, from vl-convert)."""
    import vl_convert  # 40 MB of library, only for pages with charts

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return Markup(bundle.replace("</script", "<\\/script"))  # a pinned library, not record text


def base64_file(path: Path) -> str:
    """Return the bytes of a file (a video, a picture) as base64 text for the ``clip`` macro."""
    return base64.b64encode(path.read_bytes()).decode("ascii")
