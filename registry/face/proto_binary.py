"""Protobuf schemas as their libraries send them: a FileDescriptorProto in base64 instead of text."""

from __future__ import annotations

import base64
import binascii

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError


def descriptor(text: str) -> FileDescriptorProto | None:
    """What the text describes; None when it is no descriptor."""
    try:
        found = FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, DecodeError):
        return None
    return found if found.message_type or found.enum_type or found.service or found.extension else None


def normal(found: FileDescriptorProto) -> str:
    """One text for equal descriptors, without comments and positions."""
    bare = FileDescriptorProto()
    bare.CopyFrom(found)
    bare.ClearField("source_code_info")
    return base64.b64encode(bare.SerializeToString(deterministic=True)).decode()


def fields(found: FileDescriptorProto) -> frozenset[str]:
    """Names of the first message's fields."""
    return frozenset(field.name for message in found.message_type[:1] for field in message.field)
