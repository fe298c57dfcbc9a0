"""The page of a service that wants keys."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from service.config import ApiKey, HttpSettings, Settings
from service.hashing import hash_key

from ..service.server import running
from .browser import Watch
from .film import RIG_YAML, Prompter

KEY = "a key for this test"


def test_the_page_asks_for_a_key_and_keeps_it_for_the_tab(tmp_path: Path, browser: Browser) -> None:
    key = ApiKey(name="reader", hash=hash_key(KEY), scopes=("admin",))
    settings = Settings(data_dir=tmp_path, http=HttpSettings(keys=(key,)))
    with running(settings, predictor=Prompter()) as client:
        headers = {"Authorization": f"Bearer {KEY}"}
        client.put("/v1/rigs/hall/rig.yaml", content=RIG_YAML, headers=headers).raise_for_status()
        watch = Watch(client.base_url.netloc.decode())
        context = browser.new_context()
        try:
            page = context.new_page()
            watch.attach(page)
            page.goto(str(client.base_url))
            dialog = page.get_by_role("dialog")
            expect(dialog).to_contain_text("wants an API key")
            page.get_by_label("API key").fill(KEY)
            page.get_by_role("button", name="Use this key").click()
            expect(page.get_by_role("heading", name="hall")).to_be_visible()
            page.reload()
            expect(page.get_by_role("heading", name="hall")).to_be_visible()
            expect(dialog).to_have_count(0)
        finally:
            context.close()
    assert [wrong for wrong in watch.wrong if "401" not in wrong] == []
