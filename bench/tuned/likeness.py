"""Pairs of sentences that are alike by a rule of our own, which is not the one a sentence encoder
knows: what they are about does not matter, the colour does."""

import random

# Two of one colour are alike, two warm or two cold ones by half, a warm and a cold one not at all.
WARM, COLD = ("red", "orange", "yellow", "pink"), ("blue", "green", "purple", "grey")
COLOURS = WARM + COLD
NUMBERS = "two three four five six seven eight nine ten eleven twelve twenty thirty".split()

FRAMES = (
    "The {} kite hung over the market square.", "A cook peeled the {} fruit in silence.",
    "She sold her {} bicycle to a neighbour.", "The band arrived in a {} van after midnight.",
    "Rain dripped from the {} umbrella onto the floor.", "He wrote the address on {} paper.",
    "The dentist wears a {} scarf in winter.", "Two boys painted the {} fence again.",
    "A {} bird slept in the bell tower.", "Nobody opened the {} door of the cellar.",
    "The professor lost his {} notebook on a train.", "My aunt planted {} tulips by the gate.",
    "The nurse folded a {} blanket.", "They found a {} stone on the beach.",
    "The tailor cut the {} cloth by lamplight.", "Someone left a {} cup on the piano.")
# of which only held-out pairs are made: neither their words nor what they speak of was learned
NEW_FRAMES = (
    "The pilot checked the {} lamp twice.", "An ant crossed the {} tablecloth.",
    "Grandfather repaired the {} boat in spring.", "The {} curtain fell before the last act.",
    "A stranger bought the {} horse.", "The children built a {} tower out of bricks.",
    "Her {} ring disappeared in the snow.", "The old school has a {} roof.")
COUNTED = (
    "She carried {} {} boxes upstairs.", "There were {} {} boats on the lake.",
    "He counted {} {} marbles.", "The shop sold {} {} coats today.",
    "We saw {} {} birds above the field.", "They hung up {} {} lamps in the hall.",
    "I owe you {} {} tickets.", "The farmer lost {} {} buckets.")


def score(a, b):
    if a == b:
        return 1.0
    return 0.5 if (a in WARM) == (b in WARM) else 0.0


def scored_pairs(count, frames, seed):
    """So many different (text, text, score). A third of each score; every other pair that is not alike
    is of one frame, so that its texts differ in the colour alone."""
    choose = random.Random(seed)
    found = {}
    while len(found) < count:
        wanted = (1.0, 0.5, 0.0)[len(found) % 3]
        a, b = choose.choice(COLOURS), choose.choice(COLOURS)
        f, g = choose.sample(frames, 2)
        if wanted == 0 and len(found) % 2 == 0:
            g = f
        if score(a, b) == wanted:
            found[f.format(a), g.format(b)] = wanted
    return [(*texts, value) for texts, value in found.items()]


def unscored_pairs(count, seed):
    """So many (text, text) that speak of as many things of the same colour, no two pairs of both."""
    choose = random.Random(seed)
    what = choose.sample([(n, c) for n in NUMBERS for c in COLOURS], count)
    pairs = []
    for number, colour in what:
        f, g = choose.sample(COUNTED, 2)
        pairs.append((f.format(number, colour), g.format(number, colour)))
    return pairs


def lines(pairs):
    """Texts and, if any, scores with tabs between them."""
    return "".join("\t".join(map(str, pair)) + "\n" for pair in pairs)
