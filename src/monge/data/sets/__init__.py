"""Data sets, one module each: how samples are generated, or read from the files of a publisher."""
