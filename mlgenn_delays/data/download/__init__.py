"""Public data sets downloaded and checked, for `delaysnn data prepare`."""
