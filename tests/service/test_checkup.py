"""What a machine can run, where it cannot."""

import pytest

from service.checkup import examine, look_at_redis, service_problem

from .server import running, until


def found(what):
    return next(one for one in examine() if one.what == what)


def test_a_service_that_is_ready_has_no_problem(client):
    assert service_problem(str(client.base_url), 5.0) is None


def test_a_service_whose_network_is_missing_says_so(settings):
    model = settings.model.model_copy(update={"name": "nobody"})
    with running(settings.model_copy(update={"model": model}), wait_ready=False) as client:
        address = str(client.base_url)
        until(lambda: "nobody" in (service_problem(address, 5.0) or ""), "the reason is told")


def test_an_unknown_setting_is_the_first_thing_to_know(monkeypatch):
    monkeypatch.setenv("QUADGLASS_COLOUR", "red")
    (one,) = examine()
    assert (one.what, one.state) == ("settings", "bad")
    assert "QUADGLASS_COLOUR" in one.says


def test_missing_weights_are_said(monkeypatch):
    monkeypatch.setenv("QUADGLASS_MODEL_NAME", "nobody")
    assert found("network").state == "bad"
    assert "nobody" in found("network").says


def test_a_provider_that_is_not_there(monkeypatch):
    monkeypatch.setenv("QUADGLASS_MODEL_NAME", "nobody")  # quick: nothing to time
    monkeypatch.setenv("QUADGLASS_MODEL_PROVIDERS", "[NoSuchExecutionProvider]")
    assert found("runtime").state == "bad"


@pytest.mark.parametrize("url", ["redis://:secret@127.0.0.1:1/0", "http://secret@nowhere"])
def test_redis_that_does_not_answer_keeps_its_password(url):
    one = look_at_redis(url)
    assert one.state == "bad"
    assert "secret" not in one.says
