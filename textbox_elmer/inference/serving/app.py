"""The server's routes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from textbox_elmer.errors import UserError
from textbox_elmer.inference.serving.access import Access
from textbox_elmer.inference.serving.batching import Batcher, ClosedError, FullError, Job
from textbox_elmer.inference.serving.body import GoneError, read_body, until_gone
from textbox_elmer.inference.serving.limits import Limits
from textbox_elmer.inference.serving.metrics import Metrics
from textbox_elmer.inference.serving.model import Asked, ServedModel
from textbox_elmer.inference.serving.page import FILES, page_file
from textbox_elmer.inference.serving.protocol import CompletionRequest, RefusedError, completion, read_request
from textbox_elmer.inference.writer import Source

GONE = 499  # what nginx calls a request whose client has gone; nobody reads it but the metrics
OWNER = "textbox-elmer"
NOT_WRITTEN = "The text could not be written: the server's log says why."


def make_app(
    models: Sequence[ServedModel],
    limits: Limits,
    access: Access,
    tried: Callable[[Exception | None], object],
) -> FastAPI:
    """Return the server of some models; they are at work while it runs.

    Args:
        models: those that are served, of different names; the first is asked by requests that name none.
        limits, access: what it takes on, and from whom.
        tried: told when the models are warm, by None, or why they cannot be; from another thread.
    """
    service = Service(models, limits, Metrics(), tried)
    app = FastAPI(
        lifespan=service.running,
        openapi_url=None,
        exception_handlers={RefusedError: _refuse, HTTPException: _refuse_http, Exception: _fail},
    )
    guarded = [Depends(access)]
    app.post("/v1/completions", dependencies=guarded)(service.completions)
    app.get("/v1/models", dependencies=guarded)(service.list_models)
    app.get("/metrics", dependencies=guarded)(service.show_metrics)
    app.get("/health")(service.health)
    for path in FILES:
        app.get(path)(_show_page)
    return app


class Service:
    """What the routes do."""

    def __init__(
        self,
        models: Sequence[ServedModel],
        limits: Limits,
        metrics: Metrics,
        tried: Callable[[Exception | None], object],
    ) -> None:
        self._models = {model.name: model for model in models}
        self._limits, self._metrics = limits, metrics
        self._batcher = Batcher(models, limits, metrics, tried)
        self._reader = ThreadPoolExecutor(1, "reader")
        self._since = int(time.time())

    @asynccontextmanager
    async def running(self, _: FastAPI) -> AsyncIterator[None]:
        """Let the models work within the block, and finish what was taken at its end."""
        self._batcher.start()
        yield
        await asyncio.to_thread(self._batcher.close)
        self._reader.shutdown()

    async def completions(self, request: Request) -> Response:
        """Answer `POST /v1/completions`."""
        start = time.monotonic()
        try:
            response: Response = JSONResponse(await self._complete(request))
        except RefusedError as refused:
            response = await _refuse(request, refused)
        except GoneError:
            response = Response(status_code=GONE)
        self._metrics.count_request(response.status_code, time.monotonic() - start)
        return response

    async def list_models(self) -> JSONResponse:
        """Answer `GET /v1/models`."""
        common = {"object": "model", "created": self._since, "owned_by": OWNER}
        return JSONResponse({"object": "list", "data": [{"id": name, **common} for name in self._models]})

    async def show_metrics(self) -> Response:
        """Answer `GET /metrics`."""
        return Response(self._metrics.page(), media_type=CONTENT_TYPE_LATEST)

    async def health(self) -> JSONResponse:
        """Answer `GET /health`: 200 when requests are answered at once, 503 before and after."""
        warm = self._batcher.is_warm
        return JSONResponse({"status": "ready" if warm else "not ready"}, 200 if warm else 503)

    async def _complete(self, request: Request) -> dict[str, Any]:
        asked = read_request(await read_body(request, self._limits))
        model = self._model(asked)
        sources = await self._read(model, asked)
        jobs = [Job(model, Asked(source, asked.n or 1, asked.max_tokens, bool(asked.details))) for source in sources]
        try:
            self._batcher.submit(jobs)
        except FullError as full:
            raise RefusedError(
                429,
                f"The queue of {self._limits.max_queue} texts is full: ask again in {full.retry_after} s.",
                code="queue_full",
                retry_after=full.retry_after,
            ) from None
        except ClosedError:
            raise RefusedError(503, "The server is ending.", code="ending") from None
        try:
            written = await self._written(request, jobs)
        finally:
            self._batcher.give_up(jobs)
        read = [(len(source.ids), source.cut) for source in sources]
        answer = completion(model.name, read, written, bool(asked.details))
        usage = answer["usage"]
        self._metrics.count_tokens(model.name, usage["prompt_tokens"], usage["completion_tokens"])
        return answer

    def _model(self, asked: CompletionRequest) -> ServedModel:
        model = self._models.get(next(iter(self._models)) if asked.model is None else asked.model)
        if model is None:
            known = ", ".join(self._models)
            raise RefusedError(404, f"There is no such model here, only {known}.", "model", "model_not_found")
        if (asked.n or 1) > model.most:
            raise RefusedError(400, f"n can be {model.most} at most: {model.name} writes no more texts for one.", "n")
        return model

    async def _read(self, model: ServedModel, asked: CompletionRequest) -> list[Source]:
        texts, most = asked.texts, self._limits.max_queue
        if not 0 < len(texts) <= most:
            raise RefusedError(400, f"prompt holds {len(texts):,} texts: give 1 to {most:,} at a time.", "prompt")
        if any(not text.strip() for text in texts):
            raise RefusedError(400, "prompt holds an empty text.", "prompt")
        try:
            sources = await asyncio.get_running_loop().run_in_executor(self._reader, model.read, texts)
        except UserError as error:  # the tokenizer stops over a text
            raise RefusedError(400, str(error), "prompt") from None
        if faults := [source.fault for source in sources if source.fault is not None]:
            raise RefusedError(400, f"prompt: {faults[0]}.", "prompt")
        return sources

    async def _written(self, request: Request, jobs: Sequence[Job]) -> list[Any]:
        """Wait for the answers, or for the client to go."""
        answers = asyncio.ensure_future(_all_of(jobs))
        gone = asyncio.ensure_future(until_gone(request))
        either: set[asyncio.Future[Any]] = {answers, gone}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not answers.done():
                raise GoneError
        finally:
            answers.cancel()
            gone.cancel()
        written = answers.result()
        if any(isinstance(one, BaseException) for one in written):  # is in the log
            raise RefusedError(500, NOT_WRITTEN)
        return written


async def _all_of(jobs: Sequence[Job]) -> list[Any]:
    """Wait for every answer, or why there is none."""
    return await asyncio.gather(*(asyncio.wrap_future(job.answer) for job in jobs), return_exceptions=True)


async def _show_page(request: Request) -> Response:
    return page_file(request.url.path)


async def _refuse(_: Request, refused: RefusedError) -> JSONResponse:
    return JSONResponse(refused.body(), refused.status, refused.headers)


async def _refuse_http(request: Request, error: HTTPException) -> JSONResponse:
    said = f"{request.method} {request.url.path}: {error.detail}."
    return JSONResponse(RefusedError(error.status_code, said).body(), error.status_code, error.headers)


async def _fail(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse(RefusedError(500, NOT_WRITTEN).body(), 500)
