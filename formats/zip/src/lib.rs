//! Zip archives as layouts: read a directory, lay members out again without copying data.
