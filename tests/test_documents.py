"""What README, docs and CONTRIBUTING tell the reader to type, in small, in a folder that has what they name.

Every block of code is one in ```bash, ```python or ```text, the last for what is not to be run. A block that cannot be
run here says why, in a comment on the line before it: <!-- not run: why -->.
"""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.documents import project, shell
from tests.documents.blocks import Block, read_blocks
from tests.documents.programs import PROGRAMS, REPOSITORY
from textbox_elmer.cli import main

DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
README, MOST_LINES = DOCUMENTS[0], 200


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that documents name."""
    folder, before = tmp_path_factory.mktemp("project"), Path.cwd()
    os.chdir(folder)
    try:
        project.make_project(folder)
    finally:
        os.chdir(before)
    return folder


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_of_a_document(
    document: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """One after the other, as a reader who begins at the top."""
    blocks = read_blocks(document)
    monkeypatch.chdir(shutil.copytree(prepared, tmp_path / "project"))
    # Several runs of one command have a process each, which would take ten times as long to start as to run.
    monkeypatch.setattr("textbox_elmer.trials.trial._run", main)
    names: dict[str, object] = {}
    for block in blocks:
        if block.reason:
            print(f"{block.where}: not run: {block.reason}")
        elif block.language == "python":
            exec(compile(project.placed(block.text), block.where, "exec"), names)
        elif block.language == "bash":
            run_commands(block, capsys)


def run_commands(block: Block, capsys: pytest.CaptureFixture) -> None:
    for command in shell.commands(block.text):
        try:
            shell.run(project.placed(command), PROGRAMS)
        except AssertionError as error:
            said = capsys.readouterr().err.strip().splitlines()[-1:]
            pytest.fail(f"{block.where}: {command}\n{error}\n{''.join(said)}", pytrace=False)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in links(document):
        path, _, anchor = target.partition("#")
        page = document.parent / path if path else document
        assert page.exists(), f"{document.name}: there is no {path}"
        assert not anchor or anchor in anchors(page), f"{document.name}: {page.name} has no heading #{anchor}"


def test_readme_leads_to_every_document() -> None:
    unlinked = {str(page.relative_to(REPOSITORY)) for page in DOCUMENTS[1:]} - set(links(README))
    assert not unlinked, "add them to the last section of README.md"


def test_readme_can_be_read_at_once() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MOST_LINES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Type\n\n    make test\n", "page.md:3: this block is indented"),
        ("```\nmake test\n```\n", "page.md:1: this block is in no language"),
        ("```console\nmake test\n```\n", "page.md:1: this block is in 'console'"),
        ("<!-- not run: a reason -->\n\nWords.\n", "page.md:3: `<!-- not run: a reason -->` belongs directly before"),
        ("<!-- not run: a reason -->\n", "page.md: `<!-- not run: a reason -->` belongs directly before"),
    ],
)
def test_blocks_are_written_in_one_way(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_blocks(tmp_path / "page.md")


def test_blocks_are_run_but_for_a_reason(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("<!-- not run: it is dear -->\n```bash\nbuy it\n```\n\n```python\n1 / 0\n```\n")
    bought, divided = read_blocks(tmp_path / "page.md")
    assert bought == Block("page.md:2", "bash", "buy it\n", "it is dear")
    assert divided == Block("page.md:6", "python", "1 / 0\n", "")


def test_a_command_is_what_a_shell_would_make_of_it(workplace: Path) -> None:
    """Words, pipes and files; and a command that fails, or that nobody knows, fails the test."""
    seen = []

    def note(arguments: list[str]) -> int:
        seen.append((arguments, os.environ.get("LOUD"), sys.stdin.read()))
        print("heard")
        return 0

    programs = PROGRAMS | {"note": note, "fail": lambda arguments: 2}
    block = "echo 'a  b' \\\n  c | LOUD=1 note --key='{x: 1}' > out.txt  # why\n\n# no\nnote < out.txt\n"
    first, second = shell.commands(block)
    shell.run(first, programs)
    assert seen == [(["--key={x: 1}"], "1", "a  b c\n")]
    assert Path("out.txt").read_text() == "heard\n"
    shell.run(second, programs)
    assert seen[1] == ([], None, "heard\n")
    for command, message in (("fail", "exit status 2"), ("curl x", "no program 'curl'"), ("cat a >> b", ">> is more")):
        with pytest.raises(AssertionError, match=message):
            shell.run(command, programs)


def links(document: Path) -> list[str]:
    """Return where a document leads to in this repository."""
    tokens = MarkdownIt("commonmark").enable("table").parse(document.read_text(encoding="utf-8"))
    children = [child for token in tokens for child in token.children or ()]
    found = [child.attrGet("href") or child.attrGet("src") for child in children]
    return [target for target in found if target and not target.startswith(("http://", "https://"))]


def anchors(document: Path) -> set[str]:
    """Return what a page's headings are called in links."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
