"""`python -m service.demo.outage URL`: a rig and a take through a service that loses its parts.

Calibrates a rendered rig, posts a rendered take and says each moment on stdout, so that whoever
runs it can kill a worker or the queue in between. In the end every moment that was accepted must
have been answered, with people or with a reason, and be in the take once if it was with people.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import typer

from quadglass import Client, Problem
from quadglass.retry import Retry

from ..commands.screen import bar
from ..errors import ServiceError
from . import rendered, scene

MOMENTS = 24
RIG = "outage"
_PATIENT = Retry(tries=12, most_wait_s=5.0)


class Lost(ServiceError):
    """Something that was accepted is missing, or there twice."""

    code = "lost"


def outage(url: str, moments: int = MOMENTS) -> None:
    """Posts the take and counts."""
    with Client(url, retry=_PATIENT, timeout_s=120.0) as client, TemporaryDirectory() as folder:
        rooms = rendered.studios()
        with bar("rendering the board") as step:
            boards = rendered.render_boards(rooms, Path(folder), step)
        client.create_rig(RIG)
        columns, rows = scene.BOARD_CORNERS
        job = client.wait(
            client.calibrate(
                RIG,
                f"{columns}x{rows}",
                1e3 * scene.BOARD_SQUARE_M,
                boards,
                reference="cam0",
                world="floor",
            )
        )
        say(f"calibrated: {job['calibration']}")
        capture = client.create_capture(RIG, time.strftime("outage-%Y%m%d-%H%M%S"))["name"]
        answered, told = 0, []
        for number, moment in enumerate(rendered.film(rooms, moments)):
            pictures = {
                name: cv2.imencode(".jpg", image)[1].tobytes()
                for name, image in moment.images.items()
            }
            try:
                client.post_frames(RIG, pictures, timestamp_ns=moment.timestamp_ns, capture=capture)
                answered += 1
            except Problem as problem:
                told.append(problem.code)
            say(f"moment {number}")
        check(client, capture, moments, answered, told)


def check(client: Client, capture: str, moments: int, answered: int, told: list[str]) -> None:
    """Nothing, if all that was accepted is accounted for.

    Raises:
        Lost: it is not.
    """
    times = [result.timestamp_ns for result in client.results(capture)]
    say(
        f"{moments} moments: {answered} with people in {len(times)} results, {len(told)} told why "
        f"not ({', '.join(told) or 'none'})"
    )
    if answered + len(told) != moments:
        raise Lost(f"{moments} moments were posted, {answered + len(told)} were answered")
    # A moment that was told too late may still have been finished: more in the take is no loss.
    if len(times) < answered or len(set(times)) != len(times):
        raise Lost(f"{answered} moments had results, the take has {len(set(times))} moments")


def say(text: str) -> None:
    """A line that is read at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    typer.run(outage)
