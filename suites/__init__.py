"""Publications and projects as suites: one folder each, one test per claim."""
