"""The report: everything that knows papermill and HTML.

pages       what the notebooks say of themselves: name, tables, parameters
params      params.yaml and --set, read strictly
checking    types and run keys: one sentence for each mistake
planning    which pages the data allow, what a page needs, what may be kept
kernel      one notebook, executed in a process of its own
running     a whole run: data, pages in order, manifest
progress    what a run says while it runs
rendering   a page and the index as HTML
listing     parameters and tables as text, for the command line
comparing   the results of a run against the accepted ones
"""
