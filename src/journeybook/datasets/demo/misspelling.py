"""The errors of hands, ears and forms: typing slips, short forms of names, ways to write a number."""

import numpy as np

# Neighbours on a QWERTY keyboard.
_NEIGHBOURS = {
    key: row[max(i - 1, 0) : i] + row[i + 1 : i + 2]
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890")
    for i, key in enumerate(row)
}

# Short forms in common use in the United States, "long short" by pairs.
_SHORT_FORMS = """
Alexander Alex, Alexandra Alex, Alexandria Alex, Alexis Lexi, Allison Allie, Amanda Mandy, Andrea Andie,
Andrew Andy, Anthony Tony, Barbara Barb, Benjamin Ben, Bradley Brad, Calvin Cal, Cassandra Cassie,
Catherine Cathy, Charles Charlie, Christina Tina, Christine Chris, Christopher Chris, Cynthia Cindy,
Daniel Dan, David Dave, Deborah Debbie, Dennis Denny, Donald Don, Dorothy Dot, Douglas Doug, Edward Eddie,
Elizabeth Liz, Eugene Gene, Frances Fran, Frederick Fred, Gabriel Gabe, Gabriella Gabby, Gerald Jerry,
Gregory Greg, Jacob Jake, Jacqueline Jackie, James Jim, Janet Jan, Jeffery Jeff, Jeffrey Jeff, Jennifer Jen,
Jessica Jess, John Jack, Jonathan Jon, Joseph Joe, Joshua Josh, Judith Judy, Katherine Kate, Kathleen Kathy,
Kathryn Katie, Kenneth Ken, Kimberly Kim, Lawrence Larry, Leonard Len, Margaret Peggy, Matthew Matt,
Megan Meg, Melissa Missy, Michael Mike, Michelle Shelly, Mitchell Mitch, Nancy Nan, Natalie Nat, Nathan Nate,
Nathaniel Nate, Nicholas Nick, Nicole Nikki, Pamela Pam, Patricia Pat, Patrick Pat, Peter Pete, Philip Phil,
Phillip Phil, Raymond Ray, Rebecca Becky, Richard Rick, Robert Bob, Ronald Ron, Samantha Sam, Samuel Sam,
Sandra Sandy, Stephanie Steph, Stephen Steve, Steven Steve, Susan Sue, Teresa Terri, Theresa Terri,
Theodore Ted, Thomas Tom, Timothy Tim, Valerie Val, Veronica Ronnie, Victoria Vicky, Vincent Vince,
Virginia Ginny, Walter Walt, William Bill, Zachary Zach
"""
NICKNAMES = dict(pair.split() for pair in _SHORT_FORMS.split(","))


def misspell(text: str, rng: np.random.Generator) -> str:
    """Return the text with one slip: a neighbouring key, two signs exchanged, one dropped or one doubled.

    The first sign and everything but letters and digits are left alone; a text without two places for a slip
    comes back as it is, and so does an exchange of two equal letters.
    """
    places = [i for i, sign in enumerate(text) if i and sign.isalnum()]
    if len(places) < 2:
        return text
    i = places[rng.integers(len(places))]
    slip = rng.integers(4)
    near = _NEIGHBOURS.get(text[i].lower(), "")
    if slip == 0 and near:
        return text[:i] + near[rng.integers(len(near))] + text[i + 1 :]
    if slip == 1 and text[i + 1 : i + 2].isalnum():
        return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
    if slip == 2:
        return text[:i] + text[i + 1 :]
    return text[: i + 1] + text[i] + text[i + 1 :]


def misdial(number: str, rng: np.random.Generator) -> str:
    """Return digits with one of the last two replaced by another, so that a fictional number stays one."""
    i = len(number) - 1 - rng.integers(2)
    wrong = (int(number[i]) + rng.integers(1, 10)) % 10
    return f"{number[:i]}{wrong}{number[i + 1 :]}"


def write_phone(number: str, style: int) -> str:
    """Return ten digits in one of six ways to write them; the last leaves the area code out.

    >>> write_phone("2075550123", 0)
    '(207) 555-0123'
    """
    area, exchange, line = number[:3], number[3:6], number[6:]
    return (
        f"({area}) {exchange}-{line}",
        f"{area}-{exchange}-{line}",
        number,
        f"{area}.{exchange}.{line}",
        f"+1 {area} {exchange} {line}",
        f"{exchange}-{line}",
    )[style]
