from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import service

MODULES = [
    importlib.import_module(f"service.{module.name}")
    for module in pkgutil.iter_modules(service.__path__)
    if not module.ispkg and module.name != "__main__"
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_what_a_module_offers_is_listed_and_there(module: ModuleType) -> None:
    listed = set(module.__all__)
    assert all(hasattr(module, name) for name in listed)
    own = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }
    assert own <= listed, f"not listed: {sorted(own - listed)}"
