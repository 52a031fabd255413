#!/usr/bin/env python3
"""Draws the launcher icon of the example app in every size that Android and iOS ask for.

The PNG files are committed; run this only to change the picture. An arrow that comes down onto a
bar, white on blue. iOS wants an opaque square, which it masks itself; Android 5 to 7 shows the file
as it is, so there the corners are rounded and transparent.
"""

import struct
import zlib
from pathlib import Path

HERE = Path(__file__).parent
BLUE = (0x1F, 0x5F, 0xBF)
WHITE = (0xFF, 0xFF, 0xFF)
CORNER = 0.18  # radius as a part of the side
SAMPLES = 4  # a pixel's edge is smoothed from SAMPLES * SAMPLES points

ANDROID = {"mdpi": 48, "hdpi": 72, "xhdpi": 96, "xxhdpi": 144, "xxxhdpi": 192}
IOS = {"AppIcon60x60@2x": 120, "AppIcon60x60@3x": 180, "AppIcon76x76@2x~ipad": 152}


def in_mark(x, y):
    """Whether a point of the unit square is on the arrow or the bar."""
    shaft = 0.44 <= x <= 0.56 and 0.20 <= y <= 0.50
    head = 0.44 <= y <= 0.64 and abs(x - 0.5) <= 0.64 - y
    bar = 0.26 <= x <= 0.74 and 0.70 <= y <= 0.80
    return shaft or head or bar


def in_tile(x, y):
    """Whether a point is inside the square with rounded corners."""
    dx = max(CORNER - x, x - (1 - CORNER), 0)
    dy = max(CORNER - y, y - (1 - CORNER), 0)
    return dx * dx + dy * dy <= CORNER * CORNER


def pixel(size, column, row, rounded):
    points = [
        ((column + (i + 0.5) / SAMPLES) / size, (row + (j + 0.5) / SAMPLES) / size)
        for i in range(SAMPLES)
        for j in range(SAMPLES)
    ]
    mark = sum(in_mark(x, y) for x, y in points) / len(points)
    colour = bytes(round(b + (w - b) * mark) for b, w in zip(BLUE, WHITE))
    if not rounded:
        return colour
    return colour + bytes([round(255 * sum(in_tile(x, y) for x, y in points) / len(points))])


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(size, rounded):
    rows = b"".join(
        b"\0" + b"".join(pixel(size, column, row, rounded) for column in range(size))
        for row in range(size)
    )
    colour_type = 6 if rounded else 2
    header = struct.pack(">IIBBBBB", size, size, 8, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


def write(path, size, rounded):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(size, rounded))


for density, size in ANDROID.items():
    write(HERE / f"android/res/mipmap-{density}/ic_launcher.png", size, rounded=True)
for name, size in IOS.items():
    write(HERE / f"ios/icons/{name}.png", size, rounded=False)
