"""Django's backend for PostgreSQL as the platform uses it; named in the setting DATABASES."""
