"""What stays in memory: neither the key stream of values in work, nor the hash key of a dropped DEK.

A child works, and its parent looks into the child's memory: in its own would stand what it looks for.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
from cryptography.hazmat.primitives import ciphers
from cryptography.hazmat.primitives.ciphers import algorithms, modes

from csfle_fast._core import Cipher, Plan, Pool, Reader, ReadLane, Schema, Writer, build_info
from incumbent import field, record
from wire import PROTO_HEADS

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or build_info()["default_provider"] != "many",
    reason="the provider many does not run here, or memory cannot be read through /proc",
)

KEY = bytes(range(32))
SCHEMA = json.dumps(record(field("v", "bytes", "PII")))
TEXT = b"forty bytes, three blocks of key stream "
NONCES = slice(7, 19)  # behind the schema id and the two bytes of the value's length


def work() -> None:
    """What the child does: seal and open on two threads; drop the key at a word."""
    rules = [({"PII"}, "AES256_GCM", False)]
    write, read = Plan(Schema(SCHEMA), "WRITE", rules), Plan(Schema(SCHEMA), "READ", rules)
    dek, pool = [Cipher("AES256_GCM", PROTO_HEADS["AES256_GCM"] + KEY, provider="many")], Pool()
    writer = Writer(write, dek, b"\0\0\0\0\1")
    reader = Reader([ReadLane(read, [(dek, {}, None)])], {1: 0}, {}, {}, {}, [])
    bodies = [bytes([2 * len(TEXT)]) + TEXT] * 400
    frames = writer.encrypt(bodies, pool, threads=2)[0]
    opened = reader.decrypt(frames, pool, threads=2)[0]
    assert opened == bodies
    tell(json.dumps([frame.hex() for frame in frames]))
    del writer, reader, dek
    gc.collect()
    tell("dropped")


def tell(line: str) -> None:
    """Say something, and wait for a word."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    sys.stdin.readline()


def memory(process: int) -> Iterator[bytes]:
    """All that a process can write to."""
    folder = Path("/proc") / str(process)
    with (folder / "mem").open("rb") as mem:
        for line in (folder / "maps").read_text(encoding="ascii", errors="replace").splitlines():
            place, rights = line.split()[:2]
            if "w" in rights:
                start, end = (int(number, 16) for number in place.split("-"))
                mem.seek(start)
                yield mem.read(end - start)


def encrypt(*blocks: bytes) -> bytes:
    """Blocks by AES under the key."""
    aes = ciphers.Cipher(algorithms.AES256(KEY), modes.ECB())  # noqa: S305 - the bare block cipher
    return aes.encryptor().update(b"".join(blocks))


def hash_key() -> bytes:
    """A form of the key of GHASH that the crate polyval keeps beside it, for its multiplication.

    The key itself also stands in memory of ring, which does not wipe it.
    """
    key = int.from_bytes(encrypt(bytes(16)), "big") << 1  # as POLYVAL takes it: RFC 8452, appendix A
    if key >> 128:
        key ^= (1 << 128) | (1 << 127) | (1 << 126) | (1 << 121) | 1
    low, high = key & (1 << 64) - 1, key >> 64
    derived = low << 64 | high
    for bit in (63, 62, 57):
        derived ^= low << bit
    return derived.to_bytes(16, "little")


def test_no_key_stream_outlives_its_call_and_no_hash_key_its_dek() -> None:
    command = [sys.executable, __file__]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        frames = [bytes.fromhex(frame) for frame in json.loads(child.stdout.readline())]
        parts = list(memory(child.pid))
        assert any(frames[0] in part for part in parts), "what is there is found"
        assert any(hash_key() in part for part in parts), "a key in use is there"
        left = 0
        for nonce in (frame[NONCES] for frame in frames[::8]):
            # Two blocks: a single one may have been in a register that the compiler put away.
            pads = encrypt(*(nonce + count.to_bytes(4, "big") for count in (2, 3)))
            left += sum(pads in part for part in parts)
        assert left == 0
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "dropped\n"
        assert not any(hash_key() in part for part in memory(child.pid))
        child.stdin.write("\n")


if __name__ == "__main__":
    work()
