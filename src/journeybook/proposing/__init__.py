"""Proposals for somebody's files: which canonical table each could be, and by which columns.

exports.yaml  exports that are known by their columns, as published
words.yaml    names that columns of other files have, in nine languages
columns.py    what a column is, by its name, its type and its values
tables.py     the table a file is, known or guessed
writing.py    the proposal as a parameters file, with comments on what is not sure
"""
