"""The launcher behind `make run`: embedded servers, the platform's processes, one supervisor over them.

`python -m iotplatform.launcher` runs everything in the foreground. Tests and
benchmarks take only the servers from here: `servers.EmbeddedServers`.
"""
