"""The page to try the models on: files as they are sent, from this server alone."""

from pathlib import Path

from starlette.responses import Response

HERE = Path(__file__).parent
FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def page_file(path: str) -> Response:
    """Return one of `FILES`."""
    name, kind = FILES[path]
    return Response((HERE / name).read_text(encoding="utf-8"), headers=HEADERS, media_type=kind)
