"""The contenders: one file each, named by --peers; bench/README.md says what a file must have."""
