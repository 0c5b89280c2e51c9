"""Tests, by folder of the project; a package, so that no other package called tests is found first."""
