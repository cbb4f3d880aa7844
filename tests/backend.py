"""The backend of GeNN that tests run. Those of tests/cuda run some again, in processes with another."""

import os

VARIABLE = "DELAYSNN_TEST_BACKEND"
BACKEND = os.environ.get(VARIABLE, "single_threaded_cpu")
