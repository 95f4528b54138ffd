"""codec.py: C zlib, as Python has it, for a test that must not trust the library's own codec.

Reads requests from stdin, each a line of JSON and as many bytes as its "length" says, and answers each with a line of
JSON of the same kind. Inflates byte by byte into room for one byte, so that all that a message refers back to
must lie within the window.
"""
import json
import sys
import zlib

TAIL = b"\0\0\xff\xff"
FLUSHES = {"sync": zlib.Z_SYNC_FLUSH, "full": zlib.Z_FULL_FLUSH, "finish": zlib.Z_FINISH}
contexts = []


def inflate(context, data):
    out = bytearray()
    for at in range(len(data)):
        rest = data[at:at + 1]
        while True:
            piece = context.decompress(rest, 1)
            out += piece
            rest = context.unconsumed_tail
            if not piece and not rest:
                break
    if context.unused_data:
        raise ValueError("bytes behind a final block")
    return bytes(out)


def judge(data):
    """Whether C zlib takes this for a whole message, and what it is. A final block ends a stream; another may follow."""
    out, rest, context = bytearray(), data, zlib.decompressobj(-15)
    while True:
        out += context.decompress(rest)
        if not context.eof:
            break
        rest, context = context.unused_data, zlib.decompressobj(-15)
    # What ends a flush is no data, and behind it the stream stands between two blocks: a stored one is what it says.
    if context.decompress(TAIL) or context.eof:
        return bytes(out), False
    return bytes(out), context.decompress(b"\0\1\0\xfe\xffx") == b"x"


def answer(request, data):
    if request["do"] == "judge":
        out, whole = judge(data)
        return {"whole": whole}, out
    if request["do"] == "inflater":
        contexts.append(zlib.decompressobj(-request["bits"]))
        return {"context": len(contexts) - 1}, b""
    if request["do"] == "deflater":
        contexts.append(zlib.compressobj(request["level"], zlib.DEFLATED, -request["bits"], request["memory"]))
        return {"context": len(contexts) - 1}, b""
    if request["do"] == "bomb":
        context, zeros = zlib.compressobj(9, zlib.DEFLATED, -15), bytes(1 << 20)
        pieces = [context.compress(zeros) for _ in range(request["mib"])]
        return {}, (b"".join(pieces) + context.flush(zlib.Z_SYNC_FLUSH))[:-4]
    context = contexts[request["context"]]
    if request["do"] == "inflate":
        # As fast as it goes where the window is not what is looked at.
        data += TAIL
        return {}, inflate(context, data) if request["strict"] else context.decompress(data)
    compressed = context.compress(data) + context.flush(FLUSHES[request["flush"]])
    if request["flush"] == "finish":
        return {}, compressed + b"\0"
    return {}, compressed.removesuffix(TAIL)


for line in sys.stdin.buffer:
    request = json.loads(line)
    data = sys.stdin.buffer.read(request.get("length", 0))
    try:
        reply, out = answer(request, data)
    except (zlib.error, ValueError) as error:
        reply, out = {"error": str(error)}, b""
    sys.stdout.buffer.write(json.dumps(reply | {"length": len(out)}).encode() + b"\n" + out)
    sys.stdout.buffer.flush()
