"""HTML to texts, texts to sentences, names to words; and an operation's pair."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textbox_elmer.datasets.apidoc.pairs import Pair, operation_pair
from textbox_elmer.datasets.apidoc.services import Operation
from textbox_elmer.datasets.apidoc.text import html_blocks, name_words, sentences


def texts(html: str) -> list[str]:
    return [text for text, _ in html_blocks(html)]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>Tags <code>a</code> &amp; <i>b</i>\n  in\tone&nbsp;line.</p>", ["Tags a & b in one line."]),
        ("<p>One</p><p>Two</p>three<ul><li>Four</li> <li><p>5</p></li></ul>", ["One", "Two", "three", "Four", "5"]),
        ("Line<br/>break<br>twice", ["Line", "break", "twice"]),
        ("<p>Never closed<p>either</ul></p></b>", ["Never closed", "either"]),
        ("<fullname>Service</fullname><script>alert('<p>')</script>Text", ["Text"]),
        ("a < b && c > d &bogus; &lt;b&gt; &amp;lt;", ["a < b && c > d &bogus; <b> &lt;"]),
        ("<!-- hidden --><?php no ?><a href='>'>Link</a>", ["Link"]),
        ("a <![foo bar]> b", ["a <![foo bar]> b"]),
        ("\x00Null\ud800 and \u202eturned", ["Null and turned"]),
        ("<p> </p><note></note>&nbsp;", []),
        ("", []),
    ],
)
def test_html_becomes_one_line_per_block(html: str, expected: list[str]) -> None:
    assert texts(html) == expected


def test_asides_are_told_apart() -> None:
    html = "<note><p>Careful.</p></note><p>Plain.</p><important>Never.</important></important>Plain, too."
    assert html_blocks(html) == [("Careful.", True), ("Plain.", False), ("Never.", True), ("Plain, too.", False)]


PIECES = [
    "<",
    ">",
    "/",
    "!",
    "[",
    "]",
    "&",
    "#",
    ";",
    "-",
    '"',
    "'",
    "p",
    "note",
    "script",
    "x",
    "9",
    " ",
    "\n",
    "\ud800",
]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=40))
def test_whatever_is_fed_gives_clean_lines(html: str) -> None:
    for text in texts(html):
        assert text == " ".join(text.split())
        assert text.isprintable()
        text.encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sends to Amazon S3. The bucket waits.", ["Sends to Amazon S3.", "The bucket waits."]),
        ("Uses a store, e.g. Redis. Next.", ["Uses a store, e.g. Redis.", "Next."]),
        ("Uses one, i.e. Redis. Next.", ["Uses one, i.e. Redis.", "Next."]),
        ("Calls s3.GetObject of amazon.com, Inc. Twice.", ["Calls s3.GetObject of amazon.com, Inc. Twice."]),
        ("Works in U.S. East. Or not!", ["Works in U.S. East.", "Or not!"]),
        ("Ends with a list, etc. and goes on.", ["Ends with a list, etc. and goes on."]),
        ("Really? Yes! (All of it.) Done", ["Really?", "Yes!", "(All of it.)", "Done"]),
        ("Waits ... Then ends.", ["Waits ... Then ends."]),
        ("Version 1.2. 3 items.", ["Version 1.2.", "3 items."]),
        (" ", []),
    ],
)
def test_sentences_end_where_they_end(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(alphabet="aZ.!?)\"' é1", max_size=40))
def test_sentences_lose_nothing(text: str) -> None:
    assert " ".join(sentences(text)).split() == text.split()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CreateJobTemplate", "create job template"),
        ("jobTemplateArn", "job template arn"),
        ("DescribeDBInstances", "describe db instances"),
        ("resourceARNs", "resource arns"),
        ("S3BucketName", "s3 bucket name"),
        ("IPv6Addresses", "ipv6 addresses"),
        ("ListIPSets", "list ip sets"),
        ("x509_cert-chain2", "x509 cert chain2"),
        ("URL", "url"),
        ("_", ""),
    ],
)
def test_names_are_split_into_words(name: str, words: str) -> None:
    assert name_words(name) == words


def operation(html: str, inputs: tuple[str, ...] = ("thingName", "Tags"), outputs: tuple[str, ...] = ()) -> Operation:
    return Operation("CreateThing", inputs, outputs, html)


def test_a_pair_holds_signature_and_documentation_without_its_first_sentence() -> None:
    html = "<note><p>Beta.</p></note><p>Creates a new thing. It is slow.</p><ul><li>One</li></ul>"
    assert operation_pair(operation(html, outputs=("ThingARN", "id"))) == Pair(
        "create thing ( thing name , tags ) thing arn , id : Beta. It is slow. One", "Creates a new thing."
    )
    assert operation_pair(operation("<p>Creates a new thing.</p>", ())) == Pair(
        "create thing ( ) :", "Creates a new thing."
    )


def test_many_fields_leave_room_for_prose() -> None:
    names = tuple(f"FieldNumber{letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    source, _ = operation_pair(operation("Creates a new thing. Prose.", names, names))
    signature, prose = source.split(" : ")
    fields, outputs = signature.removeprefix("create thing ( ").split(" ) ")
    assert fields.split(" , ") == [f"field number {letter}" for letter in "abcdefghij"]
    assert outputs.split(" , ") == [f"field number {letter}" for letter in "abcde"]
    assert prose == "Prose."


@pytest.mark.parametrize(
    "html",
    [
        "",
        "<note>Creates a new thing.</note>",
        "Creates it.",
        f"Creates {'a very ' * 16}long thing indeed.",
        f"Creates {'a ' * 20}thing.",
        "Creates a new thing",
        "creates a new thing.",
        "This operation is deprecated.",
        "(Deprecated) Creates a new thing.",
        "We recommend another operation.",
        "You can use it for a new thing.",
        "This operation is no longer used.",
        "This API is in preview release and is subject to change.",
        "The name of the new thing.",
        "Use MakeThing instead.",
    ],
)
def test_what_is_no_description_of_usual_length_is_left_out(html: str) -> None:
    assert operation_pair(operation(html)) is None


@pytest.mark.parametrize(
    "sentence",
    ["The CreateThing operation creates a new thing.", "Deprecates the specified thing.", "Creates Amazon things."],
)
def test_descriptions_are_kept(sentence: str) -> None:
    assert operation_pair(operation(f"<p>{sentence}</p>")).target == sentence
