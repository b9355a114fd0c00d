"""Load generators: prebuilt requests, sent by wrk as fast as they are answered, or by our own at set times."""
