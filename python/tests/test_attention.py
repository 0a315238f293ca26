"""Maps, and their picture."""

import base64
import json
import re
import struct
import xml.etree.ElementTree
import zlib

import attn
import numpy as np
import pytest
from conftest import DATA

SVG = "{http://www.w3.org/2000/svg}"


def picture(attention):
    """The SVG of what a notebook shows, parsed: it has to be well-formed, and to need nothing from elsewhere."""
    found = attention._repr_html_()
    assert not re.search(r"(href|src)='(?!data:image/png;base64,)|<script|url\(|@import", found)
    return xml.etree.ElementTree.fromstring(re.search(r"<svg.*</svg>", found, re.DOTALL)[0])


def pixels(image):
    """Colour numbers of an <image>, by its own decoder: [height, width]."""
    data = base64.b64decode(image.get("href").split(",", 1)[1])
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    assert (depth, kind) == (8, 3)
    at = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[at - 4 : at])
    rows = np.frombuffer(zlib.decompress(data[at + 4 : at + 4 + length]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:]


def texts(root):
    return [element.text for element in root.iter(SVG + "text")]


def test_maps_of_a_language_model(llama):
    found = llama.attention("The pink elephant", layers=[1])
    count = len(found.tokens)
    assert found.tokens == llama.tokenize("The pink elephant") and found.layers == [1]
    assert found.weights.shape == (1, 4, count, count) and found.weights.dtype == np.float32
    np.testing.assert_allclose(found.weights.sum(axis=-1), 1, atol=1e-5)
    assert not np.triu(found.weights[0, 0], 1).any()  # nobody sees what comes later
    assert found.labels == [llama.token_text(token) for token in found.tokens]
    whole = llama.attention(found.tokens)
    assert whole.layers == [0, 1] and np.array_equal(whole.weights[1], found.weights[0])
    chat = llama.attention([{"role": "user", "content": "The"}], [0])
    assert "".join(chat.labels).startswith("<|im_start|>")
    with pytest.raises(attn.UsageError, match="layer 2"):
        llama.attention("The", layers=[2])


def test_maps_of_an_encoder(minilm):
    expected = json.loads((DATA / "minilm.json").read_text())["attention"]
    found = minilm.attention(expected["ids"])
    for layer, maps in expected["layers"].items():
        np.testing.assert_allclose(found.weights[int(layer)], maps, atol=2e-3)


def test_a_map_is_drawn_as_it_is():
    weights = np.array([[1.0, 0, 0], [0.25, 0.75, 0], [0.2, 0.3, 0.5]])
    root = picture(attn.Attention(weights, ["<b>", " it's", "\n"]))
    image = next(root.iter(SVG + "image"))
    assert np.array_equal(pixels(image), np.rint(weights.astype(np.float32) * 255))
    shown = texts(root)
    assert {"<b>", "it's", "query", "key", "attention weight", "1.00", ".75", ".20"} <= set(shown)
    told = [element.text for element in root.iter(SVG + "title")]
    assert "it's → <b>: 0.2500" in told and not any(each.endswith(" 0.0000") for each in told)


def test_the_scale_is_from_nothing_to_the_largest():
    weights = np.full((2, 4), 0.25)
    weights[0] = [0.1, 0.2, 0.3, 0.4]
    root = picture(attn.Attention(weights))
    assert np.array_equal(pixels(next(root.iter(SVG + "image")))[0], [64, 128, 191, 255])
    assert "0.40" in texts(root)


def test_all_maps_share_a_scale():
    weights = np.zeros((3, 2, 5, 5), np.float32)
    weights[0, 0], weights[2, 1] = 0.5, 0.125
    root = picture(attn.Attention(weights, layers=[4, 5, 6]))
    images = [pixels(each) for each in root.iter(SVG + "image")]
    assert len(images) == 3 * 2 + 1  # and the legend
    assert [int(image.max()) for image in images[:6]] == [255, 0, 0, 0, 0, 64]
    assert {"layer 4", "layer 6", "head 1"} <= set(texts(root))


def test_one_of_many(llama):
    maps = llama.attention("The pink elephant")
    one = maps.select(layer=1, head=2)
    assert one.weights.shape[:2] == (1, 1) and (one.layers, one.heads) == ([1], [2])
    assert np.array_equal(one.weights[0, 0], maps.weights[1, 2])
    assert np.array_equal(maps.select(head=3).weights, maps.weights[:, 3:])
    assert "layer 1, head 2" in picture(one).find(SVG + "title").text
    with pytest.raises(attn.UsageError, match="layer 2 is not among 0, 1"):
        maps.select(layer=2)


def test_long_texts_keep_their_largest_weights():
    weights = np.zeros((1500, 1500), np.float32)
    weights[777, 33] = 1
    root = picture(attn.Attention(weights))
    image = pixels(next(root.iter(SVG + "image")))
    assert max(image.shape) <= 560 and image.max() == 255 and (image > 0).sum() == 1
    assert len(attn.Attention(weights)._repr_html_()) < 20_000


def test_pictures_stay_small(smollm2):
    maps = smollm2.attention("The pink elephant tried to get into the car but it was too")
    assert maps.weights.shape == (30, 9, len(maps.tokens), len(maps.tokens))
    assert len(maps._repr_html_()) < 500_000
    assert len(maps.select(layer=14, head=6)._repr_html_()) < 60_000
    picture(maps)


@pytest.mark.parametrize("shape", [(1,), (7,), (1, 9), (3, 2), (60, 60), (1, 12, 3, 80), (40, 40, 2, 2), (2, 1, 49, 49)])
def test_any_shape_can_be_drawn(shape):
    picture(attn.Attention(np.random.default_rng(0).random(shape)))


def test_zeros_and_numbers_that_are_none_can_be_drawn():
    picture(attn.Attention(np.zeros((2, 2))))
    picture(attn.Attention([[np.nan, 1], [0.5, np.nan]]))


def test_wrong_shapes_are_refused():
    for wrong in (np.zeros((0, 3)), np.zeros((1, 1, 1, 1, 1)), 0.5):
        with pytest.raises(attn.UsageError, match="shape"):
            attn.Attention(wrong)
    with pytest.raises(attn.UsageError, match="labels: 1"):
        attn.Attention(np.zeros((2, 2)), ["one"])


def test_a_teaching_models_attention_is_drawn(seeds):
    model = attn.Model.create("self_attention", {"embedding_size": 0})
    weights = model.run({"x": seeds["self_attention"]["inputs"]})["attention_weights"]
    root = picture(attn.Attention(weights, ["I", "am", "here"]))
    assert "am" in texts(root) and ".51" in texts(root)
