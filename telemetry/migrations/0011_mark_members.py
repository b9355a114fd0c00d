"""Marks say by bits which series they are about, and up to when their readings go. Those that are there stay as they are: both forms are understood.

A mark has one of the two, and the other is NULL: a refresh of the release before, while it still runs, fails at such a mark
and leaves it to the next one. An empty list of series would be taken for one that is done. Web processes of the release
before answer from rollups that lack what is marked so, until they are replaced.
"""

from django.db import migrations

_FORWARD = """
ALTER TABLE telemetry_rollupmark
    ADD COLUMN members bytea,
    ADD COLUMN newest timestamptz,
    ALTER COLUMN series DROP NOT NULL,
    ADD CONSTRAINT telemetry_rollupmark_members CHECK (num_nonnulls(members, series) = 1);
"""
_BACK = """
ALTER TABLE telemetry_rollupmark DROP CONSTRAINT telemetry_rollupmark_members;
UPDATE telemetry_rollupmark SET series = ARRAY(
    WITH held AS MATERIALIZED (SELECT members || ''::bytea AS bits)
    SELECT id FROM held CROSS JOIN generate_series(first_series, last_series) AS id
    WHERE get_bit(held.bits, id - first_series / 8 * 8) = 1 ORDER BY id
) WHERE members IS NOT NULL;
ALTER TABLE telemetry_rollupmark DROP COLUMN members, DROP COLUMN newest, ALTER COLUMN series SET NOT NULL;
"""


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0010_exports")]
    operations = [migrations.RunSQL(_FORWARD, _BACK)]
