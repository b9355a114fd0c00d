"""A whole platform whose database is destroyed under load comes back from its backup, and from its log."""

from __future__ import annotations

import pytest

from tests.iotplatform.backup.drill import drill, kept_log
from tests.live import LivePlatform


@pytest.mark.slow
def test_a_destroyed_database_comes_back_with_everything_accepted_before_and_after_the_backup(tmp_path, capsys):
    with LivePlatform(tmp_path, **kept_log()) as platform:
        figures = drill(platform)
    with capsys.disabled():
        print(f"\n{figures}")
    assert figures.outcome.violations == []
    assert figures.outcome.lost_batches == 0
    assert figures.rpo_seconds == 0
