"""Downloads of the data sets that may be fetched, checked and unpacked."""
