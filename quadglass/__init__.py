"""The Python client of a Quadglass service.

    from quadglass import Client

    with Client("http://127.0.0.1:8000") as client:
        client.put_rig("studio", Path("rig.yaml"))
        client.create_capture("studio", "take-1")
        result = client.post_frames("studio", {"cam0": jpeg0, "cam1": jpeg1}, capture="take-1")
        for person in result.people:
            print(person.id, person.joint("left_knee").position)

`AsyncClient` has the same methods, awaited. `stream` opens a live stream over a WebSocket.
`verified` checks a webhook.
"""

from .async_client import AsyncClient
from .client import Client
from .live import AsyncStream, Dropped, Stream
from .problem import Problem, Unreachable
from .results import Joint, Person, PictureResult, Result, ViewPerson
from .webhook import BadSignature, verified

__all__ = [
    "AsyncClient",
    "AsyncStream",
    "BadSignature",
    "Client",
    "Dropped",
    "Joint",
    "Person",
    "PictureResult",
    "Problem",
    "Result",
    "Stream",
    "Unreachable",
    "ViewPerson",
    "verified",
]
