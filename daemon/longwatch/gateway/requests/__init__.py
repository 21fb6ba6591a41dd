"""What a client may ask for: one table from a request's name to its function, in parts by what is asked about."""
