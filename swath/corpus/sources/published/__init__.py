"""Published data sets as they are downloaded: one format a module, and what all conversions share.

A format's module has `Config` (a `FormatSettings`) and `build(config, target, data)`, which lists the data set's units
and hands them to `convert`.
"""

from swath.corpus.sources.published._convert import SKIP, Form, FormatSettings, Report, convert, data_folder, gather
from swath.corpus.sources.published._images import expect

__all__ = ["SKIP", "Form", "FormatSettings", "Report", "convert", "data_folder", "expect", "gather"]
