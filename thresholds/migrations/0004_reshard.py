"""When the log gets another number of shards, what judging remembers moves with its devices."""

from django.db import migrations

# In the transaction of the reshard, however it is done. States of series that are gone stay in some shard, whose next
# drain ends their alerts. Every shard's judge then begins from what the database says.
CREATE = """
CREATE FUNCTION thresholds_move_states() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE thresholds_pairstate p SET shard = coalesce(
        (SELECT s.device_id % NEW.shards FROM telemetry_series s WHERE s.id = p.series_id), p.shard % NEW.shards);
    INSERT INTO thresholds_shardjudging AS j (shard, epoch)
        SELECT n, 1 FROM generate_series(0, greatest(OLD.shards, NEW.shards) - 1) n
        ON CONFLICT (shard) DO UPDATE SET epoch = j.epoch + 1;
    RETURN NULL;
END $$;

CREATE TRIGGER move_states AFTER UPDATE OF shards ON telemetry_loglayout
    FOR EACH ROW WHEN (OLD.shards <> NEW.shards) EXECUTE FUNCTION thresholds_move_states();
"""

DROP = "DROP FUNCTION thresholds_move_states() CASCADE;"


class Migration(migrations.Migration):
    dependencies = [("thresholds", "0003_pairstate_severity"), ("telemetry", "0005_no_dots_for_names")]
    operations = [migrations.RunSQL(CREATE, DROP)]
