"""Every backbone of the catalogue on each of its data sets under one regime: a table of ranks, and no claims."""
