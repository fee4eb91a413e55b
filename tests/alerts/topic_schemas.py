"""The schemas that terraform puts on our topics, enforced as Pub/Sub does: JSON of the one message, no field that it lacks."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_tools import protoc

SCHEMAS = Path(__file__).parents[2] / "terraform" / "schema"


@cache
def message_class(name: str) -> Any:
    """The message type of `terraform/schema/NAME.proto`, which defines one and imports nothing."""
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "schema"
        if protoc.main(["", f"-I{SCHEMAS}", f"--descriptor_set_out={compiled}", f"{name}.proto"]):
            raise ValueError(f"{name}.proto does not compile")
        (described,) = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes()).file
    (outer,) = described.message_type
    pool = descriptor_pool.DescriptorPool()
    pool.Add(described)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(outer.name))


def conforms(name: str, data: bytes) -> bool:
    """Whether a topic with this schema takes the data."""
    try:
        json_format.Parse(data, message_class(name)())
    except json_format.ParseError:
        return False
    return True
