// Examples out of files: what is read, and the line that says what is wrong with a file.

#include "attn/tune_data.hpp"
#include "support/real_models.hpp"
#include "support/text_models.hpp"

#include <catch2/catch.hpp>

#include <cmath>

using namespace attn;
using namespace attn::test;

namespace {

using Ids = std::vector<std::int32_t>;
constexpr std::int32_t end_token = 2;

/// A model with its tokenizer, and a file for it.
struct Text {
  explicit Text(const std::string& name) : folder(name), model(Model::open(folder.path())) {}

  std::filesystem::path file(std::string_view content, std::string_view name = "data.jsonl") const {
    write_file(files / name, content);
    return files / name;
  }
  [[nodiscard]] Ids plain(std::string_view text) const {
    return model.tokenize(text, {.add_special = false});
  }

  TextModelFolder folder;
  TemporaryFolder files;
  Model model;
};

DataOptions context(int tokens, bool asked = false) { return {tokens, asked}; }

Ids joined(std::initializer_list<Ids> parts) {
  Ids all;
  for (const Ids& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// What the example teaches, as text: the tokens that are predicted.
std::string learned(const Model& model, const TuneExample& example) {
  std::string text;
  for (const std::int32_t target : example.targets) {
    if (target >= 0) text += model.token_text(target);
  }
  return text;
}

}  // namespace

TEST_CASE("a text is one document, cut into examples as long as the context", "[training]") {
  const Text text("llama");
  const std::string content = "the cat looked at the mouse .\n\n{ it was small }\n";
  const auto file = text.file(content, "a.txt");
  const Ids all = joined({text.plain(content), {end_token}});
  const auto examples = language_examples(text.model, file, context(8));
  REQUIRE(examples.size() == (all.size() + 7) / 8 - (all.size() % 8 == 1 ? 1 : 0));
  Ids back;
  for (const TuneExample& example : examples) {
    CHECK(example.targets.empty());
    CHECK(example.tokens.size() <= 8);
    CHECK(example.tokens.size() >= 2);
    back.insert(back.end(), example.tokens.begin(), example.tokens.end());
  }
  CHECK(back.size() >= all.size() - 1);
  CHECK(std::equal(back.begin(), back.end(), all.begin()));
  CHECK(longest_example(examples) == 8);

  // a single piece, as short as it is
  const auto one = language_examples(text.model, file, context(128));
  REQUIRE(one.size() == 1);
  CHECK(one[0].tokens == all);
  require_error(ErrorKind::invalid,
                {file.string(), std::to_string(all.size()) + " tokens", "context of 128"},
                [&] { (void)language_examples(text.model, file, context(128, true)); });
  // a rest of one token has nothing to predict
  const int count = static_cast<int>(all.size());
  const auto rest = language_examples(text.model, file, context(count - 1));
  REQUIRE(rest.size() == 1);
  CHECK(language_examples(text.model, file, context(count - 2)).size() == 2);
}

TEST_CASE("documents of JSON Lines are packed one after the other", "[training]") {
  const Text text("llama");
  const auto file =
      text.file("\n{\"text\": \"the cat\"}\r\n\n{\"text\": \"a mouse\"}\n{\"text\": \"\"}");
  const Ids all = joined({text.plain("the cat"), {end_token}, text.plain("a mouse"), {end_token}});
  const auto examples = language_examples(text.model, file, context(100));
  REQUIRE(examples.size() == 1);
  CHECK(examples[0].tokens == all);
  // whatever its name, and with a mark that editors leave
  const auto other = text.file("\xEF\xBB\xBF{ \"text\": \"the cat\"}", "data");
  CHECK(language_examples(text.model, other)[0].tokens ==
        joined({text.plain("the cat"), {end_token}}));
  // a text that begins with a brace is a text
  const auto code = text.file("{\n  a\n}\n", "code.txt");
  CHECK(language_examples(text.model, code)[0].tokens ==
        joined({text.plain("{\n  a\n}\n"), {end_token}}));
}

TEST_CASE("tokens of a line are one example, as they are", "[training]") {
  const Model model = Model::open(std::filesystem::path(ATTN_TEST_DATA) / "tiny-llama");
  const TemporaryFolder folder;
  const auto file = folder / "tokens.jsonl";
  write_file(file,
             "{\"tokens\": [5, 0, 255]}\n{\"tokens\": [7], \"targets\": [3]}\n"
             "{\"tokens\": [1, 2], \"targets\": [-1, 9]}\n");
  const auto examples = language_examples(model, file, context(3));
  REQUIRE(examples.size() == 3);
  CHECK(examples[0].tokens == Ids{5, 0, 255});
  CHECK(examples[0].targets.empty());
  CHECK(examples[1].targets == Ids{3});
  CHECK(examples[2].targets == Ids{-1, 9});
  CHECK(examples[2].name == file.string() + ":3");

  const auto refused = [&](std::string_view content,
                           std::initializer_list<std::string_view> parts) {
    write_file(file, content);
    CAPTURE(std::string(content));
    require_error(ErrorKind::invalid, parts,
                  [&] { (void)language_examples(model, file, context(3)); });
  };
  refused("{\"tokens\": [1, 2]}\n\n{\"tokens\": [1, 2, 3, 4]}",
          {"tokens.jsonl:3: ", "4 tokens", "3"});
  refused("{\"tokens\": [1, 256]}", {"tokens.jsonl:1: tokens[1]", "256", "0..255"});
  refused("{\"tokens\": [-1, 2]}", {"tokens[0]", "-1"});
  refused("{\"tokens\": [1, 1.5]}", {"tokens[1]", "1.5"});
  refused("{\"tokens\": [1, \"a\"]}", {"tokens[1]"});
  refused("{\"tokens\": [1, 99999999999999999999]}", {"tokens[1]"});
  refused("{\"tokens\": [1, 18446744073709551615]}", {"tokens[1]"});
  refused("{\"tokens\": 5}", {"tokens is no list"});
  refused("{\"tokens\": []}", {"tokens.jsonl:1: tokens is empty"});
  refused("{\"tokens\": [4]}", {"predict"});
  refused("{\"tokens\": [4, 5], \"targets\": [-1, -1]}", {"predict"});
  refused("{\"tokens\": [4, 5]}\n{\"tokens\": [4, 5], \"targets\": [-1, 256]}",
          {"tokens.jsonl:2: targets[1]", "256", "-1..255"});
  refused("{\"tokens\": [4, 5], \"targets\": [-2, 2]}", {"targets[0]", "-2"});
  refused("{\"tokens\": [4, 5], \"targets\": [2]}", {"1 target for 2 tokens"});
  refused("{\"tokens\": [4, 5]}\n{\"sentence\": 1}", {"tokens.jsonl:2: ", "messages"});
  refused("{\"tokens\": [4, 5]}\n[4, 5]", {"tokens.jsonl:2: ", "no JSON object"});
  refused("{\"tokens\": [4, 5]}\n{\"tokens\": [4", {"tokens.jsonl:2: ", "JSON"});
  refused("the cat\n", {"tokens.jsonl:1: "});  // the name promises JSON
  refused("{\"text\": 5}", {"tokens.jsonl:1: text", "5"});
  refused("", {"tokens.jsonl", "empty"});
  refused(" \n\t\n", {"tokens.jsonl", "nothing"});
  require_error(ErrorKind::io, {"missing.txt"},
                [&] { (void)language_examples(model, folder / "missing.txt"); });
  require_error(ErrorKind::io, {folder.path().string()},
                [&] { (void)language_examples(model, folder.path()); });
  write_file(file, "{\"text\": \"a b c\"}");
  require_error(ErrorKind::usage, {"tokenizer"}, [&] { (void)language_examples(model, file); });
  require_error(ErrorKind::usage, {"context", "0"},
                [&] { (void)language_examples(model, file, context(-1)); });
}

TEST_CASE("of a conversation only the answers are learned", "[training]") {
  const Text text("llama");
  const std::string line =
      R"({"messages": [{"role": "user", "content": "what is it ?"},)"
      R"({"role": "assistant", "content": "the cat <|im_end|>"},)"
      R"({"role": "user", "content": "and the other ?"},)"
      R"({"role": "assistant", "content": "\na mouse"}, {"role": "user", "content": "paris"}]})";
  const auto file = text.file(line);
  const auto examples = language_examples(text.model, file, context(128));
  REQUIRE(examples.size() == 1);
  const TuneExample& example = examples[0];
  REQUIRE(example.targets.size() == example.tokens.size());
  // what looks like an end token inside a message is text
  CHECK(learned(text.model, example) == "the cat <|im_end|><|im_end|>\na mouse<|im_end|>");
  std::size_t ends = 0;
  for (std::size_t i = 0; i + 1 < example.tokens.size(); ++i) {
    if (example.targets[i] >= 0) CHECK(example.targets[i] == example.tokens[i + 1]);
    ends += example.tokens[i + 1] == end_token ? 1 : 0;
  }
  CHECK(ends == 4);  // two questions, two answers; what follows them is left out
  CHECK(example.tokens.back() == end_token);
  CHECK(example.targets.back() == -1);

  const int whole = static_cast<int>(example.tokens.size());
  const auto cut = language_examples(text.model, file, context(whole - 3));
  CHECK(static_cast<int>(cut[0].tokens.size()) == whole - 3);
  CHECK(std::equal(cut[0].tokens.begin(), cut[0].tokens.end(), example.tokens.begin()));
  CHECK(cut[0].targets.back() == -1);
  require_error(ErrorKind::invalid, {"data.jsonl:1: ", "first 10 tokens"},
                [&] { (void)language_examples(text.model, file, context(10)); });

  const auto refused = [&](ErrorKind kind, std::string_view content,
                           std::initializer_list<std::string_view> parts) {
    const auto bad = text.file(content);
    CAPTURE(std::string(content));
    require_error(kind, parts, [&] { (void)language_examples(text.model, bad); });
  };
  refused(ErrorKind::invalid, R"({"messages": [{"role": "user", "content": "paris"}]})",
          {"data.jsonl:1: ", "assistant"});
  refused(ErrorKind::invalid, R"({"messages": []})", {"data.jsonl:1: messages"});
  refused(ErrorKind::invalid, R"({"messages": [{"role": "assistant"}]})",
          {"data.jsonl:1: messages[0]", "content"});
  refused(ErrorKind::invalid, R"({"messages": [{"role": "user", "content": ["a"]}]})",
          {"messages[0]: content"});
  refused(ErrorKind::invalid, R"({"messages": ["a"]})", {"messages[0]", "object"});

  // together with documents: these come first, and do not have to fill a context
  const auto both = text.file(line + "\n{\"text\": \"the cat\"}");
  const auto mixed = language_examples(text.model, both, context(128, true));
  REQUIRE(mixed.size() == 2);
  CHECK(mixed[0].tokens == joined({text.plain("the cat"), {end_token}}));

  write_file(text.folder.path() / "tokenizer_config.json", R"({"eos_token": "<|im_end|>"})");
  const Model silent = Model::open(text.folder.path());
  require_error(ErrorKind::usage, {"data.jsonl:1: ", "chat template"},
                [&] { (void)language_examples(silent, text.file(line)); });
}

TEST_CASE("a template that words answers in its own way is noticed", "[training]") {
  const Text text("llama");
  const auto with_template = [&](const std::string& chat) {
    write_file(text.folder.path() / "tokenizer_config.json",
               R"({"eos_token": "<|im_end|>", "chat_template": ")" + chat + "\"}");
    return Model::open(text.folder.path());
  };
  const auto file = text.file(
      R"({"messages": [{"role": "user", "content": "paris"}, {"role": "assistant", "content": "it is"}]})");
  const Model endless = with_template(
      "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + ' ' }}{% endfor %}assistant: ");
  require_error(ErrorKind::invalid, {"data.jsonl:1: ", "end token"},
                [&] { (void)language_examples(endless, file); });
  const Model other = with_template(
      "{% for m in messages %}{{ m['content'] + '<|im_end|>' }}{% endfor %}the answer of the "
      "model: ");
  require_error(ErrorKind::invalid, {"data.jsonl:1: messages[1]", "go on"},
                [&] { (void)language_examples(other, file); });
}

TEST_CASE("tokens know the word that they belong to", "[training]") {
  for (const std::string name : {"llama", "bert"}) {
    CAPTURE(name);
    const Text text(name);
    const std::string sentence = "  The pink  elephant\twas too. ";
    const TuneExample example =
        attention_example(text.model, {sentence, {"elephant", "too"}, "it"}, context(60));
    CHECK(example.tokens == text.model.tokenize(sentence));
    CHECK(example.look_at == Ids{2, 4});
    REQUIRE(example.words.size() == example.tokens.size());
    std::vector<std::string> words(5);
    for (std::size_t i = 0; i < example.words.size(); ++i) {
      const std::int32_t word = example.words[i];
      if (word < 0) continue;
      if (i > 0 && example.words[i - 1] >= 0) CHECK(word >= example.words[i - 1]);
      for (const char c : text.model.token_text(example.tokens[i])) {
        if (std::string_view(" \t#").find(c) == std::string_view::npos) {
          words[static_cast<std::size_t>(word)] += c;
        }
      }
    }
    const std::string the = name == "bert" ? "the" : "The";
    CHECK(words == std::vector<std::string>{the, "pink", "elephant", "was", "too."});
    if (name == "bert") {
      CHECK(example.words.front() == -1);  // [CLS]
      CHECK(example.words.back() == -1);   // [SEP]
    } else {
      CHECK(example.words.front() == 0);  // the blanks before it
    }
  }
}

TEST_CASE("words to be looked at have to be there, and others as well", "[training]") {
  const Text text("llama");
  const auto example = [&](const std::string& sentence, std::vector<std::string> look_at) {
    return attention_example(text.model, {sentence, std::move(look_at), "a.txt:1"}, context(60));
  };
  CHECK(example("too big, too", {"too"}).look_at == Ids{0, 2});
  CHECK(example("(\"big\") mouse", {"big"}).look_at == Ids{0});
  CHECK(example("big. mouse", {"big."}).look_at == Ids{0});
  CHECK(example("é “big” mouse", {"big"}).look_at == Ids{1});
  CHECK(example("it's big", {"it's"}).look_at == Ids{0});
  require_error(ErrorKind::invalid, {"a.txt:1: ", "\"huge\"", "\"too big\""}, [&] {
    (void)example("too big", {"too", "huge"});
  });
  require_error(ErrorKind::invalid, {"a.txt:1: ", "all words"}, [&] {
    (void)example("too big.", {"too", "big"});
  });
  require_error(ErrorKind::invalid, {"a.txt:1: ", "no words"}, [&] { (void)example(" ", {"a"}); });
  require_error(ErrorKind::invalid, {"a.txt:1: ", "no word"}, [&] { (void)example("a b", {}); });
  require_error(ErrorKind::invalid, {"a.txt:1: ", "tokens", "context of 2"}, [&] {
    (void)attention_example(text.model, {"the cat was big", {"cat"}, "a.txt:1"}, context(2));
  });

  const std::vector<std::string> words{"big"};
  const auto lines = text.file("the big cat\n\nthe house was big\n", "a.txt");
  const auto examples = attention_examples(text.model, lines, words);
  REQUIRE(examples.size() == 2);
  CHECK(examples[1].look_at == Ids{3});
  CHECK(examples[1].name == lines.string() + ":3");
  const auto json = text.file(
      "{\"text\": \"the big cat\"}\n"
      "{\"text\": \"a small mouse\", \"size_words\": [\"small\"]}");
  CHECK(attention_examples(text.model, json, words)[1].look_at == Ids{1});
  const auto bad = text.file("{\"text\": \"the big cat\"}\n{\"text\": \"a small mouse\"}");
  require_error(ErrorKind::invalid, {"data.jsonl:2: ", "\"big\""},
                [&] { (void)attention_examples(text.model, bad, words); });
}

TEST_CASE("pairs of texts", "[training]") {
  const Text text("bert");
  const auto file = text.file(
      "{\"a\": \"the cat\", \"b\": \"a mouse\", \"score\": 0.5}\n"
      "{\"sentence1\": \"it\", \"sentence2\": \"was\", \"score\": -1}\n");
  const auto examples = similarity_examples(text.model, file, context(64));
  REQUIRE(examples.size() == 2);
  CHECK(examples[0].tokens == text.model.tokenize("the cat"));
  CHECK(examples[0].other == text.model.tokenize("a mouse"));
  CHECK(examples[0].score == 0.5);
  CHECK(examples[1].score == -1);

  const auto lines = text.file("the cat\ta mouse\n\nit\twas \r\n", "pairs.tsv");
  const auto plain = similarity_examples(text.model, lines, context(64));
  REQUIRE(plain.size() == 2);
  CHECK(std::isnan(plain[0].score));
  CHECK(plain[1].other == text.model.tokenize("was"));
  const auto scored = text.file("the cat\ta mouse\t1\n", "pairs.tsv");
  CHECK(similarity_examples(text.model, scored)[0].score == 1);

  // cut as encoders cut: the end of the content goes, [SEP] stays
  std::string many = "the";
  for (int i = 0; i < 100; ++i) many += " cat";
  const auto longer = text.file(many + "\tcat\n", "pairs.tsv");
  const Ids whole = similarity_examples(text.model, longer)[0].tokens;
  CHECK(whole == text.model.tokenize(many, {.truncate = true}));
  const Ids cut = similarity_examples(text.model, longer, context(5))[0].tokens;
  CHECK(cut.size() == 5);
  CHECK(cut.back() == whole.back());
  CHECK(cut[1] == whole[1]);

  const auto refused = [&](std::string_view content, std::string_view name,
                           std::initializer_list<std::string_view> parts) {
    const auto bad = text.file(content, name);
    CAPTURE(std::string(content));
    require_error(ErrorKind::invalid, parts, [&] { (void)similarity_examples(text.model, bad); });
  };
  refused("a\tb\t0.5\nb\tc\t1.5\n", "p.tsv", {"p.tsv:2: score", "1.5", "-1..1"});
  refused("a\tb\tnan\n", "p.tsv", {"p.tsv:1: score", "nan"});
  refused("a\tb\thigh\n", "p.tsv", {"p.tsv:1: score", "high"});
  refused("a b\n", "p.tsv", {"p.tsv:1: ", "0 tabs"});
  refused("a\tb\t1\t2\n", "p.tsv", {"p.tsv:1: ", "3 tabs"});
  refused("a\tb\t1\na\tb\n", "p.tsv", {"p.tsv:2: has no score"});
  refused("a\tb\na\tb\t1\n", "p.tsv", {"p.tsv:2: has a score"});
  refused("{\"a\": \"x\", \"b\": \"y\", \"score\": -1.01}", "p.jsonl",
          {"p.jsonl:1: score", "-1.01"});
  refused("{\"a\": \"x\", \"b\": \"y\", \"score\": \"1\"}", "p.jsonl", {"p.jsonl:1: score"});
  refused("{\"a\": \"x\"}", "p.jsonl", {"p.jsonl:1", "b"});
  refused("{\"a\": \"x\", \"b\": 1}", "p.jsonl", {"p.jsonl:1: b"});
}

TEST_CASE("a share of the examples is kept to evaluate on", "[training]") {
  std::vector<TuneExample> examples(20);
  for (std::int32_t i = 0; i < 20; ++i) examples[static_cast<std::size_t>(i)].tokens = {i};
  const auto firsts = [](const std::vector<TuneExample>& all) {
    Ids ids;
    for (const TuneExample& example : all) ids.push_back(example.tokens[0]);
    return ids;
  };
  const SplitExamples split = split_held_out(examples, 0.25, 3);
  CHECK(split.held_out.size() == 5);
  CHECK(split.train.size() == 15);
  Ids all = joined({firsts(split.train), firsts(split.held_out)});
  CHECK(std::is_sorted(all.begin(), all.begin() + 15));
  CHECK(std::is_sorted(all.begin() + 15, all.end()));
  std::sort(all.begin(), all.end());
  CHECK(all == firsts(examples));
  CHECK(firsts(split_held_out(examples, 0.25, 3).held_out) == firsts(split.held_out));
  CHECK(firsts(split_held_out(examples, 0.25, 4).held_out) != firsts(split.held_out));
  CHECK(split_held_out(examples, 0.001, 0).held_out.size() == 1);
  CHECK(split_held_out(examples, 0.999, 0).train.size() == 1);
  examples.resize(1);
  require_error(ErrorKind::invalid, {"two examples"},
                [&] { (void)split_held_out(examples, 0.5, 0); });
  for (const double share : {0.0, 1.0, -1.0, std::nan("")}) {
    require_error(ErrorKind::usage, {"share"}, [&] { (void)split_held_out(examples, share, 0); });
  }
}

TEST_CASE("examples for the real models", "[training]") {
  const auto path = real_model("smollm2-135m-instruct.Q4_1.gguf");
  if (!path) return;
  const Model model = Model::open(*path);
  const std::string sentence = "The pink elephant tried to get into the car but it was too";
  const TuneExample example =
      attention_example(model, {sentence, {"elephant", "car", "too"}, ""}, context(64));
  CHECK(example.look_at == Ids{2, 8, 12});
  CHECK(example.tokens == model.tokenize(sentence));
  CHECK(example.words.back() == 12);

  const TemporaryFolder folder;
  write_file(folder / "chat.jsonl", R"({"messages": [{"role": "user", "content": "Hi"}, )"
                                    R"({"role": "assistant", "content": "Hello there."}]})");
  const auto chat = language_examples(model, folder / "chat.jsonl");
  REQUIRE(chat.size() == 1);
  CHECK(learned(model, chat[0]) == "Hello there.<|im_end|>");
}
