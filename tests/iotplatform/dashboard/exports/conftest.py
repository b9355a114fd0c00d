"""The plant and the people of the tests of exports."""

from tests.telemetry.exports.conftest import ann, exports_folder, no_throttling_between_tests, plant

__all__ = ["ann", "exports_folder", "no_throttling_between_tests", "plant"]
