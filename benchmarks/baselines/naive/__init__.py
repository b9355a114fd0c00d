"""The usual Django way, as tutorials have it.

A ModelSerializer with many=True, one Celery task per request that carries its readings, and
bulk_create(ignore_conflicts=True) into an ordinary table with a unique constraint.
"""
