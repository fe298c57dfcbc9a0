"""`python -m service.demo`: one rig and one take through a running service, start to end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from calibration.errors import CalibrationError
from calibration.rig import Rig
from calibration.rig_file import rig_from_yaml, rig_to_yaml
from capture.people import Frame

from ..commands.screen import bar, remarks, results
from ..config import load_settings
from ..errors import ServiceError
from ..take_summary import best_frame
from ..videos import FrameSet, frame_set_at, frame_sets, look_at
from . import rendered, sample, scene
from .client import Service
from .footage import Footage, NoFootage, fetch
from .report import frames_of, take_table, write_files, write_picture
from .server import running

RENDERED_FRAMES = 60


def demo(
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Stop the service after.")] = False,
    use_rendered: Annotated[
        bool, typer.Option("--rendered", help="Use a rendered scene; downloads nothing.")
    ] = False,
    frames: Annotated[int | None, typer.Option(min=1, help="Only the first so many.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="8000 unless that is taken; 0: any.")
    ] = None,
) -> None:
    """Calibrate, import a rig, capture a take through the REST interface, and show it."""
    # A polite kill ends the service too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    data_dir = load_settings().data_dir
    folder = Path(os.environ.get("DEMO_DIR") or data_dir / "demo")
    footage = None if use_rendered else _footage(folder / "footage")
    log = folder / "service.log"
    try:
        with running(data_dir, port, log) as (address, process):
            results.print(f"service ready at {address}, log {log}", highlight=False)
            service = Service(address)
            if footage is None:
                capture = _rendered_take(service, folder, frames or RENDERED_FRAMES)
            else:
                capture = _sample_take(service, footage, folder, frames)
            service.close()
            if no_serve:
                return
            results.print(
                f"\nthe take is on the page: [bold]{address}/#/takes/{capture}[/]\n"
                "Ctrl-C stops the service",
                highlight=False,
            )
            remarks.print(f"the service ended with status {process.wait()}")
    except (ServiceError, CalibrationError) as error:
        remarks.print(f"demo: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        results.print("stopped")


def _footage(folder: Path) -> Footage | None:
    """The sample footage, or None where it cannot be had."""
    try:
        with remarks.status("fetching the sample footage (51 MB, once)"):
            footage = fetch(folder)
    except NoFootage as error:
        results.print(f"[yellow]no sample footage[/]: {error}\nusing a rendered scene instead")
        return None
    results.print(f"footage: Pose2Sim Demo_SinglePerson. {footage.licence}", highlight=False)
    return footage


def _sample_take(service: Service, footage: Footage, folder: Path, limit: int | None) -> str:
    photos = len(list((footage.boards / "cam01").iterdir()))
    with bar("photos of the board") as step:
        lenses = sample.lenses_of(footage.boards, step)
    rig = sample.shipped_rig(footage, "demo")
    results.print(sample.lens_table(lenses, rig, photos))
    service.put_rig(rig.name, rig_to_yaml(rig))
    videos = look_at(footage.videos, footage.rate_hz)
    total = min(videos.frames, limit or videos.frames)
    capture, frames, seconds = _capture(service, rig.name, frame_sets(videos, limit), total)
    best = best_frame(frames)
    pictured = None if best is None else frame_set_at(videos, best)
    _show(service, rig, capture, frames, pictured, folder / "take")
    results.print(take_table(frames, seconds, None))
    return capture


def _rendered_take(service: Service, folder: Path, count: int) -> str:
    with remarks.status("building the room"):
        rooms = rendered.studios()
    with bar("rendering the board") as step:
        boards = rendered.render_boards(rooms, folder / "rendered" / "boards", step)
    columns, rows = scene.BOARD_CORNERS
    board = {"board": f"{columns}x{rows}", "square_mm": f"{1e3 * scene.BOARD_SQUARE_M:g}"}
    with bar("calibrating") as step:
        service.calibrate(
            "rendered", boards, {**board, "reference": "cam0", "world": "floor"}, step
        )
    rig = rig_from_yaml(service.rig_yaml("rendered"))
    grade = f", verdict {rig.verdict.grade}" if rig.verdict else ""
    rms = f"{rig.quality.rms_px:.3f} px" if rig.quality else "not known"
    results.print(f"rig calibrated from {len(boards)} cameras: rms {rms}{grade}", highlight=False)
    capture, frames, seconds = _capture(service, rig.name, rendered.film(rooms, count), count)
    best = best_frame(frames)
    pictured = None if best is None else next(rendered.film(rooms, 1, first=best))
    _show(service, rig, capture, frames, pictured, folder / "take")
    results.print(take_table(frames, seconds, rendered.error_against_truth(frames, rig)))
    return capture


def _capture(
    service: Service, rig: str, moments: Iterator[FrameSet], total: int
) -> tuple[str, list[Frame], float]:
    """A new capture with all moments posted to it: its name, the results, the seconds it took."""
    capture = service.new_capture(rig, time.strftime(f"{rig}-%Y%m%d-%H%M%S"))
    answers = []
    start = time.perf_counter()
    with bar("posting frame sets", total) as step:
        for answer in service.post(rig, capture, moments):
            answers.append(answer)
            step(len(answers))
    return capture, frames_of(answers), time.perf_counter() - start


def _show(
    service: Service,
    rig: Rig,
    capture: str,
    frames: list[Frame],
    pictured: FrameSet | None,
    folder: Path,
) -> None:
    """Writes the files and says where they are."""
    written = write_files(service, rig.name, capture, folder)
    best = best_frame(frames)
    if pictured is not None and best is not None:
        picture = folder / "take.jpg"
        write_picture(frames[best], rig, pictured.images, picture)
        written.append(picture)
    for path in written:
        results.print(f"wrote {path}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(demo)
