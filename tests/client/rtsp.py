"""A real RTSP server (RFC 2326) for one film: H.264 over RTP inside the RTSP connection.

Each client that plays gets the film once, at its own rate, then the server hangs up, as a camera
that is switched off does.
"""

from __future__ import annotations

import base64
import socketserver
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
_PAYLOAD, _PACKET_BYTES, _CLOCK_HZ = 96, 1400, 90_000


def encoded(images: Sequence[U8], rate_hz: int) -> list[bytes]:
    """H.264 access units (Annex B), one a picture, without reordering."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height = images[0].shape[1], images[0].shape[0]
    codec.pix_fmt, codec.time_base = "yuv420p", Fraction(1, rate_hz)
    codec.framerate = Fraction(rate_hz)
    codec.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "16", "g": "10"}
    units = []
    for number, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p")
        frame.pts = number
        units += [bytes(packet) for packet in codec.encode(frame)]
    units += [bytes(packet) for packet in codec.encode(None)]
    return units


def nal_units(unit: bytes) -> list[bytes]:
    """The NAL units of an access unit."""
    parts = unit.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01")
    return [part for part in parts if part]


@contextmanager
def serving(film: Sequence[bytes], rate_hz: int) -> Iterator[str]:
    """The address of a running server."""
    first = nal_units(film[0])
    sps = next(nal for nal in first if nal[0] & 31 == 7)
    pps = next(nal for nal in first if nal[0] & 31 == 8)
    sets = ",".join(base64.b64encode(nal).decode() for nal in (sps, pps))
    sdp = (
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=film\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=video 0 RTP/AVP {_PAYLOAD}\r\na=rtpmap:{_PAYLOAD} H264/{_CLOCK_HZ}\r\n"
        f"a=fmtp:{_PAYLOAD} packetization-mode=1;sprop-parameter-sets={sets}\r\n"
        "a=control:video\r\n"
    )

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while (request := self._request()) is not None:
                method, sequence = request
                more, body = "", ""
                if method == "OPTIONS":
                    more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
                elif method == "DESCRIBE":
                    more, body = (
                        f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n",
                        sdp,
                    )
                elif method == "SETUP":
                    more = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
                elif method == "PLAY":
                    more = "Session: 1\r\n"
                answer = f"RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\n{more}\r\n{body}"
                self.wfile.write(answer.encode())
                if method == "PLAY":
                    self._play()
                    return
                if method == "TEARDOWN":
                    return

        def _request(self) -> tuple[str, str] | None:
            line = self.rfile.readline().decode("latin-1")
            if not line.strip():
                return None
            headers = {}
            while (header := self.rfile.readline().decode("latin-1").strip()) != "":
                name, _, value = header.partition(":")
                headers[name.lower()] = value.strip()
            return line.split()[0], headers["cseq"]

        def _play(self) -> None:
            start, number = time.monotonic(), 0
            for index, unit in enumerate(film):
                time.sleep(max(0.0, start + index / rate_hz - time.monotonic()))
                nals = nal_units(unit)
                for place, nal in enumerate(nals):
                    for payload, last in fragments(nal):
                        marker = 0x80 if last and place == len(nals) - 1 else 0
                        head = struct.pack(
                            ">BBHII", 0x80, marker | _PAYLOAD, number & 0xFFFF,
                            index * _CLOCK_HZ // rate_hz, 7,
                        )  # fmt: skip
                        packet = head + payload
                        try:
                            self.wfile.write(b"$\x00" + struct.pack(">H", len(packet)) + packet)
                        except OSError:
                            return  # the client has gone
                        number += 1

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"rtsp://127.0.0.1:{server.server_address[1]}/film"
        finally:
            server.shutdown()
            thread.join()


def fragments(nal: bytes) -> Iterator[tuple[bytes, bool]]:
    """RTP payloads of a NAL unit (RFC 6184), and whether each is its last."""
    if len(nal) <= _PACKET_BYTES:
        yield nal, True
        return
    indicator, kind = (nal[0] & 0xE0) | 28, nal[0] & 31
    pieces = [nal[i : i + _PACKET_BYTES] for i in range(1, len(nal), _PACKET_BYTES)]
    for place, piece in enumerate(pieces):
        start, end = place == 0, place == len(pieces) - 1
        yield bytes([indicator, start << 7 | end << 6 | kind]) + piece, end
