"""Small files in the true layouts of published data sets, one module a format, to try readers and recipes on."""
