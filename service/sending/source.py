"""Where pictures come from: USB cameras, network cameras, files; opened and read with PyAV."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import BadValue, ServiceError
from .clock import ArrivalClock

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["Shot", "Source", "SourceLost", "parse_source", "shots"]

Kind = Literal["usb", "network", "file"]
_WAIT_S = (10.0, 5.0)  # to open, and for the next picture
_NETWORK = ("rtsp://", "rtsps://", "http://", "https://", "udp://", "rtmp://", "srt://")
_DAY_S = 86_400.0


class SourceLost(ServiceError):
    """A camera or address gives nothing (any more); live ones are tried again."""

    code = "source_lost"


@dataclass(frozen=True, slots=True)
class Source:
    """One camera, address or file, and what it is asked for."""

    address: str
    kind: Kind
    size: str | None = None  # WxH of a USB camera
    rate_hz: float | None = None  # of a USB camera, or of a file that does not say

    @property
    def live(self) -> bool:
        """Whether it goes on whether anybody looks or not."""
        return self.kind != "file"


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture and when it was taken."""

    timestamp_ns: int  # live: Unix time; files: from the beginning of the file
    jpeg: bytes | None  # as the camera made it, where it makes JPEGs
    image: NDArray[np.uint8] | None  # BGR, where it does not


def parse_source(text: str, size: str | None = None, rate_hz: float | None = None) -> Source:
    """The source that a text names: `/dev/video0`, `rtsp://…`, or a file.

    Raises:
        BadValue: a file that is not there.
    """
    if text.startswith(_NETWORK):
        return Source(text, "network")
    if text.startswith("/dev/"):
        if not Path(text).exists():
            raise BadValue(f"{text} is not there; `v4l2-ctl --list-devices` names the cameras")
        return Source(text, "usb", size, rate_hz)
    if not Path(text).is_file():
        raise BadValue(
            f"{text!r} is no file here; a source is /dev/video0, rtsp://HOST/PATH, or a video file"
        )
    return Source(text, "file", rate_hz=rate_hz)


def shots(source: Source, *, as_jpeg: bool) -> Iterator[Shot]:
    """Pictures until the source ends.

    Args:
        source: what to read.
        as_jpeg: take JPEGs as the camera makes them; False decodes everything.

    Raises:
        SourceLost: it cannot be opened, or breaks off.
    """
    import av

    try:
        with _opened(source) as container:
            stream = container.streams.video[0]
            clock = ArrivalClock()
            first: float | None = None
            raw = as_jpeg and stream.codec_context.name == "mjpeg"
            for item in container.demux(stream) if raw else container.decode(stream):
                if item.pts is None or item.time_base is None:
                    continue
                at_s = float(item.pts * item.time_base)
                first = at_s if first is None else first
                if source.live:
                    stamp_s = at_s if _is_unix(at_s) else clock.at(at_s, time.time())
                else:
                    stamp_s = at_s - first
                timestamp_ns = round(stamp_s * 1e9)
                if isinstance(item, av.Packet):
                    data = bytes(item)
                    if _is_whole(data):
                        yield Shot(timestamp_ns, data, None)
                        continue
                    for frame in item.decode():
                        yield Shot(timestamp_ns, None, _image(frame))
                else:
                    yield Shot(timestamp_ns, None, _image(item))
    except (av.FFmpegError, OSError, IndexError) as error:
        said = str(error) or type(error).__name__
        raise SourceLost(f"{source.address}: {said}") from error


def _opened(source: Source) -> InputContainer:
    import av

    options: dict[str, str] = {}
    kwargs: dict[str, Any] = {}
    if source.kind == "usb":
        # Kernel time of the first byte, as Unix time; MJPEG, since raw fills the bus.
        options = {"timestamps": "abs", "input_format": "mjpeg"}
        if source.size is not None:
            options["video_size"] = source.size
        if source.rate_hz is not None:
            options["framerate"] = f"{source.rate_hz:g}"
        kwargs["format"] = "video4linux2,v4l2"
    elif source.address.startswith("rtsp"):
        # TCP: a lost packet of UDP is a torn picture. A third of a second of looking at what comes
        # is enough, since the camera has described it; five are usual.
        options = {
            "rtsp_transport": "tcp",
            "flags": "low_delay",
            "analyzeduration": "300000",
            "fpsprobesize": "0",
        }
    elif source.kind == "file" and source.rate_hz is not None:
        options = {"framerate": f"{source.rate_hz:g}"}
    opened: InputContainer = av.open(source.address, options=options, timeout=_WAIT_S, **kwargs)
    opened.streams.video[0].thread_type = "SLICE"  # frame threads hold pictures back
    return opened


def _image(frame: Any) -> NDArray[np.uint8]:
    return np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)


def _is_unix(seconds: float) -> bool:
    """Whether a timestamp is the time of day already."""
    return abs(seconds - time.time()) < _DAY_S


def _is_whole(data: bytes) -> bool:
    """Whether a camera's JPEG carries its Huffman tables; many leave out the usual ones."""
    return data[:2] == b"\xff\xd8" and b"\xff\xc4" in data[:4096]
