"""A calibration's report as one HTML page: findings first, then pictures. Nothing is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .report_pictures import coverage_map, histogram, plan_drawing, residual_arrows

__all__ = ["report_html"]

_STYLE = """
:root{--ink:#1b2430;--dim:#667385;--line:#d9dee6;--good:#1a7f4b;--usable:#9a6b00;--bad:#b3261e}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);max-width:1080px;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
.grade{display:inline-block;padding:.1rem .6rem;border-radius:1rem;color:#fff;font-weight:600}
.good{background:var(--good)}.usable{background:var(--usable)}.bad{background:var(--bad)}
.dim{color:var(--dim)}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:.25rem .6rem;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left}th{font-weight:600;color:var(--dim)}
.row{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0;flex:1 1 300px}
figcaption{color:var(--dim);font-size:.85rem}svg{width:100%;height:auto;background:#f7f9fb;
border:1px solid var(--line);border-radius:4px}
li{margin:.3rem 0}.fix{color:var(--dim)}
"""


def report_html(report: Mapping[str, Any]) -> str:
    """The page of a rig's report, as `Calibration.report` holds it.

    Args:
        report: the report's values; those read back from JSON do as well.
    """
    title = f"{report['rig']}: {report['grade']}"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width,initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        _heading(report),
        _findings(report["findings"]),
        _figures(report),
        _cameras(report["cameras"]),
        "<h2>Where the cameras stand, and how far a point is known</h2>",
        plan_drawing(report["plan"]),
        "<p class=dim>Seen along the thinnest direction of the rig, in metres. Colours: predicted "
        "error of a triangulated point, from the calibration alone, millimetres. Dots: boards.</p>",
        _pictures(report["cameras"]),
        _pairs(report["pairs"]),
        _rejected(report["rejected"]),
        "</html>",
    ]
    return "\n".join(parts)


def _heading(report: Mapping[str, Any]) -> str:
    board = report["board"]
    columns, rows = board["inner_corners"]
    return (
        f"<h1>{escape(report['rig'])} <span class='grade {escape(report['grade'])}'>"
        f"{escape(report['grade'])}</span></h1>"
        f"<p class=dim>{escape(report['kind'])} rig, {len(report['cameras'])} cameras, "
        f"{escape(report['created'])}; {escape(board['kind'])} of {columns}×{rows} inner corners, "
        f"{1000 * board['square_m']:g} mm squares</p>"
    )


def _findings(findings: Sequence[Mapping[str, Any]]) -> str:
    if not findings:
        return "<h2>Findings</h2><p>Nothing to complain about.</p>"
    items = "".join(
        f"<li><b>{escape(f['code'])}</b> {escape(f['message'])}. "
        f"<span class=fix>{escape(f['fix'])}.</span></li>"
        for f in findings
    )
    return f"<h2>Findings</h2><ul>{items}</ul>"


def _figures(report: Mapping[str, Any]) -> str:
    quality, solve = report["quality"], report["solve"]
    at = quality["sigma_mm_at"] or {"center": None, "worst": None}
    rows = [
        ("corners fit (RMS)", _number(quality["rms_px"], "px")),
        ("half the moments against the other half", _number(quality["cross_validation_px"], "px")),
        ("residuals against normal noise (1 is right)", _number(quality["chi2_dof"], "")),
        ("sides of squares, triangulated", _number(quality["edge_error_mm"], "mm")),
        ("a point in the middle is known to", _number(at["center"], "mm")),
        ("a point at worst", _number(at["worst"], "mm")),
        ("views and corners", f"{solve['views']} and {solve['corners']}"),
        ("single corners left out", str(solve["dropped_corners"])),
    ]
    if report.get("bend"):
        bend = report["bend"]
        sizes = " and ".join(
            f"{bend[f'{way}_mm']:.2f} ± {bend[f'sigma_{way}_mm']:.2f} mm"
            for way in ("across", "down")
        )
        told = "taken into account" if bend["allowed"] else "not taken into account"
        rows.append((f"the board is bent across and down by ({told})", sizes))
    if report["stereo"]:
        rows.append(("baseline", _number(1000 * report["stereo"]["baseline_m"], "mm")))
        rows.append(("rows agree to", _number(report["stereo"]["epipolar_rms_px"], "px")))
    body = "".join(f"<tr><td>{escape(name)}</td><td>{value}</td></tr>" for name, value in rows)
    return f"<h2>How good</h2><table>{body}</table>"


def _cameras(cameras: Mapping[str, Any]) -> str:
    head = (
        "<tr><th>camera</th><th>views</th><th>RMS px</th><th>95 % px</th><th>max px</th>"
        "<th>focal px</th><th>± px</th><th>turn ± mrad</th><th>place ± mm</th>"
        "<th>coverage</th><th>depth ratio</th><th>tilts °</th></tr>"
    )
    body = []
    for name, camera in cameras.items():
        quality, sigma = camera["quality"], camera["sigma"]
        turn = 1000 * max(sigma[f"rot_{axis}"] for axis in "xyz")
        place = 1000 * max(sigma[f"t_{axis}"] for axis in "xyz")
        body.append(
            f"<tr><td>{escape(name)}</td><td>{quality['views']}</td>"
            f"<td>{quality['rms_px']:.3f}</td><td>{quality['p95_px']:.2f}</td>"
            f"<td>{camera['max_px']:.2f}</td><td>{camera['K'][0][0]:.1f}</td>"
            f"<td>{sigma['fx']:.2f}</td><td>{turn:.2f}</td><td>{place:.2f}</td>"
            f"<td>{quality['coverage']:.0%}</td><td>{quality['depth_ratio']:.2f}</td>"
            f"<td>{camera['tilt_range_deg']:.0f}</td></tr>"
        )
    return f"<h2>Cameras</h2><table>{head}{''.join(body)}</table>"


def _pictures(cameras: Mapping[str, Any]) -> str:
    parts = []
    for name, camera in cameras.items():
        sample = camera["residual_sample"]
        parts.append(
            f"<h2>{escape(name)}</h2><div class=row>"
            f"<figure>{residual_arrows(camera['size_px'], sample)}<figcaption>corners, and their "
            "misfits drawn 50 times as long</figcaption></figure>"
            f"<figure>{coverage_map(camera['coverage_counts'])}<figcaption>corners per cell of the "
            "picture</figcaption></figure>"
            f"<figure>{histogram(sample)}<figcaption>misfit of corners</figcaption></figure>"
            "</div>"
        )
    return "".join(parts)


def _pairs(pairs: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{escape(p['first'])} – {escape(p['second'])}</td><td>{p['moments']}</td>"
        f"<td>{p['agreeing']}</td><td>{1000 * p['distance_m']:.1f}</td></tr>"
        for p in pairs
    )
    head = "<tr><th>pair</th><th>shared moments</th><th>agreeing</th><th>distance mm</th></tr>"
    return f"<h2>Pairs</h2><table>{head}{rows}</table>"


def _rejected(rejected: Sequence[Mapping[str, Any]]) -> str:
    if not rejected:
        return ""
    rows = "".join(
        f"<tr><td>{escape(_who(r))}</td><td>{escape(r['frame'])}</td>"
        f"<td>{escape(r['reason'])}</td><td>{r['value']:.1f}</td></tr>"
        for r in rejected
    )
    head = "<tr><th>camera</th><th>moment</th><th>reason</th><th>px, or mm of desync</th></tr>"
    return f"<h2>Views set aside</h2><table>{head}{rows}</table>"


def _who(rejected: Mapping[str, Any]) -> str:
    partner = rejected.get("partner")  # reports of earlier versions have none
    return str(rejected["camera"]) if partner is None else f"{rejected['camera']} or {partner}"


def _number(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:.3g} {unit}".strip()
