// A prompt and what follows it.

#include "attn/generator.hpp"
#include "tools/common/interrupt.hpp"
#include "tools/common/json.hpp"
#include "tools/common/npy.hpp"
#include "tools/common/terminal.hpp"
#include "tools/common/tool.hpp"
#include "tools/run/maps.hpp"
#include "tools/run/prompt.hpp"
#include "tools/run/report.hpp"

#include <algorithm>
#include <numeric>

namespace attn::tools {
namespace {

/// What --logits and --top-logits ask for, position by position.
class Logits {
 public:
  Logits(const Arguments& arguments, std::int64_t positions, std::int64_t vocab)
      : file_(arguments.logits), most_(vocab) {
    if (arguments.top_logits) {
      top_ =
          static_cast<std::size_t>(whole_number("--top-logits", *arguments.top_logits, 1, vocab));
    }
    if (file_) npy_.emplace(*file_, Dims{positions, vocab});
  }

  void add(std::span<const float> logits) {
    if (npy_) npy_->write(logits);
    if (top_ == 0) return;
    order_.resize(static_cast<std::size_t>(most_));
    std::iota(order_.begin(), order_.end(), 0);
    const auto larger = [&](std::int32_t a, std::int32_t b) {
      const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
      return x > y || (x == y && a < b);
    };
    std::partial_sort(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(top_),
                      order_.end(), larger);
    std::string row;
    for (std::size_t i = 0; i < top_; ++i) {
      row += (i == 0 ? "[" : ", [") + std::to_string(order_[i]) + ", " +
             json_number(logits[static_cast<std::size_t>(order_[i])]) + "]";
    }
    rows_.push_back("[" + row + "]");
  }

  void finish() {
    if (npy_) npy_->commit();
  }
  [[nodiscard]] const std::vector<std::string>& rows() const { return rows_; }

 private:
  std::optional<std::string> file_;
  std::int64_t most_;
  std::size_t top_ = 0;
  std::optional<NpyWriter> npy_;
  std::vector<std::int32_t> order_;
  std::vector<std::string> rows_;
};

std::string timings_json(double load_seconds, const Generation& g) {
  JsonObject object(1);
  object.add("load_s", json_number(load_seconds));
  object.add("prompt_s", json_number(g.prompt_seconds));
  object.add("prompt_tokens_reused", std::to_string(g.reused));
  object.add("decode_s", json_number(g.decode_seconds));
  const auto rate = [](std::size_t count, double seconds) {
    return json_number(seconds > 0 ? static_cast<double>(count) / seconds : 0.0);
  };
  object.add("prompt_tokens_per_s",
             rate(g.prompt.size() - static_cast<std::size_t>(g.reused), g.prompt_seconds));
  object.add("decode_tokens_per_s",
             rate(g.tokens.empty() ? 0 : g.tokens.size() - 1, g.decode_seconds));
  object.add("forwards", std::to_string(g.forwards));
  object.add("proposed", std::to_string(g.proposed));
  object.add("accepted", std::to_string(g.accepted));
  return object.text();
}

std::string ids_json(const std::vector<std::int32_t>& ids) {
  const std::vector<std::int64_t> wide(ids.begin(), ids.end());
  return json_list(wide);
}

class Session {
 public:
  Session(const Arguments& arguments, Opened& opened, Out& out)
      : arguments_(arguments), opened_(opened), out_(out) {}

  void run() {
    GenerateOptions options = generate_options(arguments_);
    const auto prompt = prompt_tokens(arguments_, opened_.model);
    if (!prompt) {
      throw Error(ErrorKind::usage,
                  "a language model needs a prompt: -p TEXT, -f FILE, --tokens, or --chat");
    }
    if (arguments_.top_logits && !arguments_.json) {
      throw Error(ErrorKind::usage, "--top-logits: is part of what --json prints");
    }
    MapsRequest maps(arguments_, opened_.model);
    Generator generator(opened_.model, generator_options(arguments_));
    const HoldInterrupts hold;  // what was written stays, and files are whole
    std::vector<std::string> top;
    if (arguments_.logits || arguments_.top_logits) top = logits(generator, *prompt);
    ProgressBar progress("reading");
    options.on_prompt = [&](std::int64_t done, std::int64_t total) {
      HoldInterrupts::check();
      if (progress.due()) progress.show(done, total, std::to_string(done) + " tokens");
    };
    options.on_token = [&](const GeneratedToken& token) { return on_token(token, progress); };
    const Generation generation = generator.generate(*prompt, options);
    progress.clear();
    if (!arguments_.json) end_line(generation.text);
    if (generation.finish == Finish::cancelled) {
      throw Interrupted{"interrupted after " + std::to_string(generation.tokens.size()) +
                        " tokens"};
    }
    if (arguments_.picture) {
      std::vector<std::int32_t> all = generation.prompt;
      all.insert(all.end(), generation.tokens.begin(), generation.tokens.end());
      maps.draw(all, opened_.name);
    }
    if (arguments_.json) print_json(generation, top, generator);
    print_timings(opened_.seconds, generation);
    if (arguments_.profile && !arguments_.json) {
      out_.print(
          profile_text(generator.profile(), opened_.model.info().isa, standard_output_terminal()));
    }
  }

 private:
  std::vector<std::string> logits(Generator& generator, const std::vector<std::int32_t>& prompt) {
    const auto positions = static_cast<std::int64_t>(prompt.size());
    Logits wanted(arguments_, std::max<std::int64_t>(1, positions),
                  opened_.model.text().vocab_size);
    ProgressBar progress("logits");
    generator.logits(prompt, [&](std::int64_t position, std::span<const float> row) {
      HoldInterrupts::check();
      if (progress.due()) progress.show(position, positions, std::to_string(position) + " tokens");
      wanted.add(row);
    });
    wanted.finish();
    return wanted.rows();
  }

  bool on_token(const GeneratedToken& token, ProgressBar& progress) {
    progress.clear();
    if (!arguments_.json && !token.text.empty()) {
      out_.print(token.text);
      out_.flush();
    }
    return !interrupted();
  }

  void end_line(const std::string& text) {
    if (!text.empty() && text.back() != '\n') out_.print("\n");
    out_.flush();
  }

  void print_json(const Generation& generation, const std::vector<std::string>& top,
                  const Generator& generator) {
    JsonObject object;
    object.add("prompt_tokens", ids_json(generation.prompt));
    object.add("tokens", ids_json(generation.tokens));
    object.add("text", json_string(generation.text));
    object.add("finish", json_string(finish_name(generation.finish)));
    object.add("timings", timings_json(opened_.seconds, generation));
    if (arguments_.top_logits) object.add("top_logits", json_lines(top, 1));
    if (arguments_.profile) {
      object.add("profile", profile_json(generator.profile(), opened_.model.info().isa));
    }
    out_.print(object.text() + "\n");
    out_.flush();
  }

  const Arguments& arguments_;
  Opened& opened_;
  Out& out_;
};

}  // namespace

void generate(const Arguments& arguments, Opened& opened, Out& out) {
  Session(arguments, opened, out).run();
}

}  // namespace attn::tools
