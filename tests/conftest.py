"""What all tests share: quiet, reproducible property tests."""

from hypothesis import HealthCheck, settings

# Kernels compile inside the first example of a test, so no deadlines; the same examples in every
# run, so that a red test is red for a reason in the change.
settings.register_profile(
    "delaysnn",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("delaysnn")
