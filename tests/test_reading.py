"""Files that may hold anything: what is read, and what is refused at once."""

import os
from pathlib import Path

import pytest

from textbox_elmer.reading import (
    MOST_YAML,
    YamlError,
    check_yaml,
    parse_json,
    parse_yaml,
    read_json,
    read_text,
)


def laughs(levels: int, repeat: int = 9) -> str:
    """YAML of a few lines that stands for repeat ** levels values."""
    lines = ["a0: &a0 [lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * repeat)}]" for n in range(1, levels + 1)]
    return "\n".join(lines)


def merged_laughs(levels: int) -> str:
    lines = ["a0: &a0 {k: lol}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, levels + 1)]
    return "\n".join(lines)


BAD_YAML = {
    "billion laughs": laughs(9),
    "merged laughs": merged_laughs(9),
    "a list of itself": "&a [1, *a]",
    "a mapping of itself": "&a {k: *a}",
    "deep lists": "[" * 5_000,
    "deep blocks": "- " * 50_000,
    "deep mappings": "{a: " * 20_000,
    "10^400": "n: 1" + "0" * 400,
    "many digits": "n: 1" + "0" * 9_000,
    "hexadecimal": "n: 0x" + "f" * 9_000,
    "base 60": "n: " + ":".join(["59"] * 90),
    "no whole number": "n: !!int ''",
    "no truth": "n: !!bool x",
    "no float": "n: !!float x",
    "no time": "n: !!timestamp x",
    "no date": "n: 2020-99-99",
    "code": "n: !!python/object/apply:os.system [ls]",
    "half a character": 'n: "\\ud800"',
    "a key that is a list": "[a]: 1",
    "control characters": "a: \x00",
    "unclosed": "a: [1",
}


@pytest.mark.parametrize("name", BAD_YAML)
def test_hostile_yaml_is_refused(name: str) -> None:
    with pytest.raises(YamlError) as caught:
        parse_yaml(BAD_YAML[name])
    said = str(caught.value)
    assert 0 < len(said) < 200
    assert "\n" not in said


def test_yaml_of_other_hosts_is_bounded_whatever_its_tags() -> None:
    check_yaml("a: !!python/tuple [1, 2]")
    for text in (laughs(9), "&a [*a]", "- " * 5_000, "a: ["):
        with pytest.raises(YamlError):
            check_yaml(text)


def test_aliases_are_not_forbidden() -> None:
    assert parse_yaml(laughs(2, 3))["a2"] == [[["lol"]] * 3] * 3
    assert parse_yaml("a: &a {b: 1}\nc: {<<: *a, d: 2}") == {"a": {"b": 1}, "c": {"b": 1, "d": 2}}


def test_a_line_is_known() -> None:
    with pytest.raises(YamlError) as caught:
        parse_yaml("a: 1\nb: 1" + "0" * 400)
    assert (caught.value.line, str(caught.value)) == (2, "a whole number is too large")


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a": 1' + "0" * 400 + "}", "[" * 99_999, "[" * 99_999 + "]" * 99_999, r'"\ud800"', '{"\\udfff": 1}'],
)
def test_hostile_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


def test_sound_json_is_read() -> None:
    value = {"a": [1, -(2**62), 1.5, None, True, "é😀\u2028"], "n": 1e308}
    assert parse_json('{"a": [1, -4611686018427387904, 1.5, null, true, "é\\ud83d\\ude00\u2028"], "n": 1e308}') == value


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is no regular file"):
        read_text(tmp_path / "pipe")


def test_devices_are_not_read() -> None:
    with pytest.raises(OSError, match="it is no regular file"):
        read_text(Path("/dev/zero"))


def test_folders_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read_text(tmp_path)


def test_sizes_are_bounded(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="it is larger than 1 MB"):
        read_text(tmp_path / "huge", MOST_YAML)
    with pytest.raises(OSError, match="it is larger than 268 MB"):
        read_json(tmp_path / "huge")


def test_line_ends_are_one(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes("a\r\nb\rc\u2028d\n".encode())
    assert read_text(tmp_path / "text") == "a\nb\nc\u2028d\n"
