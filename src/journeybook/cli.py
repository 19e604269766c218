"""The command line, thin: each command calls one function of the package."""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import journeybook
from journeybook.errors import JourneybookError

if TYPE_CHECKING:
    from journeybook.report.params import RunParameters


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks; returns 0, 1 where a page failed, 2 where the command cannot be done."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.do(arguments)
    except JourneybookError as error:
        if arguments.debug:
            traceback.print_exc()
        print(f"journeybook: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of our output, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("\njourneybook: stopped.", file=sys.stderr)
        return 130
    except Exception as error:
        if arguments.debug:
            raise
        print(f"journeybook: {type(error).__name__}: {error} (--debug shows where)", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    from journeybook.report.running import folders, run_report
    from journeybook.report.storing import executed_path, traceback_of

    try:
        outcome = run_report(
            _parameters(arguments),
            out=arguments.out,
            only=arguments.only,
            cell_timeout=arguments.cell_timeout,
            strict=arguments.strict,
            send=arguments.send,
            events=arguments.json,
        )
    except (JourneybookError, KeyboardInterrupt) as error:
        if arguments.json:
            code, said = (2, str(error)) if isinstance(error, JourneybookError) else (130, "stopped")
            print(json.dumps({"event": "run done", "exit_code": code, "error": said}), flush=True)
        raise
    for page in outcome.pages if arguments.debug else ():
        if page.status == "failed":
            print(traceback_of(executed_path(folders(arguments.out)[0], page.name)), file=sys.stderr)
    if arguments.json:
        return outcome.exit_code
    if outcome.failed:
        print(f"{_counted(outcome.failed, 'page')} failed; the report shows why.")
    if outcome.failed_checks:
        print(f"{_counted(outcome.failed_checks, 'check')} failed; the report shows which.")
    if outcome.alarms:
        print(f"{_counted(outcome.alarms, 'new alarm')}; page 15 shows which.")
    print(f"Report in {outcome.seconds:.0f} s: {outcome.index}")
    return outcome.exit_code


def _check(arguments: argparse.Namespace) -> int:
    from journeybook.checking import check_lines

    for line in check_lines(_parameters(arguments)):
        print(line)
    return 0


def _map(arguments: argparse.Namespace) -> int:
    from journeybook.proposing.writing import propose

    target = arguments.output
    if target is not None and target.exists():
        raise JourneybookError(f"{str(target)!r} is there already: name another file, or remove it.")
    text = propose(arguments.files, base=Path.cwd() if target is None else target.resolve().parent)
    if target is None:
        print(text, end="")
    else:
        target.write_text(text, encoding="utf-8")
        print(f"Written: {target}. Read it, then: journeybook check --params {target}")
    return 0


def _params(arguments: argparse.Namespace) -> int:
    from journeybook.report.listing import parameter_lines, params_yaml
    from journeybook.report.pages import discover
    from journeybook.report.params import PARAMS, committed_parameters

    if arguments.write:
        PARAMS.write_text(params_yaml(committed_parameters(pages=discover())), encoding="utf-8")
        print(f"Written: {PARAMS}")
        return 0
    for line in parameter_lines(_parameters(arguments)):
        print(line)
    return 0


def _data(arguments: argparse.Namespace) -> int:
    from journeybook.report.listing import table_lines, tables_of
    from journeybook.report.running import TABLES

    for line in table_lines(tables_of(arguments.out, TABLES)):
        print(line)
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from journeybook.report.comparing import accept, compare
    from journeybook.report.running import REPORTS

    if arguments.reports:
        from journeybook.report.moved import say_moved

        if len(arguments.reports) != 2:
            raise JourneybookError("compare needs two reports, OLD and NEW, or none for the accepted results.")
        print(say_moved(*arguments.reports))
        return 0
    results = (arguments.out or REPORTS) / "results"
    if arguments.accept:
        print(f"Accepted: {', '.join(path.stem for path in accept(results))}.")
        return 0
    differences = compare(results)
    for difference in differences:
        print(difference)
    print(f"{len(differences)} differences from the accepted results." if differences else "As accepted.")
    return int(bool(differences))


def _key(arguments: argparse.Namespace) -> int:
    from journeybook.report.running import folders
    from journeybook.tables import new_key, owners_view, rotate_key

    if not arguments.rotate:
        print(new_key())
        return 0
    crosswalk = rotate_key(owners_view(folders(arguments.out)[1]))
    print(f"The new key is in data/pseudonym.key; which pseudonym became which is in {crosswalk} (mode 600).")
    if os.environ.get("JOURNEYBOOK_KEY"):
        print("JOURNEYBOOK_KEY still holds the old key: unset it, or set it to the new one.")
    print("The next run makes the tables anew.")
    return 0


def _teach(arguments: argparse.Namespace) -> int:
    from journeybook.report.pages import NOTEBOOKS
    from journeybook.teaching import write_sets

    written = write_sets(NOTEBOOKS, arguments.out)
    print(f"{_counted(len(written), 'notebook')} with exercises, in {arguments.out}/student and /teacher.")
    return 0


def _score(arguments: argparse.Namespace) -> int:
    from journeybook.channel_response.scoring import score_file

    said = score_file(arguments.model, arguments.input, arguments.output)
    print(f"Written: {arguments.output}" if said is None else said, end="\n" if said is None else "")
    return 0


def _erase(arguments: argparse.Namespace) -> int:
    from journeybook.report.erasing import erase

    asked = _parameters(arguments) if arguments.params or arguments.set else None
    for line in erase(arguments.customer, out=arguments.out, parameters=asked):
        print(line)
    return 0


def _alert(arguments: argparse.Namespace) -> int:
    from journeybook.report.alerting import alert, read_delivery
    from journeybook.report.running import folders

    told = alert(folders(arguments.out)[0], read_delivery(arguments.to))
    for line in told.said:
        print(line)
    for line in told.failed:
        print(f"journeybook: {line}", file=sys.stderr)
    return int(bool(told.failed))


def _access(arguments: argparse.Namespace) -> int:
    from journeybook.report.access import access

    asked = _parameters(arguments) if arguments.params or arguments.set else None
    for line in access(arguments.customer, out=arguments.out, target=arguments.to, parameters=asked):
        print(line)
    return 0


def _notice(arguments: argparse.Namespace) -> int:
    from journeybook.privacy.ledger import read_ledger
    from journeybook.report.notice import write_notice

    path, sign = _ledger(arguments)
    entries = read_ledger(path, sign=sign) if path.is_file() else []
    write_notice(arguments.to, out=arguments.out, contact=arguments.contact, released=entries)
    print(f"Written: {arguments.to}. Have it read by whoever answers for it before it goes out.")
    return 0


def _budget(arguments: argparse.Namespace) -> int:
    from journeybook.privacy.ledger import budget_lines, budget_table, grant, read_ledger

    path, sign = _ledger(arguments)
    if arguments.grant is None:
        entries = read_ledger(path, sign=sign)
    else:
        for option in ("delta", "unit", "period"):
            if getattr(arguments, option) is None:
                raise JourneybookError(f"--grant needs --{option}: a budget has a delta, a unit and a period.")
        about = {"delta": arguments.delta, "unit": arguments.unit, "period": arguments.period}
        entries = grant(path, epsilon=arguments.grant, sign=sign, **about)
    table = budget_table(entries)
    for line in budget_lines(table):
        print(line)
    if arguments.plot is not None:
        from journeybook.plots.privacy import save_budget

        save_budget(table, arguments.plot)
        print(f"Written: {arguments.plot}")
    return 0


def _release(arguments: argparse.Namespace) -> int:
    from datetime import date

    from journeybook.privacy.asking import read_plan
    from journeybook.privacy.publishing import publish
    from journeybook.privacy.scanning import exact_figures_of, scan_release
    from journeybook.report.running import folders
    from journeybook.tables import owners_view

    plan, run = read_plan(arguments.plan), owners_view(folders(arguments.out)[1])
    if not arguments.scan:
        path, sign = _ledger(arguments)
        made = publish(run, plan, ledger=path, sign=sign, day=date.today(), target=arguments.to)
        print(f"Charged: {', '.join(made.charged) or 'nothing'}.")
        if made.served:
            print(f"As released before, at no cost: {', '.join(made.served)}.")
        print(f"Written: {arguments.to} ({', '.join(made.files)})")
    found = scan_release(arguments.to, exact_figures_of(run, plan))
    for row in found.itertuples():
        said = f"{row.file}, line {row.line}: {row.number} is the exact {row.figure} of {row.release}"
        print(said, file=sys.stderr)
    if len(found):
        n = _counted(len(found), "exact figure")
        raise JourneybookError(f"{arguments.to} holds {n}: publish nothing of it.")
    print("Scanned: no number in it agrees with an exact figure better than by chance.")
    return 0


def _ledger(arguments: argparse.Namespace) -> tuple[Path, Callable[[bytes], str]]:
    """Where the ledger of budget is, and what signs its entries: the key of the run's pseudonyms."""
    from journeybook.report.running import folders
    from journeybook.tables import owners_view, root, signature

    run = owners_view(folders(arguments.out)[1])
    return arguments.ledger or root() / "data" / "budget.jsonl", lambda content: signature(run, content)


def _parameters(arguments: argparse.Namespace) -> "RunParameters":
    from journeybook.report.pages import discover
    from journeybook.report.params import read_parameters

    return read_parameters(arguments.params, pages=discover(), settings=arguments.set)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="journeybook",
        description="Analyse a whole customer journey, and write the report.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"journeybook {journeybook.__version__}")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = _command(commands, _run, "run the pages and write the report", asked=True)
    several = {"action": "extend", "nargs": "+", "default": []}
    run(
        "--only",
        **several,
        metavar="PAGE",
        help="these pages, and those they need unless the tables already hold them",
    )
    run("--out", type=Path, metavar="DIR", help="folder of the report and its tables; default reports")
    run("--strict", action="store_true", help="exit with 1 where a check fails, or page 15 has a new alarm")
    sent = {"dest": "send", "action": "append_const", "default": []}
    run("--single-file", const="html", **sent, help="also write report.html: all pages in one file, to send")
    run("--pdf", const="pdf", **sent, help="also write report.pdf, by Chromium")
    run("--json", action="store_true", help="print one JSON object a line for each event, and nothing else")
    longest = "longest time of a cell; default 600"
    run("--cell-timeout", type=_seconds, default=600, metavar="SECONDS", help=longest)
    _command(commands, _check, "check parameters and data; execute nothing", asked=True)
    propose = _command(commands, _map, "propose a parameters file for files of your own; run nothing")
    propose("files", nargs="+", type=Path, metavar="FILE", help="CSV, JSON, Excel or Parquet, also gzip or zip")
    propose("--output", type=Path, metavar="FILE", help="a new file; default the screen")
    params = _command(commands, _params, "every parameter: meaning, type, range, value", asked=True)
    params("--write", action="store_true", help="bring params.yaml in step with the notebooks")
    compare = _command(commands, _compare, "what moved between two reports, or since the last accepted")
    compare("reports", nargs="*", type=Path, metavar="OLD NEW", help="folders of two reports")
    compare("--out", type=Path, metavar="DIR", help="folder of the report; default reports")
    compare("--accept", action="store_true", help="make them the accepted ones")
    score = _command(commands, _score, "apply the saved response model of page 07 to new rows")
    score("--model", type=Path, required=True, metavar="DIR", help="folder that page 07 saved it in")
    score("--input", type=Path, required=True, metavar="FILE", help="CSV or Parquet with its columns")
    score("--output", type=Path, metavar="FILE", help="CSV or Parquet; default the screen, as CSV")
    teach = _command(commands, _teach, "the notebooks' exercises, for students and for teachers")
    teach("--out", type=Path, required=True, metavar="DIR", help="a new folder for the two sets")
    erase = _command(commands, _erase, "remove a person from a run's tables and models", asked=True)
    erase("--customer", required=True, metavar="ID", help="an id of the person, in any table")
    erase("--out", type=Path, metavar="DIR", help="folder of the run; default the last default run")
    alerts = _command(commands, _alert, "send what a finished run has to tell: alarms, failed checks and pages")
    to = "YAML with a block alerts: that names a file, mail or webhook; a parameters file may hold it"
    alerts("--to", type=Path, required=True, metavar="FILE", help=to)
    alerts("--out", type=Path, metavar="DIR", help="folder of the report; default reports")
    held = _command(commands, _access, "everything that is held on one person, for that person", asked=True)
    held("--customer", required=True, metavar="ID", help="an id of the person, in any table")
    held("--out", type=Path, metavar="DIR", help="folder of the run; default the last default run")
    held("--to", type=Path, metavar="FOLDER", help="a new folder; default data/access- and their pseudonym")
    told = _command(commands, _notice, "a notice in plain words: what is held, why, how long, how to object")
    told("--to", type=Path, required=True, metavar="FILE", help="a new file that ends with .html or .md")
    told("--contact", required=True, metavar="TEXT", help="who is to be written to, such as an address")
    _drawing(told)
    key = _command(commands, _key, "make a key for the pseudonyms, or change the one in use")
    changed = "put a new key in place, and write a crosswalk from the old pseudonyms"
    key("--rotate", action="store_true", help=changed)
    key("--out", type=Path, metavar="DIR", help="folder of the run whose customers it lists")
    budget = _command(commands, _budget, "what may still be published, and what was spent; or grant a budget")
    budget("--grant", type=float, metavar="EPSILON", help="grant this for a period, with the next three")
    budget("--delta", type=float, metavar="DELTA", help="probability that epsilon may be passed with; 0 for never")
    budget("--unit", metavar="UNIT", help="whom it protects: person or household")
    budget("--period", metavar="DAYS", help="first and last day, such as 2026-01-01/2026-12-31")
    budget("--plot", type=Path, metavar="FILE", help="also draw it: a new PNG, SVG or PDF")
    _drawing(budget)
    release = _command(commands, _release, "publish for good what a plan asks, with noise, and charge the budget")
    release("plan", type=Path, metavar="PLAN", help="YAML: unit, releases, and each one's bounds and budget")
    release("--to", type=Path, required=True, metavar="FOLDER", help="a new folder, with nothing else in it")
    release("--scan", action="store_true", help="publish nothing: look through the folder for exact figures")
    _drawing(release)
    data = _command(commands, _data, "the tables of the last run")
    data("--out", type=Path, metavar="DIR", help="folder of the run; default the last default run")
    return parser


def _command(commands: Any, do: Callable, said: str, *, asked: bool = False) -> Callable:
    """Add a command, named as the function that does it; returns what adds an argument to it."""
    command = commands.add_parser(do.__name__.removeprefix("_"), allow_abbrev=False, help=said)
    command.set_defaults(do=do)
    command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    if asked:
        own = "your own parameters; names only what it changes"
        command.add_argument("--params", type=Path, metavar="FILE", help=own)
        one = "one parameter, such as seed=7 or 05_segmentation.max_segments=5"
        command.add_argument("--set", action="extend", nargs="+", default=[], metavar="KEY=VALUE", help=one)
    return command.add_argument


def _drawing(command: Callable) -> None:
    """Add what a command needs that draws on a budget."""
    command("--ledger", type=Path, metavar="FILE", help="the ledger of budget; default data/budget.jsonl")
    command("--out", type=Path, metavar="DIR", help="folder of the run; default the last default run")


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' if n != 1 else ''}"


def _seconds(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of seconds from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
