"""Pictures of the page, small enough for a repository: 128 colours (PNG, RFC 2083 §11.2)."""

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page

COLOURS = 128
FREQUENT = 96  # of them the most frequent; the others are what these would spoil most
MAGIC = b"\x89PNG\r\n\x1a\n"
# in a page without a policy: the browser reads its own picture
PIXELS = """async (png) => {
  const bytes = Uint8Array.from(atob(png), (character) => character.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const { data } = canvas.getImageData(0, 0, image.width, image.height);
  let text = "";
  for (let at = 0; at < data.length; at += 32768)
    text += String.fromCharCode(...data.subarray(at, at + 32768));
  return [image.width, image.height, btoa(text)];
}"""


def picture(page: Page) -> bytes:
    """What is on the screen, as PNG."""
    png = page.screenshot(animations="disabled", caret="hide")
    reader = page.context.new_page()
    try:
        text = base64.b64encode(png).decode()
        width, height, data = reader.evaluate(PIXELS, text)
    finally:
        reader.close()
    pixels = np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)
    return palette_png(np.ascontiguousarray(pixels[:, :, :3]))


def palette_png(pixels: NDArray[np.uint8]) -> bytes:
    """height x width x RGB. Colours that are not kept become the nearest that is."""
    height, width = pixels.shape[:2]
    colours, where, counts = np.unique(
        pixels.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True
    )
    kept = colours[chosen(colours.astype(np.int32), counts)].astype(np.int32)
    nearest = np.empty(len(colours), np.uint8)
    for at in range(0, len(colours), 4096):
        part = colours[at : at + 4096].astype(np.int32)
        distance = ((part[:, None, :] - kept[None, :, :]) ** 2).sum(2)
        nearest[at : at + 4096] = distance.argmin(1)
    lines = np.zeros((height, width + 1), np.uint8)  # the first octet says: not filtered
    lines[:, 1:] = nearest[where.reshape(-1)].reshape(height, width)
    head = struct.pack("!IIBBBBB", width, height, 8, 3, 0, 0, 0)
    palette = kept.astype(np.uint8).tobytes()
    parts = ((b"IHDR", head), (b"PLTE", palette), (b"IDAT", zlib.compress(lines.tobytes(), 9)))
    return MAGIC + b"".join(chunk(*part) for part in (*parts, (b"IEND", b"")))


def chosen(colours: NDArray[np.int32], counts: NDArray[np.intp]) -> list[int]:
    """Which colours to keep: a coloured dot of a few pixels must not become grey among greys."""

    def from_all(kept: int) -> NDArray[np.int32]:
        squared: NDArray[np.int32] = ((colours - colours[kept]) ** 2).sum(1, dtype=np.int32)
        return squared

    kept: list[int] = np.argsort(-counts, kind="stable")[:FREQUENT].tolist()
    spoilt = np.min([from_all(each) for each in kept], axis=0)
    for _ in range(COLOURS - FREQUENT):
        kept.append(int((spoilt * counts).argmax()))
        spoilt = np.minimum(spoilt, from_all(kept[-1]))
    return kept


def chunk(kind: bytes, data: bytes) -> bytes:
    """RFC 2083 §3.2."""
    body = kind + data
    return struct.pack("!I", len(data)) + body + struct.pack("!I", zlib.crc32(body))
