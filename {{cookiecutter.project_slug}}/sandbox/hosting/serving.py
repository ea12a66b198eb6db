"""The server inside an endpoint's container: /ping and /invocations around a model's inference script.

It runs as a script of its own in a fork of the warm interpreter and may import nothing of this project. Its standard
input is the socket it is to listen on: nobody has to be told a port, and requests wait until the model is loaded.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

Answer = tuple[int, bytes, str]
Function = Callable[..., Any]


class UnsupportedType(Exception):
    """A content type that the default functions do not read or write."""


def main() -> None:
    """Load the model, then answer until the process is ended."""
    model_folder = os.environ["SM_MODEL_DIR"]
    script = inference_script(model_folder)
    model = function(script, "model_fn", no_model_function)(model_folder)
    serve(transformer(script, model))


def inference_script(model_folder: str) -> ModuleType | None:
    """The model's own inference module, or None when it brings none."""
    code = Path(model_folder) / "code"
    file = code / os.environ.get("SAGEMAKER_PROGRAM", "inference.py")
    sys.path.insert(0, str(code))
    if not file.exists():
        return None
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} can not be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def function(script: ModuleType | None, name: str, default: Function) -> Function:
    """A function of the inference script, or the container's own of that name."""
    found: Function = getattr(script, name, default)
    return found


def transformer(script: ModuleType | None, model: Any) -> Callable[[bytes, str, str], Answer]:
    """What turns a request's body, type and accepted type into status, body and type of the answer."""
    whole = getattr(script, "transform_fn", None)
    read = function(script, "input_fn", default_input)
    predict = function(script, "predict_fn", default_prediction)
    write = function(script, "output_fn", default_output)

    def transform(body: bytes, content_type: str, accept: str) -> Answer:
        text: Any = body.decode() if content_type.startswith(("text/", "application/json")) else body
        if whole is not None:
            return answer_of(whole(model, text, content_type, accept), accept)
        return answer_of(write(predict(read(text, content_type), model), accept), accept)

    return transform


def answer_of(result: Any, accept: str) -> Answer:
    """What an inference script may return: a Response as werkzeug's or the container's, (body, type), or a body."""
    if hasattr(result, "status_code") and hasattr(result, "get_data"):
        return int(result.status_code), result.get_data(), result.mimetype or accept
    if hasattr(result, "status") and hasattr(result, "response"):
        body, kind = result.response, getattr(result, "mimetype", None) or accept
        status = int(str(result.status).split()[0])
        return status, octets(b"".join(map(octets, body)) if isinstance(body, list | tuple) else body), kind
    if isinstance(result, tuple):
        body, kind = result
        return 200, octets(body), kind
    return 200, octets(result), accept


def octets(body: Any) -> bytes:
    """A body as bytes."""
    return body if isinstance(body, bytes) else str(body).encode()


def no_model_function(model_folder: str) -> Any:
    """The container can not know how a model was saved; the sentence is the AWS container's."""
    raise NotImplementedError(
        "Please provide a model_fn implementation. See documentation for model_fn at "
        "https://github.com/aws/sagemaker-python-sdk"
    )


def default_input(body: Any, content_type: str) -> Any:
    """An array from CSV, JSON or NPY."""
    import numpy

    if content_type.startswith("text/csv"):
        return numpy.genfromtxt(io.StringIO(body), delimiter=",", ndmin=2)
    if content_type.startswith("application/json"):
        return numpy.array(json.loads(body))
    if content_type == "application/x-npy":
        return numpy.load(io.BytesIO(body), allow_pickle=False)
    raise UnsupportedType(f"Content type {content_type} is not supported by this container.")


def default_prediction(data: Any, model: Any) -> Any:
    """What the model predicts."""
    return model.predict(data)


def default_output(prediction: Any, accept: str) -> Any:
    """A prediction as JSON, CSV or NPY."""
    import numpy

    values = numpy.asarray(prediction)
    if accept in ("application/json", "*/*"):
        return json.dumps(values.tolist()), "application/json"
    if accept == "text/csv":
        rows = values.tolist() if values.ndim > 1 else [[each] for each in values.tolist()]
        return "".join(",".join(map(str, row)) + "\n" for row in rows), accept
    if accept == "application/x-npy":
        packed = io.BytesIO()
        numpy.save(packed, values)
        return packed.getvalue(), accept
    raise UnsupportedType(f"Accept type {accept} is not supported by this container.")


def serve(transform: Callable[[bytes, str, str], Answer]) -> None:
    """Answer /ping and /invocations on the socket that is standard input."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Without it an answer's body waits for the client's acknowledgement of its headers.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.answer(200 if self.path == "/ping" else 404, b"", "text/plain")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind = self.headers.get("Content-Type") or "application/octet-stream"
            try:
                self.answer(*transform(body, kind, self.headers.get("Accept") or "application/json"))
            except UnsupportedType as problem:
                self.answer(415, str(problem).encode(), "text/plain")
            except Exception as problem:
                traceback.print_exc()
                self.answer(500, f"{type(problem).__name__}: {problem}".encode(), "text/plain")

        def answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing of each request, there are metrics."""

    listening = socket.socket(fileno=0)
    server = ThreadingHTTPServer(listening.getsockname()[:2], Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
