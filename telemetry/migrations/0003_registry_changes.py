"""Triggers that tell every process what it has to forget, so that edits by bulk SQL count too."""

from django.db import migrations

# A key may be revoked, a device disabled, a range narrowed: all of it must take effect everywhere within seconds.
# Types, metrics and groups concern many devices: kind 'all' makes a process forget everything.
CREATE = """
CREATE FUNCTION telemetry_note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO telemetry_registrychange (xid, kind, object_id, at)
    VALUES (pg_current_xact_id()::text::bigint, TG_ARGV[0], CASE WHEN TG_ARGV[0] = 'all' THEN 0 ELSE OLD.id END, now());
    RETURN NULL;
END $$;

CREATE TRIGGER note_device_change AFTER DELETE OR UPDATE OF name, type_id, group_id, enabled ON telemetry_device
    FOR EACH ROW EXECUTE FUNCTION telemetry_note_change('device');
CREATE TRIGGER note_key_change
    AFTER DELETE OR UPDATE OF device_id, group_id, all_devices, backfill, rate_limit, expires_at, revoked_at ON telemetry_devicekey
    FOR EACH ROW EXECUTE FUNCTION telemetry_note_change('key');
CREATE TRIGGER note_type_change AFTER UPDATE OF strict ON telemetry_devicetype
    FOR EACH STATEMENT EXECUTE FUNCTION telemetry_note_change('all');
CREATE TRIGGER note_metric_change AFTER INSERT OR UPDATE OR DELETE ON telemetry_metricdefinition
    FOR EACH STATEMENT EXECUTE FUNCTION telemetry_note_change('all');
CREATE TRIGGER note_group_change AFTER UPDATE OF path, parent_id ON telemetry_devicegroup
    FOR EACH STATEMENT EXECUTE FUNCTION telemetry_note_change('all');
"""

DROP = "DROP FUNCTION telemetry_note_change() CASCADE;"


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0002_readings_table")]
    operations = [migrations.RunSQL(CREATE, DROP)]
