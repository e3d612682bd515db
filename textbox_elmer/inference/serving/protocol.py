"""OpenAI's completions: what a request may say, and what is answered."""

import json
import time
import uuid
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from textbox_elmer.inference.serving.model import Written

# Options of OpenAI's that mean nothing to models which write the likeliest text, and the values that ask for nothing.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "best_of": (1,),
    "echo": (False,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (),
    "presence_penalty": (0,),
    "stop": ([], ""),
    "stream": (False,),
    "stream_options": (),
    "suffix": ("",),
    "temperature": (0, 1),
    "top_p": (1,),
}
FREE = ("seed", "user")  # whatever they say, the answer is the same
LONGEST_WORD = 40  # characters of what a client sent that are shown to it


class RefusedError(Exception):
    """A request that is not done, as OpenAI's error object.

    Args:
        status: of HTTP.
        message: one sentence.
        param: the field that is at fault.
        code: a word for programs.
        retry_after: in how many seconds it may be done.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}

    def body(self) -> dict[str, Any]:
        """Return the error object."""
        kind = "invalid_request_error" if self.status < 500 and self.status != 429 else "server_error"
        kind = "rate_limit_error" if self.status == 429 else kind
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


class CompletionRequest(BaseModel):
    """What a client asks for.

    Attributes:
        model: one that is served; by default the first.
        prompt: a text, or several.
        max_tokens: how many tokens of what the model writes are wanted, by default all.
        n: how many texts are wanted for each.
        details: whether they shall be told how the texts came about.
    """

    model_config = ConfigDict(extra="allow", strict=True)

    model: str | None = None
    prompt: str | list[str]
    max_tokens: int | None = Field(default=None, ge=1)
    n: int | None = Field(default=1, ge=1)
    details: bool | None = False

    @property
    def texts(self) -> list[str]:
        """The texts of `prompt`."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt


def read_request(body: bytes) -> CompletionRequest:
    """Read a request.

    Raises:
        RefusedError: it is none, with what is wrong.
    """
    try:
        asked = CompletionRequest.model_validate_json(body)
    except ValidationError as error:
        raise _refused(error) from None
    for name, value in (asked.model_extra or {}).items():
        if name not in NEUTRAL and name not in FREE:
            raise RefusedError(400, f"A completion has no option {_short(name)}: leave it out.", _short(name))
        if name in NEUTRAL and not _is_neutral(name, value):
            raise RefusedError(
                400,
                f"{name} cannot be {_short(value)}: a model here writes its likeliest text, all at once; leave it out.",
                name,
            )
    return asked


def completion(
    model: str, read: Sequence[tuple[int, int]], written: Sequence[Sequence[Written]], detailed: bool
) -> dict[str, Any]:
    """Return the answer to a request.

    Args:
        read: of each text how many tokens the model has read, and how many were cut for want of room.
        written: what it wrote for each.
        detailed: whether to say how that came about.
    """
    choices = [
        {
            "index": index,
            "text": one.text,
            "finish_reason": "stop" if one.complete else "length",
            "logprobs": None,
            **({"details": one.details} if detailed else {}),
        }
        for index, one in enumerate(one for texts in written for one in texts)
    ]
    prompt, cut = (sum(numbers) for numbers in zip(*read, strict=True))
    tokens = sum(one.tokens for texts in written for one in texts)
    usage = {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens, "cut_tokens": cut}
    return {
        "id": f"cmpl-{uuid.uuid4().hex}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": model,
        "choices": choices,
        "usage": usage,
    }


def _refused(error: ValidationError) -> RefusedError:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    param = str(first["loc"][0]) if first["loc"] else None
    if param is None:
        return RefusedError(400, f"The body is no JSON object: {first['msg']}.")
    if param == "prompt":
        return RefusedError(400, "prompt is missing or neither a text nor a list of texts.", param)
    return RefusedError(400, f"{param}: {first['msg'][:1].lower()}{first['msg'][1:]}.", param)


def _is_neutral(name: str, value: Any) -> bool:
    return value is None or any(value == known and type(value) in (type(known), float) for known in NEUTRAL[name])


def _short(value: Any) -> str:
    said = value if isinstance(value, str) else json.dumps(value)
    return said if len(said) <= LONGEST_WORD else said[:LONGEST_WORD] + "…"
