"""The Grafana dashboards; ``python -m deploy.grafana.dashboards`` writes them as Grafana reads them.

They are described in the ``pages`` beside this. The files in ``dashboards/`` are made, and committed so that Grafana needs
nothing of this. Changed in Grafana, a dashboard is not saved: change it here.
"""

from __future__ import annotations

from pathlib import Path

from deploy.grafana.pages_of_business import BUSINESS
from deploy.grafana.pages_of_operation import ALERTS, DATABASE, WORKERS
from deploy.grafana.pages_of_readings import INGEST, PIPELINE
from deploy.grafana.panels import rendered

__all__ = ["DASHBOARDS", "FOLDER"]

FOLDER = Path(__file__).parent / "dashboards"
DASHBOARDS = (INGEST, PIPELINE, ALERTS, DATABASE, WORKERS, BUSINESS)


if __name__ == "__main__":
    for each in DASHBOARDS:
        (FOLDER / f"{each.uid}.json").write_text(rendered(each))
