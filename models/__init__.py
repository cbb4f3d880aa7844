"""The recipes that come with the package: one TOML file a network and task."""
