"""A provider that knows its schema and nothing else, for a real terraform without a network.

It answers terraform's plugin protocol (version 6) with the schema and finds every configuration valid; it can plan and
apply nothing, so tests of terraform mock it. Terraform is told where it listens instead of being told to start it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc

from tests.terraform.schema import Argument, Block, Body, Schema

SERVICE = "/tfplugin6.Provider/"
_ACCEPTED = ("ValidateProviderConfig", "ValidateResourceConfig", "ValidateDataResourceConfig", "ConfigureProvider", "StopProvider")  # fmt: skip
_NESTING = {"single": 1, "list": 2, "set": 3}
_TEXTS = ("project", "region", "zone", "credentials", "access_token", "impersonate_service_account", "billing_project")
_PROVIDER = Body(
    {
        **{name: Argument("optional", "string") for name in _TEXTS},
        "user_project_override": Argument("optional", "bool"),
        "default_labels": Argument("optional", "map(string)"),
    },
    {},
)
_UNLIMITED = [("grpc.max_send_message_length", -1)]


@contextmanager
def serve(schema: Schema) -> Iterator[str]:
    """Serve a schema on loopback; gives what terraform reads from TF_REATTACH_PROVIDERS."""
    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads, options=_UNLIMITED)
        server.add_generic_rpc_handlers([_Handler(_schema_response(schema))])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield _reattach(schema.source, port)
        finally:
            server.stop(None).wait()


def _reattach(source: str, port: int) -> str:
    address = {"Network": "tcp", "String": f"127.0.0.1:{port}"}
    found = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True, "Addr": address}
    return json.dumps({source: found})


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]  # the module ships no types
    def __init__(self, schema_response: bytes) -> None:
        self._answers = {SERVICE + name: b"" for name in _ACCEPTED}
        self._answers[f"{SERVICE}GetProviderSchema"] = schema_response

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """The answer to a method by name; None where it is not implemented."""
        answer = self._answers.get(details.method)
        return None if answer is None else grpc.unary_unary_rpc_method_handler(_always(answer))


def _always(answer: bytes) -> Callable[[bytes, object], bytes]:
    return lambda _request, _context: answer


def _schema_response(schema: Schema) -> bytes:
    """GetProviderSchema.Response: 1 provider, 2 resources, 3 data sources, 6 what the server can (2: plan a destroy)."""
    resources, data_sources = _entries(2, schema.resources), _entries(3, schema.data_sources)
    return _bytes(1, _schema(_PROVIDER)) + resources + data_sources + _bytes(6, _number(2, 1))


def _entries(field: int, bodies: Mapping[str, Body]) -> bytes:
    return b"".join(_bytes(field, _text(1, name) + _bytes(2, _schema(body))) for name, body in bodies.items())


def _schema(body: Body) -> bytes:
    return _bytes(2, _encoded(body))


def _encoded(body: Body) -> bytes:
    """Schema.Block: 2 attributes, 3 nested blocks; both sorted by name."""
    arguments = b"".join(_bytes(2, _argument(name, item)) for name, item in sorted(body.arguments.items()))
    return arguments + b"".join(_bytes(3, _block(name, item)) for name, item in sorted(body.blocks.items()))


def _argument(name: str, item: Argument) -> bytes:
    """Schema.Attribute: 1 name, 2 type, 4 required, 5 optional, 6 computed."""
    flags = _number(4, item.mode == "required") + _number(5, item.mode.startswith("optional"))
    return _text(1, name) + _text(2, _type(item.type)) + flags + _number(6, item.mode.endswith("computed"))


def _block(name: str, item: Block) -> bytes:
    """Schema.NestedBlock: 1 name, 2 block, 3 nesting, 4 least items, 5 most items."""
    items = b"" if item.nesting == "single" else _number(4, item.required) + _number(5, item.max_items)
    return _text(1, name) + _bytes(2, _encoded(item.body)) + _number(3, _NESTING[item.nesting]) + items


def _type(kind: str) -> str:
    """Terraform's JSON of a type: `list(string)` is ["list","string"]."""
    outer, _, inner = kind.rstrip(")").partition("(")
    return json.dumps([outer, inner] if inner else outer)


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*out, n])


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _bytes(field, content.encode())


def _number(field: int, n: int) -> bytes:
    """A number or flag; zero is the default and is not sent."""
    return _varint(field << 3) + _varint(n) if n else b""
