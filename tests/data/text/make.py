"""Makes small tokenizers of every kind that is read, and cases.json with what they give.
usage: python make.py   (needs tokenizers from PyPI)"""

import json
import pathlib
import random

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
CORPUS = [
    "The pink elephant tried to get into the car but it was too big.", "It's what we're told: they'll go, I'd say; you've won!",
    "In 1984, 3.14159 and 1,234,567 were numbers; 007 too.", "def f(x):\n    return x ** 2  # square\n\n\n",
    "Café naïve résumé Ångström Straße", "Привет, мир! Как дела?", "你好，世界！今天天气怎么样？ こんにちは", "مرحبا بالعالم नमस्ते ไทย",
    "👩‍👩‍👧‍👦 family 🎉🎉 ½ ² Ⅳ ﬁ", "tabs\tand  spaces   and\r\nlines\n", "http://example.com/a?b=c&d=%20 snake_case CamelCase",
] * 3


def nasty():
    yield from ["", " ", "  ", "\n", "a", " a", "a ", "\r\n\r\n a", "don't WE'LL I'Ve 'S ſ's", "1234567 12 3", "x1y2z333",
                " \t\n x", "...!!!\n\nx", "\u00a0nbsp\u2003em\u200bzw", "İstanbul ǅ ß ẞ ΑΣ Σ", "e\u0301 é ñ n\u0303", "\x00\x07nul",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "<s>hi</s>[CLS]", "𝔘𝔫𝔦 𝟘𝟙", "日本語 テスト 한국어", "a\u2028b\u2029c\u0085d", "_a_ __b", "--a--"]
    yield from CORPUS[:11]
    rng = random.Random(3)
    pieces = list("abcXYZ019 .,'!?_-\n\t\r") + ["é", "ß", "я", "Ж", "世", "界", "あ", "한", "🎉", "\u200d", "\u0301", "½", "٣", "ｱ", "\u3000", "'s", "  ", "\n\n"]
    for _ in range(150):
        yield "".join(rng.choice(pieces) for _ in range(rng.randrange(1, 40)))


def bpe(split, **options):
    tokenizer = Tokenizer(models.BPE(**options))
    tokenizer.pre_tokenizer = split
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  special_tokens=["<s>", "</s>"], show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def split(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def wordpiece(lowercase):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=None, special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    return tokenizer


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=["<s>", "<unk>"], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def sentencepiece_bpe():
    """As Llama 2's: characters with ▁ for blanks, and bytes for what is no piece."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=specials, limit_alphabet=60, show_progress=False)
    tokenizer.train_from_iterator([c.replace("世", "").replace("界", "") for c in CORPUS], trainer)
    raw = json.loads(tokenizer.to_str())
    raw["added_tokens"] = [t for t in raw["added_tokens"] if t["id"] < 3]  # the bytes are pieces like others
    tokenizer = Tokenizer.from_str(json.dumps(raw))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair=None, special_tokens=[("<s>", 1)])
    return tokenizer


TOKENIZERS = {
    "llama3": bpe(split(LLAMA3), ignore_merges=True),
    "qwen2": bpe(split(QWEN2)),
    "gpt2": bpe(pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "gpt2_prefix": bpe(pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "smollm": bpe(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])),
    "bert_uncased": wordpiece(True),
    "bert_cased": wordpiece(False),
    "unigram": unigram(),
    "llama2": sentencepiece_bpe(),
    "whitespace": wordpiece(True),
}
TOKENIZERS["whitespace"].pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()])
TOKENIZERS["qwen2"].normalizer = normalizers.NFC()

texts = list(nasty())
cases = {"texts": texts, "tokenizers": {}}
for name, tokenizer in TOKENIZERS.items():
    cases["tokenizers"][name] = {
        "tokenizer": json.loads(tokenizer.to_str()),
        # special tokens in a text are text, as this project has it where the model is no WordPiece
        "ids": [tokenizer.encode(text).ids for text in texts],
    }
(HERE / "cases.json").write_text(json.dumps(cases, ensure_ascii=True, separators=(",", ":")) + "\n")
