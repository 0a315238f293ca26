"""Makes the tokenizers that stand beside the tiny models where a test needs text: 256 tokens each,
as those models have. usage: make.py (writes llama/ and bert/ beside itself)"""

import collections
import json
import pathlib

HERE = pathlib.Path(__file__).parent
SIZE = 256
TEXT = """the pink elephant tried to get into the car but it was too large . the small mouse went into the
big house and the cat looked at the mouse . what is the capital of france ? the capital of france is
paris . a model learns to write one word after the other , and the other words are what it looks at"""
CHAT = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% endif %}"
)


def byte_alphabet():
    """GPT-2's: a visible character for every byte."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in kept]
    return {**{b: chr(b) for b in kept}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def byte_pairs():
    alphabet = byte_alphabet()
    bytes_known = [*range(32, 127), 9, 10, *"é€".encode()]
    pieces = ["<unk>", "<|im_start|>", "<|im_end|>"] + [alphabet[b] for b in sorted(set(bytes_known))]
    words = [tuple(alphabet[b] for b in (" " + word).encode()) for word in TEXT.split()]
    merges = []
    while len(pieces) < SIZE:
        pairs = collections.Counter(pair for word in words for pair in zip(word, word[1:]))
        if not pairs:
            pieces += [f"unused{i}" for i in range(SIZE - len(pieces))]
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(list(best))
        pieces.append("".join(best))
        words = [merged(word, best) for word in words]
    special = [{"id": i, "content": pieces[i], "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True} for i in range(3)]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                          "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                    "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>",
                  "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
                  "byte_fallback": False, "vocab": {piece: i for i, piece in enumerate(pieces)},
                  "merges": merges},
    }


def merged(word, pair):
    out, i = [], 0
    while i < len(word):
        if word[i : i + 2] == pair:
            out.append(word[i] + word[i + 1])
            i += 2
        else:
            out.append(word[i])
            i += 1
    return tuple(out)


def word_pieces():
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *".,!?'-", *letters,
              *("##" + letter for letter in letters)]
    for word in dict.fromkeys(TEXT.split()):
        pieces += [word] if word not in pieces else []
    pieces += [f"[unused{i}]" for i in range(SIZE - len(pieces))]
    special = [{"id": i, "content": pieces[i], "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True} for i in range(5)]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                               "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100,
                  "vocab": {piece: i for i, piece in enumerate(pieces)}},
    }


def write(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=None) + "\n")


write(HERE / "llama/tokenizer.json", byte_pairs())
write(HERE / "llama/tokenizer_config.json",
      {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "unk_token": "<unk>",
       "chat_template": CHAT})
write(HERE / "bert/tokenizer.json", word_pieces())
