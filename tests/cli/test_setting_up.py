"""Keys, boards to print and planned rigs, as somebody would type them."""

import json

from typer.testing import CliRunner

from service.cli import app


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result


def refused(*words):
    """What a refusal says."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 2, result.output
    return result.stderr


def test_keys_are_made_listed_and_revoked(tmp_path):
    made = run("keys", "new", "stage", "--scopes", "admin", "--data-dir", tmp_path)
    assert made.stdout.startswith("qg_")
    listed = run("keys", "list", "--json", "--data-dir", tmp_path)
    assert json.loads(listed.stdout) == [{"name": "stage", "scopes": ["admin"]}]
    assert refused("keys", "new", "../x", "--data-dir", tmp_path)
    assert "they are read" in refused(
        "keys", "new", "a", "--scopes", "write", "--data-dir", tmp_path
    )
    assert "names are stage" in refused("keys", "revoke", "nobody", "--data-dir", tmp_path)
    run("keys", "revoke", "stage", "--data-dir", tmp_path)
    assert json.loads(run("keys", "list", "--json", "--data-dir", tmp_path).stdout) == []


def test_a_plan_is_told_and_drawn(tmp_path):
    drawing = tmp_path / "plan.svg"
    out = run("plan", "--cameras", 3, "--json", "-o", drawing)
    figures = json.loads(out.stdout)
    assert 0.9 < figures["seen_by_two"] <= 1.0
    assert len(figures["seen_per_camera"]) == 3
    assert drawing.read_text().startswith("<svg xmlns")
    assert "3x3x2" in refused("plan", "--volume", "3")


def test_a_board_is_written_to_print(tmp_path):
    for name, start in (("board.pdf", b"%PDF"), ("board.svg", b"<svg")):
        run("board", "9x6", "--square-mm", 25, "-o", tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    odd = ("board", "9x7", "--square-mm", 25, "-o", tmp_path / "odd.pdf")
    assert "turned by half" in refused(*odd)
    assert "board.pdf" in refused("board", "9x6", "--square-mm", 25, "-o", tmp_path / "b.doc")
