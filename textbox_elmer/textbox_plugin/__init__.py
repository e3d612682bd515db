"""ELMER inside the user's own TextBox 2.0 checkout, on today's libraries.

In a script that runs inside the checkout, before anything of `textbox` is imported:

    import textbox_elmer.textbox_plugin as p

    p.register()
    from textbox import run_textbox

None of the checkout's files is edited.
"""

from typing import TYPE_CHECKING

from textbox_elmer.lazy import lazily

if TYPE_CHECKING:
    from textbox_elmer.textbox_plugin.registration import register

__all__ = ["register"]
__getattr__, __dir__ = lazily(__name__, {"register": "textbox_elmer.textbox_plugin.registration"})
