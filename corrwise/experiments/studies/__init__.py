"""One package per published table."""
