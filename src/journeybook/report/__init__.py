"""The report: everything that knows papermill and HTML.

pages       what the notebooks say of themselves: name, tables, parameters
imports     what the notebooks import, directly or not
params      params.yaml and --set, read strictly
reading     YAML without its traps
kinds       whether a value is of the type a parameter has
planning    which pages the data allow, what a page needs, what of an earlier run still holds
graph       pages by what they wait for, side by side
running     a whole run: data, pages, manifest
kernel      one notebook, executed by papermill
kernels     the processes of a run's pages, none of which outlives it
provisioning  how jupyter_client comes to such a process
forkserver  the process that kernels are forked from, with the imports done
outcomes    what became of a run and of its pages
progress    what a run says while it runs
moved       what moved between two reports
front       what the first page says: what was found, how sure, what to do
cells       the cells of an executed notebook as HTML
rendering   a page and the index as HTML
storing     files written whole or not at all, by one run at a time
listing     parameters, tables and checks of data as text, for the command line
alerting    what a run has to tell, sent once
delivering  a message to a file, by mail, to a webhook
comparing   the results of a run against the accepted ones
"""

import sys

# jsonschema, and with it all of Jupyter, would read a grammar for a second, for a format that nobody asks for.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
