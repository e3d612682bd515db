"""How large the models of a bench are."""

from collections.abc import Mapping
from typing import Any


def sizes_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a BART's or an ELMER's configuration that the options `layers` and `d_model` stand for."""
    width = settings["d_model"]
    sizes = {"layers": settings["layers"], "ffn_dim": 4 * width, "attention_heads": max(width // 64, 1)}
    found = {f"{part}_{name}": size for part in ("encoder", "decoder") for name, size in sizes.items()}
    return found | {"d_model": width}
