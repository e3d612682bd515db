"""The rows: which model each is, and what it learns from."""

from dataclasses import dataclass

AUTOREGRESSIVE = "autoregressive"
BEAMS = 5


@dataclass(frozen=True)
class Row:
    """One way to write.

    Attributes:
        key: its name on the command line and its folder's.
        alignment: ELMER's, or "autoregressive" for BART.
        canvas_input, copies, exit_mode, norms_first: `ElmerConfig`'s canvas_input, copy_source, exit_mode and
            normalize_before; of BART, copying alone.
        glances: whether training shows some of the tokens that a first pass gets wrong.
        distilled: whether it learns from the teacher's texts.
    """

    key: str
    alignment: str
    canvas_input: str = "mask"
    copies: bool = False
    exit_mode: str = "last"
    glances: bool = False
    norms_first: bool = True
    distilled: bool = False

    @property
    def model(self) -> str:
        """What the host calls its model."""
        return "BART" if self.alignment == AUTOREGRESSIVE else "ELMER"

    def fields(self, canvas_scale: float) -> dict[str, object]:
        """Return its model's fields; a graph's and a CTC's canvas has `canvas_scale` positions a token."""
        if self.model == "BART":
            return {}
        return {
            "alignment": self.alignment,
            "canvas_scale": 1 if self.alignment == "position" else canvas_scale,
            "canvas_input": self.canvas_input,
            "copy_source": self.copies,
            "exit_mode": self.exit_mode,
            "normalize_before": self.norms_first,
        }

    def decodings(self) -> dict[str, dict[str, object]]:
        """Return the options of `generate` for each way in which it may write."""
        if self.model == "BART":
            beams = {"greedy": 1, f"{BEAMS} beams": BEAMS}
            return {name: {"num_beams": count, "do_sample": False} for name, count in beams.items()}
        if self.alignment == "dag":
            return {name: {"decoding": name} for name in ("greedy", "lookahead", "viterbi")}
        return {"parallel": {}}


def _elmer(
    alignment: str,
    canvas_input: str = "source",
    copies: bool = True,
    exit_mode: str = "last",
    glances: bool | None = None,
    norms_first: bool = True,
    distilled: bool = False,
) -> Row:
    """Return a row whose key names what it has; a canvas that shows the source is trained with glancing."""
    glances = canvas_input == "source" if glances is None else glances
    parts = [alignment, canvas_input, *["copy"] * copies, *["soft"] * (exit_mode == "soft")]
    parts += ["unglanced"] * (canvas_input == "source" and not glances) + ["postnorm"] * (not norms_first)
    key = "-".join([*parts, *["distilled"] * distilled])
    return Row(key, alignment, canvas_input, copies, exit_mode, glances, norms_first, distilled)


TEACHER = Row("bart-copy", AUTOREGRESSIVE, copies=True)
ROWS = (
    _elmer("position", "mask", copies=False, exit_mode="soft", norms_first=False),  # the published ELMER
    _elmer("position", "mask", copies=False),
    _elmer("position", copies=False, exit_mode="soft"),
    _elmer("position", exit_mode="soft"),
    _elmer("position", exit_mode="soft", distilled=True),
    _elmer("ctc", copies=False),
    _elmer("ctc"),
    _elmer("ctc", exit_mode="soft"),
    _elmer("ctc", distilled=True),
    _elmer("dag", "mask", copies=False),
    _elmer("dag", "mask"),
    _elmer("dag", "mask", norms_first=False),
    _elmer("dag", "mask", exit_mode="soft"),
    _elmer("dag", "mask", distilled=True),
    _elmer("dag", "mask", exit_mode="soft", distilled=True),
    _elmer("dag", copies=False),
    _elmer("dag"),
    _elmer("dag", glances=False),
    _elmer("dag", glances=False, distilled=True),
    Row("bart", AUTOREGRESSIVE),
    TEACHER,
)
