"""The benchmark: this package beside its peers, on one server, in turn. See bench/README.md."""
