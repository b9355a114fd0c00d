"""Triggers that bump the version of the rules, so that edits by bulk SQL count too."""

from django.db import migrations

# The row is written by a deferred trigger, so it is locked only while a transaction commits, and once a transaction
# however many rows it changed. New devices are no change: their series are looked up when they first come.
CREATE = """
INSERT INTO thresholds_rulesversion (id, rules, placement, rules_xid, placement_xid) VALUES (1, 1, 1, 0, 0);

CREATE FUNCTION thresholds_bump_rules() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO thresholds_rulesversion AS v (id, rules, placement, rules_xid, placement_xid)
        VALUES (1, 2, 2, pg_current_xact_id()::text::bigint, pg_current_xact_id()::text::bigint)
        ON CONFLICT (id) DO UPDATE SET rules = v.rules + 1, rules_xid = excluded.rules_xid
        WHERE v.rules_xid <> excluded.rules_xid;
    RETURN NULL;
END $$;

CREATE FUNCTION thresholds_bump_placement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO thresholds_rulesversion AS v (id, rules, placement, rules_xid, placement_xid)
        VALUES (1, 2, 2, pg_current_xact_id()::text::bigint, pg_current_xact_id()::text::bigint)
        ON CONFLICT (id) DO UPDATE SET placement = v.placement + 1, placement_xid = excluded.placement_xid
        WHERE v.placement_xid <> excluded.placement_xid;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER bump_rules AFTER INSERT OR UPDATE OR DELETE ON thresholds_threshold
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION thresholds_bump_rules();
CREATE CONSTRAINT TRIGGER bump_rules AFTER INSERT OR UPDATE OR DELETE ON thresholds_level
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION thresholds_bump_rules();
CREATE CONSTRAINT TRIGGER bump_placement AFTER DELETE ON telemetry_device
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION thresholds_bump_placement();
CREATE CONSTRAINT TRIGGER bump_placement_by_edit AFTER UPDATE ON telemetry_device
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN ((OLD.name, OLD.type_id, OLD.group_id, OLD.enabled) IS DISTINCT FROM (NEW.name, NEW.type_id, NEW.group_id, NEW.enabled))
    EXECUTE FUNCTION thresholds_bump_placement();
CREATE CONSTRAINT TRIGGER bump_placement AFTER UPDATE OF path, parent_id ON telemetry_devicegroup
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION thresholds_bump_placement();
CREATE CONSTRAINT TRIGGER bump_placement AFTER INSERT OR UPDATE OR DELETE ON telemetry_metricdefinition
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION thresholds_bump_placement();
"""

DROP = """
DROP FUNCTION thresholds_bump_rules() CASCADE;
DROP FUNCTION thresholds_bump_placement() CASCADE;
DELETE FROM thresholds_rulesversion;
"""


class Migration(migrations.Migration):
    dependencies = [("thresholds", "0001_initial"), ("telemetry", "0003_registry_changes")]
    operations = [migrations.RunSQL(CREATE, DROP)]
