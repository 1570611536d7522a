"""A method, an encoder, a data set and a metric of one's own."""
