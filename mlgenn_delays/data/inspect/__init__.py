"""What `delaysnn data check` says of a data set."""
