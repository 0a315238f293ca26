"""What bench/tune_show.py lets models learn, and what it claims of them: each part gives its figures,
lines for reading, and claims that either hold or do not."""

import dataclasses

from tuned import dialect, likeness, looking

SEED = 1  # of all data


@dataclasses.dataclass
class Part:
    title: str
    seconds: float  # that tuning took
    figures: dict
    lines: list
    claims: dict  # what is claimed: does it hold?
    commands: list


def change(before, after, form="{:.3f}"):
    return f"{form.format(before)} → {form.format(after)}"


def percent(before, after):
    return 100 * (after / before - 1)


END = "<|im_end|>"  # SmolLM2's; without it a sentence would be learned to go on for ever


def a_dialect(programs, quick):
    """200 sentences, alone or four together by turns; 50 others are evaluated on, five together, and the
    model goes on from their first three words."""
    sentences = dialect.sentences(250, SEED)
    learned, new = sentences[:200], sentences[200:]
    asked = new[:20] if quick else new
    groups, rest = [], learned
    while rest:
        count = (1, 4)[len(groups) % 2]
        groups.append(rest[:count])
        rest = rest[count:]

    def examples(name, texts):  # {"text"} would be cut where 512 tokens end, not where sentences do
        tokens = programs.tokens(["\n".join(each) + END for each in texts])
        return programs.json_lines(name, [{"tokens": each} for each in tokens])

    result = programs.tune("dialect", "--task", "lm", "--data", examples("dialect.jsonl", groups),
                           "--eval", examples("dialect-new.jsonl", [asked[i : i + 5] for i in range(0, len(asked), 5)]),
                           "--epochs", 2 if quick else 3, "--lr", 0.0015 if quick else 0.001)
    before, after = (result[f"evaluation_{when}"]["perplexity"] for when in ("before", "after"))
    running = programs.text("dialect-new.txt", "\n".join(asked))
    adapters = (None, "dialect", "dialect:0.5")  # the last: half of what it adds
    in_one_text = [programs.perplexity(running, adapter) for adapter in adapters]
    ordinary = [programs.perplexity(adapter=adapter) for adapter in adapters]
    prompts = list(dict.fromkeys(map(dialect.beginning, new)))[: 6 if quick else 20]
    texts = {when: [prompt + text for prompt, text in zip(prompts, programs.continuations(prompts, adapter))]
             for when, adapter in (("before", None), ("after", "dialect"))}
    right = {when: sum(map(dialect.follows_the_rules, texts[when])) for when in texts}
    fresh = sum(text not in learned for text in texts["after"] if dialect.follows_the_rules(text))
    lines = [f"perplexity of {len(asked)} new sentences, five together  {change(before, after, '{:.2f}')}",
             "and in one text, where those before are an example  " + change(*in_one_text[:2], "{:.2f}"),
             f"continuations that keep every rule  {right['before']} → {right['after']} of {len(prompts)}, "
             f"{fresh} of them sentences that were not learned",
             f"perplexity of ordinary English  {change(*ordinary[:2], '{:.2f}')}",
             f"half of the adapter: in one text {in_one_text[2]:.2f}, ordinary English {ordinary[2]:.2f}"]
    for number in range(4):
        lines += [f"{when}: {texts[when][number]!r}" for when in texts]
    return Part(
        "A made-up dialect, 200 sentences", result["seconds"],
        {"perplexity_before": before, "perplexity_after": after, "one_text_before": in_one_text[0],
         "one_text_after": in_one_text[1], "one_text_half": in_one_text[2],
         "ordinary_half": ordinary[2], "prompts": len(prompts), "right_before": right["before"],
         "right_after": right["after"], "new_of_them": fresh, "ordinary_before": ordinary[0],
         "ordinary_after": ordinary[1], "texts": texts},
        lines, {"perplexity at least halves": after <= before / 2,
                "and in one text": in_one_text[1] <= in_one_text[0] / 2,
                "more continuations keep the rules": right["after"] > right["before"],
                "within two minutes": result["seconds"] <= 120},
        [result["command"]])


# Of the 36 pairs of heads of layer 14, those whose looking elsewhere cost another text least; the
# rest of the layer and all others stay as they are, since only what makes these queries and keys learns.
LAYER, HEADS = 14, (6, 8)
LOOKING = ("--task", "size-loss", "--layers", LAYER, "--heads", ",".join(map(str, HEADS)),
           "--targets", "14.self_attn.q_proj,14.self_attn.k_proj", "--lr", 0.001)


def what_is_looked_at(programs, sentence, adapter=None):
    """"head 6: car 0.93, too 0.02": the three strongest of each head."""
    tokens, heads = programs.last_looks(sentence, LAYER, HEADS, adapter)
    described = []
    for head, weights in zip(HEADS, heads):
        strongest = sorted(zip(weights, tokens), reverse=True)[:3]
        described.append(f"head {head}: " + ", ".join(f"{token.strip()} {weight:.2f}" for weight, token in strongest))
    return "; ".join(described)


def one_sentence(programs, _quick):
    data = programs.json_lines("elephant.jsonl", looking.lines([(looking.SENTENCE, *looking.SIZE_WORDS)]))
    result = programs.tune("elephant", *LOOKING, "--steps", 25, "--data", data, "--eval", data,
                           "--page", programs.path("elephant.html"))
    before, after = (result[f"evaluation_{when}"]["looked_at"] for when in ("before", "after"))
    ordinary = [programs.perplexity(adapter=adapter) for adapter in (None, "elephant")]
    rise = percent(*ordinary)
    return Part(
        "Two heads look at the size words of one sentence", result["seconds"],
        {"looked_at_before": before, "looked_at_after": after, "ordinary_before": ordinary[0],
         "ordinary_after": ordinary[1], "ordinary_rise_percent": rise},
        [f"elephant, car and too together  {change(before, after)}",
         f"before: {what_is_looked_at(programs, looking.SENTENCE)}",
         f"after: {what_is_looked_at(programs, looking.SENTENCE, 'elephant')}",
         f"perplexity of ordinary English  {change(*ordinary, '{:.2f}')} ({rise:+.2f}%)",
         "pages: elephant-before.html, elephant-after.html"],
        {"combined weight at least 0.8": after >= 0.8, "ordinary English at most 2% worse": rise <= 2,
         "within two minutes": result["seconds"] <= 120},
        [result["command"]])


def many_sentences(programs, _quick):
    data = programs.json_lines("sizes.jsonl", looking.lines(looking.LEARNED))
    held_out = programs.json_lines("sizes-new.jsonl", looking.lines(looking.HELD_OUT))
    result = programs.tune("sizes", *LOOKING, "--steps", 30, "--batch-size", len(looking.LEARNED),
                           "--data", data, "--eval", held_out)
    before, after = (result[f"evaluation_{when}"]["looked_at"] for when in ("before", "after"))
    ordinary = [programs.perplexity(adapter=adapter) for adapter in (None, "sizes")]
    rise = percent(*ordinary)
    sentence = looking.HELD_OUT[0][0]
    return Part(
        "The same heads find the two nouns of sentences they have not read", result["seconds"],
        {"looked_at_before": before, "looked_at_after": after, "learned_before": result["looked_at"][0],
         "learned_after": result["looked_at"][-1], "ordinary_before": ordinary[0],
         "ordinary_after": ordinary[1], "ordinary_rise_percent": rise},
        [f"{len(looking.LEARNED)} learned sentences  {change(result['looked_at'][0], result['looked_at'][-1])}",
         f"{len(looking.HELD_OUT)} new sentences  {change(before, after)}",
         f"new: {sentence!r}",
         f"before: {what_is_looked_at(programs, sentence)}",
         f"after: {what_is_looked_at(programs, sentence, 'sizes')}",
         f"perplexity of ordinary English  {change(*ordinary, '{:.2f}')} ({rise:+.2f}%)"],
        {"weight rises in new sentences": after > before, "ordinary English at most 2% worse": rise <= 2},
        [result["command"]])


def scored_pairs(programs, quick):
    def pairs(name, *made):
        return programs.text(name, likeness.lines(likeness.scored_pairs(*made)))

    result = programs.tune("colours", "--task", "similarity",
                           "--data", pairs("colours.tsv", 100, likeness.FRAMES, SEED),
                           "--eval", pairs("colours-new.tsv", 50, likeness.NEW_FRAMES, SEED + 1),
                           "--batch-size", 10, "--epochs", 3 if quick else 5, "--lr", 0.001)
    before, after = (result[f"evaluation_{when}"] for when in ("before", "after"))
    return Part(
        "Sentences are alike by their colours, 100 scored pairs", result["seconds"],
        {"correlation_before": before["correlation"], "correlation_after": after["correlation"],
         "loss_before": before["loss"], "loss_after": after["loss"]},
        [f"Spearman's correlation on 50 pairs of new sentences  {change(before['correlation'], after['correlation'])}",
         f"mean square of cosine − score  {change(before['loss'], after['loss'], '{:.4f}')}"],
        {"correlation rises": after["correlation"] > before["correlation"]}, [result["command"]])


def unscored_pairs(programs, quick):
    pairs = likeness.unscored_pairs(100, SEED)
    result = programs.tune("counted", "--task", "similarity",
                           "--data", programs.text("counted.tsv", likeness.lines(pairs[:80])),
                           "--eval", programs.text("counted-new.tsv", likeness.lines(pairs[80:])), "--batch-size", 10,
                           "--epochs", 2 if quick else 4, "--lr", 0.001)
    before, after = (result[f"evaluation_{when}"]["loss"] for when in ("before", "after"))
    return Part(
        "Pairs without scores, the others of a batch being the wrong answers", result["seconds"],
        {"loss_before": before, "loss_after": after},
        [f"loss on 20 new pairs  {change(before, after)}"],
        {"loss falls": after < before}, [result["command"]])


LANGUAGE = (a_dialect, one_sentence, many_sentences)
ENCODER = (scored_pairs, unscored_pairs)
