from __future__ import annotations

import inspect

import pytest

from calibration import errors as calibration_errors
from capture import errors as capture_errors
from service import errors
from service.problems import problem_of, problem_response

ALL = [
    kind
    for module in (errors, calibration_errors, capture_errors)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, Exception) and kind.__module__ == module.__name__
]
NOT_OVER_HTTP = {"ServiceError", "BadSettings", "UnsafeListen"}


def made(kind: type[Exception]) -> Exception:
    return kind("said", retry_after_s=2.5) if kind is errors.QueueFull else kind("said")


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_and_a_code_of_its_own(kind: type[Exception]) -> None:
    if kind.__name__ in NOT_OVER_HTTP:
        assert errors.status_of(made(kind)) == 500
        return
    problem = problem_of(made(kind))
    assert 400 <= problem["status"] <= 504
    assert problem["detail"] == "said"
    assert problem["type"] == f"urn:quadglass:problem:{problem['code']}"
    assert [other for other in ALL if vars(other)["code"] == problem["code"]] == [kind]


def test_the_tree_in_the_docstring_names_every_error() -> None:
    for kind in ALL:
        if kind.__module__ == errors.__name__:
            assert kind.__name__ in (errors.__doc__ or "")


def test_the_most_specific_status_wins() -> None:
    assert errors.status_of(errors.TooManyPixels("x")) == 413
    assert errors.status_of(calibration_errors.BadRigFile("x")) == 422


def test_an_unforeseen_error_tells_nothing_of_its_inside() -> None:
    problem = problem_of(RuntimeError("secret path /root/x"))
    assert problem["status"] == 500
    assert problem["code"] == "internal"
    assert "secret" not in problem["detail"]


def test_field_and_camera_are_told() -> None:
    error = calibration_errors.WrongFrameSize("said", camera="cam1", field="/cam1")
    assert problem_of(error)["pointer"] == "/cam1"
    assert problem_of(error)["camera"] == "cam1"


def test_retry_after_is_whole_seconds_rounded_up() -> None:
    assert problem_response(errors.QueueFull("x", retry_after_s=2.1)).headers["Retry-After"] == "3"


def test_a_missing_key_is_told_how_to_send_one() -> None:
    assert "Bearer" in problem_response(errors.KeyMissing("x")).headers["WWW-Authenticate"]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_survives_the_way_between_processes(kind: type[Exception]) -> None:
    if kind is errors.QueueFull:
        return
    code = vars(kind)["code"]
    back = errors.from_wire(code, "said", field="/a", camera="cam1")
    assert type(back) is kind
    assert (str(back), vars(back)["field"], vars(back)["camera"]) == ("said", "/a", "cam1")


def test_an_unknown_code_becomes_an_internal_error() -> None:
    assert errors.status_of(errors.from_wire("from_the_future", "said")) == 500
