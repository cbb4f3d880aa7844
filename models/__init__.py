"""What comes with the package: recipes, a TOML file each, and trained networks, a bundle each."""
