"""Footage as it is posted: pictures, videos and zips, put on disk where nothing can hide in them.

Kinds are told by content, never by name. A zip is refused when its names lead elsewhere, when it
holds links, or when it would unpack to far more than it is; what is in it is checked like a file
that was posted alone, and a zip inside a zip is none of the kinds.
"""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from calibration.rig_schema import MAX_CAMERAS

from .config import LimitSettings
from .errors import BadUpload, TooManyPixels, Unsupported
from .names import checked_name
from .picture_header import is_cut_off, read_header

__all__ = ["WHOLE", "Upload", "save_footage"]

WHOLE = "footage"  # the field for all cameras at once: a zip of their folders, or four-in-one
_ZIP = b"PK\x03\x04"
_VIDEO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # MP4 and QuickTime
_MATROSKA = b"\x1a\x45\xdf\xa3"
_MPEG = (b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")
_SUFFIX = {"JPEG": ".jpg", "PNG": ".png", "WebP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}
_PICTURE_BYTES = 64 * 1024 * 1024  # a picture larger than this is none
_FILE_NAME = re.compile(r"[A-Za-z0-9_ ()-][A-Za-z0-9_ .()-]{0,127}")
_MOST_RATIO = 200  # pictures and videos hardly compress; a thousandfold is a bomb
_UNPACKING = (zipfile.BadZipFile, zlib.error, EOFError)
_COPY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of the form."""

    field: str  # the camera, or `footage`
    file_name: str
    file: IO[bytes]


def save_footage(uploads: Sequence[Upload], folder: Path, limits: LimitSettings) -> None:
    """Puts footage into `folder`: `CAMERA/MOMENT.jpg`, `CAMERA.mp4`, or four-in-one files.

    Raises:
        BadName: a camera cannot be called that.
        BadUpload: a zip is unsafe, or names collide.
        Unsupported: a file is neither a picture nor a video.
        TooManyPixels: a picture is over the limit.
    """
    folder.mkdir(parents=True)
    saver = _Saver(folder, limits)
    for upload in uploads:
        checked_name("camera", upload.field)
        camera = None if upload.field == WHOLE else upload.field
        if _starts_with(upload.file, _ZIP):
            for name, member in _members(upload, limits):
                try:
                    with member:
                        saver.save(_camera_of(camera, name), name.name, member, upload.field)
                except _UNPACKING as error:
                    raise BadUpload(
                        f"{name} in the zip is damaged: {error}; zip it again",
                        field=f"/{upload.field}",
                    ) from error
        else:
            name = _safe_name(upload.file_name, upload.field)
            saver.save(_camera_of(camera, name), name.name, upload.file, upload.field)


class _Saver:
    """Writes files of known kinds (state: how many, and the cameras so far)."""

    def __init__(self, folder: Path, limits: LimitSettings) -> None:
        self._folder = folder
        self._limits = limits
        self._count = 0
        self._cameras: set[str] = set()

    def save(self, camera: str | None, name: str, file: IO[bytes], field: str) -> None:
        """One file; where it goes depends on what it is."""
        self._count += 1
        if self._count > self._limits.footage_pictures:
            raise BadUpload(
                f"more than {self._limits.footage_pictures} files in one calibration; "
                "fewer, well spread views calibrate as well",
                field=f"/{field}",
            )
        part = self._folder / ".part"
        with part.open("wb") as target:
            shutil.copyfileobj(file, target, _COPY_BYTES)
        stem, suffix = self._kind(part, name, field)
        picture = suffix in _SUFFIX.values()
        if camera is None:
            path = self._folder / f"{stem}{suffix}"
        else:
            self._cameras.add(checked_name("camera", camera))
            if len(self._cameras) > MAX_CAMERAS:
                raise BadUpload(f"more than {MAX_CAMERAS} cameras in one calibration")
            path = self._folder / (f"{camera}/{stem}{suffix}" if picture else f"{camera}{suffix}")
        path.parent.mkdir(exist_ok=True)
        if path.exists():
            raise BadUpload(
                f"two files for {path.relative_to(self._folder)}; a camera's pictures need names "
                "of their own, and it has one video at most",
                field=f"/{field}",
            )
        part.rename(path)

    def _kind(self, path: Path, name: str, field: str) -> tuple[str, str]:
        """File name stem, and the suffix that its content deserves."""
        stem = PurePosixPath(name).stem
        with path.open("rb") as file:
            head = file.read(16)
        video = _video_suffix(head)
        if video is not None:
            return stem, video
        data = path.read_bytes() if path.stat().st_size <= _PICTURE_BYTES else head
        header = read_header(data)
        if header is None:
            raise Unsupported(
                f"{name!r} is neither a picture (JPEG, PNG, WebP, BMP, TIFF) nor a video "
                "(MP4, MOV, MKV, WebM, AVI, MPEG)",
                field=f"/{field}",
            )
        width, height = header.size_px
        if width * height > self._limits.picture_pixels:
            raise TooManyPixels(
                f"{name!r} has {width} x {height} pixels, the limit is "
                f"{self._limits.picture_pixels}; post it smaller",
                field=f"/{field}",
            )
        if is_cut_off(header.kind, data):
            raise BadUpload(
                f"{name!r}: the {header.kind} is cut off after {len(data)} bytes; "
                "post the whole file",
                field=f"/{field}",
            )
        return stem, _SUFFIX[header.kind]


def _members(upload: Upload, limits: LimitSettings) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    """The files of a zip, once its table of contents has been found harmless."""
    pointer = f"/{upload.field}"
    upload.file.seek(0)
    try:
        archive = zipfile.ZipFile(upload.file)
    except zipfile.BadZipFile as error:
        raise BadUpload(
            f"the zip of {upload.field!r} is damaged: {error}", field=pointer
        ) from error
    with archive:
        entries = archive.infolist()
        _check_sizes(entries, upload.field, limits)
        for entry in entries:
            name = _safe_name(entry.filename, upload.field)
            if entry.is_dir() or name.parts[0] == "__MACOSX" or name.name.startswith("."):
                continue
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise BadUpload(f"the zip holds a link, {entry.filename!r}", field=pointer)
            try:
                yield name, archive.open(entry)
            except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
                # RuntimeError: encrypted; NotImplementedError: a compression nobody else uses.
                raise BadUpload(
                    f"{entry.filename!r} in the zip cannot be unpacked: {error}", field=pointer
                ) from error


def _check_sizes(entries: Sequence[zipfile.ZipInfo], field: str, limits: LimitSettings) -> None:
    total = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if len(entries) > limits.zip_files or total > limits.zip_bytes:
        raise BadUpload(
            f"the zip of {field!r} holds {len(entries)} files of {total} bytes unpacked, the "
            f"limits are {limits.zip_files} and {limits.zip_bytes}; send less at a time",
            field=f"/{field}",
        )
    if total > _COPY_BYTES and total > _MOST_RATIO * max(packed, 1):
        raise BadUpload(
            f"the zip of {field!r} would unpack from {packed} to {total} bytes; pictures and "
            "videos do not compress like that",
            field=f"/{field}",
        )


def _safe_name(text: str, field: str) -> PurePosixPath:
    """A relative path of plain names; what leads elsewhere is refused, not repaired."""
    path = PurePosixPath(text)
    # Zip names of other systems use backslashes; a colon is a drive or a stream there.
    if not text or path.is_absolute() or ".." in path.parts or re.search(r"[\\:\x00]", text):
        raise BadUpload(
            f"file name {text[:100]!r} leads outside its folder; use plain names",
            field=f"/{field}",
        )
    hidden = path.name.startswith(".") or path.parts[0] == "__MACOSX"
    if not hidden and not _FILE_NAME.fullmatch(path.name):
        raise BadUpload(
            f"file name {path.name[:100]!r} is not allowed: letters, digits, spaces, '.', '_', "
            "'-' and brackets, 128 at most",
            field=f"/{field}",
        )
    return path


def _camera_of(camera: str | None, name: PurePosixPath) -> str | None:
    """The camera a file belongs to; without a field of its own, its folder's or a video's name."""
    if camera is not None:
        return camera
    if len(name.parts) > 1:
        return name.parts[-2]
    return None


def _starts_with(file: IO[bytes], magic: bytes) -> bool:
    file.seek(0)
    head = file.read(len(magic))
    file.seek(0)
    return head == magic


def _video_suffix(head: bytes) -> str | None:
    if head[4:8] in _VIDEO_BOXES:
        return ".mp4"
    if head[:4] == _MATROSKA:
        return ".mkv"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return ".avi"
    return ".mpg" if head[:4] in _MPEG else None
