"""The life of an order: from submission to its end, by evidence alone; breakers and patience belong to it."""
