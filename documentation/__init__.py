"""How the documents become a site: `make docs` (MkDocs with the theme Material)."""
