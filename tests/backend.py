"""The backend of GeNN that tests run; tests/cuda runs some again, in processes with another."""

import os

VARIABLE = "DELAYSNN_TEST_BACKEND"
BACKEND = os.environ.get(VARIABLE, "single_threaded_cpu")
