"""When the rollups of a day were last changed: by this, answers that are kept are told from those that are out of date."""

from django.db import migrations

_FORWARD = """
CREATE TABLE telemetry_rollupchange (day date PRIMARY KEY, stamp bigint NOT NULL);
CREATE SEQUENCE telemetry_rollupchange_stamp OWNED BY telemetry_rollupchange.stamp;
-- Marks go when their rollups are made, by one refresh at a time: so nobody waits for these rows.
CREATE FUNCTION telemetry_note_rollup_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO telemetry_rollupchange (day, stamp)
    SELECT days.day, nextval('telemetry_rollupchange_stamp') FROM (
        SELECT DISTINCT first.day + n AS day
        FROM gone
        CROSS JOIN LATERAL (SELECT (gone.low AT TIME ZONE 'UTC')::date AS day,
            ((gone.high - interval '1 microsecond') AT TIME ZONE 'UTC')::date AS until) AS first
        CROSS JOIN LATERAL generate_series(0, first.until - first.day) AS n
    ) AS days
    ON CONFLICT (day) DO UPDATE SET stamp = excluded.stamp;
    RETURN NULL;
END $$;
CREATE TRIGGER telemetry_note_rollup_changes AFTER DELETE ON telemetry_rollupmark
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION telemetry_note_rollup_changes();
"""
_BACK = """
DROP TRIGGER telemetry_note_rollup_changes ON telemetry_rollupmark;
DROP FUNCTION telemetry_note_rollup_changes();
DROP TABLE telemetry_rollupchange;
"""


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0007_devicesight")]
    operations = [migrations.RunSQL(_FORWARD, _BACK)]
