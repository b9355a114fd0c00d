from django.db import migrations, models

#: UPDATE may only take the reference to a deleted user away. DELETE is for pruning, TRUNCATE for emptying a whole database
#: (as tests do): each needs its setting in that session.
CREATE = """
CREATE FUNCTION telemetry_audit_keep() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE allowed text := coalesce(current_setting('iotplatform.audit', true), '');
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.who_id IS NULL AND to_jsonb(NEW) - 'who_id' = to_jsonb(OLD) - 'who_id' THEN
        RETURN NEW;
    ELSIF TG_OP = 'DELETE' AND allowed = 'prune' THEN
        RETURN OLD;
    ELSIF TG_OP = 'TRUNCATE' AND allowed = 'empty' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER telemetry_audit_rows BEFORE UPDATE OR DELETE ON telemetry_auditentry
    FOR EACH ROW EXECUTE FUNCTION telemetry_audit_keep();
CREATE TRIGGER telemetry_audit_table BEFORE TRUNCATE ON telemetry_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION telemetry_audit_keep();
"""
DROP = """
DROP TRIGGER telemetry_audit_table ON telemetry_auditentry;
DROP TRIGGER telemetry_audit_rows ON telemetry_auditentry;
DROP FUNCTION telemetry_audit_keep();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("telemetry", "0008_rollup_changes"),
    ]

    operations = [
        migrations.AlterField(
            model_name="auditentry",
            name="action",
            field=models.CharField(
                choices=[
                    ("created", "Created"),
                    ("changed", "Changed"),
                    ("deleted", "Deleted"),
                    ("login", "Login"),
                    ("login_failed", "Login Failed"),
                    ("locked_out", "Locked Out"),
                    ("unlocked", "Unlocked"),
                    ("denied", "Denied"),
                    ("issued", "Issued"),
                    ("refreshed", "Refreshed"),
                    ("revoked", "Revoked"),
                    ("reused", "Reused"),
                ],
                max_length=20,
            ),
        ),
        migrations.AddField(
            model_name="auditentry",
            name="via",
            field=models.CharField(db_default="", default="", max_length=10),
        ),
        migrations.AddField(
            model_name="auditentry",
            name="address",
            field=models.CharField(db_default="", default="", max_length=45),
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
