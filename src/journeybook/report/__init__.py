"""The report: everything that knows papermill and HTML.

pages       what the notebooks say of themselves: name, tables, parameters
params      params.yaml and --set, read strictly
reading     YAML without its traps
kinds       whether a value is of the type a parameter has
planning    which pages the data allow, what a page needs, what of an earlier run still holds
running     a whole run: data, pages in order, manifest
kernel      one notebook, executed in a process of its own
outcomes    what became of a run and of its pages
progress    what a run says while it runs
front       what the first page says: what was found, how sure, what to do
rendering   a page and the index as HTML
storing     files written whole or not at all, by one run at a time
listing     parameters, tables and checks of data as text, for the command line
comparing   the results of a run against the accepted ones
"""
