"""Plain values from a YAML text that came from outside."""

from __future__ import annotations

from typing import Any

import yaml

from .errors import BadRigFile

# Sixteen cameras with hundreds of rejected views stay under 100 kB.
MAX_BYTES = 512 * 1024
# A rig file is five levels deep.
MAX_DEPTH = 12


def load_yaml(text: str | bytes) -> Any:
    """Plain values of a YAML text from outside: small, without aliases, without double keys.

    Raises:
        BadRigFile: it is none of that.
    """
    data = text.encode() if isinstance(text, str) else text
    if len(data) > MAX_BYTES:
        raise BadRigFile(
            f"the file has {len(data)} bytes, a rig file at most {MAX_BYTES}; is it the right file?"
        )
    try:
        decoded = data.decode("utf-8-sig")
        _check_events(decoded)
        return yaml.load(decoded, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise BadRigFile(
            f"the file is not valid YAML: {reason}; it may be cut short: repair or export it again",
            reason="corrupt_yaml",
        ) from None


def _check_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise BadRigFile(
                f"line {_line(event.start_mark)} uses a YAML anchor or alias; rig files hold "
                "plain values only: write the values out"
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise BadRigFile(
                    f"line {_line(event.start_mark)} is nested deeper than {MAX_DEPTH} levels; "
                    "this is not a rig file"
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Loader(yaml.CSafeLoader):
    """The safe loader, refusing a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise BadRigFile(f"line {_line(key.start_mark)}: a key must be a plain word")
            if key.value in seen:
                raise BadRigFile(
                    f"{str(key.value)[:80]!r} stands twice (line {_line(key.start_mark)}); a "
                    "camera or a key may appear once: rename or remove one",
                    field=f"/{key.value}",
                    reason="given_twice",
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _line(mark: Any) -> int:
    return int(mark.line) + 1
