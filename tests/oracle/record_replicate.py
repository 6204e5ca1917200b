"""Records what Python's `replicate` 1.0.7 sends for each of its calls, and which of its classes each answer has to make.

    pip install replicate==1.0.7
    deno task serve --port 8430 --data /tmp/mdm --token secret
    python tests/oracle/record_replicate.py http://127.0.0.1:8430 secret

writes `tests/fixtures/replicate_python/calls.json`, which `tests/server/protocols/replicate/python_test.ts` replays.
"""

import asyncio
import io
import json
import pathlib
import re
import sys

import httpx
import replicate
from replicate.exceptions import ReplicateError

HEADERS = ["accept", "authorization", "cache-control", "content-type", "prefer"]
INPUT = {"prompt": "a red circle", "num_inference_steps": 2, "seed": 7}
LONG = {**INPUT, "num_inference_steps": 1000, "scheduler": "DDPM"}
HOOK = "https://hook.example/"
NAME = "mdm/shapes32"

# Which class of the package is made of an answer, by the path that was asked for.
GIVES = [
    (r"POST .*/predictions$|.*/predictions/[\w-]+(/cancel)?$", "Prediction"),
    (r".*/predictions$", "Page[Prediction]"),
    (r".*/stream\?", "ServerSentEvent"),
    (r".*/v1/models$", "Page[Model]"),
    (r".*/versions$", "Page[Version]"),
    (r".*/versions/\w+$", "Version"),
    (r".*/v1/models/[^/]+/[^/]+$", "Model"),
    (r".*/account$", "Account"),
    (r".*/hardware$", "Hardware[]"),
    (r".*/secret$", "WebhookSigningSecret"),
    (r".*/(collections|deployments|trainings|files)$", "Page"),
]

base, token = sys.argv[1:]
exchanges = []


def record(request, response):
    body = request.content.decode("latin1")
    is_form = request.headers.get("content-type", "").startswith("multipart/")
    what = f"{request.method} {request.url.raw_path.decode()}"
    gives = next((gives for pattern, gives in GIVES if re.fullmatch(pattern + ".*", what)), None)
    headers = {name: request.headers[name] for name in HEADERS if name in request.headers}
    if is_form:
        headers["content-type"] = "multipart/form-data"
    path = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "{id}", request.url.raw_path.decode())
    exchange = {
        "method": request.method,
        "path": re.sub(r"\?until=.*", "{query}", path).replace(version, "{version}"),
        "headers": headers,
        "body": None if is_form or not body else body.replace(version, "{version}"),
        "gives": gives if response.status_code < 400 else response.status_code,
    }
    # Asking once more until something has ended tells nothing new.
    if not exchanges or exchanges[-1] != exchange:
        exchanges.append(exchange)


class Sync(httpx.HTTPTransport):
    def handle_request(self, request):
        request.read()
        response = super().handle_request(request)
        record(request, response)
        return response


class Async(httpx.AsyncHTTPTransport):
    async def handle_async_request(self, request):
        await request.aread()
        response = await super().handle_async_request(request)
        record(request, response)
        return response


def client(transport=Sync):
    return replicate.Client(api_token=token, base_url=base, transport=transport())


version = ""
version = client().models.get(NAME).latest_version.id
exchanges.clear()


def ended(prediction):
    prediction.wait()
    return prediction


def created(c, **options):
    return c.predictions.create(model=NAME, input=INPUT, **options)


async def async_all():
    c = client(Async)
    p = await c.predictions.async_create(version=version, input=INPUT)
    await p.async_wait()
    await c.predictions.async_list()
    await c.models.async_get(NAME)
    return [event async for event in p.async_stream()]


async def async_run(ref):
    return await client(Async).async_run(ref, input=INPUT)


async def async_stream():
    return [event async for event in await client(Async).async_stream(NAME, input=INPUT)]


async def async_cancel():
    p = await client(Async).predictions.async_create(model=NAME, input=LONG)
    await p.async_cancel()


CALLS = {
    "run(name)": lambda c: c.run(NAME, input=INPUT),
    "run(name:version)": lambda c: c.run(f"{NAME}:{version}", input=INPUT),
    "run(Model)": lambda c: c.run(c.models.get(NAME), input=INPUT),
    "run(Version)": lambda c: c.run(c.models.get(NAME).latest_version, input=INPUT),
    "run(wait=False)": lambda c: c.run(NAME, input=INPUT, wait=False),
    "run(wait=5)": lambda c: c.run(NAME, input=INPUT, wait=5),
    "run(another model)": lambda c: c.run("stability-ai/sdxl", input=INPUT),
    "run(another version)": lambda c: c.run(f"{NAME}:{'a' * 64}", input=INPUT),
    "run(bad input)": lambda c: c.run(NAME, input={"prompt": "", "num_outputs": 0}),
    "run(a file)": lambda c: c.run(NAME, input={**INPUT, "image": io.BytesIO(b"x")}),
    "stream(name)": lambda c: list(c.stream(NAME, input=INPUT)),
    "stream(name:version)": lambda c: list(c.stream(f"{NAME}:{version}", input=INPUT)),
    "stream(previews)": lambda c: list(c.stream(NAME, input={**INPUT, "preview": True})),
    "async_run(name)": lambda _: asyncio.run(async_run(NAME)),
    "async_run(name:version)": lambda _: asyncio.run(async_run(f"{NAME}:{version}")),
    "async_stream": lambda _: asyncio.run(async_stream()),
    "predictions.create(model)": created,
    "predictions.create(version)": lambda c: c.predictions.create(version=version, input=INPUT),
    "predictions.create(version=name:version)": lambda c: c.predictions.create(
        version=f"{NAME}:{version}", input=INPUT
    ),
    "predictions.create(version=name)": lambda c: c.predictions.create(version=NAME, input=INPUT),
    "predictions.create(wait)": lambda c: c.predictions.create(version, INPUT, wait=30),
    "predictions.create(deployment)": lambda c: c.predictions.create(
        deployment=NAME, input=INPUT
    ),
    "predictions.create(webhook)": lambda c: created(
        c, webhook=HOOK, webhook_events_filter=["start", "completed"]
    ),
    "predictions.create(webhook_completed)": lambda c: created(c, webhook_completed=HOOK),
    "predictions.get": lambda c: c.predictions.get(created(c).id),
    "predictions.get(none)": lambda c: c.predictions.get("nope"),
    "predictions.list": lambda c: c.predictions.list(),
    "prediction.wait, reload": lambda c: ended(created(c)).reload(),
    "prediction.cancel": lambda c: c.predictions.create(model=NAME, input=LONG).cancel(),
    "prediction.stream": lambda c: list(created(c, stream=True).stream()),
    "prediction.output_iterator": lambda c: list(created(c).output_iterator()),
    "predictions.async_*": lambda _: asyncio.run(async_all()),
    "prediction.async_cancel": lambda _: asyncio.run(async_cancel()),
    "models.predictions.create": lambda c: c.models.predictions.create(NAME, INPUT),
    "models.list": lambda c: c.models.list(),
    "models.search": lambda c: c.models.search("shapes"),
    "models.get": lambda c: c.models.get(NAME),
    "models.get(another)": lambda c: c.models.get("stability-ai/sdxl"),
    "models.create": lambda c: c.models.create("a", "b", visibility="private", hardware="cpu"),
    "models.delete": lambda c: c.models.delete(NAME),
    "model.versions.list": lambda c: c.models.get(NAME).versions.list(),
    "model.versions.get": lambda c: c.models.get(NAME).versions.get(version),
    "model.versions.get(another)": lambda c: c.models.get(NAME).versions.get("a" * 64),
    "accounts.current": lambda c: c.accounts.current(),
    "hardware.list": lambda c: c.hardware.list(),
    "webhooks.default.secret": lambda c: c.webhooks.default.secret(),
    "files.list": lambda c: c.files.list(),
    "files.create": lambda c: c.files.create(io.BytesIO(b"hello")),
    "files.get": lambda c: c.files.get("abc"),
    "files.delete": lambda c: c.files.delete("abc"),
    "collections.list": lambda c: c.collections.list(),
    "collections.get": lambda c: c.collections.get("text-to-image"),
    "trainings.list": lambda c: c.trainings.list(),
    "trainings.get": lambda c: c.trainings.get("x"),
    "trainings.create": lambda c: c.trainings.create(
        model=NAME, version=version, input={}, destination="a/b"
    ),
    "deployments.list": lambda c: c.deployments.list(),
    "deployments.get": lambda c: c.deployments.get("a/b"),
    "a wrong token": lambda _: replicate.Client(
        api_token="wrong", base_url=base, transport=Sync()
    ).predictions.list(),
    "Authorization: Token": lambda _: replicate.Client(
        base_url=base, transport=Sync(), headers={"Authorization": f"Token {token}"}
    ).predictions.list(),
}

calls = []
for call, make in CALLS.items():
    exchanges = []
    try:
        make(client())
    except ReplicateError as error:
        assert error.detail, call
        print(f"{call}: {error.status} {error.detail}")
    else:
        print(f"{call}: well")
    calls.append({"call": call, "exchanges": exchanges})

path = pathlib.Path(__file__).parent.parent / "fixtures/replicate_python/calls.json"
path.parent.mkdir(exist_ok=True)
path.write_text(json.dumps(calls, indent=1) + "\n")
