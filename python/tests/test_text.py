"""Tokens, embeddings, answers."""

import json
import threading
import time

import attn
import numpy as np
import pytest
from conftest import DATA

SENTENCES = ["The pink elephant tried to get into the car.", "It was too big.", "größer als ein Auto 🐘", ""]


def test_tokens_there_and_back(llama):
    tokens = llama.tokenize("The elephant, bigger")
    assert tokens and all(isinstance(token, int) for token in tokens)
    assert llama.detokenize(tokens) == "The elephant, bigger"
    assert llama.detokenize(np.array(tokens, np.int32)) == "The elephant, bigger"
    assert "".join(llama.token_text(token) for token in llama.tokenize("The car", add_special=False)) == "The car"
    assert llama.text.tokenizes and llama.text.generates and llama.text.chats and not llama.text.embeds
    with pytest.raises(UnicodeEncodeError):
        llama.tokenize("\ud800")


def test_embeddings_are_the_references(bert):
    expected = json.loads((DATA / "tiny-bert/expected.json").read_text())
    found = bert.embed([expected["ids"]])
    assert found.shape == (1, 64) and found.dtype == np.float32
    np.testing.assert_allclose(found[0], expected["embedding"], atol=2e-5)
    assert np.array_equal(bert.embed(np.array([expected["ids"]])), found)


def test_embed_takes_texts(bert):
    together = bert.embed(SENTENCES)
    assert together.shape == (len(SENTENCES), 64)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    alone = bert.embed(SENTENCES[1])
    assert alone.shape == (1, 64)
    np.testing.assert_allclose(alone[0], together[1], atol=1e-6)
    assert np.array_equal(bert.embed(text for text in SENTENCES), together)
    tokens = [bert.tokenize(text, truncate=True) for text in SENTENCES]
    assert np.array_equal(bert.embed(tokens), together)
    mixed = bert.embed([SENTENCES[0], tokens[1], *SENTENCES[2:]])
    assert np.array_equal(mixed, together)
    assert bert.embed([]).shape == (0, 64)
    together += 1  # the caller's
    bert.close()
    assert np.isfinite(together).all()


def test_embed_says_what_is_wrong(bert):
    for wrong in (3, [3], [None], [[1.5]]):
        with pytest.raises(TypeError):
            bert.embed(wrong)
    with pytest.raises(attn.InvalidError, match="text 1"):
        bert.embed([[1, 2], [5000]])
    with pytest.raises(attn.InvalidError):
        bert.embed(["word " * 500], truncate=False)
    assert bert.embed(["word " * 500]).shape == (1, 64)


def test_real_embeddings(minilm):
    cases = json.loads((DATA / "minilm.json").read_text())["cases"]
    found = minilm.embed([case["text"] for case in cases])
    np.testing.assert_allclose(found, [case["embedding"] for case in cases], atol=1e-4)


def test_other_threads_run_while_one_computes(bert):
    """Without the GIL let go, not one step of the other thread fits into the call."""
    steps = 0
    stop = threading.Event()

    def count():
        nonlocal steps
        while not stop.is_set():
            steps += 1

    thread = threading.Thread(target=count)
    thread.start()
    texts = [[1] * 60] * 3000
    before = steps
    bert.embed(texts)
    during = steps - before
    stop.set()
    thread.join()
    assert during > 10_000


def test_threads_embed_with_one_model(bert):
    texts = [[[1 + i] * (1 + i % 50)] * 3 for i in range(40)]
    expected = [bert.embed(each) for each in texts]
    found = [None] * len(texts)

    def work(first):
        for i in range(first, len(texts), 4):
            found[i] = bert.embed(texts[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(expected, found))


def test_embed_ends_with_ctrl_c(bert, interrupt):
    texts = [[1] * 60] * 1_000
    with interrupt(0.2) as sent, pytest.raises(KeyboardInterrupt):
        for _ in range(10_000):
            bert.embed(texts)
    assert sent.late < 1
    assert bert.embed([[1, 2]]).shape == (1, 64)


def test_one_long_embed_ends_with_ctrl_c(minilm, interrupt):
    with interrupt(0.5) as sent, pytest.raises(KeyboardInterrupt):
        minilm.embed(["word " * 200] * 5000)  # minutes
    assert sent.late < 1.5


def greedy(model, prompt, **options):
    answer = model.generate(prompt, temperature=0, **options)
    return "".join(answer), answer


def test_an_answer_is_an_iterator_of_texts(llama):
    answer = llama.generate("The elephant", max_tokens=20, temperature=0)
    assert iter(answer) is answer and answer.finish is None and answer.tokens == []
    pieces = list(answer)
    assert all(isinstance(piece, str) and piece for piece in pieces)
    assert answer.finish in ("length", "end_token") and 1 <= len(answer.tokens) <= 20
    assert "".join(pieces) == llama.detokenize(answer.tokens)
    assert answer.prompt[-len(llama.tokenize("The elephant")):] == llama.tokenize("The elephant")
    assert list(answer) == [] and next(answer, None) is None
    assert answer.prompt_seconds > 0


def test_the_same_seed_gives_the_same_answer(llama):
    prompt = llama.tokenize("The elephant")
    first, again, other = ("".join(llama.generate(prompt, max_tokens=30, seed=seed, temperature=2.0))
                           for seed in (1, 1, 2))
    assert first == again != other
    assert greedy(llama, prompt, max_tokens=30)[0] == greedy(llama, prompt, max_tokens=30, seed=9)[0]


def test_answers_stop(llama):
    text, answer = greedy(llama, "The elephant", max_tokens=30)
    assert greedy(llama, "The elephant", max_tokens=0)[0] == ""
    stop = text[len(text) // 2 :][:3]
    for stops in (stop, [stop], ("never there ", stop)):
        cut, answer = greedy(llama, "The elephant", max_tokens=30, stop=stops)
        assert answer.finish == "stop_string" and cut == text[: text.index(stop)]
    _, answer = greedy(llama, "The elephant", context=16)
    assert answer.finish in ("context_full", "end_token")


def test_options_are_checked(llama):
    for options in ({"max_tokens": -1}, {"temperature": -1.0}, {"temperature": float("nan")}, {"top_p": 0.0},
                    {"kv_type": "f64"}, {"context": 10_000_000}, {"repeat_window": -1}):
        with pytest.raises(attn.UsageError):
            list(llama.generate("The", **options))
    with pytest.raises(attn.InvalidError):
        list(llama.generate([100_000]))
    for wrong in (3, [{"role": "user"}], ["text"]):
        with pytest.raises((TypeError, KeyError)):
            llama.generate(wrong)


def test_conversations(llama):
    messages = [{"role": "user", "content": "The elephant"}]
    text, answer = greedy(llama, messages, max_tokens=5)
    told = llama.tokenize("<|im_start|>user\nThe elephant<|im_end|>\n<|im_start|>assistant\n", parse_special=True,
                          add_special=False)
    assert answer.prompt[-len(told):] == told
    assert greedy(llama, answer.prompt, max_tokens=5)[0] == text


def test_the_next_turn_is_read_from_where_it_differs(llama):
    first = greedy(llama, "The elephant tried to", max_tokens=4)[1]
    assert first.reused == 0
    second = greedy(llama, first.prompt + first.tokens[:-1], max_tokens=2)[1]
    assert second.reused >= len(first.prompt)
    fresh = greedy(llama, second.prompt, max_tokens=2, context=100)[1]  # another context has another cache
    assert fresh.reused == 0 and fresh.tokens == second.tokens


def test_answers_side_by_side(llama):
    prompts = ["The elephant", "A car", "It was too", "The"]
    alone = [greedy(llama, prompt, max_tokens=20)[0] for prompt in prompts]
    answers = [llama.generate(prompt, max_tokens=20, temperature=0) for prompt in prompts]
    texts = [""] * len(prompts)
    while any(answer.finish is None for answer in answers):
        for i, answer in enumerate(answers):
            texts[i] += next(answer, "")
    assert texts == alone


def test_dropping_an_answer_ends_it(llama):
    for _ in range(20):
        answer = llama.generate("The elephant", temperature=0)
        next(answer)
        del answer
    answer = llama.generate("The elephant", temperature=0)
    begun = next(answer)
    answer.close()
    answer.close()
    assert list(answer) == [] and answer.finish == "cancelled"
    assert greedy(llama, "The elephant", max_tokens=20)[0].startswith(begun)


def test_an_end_is_known_when_it_was_read(llama):
    whole = list(llama.generate("The elephant", max_tokens=3, temperature=0))
    answer = llama.generate("The elephant", max_tokens=3, temperature=0)
    for expected in whole:
        time.sleep(0.02)  # time enough to generate all that may be generated
        assert answer.finish is None
        assert next(answer) == expected
    assert next(answer, None) is None and answer.finish == "length"


def test_another_thread_closes_an_answer(llama):
    whole, _ = greedy(llama, "The elephant", max_tokens=200)
    ends = []
    for _ in range(50):
        answer = llama.generate("The elephant", temperature=0)
        texts, raised, begun = [], [], threading.Event()

        def read(answer=answer, texts=texts, raised=raised, begun=begun):
            try:
                for text in answer:
                    texts.append(text)
                    begun.set()
            except BaseException as error:
                raised.append(error)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        assert begun.wait(30)
        closers = [threading.Thread(target=answer.close, daemon=True) for _ in range(2)]
        for closer in closers:
            closer.start()
        for thread in (reader, *closers):
            thread.join(30)
            assert not thread.is_alive()
        assert raised == [] and whole.startswith("".join(texts)[: len(whole)]) and list(answer) == []
        ends.append(answer.finish)
    assert set(ends) <= {"cancelled", "end_token", "context_full"} and "cancelled" in ends


def test_an_answer_outlives_the_model(tiny_llama):
    with attn.Model.open(tiny_llama) as model:
        whole = greedy(model, "The elephant", max_tokens=20)[0]
        answer = model.generate("The elephant", temperature=0, max_tokens=20)
    assert "".join(answer) == whole


def test_real_answers(smollm2):
    conversation = [{"role": "user", "content": "What is the capital of France? One word."}]
    text, answer = greedy(smollm2, conversation, max_tokens=20)
    assert "Paris" in text and answer.finish == "end_token"


def test_generate_ends_with_ctrl_c(smollm2, interrupt):
    pieces = []
    with interrupt(1.0) as sent, pytest.raises(KeyboardInterrupt):
        for piece in smollm2.generate("Once upon a time", temperature=0, repeat_penalty=1.1, stop=" never. said"):
            pieces.append(piece)
    assert sent.late < 1 and pieces
    assert "".join(smollm2.generate("Once upon a time", temperature=0, max_tokens=2))


def test_reading_a_prompt_ends_with_ctrl_c(smollm2, interrupt):
    tokens = smollm2.tokenize("All work and no play makes Jack a dull boy. " * 400)[:4000]
    answer = smollm2.generate(tokens, max_tokens=1, context=4096)
    with interrupt(0.2) as sent, pytest.raises(KeyboardInterrupt):
        next(answer)
    assert sent.late < 1  # not at the end of a batch of 512 tokens, but of an op on them
    assert list(answer) == [] and answer.finish == "cancelled" and answer.prompt == tokens
