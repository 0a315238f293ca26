"""Sentences about what is too big or too small for something, and the words that speak of it."""

# What attn-tune takes without --sentence.
SENTENCE = "The pink elephant tried to get into the car but it was too"
SIZE_WORDS = ("elephant", "car", "too")

# The nouns alone are looked for: a head that looks at the last word, "too", at itself, has learned
# nothing that another sentence could show. They stand at different distances from it, so that a
# place does not do instead of a meaning.
LEARNED = (
    ("The brown bear tried to sleep in the tent last night but it was too", "bear", "tent"),
    ("A tired camel wanted to rest in the garage but it was far too", "camel", "garage"),
    ("My cousin's piano should have gone through the door but everybody said it was too", "piano", "door"),
    ("We hoped to hide the statue inside the cupboard but in the end it was too", "statue", "cupboard"),
    ("The giant tried to drink out of the thimble but it was much too", "giant", "thimble"),
    ("Her new sofa was meant to stand in the kitchen but it was too", "sofa", "kitchen"),
    ("They pushed the tractor towards the tunnel and then saw that it was too", "tractor", "tunnel"),
    ("The parcel did not go into the letterbox because it was a little too", "parcel", "letterbox"),
    ("Yesterday a whale swam into the harbour although it was too", "whale", "harbour"),
    ("The boy could not pull the jumper over his head because it turned out to be too", "jumper", "head"),
)
HELD_OUT = (
    ("A hungry wolf wanted to crawl into the kennel one morning but it was too", "wolf", "kennel"),
    ("The trophy could not be put into the suitcase because it was too", "trophy", "suitcase"),
    ("We carried the wardrobe up to the attic and there it was much too", "wardrobe", "attic"),
    ("My uncle's boat was meant to stay in the shed but we found that it was too", "boat", "shed"),
    ("The farmer led the bull to the stable although it was far too", "bull", "stable"),
)


def lines(sentences):
    """For JSON Lines."""
    return [{"text": text, "size_words": list(words)} for text, *words in sentences]
