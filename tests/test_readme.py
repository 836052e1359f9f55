"""README lists every paper and topic, and each has a title."""

import re
from pathlib import Path

from limitpoint import all_claims
from limitpoint.judgement.registry import titles

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_every_folder_is_listed():
    folders = {topic.replace("-", "_") for topic in titles()}
    assert set(re.findall(r"\| `claims/(\w+)` \|", README)) == folders


def test_every_topic_has_a_title():
    assert {claim.paper for claim in all_claims().values()} == titles().keys()
    assert not [topic for topic, title in titles().items() if title == topic]
