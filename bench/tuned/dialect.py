"""A made-up dialect of English, whose sentences can be told from what is none.

  Vo mend the ferryman blue anchor-anchor green, na the barn crooked, sel dusk; hai.
  Ri hide the widow old a kettle quiet, na the harbour stone, sel dawn; hum.

"Vo" begins what has been and "Ri" what will be; the end agrees with it: "hai" or "hum". The verb comes
first and keeps one form, an adjective follows its noun, more than one is said by saying it twice, "na"
goes before a place and "sel" before a time.
"""

import random
import re

VERBS = "carry mend paint hide borrow wash polish count follow weigh trade bury".split()
PEOPLE = "miller baker widow smith ferryman tailor shepherd piper clerk sexton".split()
THINGS = "lantern kettle ladder basket saddle barrel mirror anchor blanket candle".split()
ADJECTIVES = "old blue small crooked heavy quiet stone green".split()
PLACES = "bridge orchard harbour chapel market well barn mill".split()
TIMES = "dusk dawn noon midnight harvest frost".split()
ENDS = {"Vo": "hai", "Ri": "hum"}


def _one_of(words):
    return f"({'|'.join(words)})"


_SENTENCE = re.compile(
    f"(?P<begin>Vo|Ri) {_one_of(VERBS)} the {_one_of(PEOPLE)} {_one_of(ADJECTIVES)} "
    f"(a {_one_of(THINGS)}|(?P<thing>{'|'.join(THINGS)})-(?P=thing)) {_one_of(ADJECTIVES)}, "
    f"na the {_one_of(PLACES)} {_one_of(ADJECTIVES)}, sel {_one_of(TIMES)}; (?P<end>hai|hum)[.]")


def follows_the_rules(text):
    """Is it one whole sentence of the dialect?"""
    match = _SENTENCE.fullmatch(text.strip())
    return match is not None and ENDS[match["begin"]] == match["end"]


def sentences(count, seed):
    """So many different ones."""
    choose = random.Random(seed).choice
    found = {}
    while len(found) < count:
        begin, thing = choose(list(ENDS)), choose(THINGS)
        things = choose((f"a {thing}", f"{thing}-{thing}"))
        text = (f"{begin} {choose(VERBS)} the {choose(PEOPLE)} {choose(ADJECTIVES)} {things} "
                f"{choose(ADJECTIVES)}, na the {choose(PLACES)} {choose(ADJECTIVES)}, "
                f"sel {choose(TIMES)}; {ENDS[begin]}.")
        found[text] = None
    return list(found)


def beginning(sentence):
    """The first three words: "Vo mend the"."""
    return " ".join(sentence.split()[:3])
